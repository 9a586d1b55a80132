/* Fuzz target: any bytes as what the JIT reads from others. The first byte chooses: an entry of the
 * cache (also with its hash made right), a frame's body, the compiler's log, a text's includes.
 * What is given back lies in the input, and an entry that is taken is the one that would be written
 * for it. */
#undef NDEBUG
#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include "runtime/device/cubin_entry.h"
#include "runtime/device/jit_wire.h"
#include "runtime/device/kernel_headers.h"
#include "runtime/device/nvrtc_log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const Str key = {"the key", 7};

static bool within(Str part, Str whole)
{
    return part.len == 0 || (part.data >= whole.data && part.data + part.len <= whole.data + whole.len);
}

static void check_entry(Arena *arena, Str bytes)
{
    Str payload;
    if (cubin_entry_read(bytes, key, &payload)) {
        Buf again = buf_on(arena);
        assert(within(payload, bytes));
        cubin_entry_write(key, payload, &again);
        assert(str_eq(buf_view(&again), bytes));
    }
}

static void entry(Arena *arena, Str bytes)
{
    check_entry(arena, bytes);
    if (bytes.len >= crypto_hash_sha256_BYTES) { /* whatever it says, signed */
        const size_t signed_bytes = bytes.len - crypto_hash_sha256_BYTES;
        unsigned char *copy = malloc(bytes.len);
        memcpy(copy, bytes.data, bytes.len);
        crypto_hash_sha256(copy + signed_bytes, copy, signed_bytes);
        check_entry(arena, (Str){(char *)copy, bytes.len});
        free(copy);
    }
}

static void frame(Str body)
{
    WireLoaded loaded;
    WireReady ready;
    WireProgram program;
    WireResult result;
    Str a = {0}, b = {0};
    if (wire_loaded(body, &loaded, &a)) {
        assert(within(a, body) && loaded.architectures >= 1 &&
               loaded.architectures <= NVRTC_ARCHITECTURES && loaded.at[0] > 0);
    }
    if (wire_program(body, &program, &a)) {
        assert(within(a, body) && program.arch > 0);
    }
    if (wire_result(body, &result, &a, &b)) {
        assert(within(a, body) && within(b, body) && a.len == result.log && b.len == result.output);
    }
    wire_ready(body, &ready);
}

static void log_text(Arena *arena, Str bytes)
{
    const NvrtcUse use = nvrtc_log_use(bytes);
    assert(use.registers >= -1 && use.stack >= -1 && use.shared >= -1 && use.spills >= -1);
    const Str shown = nvrtc_log_explain(arena, bytes, bytes);
    for (size_t i = 0; i < shown.len; i++) {
        assert((unsigned char)shown.data[i] >= ' ' || shown.data[i] == '\n');
    }
}

static void includes(Str text)
{
    KernelIncludes all;
    Str unknown = {0};
    if (kernel_includes(text, &all, &unknown)) {
        for (int i = 0; i < all.count; i++) {
            for (int j = 0; j < i; j++) {
                assert(all.at[i] != all.at[j]);
            }
        }
    } else {
        assert(unknown.len > 0 && within(unknown, text));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    /* of its exact size, so that an overrun is seen */
    char *copy = malloc(size > 1 ? size - 1 : 1);
    memcpy(copy, data + 1, size - 1);
    const Str bytes = {copy, size - 1};
    Arena *arena = arena_open();
    switch (data[0] % 4) {
    case 0:
        entry(arena, bytes);
        break;
    case 1:
        frame(bytes);
        break;
    case 2:
        log_text(arena, bytes);
        break;
    default:
        includes(bytes);
    }
    arena_close(arena);
    free(copy);
    return 0;
}
