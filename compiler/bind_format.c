/* Steps on layers: what `quantize(weight = F)` and `prune(P)` mean for one weight, whether its
 * shape allows it, and how many bytes the result takes. Problems are gathered by step and reported
 * once, with all their layers. */
#include <assert.h>
#include <string.h>
#include "compiler/bind_parts.h"

typedef enum Problem {
    PROBLEM_NONE,
    PROBLEM_BLOCK,     /* E0501: the block does not divide */
    PROBLEM_BLOCK_MAX, /* E0501: no power of two down to 16 divides */
    PROBLEM_NM,        /* E0505: the N:M group does not divide */
    PROBLEM_SCALE,     /* E0506: scales of another float type than the weights */
    PROBLEM_INPUT      /* E0507: what the step needs of the layer's input or shape */
} Problem;

enum { PROBLEMS = PROBLEM_INPUT + 1, SMALLEST_BLOCK = 16 };

/* ---- formats */

static int64_t largest_block(int64_t max, int64_t width) {
    int64_t block = SMALLEST_BLOCK;
    while (block <= max / 2) {
        block *= 2;
    }
    while (block >= SMALLEST_BLOCK && (block > max || width % block)) {
        block /= 2;
    }
    return block >= SMALLEST_BLOCK ? block : 0;
}

/* Floats must be the weights' own type; e4m3 and e8m0 stand over blocks, as resolve has checked. */
static Problem resolve_scale(const FormatValue *f, const Layer *layer, PlanFormat *out) {
    static const struct {
        const char *name;
        int type;
    } floats[] = {{"f32", 1}, {"f16", 10}, {"bf16", 16}};
    int own = layer->weight->type == 11 ? 1 : layer->weight->type;
    for (size_t i = 0; f->scale && i < sizeof floats / sizeof *floats; i++) {
        if (str_is(f->scale->element, floats[i].name)) {
            return floats[i].type == own ? PROBLEM_NONE : PROBLEM_SCALE;
        }
    }
    if (f->scale) {
        out->scale = format_find(f->scale->element.data, f->scale->element.len);
        out->super = str_is(f->scale->element, "e4m3");
        assert(out->scale && out->granule == GRANULE_BLOCK);
    }
    return PROBLEM_NONE;
}

static Problem resolve_block(const FormatValue *f, const Layer *layer, PlanFormat *out) {
    out->granule = GRANULE_BLOCK;
    out->axis = layer->reduce_axis;
    out->tail_short = f->tail_short;
    if (f->block_max) {
        out->block = largest_block(f->block_max, layer->width);
        return out->block ? PROBLEM_NONE : PROBLEM_BLOCK_MAX;
    }
    out->block = f->block;
    bool divides = f->block > 0 && layer->width > 0 && layer->width % f->block == 0;
    return divides || f->tail_short ? PROBLEM_NONE : PROBLEM_BLOCK;
}

/* Resolve has refused what no weight can have: per token, dynamic, two-dimensional blocks, elements
 * that only hold scales. */
static Problem resolve_format(const FormatValue *f, const Layer *layer, PlanFormat *out) {
    *out = (PlanFormat){.written = f};
    out->element = format_find(f->element.data, f->element.len);
    assert(out->element && f->per != PER_TOKEN && !f->dynamic && !f->block_rows);
    Problem problem = PROBLEM_NONE;
    if (f->per == PER_CHANNEL) {
        out->granule = GRANULE_CHANNEL;
        out->axis = layer->channel_axis;
    } else if (f->per == PER_BLOCK) {
        problem = resolve_block(f, layer, out);
    }
    return problem ? problem : resolve_scale(f, layer, out);
}

/* ---- sizes */

static int64_t scale_count(const PlanLayer *planned) {
    const Tensor *w = planned->layer->weight;
    const PlanFormat *f = &planned->format;
    int64_t axis = f->granule == GRANULE_TENSOR ? 0 : w->dims[f->axis];
    if (f->granule == GRANULE_TENSOR) {
        return 1;
    }
    if (f->granule == GRANULE_CHANNEL || axis == 0) {
        return axis;
    }
    return w->count / axis * ((axis + f->block - 1) / f->block);
}

static uint64_t packed(int64_t count, int64_t bits) {
    uint64_t n = (uint64_t)count, width = (uint64_t)bits;
    return n / 8 * width + (n % 8 * width + 7) / 8;
}

uint64_t stored_bytes(const PlanLayer *planned) {
    const Tensor *w = planned->layer->weight;
    const PlanFormat *f = &planned->format;
    if (!w || !planned->quantized) {
        return w ? w->size : 0;
    }
    int64_t scales = scale_count(planned);
    int64_t bits = f->scale ? f->scale->bits : w->type == 11 ? 32 : type_bits(w->type);
    return packed(w->count, f->element->bits) + packed(scales, bits) +
           (f->element->asymmetric ? packed(scales, f->element->bits) : 0) + (f->super ? 4 : 0);
}

