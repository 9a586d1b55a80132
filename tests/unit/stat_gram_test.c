/* stat_gram: bits of the plain loop, for all shapes of tensors and convolutions. */
#include "tests/unit/stat_law.h"

static void check(const char *what, int type, StatView view, const GramShape *shape,
                  const Spread *spread) {
    const int64_t n = view.outer * view.channels * view.inner;
    const size_t cells = (size_t)(shape->groups * shape->columns * shape->columns);
    float *values;
    void *stored;
    law_data(type, n, &values, &stored);
    double *want = calloc(cells, sizeof *want), *gram = calloc(cells, sizeof *gram);
    void *scratch = aligned_alloc(64, (stat_gram_scratch(shape) + 63) / 64 * 64);
    for (int i = 0; i < stat_lanes_count; i++) {
        const StatInput in = {type, stored, view, n, type == 1, stat_lanes_all[i]};
        if (!in.lanes->usable()) {
            continue; /* stat_lanes_test says so */
        }
        memset(gram, 0, cells * sizeof *gram);
        memset(want, 0, cells * sizeof *want);
        for (int batch = 0; batch < 2; batch++) {
            law_gram(values, shape, want);
            assert_true(stat_gram_add(&in, shape, spread, scratch, gram));
        }
        if (memcmp(gram, want, sizeof *gram) != 0) {
            fail_msg("%s, type %d, %s", what, type, in.lanes->name);
        }
        law_upper(gram, want, shape->groups, shape->columns);
    }
    stat_gram_mirror(gram, shape->groups, shape->columns);
    for (int64_t g = 0, c = shape->columns; g < shape->groups; g++) {
        for (int64_t i = 0; i < c * c; i++) {
            const double *m = gram + g * c * c;
            assert_memory_equal(&m[i], &m[i % c * c + i / c], sizeof *m);
        }
    }
    free(scratch);
    free(gram);
    free(want);
    free(values);
    free(stored);
}

static void plain_tensors(void **state) {
    (void)state;
    const StatView views[] = {{1, 1, 1},   {5, 3, 1},  {300, 24, 1}, {37, 130, 1}, {2, 33, 29},
                              {3, 8, 700}, {1, 1, 77}, {9, 1100, 1}, {2600, 9, 1}, {4, 257, 2}};
    for (size_t i = 0; i < sizeof views / sizeof *views; i++) {
        GramShape shape;
        assert_null(gram_shape_plain(views[i], &shape));
        assert_int_equal(shape.places, views[i].outer * views[i].inner);
        check("a tensor", 1, views[i], &shape, NULL);
        check("a tensor", i % 2 ? 10 : 16, views[i], &shape, &law_spread);
        check("a tensor", 11, views[i], &shape, NULL);
    }
}

static void convolutions(void **state) {
    (void)state;
    const StatConv convs[] = {
        {2, 2, 3, 1, {9, 7}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, false},
        {2, 1, 8, 4, {11, 5}, {3, 2}, {2, 1}, {1, 1}, {1, 0}, {0, 1}, false},
        {2, 3, 6, 6, {8, 8}, {3, 3}, {1, 1}, {2, 2}, {2, 2}, {2, 2}, false},
        {1, 2, 5, 1, {50}, {5}, {3}, {2}, {4}, {1}, false},
        {3, 1, 2, 1, {4, 5, 6}, {2, 3, 1}, {1, 2, 3}, {1, 1, 1}, {0, 1, 0}, {1, 0, 2}, false},
        {2, 2, 16, 1, {6, 6}, {1, 1}, {1, 1}, {1, 1}, {0, 0}, {0, 0}, false},
        {2, 2, 16, 2, {6, 6}, {1, 1}, {1, 1}, {1, 1}, {0, 0}, {0, 0}, false},
        {2, 2, 4, 1, {6, 6}, {1, 1}, {2, 2}, {1, 1}, {0, 0}, {0, 0}, false},
        {1, 30, 6, 3, {1}, {1}, {1}, {1}, {0}, {0}, false},
        {2, 2, 3, 1, {5, 4}, {3, 2}, {2, 3}, {1, 2}, {1, 0}, {2, -1}, true},
        {1, 3, 4, 2, {9}, {2}, {3}, {1}, {0}, {-2}, true},
        {1, 2, 4, 1, {7}, {1}, {1}, {1}, {0}, {-3}, true},
        {2, 2, 4, 1, {6, 6}, {1, 1}, {1, 1}, {1, 1}, {0, 0}, {0, 0}, true},
    };
    for (size_t i = 0; i < sizeof convs / sizeof *convs; i++) {
        GramShape shape;
        StatView view = {convs[i].batch, convs[i].channels, 1};
        for (int d = 0; d < convs[i].rank; d++) {
            view.inner *= convs[i].size[d];
        }
        assert_null(gram_shape_conv(&convs[i], &shape));
        check("a convolution", 1, view, &shape, &law_spread);
        check("a convolution", 10, view, &shape, NULL);
    }
}

static void impossible_shapes_are_refused(void **state) {
    (void)state;
    GramShape shape;
    StatConv conv = {2, 1, 4, 1, {4, 4}, {3, 3}, {1, 1}, {1, 1}, {0, 0}, {0, 0}, false};
    const char *size = "has too many channels for a Gram matrix";
    assert_null(gram_shape_conv(&conv, &shape));
    assert_int_equal(shape.places, 4);
    assert_string_equal(gram_shape_plain((StatView){1, STAT_COLUMNS_MAX + 1, 1}, &shape), size);
    conv.kernel[0] = 5;
    assert_string_equal(gram_shape_conv(&conv, &shape),
                        "is smaller than the kernel of its convolution");
    conv.kernel[0] = 3;
    conv.stride[1] = 0;
    assert_non_null(gram_shape_conv(&conv, &shape));
    conv.stride[1] = 1;
    conv.end[0] = -1;
    assert_non_null(gram_shape_conv(&conv, &shape));
    conv.transposed = true; /* 6 x 6, one row more */
    assert_null(gram_shape_conv(&conv, &shape));
    assert_int_equal(shape.places, 7 * 6);
    conv.begin[1] = 7; /* nothing is left */
    assert_non_null(gram_shape_conv(&conv, &shape));
    conv.begin[1] = conv.end[0] = 0;
    conv.transposed = false;
    conv.groups = 3;
    assert_string_equal(gram_shape_conv(&conv, &shape), "is not what a convolution reads");
    conv.groups = 1;
    conv.channels = 2048;
    assert_string_equal(gram_shape_conv(&conv, &shape), size);
    conv.channels = INT64_MAX / 2;
    assert_string_equal(gram_shape_conv(&conv, &shape), size);
    conv.channels = conv.groups = 1 << 22; /* few columns, too many groups */
    assert_string_equal(gram_shape_conv(&conv, &shape), size);
    conv.channels = conv.groups = 1;
    conv.batch = INT64_MAX / 3;
    assert_non_null(gram_shape_conv(&conv, &shape));
    conv.rank = 4;
    assert_non_null(gram_shape_conv(&conv, &shape));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_tensors),
        cmocka_unit_test(convolutions),
        cmocka_unit_test(impossible_shapes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
