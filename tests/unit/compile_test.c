/* lower, apply, receipt, data_name and compile on the small test models: plans are made by hand
 * here, so that nothing depends on the language. What the codes are worth is checked elsewhere
 * (kernels_test, e2e); here, that the right tensors, nodes and names come out, and that failures
 * leave nothing behind. */
#include "tests/unit/unit.h"
#include "compiler/compile.h"
#include "compiler/transform.h"
#include "tests/unit/tiny_model.h"
#include <dirent.h>

/* ---- plans by hand */
typedef struct Wish {
    const char *format; /* NULL: none */
    KernelGranule granule;
    int64_t block;
    const char *scale;  /* NULL: float */
    bool super;
    KernelPrune prune;
    const char *emit;
    bool external, float_weights;
    const char *only;   /* path of the only layer; NULL: all linear and conv layers */
} Wish;

static Step *make_step(Session *s, const Schema *schema) {
    Step *step = arena_new(s->arena, Step);
    step->schema = schema;
    return step;
}

static const Step *make_emit(Session *s, const Wish *wish) {
    static const Param params[] = {{.name = "weights"}, {.name = "external"}, {.name = NULL}};
    Schema *schema = arena_new(s->arena, Schema);
    *schema = (Schema){.name = wish->emit ? wish->emit : "qdq", .params = params};
    Step *step = make_step(s, schema);
    Value *weights = arena_new(s->arena, Value), *external = arena_new(s->arena, Value);
    weights->text = wish->float_weights ? STR("float") : STR("encoded");
    external->flag = wish->external;
    vec_push(s->arena, &step->args, (BoundArg){.param = &params[0], .value = weights});
    vec_push(s->arena, &step->args, (BoundArg){.param = &params[1], .value = external});
    return step;
}

static void plan_one(Session *s, Plan *plan, const Layer *layer, const Rule *rule,
                     const Wish *wish) {
    PlanLayer p = {.layer = layer, .tie = -1, .stream = -1, .tensor = -1};
    p.owner[0].rule = p.owner[1].rule = rule;
    p.prune = wish->prune;
    p.keep = 2;
    p.group = 4;
    p.fraction = 0.5;
    if (wish->format) {
        p.quantized = true;
        p.format.element = format_find(wish->format, strlen(wish->format));
        assert_non_null(p.format.element);
        p.format.granule = wish->granule;
        bool block = wish->granule == GRANULE_BLOCK;
        p.format.axis = block ? layer->reduce_axis : layer->channel_axis;
        p.format.block = wish->block;
        p.format.tail_short = true;
        p.format.super = wish->super;
        if (wish->scale) {
            p.format.scale = format_find(wish->scale, strlen(wish->scale));
        }
    }
    vec_push(s->arena, &plan->layers_planned, p);
}

static Plan *make_plan(Session *s, Model *model, const Wish *wish) {
    Plan *plan = arena_new(s->arena, Plan);
    Recipe *recipe = arena_new(s->arena, Recipe);
    Rule *rule = arena_new(s->arena, Rule);
    recipe->source = source_make(s->arena, STR("r.mor"), STR("on linear { quantize }"), true);
    recipe->emit = make_emit(s, wish);
    vec_push(s->arena, &rule->steps, make_step(s, &transform_prune.schema));
    vec_push(s->arena, &rule->steps, make_step(s, &transform_quantize.schema));
    plan->recipe = recipe;
    plan->layers = layers_index(s, model);
    for (size_t i = 0; i < plan->layers->all.len; i++) {
        const Layer *layer = &plan->layers->all.at[i];
        bool chosen = wish->only ? str_is(layer->path, wish->only)
                                 : (layer->roles & (ROLE_LINEAR | ROLE_CONV)) != 0;
        if (chosen && layer->weight && !layer->encoded && type_is_float(layer->weight->type)) {
            plan_one(s, plan, layer, rule, wish);
        }
    }
    return plan;
}

/* ---- one run */
typedef struct Run {
    Session *s;
    Model *model;
    Plan *plan;
    Compiled *compiled;
    LayerResult *results;
    RunReport report;
} Run;

static bool run_compile(Run *run, const char *model, const Wish *wish, const char *dump, Buf *out) {
    run->s = session_open(&sys_real);
    run->s->threads = 2;
    run->model = model_open(run->s, str_from(model));
    if (!run->model) {
        return false;
    }
    run->plan = make_plan(run->s, run->model, wish);
    CompileOptions options = {.dump = str_from(dump), .dump_out = out, .data_stem = STR("out.mor")};
    return compile(run->s, run->plan, &options, &run->compiled);
}

