/* See npy.h. The grammar: { 'descr': 'text', 'fortran_order': True | False, 'shape': ( ints ) },
 * the keys in any order, each once. */
#include "runtime/calib/npy.h"
#include <string.h>
#include "runtime/base/sanitize.h"
#include "runtime/calib/array_type.h"

typedef struct Reader {
    Arena *arena;
    Str text;
    size_t at;
    NpyHeader *out;
    Str *why;
    unsigned seen; /* one bit for each key */
} Reader;

enum { KEY_DESCR = 1, KEY_FORTRAN = 2, KEY_SHAPE = 4, KEY_ALL = 7 };

static bool bad(const Reader *r, Str why) {
    *r->why = why;
    return false;
}

static bool malformed(const Reader *r) {
    return bad(r, str_format(r->arena, "its .npy header is malformed at byte %zu", r->at));
}

static void skip_space(Reader *r) {
    while (r->at < r->text.len && (r->text.data[r->at] == ' ' || r->text.data[r->at] == '\n')) {
        r->at++;
    }
}

static bool take(Reader *r, char c) {
    skip_space(r);
    if (r->at < r->text.len && r->text.data[r->at] == c) {
        r->at++;
        return true;
    }
    return false;
}

static bool take_word(Reader *r, const char *word) {
    const size_t len = strlen(word);
    skip_space(r);
    if (!str_starts(str_slice(r->text, r->at, r->text.len), (Str){word, len})) {
        return false;
    }
    r->at += len;
    return true;
}

/* 'text' or "text"; nothing that numpy writes here has an escape */
static bool take_string(Reader *r, Str *out) {
    skip_space(r);
    const char quote = r->at < r->text.len ? r->text.data[r->at] : 0;
    if (quote != '\'' && quote != '"') {
        return malformed(r);
    }
    const size_t begin = ++r->at;
    while (r->at < r->text.len && r->text.data[r->at] != quote) {
        if (r->text.data[r->at] == '\\') {
            return malformed(r);
        }
        r->at++;
    }
    *out = str_slice(r->text, begin, r->at);
    return take(r, quote) || malformed(r);
}

static bool unsupported(const Reader *r, Str descr) {
    const char kind = descr.len > 1 ? descr.data[1] : 0;
    const char *shown = str_safe_c(r->arena, descr);
    if (kind == 'O') {
        r->out->pickled = true;
        return bad(r, STR("its elements are Python objects, stored as a pickle"));
    }
    const char *what = kind == 'c'                  ? "complex numbers"
                       : kind == 'S' || kind == 'U' ? "strings"
                       : kind == 'M' || kind == 'm' ? "dates or times"
                       : kind == 'V'                ? "raw bytes, as numpy writes bfloat16"
                                                    : NULL;
    if (what) {
        return bad(r, str_format(r->arena, "its elements are %s (type %s)", what, shown));
    }
    return bad(r, str_format(r->arena, "its type %s is not known", shown));
}

/* '<f4': byte order, kind, size */
static bool take_descr(Reader *r) {
    skip_space(r);
    if (r->at < r->text.len && r->text.data[r->at] == '[') {
        return bad(r, STR("its type is a structure; save each field as an array"));
    }
    Str descr;
    if (!take_string(r, &descr)) {
        return false;
    }
    const char order = descr.len ? descr.data[0] : 0;
    const ArrayType *type = array_type_of_npy(str_slice(descr, 1, descr.len));
    const bool known = order == '<' || order == '>' || order == '=' || order == '|';
    if (!known || !type || (order == '|' && type->bytes > 1)) {
        return unsupported(r, descr);
    }
    r->out->type = type->onnx;
    r->out->swapped = order == '>' && type->bytes > 1;
    return true;
}

static bool take_bool(Reader *r) {
    if (take_word(r, "True")) {
        r->out->fortran = true;
        return true;
    }
    return take_word(r, "False") || malformed(r);
}

