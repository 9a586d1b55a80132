/* data_wish: a recipe's data and a model's inputs, as runtime/calib takes them. */
#include "compiler/data_wish.h"
#include "tests/unit/world.h"

static const char *const model = "opset 21\n"
                                 "input ids int64 2 8\n"
                                 "input w float 4 4\n"
                                 "input x float 2 4\n"
                                 "weight w float 4 4\n"
                                 "weight table float 50 16\n"
                                 "weight small float 30 16\n"
                                 "Cast ids -> i32 /cast  to=6\n"
                                 "Gather table i32 -> rows /embed\n"
                                 "Gather small ids -> few /types\n"
                                 "MatMul x w -> y /mul\n"
                                 "output rows float 2 8 16\n"
                                 "output few float 2 8 16\n"
                                 "output y float 2 4\n";

static void inputs_are_those_of_the_graph(void **state) {
    (void)state;
    World w = world_text(model);
    size_t count;
    const DataInput *in = data_inputs_of_model(w.s, w.model, &count);
    assert_int_equal(count, 3);
    assert_str(in[0].name, "ids");
    assert_true(in[0].type == 7 && in[0].rank == 2 && in[0].dims[1] == 8);
    assert_int_equal(in[0].limit, 30); /* the smaller of two tables, one of them behind a Cast */
    assert_true(!in[0].optional && in[1].optional && !in[2].optional);
    assert_int_equal(in[2].limit, 0);
    world_close(&w);
    w = world_file(MORC_SOURCE_DIR "/tests/models/pylm-1m/model.onnx");
    in = data_inputs_of_model(w.s, w.model, &count);
    assert_int_equal(count, 1);
    assert_true(in[0].dims[0] == -1 && in[0].limit == 1024);
    assert_str(in[0].dim_names[0], "batch");
    world_close(&w);
}

static DataWish wish_of(World *w, const char *text, Str override) {
    DataWish wish;
    const Recipe *recipe = world_recipe(w, text);
    if (!data_of_recipe(w->s, recipe, recipe->data.at[0], override, &wish)) {
        fail_msg("%s", unit_diags(w->s));
    }
    return wish;
}

static void arguments_become_wishes(void **state) {
    (void)state;
    World w = world_text(model);
    DataWish d =
        wish_of(&w,
                "data c = npz(\"a/b.npz\", samples = 512, batch = 8, shuffle = true, seed = 7)\n"
                "on linear { skip }\n",
                (Str){0});
    assert_str(d.loader, "npz");
    assert_str(d.path, "a/b.npz");
    assert_str(d.base, "");
    assert_str(d.name, "c");
    assert_true(d.samples == 512 && d.batch == 8 && d.shuffle && d.seed == 7);
    d = wish_of(&w, "data c = npy(\"b.npy\")\non linear { skip }\n", STR("/x/y.npy"));
    assert_str(d.path, "/x/y.npy");
    assert_true(d.samples == 0 && d.batch == 0 && !d.shuffle && d.seed == 0);
    d = wish_of(&w, "data c = random(seed = 3, shape = [8, 16])\non linear { skip }\n", (Str){0});
    assert_true(d.samples == 16 && d.batch == 0 && d.seed == 3 && d.shape_count == 2);
    assert_true(d.shape[0] == 8 && d.shape[1] == 16);
    const Recipe *wrong =
        world_recipe(&w, "data c = random(shape = [8, \"x\"])\non linear { skip }\n");
    assert_false(data_of_recipe(w.s, wrong, wrong->data.at[0], (Str){0}, &d));
    world_diag(&w, "E0203");
    world_close(&w);
}

static void paths_are_beside_the_recipe(void **state) {
    (void)state;
    World w = world_text(model);
    const char *text = "data c = npz(\"b.npz\")\non linear { skip }\n";
    const Source *source = source_make(w.s->arena, STR("some/where/r.mor"), str_from(text), true);
    ResolveOptions options = {
        .vocabulary = &morc_vocabulary, .elements = morc_elements, .ops = world_ops};
    Ast *ast = NULL;
    Recipe *recipe = NULL;
    DataWish d;
    assert_true(parse_file(w.s, source, &ast) && resolve(w.s, ast, &options, &recipe));
    assert_true(data_of_recipe(w.s, recipe, recipe->data.at[0], (Str){0}, &d));
    assert_str(d.base, "some/where/");
    assert_str(span_text(d.path_span), "\"b.npz\"");
    assert_true(data_of_recipe(w.s, recipe, recipe->data.at[0], STR("c.npz"), &d));
    assert_str(d.base, "");
    world_close(&w);
}

static const char *none(const char *variable) {
    (void)variable;
    return NULL;
}

static const char *some(const char *variable) {
    return strcmp(variable, "TMPDIR") == 0 ? "/big" : NULL;
}

static void scratch_is_where_it_is_said(void **state) {
    (void)state;
    assert_str(data_scratch(none), "/var/tmp");
    assert_str(data_scratch(some), "/big");
}

static void overrides_are_found(void **state) {
    (void)state;
    World w = world_text(model);
    const Recipe *recipe =
        world_recipe(&w, "data a = npz(\"a.npz\")\ndata b = random()\non linear { skip }\n");
    Args args = {0};
    vec_push(w.s->arena, &args.data, (ParamFlag){STR("a"), STR("x.npz"), NO_SPAN});
    assert_true(data_overrides_check(w.s, &args, recipe));
    assert_str(data_override(&args, STR("a")), "x.npz");
    assert_int_equal(data_override(&args, STR("b")).len, 0);
    vec_push(w.s->arena, &args.data, (ParamFlag){STR("b"), STR("x.npz"), NO_SPAN});
    vec_push(w.s->arena, &args.data, (ParamFlag){STR("ab"), STR("x.npz"), NO_SPAN});
    assert_false(data_overrides_check(w.s, &args, recipe));
    world_diag(&w, "E0203");
    world_diag(&w, "E0201");
    world_close(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inputs_are_those_of_the_graph),
        cmocka_unit_test(arguments_become_wishes),
        cmocka_unit_test(paths_are_beside_the_recipe),
        cmocka_unit_test(scratch_is_where_it_is_said),
        cmocka_unit_test(overrides_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
