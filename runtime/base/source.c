/* Texts with a line table; places are found by binary search. */
#include "runtime/base/source.h"
#include "runtime/base/sanitize.h"
#include <assert.h>

Source *source_make(Arena *arena, Str name, Str text, bool is_file) {
    assert(text.len < UINT32_MAX);
    Source *source = arena_new(arena, Source);
    source->name = str_copy(arena, name);
    source->text = str_copy(arena, text);
    source->is_file = is_file;
    uint32_t lines = 1;
    for (size_t i = 0; i < text.len; i++) {
        lines += text.data[i] == '\n';
    }
    source->lines = arena_many(arena, uint32_t, lines);
    source->line_count = 1;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '\n') {
            source->lines[source->line_count++] = (uint32_t)(i + 1);
        }
    }
    return source;
}

Place source_place(const Source *source, uint32_t offset) {
    if (offset > source->text.len) {
        offset = (uint32_t)source->text.len;
    }
    uint32_t low = 0, high = source->line_count; /* the line is in [low, high) */
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (source->lines[middle] <= offset) {
            low = middle;
        } else {
            high = middle;
        }
    }
    Str before = str_slice(source->text, source->lines[low], offset);
    return (Place){low + 1, (uint32_t)utf8_width(before) + 1};
}

Str source_line(const Source *source, uint32_t line) {
    if (line < 1 || line > source->line_count) {
        return STR("");
    }
    size_t end = line < source->line_count ? source->lines[line] - 1 : source->text.len;
    Str text = str_slice(source->text, source->lines[line - 1], end);
    return str_ends(text, STR("\r")) ? str_slice(text, 0, text.len - 1) : text;
}

Str span_text(Span span) {
    if (!span.source) {
        return STR("");
    }
    return str_slice(span.source->text, span.offset, (size_t)span.offset + span.length);
}

Span span_join(Span first, Span last) {
    if (!first.source || first.source != last.source) {
        return first.source ? first : last;
    }
    uint32_t begin = first.offset < last.offset ? first.offset : last.offset;
    uint32_t end = first.offset + first.length > last.offset + last.length
                       ? first.offset + first.length
                       : last.offset + last.length;
    return (Span){first.source, begin, end - begin};
}
