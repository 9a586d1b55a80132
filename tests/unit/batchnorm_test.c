/* Factors of a BatchNormalization against numbers worked out by hand. Which one may be taken in is
 * tested with plans (placement_test), and whole models end to end. */
#include "compiler/batchnorm.h"
#include "tests/unit/world.h"

static const char model[] =
    "opset 17\ninput x float 1 2 4 4\noutput y float 1 2 4 4\noutput z float 1 2 4 4\n"
    "weight k float 2 2 1 1\nweight l float 2 2 1 1\nweight b float 2\nweight g float 2\n"
    "weight o float 2\nweight m float 2\nweight v double 2\n"
    "Conv x k b -> c\nBatchNormalization c g o m v -> y\n"
    "ConvTranspose x l -> d\nBatchNormalization d g o m v -> z\n";

/* The model's constants are zeros; these are what the test wants them to be. */
static void set(World *w, const char *name, const void *values) {
    ValueInfo *value = graph_value(w->model->main, str_from(name));
    ((Tensor *)(uintptr_t)value->constant)->data = values;
}

static const Layer *layer_named(const World *w, const char *path) {
    return map_get(&w->layers->by_path, str_from(path));
}

static void test_factors(void **state) {
    (void)state;
    World w = world_text(model);
    static const float b[] = {1, 2}, g[] = {3, -4}, o[] = {10, 20}, m[] = {0.5f, 1};
    static const double v[] = {9.0 - (double)1e-5f, 4.0 - (double)1e-5f};
    set(&w, "b", b);
    set(&w, "g", g);
    set(&w, "o", o);
    set(&w, "m", m);
    set(&w, "v", v);
    for (int i = 0; i < 2; i++) {
        const Layer *layer = layer_named(&w, i ? "l" : "k");
        const Node *norm = batchnorm_behind(layer);
        assert_non_null(norm);
        double *gain, *bias;
        assert_true(batchnorm_factors(w.s, layer, norm, w.s->arena, &gain, &bias));
        assert_true(gain[0] == 1.0 && gain[1] == -2.0); /* 3 / sqrt(9), -4 / sqrt(4) */
        assert_true(bias[0] == (i ? 9.5 : 10.5));       /* (b - 0.5) 1 + 10 */
        assert_true(bias[1] == (i ? 22.0 : 18.0));      /* (b - 1) -2 + 20 */
    }
    world_close(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_factors)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
