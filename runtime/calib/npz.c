/* See npz.h. The directory at the end of the archive is what counts; each local header must agree
 * with it, so that two readers cannot see two archives in one file. */
#include "runtime/calib/npz.h"
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include "runtime/base/alloc.h"
#include "runtime/base/limits.h"
#include "runtime/base/map.h"
#include "runtime/base/sanitize.h"

enum {
    END_BYTES = 22,
    END64_BYTES = 56,
    LOCATOR_BYTES = 20,
    ENTRY_BYTES = 46,
    LOCAL_BYTES = 30,
    COMMENT_MOST = 0xffff,
    ENCRYPTED = 1,
    RATIO = 1032, /* what deflate can reach: 258 bytes for two bits */
    PIECE = 1 << 18
};

typedef struct Zip {
    Arena *arena;
    const uint8_t *data;
    uint64_t size;
    uint64_t entries, begin, bytes; /* the directory: rows, place, length */
    Str *why;
} Zip;

static bool bad(const Zip *z, Str why) {
    *z->why = why;
    return false;
}

static uint64_t number(const uint8_t *at, int bytes) {
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++) {
        value |= (uint64_t)at[i] << 8 * i;
    }
    return value;
}

/* ---- the end of the archive */

/* The record whose comment ends with the file; the last one wins, as in every reader. */
static bool find_end(const Zip *z, uint64_t *at) {
    for (uint64_t comment = 0; comment <= COMMENT_MOST && comment + END_BYTES <= z->size;
         comment++) {
        *at = z->size - END_BYTES - comment;
        const uint8_t *end = z->data + *at;
        if (memcmp(end, "PK\5\6", 4) == 0 && number(end + 20, 2) == comment) {
            return true;
        }
    }
    return bad(z, STR("it does not end as a zip archive does"));
}

static bool read_end64(Zip *z, uint64_t end) {
    const char *lost = "its zip64 directory is not where it should be";
    const uint8_t *locator = z->data + end - LOCATOR_BYTES;
    const uint64_t at = number(locator + 8, 8);
    if (number(locator + 16, 4) > 1 || number(locator + 4, 4) != 0) {
        return bad(z, STR("it is one of several disks"));
    }
    if (end < LOCATOR_BYTES + END64_BYTES || at > end - LOCATOR_BYTES - END64_BYTES ||
        memcmp(z->data + at, "PK\6\6", 4) != 0) {
        return bad(z, str_from(lost));
    }
    const uint8_t *record = z->data + at;
    z->entries = number(record + 32, 8);
    z->bytes = number(record + 40, 8);
    z->begin = number(record + 48, 8);
    return z->entries == number(record + 24, 8) || bad(z, STR("it is one of several disks"));
}

static bool read_end(Zip *z) {
    uint64_t at;
    if (!find_end(z, &at)) {
        return false;
    }
    const uint8_t *end = z->data + at;
    z->entries = number(end + 10, 2);
    z->bytes = number(end + 12, 4);
    z->begin = number(end + 16, 4);
    uint64_t limit = at;
    if (at >= LOCATOR_BYTES && memcmp(end - LOCATOR_BYTES, "PK\6\7", 4) == 0) {
        limit = at - LOCATOR_BYTES;
        if (!read_end64(z, at)) {
            return false;
        }
    } else if (number(end + 4, 2) != 0 || number(end + 8, 2) != z->entries) {
        return bad(z, STR("it is one of several disks"));
    }
    if (z->begin > limit || z->bytes > limit - z->begin) {
        return bad(z, STR("its directory reaches past its end"));
    }
    if (z->entries > LIMIT_ARRAYS) {
        return bad(z, str_format(z->arena, "it has more than %d members", LIMIT_ARRAYS));
    }
    return true;
}

/* ---- one row */

/* Values that are too large for the row stand in the extra field 1, in this order. */
static bool read_zip64(const uint8_t *extra, uint64_t length, uint64_t *const values[3],
                       const bool wanted[3]) {
    while (length >= 4) {
        const uint64_t id = number(extra, 2), bytes = number(extra + 2, 2);
        if (bytes > length - 4) {
            return false;
        }
        uint64_t at = 4;
        for (int i = 0; id == 1 && i < 3; i++) {
            if (wanted[i] && at + 8 > bytes + 4) {
                return false;
            }
            if (wanted[i]) {
                *values[i] = number(extra + at, 8);
                at += 8;
            }
        }
        if (id == 1) {
            return true;
        }
        extra += 4 + bytes;
        length -= 4 + bytes;
    }
    return false;
}

static bool bad_member(const Zip *z, const NpzMember *m, const char *what) {
    return bad(z, str_format(z->arena, "its member `%s` %s", str_safe_c(z->arena, m->name), what));
}

