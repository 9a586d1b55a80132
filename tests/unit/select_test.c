/* Selectors on small models: every kind of leaf and operator, filters over every attribute, what is
 * said when nothing matches, regexes that match too much. */
#include "tests/unit/world.h"
#include "compiler/names.h"

/* Two blocks of q, k, v -> product -> o -> up, down; then a head. "." names keep blocks apart. */
#define BLOCK(i, in, out)                                                                          \
    "MatMul " in " wq -> q" i " /layers." i "/attn/q_proj/MatMul\n"                                \
    "Add q" i " bias -> qb" i " /layers." i "/attn/q_proj/Add\n"                                   \
    "MatMul " in " wq -> k" i " /layers." i "/attn/k_proj/MatMul\n"                                \
    "MatMul qb" i " k" i " -> s" i " /layers." i "/attn/scores/MatMul\n"                           \
    "MatMul s" i " wo -> o" i " /layers." i "/attn/o_proj/MatMul\n"                                \
    "MatMul o" i " wu -> u" i " /layers." i "/mlp/up_proj/MatMul\n"                                \
    "Relu u" i " -> r" i " /layers." i "/mlp/act/Relu\n"                                           \
    "MatMul r" i " wd -> " out " /layers." i "/mlp/down_proj/MatMul\n"

static const char decoder[] =
    "opset 21\ninput x float 8 8\noutput y float 8 32\n"
    "weight wq float 8 8\nweight wo float16 8 8\nweight wu float 8 16\n"
    "weight wd float 16 8\nweight wh float 8 32\nweight bias float 8\n" BLOCK("0", "x", "h0")
        BLOCK("1", "h0", "h1") "MatMul h1 wh -> y /lm_head/MatMul\n";

static const char twelve_layers[] =
    "input x float 8 8\noutput y float 8 8\nweight w float 8 8\n"
    "MatMul x w -> a0 /m/layers.0/up/MatMul\nMatMul a0 w -> a1 /m/layers.1/up/MatMul\n"
    "MatMul a1 w -> a2 /m/layers.1/down/MatMul\nMatMul a2 w -> a3 /m/layers.2/up/MatMul\n"
    "MatMul a3 w -> a4 /m/layers.10/up/MatMul\nMatMul a4 w -> a5 /m/layers.10/down/MatMul\n"
    "MatMul a5 w -> y /m/layers.11/up/MatMul\n";

static int open_decoder(void **state) {
    World *w = malloc(sizeof *w);
    *w = world_text(decoder);
    *state = w;
    return 0;
}

static int close_decoder(void **state) {
    world_close(*state);
    free(*state);
    return 0;
}

static bool evaluate(World *w, const char *selector, LayerSet *set) {
    diags_clear(&w->s->diags);
    Str text = str_format(w->s->arena, "on %s { skip }", selector);
    const Recipe *recipe = world_recipe(w, str_c(w->s->arena, text));
    return select_rule(w->s, w->layers, &recipe->stages.at[0].rules.at[0], set);
}

/* The paths of a selector's layers, with their op where it is not MatMul. */
static void check(World *w, const char *selector, const char *expected) {
    LayerSet set;
    if (!evaluate(w, selector, &set)) {
        fail_msg("%s: %s", selector, unit_diags(w->s));
    }
    Buf text = buf_on(w->s->arena);
    for (size_t i = 0; i < w->layers->all.len; i++) {
        const Layer *layer = &w->layers->all.at[i];
        if (set.has[i]) {
            bool product = str_is(layer->node->op, "MatMul");
            buf_printf(&text, "%s%.*s%s%.*s", text.len ? " " : "", STR_ARG(layer->path),
                       product ? "" : ":", product ? 0 : (int)layer->node->op.len,
                       layer->node->op.data);
        }
    }
    if (strcmp(buf_view(&text).len ? text.data : "", expected)) {
        fail_msg("%s gives\n  %s\nnot\n  %s", selector, text.len ? text.data : "", expected);
    }
}

static void refused(World *w, const char *selector, const char *code, const char *saying) {
    LayerSet set;
    assert_false(evaluate(w, selector, &set));
    world_diag(w, code);
    if (!strstr(unit_diags(w->s), saying)) {
        fail_msg("%s does not say \"%s\":\n%s", selector, saying, unit_diags(w->s));
    }
}

