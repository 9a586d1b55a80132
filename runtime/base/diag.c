/* Collecting diagnostics, and their two renderings. Text layout (w = digits of the largest line
 * number shown):
 *
 *     error[E0301]: message
 *       --> file:line:column
 *      |                          w + 2 columns, then the bar
 *    9 | source line
 *      |     ^^^^ label           '-' under secondary spans, " ..." where lines are left out
 *      |
 *      = line                     continued at w + 4 columns
 */
#include "runtime/base/diag.h"
#include "runtime/base/limits.h"
#include "runtime/base/sanitize.h"
#include "runtime/base/session.h"
#include <string.h>

/* ---- collecting */

static bool same_span(Span a, Span b) {
    return a.source == b.source && a.offset == b.offset && a.length == b.length;
}

static bool is_known(const Diags *diags, const Diag *d) {
    for (size_t i = 0; i < diags->all.len; i++) {
        const Diag *old = diags->all.at[i];
        if (str_eq(old->code, d->code) && same_span(old->primary.span, d->primary.span) &&
            str_eq(old->message, d->message)) {
            return true;
        }
    }
    return false;
}

static Str format_text(Arena *arena, const char *format, va_list args) {
    Buf b = buf_on(arena);
    buf_vprintf(&b, format, args);
    return buf_view(&b);
}

static Diag *report(Diags *diags, DiagLevel level, const char *code, Span at, const char *format,
                    va_list args) {
    Diag *d = arena_new(diags->arena, Diag);
    d->owner = diags;
    d->level = level;
    d->code = str_from(code);
    d->primary.span = at;
    d->message = format_text(diags->arena, format, args);
    if (!is_known(diags, d)) {
        *(level == DIAG_ERROR ? &diags->errors : &diags->warnings) += 1;
        if (diags->all.len < DIAGS_KEPT) {
            vec_push(diags->arena, &diags->all, d);
        }
    }
    return d;
}

/* The text of a variadic call, on the arena of a Diag. */
#define FORMATTED(text, d, format)                                                                 \
    va_list args;                                                                                  \
    va_start(args, format);                                                                        \
    Str text = format_text((d)->owner->arena, format, args);                                       \
    va_end(args)

Diag *diag_error(Session *s, const char *code, Span at, const char *format, ...) {
    va_list args;
    va_start(args, format);
    Diag *d = report(&s->diags, DIAG_ERROR, code, at, format, args);
    va_end(args);
    return d;
}

Diag *diag_warning(Session *s, const char *code, Span at, const char *format, ...) {
    va_list args;
    va_start(args, format);
    Diag *d = report(&s->diags, DIAG_WARNING, code, at, format, args);
    va_end(args);
    return d;
}

void diag_where(Diag *d, const char *format, ...) {
    FORMATTED(text, d, format);
    d->where = text;
}

void diag_label(Diag *d, const char *format, ...) {
    FORMATTED(text, d, format);
    d->primary.text = text;
}

void diag_span(Diag *d, Span at, const char *format, ...) {
    FORMATTED(text, d, format);
    vec_push(d->owner->arena, &d->secondary, (DiagLabel){at, text});
}

static void add_line(Diag *d, const char *prefix, Str text) {
    vec_push(d->owner->arena, &d->lines,
             str_format(d->owner->arena, "%s%.*s", prefix, STR_ARG(text)));
}

void diag_line(Diag *d, const char *format, ...) {
    FORMATTED(text, d, format);
    add_line(d, "", text);
}

void diag_note(Diag *d, const char *format, ...) {
    FORMATTED(text, d, format);
    add_line(d, "note: ", text);
}

void diag_help(Diag *d, const char *format, ...) {
    FORMATTED(text, d, format);
    add_line(d, "help: ", text);
}

void diag_fix(Diag *d, bool safe, Span at, const char *format, ...) {
    FORMATTED(text, d, format);
    vec_push(d->owner->arena, &d->fixes, (DiagFix){safe, at, text});
}

void diags_clear(Diags *diags) {
    *diags = (Diags){.arena = diags->arena};
}

/* ---- text */

typedef enum Style { PLAIN, BOLD, RED, YELLOW, BLUE } Style;

typedef struct Page {
    Buf *out;
    bool colour;
    size_t digits; /* width of line numbers */
} Page;

static void paint(const Page *page, Style style) {
    static const char *const codes[] = {"0", "1", "1;31", "1;33", "1;34"};
    if (page->colour) {
        buf_printf(page->out, "\x1b[%sm", codes[style]);
    }
}

