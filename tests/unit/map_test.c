/* map: put, find, replace, order, hostile keys; interning. */
#include "tests/unit/unit.h"

static void entries_are_found_in_order(void **state) {
    (void)state;
    Arena *a = arena_open();
    Map map = map_on(a);
    assert_null(map_find(&map, STR("x")));
    static int values[5000];
    for (int i = 0; i < 5000; i++) {
        Str key = str_format(a, "layers.%d.weight", i);
        assert_true(map_put(&map, key, &values[i]));
    }
    assert_false(map_put(&map, STR("layers.7.weight"), &values[8]));
    assert_int_equal(map.len, 5000);
    for (int i = 0; i < 5000; i++) {
        Str key = str_format(a, "layers.%d.weight", i);
        assert_true(str_eq(map.entries[i].key, key));
        assert_ptr_equal(map_get(&map, key), &values[i == 7 ? 8 : i]);
    }
    assert_null(map_get(&map, STR("layers.5000.weight")));
    assert_true(map_put(&map, STR(""), NULL));
    assert_true(map_put(&map, (Str){"a\0b", 3}, NULL));
    assert_true(map_put(&map, (Str){"a\0c", 3}, NULL));
    assert_non_null(map_find(&map, STR("")));
    arena_close(a);
}

/* Keys made to fall together: all whose hash lands in the first slots of the final table. */
static void colliding_keys_change_the_seed(void **state) {
    (void)state;
    Arena *a = arena_open();
    Map probe = map_on(a);
    Map map = map_on(a);
    for (int i = 0; map.len < 400; i++) {
        Str key = str_format(a, "k%d", i);
        probe.len = 0; /* reuse one entry to learn the hash under the first seed */
        probe.slot_count = probe.cap = 0;
        map_put(&probe, key, NULL);
        if ((probe.entries[0].hash & 1023) < 4) {
            map_put(&map, key, NULL);
        }
    }
    assert_int_not_equal(map.seed, 0);
    for (size_t i = 0; i < map.len; i++) {
        assert_ptr_equal(map_find(&map, map.entries[i].key), &map.entries[i]);
    }
    arena_close(a);
}

static void equal_strings_become_one(void **state) {
    (void)state;
    Arena *a = arena_open();
    Interner names = interner_on(a);
    char text[] = "weight";
    Str first = intern(&names, (Str){text, 6});
    text[0] = 'W';
    assert_str(first, "weight");
    assert_ptr_equal(intern(&names, STR("weight")).data, first.data);
    assert_ptr_not_equal(intern(&names, STR("Weight")).data, first.data);
    assert_non_null(intern(&names, STR("")).data);
    arena_close(a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_are_found_in_order),
        cmocka_unit_test(colliding_keys_change_the_seed),
        cmocka_unit_test(equal_strings_become_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
