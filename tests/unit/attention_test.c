/* Queries, keys, probabilities and values, found from the product with softmax's result. */
#include "compiler/attention.h"
#include "tests/unit/world.h"

#define HEAD                                                                                       \
    "opset 23\ninput q float 2 4 16\ninput k float 2 16 4\ninput v float 2 4 16\n"                 \
    "input m float 4 4\noutput y float 2 4 16\nweight c float 1\nweight w float 16 16\n"

static bool find(World *w, const char *text, const char *path, Attention *out) {
    *w = world_text(text);
    const Layer *layer = map_get(&w->layers->by_path, str_from(path));
    assert_non_null(layer);
    return attention_find(layer, out);
}

static void is(const PlanUse *use, const char *value) {
    assert_non_null(use->node);
    assert_str(use->node->inputs[use->slot]->name, value);
}

static void test_decomposed(void **state) {
    (void)state;
    static const char *const ways[] = {
        HEAD "MatMul q k -> s\nSoftmax s -> p axis=2\nMatMul p v -> y /o/MatMul\n",
        HEAD
        "MatMul q k -> s\nMul s c -> t\nAdd t m -> u\nCast u -> u2 to=1\nSoftmax u2 -> p axis=2\n"
        "Cast p -> p2 to=1\nMatMul p2 v -> y /o/MatMul\n",
        HEAD "MatMul q k -> s\nDiv s c -> t\nTanh t -> u\nMul c u -> a\nAdd m a -> b\n"
             "Softmax b -> p axis=2\nMatMul p v -> y /o/MatMul\n",
    };
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        World w;
        Attention found;
        assert_true(find(&w, ways[i], "o", &found));
        is(&found.query, "q");
        is(&found.key, "k");
        is(&found.value, "v");
        is(&found.probability, i == 1 ? "p2" : "p");
        world_close(&w);
    }
}

/* Scores that no product makes: the second product alone is known. */
static void test_half(void **state) {
    (void)state;
    World w;
    Attention found;
    assert_true(find(&w, HEAD "Relu m -> s\nSoftmax s -> p axis=1\nMatMul p v -> y /o/MatMul\n",
                     "o", &found));
    assert_null(found.query.node);
    assert_null(found.key.node);
    is(&found.value, "v");
    world_close(&w);
}

static void test_fused_and_none(void **state) {
    (void)state;
    World w;
    Attention found;
    assert_true(find(&w, HEAD "Attention q k v -> y /o/Attention\n", "o", &found));
    is(&found.query, "q");
    is(&found.key, "k");
    is(&found.value, "v");
    assert_null(found.probability.node);
    world_close(&w);
    assert_false(find(&w, HEAD "MatMul q w -> y /o/MatMul\n", "o", &found));
    world_close(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decomposed),
        cmocka_unit_test(test_half),
        cmocka_unit_test(test_fused_and_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
