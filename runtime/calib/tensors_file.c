/* See tensors_file.h. cJSON reads the header after a first look at its bytes has bounded what it
 * may cost: length, nesting, no NUL in any form, valid UTF-8. */
#include "runtime/calib/tensors_file.h"
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>
#include "runtime/base/limits.h"
#include "runtime/base/map.h"
#include "runtime/base/sanitize.h"
#include "runtime/calib/array_type.h"

enum { DEPTH = 3 /* of a shape: file, tensor, list */ };
#define EXACT 9007199254740992.0 /* 2^53: numbers of JSON are doubles here */

typedef struct Reader {
    Arena *arena;
    uint64_t payload; /* bytes behind the header */
    uint64_t front;   /* bytes before the payload */
    Str *why;
} Reader;

static bool bad(const Reader *r, Str why) {
    *r->why = why;
    return false;
}

static const char *shown(const Reader *r, const char *name) {
    return str_safe_c(r->arena, str_from(name));
}

/* ---- the first look */

static bool look(const Reader *r, Str text) {
    if (text.len == 0 || text.data[0] != '{') {
        return bad(r, STR("its header does not begin with `{`"));
    }
    if (!utf8_valid(text, NULL)) {
        return bad(r, STR("its header is not UTF-8"));
    }
    if (memchr(text.data, 0, text.len) || memmem(text.data, text.len, "\\u0000", 6)) {
        return bad(r, STR("its header contains a NUL"));
    }
    int depth = 0;
    bool string = false;
    for (size_t i = 0; i < text.len; i++) {
        const char c = text.data[i];
        if (string) {
            i += c == '\\' ? 1 : 0;
            string = c != '"';
        } else if (c == '"') {
            string = true;
        } else if (c == '{' || c == '[') {
            depth++;
        } else if (c == '}' || c == ']') {
            depth--;
        }
        if (depth > DEPTH) {
            return bad(r, STR("its header is nested too deeply"));
        }
    }
    return true;
}

/* ---- one tensor */

static bool whole_number(const cJSON *item, uint64_t *out) {
    const double value = cJSON_IsNumber(item) ? item->valuedouble : -1;
    if (!(value >= 0 && value < EXACT)) {
        return false;
    }
    *out = (uint64_t)value;
    return (double)*out == value;
}

static bool take_shape(const Reader *r, const cJSON *list, TensorsItem *out) {
    int64_t *dims = arena_many(r->arena, int64_t, LIMIT_RANK);
    out->dims = dims;
    if (!cJSON_IsArray(list)) {
        return bad(r, str_format(r->arena, "the shape of `%.*s` is no list", STR_ARG(out->name)));
    }
    for (const cJSON *item = list->child; item; item = item->next) {
        uint64_t n;
        if (out->rank == LIMIT_RANK || !whole_number(item, &n)) {
            return bad(r,
                       str_format(r->arena, "the shape of `%.*s` is not one", STR_ARG(out->name)));
        }
        dims[out->rank++] = (int64_t)n;
    }
    return true;
}

static bool take_offsets(const Reader *r, const cJSON *list, TensorsItem *out) {
    uint64_t begin, end;
    const cJSON *first = cJSON_IsArray(list) ? list->child : NULL;
    if (!first || !first->next || first->next->next || !whole_number(first, &begin) ||
        !whole_number(first->next, &end) || begin > end || end > r->payload) {
        return bad(r, str_format(r->arena, "the offsets of `%.*s` are not within the file",
                                 STR_ARG(out->name)));
    }
    out->begin = begin;
    out->bytes = end - begin;
    return true;
}

static bool measure(const Reader *r, TensorsItem *item) {
    uint64_t bytes = array_type(item->type)->bytes;
    bool fits = true, empty = false;
    item->count = 1;
    for (int i = 0; i < item->rank; i++) {
        empty = empty || item->dims[i] == 0;
    }
    for (int i = 0; i < item->rank && fits && !empty; i++) {
        fits = !__builtin_mul_overflow(item->count, item->dims[i], &item->count) &&
               !__builtin_mul_overflow(bytes, (uint64_t)item->dims[i], &bytes);
    }
    item->count = empty ? 0 : item->count;
    if (!fits || (empty ? 0 : bytes) != item->bytes) {
        return bad(r, str_format(r->arena, "the bytes of `%.*s` are not those of its shape",
                                 STR_ARG(item->name)));
    }
    return true;
}