static bool run_write(Run *run, const char *path) {
    run->results = arena_many(run->s->arena, LayerResult, run->plan->layers_planned.len + 1);
    return compiled_execute(run->s, run->compiled, NULL, str_from(path), run->results, &run->report) &&
           compiled_commit(run->s, run->compiled, str_from(path), &run->report);
}

static void run_close(Run *run) {
    if (run->model) {
        model_close(run->model);
    }
    session_close(run->s);
}

static void describe_tensor(Buf *out, const Tensor *t) {
    buf_printf(out, "%.*s %s[", STR_ARG(t->name), type_name(t->type));
    for (int i = 0; i < t->rank; i++) {
        buf_printf(out, "%s%lld", i ? "," : "", (long long)t->dims[i]);
    }
    buf_printf(out, "]\n");
}

/* Opset, nodes with their inputs, initializers of every graph: what an output is asked about. */
static const char *describe(Session *s, const Model *model) {
    Buf out = buf_on(s->arena);
    buf_printf(&out, "opset %lld\n", (long long)model->opset);
    for (size_t g = 0; g < model->graphs.len; g++) {
        const Graph *graph = model->graphs.at[g];
        for (size_t i = 0; i < graph->nodes.len; i++) {
            const Node *node = graph->nodes.at[i];
            buf_printf(&out, "%zu %.*s", g, STR_ARG(node->op));
            for (int k = 0; k < node->input_count; k++) {
                Str name = node->inputs[k] ? node->inputs[k]->name : STR("_");
                buf_printf(&out, " %.*s", STR_ARG(name));
            }
            buf_char(&out, '\n');
        }
        for (size_t i = 0; i < graph->initializers.len; i++) {
            describe_tensor(&out, graph->initializers.at[i]);
        }
    }
    return out.data;
}

/* Compiles the text of a model with a wish and describes what was written; asserts success. */
static char *outcome(const char *text, const Wish *wish) {
    char *directory = unit_directory(), in[4200], path[4200];
    snprintf(in, sizeof in, "%s/m.onnx", directory);
    snprintf(path, sizeof path, "%s/out.onnx", directory);
    tiny_model_write(in, text);
    Run run = {.s = NULL};
    if (!run_compile(&run, in, wish, "", NULL) || !run_write(&run, path)) {
        fail_msg("%s", unit_diags(run.s));
    }
    run_close(&run);
    Session *s = session_open(&sys_real);
    Model *model = model_open(s, str_from(path));
    if (!model) {
        fail_msg("%s", unit_diags(s));
    }
    char *text_out = strdup(describe(s, model));
    model_close(model);
    session_close(s);
    unit_remove(directory);
    return text_out;
}

static void expect_outcome(const char *text, const Wish *wish, const char *expected) {
    char *got = outcome(text, wish);
    if (!strstr(got, expected)) {
        fail_msg("expected\n%s\ngot\n%s", expected, got);
    }
    free(got);
}

#define ONE                                                                                        \
    "opset 21\ninput x float 2 64\noutput y float 2 32\nweight w float 64 32\n"                   \
    "MatMul x w -> y /fc/MatMul\n"

static void a_weight_goes_behind_dequantizelinear(void **state) {
    (void)state;
    expect_outcome(ONE, &(Wish){.format = "int8", .granule = GRANULE_CHANNEL},
                   "opset 21\n0 DequantizeLinear w_q w_scale\n0 MatMul x w_dq\n");
    expect_outcome(ONE, &(Wish){.format = "uint4", .granule = GRANULE_BLOCK, .block = 32},
                   "0 DequantizeLinear w_q w_scale w_zp\n0 MatMul x w_dq\n");
    expect_outcome(ONE, &(Wish){.format = "int8", .float_weights = true},
                   "0 QuantizeLinear w w_scale\n0 DequantizeLinear w_q w_scale\n0 MatMul x w_dq\n");
}

static void the_encoded_tensors_replace_the_weight(void **state) {
    (void)state;
    char *got = outcome(ONE, &(Wish){.format = "int4", .granule = GRANULE_BLOCK, .block = 16});
    assert_non_null(strstr(got, "w_scale float32[4,32]\n"));
    assert_non_null(strstr(got, "w_q int4[64,32]\n"));
    assert_null(strstr(got, "w float32"));
    free(got);
}

static void pruning_alone_changes_no_node(void **state) {
    (void)state;
    char *got = outcome(ONE, &(Wish){.prune = PRUNE_NM});
    assert_string_equal(got, "opset 21\n0 MatMul x w\nw float32[64,32]\n");
    free(got);
}