int64_t needed_opset(const PlanLayer *planned) {
    const PlanFormat *f = &planned->format;
    int type = planned->layer->weight->type;
    int64_t opset = f->element->onnx_opset;
    int64_t granule = f->granule == GRANULE_BLOCK ? 21 : f->granule == GRANULE_CHANNEL ? 13 : 10;
    opset = granule > opset ? granule : opset;
    if (f->scale && f->scale->onnx_opset > opset) {
        opset = f->scale->onnx_opset;
    }
    bool narrow = type == 10 || type == 16;
    if (narrow && opset < 19) {
        opset = 19; /* scales of another type than float32 */
    }
    if (narrow && f->scale && opset < 23) {
        opset = 23; /* output_dtype */
    }
    return opset;
}

/* ---- steps on layers */

static bool is_step(const Step *step, const char *name) {
    return strcmp(step->schema->name, name) == 0;
}

static Problem do_prune(const Step *step, PlanLayer *planned) {
    const Value *amount = step_value(step, "pattern");
    if (!amount) {
        return PROBLEM_NONE;
    }
    planned->prune_step = step;
    if (amount->type == VALUE_RATIO) {
        planned->prune = PRUNE_NM;
        planned->keep = (int)amount->integer;
        planned->group = (int)amount->integer2;
        planned->fraction = 1.0 - (double)planned->keep / (double)planned->group;
        bool divides = planned->layer->width > 0 && planned->layer->width % amount->integer2 == 0;
        return divides ? PROBLEM_NONE : PROBLEM_NM;
    }
    planned->prune = PRUNE_RATIO;
    planned->fraction = amount->type == VALUE_INT ? (double)amount->integer : amount->number;
    return PROBLEM_NONE;
}

static Problem do_quantize(const Step *step, PlanLayer *planned) {
    const Value *weight = step_value(step, "weight"), *method = step_value(step, "method");
    if (!weight || weight->type != VALUE_FORMAT || weight->format->none) {
        return PROBLEM_NONE;
    }
    planned->quantize_step = step;
    Problem problem = resolve_format(weight->format, planned->layer, &planned->format);
    planned->quantized = problem == PROBLEM_NONE;
    if (method && str_is(method->text, "mse")) {
        planned->format.method = METHOD_MSE;
    }
    return problem;
}

/* ---- problems, said once for a step */

typedef struct Trouble {
    Bind *b;
    const BindRule *rule;
    const Step *step;
    LayerSet layers;
    const Layer *first; /* of them */
    const FormatValue *format;
    const char *why; /* PROBLEM_INPUT */
    int64_t group; /* block or N:M group that does not divide */
} Trouble;

static Span format_span(const Trouble *t) {
    const FormatValue *f = t->format;
    if (f && f->per_span.source && f->per_span.length) {
        return f->per_span;
    }
    const BoundArg *arg = step_arg(t->step, "weight");
    return f && f->element_span.source ? f->element_span : arg ? arg->span : t->step->span;
}

static void list_widths(const Trouble *t, Diag *d) {
    Arena *arena = t->b->s->arena;
    StrList names = names_of(t->b->s, t->b->layers, &t->layers), rest = {0};
    int64_t width = t->first->width;
    Buf line = buf_on(arena);
    buf_printf(&line, "%.*s   %s = %lld", STR_ARG(names.at[0]),
               t->first->roles & ROLE_CONV ? "input channels per group" : "k", (long long)width);
    if (width > t->group) {
        buf_printf(&line, " = %lld x %lld + %lld", (long long)(width / t->group),
                   (long long)t->group, (long long)(width % t->group));
    }
    for (size_t i = 1; i < names.len; i++) {
        vec_push(arena, &rest, names.at[i]);
    }
    if (rest.len) {
        buf_printf(&line, "\n... and %.*s more (", STR_ARG(str_grouped(arena, rest.len)));
        names_braces(arena, &rest, 3, &line);
        buf_char(&line, ')');
    }
    diag_line(d, "%.*s", STR_ARG(buf_view(&line)));
}

static Str where_named(const Trouble *t) {
    Session *s = t->b->s;
    StrList names = names_of(s, t->b->layers, &t->layers);
    Buf text = buf_on(s->arena);
    buf_char(&text, '"');
    names_braces(s->arena, &names, 1, &text);
    buf_char(&text, '"');
    bool whole = text.len < 70 && !str_ends(buf_view(&text), STR(", ...\""));
    return whole ? buf_view(&text) : STR("conv");
}