static bool take_tensor(const Reader *r, const cJSON *object, TensorsItem *out) {
    const cJSON *dtype = NULL, *shape = NULL, *offsets = NULL;
    int keys = 0;
    out->name = str_copy(r->arena, str_safe(r->arena, str_from(object->string)));
    for (const cJSON *item = object->child; item && cJSON_IsObject(object); item = item->next) {
        keys++;
        if (strcmp(item->string, "dtype") == 0) {
            dtype = item;
        } else if (strcmp(item->string, "shape") == 0) {
            shape = item;
        } else if (strcmp(item->string, "data_offsets") == 0) {
            offsets = item;
        }
    }
    if (keys != 3 || !dtype || !shape || !offsets || !cJSON_IsString(dtype)) {
        return bad(r, str_format(r->arena, "`%.*s` needs dtype, shape and data_offsets, each once",
                                 STR_ARG(out->name)));
    }
    const ArrayType *type = array_type_of_safetensors(str_from(dtype->valuestring));
    if (!type) {
        return bad(r, str_format(r->arena, "the type %s of `%.*s` is none that data has",
                                 shown(r, dtype->valuestring), STR_ARG(out->name)));
    }
    out->type = type->onnx;
    if (!take_shape(r, shape, out) || !take_offsets(r, offsets, out) || !measure(r, out)) {
        return false;
    }
    out->name = str_copy(r->arena, str_from(object->string)); /* as it is, for matching */
    return true;
}

/* ---- all of them */

static int by_offset(const void *a, const void *b) {
    const TensorsItem *x = *(const TensorsItem *const *)a, *y = *(const TensorsItem *const *)b;
    if (x->begin != y->begin) {
        return x->begin < y->begin ? -1 : 1;
    }
    return (x->bytes > y->bytes) - (x->bytes < y->bytes);
}

/* No byte belongs to two tensors or to none: nothing can hide in the file. */
static bool check_cover(const Reader *r, TensorsHeader *header) {
    const TensorsItem **sorted = arena_many(r->arena, const TensorsItem *, header->count + 1);
    for (size_t i = 0; i < header->count; i++) {
        sorted[i] = &header->items[i];
    }
    qsort(sorted, header->count, sizeof *sorted, by_offset);
    uint64_t at = 0;
    for (size_t i = 0; i < header->count; i++) {
        if (sorted[i]->begin != at) {
            return bad(r, str_format(r->arena, "a hole or an overlap before `%s`",
                                     str_safe_c(r->arena, sorted[i]->name)));
        }
        at += sorted[i]->bytes;
    }
    if (at != r->payload) {
        return bad(r, str_format(r->arena, "%llu bytes behind the last tensor",
                                 (unsigned long long)(r->payload - at)));
    }
    for (size_t i = 0; i < header->count; i++) {
        header->items[i].begin += r->front;
    }
    return true;
}

static bool take_all(const Reader *r, const cJSON *root, TensorsHeader *out) {
    Map names = map_on(r->arena);
    size_t most = 0;
    for (const cJSON *item = root->child; item; item = item->next) {
        most++;
    }
    if (most > LIMIT_ARRAYS) {
        return bad(r, str_format(r->arena, "it has more than %d tensors", LIMIT_ARRAYS));
    }
    out->items = arena_many(r->arena, TensorsItem, most + 1);
    for (const cJSON *item = root->child; item; item = item->next) {
        if (!map_put(&names, str_from(item->string), (void *)(uintptr_t)item)) {
            return bad(r, str_format(r->arena, "`%s` stands there twice", shown(r, item->string)));
        }
        if (strcmp(item->string, "__metadata__") == 0) {
            continue;
        }
        if (!take_tensor(r, item, &out->items[out->count++])) {
            return false;
        }
    }
    return check_cover(r, out);
}

bool tensors_header(Arena *arena, const uint8_t *data, uint64_t size, TensorsHeader *out,
                    Str *why) {
    Reader r = {.arena = arena, .why = why};
    memset(out, 0, sizeof *out);
    uint64_t length = 0;
    if (size < 8) {
        return bad(&r, STR("it is too short for a safetensors file"));
    }
    for (int i = 0; i < 8; i++) {
        length |= (uint64_t)data[i] << 8 * i;
    }
    if (length > size - 8) {
        return bad(&r, STR("its header reaches past the end of the file"));
    }
    if (length > LIMIT_TENSORS_HEADER) {
        return bad(&r,
                   str_format(arena, "its header is longer than %d bytes", LIMIT_TENSORS_HEADER));
    }
    const Str text = {(const char *)data + 8, (size_t)length};
    r.front = 8 + length;
    r.payload = size - r.front;
    if (!look(&r, text)) {
        return false;
    }
    const char *end = NULL;
    cJSON *root = cJSON_ParseWithLengthOpts(text.data, text.len, &end, 0);
    bool ok = root != NULL && cJSON_IsObject(root);
    for (const char *at = end; ok && at < text.data + text.len; at++) {
        ok = *at == ' '; /* padding */
    }
    if (!ok) {
        bad(&r, STR("its header is not JSON"));
    }
    ok = ok && take_all(&r, root, out);
    cJSON_Delete(root);
    return ok;
}
