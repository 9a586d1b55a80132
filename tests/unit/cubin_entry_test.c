/* cubin_entry: what was written is read back; an entry with any bit of it changed, cut anywhere,
 * longer, or of another key is refused; the parts of a key cannot be shifted into one another. */
#include "tests/unit/unit.h"
#include "runtime/device/cubin_entry.h"
#include <sodium.h>

static Arena *arena;

static int setup(void **state) {
    (void)state;
    arena = arena_open();
    return 0;
}

static int teardown(void **state) {
    (void)state;
    arena_close(arena);
    return 0;
}

static Str key_of(const CubinKey *key) {
    Buf b = buf_on(arena);
    cubin_key_text(key, &b);
    return buf_view(&b);
}

static const CubinKey sample = {90, true, 13000, {"--fmad=false", 12}, {"__global__ ...", 14}};

/* A payload of n bytes that looks like a cubin's: zeros, runs and noise. */
static Str payload_of(size_t n) {
    char *p = arena_alloc(arena, n + 1);
    for (size_t i = 0; i < n; i++) {
        p[i] = i % 3 == 0 ? (char)(i * 2654435761u >> 11) : 0;
    }
    return (Str){p, n};
}

static void what_was_written_is_read(void **state) {
    (void)state;
    const Str key = key_of(&sample);
    static const size_t sizes[] = {0, 1, 15, 16, 20000};
    for (int i = 0; i < 5; i++) {
        const Str payload = payload_of(sizes[i]);
        Buf b = buf_on(arena);
        cubin_entry_write(key, payload, &b);
        Str got = {0};
        assert_true(cubin_entry_read(buf_view(&b), key, &got));
        assert_int_equal(got.len, payload.len);
        assert_memory_equal(got.data, payload.data, payload.len);
        assert_int_equal((uintptr_t)got.data % 16, (uintptr_t)b.data % 16);
    }
}

static void any_change_is_refused(void **state) {
    (void)state;
    const Str key = key_of(&sample);
    Buf b = buf_on(arena);
    cubin_entry_write(key, payload_of(2500), &b);
    char *copy = arena_alloc(arena, b.len + 1);
    memcpy(copy, b.data, b.len);
    Str got = {0};
    for (size_t i = 0; i < b.len; i++) {
        for (int bit = 0; bit < 8; bit++) {
            copy[i] = (char)(copy[i] ^ (1 << bit));
            assert_false(cubin_entry_read((Str){copy, b.len}, key, &got));
            copy[i] = (char)(copy[i] ^ (1 << bit));
        }
    }
    assert_true(cubin_entry_read((Str){copy, b.len}, key, &got));
    for (size_t cut = 0; cut < b.len; cut++) {
        assert_false(cubin_entry_read((Str){copy, cut}, key, &got));
        assert_false(cubin_entry_read((Str){copy + b.len - cut, cut}, key, &got));
    }
    assert_false(cubin_entry_read((Str){copy, b.len + 1}, key, &got));
}

/* Sizes that overflow when they are added up, under a hash that is right. */
static void lying_sizes_are_refused(void **state) {
    (void)state;
    const Str key = key_of(&sample);
    static const uint64_t lies[] = {0, 1, 63, 65, 1u << 30, UINT64_MAX, UINT64_MAX - 31,
                                    (uint64_t)1 << 63};
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        for (size_t field = 16; field <= 24; field += 8) { /* payload size, key size */
            Buf b = buf_on(arena);
            cubin_entry_write(key, payload_of(64), &b);
            memcpy(b.data + field, &lies[i], sizeof *lies);
            crypto_hash_sha256((unsigned char *)b.data + b.len - 32, (unsigned char *)b.data,
                               b.len - 32);
            Str got = {0};
            assert_false(cubin_entry_read(buf_view(&b), key, &got));
        }
    }
}

static void keys_differ_in_every_part(void **state) {
    (void)state;
    CubinKey keys[7];
    for (int i = 0; i < 7; i++) {
        keys[i] = sample;
    }
    keys[1].arch = 9;
    keys[2].specific = false;
    keys[3].nvrtc = 12090;
    keys[4].options = STR("--fmad=true");
    keys[5].text = STR("__global__ ..,");
    /* the same bytes after one another */
    keys[6].options = STR("--fmad=false\n_");
    keys[6].text = STR("_global__ ...");
    char names[7][CUBIN_NAME_SIZE];
    Buf b = buf_on(arena);
    cubin_entry_write(key_of(&keys[0]), STR("payload"), &b);
    Str got = {0};
    for (int i = 0; i < 7; i++) {
        const Str text = key_of(&keys[i]);
        cubin_key_name(text, names[i]);
        assert_int_equal(strlen(names[i]), CUBIN_NAME_SIZE - 1);
        assert_int_equal(cubin_entry_read(buf_view(&b), text, &got), i == 0);
        for (int j = 0; j < i; j++) {
            assert_string_not_equal(names[i], names[j]);
        }
    }
    cubin_key_name(STR("abc"), names[0]);
    assert_string_equal(names[0], "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
                                  ".cubin");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_written_is_read, setup, teardown),
        cmocka_unit_test_setup_teardown(any_change_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(lying_sizes_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(keys_differ_in_every_part, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
