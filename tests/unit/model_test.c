/* model_open: graphs, values, uses, functions; everything that makes a graph wrong. */
#include "onnx_build.h"

static void a_graph(void **state) {
    (void)state;
    Model *m = good(model_bytes(
        J(N("MatMul", "x w", "y", attribute_int("k", -3), T(3, "fc"), T(7, "ai.onnx")),
          N("Relu", "y", "z"), N("Dropout", "z - -", "out -"), F(5, tensor("w", 4)),
          value(11, "x", 1), value(12, "out", 1),
          F(13, J(T(1, "y"), F(2, F(1, J(I(1, 10), F(2, J(F(1, I(1, 7)), F(1, T(2, "n"))))))))))));
    assert_int_equal(m->opset, 17);
    assert_int_equal(m->graphs.len, 1);
    assert_int_equal(m->main->nodes.len, 3);
    Node *fc = m->main->nodes.at[0], *dropout = m->main->nodes.at[2];
    assert_str(fc->op, "MatMul");
    assert_str(fc->domain, "");
    assert_int_equal(node_int(fc, "k", 0), -3);
    assert_int_equal(node_int(fc, "absent", 5), 5);
    assert_ptr_equal(fc->inputs[1]->constant, m->main->initializers.at[0]);
    assert_null(dropout->inputs[1]);
    assert_null(dropout->outputs[1]);
    ValueInfo *y = graph_value(m->main, STR("y"));
    assert_ptr_equal(y->producer, fc);
    assert_int_equal(y->uses.len, 1);
    assert_ptr_equal(y->uses.at[0].node, m->main->nodes.at[1]);
    assert_int_equal(y->type, 10);
    assert_int_equal(y->rank, 2);
    assert_int_equal(y->dims[0], 7);
    assert_int_equal(y->dims[1], -1);
    assert_true(graph_value(m->main, STR("out"))->graph_output);
    assert_true(graph_value(m->main, STR("x"))->graph_input);
    assert_null(graph_value(m->main, STR("nowhere")));
    model_close(m);
}

static void bodies_and_functions(void **state) {
    (void)state;
    const Str branch = J(N("MatMul", "x w", "b"), value(12, "b", 1));
    const Str other = J(F(5, tensor("c", 2)), N("Add", "x c", "d"), value(12, "d", 1));
    const Str f = F(25, J(T(1, "f"), T(10, "local"), words(4, "a"), words(5, "r"),
                          node_(7, "Constant", "", "k",
                                F(5, J(T(1, "value"), F(5, tensor("", 3)), I(20, 4)))),
                          node_(7, "Mul", "a k", "r", STR("")), F(9, opset("", 17))));
    Model *m = good(J(f, model_bytes(J(N("If", "cond", "y", attribute_graph("then_branch", branch),
                                         attribute_graph("else_branch", other)),
                                       N("f", "y", "z", T(7, "local")), F(5, tensor("w", 6)),
                                       value(11, "x", 1), value(11, "cond", 9),
                                       value(12, "z", 1)))));
    assert_int_equal(m->graphs.len, 4);
    assert_ptr_equal(m->graphs.at[0], m->main);
    Node *choose = m->main->nodes.at[0];
    assert_int_equal(choose->bodies.len, 2);
    const Node *inner = choose->bodies.at[0]->nodes.at[0];
    assert_ptr_equal(inner->inputs[1], graph_value(m->main, STR("w")));
    assert_int_equal(graph_value(m->main, STR("x"))->uses.len, 2);
    assert_int_equal(choose->bodies.at[0]->depth, 1);
    const Graph *function = m->graphs.at[3];
    assert_str(function->function, "local::f");
    assert_non_null(function->nodes.at[1]->inputs[1]->constant);
    assert_int_equal(function->nodes.at[1]->inputs[1]->constant->count, 3);
}