static void test_leaves(void **state) {
    World *w = *state;
    check(w, "head", "lm_head");
    check(w, "\"**.q_proj\"",
          "layers.0.attn.q_proj layers.0.attn.q_proj:Add "
          "layers.1.attn.q_proj layers.1.attn.q_proj:Add");
    check(
        w, "\"layers.{0..1}.mlp.{up,down}_proj\"",
        "layers.0.mlp.up_proj layers.0.mlp.down_proj layers.1.mlp.up_proj layers.1.mlp.down_proj");
    check(w, "re\"layers\\.0\\..*_proj\" & MatMul",
          "layers.0.attn.q_proj layers.0.attn.k_proj layers.0.attn.o_proj layers.0.mlp.up_proj "
          "layers.0.mlp.down_proj");
    check(w, "Relu", "layers.0.mlp.act:Relu layers.1.mlp.act:Relu");
    check(w, "op(\"Relu\") & block(1)", "layers.1.mlp.act:Relu");
    check(w, "(block(-1) & linear) - \"**.mlp.*\"",
          "layers.1.attn.q_proj layers.1.attn.k_proj layers.1.attn.o_proj");
    check(w, "\"nothing\"?", "");
    check(w, "linear - (\"nothing\"? | block(0..1))", "lm_head");
}

static void test_algebra(void **state) {
    World *w = *state;
    check(w, "linear & !block(0..1)", "lm_head");
    check(w, "(head | Relu) - block(0)", "layers.1.mlp.act:Relu lm_head");
    check(w, "first(linear)", "layers.0.attn.q_proj");
    check(w, "last(linear, 2)", "layers.1.mlp.down_proj lm_head");
    check(w, "last(\"**.attn.**\", 1)", "layers.1.attn.o_proj"); /* counts layers with a weight */
    LayerSet set;
    assert_true(evaluate(w, "all", &set));
    assert_int_equal(set.count, 17);
    assert_int_equal(set_count(w->layers, &set), 11);
    assert_true(evaluate(w, "Relu", &set));
    assert_int_equal(set_count(w->layers, &set), 2); /* none has a weight: all of them */
}

static void test_edges(void **state) {
    World *w = *state;
    check(w, "siblings(\"layers.1.attn.q_proj\") & linear",
          "layers.1.attn.q_proj layers.1.attn.k_proj");
    check(w, "users(\"layers.0.mlp.down_proj\")", "layers.1.attn.q_proj layers.1.attn.k_proj");
    check(w, "inputs(\"layers.0.attn.scores\")", "layers.0.attn.q_proj:Add layers.0.attn.k_proj");
    check(w, "upstream(\"layers.0.attn.o_proj\") & linear",
          "layers.0.attn.q_proj layers.0.attn.k_proj");
    check(w, "downstream(\"layers.1.mlp.act\")", "layers.1.mlp.down_proj lm_head");
    check(w, "between(\"layers.1.attn.o_proj\", head)",
          "layers.1.mlp.up_proj layers.1.mlp.act:Relu layers.1.mlp.down_proj");
}

static void test_filters(void **state) {
    World *w = *state;
    check(w, "linear[.k == 16]", "layers.0.mlp.down_proj layers.1.mlp.down_proj");
    check(w, "linear[.n >= 2 * .k and .block < 1]", "layers.0.mlp.up_proj lm_head");
    check(w, "linear[.dtype == \"float16\"]", "layers.0.attn.o_proj layers.1.attn.o_proj");
    check(w, "linear[.shape == [8, 32]]", "lm_head");
    check(w, "all[.op == \"Relu\" and .depth == 3]", "layers.0.mlp.act:Relu");
    check(w, "linear[.depth in 1..2 and not (.fanout > 1)]",
          "layers.0.attn.q_proj layers.0.attn.k_proj layers.0.attn.o_proj");
    check(w, "all[.const and .bytes == 512 and .block == 1]",
          "layers.1.mlp.up_proj layers.1.mlp.down_proj");
    check(w, "linear[.name == \"/lm_head/MatMul\" or .params / 3 == 43]", "lm_head");
    check(
        w, "linear[.params % 100 == 28 and .rank == 2 and .opset == 21 and .domain == \"\"]",
        "layers.0.mlp.up_proj layers.0.mlp.down_proj layers.1.mlp.up_proj layers.1.mlp.down_proj");
    check(w, "linear[(if .k > 8 then .n else -.n) == 8]",
          "layers.0.mlp.down_proj layers.1.mlp.down_proj");
    check(w, "linear[.k in [16, 32]] - block(0)", "layers.1.mlp.down_proj");
    refused(w, "linear[8 / (.k - 8) > 0]", "E0304", "division by zero");
}

