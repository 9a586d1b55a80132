/* data_passes: how values are cut into passes by what fits, by level behind encoded layers, with
 * what is small along the way; observations of one value stay together. */
#include "compiler/data_passes.h"
#include "tests/unit/world.h"

/* Five products one behind the other; Gram matrices of 8 KiB (32 x 32) each, of 2 KiB the last. */
static const char model[] =
    "opset 21\ninput x float 4 32\noutput y float 4 16\noutput s float 4 32\n"
    "weight w0 float 32 32\nweight w1 float 32 32\nweight wk float 32 32\nweight w2 float 32 16\n"
    "weight w3 float 16 16\nMatMul x w0 -> a /a/MatMul\nMatMul a w1 -> b /b/MatMul\n"
    "MatMul a wk -> k /k/MatMul\nAdd b k -> s /sum/Add\nMatMul b w2 -> c /c/MatMul\n"
    "MatMul c w3 -> y /d/MatMul\n";

#define DATA "data d = random(samples = 2)\ncalibrate(data = d)\n"
#define GPTQ DATA "on linear { quantize(weight = int8 per channel, round = gptq) }\n"

typedef struct Cut {
    World w;
    ObservationList seen;
    DataPasses passes;
} Cut;

static Cut cut(const char *recipe, uint64_t budget, bool encoded) {
    Cut c = {.w = world_text(model), .passes = {.budget = budget}};
    if (!world_bind(&c.w, recipe)) {
        fail_msg("%s", unit_diags(c.w.s));
    }
    c.seen = observations(c.w.plan, c.w.s->arena);
    for (size_t i = 0; i < c.seen.len; i++) {
        c.seen.at[i].pass = -1;
    }
    data_passes(&c.passes, &c.seen, encoded, c.w.s->arena);
    return c;
}

/* "x:0 a:1 ...": values and their passes, in the order of observations. */
static void expect_cut(const char *recipe, uint64_t budget, bool encoded, const char *expected,
                       const char *words) {
    Cut c = cut(recipe, budget, encoded);
    Buf b = buf_on(c.w.s->arena);
    size_t values = 0;
    for (size_t i = 0; i < c.seen.len; i++) {
        buf_printf(&b, "%s%.*s:%d", i ? " " : "", STR_ARG(c.seen.at[i].name), c.seen.at[i].pass);
    }
    assert_string_equal(b.data, expected);
    for (size_t i = 0; i < c.passes.all.len; i++) {
        values += c.passes.all.at[i].values;
    }
    assert_int_equal(values, c.seen.len);
    Buf said = buf_on(c.w.s->arena);
    data_passes_print(&c.passes, encoded, &said);
    assert_string_equal(said.data, words);
    world_close(&c.w);
}

static void by_what_fits(void **state) {
    (void)state;
    expect_cut(GPTQ, 1 << 20, false, "x:0 a:0 b:0 c:0", "one pass over the data");
    expect_cut(GPTQ, 26 << 10, false, "x:0 a:0 b:0 c:0", "one pass over the data");
    expect_cut(GPTQ, (26 << 10) - 1, false, "x:0 a:0 b:0 c:1",
               "2 passes over the data: Gram matrices of 26.0 KiB, at most 24.0 KiB at a time");
    expect_cut(GPTQ, 16 << 10, false, "x:0 a:0 b:1 c:1",
               "2 passes over the data: Gram matrices of 26.0 KiB, at most 16.0 KiB at a time");
    expect_cut(GPTQ, 1, false, "x:0 a:1 b:2 c:3",
               "4 passes over the data: Gram matrices of 26.0 KiB, at most 8.0 KiB at a time");
}

/* Ranges come along in the first pass that reaches them, and take no room. */
static void what_is_small(void **state) {
    (void)state;
    expect_cut(DATA "on linear { quantize(weight = int8 per channel, input = int8) }", 1, false,
               "x:0 a:0 b:0 c:0", "one pass over the data");
    expect_cut(DATA "on \"a\" | \"c\" { quantize(weight = int8 per channel, round = gptq) }\n"
                    "on \"b\" | \"d\" { quantize(weight = int8 per channel, input = int8) }",
               1, false, "x:0 b:1 a:1 c:1",
               "2 passes over the data: Gram matrices of 16.0 KiB, at most 8.0 KiB at a time");
}

static void by_level(void **state) {
    (void)state;
    const char *behind = ", each behind the layers that are encoded by then";
    char words[100];
    snprintf(words, sizeof words, "4 passes over the data%s", behind);
    expect_cut(GPTQ, 1 << 20, true, "x:0 a:1 b:2 c:3", words);
    expect_cut(GPTQ, 1, true, "x:0 a:1 b:2 c:3", words);
    expect_cut(DATA "on linear { quantize(weight = int8 per channel, input = int8) }", 1, true,
               "x:0 a:1 b:2 c:3", words);
}

/* A weight that takes the factors of a later value in is rounded when both are seen. */
static void with_what_takes_factors_in(void **state) {
    (void)state;
    expect_cut(DATA "on linear { awq; quantize(weight = int8 per channel, round = gptq) }", 1,
               false, "x:0 a:0 b:1 c:1",
               "2 passes over the data: Gram matrices of 26.0 KiB, at most 16.0 KiB at a time");
    expect_cut(DATA "on linear { awq(fold = never); quantize(weight = int8 per channel) }", 1,
               false, "x:0 a:1 b:2 c:3",
               "4 passes over the data: Gram matrices of 26.0 KiB, at most 8.0 KiB at a time");
    expect_cut("data d = random(samples = 2)\ncalibrate(data = d, observe = encoded)\n"
               "on linear { awq; quantize(weight = int8 per channel, round = gptq) }",
               1, true, "x:0 a:1 b:2 c:3",
               "4 passes over the data, each behind the layers that are encoded by then");
}

/* Whoever has a pass already keeps it; new ones are numbered behind those that are there. */
static void some_are_measured(void **state) {
    (void)state;
    Cut c = cut(GPTQ, 1 << 20, false);
    c.seen.at[0].pass = 0;
    for (size_t i = 1; i < c.seen.len; i++) {
        c.seen.at[i].pass = -1;
    }
    data_passes(&c.passes, &c.seen, false, c.w.s->arena);
    assert_int_equal(c.passes.all.len, 2);
    assert_int_equal(c.seen.at[0].pass, 0);
    for (size_t i = 1; i < c.seen.len; i++) {
        assert_int_equal(c.seen.at[i].pass, 1);
    }
    assert_int_equal(c.passes.all.at[1].values, 3);
    assert_int_equal(c.passes.all.at[1].bytes, 18 << 10);
    world_close(&c.w);
}

static void the_budget(void **state) {
    (void)state;
    Session *s = session_open(&sys_real);
    assert_int_equal(data_passes_budget(s, 12345), 12345);
    assert_true(data_passes_budget(s, 0) >= 1 << 20);
    session_close(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_what_fits), cmocka_unit_test(what_is_small),
        cmocka_unit_test(by_level),     cmocka_unit_test(some_are_measured),
        cmocka_unit_test(the_budget),   cmocka_unit_test(with_what_takes_factors_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
