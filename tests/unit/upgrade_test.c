/* model_upgrade: the table and the adapters agree; forms change as they should; what cannot follow
 * is refused. That values stay the same is shown by tests/e2e/cases_upgrade.py. */
#include "onnx_build.h"
#include "runtime/model/upgrade_node.h"

static Str at_opset(int64_t version, Str graph) {
    return J(I(1, version < 9 ? 3 : 7), F(8, opset("", version)), F(7, graph));
}

static Str attribute_ints(const char *name, int64_t a, int64_t b) {
    return F(5, J(T(1, name), I(8, (uint64_t)a), I(8, (uint64_t)b), I(20, 7)));
}

static Str attribute_float(const char *name, float f) {
    return F(5,
             J(T(1, name), STR("\x15"), raw(memcpy(arena_alloc(S->arena, 4), &f, 4), 4), I(20, 1)));
}

static Str shaped(uint32_t field, const char *name, int type, const char *dims) {
    Buf shape = buf_on(S->arena);
    for (; *dims; dims++) {
        buf_str(&shape, F(1, I(1, (uint64_t)(*dims - '0'))));
    }
    return F(field, J(T(1, name), F(2, F(1, J(I(1, (uint64_t)type), F(2, buf_view(&shape)))))));
}

/* Raised to `target`, written and read again. */
static Model *raised(Str bytes, int64_t target) {
    Model *m = good(bytes);
    if (!model_upgrade(S, m, target)) {
        fail_msg("%s", unit_diags(S));
    }
    Model *n = rewritten(m);
    assert_int_equal(n->opset, target);
    assert_int_equal(m->opset, target);
    return n;
}

static void cannot(Str bytes, int64_t target, const char *part) {
    Model *m = good(bytes);
    assert_false(model_upgrade(S, m, target));
    assert_str(S->diags.all.at[0]->code, "E1010");
    const char *text = unit_diags(S);
    if (!strstr(text, part)) {
        fail_msg("`%s` is not in: %s", part, text);
    }
    S->diags.all.len = S->diags.errors = 0;
}

static const Node *last(const Model *m) {
    return vec_last(&m->main->nodes);
}

/* Every mark in ops.list has a row, every row a mark; the ops are sorted and found. */
static void table(void **state) {
    (void)state;
    size_t marks = 0;
    for (size_t i = 0; i < onnx_op_count; i++) {
        assert_ptr_equal(onnx_op_find(str_from(onnx_ops[i].name)), &onnx_ops[i]);
        assert_true(i == 0 || strcmp(onnx_ops[i - 1].name, onnx_ops[i].name) < 0);
        for (const char *p = onnx_ops[i].versions; (p = strpbrk(p, "*-")) != NULL; p++) {
            const char *begin = p;
            while (begin > onnx_ops[i].versions && begin[-1] != ' ') {
                begin--;
            }
            size_t rows = 0;
            for (size_t k = 0; k < upgrade_adapter_count; k++) {
                rows += strcmp(upgrade_adapters[k].op, onnx_ops[i].name) == 0 &&
                        upgrade_adapters[k].version == atoi(begin);
            }
            if (rows != 1) {
                fail_msg("%s %s has %zu rows", onnx_ops[i].name, begin, rows);
            }
            marks++;
        }
    }
    assert_int_equal(marks, upgrade_adapter_count);
    assert_true(onnx_op_count > 200);
    assert_null(onnx_op_find(STR("MatMulNBits")));
    for (size_t k = 0; k < upgrade_adapter_count; k++) {
        assert_true((upgrade_adapters[k].adapt == NULL) == (upgrade_adapters[k].why != NULL));
    }
}

static void versions(void **state) {
    (void)state;
    const Str relu = J(N("Relu", "x", "y"), value(11, "x", 1));
    assert_int_equal(onnx_ir_for(8), 3);
    assert_int_equal(onnx_ir_for(9), 4);
    assert_int_equal(onnx_ir_for(14), 7);
    assert_int_equal(onnx_ir_for(21), 10);
    assert_int_equal(onnx_ir_for(27), 13);
    assert_int_equal(onnx_ir_for(28), 14);
    assert_int_equal(raised(at_opset(13, relu), 23)->ir_version, 11);
    /* nothing to do changes nothing */
    Model *m = good(at_opset(21, relu));
    assert_true(model_upgrade(S, m, 21) && model_upgrade(S, m, 13));
    assert_int_equal(lay_out(m).pieces.len, 1);
    assert_null(m->edits);
    /* a newer ir_version than the opset asks for stays */
    assert_int_equal(raised(J(I(1, 13), F(8, opset("", 13)), F(7, relu)), 21)->ir_version, 13);
    cannot(at_opset(6, relu), 21, "from opset 7 on");
    cannot(at_opset(13, relu), 29, "up to 28");
    cannot(at_opset(13, J(N("Affine", "x", "y"), value(11, "x", 1))), 21, "no such op");
    cannot(J(at_opset(13, relu), F(20, F(2, STR("")))), 21, "training");
    /* another domain is nobody's business */
    raised(at_opset(13, J(N("Affine", "x", "y", T(7, "com.example")), value(11, "x", 1))), 21);
}

