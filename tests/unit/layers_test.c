/* The layer index: paths in every naming, weights behind what stands between, axes, roles, blocks,
 * depth, neighbours; on small models made here and on the language model of tests/models. */
#include "tests/unit/unit.h"
#include "runtime/model/layers.h"
#include "tests/unit/tiny_model.h"

typedef struct World {
    Session *s;
    Model *model;
    Layers *layers;
    char *directory;
} World;

static World open_path(const char *path) {
    World w = {.s = session_open(&sys_real)};
    w.model = model_open(w.s, str_from(path));
    if (!w.model) {
        fail_msg("%s", unit_diags(w.s));
    }
    w.layers = layers_index(w.s, w.model);
    return w;
}

static World open_text(const char *text) {
    char *directory = unit_directory(), path[4200];
    snprintf(path, sizeof path, "%s/m.onnx", directory);
    tiny_model_write(path, text);
    World w = open_path(path);
    w.directory = directory;
    return w;
}

static void close_world(World *w) {
    model_close(w->model);
    session_close(w->s);
    if (w->directory) {
        unit_remove(w->directory);
    }
}

static const Layer *layer(const World *w, const char *path) {
    const Layer *found = map_get(&w->layers->by_path, str_from(path));
    if (!found) {
        fail_msg("no layer %s", path);
    }
    return found;
}

static size_t with_role(const World *w, unsigned role) {
    size_t n = 0;
    for (size_t i = 0; i < w->layers->all.len; i++) {
        n += (w->layers->all.at[i].roles & role) != 0;
    }
    return n;
}

/* ---- paths */

#define NAMES(a, b, c, d)                                                                          \
    "input x float 1 8\n"                                                                          \
    "output y float 1 8\n"                                                                         \
    "weight onnx::MatMul_1 float 8 8\n"                                                            \
    "weight fc.weight float 8 8\n" a b c d

static void test_both_exporters_agree(void **state) {
    (void)state;
    World old = open_text(NAMES("MatMul x onnx::MatMul_1 -> a /layers.0/mlp/up/MatMul\n",
                                "Relu a -> b /layers.0/act/Relu\n",
                                "MatMul b onnx::MatMul_1 -> c /layers.10/mlp/up/MatMul_7\n",
                                "MatMul c fc.weight -> y /lm_head/MatMul\n"));
    World new =
        open_text(NAMES("MatMul x onnx::MatMul_1 -> a @node_linear "
                        "scopes=|layers.0|layers.0.mlp|layers.0.mlp.up|linear\n",
                        "Relu a -> b @node_relu scopes=|layers.0|layers.0.act|relu\n",
                        "MatMul b onnx::MatMul_1 -> c @node_linear_1 "
                        "scopes=|layers.10|layers.10.mlp|layers.10.mlp.up|linear_1\n",
                        "MatMul c fc.weight -> y @node_linear_2 scopes=|lm_head|linear_2\n"));
    assert_int_equal(old.layers->all.len, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_true(str_eq(old.layers->all.at[i].path, new.layers->all.at[i].path));
        assert_int_equal(old.layers->all.at[i].path_from, PATH_NODE);
        assert_int_equal(new.layers->all.at[i].path_from, PATH_SCOPES);
    }
    assert_str(old.layers->all.at[2].path, "layers.10.mlp.up");
    close_world(&old);
    close_world(&new);
}

static void test_paths_without_names(void **state) {
    (void)state;
    World w =
        open_text(NAMES("MatMul x fc.weight -> a\n", "Relu a -> hidden\n",
                        "MatMul hidden fc.weight -> b @p2o.MatMul.3\n", "Relu b -> y /Relu_1\n"));
    assert_str(w.layers->all.at[0].path, "fc"); /* the weight's name */
    assert_int_equal(w.layers->all.at[0].path_from, PATH_WEIGHT);
    assert_str(w.layers->all.at[1].path, "hidden"); /* the output's name */
    assert_int_equal(w.layers->all.at[1].path_from, PATH_OUTPUT);
    assert_str(w.layers->all.at[2].path, "p2o.MatMul.3"); /* no ".MatMul" at the end */
    assert_str(w.layers->all.at[3].path, "Relu_1");
    close_world(&w);
}

