/* Edits: each does what model.h says, in graphs, bodies and functions, and nothing else moves. */
#include "onnx_build.h"

static Str graph(void) {
    return J(N("MatMul", "x w", "y", T(3, "fc"), T(99, "unknown")), N("Relu", "y", "z"),
             F(5, tensor("w", 4)), T(10, "doc"), value(11, "x", 1), value(11, "w", 1),
             value(12, "z", 1), value(13, "w", 1), value(13, "y", 1));
}

static char *text(const char *c) {
    return (char *)str_c(S->arena, str_from(c));
}

static Onnx__NodeProto *node_of(const char *op, const char *in, const char *out) {
    Onnx__NodeProto *n = arena_new(S->arena, Onnx__NodeProto);
    onnx__node_proto__init(n);
    n->op_type = text(op);
    n->input = arena_many(S->arena, char *, 1);
    n->output = arena_many(S->arena, char *, 1);
    n->input[0] = text(in);
    n->output[0] = text(out);
    n->n_input = n->n_output = 1;
    return n;
}

static bool holds(Str bytes, const char *part) {
    return memmem(bytes.data, bytes.len, part, strlen(part)) != NULL;
}

static Str laid_out(Model *m) {
    const Layout l = lay_out(m);
    return assemble(&l, 0);
}

static void nothing(void **state) {
    (void)state;
    const Str plain = model_bytes(graph());
    Model *m = good(plain);
    assert_true(str_eq(laid_out(m), plain));
    /* an edit that says what is there already changes no byte but padded lengths */
    edit_node_input(m->main->nodes.at[0], 1, STR("w"));
    assert_true(str_eq(laid_out(m), plain));
}

static void inputs(void **state) {
    (void)state;
    Model *m = good(model_bytes(graph()));
    edit_insert_before(m->main->nodes.at[0], node_of("Neg", "x", "x1"));
    edit_insert_before(m->main->nodes.at[0], node_of("Abs", "x1", "x2"));
    edit_node_input(m->main->nodes.at[0], 0, STR("x2"));
    edit_node_input(m->main->nodes.at[1], 2, STR("x1"));
    assert_true(holds(laid_out(m), "unknown"));
    Model *n = rewritten(m);
    assert_int_equal(n->main->nodes.len, 4);
    assert_str(n->main->nodes.at[0]->op, "Neg");
    assert_str(n->main->nodes.at[1]->op, "Abs");
    assert_str(n->main->nodes.at[2]->inputs[0]->name, "x2");
    assert_str(n->main->nodes.at[2]->inputs[1]->name, "w");
    assert_int_equal(n->main->nodes.at[3]->input_count, 3);
    assert_null(n->main->nodes.at[3]->inputs[1]);
    assert_str(n->main->nodes.at[3]->inputs[2]->name, "x1");
    assert_non_null(n->main->initializers.at[0]);
}

static void replace_and_remove(void **state) {
    (void)state;
    Model *m = good(model_bytes(graph()));
    edit_replace_node(m->main->nodes.at[0], node_of("Gemm", "x", "y"));
    edit_node_input(m->main->nodes.at[0], 1, STR("w"));
    const Str bytes = laid_out(m);
    assert_true(holds(bytes, "unknown") && !holds(bytes, "MatMul"));
    Model *n = rewritten(m);
    assert_str(n->main->nodes.at[0]->op, "Gemm");
    assert_int_equal(n->main->nodes.at[0]->input_count, 2);
    edit_remove_node(m->main->nodes.at[1]);
    edit_insert_before(m->main->nodes.at[1], node_of("Identity", "y", "z"));
    n = rewritten(m);
    assert_int_equal(n->main->nodes.len, 2);
    assert_str(n->main->nodes.at[1]->op, "Identity");
}

/* x -> MatMul -> y -> Relu becomes x -> MatMul -> v -> Neg -> u -> Abs -> y -> Relu, and so does
 * what a replacement makes. */
