/* Fuzz target: any bytes as an .npz file. Members lie in the archive and in nothing else's place;
 * fronts and whole members are unpacked, never to more than the directory says. */
#undef NDEBUG
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "runtime/calib/npy.h"
#include "runtime/calib/npz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct Sink {
    uint64_t got, size;
} Sink;

static bool sink(void *user, const void *bytes, size_t size)
{
    Sink *s = user;
    (void)bytes;
    s->got += size;
    assert(s->got <= s->size);
    return true;
}

static void one(Arena *arena, const uint8_t *data, size_t size, const NpzMember *m)
{
    char *buffer = malloc(NPY_FRONT);
    Str front, why = {0};
    assert(m->begin <= size && m->packed <= size - m->begin);
    if (npz_front(arena, data, m, buffer, NPY_FRONT, &front, &why)) {
        assert(front.len <= m->size && front.len <= NPY_FRONT);
        NpyHeader h;
        Str what = {0};
        npy_header(arena, front, &h, &what);
    } else {
        assert(why.len > 0);
    }
    Sink s = {0, m->size};
    if (npz_unpack(arena, data, m, sink, &s, &why)) {
        assert(s.got == m->size);
    } else {
        assert(why.len > 0);
    }
    free(buffer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    memcpy(copy, data, size);
    Arena *arena = arena_open();
    NpzDirectory d;
    Str why = {0};
    if (npz_directory(arena, copy, size, &d, &why)) {
        for (size_t i = 0; i < d.count && i < 16; i++) {
            one(arena, copy, size, &d.members[i]);
        }
    } else {
        assert(why.len > 0);
    }
    arena_close(arena);
    free(copy);
    return 0;
}