static void painted(const Page *page, Style style, Str text) {
    paint(page, style);
    buf_safe(page->out, text);
    paint(page, PLAIN);
}

/* The part of a line that is shown; a long one is cut to what surrounds the first mark. */
typedef struct Window {
    Str line;
    size_t begin, end;
} Window;

enum { LONG_LINE = 300, BEFORE_MARK = 100 };

static Window window_of(Str line, size_t mark) {
    Window w = {line, 0, line.len};
    if (line.len > LONG_LINE) {
        w.begin = mark > BEFORE_MARK ? mark - BEFORE_MARK : 0;
        w.end = w.begin + LONG_LINE < line.len ? w.begin + LONG_LINE : line.len;
        while (w.begin > 0 && (line.data[w.begin] & 0xC0) == 0x80) {
            w.begin--;
        }
        while (w.end < line.len && (line.data[w.end] & 0xC0) == 0x80) {
            w.end++;
        }
    }
    return w;
}

/* Visible form of the window up to byte `end` of the line: a tab is one space. */
static Str visible(Arena *arena, const Window *w, size_t end) {
    Buf b = buf_on(arena);
    buf_printf(&b, "%s", w->begin ? "..." : "");
    end = end < w->begin ? w->begin : end > w->end ? w->end : end;
    for (size_t at = w->begin; at < end;) {
        Str rest = str_slice(w->line, at, end);
        int64_t tab = str_find(rest, '\t');
        size_t run = tab < 0 ? rest.len : (size_t)tab;
        buf_safe(&b, str_slice(rest, 0, run));
        if (tab >= 0) {
            buf_char(&b, ' ');
            run++;
        }
        at += run;
    }
    if (end == w->end && w->end < w->line.len) {
        buf_printf(&b, "...");
    }
    return buf_view(&b);
}

/* One mark to draw: its line and byte columns in that line. */
typedef struct Mark {
    const DiagLabel *label;
    bool primary;
    uint32_t line;
    size_t begin, end;
} Mark;

static Mark mark_of(const DiagLabel *label, bool primary) {
    const Source *source = label->span.source;
    Mark m = {label, primary, source_place(source, label->span.offset).line, 0, 0};
    Str line = source_line(source, m.line);
    size_t start = source->lines[m.line - 1];
    size_t length = label->span.length ? label->span.length : 1;
    m.begin = label->span.offset > start ? label->span.offset - start : 0;
    m.begin = m.begin < line.len ? m.begin : line.len;
    m.end = m.begin + length < line.len ? m.begin + length : line.len;
    return m;
}

static void gutter(const Page *page, uint32_t line) {
    paint(page, BLUE);
    if (line) {
        buf_printf(page->out, " %*u |", (int)page->digits, (unsigned)line);
    } else {
        buf_repeat(page->out, ' ', page->digits + 2);
        buf_char(page->out, '|');
    }
    paint(page, PLAIN);
}

static void draw_line(const Page *page, const Source *source, uint32_t line, Window w) {
    gutter(page, source->is_file ? line : 0);
    Str text = visible(page->out->arena, &w, w.end);
    if (text.len) {
        buf_char(page->out, ' ');
        buf_str(page->out, text);
    }
    buf_char(page->out, '\n');
}

static void draw_mark(const Page *page, const Mark *m, Window w, Style style) {
    Arena *arena = page->out->arena;
    size_t from = utf8_width(visible(arena, &w, m->begin));
    size_t to = utf8_width(visible(arena, &w, m->end));
    gutter(page, 0);
    buf_repeat(page->out, ' ', from + 1);
    paint(page, style);
    buf_repeat(page->out, m->primary ? '^' : '-', to > from ? to - from : 1);
    if (m->label->text.len) {
        buf_char(page->out, ' ');
        buf_safe(page->out, m->label->text);
    }
    paint(page, PLAIN);
    buf_char(page->out, '\n');
}

static bool mark_before(const Mark *a, const Mark *b) {
    if (a->line != b->line) {
        return a->line < b->line;
    }
    return a->primary != b->primary ? a->primary : a->begin < b->begin;
}

typedef Vec(Mark) Marks;

static void add_mark(Arena *arena, Marks *marks, Mark m) {
    vec_push(arena, marks, m);
    for (size_t i = marks->len - 1; i > 0 && mark_before(&marks->at[i], &marks->at[i - 1]); i--) {
        Mark swap = marks->at[i];
        marks->at[i] = marks->at[i - 1];
        marks->at[i - 1] = swap;
    }
}