static void attributes_to_inputs(void **state) {
    (void)state;
    Model *m = raised(at_opset(12, J(N("Squeeze", "x", "y", attribute_ints("axes", 1, -1),
                                       T(6, "doc"), T(99, "kept")), value(11, "x", 1))), 21);
    const Node *n = last(m);
    assert_null(node_attribute(n, "axes"));
    const Tensor *axes = n->inputs[1]->constant;
    assert_int_equal(axes->rank, 1);
    const int64_t expected[] = {1, -1};
    assert_memory_equal(tensor_bytes(S, axes, S->arena), expected, 16);
    assert_string_equal(n->proto->doc_string, "doc");
    const Layout l = lay_out(m);
    const Str bytes = assemble(&l, 0);
    assert_non_null(memmem(bytes.data, bytes.len, "kept", 4));
    /* ReduceMean follows at 18, not before */
    const Str mean = at_opset(13, J(N("ReduceMean", "x", "y", attribute_ints("axes", 0, 1)),
                                    value(11, "x", 1)));
    assert_non_null(node_attribute(last(raised(mean, 17)), "axes"));
    assert_int_equal(last(raised(mean, 18))->input_count, 2);
    /* no axes: no input */
    assert_int_equal(last(raised(at_opset(12, J(N("Squeeze", "x", "y"), value(11, "x", 1))),
                                 13))->input_count, 1);
    m = raised(at_opset(9, J(N("Slice", "x", "y", attribute_ints("starts", 0, 1),
                               attribute_ints("ends", 2, 3)), value(11, "x", 1))), 21);
    assert_int_equal(last(m)->input_count, 3);
    /* two steps: split becomes an input at 13, num_outputs is asked for at 18 */
    m = raised(at_opset(11, J(N("Split", "x", "y z"), value(11, "x", 1))), 21);
    assert_int_equal(node_int(last(m), "num_outputs", 0), 2);
    m = raised(at_opset(11, J(N("Split", "x", "y z", attribute_ints("split", 1, 2)),
                              value(11, "x", 1))), 21);
    assert_int_equal(last(m)->input_count, 2);
    assert_null(node_attribute(last(m), "num_outputs"));
}

static void scalars_of_a_type(void **state) {
    (void)state;
    const Str clip = N("Clip", "x", "y", attribute_float("min", -1), attribute_float("max", 6));
    Model *m = raised(at_opset(10, J(clip, value(11, "x", 1))), 21);
    assert_int_equal(m->main->nodes.len, 1);
    assert_int_equal(last(m)->inputs[1]->constant->type, 1);
    assert_int_equal(last(m)->inputs[1]->constant->rank, 0);
    m = raised(at_opset(10, J(clip, value(11, "x", 10))), 21);
    assert_int_equal(m->main->nodes.len, 3);
    assert_str(m->main->nodes.at[0]->op, "Cast");
    assert_int_equal(node_int(m->main->nodes.at[0], "to", 0), 10);
    const Str unknown = at_opset(10, J(N("Relu", "x", "r"), N("Clip", "r", "y",
                                                              attribute_float("max", 6)),
                                       value(11, "x", 1)));
    m = raised(unknown, 21);
    assert_str(m->main->nodes.at[1]->op, "CastLike");
    assert_int_equal(last(m)->input_count, 3);
    assert_null(last(m)->inputs[1]);
    cannot(unknown, 13, "of what type");
    /* the bounds that bound nothing go */
    m = raised(at_opset(10, J(N("Clip", "x", "y", attribute_float("min", -3.4028234663852886e38f)),
                              value(11, "x", 1))), 21);
    assert_int_equal(last(m)->input_count, 1);
}

static void softmax(void **state) {
    (void)state;
    const Str flat = N("Softmax", "x", "y", attribute_int("axis", 1));
    Model *m = raised(at_opset(12, J(flat, shaped(11, "x", 1, "23"))), 21);
    assert_int_equal(m->main->nodes.len, 1);
    assert_int_equal(node_int(last(m), "axis", 0), -1);
    m = raised(at_opset(12, J(flat, shaped(11, "x", 1, "234"))), 21);
    assert_int_equal(m->main->nodes.len, 4);
    assert_str(last(m)->op, "Reshape");
    assert_str(last(m)->outputs[0]->name, "y");
    assert_int_equal(node_int(last(m), "allowzero", 0), 1);
    assert_null(node_attribute(last(raised(at_opset(12, J(flat, value(11, "x", 1))), 13)),
                               "allowzero"));
    assert_int_equal(m->main->nodes.at[1]->inputs[0]->uses.len, 2); /* Shape and Flatten read x */
}