/* The packed bytes begin behind the local header, whose own lengths say where. */
static bool find_bytes(const Zip *z, uint64_t local, unsigned flags, unsigned method,
                       NpzMember *m) {
    if (local > z->begin || z->begin - local < LOCAL_BYTES ||
        memcmp(z->data + local, "PK\3\4", 4) != 0) {
        return bad_member(z, m, "is not where the directory says");
    }
    const uint8_t *header = z->data + local;
    const uint64_t name = number(header + 26, 2), extra = number(header + 28, 2);
    m->begin = local + LOCAL_BYTES + name + extra;
    if (m->begin > z->begin || m->packed > z->begin - m->begin) {
        return bad_member(z, m, "reaches past the archive's end");
    }
    if (name != m->name.len || memcmp(header + LOCAL_BYTES, m->name.data, m->name.len) != 0 ||
        number(header + 8, 2) != method || ((number(header + 6, 2) ^ flags) & ENCRYPTED)) {
        return bad_member(z, m, "is another than the directory says");
    }
    return true;
}

static bool check_member(const Zip *z, unsigned flags, unsigned method, const NpzMember *m) {
    if (flags & ENCRYPTED) {
        return bad_member(z, m, "is encrypted");
    }
    if (method != 0 && method != 8) {
        Str what = str_format(z->arena, "is packed by method %u; only deflate is read", method);
        return bad_member(z, m, what.data);
    }
    if (method == 0 ? m->packed != m->size : m->size / RATIO > m->packed) {
        return bad_member(z, m, "says sizes that cannot be true");
    }
    return true;
}

/* Returns the bytes of the row, 0 after an error. */
static uint64_t read_row(const Zip *z, uint64_t at, uint64_t left, NpzMember *m) {
    const uint8_t *row = z->data + at;
    if (left < ENTRY_BYTES || memcmp(row, "PK\1\2", 4) != 0) {
        bad(z, STR("its directory is malformed"));
        return 0;
    }
    const unsigned flags = (unsigned)number(row + 8, 2), method = (unsigned)number(row + 10, 2);
    const uint64_t name = number(row + 28, 2), extra = number(row + 30, 2);
    const uint64_t length = ENTRY_BYTES + name + extra + number(row + 32, 2);
    if (length > left) {
        bad(z, STR("its directory is malformed"));
        return 0;
    }
    m->name = str_copy(z->arena, (Str){(const char *)row + ENTRY_BYTES, (size_t)name});
    m->deflated = method == 8;
    m->crc = (uint32_t)number(row + 16, 4);
    m->packed = number(row + 20, 4);
    m->size = number(row + 24, 4);
    uint64_t local = number(row + 42, 4);
    uint64_t *const values[3] = {&m->size, &m->packed, &local};
    const bool wanted[3] = {m->size == UINT32_MAX, m->packed == UINT32_MAX, local == UINT32_MAX};
    if ((wanted[0] || wanted[1] || wanted[2]) &&
        !read_zip64(row + ENTRY_BYTES + name, extra, values, wanted)) {
        bad_member(z, m, "lacks its zip64 sizes");
        return 0;
    }
    return check_member(z, flags, method, m) && find_bytes(z, local, flags, method, m) ? length : 0;
}

/* ---- all rows */

static int by_begin(const void *a, const void *b) {
    const NpzMember *x = *(const NpzMember *const *)a, *y = *(const NpzMember *const *)b;
    return (x->begin > y->begin) - (x->begin < y->begin);
}

/* Members that share bytes make an archive unpack to far more than its size. */
static bool check_overlaps(const Zip *z, const NpzDirectory *all) {
    const NpzMember **sorted = arena_many(z->arena, const NpzMember *, all->count + 1);
    for (size_t i = 0; i < all->count; i++) {
        sorted[i] = &all->members[i];
    }
    qsort(sorted, all->count, sizeof *sorted, by_begin);
    for (size_t i = 1; i < all->count; i++) {
        /* begin of the next, less its own header: a member cannot lie in it either */
        if (sorted[i]->begin - LOCAL_BYTES - sorted[i]->name.len <
            sorted[i - 1]->begin + sorted[i - 1]->packed) {
            return bad_member(z, sorted[i], "overlaps another");
        }
    }
    return true;
}

bool npz_directory(Arena *arena, const uint8_t *data, uint64_t size, NpzDirectory *out, Str *why) {
    Zip z = {.arena = arena, .data = data, .size = size, .why = why};
    memset(out, 0, sizeof *out);
    if (!read_end(&z)) {
        return false;
    }
    Map names = map_on(arena);
    out->members = arena_many(arena, NpzMember, (size_t)z.entries + 1);
    uint64_t at = z.begin, left = z.bytes;
    for (uint64_t i = 0; i < z.entries; i++) {
        NpzMember *m = &out->members[out->count++];
        const uint64_t length = read_row(&z, at, left, m);
        if (length == 0) {
            return false;
        }
        if (!map_put(&names, m->name, m)) {
            return bad_member(&z, m, "is there twice");
        }
        at += length;
        left -= length;
    }
    return check_overlaps(&z, out);
}

