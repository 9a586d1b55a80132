/* See kernel_headers.h. Reads #include lines as a preprocessor would, but for comments and
 * conditions: a line too many costs a recompile after a change of that header, nothing else. */
#include "runtime/device/kernel_headers.h"

static const KernelHeader *find_header(Str name) {
    for (const KernelHeader *h = kernel_headers; h->name; h++) {
        if (str_is(name, h->name)) {
            return h;
        }
    }
    return NULL;
}

static Str header_text(const KernelHeader *h) {
    return (Str){(const char *)h->data, h->size};
}

static Str skip_blanks(Str line) {
    size_t i = 0;
    while (i < line.len && (line.data[i] == ' ' || line.data[i] == '\t')) {
        i++;
    }
    return str_slice(line, i, line.len);
}

/* The first text in quotes of a line `#VERB ...`, or nothing. */
static Str quoted(Str line, Str verb) {
    line = skip_blanks(line);
    if (!str_starts(line, STR("#"))) {
        return (Str){0};
    }
    line = skip_blanks(str_slice(line, 1, line.len));
    if (!str_starts(line, verb)) {
        return (Str){0};
    }
    const int64_t begin = str_find(line, '"');
    line = begin < 0 ? (Str){0} : str_slice(line, (size_t)begin + 1, line.len);
    const int64_t end = str_find(line, '"');
    return end > 0 ? str_slice(line, 0, (size_t)end) : (Str){0};
}

static bool add_header(KernelIncludes *out, const KernelHeader *h) {
    for (int i = 0; i < out->count; i++) {
        if (out->at[i] == h) {
            return true;
        }
    }
    if (out->count == KERNEL_HEADERS_MAX) {
        return false;
    }
    out->at[out->count++] = h;
    return true;
}

static bool scan(Str text, KernelIncludes *out, Str *unknown) {
    while (text.len > 0) {
        const int64_t end = str_find(text, '\n');
        const size_t length = end < 0 ? text.len : (size_t)end;
        const Str line = str_slice(text, 0, length);
        const Str name = quoted(line, STR("include"));
        const KernelHeader *h = find_header(name.len > 0 ? name : quoted(line, STR("define")));
        if ((name.len > 0 && !h) || (h && !add_header(out, h))) {
            *unknown = name;
            return false;
        }
        text = str_slice(text, length + 1, text.len);
    }
    return true;
}

bool kernel_includes(Str text, KernelIncludes *out, Str *unknown) {
    out->count = 0;
    if (!scan(text, out, unknown)) {
        return false;
    }
    for (int i = 0; i < out->count; i++) { /* grows on the way */
        if (!scan(header_text(out->at[i]), out, unknown)) {
            return false;
        }
    }
    return true;
}
