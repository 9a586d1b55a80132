/* facts: found by name, sized by type; tags keep kind, number and output apart. */
#include "tests/unit/unit.h"
#include "compiler/facts.h"

static void facts_are_found_by_name(void **state) {
    (void)state;
    Arena *arena = arena_open();
    Facts *facts = facts_make(arena);
    assert_int_equal(facts_find(facts, STR("a")), -1);
    assert_int_equal(facts_find(NULL, STR("a")), -1);
    const Fact *a = facts_add(facts, &(Fact){.name = STR("a"), .type = 10, .count = 3});
    assert_int_equal(a->size, 6);
    for (size_t i = 0; i < a->size; i++) {
        assert_int_equal(((uint8_t *)a->bytes)[i], 0);
    }
    facts_add(facts, &(Fact){.name = STR("b"), .type = 3, .count = 1});
    assert_int_equal(facts_find(facts, STR("a")), 0);
    assert_int_equal(facts_find(facts, STR("b")), 1);
    arena_close(arena);
}

static void tags(void **state) {
    (void)state;
    static const int64_t numbers[] = {0, 1, 12345, INT64_C(1) << 30};
    for (int kind = 0; kind < 3; kind++) {
        for (int out = 0; out < OUT_COUNT; out++) {
            for (int n = 0; n < 4; n++) {
                const int64_t tag = tag_make((TagKind)kind, numbers[n], out);
                assert_int_equal(tag_kind(tag), kind);
                assert_int_equal(tag_number(tag), numbers[n]);
                assert_int_equal(tag_output(tag), out);
            }
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(facts_are_found_by_name),
        cmocka_unit_test(tags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
