/* See nvrtc_log.h. */
#include "runtime/device/nvrtc_log.h"
#include <limits.h>
#include "runtime/base/sanitize.h"
#include "runtime/device/kernel_headers.h"

enum { SHOWN_LINES = 12, SHOWN_BYTES = 200, AROUND = 3 };

static bool digit(char c) {
    return c >= '0' && c <= '9';
}

/* The number at the start of s, clamped; *rest is what follows. */
static int number_at(Str s, Str *rest) {
    int n = 0;
    size_t i = 0;
    for (; i < s.len && digit(s.data[i]); i++) {
        n = n > INT_MAX / 10 - 1 ? INT_MAX : n * 10 + (s.data[i] - '0');
    }
    *rest = str_slice(s, i, s.len);
    return n;
}

static void raise(int32_t *most, int n) {
    *most = n > *most ? n : *most;
}

static Str next_line(Str *rest) {
    const int64_t end = str_find(*rest, '\n');
    const Str line = str_slice(*rest, 0, end < 0 ? rest->len : (size_t)end);
    *rest = str_slice(*rest, line.len + 1, rest->len);
    return line;
}

/* Every "NUMBER words" of one line. */
static void read_line(Str line, NvrtcUse *use) {
    int stored = 0;
    for (size_t i = 0; i < line.len; i++) {
        if (!digit(line.data[i]) || (i > 0 && line.data[i - 1] != ' ')) {
            continue;
        }
        Str rest;
        const int n = number_at(str_slice(line, i, line.len), &rest);
        if (str_starts(rest, STR(" registers"))) {
            raise(&use->registers, n);
        } else if (str_starts(rest, STR(" bytes stack frame"))) {
            raise(&use->stack, n);
        } else if (str_starts(rest, STR(" bytes smem"))) {
            raise(&use->shared, n);
        } else if (str_starts(rest, STR(" bytes spill stores"))) {
            stored = n;
        } else if (str_starts(rest, STR(" bytes spill loads"))) {
            raise(&use->spills, n > INT_MAX - stored ? INT_MAX : n + stored);
        }
    }
}

NvrtcUse nvrtc_log_use(Str log) {
    NvrtcUse use = {-1, -1, -1, -1};
    while (log.len > 0) {
        read_line(next_line(&log), &use);
    }
    if (use.registers >= 0 && use.shared < 0) {
        use.shared = 0; /* it is named only where some is used */
    }
    return use;
}

/* ---- for people */

typedef struct Place {
    Str file;
    int line; /* from 1; 0: none */
} Place;

/* "FILE(LINE): error": the first one in the log, or {.line = 0}. */
static Place first_error(Str log) {
    while (log.len > 0) {
        const Str line = next_line(&log);
        const int64_t open = str_find(line, '(');
        if (open <= 0) {
            continue;
        }
        Str rest;
        const int n = number_at(str_slice(line, (size_t)open + 1, line.len), &rest);
        if (n > 0 && str_starts(rest, STR("): error"))) {
            return (Place){str_slice(line, 0, (size_t)open), n};
        }
    }
    return (Place){0};
}

static Str text_of(Str file, Str text) {
    for (const KernelHeader *h = kernel_headers; h->name; h++) {
        if (str_is(file, h->name)) {
            return (Str){(const char *)h->data, h->size};
        }
    }
    return text;
}

static void add_line(Buf *b, Str line) {
    buf_safe(b, str_slice(line, 0, SHOWN_BYTES));
    buf_str(b, line.len > SHOWN_BYTES ? STR("...\n") : STR("\n"));
}

Str nvrtc_log_explain(Arena *arena, Str text, Str log) {
    Buf b = buf_on(arena);
    const Place place = first_error(log);
    int shown = 0;
    while (log.len > 0 && shown < SHOWN_LINES) {
        const Str line = next_line(&log);
        if (line.len > 0 && line.data[0] != 0) {
            add_line(&b, line);
            shown++;
        }
    }
    text = text_of(place.file, text);
    for (int n = 1; place.line > 0 && text.len > 0 && n - AROUND <= place.line; n++) {
        const Str line = next_line(&text);
        if (n + AROUND >= place.line) {
            buf_printf(&b, "%c%5d | ", n == place.line ? '>' : ' ', n);
            add_line(&b, line);
        }
    }
    return buf_view(&b);
}