/* (), (3,), (3, 4), (3L, 4L) */
static bool take_shape(Reader *r) {
    NpyHeader *out = r->out;
    if (!take(r, '(')) {
        return malformed(r);
    }
    for (bool comma = true; !take(r, ')');) {
        uint64_t n;
        const size_t digits = str_digits(str_slice(r->text, r->at, r->text.len), &n);
        if (!comma || digits == 0) {
            return malformed(r);
        }
        if (digits > 18) { /* str_digits gives 0 for what is too large for it */
            return bad(r, STR("a dimension of it is too large"));
        }
        if (out->rank == LIMIT_RANK) {
            return bad(r, str_format(r->arena, "it has more than %d dimensions", LIMIT_RANK));
        }
        out->dims[out->rank++] = (int64_t)n;
        r->at += digits;
        if (r->at < r->text.len && r->text.data[r->at] == 'L') {
            r->at++; /* Python 2 wrote long integers so */
        }
        comma = take(r, ',');
        if (!comma && out->rank == 1) {
            return malformed(r); /* (3) is a number in Python, not a shape */
        }
    }
    return true;
}

static bool take_item(Reader *r) {
    Str key;
    if (!take_string(r, &key) || !take(r, ':')) {
        return malformed(r);
    }
    const unsigned bit = str_is(key, "descr")           ? KEY_DESCR
                         : str_is(key, "fortran_order") ? KEY_FORTRAN
                         : str_is(key, "shape")         ? KEY_SHAPE
                                                        : 0;
    if (bit == 0 || r->seen & bit) {
        return malformed(r);
    }
    r->seen |= bit;
    return bit == KEY_DESCR ? take_descr(r) : bit == KEY_FORTRAN ? take_bool(r) : take_shape(r);
}

static bool take_items(Reader *r) {
    if (!take(r, '{')) {
        return malformed(r);
    }
    for (bool comma = true; !take(r, '}');) {
        if (!comma) {
            return malformed(r);
        }
        if (!take_item(r)) {
            return false;
        }
        comma = take(r, ',');
    }
    skip_space(r);
    return (r->at == r->text.len && r->seen == KEY_ALL) || malformed(r);
}

static bool measure(const Reader *r) {
    NpyHeader *out = r->out;
    uint64_t bytes = array_type(out->type)->bytes;
    bool fits = true, empty = false;
    out->count = 1;
    for (int i = 0; i < out->rank; i++) {
        empty = empty || out->dims[i] == 0;
    }
    for (int i = 0; i < out->rank && fits && !empty; i++) {
        fits = !__builtin_mul_overflow(out->count, out->dims[i], &out->count) &&
               !__builtin_mul_overflow(bytes, (uint64_t)out->dims[i], &bytes) && bytes <= INT64_MAX;
    }
    out->count = empty ? 0 : out->count;
    out->bytes = empty ? 0 : bytes;
    out->fortran = out->fortran && out->rank > 1; /* there is only one order of a row */
    return fits || bad(r, STR("its shape is too large"));
}

bool npy_header(Arena *arena, Str bytes, NpyHeader *out, Str *why) {
    memset(out, 0, sizeof *out);
    Reader r = {.arena = arena, .out = out, .why = why};
    if (!str_starts(bytes, STR("\x93NUMPY"))) {
        /* protocol 2 and later begin so; numpy writes them for np.save of what is no array */
        out->pickled =
            bytes.len > 2 && bytes.data[0] == '\x80' && bytes.data[1] >= 2 && bytes.data[1] <= 5;
        return bad(&r, out->pickled ? STR("it is a pickle")
                                    : STR("it does not begin as an .npy file does"));
    }
    const uint8_t *u = (const uint8_t *)bytes.data;
    if (bytes.len < 12) {
        return bad(&r, STR("it ends in its .npy header"));
    }
    if (u[6] < 1 || u[6] > 3 || u[7] != 0) {
        return bad(&r, str_format(arena, "its .npy format %d.%d is not known", u[6], u[7]));
    }
    const size_t front = u[6] == 1 ? 10 : 12;
    uint64_t length = (uint64_t)u[8] | (uint64_t)u[9] << 8;
    if (u[6] > 1) {
        length |= (uint64_t)u[10] << 16 | (uint64_t)u[11] << 24;
    }
    if (length > NPY_FRONT - 12) {
        return bad(&r, str_format(arena, "its .npy header is longer than %d bytes", 1 << 16));
    }
    if (length > bytes.len - front) {
        return bad(&r, STR("it ends in its .npy header"));
    }
    out->begin = front + length;
    r.text = str_slice(bytes, front, (size_t)out->begin);
    return take_items(&r) && measure(&r);
}
