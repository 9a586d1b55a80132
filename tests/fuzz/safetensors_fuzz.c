/* Fuzz target: any bytes as a safetensors file, and any bytes as its header (the length before them
 * made right). The tensors of what is accepted cover the payload, each with the bytes of its shape. */
#undef NDEBUG
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "runtime/calib/array_type.h"
#include "runtime/calib/tensors_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const uint8_t *data, size_t size)
{
    Arena *arena = arena_open();
    TensorsHeader h;
    Str why = {0};
    if (tensors_header(arena, data, size, &h, &why)) {
        uint64_t all = 0;
        for (size_t i = 0; i < h.count; i++) {
            const TensorsItem *t = &h.items[i];
            assert(t->begin <= size && t->bytes <= size - t->begin && t->name.data);
            assert((uint64_t)t->count * array_type(t->type)->bytes == t->bytes);
            all += t->bytes;
        }
        assert(all <= size - 8);
    } else {
        assert(why.len > 0);
    }
    arena_close(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size + 8);
    memcpy(copy, data, size);
    check(copy, size);
    /* up to a byte 0 it is a header, behind that a payload */
    const uint8_t *zero = memchr(data, 0, size);
    const uint64_t length = zero ? (uint64_t)(zero - data) : size;
    memcpy(copy, &length, 8);
    memcpy(copy + 8, data, size);
    check(copy, size + 8);
    free(copy);
    return 0;
}
