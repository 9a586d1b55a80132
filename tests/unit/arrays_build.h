/* Files of arrays as bytes, for tests: .npy, .npz (stored, deflated, zip64, data descriptors) and
 * safetensors; each can be made wrong afterwards. */
#ifndef TESTS_UNIT_ARRAYS_BUILD_H
#define TESTS_UNIT_ARRAYS_BUILD_H
#include <zlib.h>
#include "tests/unit/unit.h"

static inline Str npy_bytes(Arena *arena, const char *descr, bool fortran, const char *shape,
                            const void *data, size_t size) {
    Str text = str_format(arena, "{'descr': '%s', 'fortran_order': %s, 'shape': %s, }", descr,
                          fortran ? "True" : "False", shape);
    size_t length = (text.len + 1 + 10 + 63) / 64 * 64 - 10;
    Buf b = buf_on(arena);
    buf_add(&b, "\x93NUMPY\1\0", 8);
    buf_char(&b, (char)(length & 255));
    buf_char(&b, (char)(length >> 8));
    buf_str(&b, text);
    buf_repeat(&b, ' ', length - text.len - 1);
    buf_char(&b, '\n');
    buf_add(&b, data, size);
    return buf_view(&b);
}

static inline void put_number(Buf *b, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++) {
        buf_char(b, (char)(value >> 8 * i));
    }
}

enum { ZIP_DEFLATED = 1, ZIP_64 = 2, ZIP_DESCRIPTOR = 4, ZIP_ENCRYPTED = 8 };

typedef struct ZipBuild {
    Arena *arena;
    Buf body, directory;
    int count;
    int flags; /* of all members */
} ZipBuild;

static inline ZipBuild zip_begin(Arena *arena, int flags) {
    return (ZipBuild){arena, buf_on(arena), buf_on(arena), 0, flags};
}

static inline Str zip_packed(Arena *arena, Str bytes, bool deflated) {
    if (!deflated) {
        return bytes;
    }
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
    size_t most = deflateBound(&z, bytes.len);
    char *out = arena_alloc(arena, most + 1);
    z.next_in = (Bytef *)bytes.data;
    z.avail_in = (uInt)bytes.len;
    z.next_out = (Bytef *)out;
    z.avail_out = (uInt)most;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    size_t got = z.total_out;
    deflateEnd(&z);
    return (Str){out, got};
}

static inline void zip_add(ZipBuild *z, const char *name, Str bytes) {
    const int flags = z->flags;
    const size_t n = strlen(name), at = z->body.len;
    Str packed = zip_packed(z->arena, bytes, flags & ZIP_DEFLATED);
    const uint32_t crc = (uint32_t)crc32(0, (const Bytef *)bytes.data, (uInt)bytes.len);
    const bool later = flags & ZIP_DESCRIPTOR, big = flags & ZIP_64;
    const unsigned bits = (later ? 8u : 0) | (flags & ZIP_ENCRYPTED ? 1u : 0);
    Buf *l = &z->body, *d = &z->directory;
    buf_add(l, "PK\3\4", 4);
    put_number(l, 20, 2);
    put_number(l, bits, 2);
    put_number(l, flags & ZIP_DEFLATED ? 8 : 0, 2);
    put_number(l, 0, 4);
    put_number(l, later ? 0 : crc, 4);
    put_number(l, later ? 0 : big ? UINT32_MAX : packed.len, 4);
    put_number(l, later ? 0 : big ? UINT32_MAX : bytes.len, 4);
    put_number(l, n, 2);
    put_number(l, big ? 20 : 0, 2);
    buf_add(l, name, n);
    if (big) {
        put_number(l, 1, 2);
        put_number(l, 16, 2);
        put_number(l, bytes.len, 8);
        put_number(l, packed.len, 8);
    }
    buf_str(l, packed);
    if (later) {
        buf_add(l, "PK\7\10", 4);
        put_number(l, crc, 4);
        put_number(l, packed.len, 4);
        put_number(l, bytes.len, 4);
    }
    buf_add(d, "PK\1\2", 4);
    put_number(d, 20, 2);
    put_number(d, 20, 2);
    put_number(d, bits, 2);
    put_number(d, flags & ZIP_DEFLATED ? 8 : 0, 2);
    put_number(d, 0, 4);
    put_number(d, crc, 4);
    put_number(d, big ? UINT32_MAX : packed.len, 4);
    put_number(d, big ? UINT32_MAX : bytes.len, 4);
    put_number(d, n, 2);
    put_number(d, big ? 28 : 0, 2);
    put_number(d, 0, 2);
    put_number(d, 0, 8);
    put_number(d, big ? UINT32_MAX : at, 4);
    buf_add(d, name, n);
    if (big) {
        put_number(d, 1, 2);
        put_number(d, 24, 2);
        put_number(d, bytes.len, 8);
        put_number(d, packed.len, 8);
        put_number(d, at, 8);
    }
    z->count++;
}

static inline Str zip_end(ZipBuild *z) {
    Buf *l = &z->body;
    const size_t at = l->len, length = z->directory.len;
    const bool big = z->flags & ZIP_64;
    buf_str(l, buf_view(&z->directory));
    if (big) {
        const size_t record = l->len;
        buf_add(l, "PK\6\6", 4);
        put_number(l, 44, 8);
        put_number(l, 45, 2);
        put_number(l, 45, 2);
        put_number(l, 0, 8);
        put_number(l, (uint64_t)z->count, 8);
        put_number(l, (uint64_t)z->count, 8);
        put_number(l, length, 8);
        put_number(l, at, 8);
        buf_add(l, "PK\6\7", 4);
        put_number(l, 0, 4);
        put_number(l, record, 8);
        put_number(l, 1, 4);
    }
    buf_add(l, "PK\5\6", 4);
    put_number(l, 0, 4);
    put_number(l, big ? 0xffff : (uint64_t)z->count, 2);
    put_number(l, big ? 0xffff : (uint64_t)z->count, 2);
    put_number(l, big ? UINT32_MAX : length, 4);
    put_number(l, big ? UINT32_MAX : at, 4);
    put_number(l, 0, 2);
    return buf_view(l);
}

static inline Str tensors_bytes(Arena *arena, const char *header, const void *data, size_t size) {
    Buf b = buf_on(arena);
    put_number(&b, strlen(header), 8);
    buf_add(&b, header, strlen(header));
    buf_add(&b, data, size);
    return buf_view(&b);
}

#endif