static void behind(void **state) {
    (void)state;
    for (int replaced = 0; replaced < 2; replaced++) {
        Model *m = good(model_bytes(graph()));
        Node *first = m->main->nodes.at[0];
        edit_rename_output(first, STR("v"));
        edit_insert_behind(first, node_of("Neg", "v", "u"));
        edit_insert_behind(first, node_of("Abs", "u", "y"));
        if (replaced) {
            edit_replace_node(first, node_of("Gemm", "x", "y"));
        }
        assert_true(holds(laid_out(m), "unknown"));
        const Model *n = rewritten(m);
        assert_int_equal(n->main->nodes.len, 4);
        assert_str(n->main->nodes.at[0]->op, replaced ? "Gemm" : "MatMul");
        assert_str(n->main->nodes.at[0]->outputs[0]->name, "v");
        assert_str(n->main->nodes.at[1]->op, "Neg");
        assert_str(n->main->nodes.at[2]->op, "Abs");
        assert_str(n->main->nodes.at[2]->outputs[0]->name, "y");
        assert_str(n->main->nodes.at[3]->inputs[0]->name, "y");
    }
}

/* x -> MatMul -> y -> Relu -> z becomes x -> MatMul -> z; y's value_info goes, fields stay. */
static void absorb(void **state) {
    (void)state;
    Model *m = good(model_bytes(graph()));
    edit_absorb_node(m->main->nodes.at[0], m->main->nodes.at[1]);
    edit_node_input(m->main->nodes.at[0], 1, STR("x"));
    const Str bytes = laid_out(m);
    assert_true(holds(bytes, "unknown") && holds(bytes, "MatMul") && !holds(bytes, "Relu"));
    const Model *n = rewritten(m);
    assert_int_equal(n->main->nodes.len, 1);
    assert_str(n->main->nodes.at[0]->outputs[0]->name, "z");
    assert_str(n->main->nodes.at[0]->inputs[1]->name, "x");
    assert_null(graph_value(n->main, STR("y")));
    assert_int_equal(n->main->proto->n_value_info, 1);
}

static void tensors(void **state) {
    (void)state;
    Model *m = good(model_bytes(graph()));
    static const int64_t dims[] = {2, 3};
    static const float known[] = {7};
    edit_add_initializer(m->main, &(NewTensor){.name = STR("q"), .type = 3, .rank = 2, .dims = dims,
                                               .size = 6, .tag = 2});
    edit_add_initializer(m->main, &(NewTensor){.name = STR("s"), .type = 1, .size = 4,
                                               .bytes = known});
    edit_remove_initializer(m->main->initializers.at[0]);
    edit_node_input(m->main->nodes.at[0], 1, STR("q"));
    Model *n = rewritten(m);
    assert_int_equal(n->main->initializers.len, 2);
    const Tensor *q = n->main->initializers.at[0];
    assert_int_equal(q->rank, 2);
    assert_int_equal(q->dims[1], 3);
    assert_memory_equal(q->data, "\xe2\xe2\xe2\xe2\xe2\xe2", 6);
    assert_memory_equal(n->main->initializers.at[1]->data, known, 4);
    assert_int_equal(n->main->proto->n_input, 1); /* w was an input, too, and had a value_info */
    assert_int_equal(n->main->proto->n_value_info, 1);
}

static void payload(void **state) {
    (void)state;
    const Str constant = node_(1, "Constant", "", "k",
                               F(5, J(T(1, "value"), T(13, "doc"), F(5, tensor("", 2)), I(20, 4))));
    const Str typed = F(5, J(I(1, 2), I(2, 1), F(4, STR("12345678")), T(8, "t"), T(12, "why")));
    Model *m = good(model_bytes(J(constant, typed, F(5, tensor("r", 2)))));
    for (int i = 0; i < 3; i++) {
        edit_replace_payload(m->tensors.at[i], i);
    }
    const Str bytes = laid_out(m);
    assert_true(holds(bytes, "doc") && holds(bytes, "why") && !holds(bytes, "12345678"));
    Model *n = rewritten(m);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(n->tensors.at[i]->carrier, CARRIER_RAW);
        assert_int_equal(n->tensors.at[i]->data[7], 0xe0 + i);
        assert_str(n->tensors.at[i]->name, i == 0 ? "" : i == 1 ? "t" : "r");
    }
    /* removing a Constant's value removes the node */
    edit_remove_initializer(m->tensors.at[0]);
    n = rewritten(m);
    assert_int_equal(n->main->nodes.len, 0);
    assert_int_equal(n->main->initializers.len, 2);
}