static void test_odd_scopes_are_passed_over(void **state) {
    (void)state;
    World w = open_text(NAMES(
        "Relu x -> a @one scopes=_empty_nn_module_stack_from_metadata_hook|relu\n", /* no module */
        "Relu a -> b @two scopes=relu_1\n",        /* only its own name */
        "Relu b -> c @three scopes=|a\\|relu_2\n", /* an escape that repr() never writes here */
        "Relu c -> y @four scopes=|a|b||relu_3\n"));
    static const char *const paths[] = {"one", "two", "three", "b"};
    for (size_t i = 0; i < 4; i++) {
        assert_str(w.layers->all.at[i].path, paths[i]);
    }
    close_world(&w);
}

static void test_clashes_are_numbered_per_op(void **state) {
    (void)state;
    World w = open_text(NAMES("MatMul x fc.weight -> a /q/MatMul\n", "Relu a -> b /q/Relu\n",
                              "MatMul b fc.weight -> c /q/MatMul_1\n",
                              "MatMul c fc.weight -> y /q/MatMul_2\n"));
    static const char *const paths[] = {"q", "q", "q#2", "q#3"};
    for (size_t i = 0; i < 4; i++) {
        assert_str(w.layers->all.at[i].path, paths[i]);
    }
    assert_ptr_equal(layer(&w, "q"), &w.layers->all.at[0]); /* the one with a weight */
    close_world(&w);
}

static const char nested[] = "input c bool\n"
                             "input x float 1 8\n"
                             "output y float 1 8\n"
                             "weight w float 8 8\n"
                             "MatMul x w -> h /in/MatMul\n"
                             "If c -> r /gate/If\n"
                             "body then_branch\n"
                             "output t float 1 8\n"
                             "weight v float 8 8\n"
                             "MatMul h v -> t /up/MatMul\n"
                             "end\n"
                             "body else_branch\n"
                             "output e float 1 8\n"
                             "Relu h -> e /act/Relu\n"
                             "end\n"
                             "block r -> y /last/block domain=dom\n"
                             "function dom block a -> b\n"
                             "Constant -> k value=float:8,8\n"
                             "MatMul a k -> b /inner/MatMul\n"
                             "end\n";

static void test_subgraphs_and_functions(void **state) {
    (void)state;
    World w = open_text(nested);
    static const char *const paths[] = {"in", "gate", "gate.up", "gate.act", "last", "last.inner"};
    assert_int_equal(w.layers->all.len, 6); /* the Constant is a weight, not a layer */
    for (size_t i = 0; i < 6; i++) {
        assert_str(w.layers->all.at[i].path, paths[i]);
        assert_ptr_equal(layer_of(w.layers, w.layers->all.at[i].node), &w.layers->all.at[i]);
    }
    assert_int_equal(with_role(&w, ROLE_LINEAR), 3);
    assert_int_equal(layer(&w, "gate.up")->depth, 2);
    assert_int_equal(layer(&w, "last")->depth, 2); /* as deep as the deeper branch */
    int *near, count;
    layer_neighbours(w.layers, layer(&w, "in"), false, w.s->arena, &near, &count);
    assert_int_equal(count, 2); /* both bodies read it */
    assert_int_equal(near[0], 2);
    layer_neighbours(w.layers, layer(&w, "last"), true, w.s->arena, &near, &count);
    assert_int_equal(count, 3); /* the If, and what leaves its branches */
    layer_neighbours(w.layers, layer(&w, "gate.up"), false, w.s->arena, &near, &count);
    assert_int_equal(count, 1);
    assert_int_equal(near[0], 4);
    close_world(&w);
}

/* ---- weights */

static void expect_axes(const World *w, const char *path, int64_t k, int64_t n, int reduce,
                        int channel) {
    const Layer *l = layer(w, path);
    assert_non_null(l->weight);
    assert_int_equal(l->k, k);
    assert_int_equal(l->n, n);
    assert_int_equal(l->reduce_axis, reduce);
    assert_int_equal(l->channel_axis, channel);
}