static void images(void **state) {
    (void)state;
    const Str x = value(11, "x", 1), w = F(5, tensor("s", 4)); /* scales 0, 1, 2, 3: it shrinks */
    const Str scales = F(5, J(T(1, "scales"), F(7, raw("\0\0\x80\x3f\0\0\0\x40", 8)), I(20, 6)));
    Model *m = raised(at_opset(8, J(N("Upsample", "x", "y", scales), x)), 21);
    assert_str(last(m)->op, "Resize");
    assert_null(last(m)->inputs[1]);
    assert_int_equal(last(m)->inputs[2]->constant->count, 2);
    assert_int_equal(m->ir_version, 10);
    m = raised(at_opset(8, J(N("Upsample", "x", "y", scales), x)), 9);
    assert_str(last(m)->op, "Upsample");
    assert_int_equal(last(m)->input_count, 2);
    m = raised(at_opset(8, J(N("Upsample", "x", "y", scales), x)), 11);
    assert_int_equal(last(m)->inputs[1]->constant->count, 0); /* roi had to be there */
    cannot(at_opset(10, J(N("Resize", "x s", "y"), x, w)), 11, "shrinks");
    cannot(at_opset(11, J(N("Resize", "x s s", "y",
                            F(5, J(T(1, "coordinate_transformation_mode"),
                                   T(4, "tf_half_pixel_for_nn"), I(20, 3)))), x, w)), 13,
           "tf_half_pixel_for_nn");
    const Str none = F(5, J(I(1, 0), I(2, 1), T(8, "none")));
    m = raised(at_opset(11, J(N("Resize", "x none none s", "y"), x, w, none)), 18);
    assert_null(last(m)->inputs[1]);
    assert_null(last(m)->inputs[2]);
    assert_non_null(last(m)->inputs[3]);
}

static void refusals(void **state) {
    (void)state;
    const Str x = value(11, "x", 1);
    cannot(at_opset(8, J(N("Scan", "- x", "y", attribute_graph("body", STR(""))), x)), 21,
           "sequence_lens");
    cannot(at_opset(8, J(N("BatchNormalization", "x x x x x", "y", attribute_int("spatial", 0)),
                         x)), 21, "spatial");
    cannot(at_opset(9, J(N("BatchNormalization", "x x x x x", "y m"), x, value(12, "m", 1))), 21,
           "training");
    assert_int_equal(last(raised(at_opset(9, J(N("BatchNormalization", "x x x x x", "y m"), x)),
                                 21))->output_count, 1);
    cannot(at_opset(11, J(N("Dropout", "x", "y m"), x, value(12, "m", 9))), 21, "mask");
    cannot(at_opset(9, J(N("Erf", "i", "y"), value(11, "i", 6))), 21, "integers");
    cannot(at_opset(18, J(N("GroupNormalization", "x x x", "y", attribute_int("num_groups", 2)),
                          x)), 21, "how many channels");
    /* each op once, all ops */
    Model *m = good(at_opset(9, J(N("Erf", "i", "a"), N("Erf", "i", "b"), N("Foo", "i", "c"),
                                  value(11, "i", 6))));
    assert_false(model_upgrade(S, m, 21));
    assert_int_equal(S->diags.errors, 2);
    /* an op that holds a graph it should not have is refused, not rewritten without it */
    S->diags.all.len = S->diags.errors = 0;
    cannot(at_opset(12, J(N("Squeeze", "x", "y", attribute_ints("axes", 0, 1),
                            attribute_graph("odd", STR(""))), x)), 21, "holds graphs");
}

static void everywhere(void **state) {
    (void)state;
    const Str squeeze = N("Squeeze", "x", "b", attribute_ints("axes", 0, 1));
    const Str f = F(25, J(T(1, "f"), T(10, "d"), words(4, "a"), words(5, "r"), F(9, opset("", 11)),
                          node_(7, "Unsqueeze", "a", "r", attribute_ints("axes", 0, 1))));
    Model *m =
        raised(J(f, at_opset(12, J(N("If", "c", "q", attribute_graph("then_branch", squeeze)),
                                   value(11, "x", 1), value(11, "c", 9)))),
               21);
    assert_int_equal(m->graphs.at[1]->nodes.at[0]->input_count, 2);
    assert_int_equal(m->graphs.at[1]->initializers.len, 1);
    const Graph *function = m->graphs.at[2];
    assert_str(function->nodes.at[0]->op, "Constant");
    assert_non_null(function->nodes.at[1]->inputs[1]->constant);
    assert_int_equal(function->function_proto->opset_import[0]->version, 21);
    /* attributes that come from the caller cannot become constants */
    const Str g = F(25, J(T(1, "g"), T(10, "d"), words(4, "a"), words(6, "ax"), F(9, opset("", 11)),
                          node_(7, "Unsqueeze", "a", "r",
                                F(5, J(T(1, "axes"), T(21, "ax"), I(20, 7))))));
    cannot(J(g, at_opset(12, value(11, "x", 1))), 21, "attribute of its function");
    const Str newer = F(25, J(T(1, "h"), T(10, "d"), F(9, opset("", 24))));
    cannot(J(newer, at_opset(12, value(11, "x", 1))), 21, "newer than 21");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(table), TEST(versions), TEST(attributes_to_inputs), TEST(scalars_of_a_type),
        TEST(softmax), TEST(images), TEST(refusals), TEST(everywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