/* All marks of a diagnostic that lie in one source, by line. */
static Marks marks_in(const Diag *d, const Source *source, Arena *arena) {
    Marks marks = {0};
    if (d->primary.span.source == source) {
        add_mark(arena, &marks, mark_of(&d->primary, true));
    }
    for (size_t i = 0; i < d->secondary.len; i++) {
        if (d->secondary.at[i].span.source == source) {
            add_mark(arena, &marks, mark_of(&d->secondary.at[i], false));
        }
    }
    return marks;
}

static void draw_place(const Page *page, const char *arrow, Span at) {
    paint(page, BLUE);
    buf_printf(page->out, "  %s ", arrow);
    paint(page, PLAIN);
    buf_safe(page->out, at.source->name);
    if (at.source->is_file) {
        Place place = source_place(at.source, at.offset);
        buf_printf(page->out, ":%u:%u", (unsigned)place.line, (unsigned)place.column);
    }
    buf_char(page->out, '\n');
    gutter(page, 0);
    buf_char(page->out, '\n');
}

static void draw_source(const Page *page, const Source *source, Marks marks, Style style) {
    Window w = {0};
    for (size_t i = 0; i < marks.len; i++) {
        const Mark *m = &marks.at[i];
        uint32_t last = i ? marks.at[i - 1].line : m->line;
        if (i && m->line > last + 1) {
            paint(page, BLUE);
            buf_printf(page->out, " ...");
            paint(page, PLAIN);
            buf_char(page->out, '\n');
        }
        if (i == 0 || m->line != last) {
            w = window_of(source_line(source, m->line), m->begin);
            draw_line(page, source, m->line, w);
        }
        draw_mark(page, m, w, m->primary ? style : BLUE);
    }
}

/* Primary source first, then each other source where it is first named. */
static void draw_sources(const Page *page, const Diag *d, Style style) {
    const Source *first = d->primary.span.source;
    if (first) {
        draw_place(page, "-->", d->primary.span);
        draw_source(page, first, marks_in(d, first, page->out->arena), style);
    }
    for (size_t i = 0; i < d->secondary.len; i++) {
        const Source *source = d->secondary.at[i].span.source;
        bool seen = !source || source == first;
        for (size_t j = 0; j < i && !seen; j++) {
            seen = d->secondary.at[j].span.source == source;
        }
        if (!seen) {
            draw_place(page, first || i ? ":::" : "-->", d->secondary.at[i].span);
            draw_source(page, source, marks_in(d, source, page->out->arena), style);
        }
    }
}

static void draw_lines(const Page *page, const Diag *d) {
    for (size_t i = 0; i < d->lines.len; i++) {
        Str rest = d->lines.at[i];
        for (bool first = true; first || rest.len; first = false) {
            int64_t end = str_find(rest, '\n');
            Str line = str_slice(rest, 0, end < 0 ? rest.len : (size_t)end);
            rest = str_slice(rest, end < 0 ? rest.len : (size_t)end + 1, rest.len);
            buf_repeat(page->out, ' ', page->digits + 2);
            paint(page, BLUE);
            buf_printf(page->out, first ? "= " : "  ");
            paint(page, PLAIN);
            buf_safe(page->out, line);
            buf_char(page->out, '\n');
        }
    }
}

static size_t digits_of(const Diag *d) {
    uint32_t largest = 1;
    for (size_t i = 0; i <= d->secondary.len; i++) {
        Span at = i ? d->secondary.at[i - 1].span : d->primary.span;
        if (at.source && at.source->is_file) {
            uint32_t line = source_place(at.source, at.offset).line;
            largest = line > largest ? line : largest;
        }
    }
    size_t digits = 1;
    while (largest >= 10) {
        largest /= 10;
        digits++;
    }
    return digits;
}

void diag_render(const Diag *d, Buf *out, bool colour) {
    Page page = {out, colour, digits_of(d)};
    Style style = d->level == DIAG_ERROR ? RED : YELLOW;
    paint(&page, style);
    buf_printf(out, "%s[%.*s]", d->level == DIAG_ERROR ? "error" : "warning", STR_ARG(d->code));
    paint(&page, PLAIN);
    buf_str(out, STR(": "));
    painted(&page, BOLD, d->message);
    buf_char(out, '\n');
    bool drawn = d->primary.span.source || d->secondary.len;
    if (!d->primary.span.source && d->where.len) {
        paint(&page, BLUE);
        buf_printf(out, "  --> ");
        paint(&page, PLAIN);
        buf_safe(out, d->where);
        buf_char(out, '\n');
        drawn = true;
    }
    draw_sources(&page, d, style);
    if (drawn && d->lines.len) {
        gutter(&page, 0);
        buf_char(out, '\n');
    }
    draw_lines(&page, d);
}