static void test_axes_of_products(void **state) {
    (void)state;
    World w = open_text("input x float 1 8\ninput z float 8 1\noutput y float 1 4\n"
                        "weight kn float 8 4\nweight nk float 4 8\nweight ekn float 3 8 4\n"
                        "weight v float 8\nweight emb float 100 8\ninput ids int64 1\n"
                        "MatMul x kn -> a /a\n"
                        "Gemm x kn -> b /b\n"
                        "Gemm x nk -> c /c transB=1\n"
                        "MatMul nk z -> d /d\n"
                        "Gemm nk z -> e /e\n"
                        "Gemm kn z -> f /f transA=1\n"
                        "MatMul x ekn -> g /g\n"
                        "FusedMatMul x nk -> h /h transB=1 domain=com.microsoft\n"
                        "MatMul x v -> i /i\n"
                        "MatMul x z -> j /j\n"
                        "Gather emb ids -> l /l\n"
                        "Gather emb ids -> m /m axis=1\n"
                        "Gather ids ids -> y /n\n");
    expect_axes(&w, "a", 8, 4, 0, 1);
    expect_axes(&w, "b", 8, 4, 0, 1);
    expect_axes(&w, "c", 8, 4, 1, 0);
    expect_axes(&w, "d", 8, 4, 1, 0); /* a constant left operand [M, K] */
    expect_axes(&w, "e", 8, 4, 1, 0);
    expect_axes(&w, "f", 8, 4, 0, 1);
    expect_axes(&w, "g", 8, 4, 1, 2);
    expect_axes(&w, "h", 8, 4, 1, 0);
    expect_axes(&w, "l", 8, 100, 1, 0);
    assert_null(layer(&w, "i")->weight); /* a vector */
    assert_null(layer(&w, "j")->weight); /* nothing constant */
    assert_null(layer(&w, "m")->weight); /* not a table of rows */
    assert_int_equal(with_role(&w, ROLE_LINEAR), 8);
    assert_int_equal(with_role(&w, ROLE_EMBEDDING), 1);
    assert_int_equal(layer(&w, "d")->weight_slot, 0);
    close_world(&w);
}

static void test_axes_of_convolutions(void **state) {
    (void)state;
    World w = open_text("input x float 1 8 16 16\noutput y float 1 6 16 16\n"
                        "weight c float 6 4 3 5\nweight t float 8 3 2 2\n"
                        "Conv x c -> a /a group=2 strides=1,2 kernel_shape=3,5\n"
                        "ConvTranspose x t -> y /t group=2\n");
    expect_axes(&w, "a", 60, 6, 1, 0);
    assert_int_equal(layer(&w, "a")->width, 4);
    assert_int_equal(layer(&w, "a")->kernel, 5);
    assert_int_equal(layer(&w, "a")->stride, 2);
    assert_int_equal(layer(&w, "a")->groups, 2);
    expect_axes(&w, "t", 16, 6, 0, 1);
    assert_int_equal(layer(&w, "t")->width, 4);
    assert_int_equal(with_role(&w, ROLE_CONV), 2);
    close_world(&w);
}

static void test_weights_behind_other_nodes(void **state) {
    (void)state;
    World w = open_text("input x float 1 8\noutput y float 1 4\n"
                        "weight nk float16 4 8\nweight q int8 8 4\nweight s float\n"
                        "weight b uint8 4 1 8\nweight bs float 4 1\nweight f float 8 4\n"
                        "Transpose nk -> t /tr perm=1,0\n"
                        "Cast t -> tc /cast to=1\n"
                        "MatMul x tc -> a /a\n"
                        "DequantizeLinear q s -> dq /dq\n"
                        "MatMul x dq -> c /c\n"
                        "MatMulNBits x b bs -> d /d domain=com.microsoft K=8 N=4 bits=4 "
                        "block_size=16\n"
                        "Identity f -> i /i\n"
                        "MatMul x i -> e /e\n"
                        "MatMul x i -> g /g\n"
                        "MatMulInteger x q -> y /h\n");
    expect_axes(&w, "a", 8, 4, 1, 0); /* axes of the tensor as stored */
    assert_string_equal(w.layers->all.at[0].node->proto->op_type, "Transpose");
    assert_ptr_equal(layer(&w, "a")->weight_at, w.layers->all.at[0].node);
    assert_int_equal(layer(&w, "a")->weight_slot, 0);
    assert_false(layer(&w, "a")->encoded);
    expect_axes(&w, "c", 8, 4, 0, 1);
    assert_str(layer(&w, "c")->state, "DequantizeLinear (int8)");
    assert_true(layer(&w, "c")->encoded);
    assert_str(layer(&w, "d")->state, "MatMulNBits (4 bits, block 16)");
    assert_int_equal(layer(&w, "d")->k, 8);
    assert_null(
        layer(&w, "e")->weight); /* e and g would both get what is put before the Identity */
    assert_str(layer(&w, "h")->state, "MatMulInteger (int8)");
    assert_int_equal(with_role(&w, ROLE_LINEAR), 4);
    close_world(&w);
}