/* A selector for just these layers: by width where they are linear, else by name. */
static Str where_not(const Trouble *t) {
    Session *s = t->b->s;
    bool linear = true;
    for (size_t i = 0; i < t->b->layers->all.len; i++) {
        linear = linear && (!t->layers.has[i] || t->b->layers->all.at[i].roles & ROLE_LINEAR);
    }
    if (linear) {
        return str_format(s->arena, "linear[.k %% %lld != 0]", (long long)t->group);
    }
    return where_named(t);
}

static const char *channel_format(const FormatValue *f) {
    return f->bits == 8 ? str_is(f->element, "e4m3") ? "fp8" : "int8" : "int8";
}

static void say_block(const Trouble *t, bool any_size) {
    Bind *b = t->b;
    const FormatValue *f = t->format;
    bool conv = t->first->roles & ROLE_CONV;
    const char *width = conv ? "number of input channels" : "input width";
    size_t count = t->layers.count;
    Str layers = plural(b->s->arena, count, "layer");
    Diag *d = any_size ? diag_error(b->s, "E0501", format_span(t),
                                    "no block of 16 to %lld divides the %s of %.*s",
                                    (long long)f->block_max, width, STR_ARG(layers))
                       : diag_error(b->s, "E0501", format_span(t),
                                    "block %lld does not divide the %s of %.*s",
                                    (long long)t->group, width, STR_ARG(layers));
    diag_label(d, conv ? "input channels per group %% %lld must be 0" : "k %% %lld must be 0",
               (long long)t->group);
    diag_span(d, t->rule->rule->selector_span, "%.*s",
              STR_ARG(plural(b->s->arena, t->rule->counted.count, "layer")));
    list_widths(t, d);
    Str where = where_not(t);
    diag_help(d, "leave them in float            override on %.*s { skip }", STR_ARG(where));
    diag_help(
        d, "one scale per output channel   override on %.*s { quantize(weight = %s per channel) }",
        STR_ARG(where), channel_format(f));
    int64_t fits = any_size ? 0 : largest_block(f->block, t->first->width);
    if (fits && f->per == PER_BLOCK && !f->scale) {
        diag_help(d, "let each layer have the largest block that divides:  per block(max = %lld)",
                  (long long)f->block);
    } else if (!largest_block(INT64_MAX / 4, t->first->width)) {
        diag_note(d, "no block of 16 or more that is a power of two divides %lld",
                  (long long)t->first->width);
    }
}

static void say_nm(const Trouble *t, const PlanLayer *planned) {
    Bind *b = t->b;
    bool conv = t->first->roles & ROLE_CONV;
    const BoundArg *arg = step_arg(t->step, "pattern");
    Diag *d = diag_error(b->s, "E0505", arg ? arg->span : t->step->span,
                         "%d:%d does not divide the %s of %.*s", planned->keep, planned->group,
                         conv ? "number of input channels" : "input width",
                         STR_ARG(plural(b->s->arena, t->layers.count, "layer")));
    diag_label(d, conv ? "input channels per group %% %lld must be 0" : "k %% %lld must be 0",
               (long long)t->group);
    diag_span(d, t->rule->rule->selector_span, "%.*s",
              STR_ARG(plural(b->s->arena, t->rule->counted.count, "layer")));
    list_widths(t, d);
    Str where = where_not(t);
    diag_help(d, "leave them dense               override on %.*s { skip }", STR_ARG(where));
    diag_help(d, "without groups                 override on %.*s { prune(%g) }", STR_ARG(where),
              planned->fraction);
}

static void say_scale(const Trouble *t) {
    Session *s = t->b->s;
    Buf text = buf_on(s->arena);
    format_print(t->format, &text);
    Diag *d = diag_error(s, "E0506", t->format->scale->element_span,
                         "`%.*s` does not fit weights of type %s", STR_ARG(buf_view(&text)),
                         type_name(t->first->weight->type));
    diag_label(d, "%.*s", STR_ARG(plural(s->arena, t->layers.count, "layer")));
    diag_note(d, "scales are stored in the type of the weights (float32 for float64)");
    diag_help(d, "leave out `scale %.*s`", STR_ARG(t->format->scale->element));
}

static void say_input(const Trouble *t) {
    Bind *b = t->b;
    Diag *d = diag_error(b->s, "E0507", t->step->name_span, "`%s` cannot be done to %.*s",
                         t->step->schema->name, STR_ARG(plural(b->s->arena, t->layers.count, "layer")));
    diag_label(d, "%s", t->why);
    diag_span(d, t->rule->rule->selector_span, "%.*s",
              STR_ARG(plural(b->s->arena, t->rule->counted.count, "layer")));
    StrList names = names_of(b->s, b->layers, &t->layers);
    Buf text = buf_on(b->s->arena);
    names_few(b->s->arena, &names, &text);
    diag_line(d, "%.*s", STR_ARG(buf_view(&text)));
    Str where = t->layers.count < t->rule->counted.count ? where_named(t) : STR("...");
    diag_help(d, "another stack for them:   override on %.*s { ... }", STR_ARG(where));
}