static void test_nothing_matches(void **state) {
    World *w = *state;
    refused(w, "linear - \"**.lm_haed\"", "E0301", "The built-in `head` finds it without a name.");
    refused(w, "linear - \"**.lm_haed\"", "E0301",
            "as written, lm_head (256 weights, 40% of the model) would be left in float");
    refused(w, "\"**.dwon_proj\"", "E0301", "did you mean \"**.down_proj\"?  (2 layers)");
    refused(w, "\"attn.o_proj\"", "E0301", "did you mean \"**.attn.o_proj\"?");
    refused(w, "\"/layers.0/mlp/up_proj\"", "E0301", "did you mean \"layers.0.mlp.up_proj\"?");
    refused(w, "\"zzz\"", "E0301", "paths of this model look like `layers.0.attn.q_proj`");
    refused(w, "Conv", "E0301", "ops with a weight in this model: MatMul (11)");
    refused(w, "re\"mlp\"", "E0301",
            "a regex must match the whole path; 6 paths have it as a part");
    refused(w, "head & Relu", "E0301", "this rule selects no layer");
    refused(w, "linear[.k > 1000]", "E0301", "this rule selects no layer");
    refused(w, "block(2)", "E0302", "blocks are 0 to 1, or -2 to -1 from the end");
    refused(w, "linear - (\"**.aaaaaa\" | \"**.bbbbbb\")", "E0301", "\"**.bbbbbb\"?");
    assert_int_equal(w->s->diags.errors, 2); /* both at once */
}

static void test_loose_regex(void **state) {
    (void)state;
    World w = world_text(twelve_layers);
    LayerSet set;
    assert_true(evaluate(&w, "re\"m.layers.1.*\"", &set));
    const char *said = unit_diags(&w.s[0]);
    assert_int_equal(w.s->diags.warnings, 1);
    assert_non_null(strstr(said, "this regex also matches layers 10 to 11"));
    assert_non_null(strstr(said, "5 layers: layers.1 (2) and layers.10 - layers.11 (3)"));
    assert_non_null(strstr(said, "the glob \"m.layers.1.**\" matches the 2 layers of layers.1"));
    assert_true(evaluate(&w, "re\"m\\.layers\\.1\\..*\"", &set));
    assert_int_equal(w.s->diags.warnings, 0);
    assert_int_equal(set.count, 2);
    assert_true(evaluate(&w, "re\"m.layers.2.*\"", &set)); /* loose, but nothing more matches */
    assert_int_equal(w.s->diags.warnings, 0);
    world_close(&w);
}

static void test_without_blocks(void **state) {
    (void)state;
    World w = world_text("input x float 8 8\noutput y float 8 8\nweight w float 8 8\n"
                         "MatMul x w -> y /only\n");
    refused(&w, "block(0)", "E0302", "has no repeated blocks");
    check(&w, "block(0)?", "");
    world_close(&w);
}

static void braces(World *w, const char *words, const char *expected) {
    StrList list = {0};
    char *copy = (char *)str_c(w->s->arena, str_from(words));
    for (char *word = strtok(copy, " "); word; word = strtok(NULL, " ")) {
        vec_push(w->s->arena, &list, str_from(word));
    }
    Buf out = buf_on(w->s->arena);
    names_braces(w->s->arena, &list, 2, &out);
    assert_str(buf_view(&out), expected);
}

static void test_names_in_braces(void **state) {
    World *w = *state;
    braces(w, "a.1.b a.2.b a.3.b a.28.b", "a.{1..3,28}.b");
    braces(w, "a.0.q a.0.k a.1.q a.1.k", "a.{0,1}.{q,k}");
    braces(w, "x y", "x, y");
    braces(w, "a.0.q a.1.k b", "a.0.q, a.1.k, ...");
    braces(w, "c.0 c.1 c.01", "c.{0,1}, c.01");
    braces(w, "only", "only");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_leaves),          cmocka_unit_test(test_algebra),
        cmocka_unit_test(test_edges),           cmocka_unit_test(test_filters),
        cmocka_unit_test(test_nothing_matches), cmocka_unit_test(test_loose_regex),
        cmocka_unit_test(test_without_blocks),  cmocka_unit_test(test_names_in_braces),
    };
    return cmocka_run_group_tests(tests, open_decoder, close_decoder);
}