/* ---- roles */

static void test_heads(void **state) {
    (void)state;
    World w = open_text("input x float 1 8\noutput y float 1 4\noutput cache float 1 1 8\n"
                        "weight v float 8 8\nweight h float 8 4\nweight bias float 4\n"
                        "MatMul x v -> a /v_proj/MatMul\n"
                        "Unsqueeze a -> cache /present/Unsqueeze\n" /* leaves the model, but ... */
                        "Relu a -> b /act/Relu\n"                   /* ... is used inside, too */
                        "MatMul b h -> c /head/MatMul\n"
                        "Add c bias -> d /head/Add\n"
                        "Shape c -> e /shape/Shape\n"
                        "Softmax d -> y /softmax/Softmax\n");
    assert_int_equal(with_role(&w, ROLE_HEAD), 1);
    assert_true(layer(&w, "head")->roles & ROLE_HEAD);
    close_world(&w);
    w = open_text("input c bool\ninput x float 1 8\noutput y float 1 8\nweight w float 8 8\n"
                  "If c -> r /gate/If\nbody then_branch\noutput t float 1 8\nMatMul x w -> t /a\n"
                  "end\nbody else_branch\noutput e float 1 8\nIdentity x -> e /b\nend\n"
                  "Identity r -> y /out\n");
    assert_true(layer(&w, "gate.a")->roles & ROLE_HEAD); /* through the If */
    close_world(&w);
}

static void test_residuals(void **state) {
    (void)state;
    World w = open_text("input x float 1 8 4 4\noutput y float 1 8 4 4\noutput z float 1 8 4 4\n"
                        "weight a float 8 8 3 3\nweight b float 8 8 1 1\nweight g float 8\n"
                        "Conv x a -> c1 /c1\nRelu c1 -> r1 /r1\nConv r1 a -> c2 /c2\n"
                        "Add c2 x -> s1 /s1\n" /* plain skip */
                        "Conv s1 a -> c3 /c3\nConv s1 b -> c4 /c4\n"
                        "Add c3 c4 -> s2 /s2\n"                   /* skip through a convolution */
                        "Mul s2 s2 -> m /m\nAdd m s2 -> s3 /s3\n" /* no weight in between */
                        "Add s3 g -> s4 /s4\n"                    /* a bias */
                        "Conv s4 a -> c5 /c5\nConv r1 a -> c6 /c6\n"
                        "Add c5 c6 -> y /s5\n" /* r1 is an ancestor of c5 */
                        "Add c1 c2 -> z /s6\n");
    assert_true(layer(&w, "s1")->roles & ROLE_RESIDUAL);
    assert_true(layer(&w, "s2")->roles & ROLE_RESIDUAL);
    assert_false(layer(&w, "s3")->roles & ROLE_RESIDUAL);
    assert_false(layer(&w, "s4")->roles & ROLE_RESIDUAL);
    assert_true(layer(&w, "s5")->roles & ROLE_RESIDUAL);
    assert_true(layer(&w, "s6")->roles & ROLE_RESIDUAL);
    close_world(&w);
}

