/* Content-addressed data file names (data_name.h). In: two written, unsynced outputs. Out: the
 * model file names its data file. Reads the data back in pieces, which the page cache mostly still
 * holds: XXH3 hashes at 10 GB/s and more, far above any disk. */
#include "compiler/data_name.h"
#include <errno.h>
#define XXH_INLINE_ALL /* header only: no library at run time */
#include <xxhash.h>

enum { DIGITS = 16, PIECE = 4 << 20 };

Str data_name_placeholder(Arena *arena, Str stem) {
    return str_format(arena, "%.*s.data-################", STR_ARG(stem));
}

static bool hash_file(Session *s, Output *file, uint64_t *hash) {
    ArenaMark mark = arena_mark(s->arena);
    uint8_t *piece = arena_alloc(s->arena, PIECE);
    /* the state wants alignment 64, arenas give 16 */
    uintptr_t room = (uintptr_t)arena_alloc(s->arena, sizeof(XXH3_state_t) + 64);
    XXH3_state_t *state = (XXH3_state_t *)((room + 63) & ~(uintptr_t)63);
    XXH3_64bits_reset(state);
    int error = 0;
    for (uint64_t at = 0; at < file->size && error == 0;) {
        size_t want = file->size - at < PIECE ? (size_t)(file->size - at) : PIECE;
        error = output_read(file, at, piece, want);
        if (error == 0) {
            XXH3_64bits_update(state, piece, want);
            at += want;
        }
    }
    *hash = XXH3_64bits_digest(state);
    arena_reset(s->arena, mark);
    return error == 0 || output_fail(file, error);
}

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