static void matmulnbits_replaces_the_product(void **state) {
    (void)state;
    const Wish wish = {.format = "int4", .granule = GRANULE_BLOCK, .block = 32, .emit = "ort"};
    expect_outcome(ONE, &wish, "0 MatMulNBits x w_q w_scale\n");
    expect_outcome("opset 21\ninput x float 2 64\noutput y float 2 32\nweight w float 32 64\n"
                   "weight b float 32\nGemm x w b -> y /fc/Gemm transB=1\n",
                   &wish, "0 MatMulNBits x w_q w_scale _ _ b\n");
    expect_outcome("opset 21\ninput x float 2 64\noutput y float 2 32\nweight w float 32 64\n"
                   "weight b float 1 32\nGemm x w b -> y /fc/Gemm transB=1\n",
                   &wish, "0 MatMulNBits x w_q w_scale\n0 Add w_product b\n");
}

#define TIED                                                                                       \
    "opset 21\ninput x float 2 32\noutput y float 2 32\nweight w float 32 32\n"                   \
    "MatMul x w -> a /a/MatMul\nMatMul a w -> b /b/MatMul\n"

static void a_tied_weight_is_encoded_once(void **state) {
    (void)state;
    char *got = outcome(TIED "Relu b -> y\n", &(Wish){.format = "int8"});
    assert_string_equal(got, "opset 21\n0 DequantizeLinear w_q w_scale\n0 MatMul x w_dq\n"
                             "0 MatMul a w_dq\n0 Relu b\nw_scale float32[]\nw_q int8[32,32]\n");
    free(got);
}

static void other_readers_keep_the_float_weight(void **state) {
    (void)state;
    char *got = outcome(TIED "Add b w -> y\n", &(Wish){.format = "int8", .only = "a"});
    assert_non_null(strstr(got, "MatMul x w_dq\n0 MatMul a w\n0 Add b w\n"));
    assert_non_null(strstr(got, "w float32[32,32]\n"));
    free(got);
    got = outcome(TIED "Add b w -> y\n", &(Wish){.prune = PRUNE_RATIO});
    assert_non_null(strstr(got, "MatMul x w_pruned\n0 MatMul a w_pruned\n0 Add b w\n"));
    free(got);
}

static void weights_in_constants_and_bodies(void **state) {
    (void)state;
    expect_outcome("opset 21\ninput x float 2 64\noutput y float 2 32\n"
                   "Constant -> w value=float:64,32\nMatMul x w -> y /fc/MatMul\n",
                   &(Wish){.format = "int8"}, "0 DequantizeLinear w_q w_scale\n0 MatMul x w_dq\n");
}

/* ---- files */
static void write_with_threads(const char *model, const char *path, const Wish *wish, int threads) {
    Run run = {.s = NULL};
    if (!run_compile(&run, model, wish, "", NULL)) {
        fail_msg("%s", unit_diags(run.s));
    }
    run.s->threads = threads;
    if (!run_write(&run, path)) {
        fail_msg("%s", unit_diags(run.s));
    }
    run_close(&run);
}

static void threads_change_no_byte(void **state) {
    (void)state;
    char *directory = unit_directory(), in[4200], one[4200], many[4200];
    snprintf(in, sizeof in, "%s/m.onnx", directory);
    snprintf(one, sizeof one, "%s/one.onnx", directory);
    snprintf(many, sizeof many, "%s/many.onnx", directory);
    tiny_model_write(in, ONE);
    const Wish wish = {.format = "int4", .granule = GRANULE_BLOCK, .block = 16, .prune = PRUNE_NM};
    write_with_threads(in, one, &wish, 1);
    write_with_threads(in, many, &wish, 5);
    size_t a_size, b_size;
    char *a = unit_read(one, &a_size), *b = unit_read(many, &b_size);
    assert_int_equal(a_size, b_size);
    assert_memory_equal(a, b, a_size);
    free(a);
    free(b);
    unit_remove(directory);
}

static int files_in(const char *directory, char *data_name, size_t size) {
    DIR *d = opendir(directory);
    int count = 0;
    for (struct dirent *e; (e = readdir(d));) {
        count += e->d_name[0] != '.' || strlen(e->d_name) > 2;
        if (strstr(e->d_name, ".data-")) {
            snprintf(data_name, size, "%s", e->d_name);
        }
    }
    closedir(d);
    return count;
}

