/* Content-addressed data file names (data_name.h). In: two written, unsynced outputs. Out: the
 * model file names its data file. Reads the data back, which the page cache mostly still holds:
 * XXH3 hashes at 10 GB/s and more a thread, so reading is all it costs. */
#include "compiler/data_name.h"
#include "runtime/exec/pool.h"
#include <errno.h>
#include <stdatomic.h>
#define XXH_INLINE_ALL /* header only: no library at run time */
#include <xxhash.h>

enum { DIGITS = 16, PIECE = 4 << 20, SLICE = 256 << 10 /* bytes read at a time: they stay in L2 */ };

Str data_name_placeholder(Arena *arena, Str stem) {
    return str_format(arena, "%.*s.data-################", STR_ARG(stem));
}

/* ---- hashing */

typedef struct Hashing {
    Output *file;
    XXH64_canonical_t *hashes; /* of each piece */
    size_t count;
    uint8_t *slices; /* SLICE bytes for each thread */
    atomic_size_t next;
    atomic_int error; /* the first errno value */
} Hashing;

static int hash_piece(Hashing *h, size_t piece, uint8_t *slice) {
    XXH3_state_t state; /* aligned by its type, as it must be */
    uint64_t at = (uint64_t)piece * PIECE;
    const uint64_t end = h->file->size - at < PIECE ? h->file->size : at + PIECE;
    int error = 0;
    XXH3_64bits_reset(&state);
    while (at < end && error == 0) {
        const size_t want = end - at < SLICE ? (size_t)(end - at) : SLICE;
        error = output_read(h->file, at, slice, want);
        if (error == 0) {
            XXH3_64bits_update(&state, slice, want);
            at += want;
        }
    }
    XXH64_canonicalFromHash(&h->hashes[piece], XXH3_64bits_digest(&state));
    return error;
}

static void hash_pieces(void *user, int worker) {
    Hashing *h = user;
    uint8_t *slice = h->slices + (size_t)worker * SLICE;
    for (;;) {
        const size_t piece = atomic_fetch_add(&h->next, 1);
        if (piece >= h->count || atomic_load(&h->error)) {
            return;
        }
        const int error = hash_piece(h, piece, slice);
        if (error) {
            int none = 0;
            atomic_compare_exchange_strong(&h->error, &none, error);
        }
    }
}

static bool hash_file(Session *s, Output *file, uint64_t *hash) {
    ArenaMark mark = arena_mark(s->arena);
    const size_t count = (size_t)((file->size + PIECE - 1) / PIECE);
    size_t threads = s->threads < 1 ? 1 : (size_t)s->threads;
    threads = threads > LIMIT_THREADS ? LIMIT_THREADS : threads;
    threads = threads > count ? count : threads;
    Hashing h = {.file = file, .count = count};
    h.hashes = arena_many(s->arena, XXH64_canonical_t, count + 1);
    h.slices = arena_alloc(s->arena, (threads + 1) * SLICE);
    Pool pool;
    pool_open(s, &pool, (int)threads, hash_pieces, &h);
    while (!pool_wait(&pool, 1000)) {
    }
    pool_close(s, &pool);
    *hash = XXH3_64bits(h.hashes, count * sizeof *h.hashes);
    arena_reset(s->arena, mark);
    const int error = atomic_load(&h.error);
    return error == 0 || output_fail(file, error);
}

/* ---- names */

/* Only bytes that morc wrote into the model file hold the placeholder: on the arena, and changed
 * there too, because they are compared with what is read back. */
static bool patch_segment(Output *file, const ScheduleSegment *segment, Str placeholder,
                          const char *digits) {
    char *bytes = (char *)(uintptr_t)segment->data;
    size_t left = (size_t)segment->size;
    for (char *at = bytes; (at = memmem(at, left, placeholder.data, placeholder.len));) {
        at += placeholder.len;
        uint64_t offset = segment->offset + (uint64_t)(at - bytes) - DIGITS;
        memcpy(at - DIGITS, digits, DIGITS);
        int error = output_write(file, offset, digits, DIGITS);
        if (error) {
            return output_fail(file, error);
        }
        left = (size_t)segment->size - (size_t)(at - bytes);
    }
    return true;
}

bool data_name_settle(Session *s, Output *const files[2], const Schedule *schedule, Str placeholder,
                      Str *name) {
    uint64_t hash;
    TRY(hash_file(s, files[1], &hash));
    char digits[DIGITS + 1];
    snprintf(digits, sizeof digits, "%016llx", (unsigned long long)hash);
    for (size_t i = 0; i < schedule->segments.len; i++) {
        const ScheduleSegment *segment = &schedule->segments.at[i];
        if (segment->file == 0 && segment->kind == SEGMENT_MEMORY) {
            TRY(patch_segment(files[0], segment, placeholder, digits));
        }
    }
    Str stem = str_slice(placeholder, 0, placeholder.len - DIGITS);
    *name = str_format(s->arena, "%.*s%s", STR_ARG(stem), digits);
    return true;
}