static void names_twice(void **state) {
    (void)state;
    refused(model_bytes(J(N("Relu", "x", "y"), N("Relu", "x", "y"), value(11, "x", 1))), "E1005",
            "value `y`");
    refused(model_bytes(J(F(5, tensor("w", 1)), F(5, tensor("w", 2)))), "E1005", "initializer `w`");
    refused(model_bytes(J(value(11, "x", 1), value(11, "x", 1))), "E1005", "input `x`");
    refused(model_bytes(J(F(5, tensor("w", 1)), N("Relu", "w", "w"))), "E1005", "value `w`");
    refused(model_bytes(J(F(5, tensor("w", 1)), F(15, J(F(1, tensor("w", 1)))))), "E1005", "`w`");
    const Str f = F(25, J(T(1, "f"), T(10, "d")));
    refused(J(f, f, model_bytes(STR(""))), "E1005", "function `d::f`");
    refused(model_bytes(F(5, tensor("", 1))), "E1001", "no name");
    /* legal: an initializer that is an input, too; the same node name twice; shadowing */
    good(model_bytes(J(F(5, tensor("w", 1)), value(11, "w", 1), N("Relu", "w", "a", T(3, "n")),
                       N("If", "a", "b", attribute_graph("then_branch", N("Relu", "a", "w")),
                         T(3, "n")))));
}

static void undefined(void **state) {
    (void)state;
    refused(model_bytes(N("Relu", "ghost", "y", T(3, "n"))), "E1006", "node `n` reads `ghost`");
    refused(model_bytes(N("Relu", "\x1b[31m", "y")), "E1006", "\\x1b[31m");
    refused(model_bytes(value(12, "out", 1)), "E1006", "`out`");
    /* a function sees nothing of the graph, a graph nothing of a body */
    refused(J(F(25, J(T(1, "f"), node_(7, "Relu", "x", "y", STR("")))),
              model_bytes(value(11, "x", 1))), "E1006", "`x`");
    refused(model_bytes(J(N("If", "c", "q", attribute_graph("then_branch", N("Relu", "c", "in"))),
                          value(11, "c", 9), N("Relu", "in", "r"))), "E1006", "`in`");
}

static void cycles(void **state) {
    (void)state;
    refused(model_bytes(J(N("Relu", "b", "a", T(3, "one")), N("Relu", "a", "b", T(3, "two")))),
            "E1007", "`one` -> `two` -> `one`");
    refused(model_bytes(J(N("Relu", "a", "a"))), "E1007", "`Relu #0` -> `Relu #0`");
    /* through a body that reads its own owner's output */
    refused(model_bytes(J(N("If", "c", "q", attribute_graph("then_branch", N("Relu", "q", "z"))),
                          value(11, "c", 9))), "E1007", "`If #0`");
    /* out of order is not a cycle */
    good(model_bytes(J(N("Relu", "b", "c"), N("Relu", "a", "b"), value(11, "a", 1))));
    const Str f = F(25, J(T(1, "f"), T(10, "d"), node_(7, "g", "", "u", T(7, "d"))));
    const Str body = J(F(1, J(T(2, "u"), T(4, "f"), T(7, "d"))));
    const Str g = F(25, J(T(1, "g"), T(10, "d"), node_(7, "If", "", "u",
                                                       attribute_graph("then_branch", body))));
    refused(J(f, g, model_bytes(STR(""))), "E1007", "`d::f` -> `d::g` -> `d::f`");
}

/* A chain written backwards is the worst case of the order check: it stays linear. */
static void long_chain(void **state) {
    (void)state;
    enum { LENGTH = 20000 };
    Buf b = buf_on(S->arena);
    for (int i = LENGTH; i > 0; i--) {
        char in[16], out[16];
        snprintf(in, sizeof in, "v%d", i - 1);
        snprintf(out, sizeof out, "v%d", i);
        buf_str(&b, N("Relu", in, out));
    }
    buf_str(&b, value(11, "v0", 1));
    assert_int_equal(good(model_bytes(buf_view(&b)))->main->nodes.len, LENGTH);
}

static void imports(void **state) {
    (void)state;
    const Str graph = F(7, value(11, "x", 1));
    assert_int_equal(good(J(I(1, 3), graph))->opset, 1);
    assert_int_equal(good(J(F(8, opset("com.microsoft", 1)), F(8, opset("ai.onnx", 13)),
                            graph))->opset, 13);
    Model *a = good(model_bytes(F(5, tensor("w", 4)))),
          *b = good(model_bytes(F(5, tensor("w", 4))));
    Model *c = good(model_bytes(F(5, tensor("w", 5))));
    assert_memory_equal(a->graph_hash, b->graph_hash, 32);
    assert_memory_not_equal(a->graph_hash, c->graph_hash, 32);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_graph), TEST(bodies_and_functions), TEST(names_twice), TEST(undefined),
        TEST(cycles), TEST(long_chain), TEST(imports),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