static void a_data_file_is_named_by_its_bytes(void **state) {
    (void)state;
    char *directory = unit_directory(), in[4200], path[4200], first[300] = "", second[300] = "";
    snprintf(in, sizeof in, "%s/m.onnx", directory);
    snprintf(path, sizeof path, "%s/out.onnx", directory);
    tiny_model_write(in, ONE);
    const Wish wish = {.format = "int8", .external = true};
    write_with_threads(in, path, &wish, 1);
    assert_int_equal(files_in(directory, first, sizeof first), 3);
    write_with_threads(in, path, &wish, 2);
    assert_int_equal(files_in(directory, second, sizeof second), 3);
    assert_string_equal(first, second);
    assert_null(strchr(first, '#'));
    Session *s = session_open(&sys_real);
    Model *model = model_open(s, str_from(path)); /* finds its data file under that name */
    assert_non_null(model);
    assert_int_equal(model->data_files.len, 1);
    model_close(model);
    session_close(s);
    unit_remove(directory);
}

static void a_weight_that_is_not_finite_stops_the_run(void **state) {
    (void)state;
    char *directory = unit_directory(), in[4200], path[4200], none[300];
    snprintf(in, sizeof in, "%s/m.onnx", directory);
    snprintf(path, sizeof path, "%s/out.onnx", directory);
    tiny_model_write(in, ONE);
    size_t size = 0;
    char *bytes = unit_read(in, &size);
    for (size_t i = 0; i + 64 * 32 * 4 < size; i++) { /* the payload is the only run of zeros */
        if (memcmp(bytes + i, (char[1024]){0}, 1024) == 0) {
            memcpy(bytes + i + 5 * 4, (unsigned char[]){0, 0, 0xc0, 0x7f}, 4);
            break;
        }
    }
    unit_write(in, bytes, size);
    free(bytes);
    Run run = {.s = NULL};
    assert_true(run_compile(&run, in, &(Wish){.format = "int8"}, "", NULL));
    assert_false(run_write(&run, path));
    assert_non_null(strstr(unit_diags(run.s), "E1013"));
    assert_non_null(strstr(unit_diags(run.s), "1 of its 2048 values is"));
    run_close(&run);
    assert_int_equal(files_in(directory, none, sizeof none), 1);
    unit_remove(directory);
}

static void discarding_leaves_nothing(void **state) {
    (void)state;
    char *directory = unit_directory(), in[4200], path[4200], none[300];
    snprintf(in, sizeof in, "%s/m.onnx", directory);
    snprintf(path, sizeof path, "%s/out.onnx", directory);
    tiny_model_write(in, ONE);
    Run run = {.s = NULL};
    assert_true(run_compile(&run, in, &(Wish){.format = "int8", .external = true}, "", NULL));
    run.results = arena_many(run.s->arena, LayerResult, 2);
    assert_true(compiled_execute(run.s, run.compiled, NULL, str_from(path), run.results, &run.report));
    assert_true(run.results[0].metrics.count == 64 * 32);
    compiled_discard(run.compiled);
    run_close(&run);
    assert_int_equal(files_in(directory, none, sizeof none), 1);
    unit_remove(directory);
}

static void every_stage_can_be_dumped(void **state) {
    (void)state;
    char *directory = unit_directory(), in[4200];
    snprintf(in, sizeof in, "%s/m.onnx", directory);
    tiny_model_write(in, ONE);
    static const char *const names[] = {"ir",  "shape", "legal", "fold",  "dedupe",
                                        "ort", "qdq",   "fuse",  "order", "schedule"};
    Session *s = session_open(&sys_real);
    Buf listed = buf_on(s->arena);
    compile_dump_names(&listed);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        Run run = {.s = NULL};
        Buf out = buf_on(s->arena);
        assert_true(run_compile(&run, in, &(Wish){.format = "int8"}, names[i], &out));
        assert_non_null(strstr(out.data, "\"w\""));
        assert_non_null(strstr(listed.data, names[i]));
        run_close(&run);
    }
    session_close(s);
    unit_remove(directory);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_weight_goes_behind_dequantizelinear),
        cmocka_unit_test(the_encoded_tensors_replace_the_weight),
        cmocka_unit_test(pruning_alone_changes_no_node),
        cmocka_unit_test(matmulnbits_replaces_the_product),
        cmocka_unit_test(a_tied_weight_is_encoded_once),
        cmocka_unit_test(other_readers_keep_the_float_weight),
        cmocka_unit_test(weights_in_constants_and_bodies),
        cmocka_unit_test(threads_change_no_byte),
        cmocka_unit_test(a_data_file_is_named_by_its_bytes),
        cmocka_unit_test(a_weight_that_is_not_finite_stops_the_run),
        cmocka_unit_test(discarding_leaves_nothing),
        cmocka_unit_test(every_stage_can_be_dumped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
