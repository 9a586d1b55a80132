/* What a Conv or ConvTranspose walks over: attributes and their defaults, SAME for sizes that
 * divide and do not, what does not fit. That columns come in the order of weights is shown end to
 * end (cases_conv.py).
 */
#include "compiler/conv_view.h"
#include "tests/unit/world.h"

static const char convs[] =
    "opset 21\ninput x float 1 4 11 10\ninput s float 1 4 40\n"
    "output a float\noutput b float\noutput c float\noutput d float\noutput e float\n"
    "output f float\noutput g float\noutput h float\noutput i float\noutput j float\n"
    "output k float\n"
    "weight w float 6 4 4 3\nweight d2 float 6 2 3 3\nweight w1 float 6 4 5\nweight wt float 4 6 3 "
    "3\n"
    "Conv x w -> a /a/Conv\n"
    "Conv x d2 -> b /b/Conv group=2 pads=1,2,3,4 strides=2,3 dilations=2,1\n"
    "Conv x w -> c /c/Conv auto_pad='SAME_UPPER strides=2,3\n"
    "Conv x w -> d /d/Conv auto_pad='SAME_LOWER strides=2,3\n"
    "Conv x w -> e /e/Conv auto_pad='VALID pads=1,1,1,1\n"
    "Conv s w1 -> f /f/Conv pads=2,1\n"
    "ConvTranspose x wt -> g /g/ConvTranspose\n"
    "Conv x w -> h /h/Conv strides=2,1\n"
    "ConvTranspose x wt -> i /i/ConvTranspose strides=2,3 pads=1,0,2,1 output_padding=1,2\n"
    "ConvTranspose x wt -> j /j/ConvTranspose auto_pad='SAME_UPPER\n"
    "ConvTranspose x wt -> k /k/ConvTranspose output_shape=12,12\n";

typedef struct Expected {
    const char *path;
    int rank;
    int64_t groups, kernel[3], stride[3], dilation[3], begin[3], end[3];
    bool transposed;
} Expected;

/* Paddings of SAME: 6 = ceil(11 / 2) places need 5 * 2 + 4 = 14 rows, 4 = ceil(10 / 3) need 12. */
static const Expected expected[] = {
    {"a", 2, 1, {4, 3}, {1, 1}, {1, 1}, {0, 0}, {0, 0}, false},
    {"b", 2, 2, {3, 3}, {2, 3}, {2, 1}, {1, 2}, {3, 4}, false},
    {"c", 2, 1, {4, 3}, {2, 3}, {1, 1}, {1, 1}, {2, 1}, false},
    {"d", 2, 1, {4, 3}, {2, 3}, {1, 1}, {2, 1}, {1, 1}, false},
    {"e", 2, 1, {4, 3}, {1, 1}, {1, 1}, {0, 0}, {0, 0}, false},
    {"f", 1, 1, {5}, {1}, {1}, {2}, {1}, false},
    {"g", 2, 1, {3, 3}, {1, 1}, {1, 1}, {0, 0}, {0, 0}, true},
    {"i", 2, 1, {3, 3}, {2, 3}, {1, 1}, {1, 0}, {1, -1}, true},
};

static const Layer *layer(const World *w, const char *path) {
    const Layer *found = map_get(&w->layers->by_path, str_from(path));
    assert_non_null(found);
    return found;
}

static void test_attributes(void **state) {
    (void)state;
    World w = world_text(convs);
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        const Expected *e = &expected[i];
        const int64_t image[] = {5, 4, 11, 10}, signal[] = {5, 4, 40};
        const int64_t *dims = e->rank == 2 ? image : signal;
        StatConv got;
        assert_true(conv_view_fits(layer(&w, e->path)));
        assert_true(conv_view(layer(&w, e->path), dims, e->rank + 2, &got));
        assert_int_equal(got.rank, e->rank);
        assert_int_equal(got.batch, 5);
        assert_int_equal(got.channels, 4);
        assert_int_equal(got.groups, e->groups);
        assert_int_equal(got.transposed, e->transposed);
        for (int d = 0; d < e->rank; d++) {
            assert_int_equal(got.size[d], dims[2 + d]);
            assert_int_equal(got.kernel[d], e->kernel[d]);
            assert_int_equal(got.stride[d], e->stride[d]);
            assert_int_equal(got.dilation[d], e->dilation[d]);
            assert_int_equal(got.begin[d], e->begin[d]);
            assert_int_equal(got.end[d], e->end[d]);
        }
    }
    world_close(&w);
}

static void test_misfits(void **state) {
    (void)state;
    World w = world_text(convs);
    StatConv got;
    assert_false(conv_view_fits(layer(&w, "j"))); /* its pads follow from the size of the output */
    assert_false(conv_view_fits(layer(&w, "k")));
    assert_false(conv_view(layer(&w, "g"), (int64_t[]){1, 6, 11, 10}, 4, &got));
    const Layer *a = layer(&w, "a");
    assert_false(conv_view(a, (int64_t[]){1, 4, 11}, 3, &got));
    assert_false(conv_view(a, (int64_t[]){1, 5, 11, 10}, 4, &got));
    assert_false(conv_view(a, (int64_t[]){1, 4, 0, 10}, 4, &got));
    assert_true(conv_view(a, (int64_t[]){1, 4, 4, 3}, 4, &got));
    world_close(&w);
}

static void test_names(void **state) {
    (void)state;
    World w = world_text(convs);
    static const char *const paths[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i"};
    const size_t count = sizeof paths / sizeof *paths;
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < count; k++) {
            const Str one = conv_view_name(w.s->arena, layer(&w, paths[i]));
            const Str other = conv_view_name(w.s->arena, layer(&w, paths[k]));
            assert_int_equal(str_eq(one, other), i == k);
        }
    }
    world_close(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attributes),
        cmocka_unit_test(test_misfits),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
