/* arena: zeroed, aligned, separate memory; marks; nothing is left after closing. vec rides along. */
#include "tests/unit/unit.h"
#include "runtime/base/alloc.h"
#include "runtime/base/vec.h"

static void memory_is_zeroed_aligned_and_separate(void **state) {
    (void)state;
    int64_t live = alloc_live();
    Arena *a = arena_open();
    uint8_t *p[200];
    for (size_t i = 0; i < 200; i++) {
        size_t size = i * 37 % 5000;
        p[i] = arena_alloc(a, size);
        assert_int_equal((uintptr_t)p[i] % 16, 0);
        for (size_t j = 0; j < size; j++) {
            assert_int_equal(p[i][j], 0);
        }
        memset(p[i], (int)i, size);
    }
    for (size_t i = 0; i < 200; i++) {
        for (size_t j = 0; j < i * 37 % 5000; j++) {
            assert_int_equal(p[i][j], (uint8_t)i);
        }
    }
    arena_alloc(a, 3 << 20);
    arena_close(a);
    arena_close(NULL);
    assert_int_equal(alloc_live(), live);
}

static void reset_gives_back_what_came_after_the_mark(void **state) {
    (void)state;
    Arena *a = arena_open();
    ArenaMark empty = arena_mark(a);
    char *kept = arena_alloc(a, 100);
    memset(kept, 'k', 100);
    size_t bytes = arena_bytes(a);
    for (int round = 0; round < 3; round++) {
        ArenaMark mark = arena_mark(a);
        for (size_t i = 0; i < 100; i++) {
            char *p = arena_alloc(a, 1000 + i * 100);
            for (size_t j = 0; j < 1000; j++) {
                assert_int_equal(p[j], 0);
            }
            memset(p, 'x', 1000 + i * 100);
        }
        assert_true(arena_bytes(a) >= bytes + 100000);
        arena_reset(a, mark);
        assert_int_equal(arena_bytes(a), bytes);
    }
    assert_int_equal(kept[99], 'k');
    arena_reset(a, empty);
    assert_int_equal(arena_bytes(a), 0);
    arena_close(a);
}

static void sizes_that_overflow_are_out_of_memory(void **state) {
    (void)state;
    Arena *a = arena_open();
    const size_t counts[] = {SIZE_MAX, SIZE_MAX / 2, SIZE_MAX / 8 + 1};
    volatile int failed = 0;
    for (volatile size_t i = 0; i < 3; i++) {
        AllocGuard g;
        alloc_guard_push(&g);
        if (setjmp(g.jump)) {
            failed++;
        } else {
            arena_array(a, counts[i], i == 0 ? 1 : 8);
        }
        alloc_guard_pop(&g);
    }
    assert_int_equal(failed, 3);
    arena_close(a);
}

static void vectors_grow(void **state) {
    (void)state;
    Arena *a = arena_open();
    Vec(int) v = {0};
    for (int i = 0; i < 1000; i++) {
        vec_push(a, &v, i * i);
    }
    assert_int_equal(v.len, 1000);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(v.at[i], i * i);
    }
    assert_int_equal(vec_last(&v), 999 * 999);
    vec_reserve(a, &v, 5000);
    assert_true(v.cap >= 5000);
    assert_int_equal(v.at[10], 100);
    arena_close(a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_zeroed_aligned_and_separate),
        cmocka_unit_test(reset_gives_back_what_came_after_the_mark),
        cmocka_unit_test(sizes_that_overflow_are_out_of_memory),
        cmocka_unit_test(vectors_grow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
