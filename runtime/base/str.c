/* Slices of bytes and growing text. Nothing here knows about encodings (sanitize.h does) and
 * nothing fails but for want of memory. */
#include "runtime/base/str.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

Str str_from(const char *c_string) {
    return c_string ? (Str){c_string, strlen(c_string)} : STR("");
}

bool str_eq(Str a, Str b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

bool str_is(Str a, const char *c_string) {
    return str_eq(a, str_from(c_string));
}

int str_cmp(Str a, Str b) {
    size_t shared = a.len < b.len ? a.len : b.len;
    int order = shared ? memcmp(a.data, b.data, shared) : 0;
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

bool str_starts(Str s, Str prefix) {
    return s.len >= prefix.len && str_eq((Str){s.data, prefix.len}, prefix);
}

bool str_ends(Str s, Str suffix) {
    return s.len >= suffix.len && str_eq(str_slice(s, s.len - suffix.len, s.len), suffix);
}

Str str_slice(Str s, size_t begin, size_t end) {
    end = end < s.len ? end : s.len;
    begin = begin < end ? begin : end;
    return s.data ? (Str){s.data + begin, end - begin} : STR("");
}

int64_t str_find(Str s, char c) {
    const char *at = s.len ? memchr(s.data, c, s.len) : NULL;
    return at ? at - s.data : -1;
}

size_t str_digits(Str s, uint64_t *number) {
    size_t i = 0;
    *number = 0;
    for (; i < s.len && s.data[i] >= '0' && s.data[i] <= '9'; i++) {
        if (__builtin_mul_overflow(*number, 10u, number) ||
            __builtin_add_overflow(*number, (uint64_t)(s.data[i] - '0'), number)) {
            return 0;
        }
    }
    return i;
}

Str str_copy(Arena *arena, Str s) {
    char *copy = arena_alloc(arena, s.len + 1);
    if (s.len) {
        memcpy(copy, s.data, s.len);
    }
    return (Str){copy, s.len};
}

const char *str_c(Arena *arena, Str s) {
    return str_copy(arena, s).data;
}

Str str_format(Arena *arena, const char *format, ...) {
    Buf b = buf_on(arena);
    va_list args;
    va_start(args, format);
    buf_vprintf(&b, format, args);
    va_end(args);
    return buf_view(&b);
}

/* Makes room for `more` bytes and the NUL. */
static void grow(Buf *b, size_t more) {
    assert(more < SIZE_MAX / 4 && b->len < SIZE_MAX / 4);
    size_t want = b->len + more + 1;
    if (want > b->cap) {
        size_t cap = b->cap * 2 > want ? b->cap * 2 : want;
        char *data = arena_alloc(b->arena, cap);
        memcpy(data, b->data, b->len);
        b->data = data;
        b->cap = cap;
    }
}

Buf buf_on(Arena *arena) {
    return (Buf){arena, arena_alloc(arena, 64), 0, 64};
}

void buf_add(Buf *b, const void *bytes, size_t len) {
    grow(b, len);
    if (len) {
        memcpy(b->data + b->len, bytes, len);
    }
    b->len += len;
    b->data[b->len] = 0;
}

void buf_str(Buf *b, Str s) {
    buf_add(b, s.data, s.len);
}

void buf_char(Buf *b, char c) {
    buf_add(b, &c, 1);
}

void buf_repeat(Buf *b, char c, size_t n) {
    grow(b, n);
    memset(b->data + b->len, c, n);
    b->len += n;
    b->data[b->len] = 0;
}

void buf_printf(Buf *b, const char *format, ...) {
    va_list args;
    va_start(args, format);
    buf_vprintf(b, format, args);
    va_end(args);
}

void buf_vprintf(Buf *b, const char *format, va_list args) {
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(b->data + b->len, b->cap - b->len, format, args);
    assert(length >= 0);
    if ((size_t)length >= b->cap - b->len) {
        grow(b, (size_t)length);
        vsnprintf(b->data + b->len, b->cap - b->len, format, again);
    }
    va_end(again);
    b->len += (size_t)length;
}

Str buf_view(const Buf *b) {
    return (Str){b->data, b->len};
}

static size_t min3(size_t a, size_t b, size_t c) {
    size_t ab = a < b ? a : b;
    return ab < c ? ab : c;
}

/* Optimal string alignment: rows of the dynamic program for i-2, i-1 and i. */
size_t str_distance(Str a, Str b, size_t limit) {
    enum { LONGEST = 255 };
    size_t gap = a.len > b.len ? a.len - b.len : b.len - a.len;
    if (a.len > LONGEST || b.len > LONGEST || gap > limit) {
        return limit + 1;
    }
    uint16_t rows[3][LONGEST + 1];
    for (size_t j = 0; j <= b.len; j++) {
        rows[0][j] = (uint16_t)j;
    }
    for (size_t i = 1; i <= a.len; i++) {
        uint16_t *now = rows[i % 3], *last = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];
        size_t least = now[0] = (uint16_t)i;
        for (size_t j = 1; j <= b.len; j++) {
            size_t swap = a.data[i - 1] != b.data[j - 1];
            size_t best = min3(last[j] + 1u, now[j - 1] + 1u, last[j - 1] + swap);
            if (i > 1 && j > 1 && a.data[i - 1] == b.data[j - 2] &&
                a.data[i - 2] == b.data[j - 1] && before[j - 2] + 1u < best) {
                best = before[j - 2] + 1u;
            }
            now[j] = (uint16_t)best;
            least = best < least ? best : least;
        }
        if (least > limit) {
            return limit + 1;
        }
    }
    size_t distance = rows[a.len % 3][b.len];
    return distance > limit ? limit + 1 : distance;
}

/* Steps up when one decimal would print a whole step: "1.0 M", never "1000.0 k". */
static Str scaled(Arena *arena, double n, double step, const char *const units[], int last) {
    int unit = 0;
    while (unit < last && n >= step - (unit ? 0.05 : 0.0)) {
        n /= step;
        unit++;
    }
    return str_format(arena, unit ? "%.1f%s" : "%.0f%s", n, units[unit]);
}

Str str_si(Arena *arena, double n) {
    static const char *const units[] = {"", " k", " M", " G", " T", " P"};
    return scaled(arena, n, 1000.0, units, 5);
}

Str str_bytes(Arena *arena, uint64_t bytes) {
    static const char *const units[] = {" B", " KiB", " MiB", " GiB", " TiB", " PiB"};
    return scaled(arena, (double)bytes, 1024.0, units, 5);
}

Str str_grouped(Arena *arena, uint64_t n) {
    Str digits = str_format(arena, "%llu", (unsigned long long)n);
    Buf b = buf_on(arena);
    for (size_t i = 0; i < digits.len; i++) {
        if (i && (digits.len - i) % 3 == 0) {
            buf_char(&b, ',');
        }
        buf_char(&b, digits.data[i]);
    }
    return buf_view(&b);
}
