/* Fuzz target: any bytes as the front of an .npy file. What is accepted is consistent: the elements
 * begin inside, sizes are those of shape and type. */
#undef NDEBUG
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "runtime/calib/array_type.h"
#include "runtime/calib/npy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = malloc(size ? size : 1); /* of its exact size, so that an overrun is seen */
    memcpy(copy, data, size);
    Arena *arena = arena_open();
    NpyHeader h;
    Str why = {0};
    if (npy_header(arena, (Str){copy, size}, &h, &why)) {
        assert(h.begin <= size && h.rank >= 0 && h.rank <= LIMIT_RANK && !h.pickled);
        unsigned __int128 count = 1;
        for (int i = 0; i < h.rank; i++) {
            assert(h.dims[i] >= 0);
            if (h.dims[i] == 0) {
                count = 0;
                break;
            }
            count *= (unsigned __int128)h.dims[i];
            assert(h.count == 0 || count <= INT64_MAX);
        }
        assert(h.count == 0 || count == (unsigned __int128)h.count);
        assert(h.bytes == (uint64_t)h.count * array_type(h.type)->bytes);
    } else {
        assert(why.len > 0);
    }
    arena_close(arena);
    free(copy);
    return 0;
}