static void say(const Trouble *t, Problem problem, const PlanLayer *planned) {
    t->b->failed = true;
    if (problem == PROBLEM_NM) {
        say_nm(t, planned);
    } else if (problem == PROBLEM_INPUT) {
        say_input(t);
    } else if (problem == PROBLEM_SCALE) {
        say_scale(t);
    } else {
        say_block(t, problem == PROBLEM_BLOCK_MAX);
    }
}

static int64_t group_of(Problem problem, const PlanLayer *planned) {
    const FormatValue *f = planned->format.written;
    return problem == PROBLEM_NM          ? planned->group
           : problem == PROBLEM_BLOCK     ? f->block
           : problem == PROBLEM_BLOCK_MAX ? SMALLEST_BLOCK
                                          : 0;
}

static void note_trouble(Trouble *t, const PlanLayer *planned, Problem problem) {
    if (!t->first) {
        t->first = planned->layer;
        t->format = problem == PROBLEM_NM || problem == PROBLEM_INPUT ? NULL
                                                                      : planned->format.written;
        t->group = group_of(problem, planned);
        t->layers = set_none(t->b->s, t->b->layers);
    }
    set_add(&t->layers, planned->layer->index);
}

/* One step of one rule, on the layers where the rule owns the step's phase. A layer that is encoded
 * or pruned already was so by an earlier stage: of this one, each phase has one owner. */
static void bind_step(Bind *b, int index, const Step *step) {
    const BindRule *r = &b->rules.at[index];
    int phase = (int)step->schema->phase - (int)PHASE_EDIT;
    LayerSet of = set_none(b->s, b->layers), encoded = set_none(b->s, b->layers);
    LayerSet done = set_none(b->s, b->layers);
    Trouble troubles[PROBLEMS] = {{0}};
    const PlanLayer *example[PROBLEMS] = {0};
    for (size_t i = 0; i < b->plan->layers_planned.len; i++) {
        PlanLayer *planned = &b->plan->layers_planned.at[i];
        int layer = planned->layer->index;
        if (b->owner[phase][layer] != index ||
            (!planned->layer->weight && !bind_weightless_step(step))) {
            continue;
        }
        set_add(&of, layer);
        if (planned->layer->encoded) {
            set_add(&encoded, layer);
            continue;
        }
        if (planned->quantized || (planned->prune != PRUNE_NONE && is_step(step, "prune"))) {
            set_add(&done, layer);
            b->owner[phase][layer] = -1; /* the earlier rule stays the owner */
            continue;
        }
        const char *why;
        Problem problem = is_step(step, "prune")      ? do_prune(step, planned)
                          : is_step(step, "quantize") ? do_quantize(step, planned)
                                                      : PROBLEM_NONE;
        if (!problem && !bind_input_step(b, planned, step, &why)) {
            problem = PROBLEM_INPUT;
            troubles[problem].why = why;
        }
        if (problem) {
            troubles[problem].b = b;
            troubles[problem].rule = r;
            troubles[problem].step = step;
            example[problem] = example[problem] ? example[problem] : planned;
            note_trouble(&troubles[problem], planned, problem);
        }
    }
    if (encoded.count) {
        report_encoded(b, r, step, &of, &encoded);
    }
    report_stages(b, r, step, &of, &done);
    b->failed = b->failed || encoded.count || done.count;
    for (int p = 1; p < PROBLEMS; p++) {
        if (troubles[p].first) {
            say(&troubles[p], (Problem)p, example[p]);
        }
    }
}

void bind_steps(Bind *b) {
    for (Phase phase = PHASE_EDIT; phase <= PHASE_TUNE; phase++) {
        for (size_t r = b->from; r < b->to; r++) {
            const StepList *steps = &b->rules.at[r].rule->steps;
            for (size_t i = 0; i < steps->len; i++) {
                if (steps->at[i]->schema->phase == phase) {
                    bind_step(b, (int)r, steps->at[i]);
                }
            }
        }
    }
}

void bind_sizes(Bind *b) {
    for (size_t i = 0; i < b->plan->layers_planned.len; i++) {
        PlanLayer *planned = &b->plan->layers_planned.at[i];
        planned->stored = stored_bytes(planned);
        int64_t params = planned->layer->params;
        planned->bits = params ? (double)planned->stored * 8.0 / (double)params : 0;
    }
}