/* By file name, then offset; what has no place comes last; else the order of reporting. */
static bool diag_before(const Diag *a, const Diag *b) {
    const Source *sa = a->primary.span.source, *sb = b->primary.span.source;
    if (!sa || !sb) {
        return sa && !sb;
    }
    int order = sa == sb ? 0 : str_cmp(sa->name, sb->name);
    return order ? order < 0 : a->primary.span.offset < b->primary.span.offset;
}

Diag **diags_sorted(const Diags *diags) {
    Diag **sorted = arena_many(diags->arena, Diag *, diags->all.len + 1);
    for (size_t i = 0; i < diags->all.len; i++) {
        size_t at = i;
        for (; at > 0 && diag_before(diags->all.at[i], sorted[at - 1]); at--) {
            sorted[at] = sorted[at - 1];
        }
        sorted[at] = diags->all.at[i];
    }
    return sorted;
}

void diags_render(const Diags *diags, Buf *out, bool colour) {
    Diag **sorted = diags_sorted(diags);
    size_t errors = 0;
    bool first = true;
    for (size_t i = 0; i < diags->all.len; i++) {
        if (sorted[i]->level == DIAG_ERROR && ++errors > LIMIT_DIAGNOSTICS) {
            continue;
        }
        if (!first) {
            buf_char(out, '\n');
        }
        first = false;
        diag_render(sorted[i], out, colour);
    }
    if (diags->errors > LIMIT_DIAGNOSTICS) {
        size_t more = diags->errors - LIMIT_DIAGNOSTICS;
        buf_printf(out, "\n... and %zu more error%s\n", more, more == 1 ? "" : "s");
    }
}

/* ---- JSON */

static void json_span(Buf *out, const DiagLabel *label, bool primary) {
    Span at = label->span;
    Place place = source_place(at.source, at.offset);
    buf_str(out, STR("{\"file\":"));
    buf_json(out, at.source->name);
    buf_printf(out, ",\"start\":%u,\"end\":%u,\"line\":%u,\"col\":%u,\"primary\":%s",
               (unsigned)at.offset, (unsigned)(at.offset + at.length), (unsigned)place.line,
               (unsigned)place.column, primary ? "true" : "false");
    if (label->text.len) {
        buf_str(out, STR(",\"label\":"));
        buf_json(out, label->text);
    }
    buf_char(out, '}');
}

static void json_fix(Buf *out, const DiagFix *fix) {
    buf_printf(out, "{\"applicability\":\"%s\",\"edits\":[{\"start\":%u,\"end\":%u,\"text\":",
               fix->safe ? "machine" : "maybe", (unsigned)fix->span.offset,
               (unsigned)(fix->span.offset + fix->span.length));
    buf_json(out, fix->text);
    buf_str(out, STR("}]}"));
}

static void json_comma(Buf *out) {
    char last = out->data[out->len - 1];
    if (last != '[') {
        buf_char(out, ',');
    }
}

void diag_json(const Diag *d, Buf *out) {
    buf_printf(out, "{\"type\":\"diagnostic\",\"level\":\"%s\",\"code\":\"%.*s\",\"message\":",
               d->level == DIAG_ERROR ? "error" : "warning", STR_ARG(d->code));
    buf_json(out, d->message);
    if (d->where.len) {
        buf_str(out, STR(",\"where\":"));
        buf_json(out, d->where);
    }
    buf_str(out, STR(",\"spans\":["));
    for (size_t i = 0; i <= d->secondary.len; i++) {
        const DiagLabel *label = i ? &d->secondary.at[i - 1] : &d->primary;
        if (label->span.source) {
            json_comma(out);
            json_span(out, label, i == 0);
        }
    }
    buf_str(out, STR("],\"notes\":["));
    for (size_t i = 0; i < d->lines.len; i++) {
        json_comma(out);
        buf_json(out, d->lines.at[i]);
    }
    buf_str(out, STR("],\"fixes\":["));
    for (size_t i = 0; i < d->fixes.len; i++) {
        json_comma(out);
        json_fix(out, &d->fixes.at[i]);
    }
    buf_str(out, STR("]}\n"));
}