/* ---- unpacking */

static bool not_deflate(Arena *arena, Str *why) {
    *why = str_copy(arena, STR("its packed bytes are damaged"));
    return false;
}

/* zlib's state lies on the arena, so that no failed allocation leaves it behind. */
static void *arena_take(void *arena, uInt count, uInt size) {
    return arena_array(arena, count, size);
}

static void arena_keep(void *arena, void *at) {
    (void)arena;
    (void)at;
}

static void inflate_begin(Arena *arena, z_stream *stream) {
    memset(stream, 0, sizeof *stream);
    stream->zalloc = arena_take;
    stream->zfree = arena_keep;
    stream->opaque = arena;
    if (inflateInit2(stream, -MAX_WBITS) != Z_OK) {
        alloc_failed(sizeof *stream); /* its only reason */
    }
}

/* zlib counts input by 32 bits. */
static void feed(z_stream *stream, const uint8_t **in, uint64_t *left) {
    if (stream->avail_in == 0 && *left > 0) {
        const uInt take = *left > PIECE ? PIECE : (uInt)*left;
        stream->next_in = (Bytef *)(uintptr_t)*in;
        stream->avail_in = take;
        *in += take;
        *left -= take;
    }
}

bool npz_front(Arena *arena, const uint8_t *data, const NpzMember *m, void *buffer, size_t limit,
               Str *out, Str *why) {
    const size_t want = m->size < limit ? (size_t)m->size : limit;
    if (!m->deflated) {
        *out = (Str){(const char *)data + m->begin, want};
        return true;
    }
    const uint8_t *in = data + m->begin;
    uint64_t left = m->packed;
    const ArenaMark mark = arena_mark(arena);
    z_stream stream;
    inflate_begin(arena, &stream);
    stream.next_out = buffer;
    stream.avail_out = (uInt)want;
    int state = Z_OK;
    while (state == Z_OK && stream.avail_out > 0) {
        feed(&stream, &in, &left);
        state = inflate(&stream, Z_NO_FLUSH);
    }
    const size_t got = want - stream.avail_out;
    inflateEnd(&stream);
    arena_reset(arena, mark);
    *out = (Str){buffer, got};
    return got == want || not_deflate(arena, why);
}

static bool unpack_stored(const uint8_t *in, const NpzMember *m, NpzPut *put, void *user,
                          uint32_t *crc) {
    for (uint64_t at = 0; at < m->size;) {
        const size_t take = m->size - at > PIECE ? PIECE : (size_t)(m->size - at);
        *crc = (uint32_t)crc32(*crc, in + at, (uInt)take);
        if (!put(user, in + at, take)) {
            return false;
        }
        at += take;
    }
    return true;
}

/* 1: whole, 0: damaged, -1: put did not want more */
static int unpack_deflated(Arena *arena, const uint8_t *in, const NpzMember *m, NpzPut *put,
                           void *user, uint32_t *crc) {
    uint8_t *piece = arena_alloc(arena, PIECE);
    uint64_t left = m->packed, got = 0;
    z_stream stream;
    inflate_begin(arena, &stream);
    int state = Z_OK, verdict = 1;
    while (state == Z_OK && verdict == 1) {
        feed(&stream, &in, &left);
        stream.next_out = piece;
        stream.avail_out = PIECE;
        state = inflate(&stream, Z_NO_FLUSH);
        const size_t made = PIECE - stream.avail_out;
        if (made > m->size - got) {
            verdict = 0; /* more than the directory says */
            break;
        }
        got += made;
        *crc = (uint32_t)crc32(*crc, piece, (uInt)made);
        if (made > 0 && !put(user, piece, made)) {
            verdict = -1;
        }
    }
    const bool all = state == Z_STREAM_END && got == m->size && left == 0 && stream.avail_in == 0;
    inflateEnd(&stream);
    return verdict == 1 && !all ? 0 : verdict;
}

bool npz_unpack(Arena *arena, const uint8_t *data, const NpzMember *m, NpzPut *put, void *user,
                Str *why) {
    uint32_t crc = 0;
    *why = (Str){0};
    if (m->deflated) {
        const ArenaMark mark = arena_mark(arena);
        const int verdict = unpack_deflated(arena, data + m->begin, m, put, user, &crc);
        arena_reset(arena, mark);
        if (verdict != 1) {
            return verdict == 0 && not_deflate(arena, why);
        }
    } else if (!unpack_stored(data + m->begin, m, put, user, &crc)) {
        return false;
    }
    if (crc != m->crc) {
        *why = str_copy(arena, STR("its bytes do not have the CRC-32 of the archive"));
        return false;
    }
    return true;
}
