/* alloc: zeroed blocks, counted; a failure jumps to the innermost guard, then to the outer one. */
#include "tests/unit/unit.h"
#include "runtime/base/alloc.h"

static void blocks_are_zeroed_and_counted(void **state) {
    (void)state;
    int64_t live = alloc_live(), count = alloc_count();
    uint8_t *p = mem_alloc(100);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(p[i], 0);
    }
    p[0] = 7;
    p = mem_resize(p, 100000);
    assert_int_equal(p[0], 7);
    assert_int_equal(alloc_live() - live, 1);
    assert_int_equal(alloc_count() - count, 2);
    mem_free(p);
    mem_free(NULL);
    assert_int_equal(alloc_live(), live);
}

/* Returns 0 if all `n` allocations worked, else the size wanted by the one that failed. */
static size_t allocate_many(int n) {
    void *volatile blocks[8] = {0};
    AllocGuard g;
    alloc_guard_push(&g);
    volatile size_t failed = 0;
    if (setjmp(g.jump)) {
        failed = g.wanted;
    } else {
        for (int i = 0; i < n; i++) {
            blocks[i] = mem_alloc((size_t)(10 + i));
        }
    }
    alloc_guard_pop(&g);
    for (int i = 0; i < 8; i++) {
        mem_free(blocks[i]);
    }
    return failed;
}

static void the_nth_allocation_fails(void **state) {
    (void)state;
    for (int n = 1; n <= 8; n++) {
        alloc_fail_at(n, false);
        assert_int_equal(allocate_many(8), 9 + n);
        assert_int_equal(allocate_many(8), 0);
    }
    alloc_fail_at(3, true);
    assert_int_equal(allocate_many(8), 12);
    assert_int_equal(allocate_many(8), 10);
    alloc_fail_at(-1, false);
    assert_int_equal(allocate_many(8), 0);
}

static void a_failure_while_handling_goes_outward(void **state) {
    (void)state;
    AllocGuard outer, inner;
    alloc_guard_push(&outer);
    if (setjmp(outer.jump)) {
        assert_int_equal(outer.wanted, 2);
    } else {
        alloc_guard_push(&inner);
        alloc_fail_at(1, true);
        if (setjmp(inner.jump)) {
            assert_int_equal(inner.wanted, 1);
            mem_alloc(2);
            fail();
        }
        mem_alloc(1);
        fail();
    }
    alloc_fail_at(0, false);
    alloc_guard_pop(&outer);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_zeroed_and_counted),
        cmocka_unit_test(the_nth_allocation_fails),
        cmocka_unit_test(a_failure_while_handling_goes_outward),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