static void test_decomposed_layer_norm_and_attention(void **state) {
    (void)state;
    World w = open_text(
        "input x float 1 4 8\ninput v float 1 4 8\noutput y float 1 4 8\n"
        "weight two float\nweight eps float\nweight gain float 8\nweight bias float 8\n"
        "weight mix float 4 8\n"
        "ReduceMean x -> mean /ln/ReduceMean\nSub x mean -> d /ln/Sub\nPow d two -> p /ln/Pow\n"
        "ReduceMean p -> var /ln/ReduceMean_1\nAdd var eps -> ve /ln/Add\nSqrt ve -> sd /ln/Sqrt\n"
        "Div d sd -> n /ln/Div\nMul n gain -> ng /ln/Mul\nAdd ng bias -> nb /ln/Add_1\n"
        "MatMul nb v -> scores /qk/MatMul\nSoftmax scores -> probs /softmax\nDropout probs -> dr "
        "/dr\n"
        "MatMul dr v -> a /pv/MatMul\nSoftmax a -> gates /gates\nMatMul gates mix -> y "
        "/mix/MatMul\n");
    assert_int_equal(with_role(&w, ROLE_NORM), 1);
    assert_true(w.layers->all.at[8].roles & ROLE_NORM); /* the bias is its last node */
    assert_int_equal(with_role(&w, ROLE_ATTENTION), 1);
    assert_true(layer(&w, "pv")->roles & ROLE_ATTENTION);
    close_world(&w);
}

/* ---- blocks and the real model */

static void test_blocks_by_structure(void **state) {
    (void)state;
    World w = open_text("input x float 1 8\noutput y float 1 8\n"
                        "weight u float 8 16\nweight d float 16 8\nweight i float 8 8\n"
                        "MatMul x i -> a /in\n"
                        "MatMul a u -> b /b\nRelu b -> c /c\nMatMul c d -> e /e\n"
                        "MatMul e u -> f /f\nRelu f -> g /g\nMatMul g d -> h /h\n"
                        "MatMul h u -> j /j\nRelu j -> k /k\nMatMul k d -> l /l\n"
                        "MatMul l i -> y /out\n");
    static const int blocks[] = {-1, 0, 0, 0, 1, 1, 1, 2, 2, 2, -1};
    assert_int_equal(w.layers->block_count, 3);
    for (size_t i = 0; i < 11; i++) {
        assert_int_equal(w.layers->all.at[i].block, blocks[i]);
    }
    close_world(&w);
}

static void test_language_model(void **state) {
    (void)state;
    World w = open_path(MORC_SOURCE_DIR "/tests/models/pylm-1m/model.onnx");
    assert_int_equal(w.layers->all.len, 310);
    assert_int_equal(with_role(&w, ROLE_LINEAR), 29);
    assert_int_equal(with_role(&w, ROLE_EMBEDDING), 1);
    assert_int_equal(with_role(&w, ROLE_ATTENTION), 4);
    assert_int_equal(with_role(&w, ROLE_NORM), 9);
    assert_int_equal(with_role(&w, ROLE_RESIDUAL), 8); /* the mask, added in each block, is none */
    assert_int_equal(with_role(&w, ROLE_HEAD), 1);
    assert_true(layer(&w, "model.lm_head")->roles & ROLE_HEAD);
    assert_int_equal(layer(&w, "model.lm_head")->depth, 18);
    assert_int_equal(w.layers->block_count, 4);
    assert_str(w.layers->block_rule, "model.model.layers.N");
    assert_int_equal(layer(&w, "model.model.layers.3.mlp.down_proj")->block, 3);
    assert_int_equal(layer(&w, "model.model.layers.3#2")->block, 3);
    assert_int_equal(layer(&w, "model.lm_head")->block, -1);
    const Layer *q = layer(&w, "model.model.layers.0.self_attn.q_proj");
    const Layer *k = layer(&w, "model.model.layers.0.self_attn.k_proj");
    assert_ptr_equal(q->input, k->input);
    assert_int_equal(q->k, 128);
    assert_int_equal(k->n, 64);
    close_world(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_exporters_agree),
        cmocka_unit_test(test_paths_without_names),
        cmocka_unit_test(test_odd_scopes_are_passed_over),
        cmocka_unit_test(test_clashes_are_numbered_per_op),
        cmocka_unit_test(test_subgraphs_and_functions),
        cmocka_unit_test(test_axes_of_products),
        cmocka_unit_test(test_axes_of_convolutions),
        cmocka_unit_test(test_weights_behind_other_nodes),
        cmocka_unit_test(test_heads),
        cmocka_unit_test(test_residuals),
        cmocka_unit_test(test_decomposed_layer_norm_and_attention),
        cmocka_unit_test(test_blocks_by_structure),
        cmocka_unit_test(test_language_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