static void in_bodies(void **state) {
    (void)state;
    const Str body = J(N("Mul", "x u", "b"), F(5, tensor("u", 3)), value(12, "b", 1));
    Model *m = good(model_bytes(J(N("If", "c", "q", attribute_graph("then_branch", body)),
                                  value(11, "x", 1), value(11, "c", 9), F(5, tensor("w", 300)))));
    Graph *inner = m->graphs.at[1];
    edit_add_initializer(inner, &(NewTensor){.name = STR("s"), .type = 1, .size = 4, .tag = 1});
    edit_node_input(inner->nodes.at[0], 1, STR("s"));
    edit_remove_initializer(inner->initializers.at[0]);
    Model *n = rewritten(m);
    assert_int_equal(n->graphs.at[1]->initializers.len, 1);
    assert_str(n->graphs.at[1]->nodes.at[0]->inputs[1]->name, "s");
    assert_memory_equal(n->main->initializers.at[0]->data, m->main->initializers.at[0]->data, 1200);
}

static void in_functions(void **state) {
    (void)state;
    const Str f = F(25, J(T(1, "f"), T(10, "d"), words(4, "a"), words(5, "r"), F(9, opset("", 17)),
                          node_(7, "Relu", "a", "r", STR(""))));
    const Str other = F(25, J(T(1, "g"), T(10, "d"), F(9, opset("", 17))));
    Model *m = good(J(f, other, model_bytes(STR(""))));
    Graph *inside = m->graphs.at[1];
    edit_add_initializer(inside, &(NewTensor){.name = STR("k"), .type = 1, .size = 4, .tag = 3});
    edit_node_input(inside->nodes.at[0], 0, STR("k"));
    edit_opset(m, "", 21);
    edit_opset(m, "com.microsoft", 1);
    Model *n = rewritten(m);
    assert_int_equal(n->opset, 21);
    const Graph *g = n->graphs.at[1];
    assert_int_equal(g->nodes.len, 2);
    assert_str(g->nodes.at[0]->op, "Constant");
    assert_ptr_equal(g->nodes.at[1]->inputs[0], graph_value(g, STR("k")));
    assert_int_equal(graph_value(g, STR("k"))->constant->data[0], 0xe3);
    assert_int_equal(g->function_proto->n_opset_import, 2);
    assert_int_equal(g->function_proto->opset_import[0]->version, 21);
    /* the function that nobody edited follows the opset but imports nothing new */
    assert_int_equal(n->graphs.at[2]->function_proto->n_opset_import, 1);
    assert_int_equal(n->graphs.at[2]->function_proto->opset_import[0]->version, 21);
    assert_int_equal(n->proto->n_opset_import, 2);
}

static void model_fields(void **state) {
    (void)state;
    const Str old = F(14, J(T(1, "mor"), T(2, "old"))), kept = F(14, J(T(1, "k"), T(2, "v")));
    Model *m = good(J(model_bytes(graph()), old, kept, old));
    edit_metadata(m, STR("mor"), STR("first"));
    edit_metadata(m, STR("mor"), STR("new"));
    edit_ir_version(m, 10);
    edit_opset(m, "ai.onnx", 21);
    Model *n = rewritten(m);
    assert_int_equal(n->ir_version, 10);
    assert_int_equal(n->opset, 21);
    assert_int_equal(n->proto->n_metadata_props, 2);
    assert_string_equal(n->proto->metadata_props[0]->key, "k");
    assert_string_equal(n->proto->metadata_props[1]->value, "new");
    assert_int_equal(n->main->proto->n_input, 2);
    /* before IR 4 an initializer could not be overridden; it must not become so */
    m = good(J(I(1, 3), F(8, opset("", 8)), F(7, graph())));
    edit_ir_version(m, 7);
    n = rewritten(m);
    assert_int_equal(n->main->proto->n_input, 1);
    assert_string_equal(n->main->proto->input[0]->name, "x");
}

static void fresh_names(void **state) {
    (void)state;
    const Str body = J(N("Mul", "x x", "x_q"));
    Model *m = good(model_bytes(J(N("If", "x", "y", attribute_graph("then_branch", body),
                                    T(3, "choose")), value(11, "x", 1))));
    assert_str(model_fresh_name(m, STR("x")), "x_2");
    assert_str(model_fresh_name(m, STR("x")), "x_3");
    assert_str(model_fresh_name(m, STR("x_q")), "x_q_2");
    assert_str(model_fresh_name(m, STR("choose")), "choose_2");
    assert_str(model_fresh_name(m, STR("new")), "new");
    assert_str(model_fresh_name(m, STR("new")), "new_2");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(nothing),      TEST(inputs),      TEST(replace_and_remove),
        TEST(behind),       TEST(absorb),      TEST(tensors),
        TEST(payload),      TEST(in_bodies),   TEST(in_functions),
        TEST(model_fields), TEST(fresh_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
