/* What layers read: formats of inputs, factors of smooth and awq. Layers that read one value in one
 * way share a stream (and its scale); layers whose factors must be the same share a tie. */
#include "compiler/batchnorm.h"
#include "compiler/bind_parts.h"
#include "compiler/conv_view.h"
#include "compiler/placement.h"
#include "runtime/base/sanitize.h"
#include <string.h>

static bool is_step(const Step *step, const char *name) {
    return strcmp(step->schema->name, name) == 0;
}

/* ---- one step on one layer */

/* x W of a matrix, x on the left and not transposed: factors go along its last dimension. */
static bool is_product(const Layer *layer) {
    const Node *node = layer->node;
    return layer->roles & ROLE_LINEAR && layer->weight && layer->weight->rank == 2 &&
           layer->input && node->inputs[0] == layer->input && node_int(node, "transA", 0) == 0;
}

/* x W with x on the left: each row of x goes through by itself. */
static bool multiplies_rows(const Layer *layer) {
    const Node *node = layer->node;
    return layer->roles & ROLE_LINEAR && layer->weight && layer->input &&
           node->inputs[0] == layer->input && node_int(node, "transA", 0) == 0;
}

/* smooth: every channel of a convolution's input meets weights of its own. */
static bool has_columns(const Layer *layer) {
    const bool conv =
        str_is(layer->node->op, "Conv") && conv_view_fits(layer) && layer->groups == 1;
    return is_product(layer) || (conv && can_stream(layer->input));
}

/* The least error is searched with a Gram matrix, of a convolution's im2col. */
static bool too_wide_to_search(const Layer *layer, const Step *smooth) {
    const Value *alpha = step_value(smooth, "alpha");
    const bool given = alpha && (alpha->type == VALUE_FLOAT || alpha->type == VALUE_INT);
    return !given && layer->k > STAT_COLUMNS_MAX;
}

static const FormatValue *format_of(const Step *step, const char *role) {
    const Value *value = step_value(step, role);
    return value && value->type == VALUE_FORMAT && !value->format->none ? value->format : NULL;
}

const FormatValue *wished_format(const PlanLayer *planned, const char *role) {
    return planned->quantize_step ? format_of(planned->quantize_step, role) : NULL;
}

static bool wants_bias(const Step *step) {
    const Value *bias = step_value(step, "bias");
    return bias && str_is(bias->text, "int32");
}

bool bind_weightless_step(const Step *step) {
    return is_step(step, "calibrate") ||
           (is_step(step, "quantize") && !format_of(step, "weight") && !wants_bias(step));
}

static const char *format_problem(const FormatValue *f) {
    const Format *element = format_find(f->element.data, f->element.len);
    if (f->per == PER_TOKEN && !f->dynamic) {
        return "scales of tokens are found at run time: say `per token dynamic`";
    }
    const bool one = f->per == PER_DEFAULT || f->per == PER_TENSOR;
    if (f->dynamic && !one && f->per != PER_TOKEN) {
        return "scales that are found at run time are `per tensor dynamic` or `per token dynamic`";
    }
    const bool plain = (one || f->per == PER_TOKEN) && !f->scale;
    if (!plain || !element || element->scale_only || element->bits != 8) {
        return "inputs and outputs are stored with one scale and 8 bits: `int8`, `uint8`, `fp8` or "
               "`e5m2`";
    }
    return NULL;
}

/* Integer kernels add the bias to sums of products of codes: one unit for each output channel. */
static const char *bias_problem(const PlanLayer *planned, const Step *step) {
    const Layer *layer = planned->layer;
    const FormatValue *input = format_of(step, "input");
    const PlanFormat *f = &planned->format;
    const bool codes = planned->quantized && f->element->integer && !f->element->asymmetric &&
                       f->element->bits == 8 && f->granule != GRANULE_BLOCK;
    if (!codes || !input || !str_is(input->element, "int8")) {
        return "a bias in int32 is for int8 weights, per tensor or channel, under an int8 input";
    }
    if (input->dynamic) {
        return "a bias in int32 is in units of the input's scale, which is found at run time";
    }
    if (layer->weight->type != 1) {
        return "a bias in int32 is for float32 models in this build";
    }
    const Node *node = layer->node;
    const bool adds =
        str_is(node->op, "Conv") || str_is(node->op, "ConvTranspose") || str_is(node->op, "Gemm");
    const ValueInfo *bias = node->input_count > 2 ? node->inputs[2] : NULL;
    const Tensor *t = adds && bias ? bias->constant : NULL;
    const bool row =
        t && t->rank == 1 && t->type == 1 && t->count == layer->weight->dims[layer->channel_axis];
    const Value *place = step_value(step, "place");
    const bool norm = !(place && str_is(place->text, "exact")) && batchnorm_behind(layer);
    return row || norm ? NULL : "it has no bias of its own, one constant for each output";
}

/* Of `input`, `kv` and `output`, what this layer cannot. */
static const char *role_problem(Bind *b, const Layer *layer, const char *role,
                                const FormatValue *format) {
    UseList uses = {0};
    if (format->per == PER_TOKEN && (strcmp(role, "kv") == 0 || !multiplies_rows(layer))) {
        return "a token is a row of what a product x W reads or writes; elsewhere it is `per "
               "tensor dynamic`";
    }
    if (strcmp(role, "output") == 0) {
        const ValueInfo *value = layer->node->output_count ? layer->node->outputs[0] : NULL;
        return !can_stream(value)     ? "what it writes is no float"
               : value->uses.len == 0 ? "nothing in the model reads what it writes"
                                      : NULL;
    }
    if (!layer->weight || strcmp(role, "kv") == 0) {
        return weightless_uses(b, layer, role, &uses);
    }
    if (!layer->input || !(layer->roles & (ROLE_LINEAR | ROLE_CONV))) {
        return "only layers that multiply by a weight have inputs in a format";
    }
    return can_stream(layer->input) && layer->weight->type != 11
               ? NULL
               : "what it reads is no float of 16 or 32 bits that is computed";
}

/* Groups of a ConvTranspose share the scales of its channels; its groups have Gram matrices of
 * their own. Blocks run along input channels, each place of a kernel by itself. */
static const char *gram_problem(const PlanLayer *planned) {
    const Layer *layer = planned->layer;
    const PlanFormat *f = &planned->format;
    if (!conv_view_fits(layer) && !is_product(layer)) {
        return "gptq and adaround are for matrix products x W, for Conv, and for ConvTranspose "
               "with "
               "pads of its own";
    }
    const bool block = planned->quantized && f->granule == GRANULE_BLOCK;
    if (planned->quantized && f->granule != GRANULE_TENSOR && layer->groups > 1 &&
        str_is(layer->node->op, "ConvTranspose")) {
        return "gptq and adaround of a ConvTranspose in groups want weights `per tensor`";
    }
    if (block && layer->k != layer->width && layer->width % f->block) {
        return "gptq and adaround of a kernel in blocks want blocks that divide its input channels";
    }
    return NULL;
}

bool bind_input_step(Bind *b, PlanLayer *planned, const Step *step, const char **problem) {
    const Layer *layer = planned->layer;
    *problem = NULL;
    if (is_step(step, "smooth") || is_step(step, "awq")) {
        const bool awq = is_step(step, "awq");
        if (awq && !is_product(layer)) {
            *problem = "it scales what a matrix product x W reads, and this is none";
        } else if (!awq && !has_columns(layer)) {
            *problem = "it scales what a matrix product x W or a Conv of one group reads";
        } else if (!awq && too_wide_to_search(layer, step)) {
            *problem = "what it reads is too wide to search alpha: give one, `smooth(alpha = 0.5)`";
        } else if (planned->smooth_step || planned->awq_step) {
            *problem = "its input is scaled already: one of smooth and awq";
        }
        *(awq ? &planned->awq_step : &planned->smooth_step) = step;
    } else if (is_step(step, "quantize")) {
        static const char *const roles[] = {"input", "output", "kv"};
        const Value *round = step_value(step, "round");
        for (int i = 0; i < 3 && !*problem; i++) {
            const FormatValue *format = format_of(step, roles[i]);
            planned->quantize_step = format ? step : planned->quantize_step;
            *problem = !format ? NULL : format_problem(format);
            *problem = *problem || !format ? *problem : role_problem(b, layer, roles[i], format);
        }
        planned->bias = wants_bias(step);
        *problem = !*problem && planned->bias ? bias_problem(planned, step) : *problem;
        for (PlanRound way = ROUND_GPTQ; !*problem && round && way <= ROUND_ADAROUND; way++) {
            if (str_is(round->text, plan_round_name(way))) {
                planned->round = way;
                planned->round_value = round;
                *problem = gram_problem(planned);
            }
        }
    }
    return *problem == NULL;
}

static bool wants_range(const PlanLayer *planned, const char *role) {
    const FormatValue *format = wished_format(planned, role);
    return format && !format->dynamic;
}

bool needs_data(const PlanLayer *planned) {
    return planned->smooth_step || planned->awq_step || planned->round != ROUND_NEAREST ||
           wants_range(planned, "input") || wants_range(planned, "output") ||
           wants_range(planned, "kv");
}

/* ---- the setting in force */

/* Of the rule that asks for data, else of its stage. */
static const Step *setting_of(const Bind *b, const PlanLayer *planned) {
    const Step *found = NULL;
    for (int p = 1; p >= 0 && !found; p--) {
        const PlanOwner *owner = &planned->owner[p];
        if (owner->rule) {
            found = steps_find(&owner->rule->steps, "calibrate");
        }
    }
    for (int p = 1; p >= 0 && !found; p--) {
        const PlanOwner *owner = &planned->owner[p];
        if (owner->rule) {
            found = steps_find(&b->recipe->stages.at[owner->stage].settings, "calibrate");
        }
    }
    return found;
}

static void report_data(Bind *b, const PlanLayer *planned) {
    const Step *step = planned->awq_step      ? planned->awq_step
                       : planned->smooth_step ? planned->smooth_step
                                              : planned->quantize_step;
    Diag *d = diag_error(b->s, "E0701", step->name_span, "`%s` needs calibration data",
                         step->schema->name);
    diag_label(d, b->recipe->data.len ? "measured on data, and nothing calibrates"
                                      : "measured on data, and this recipe has none");
    diag_help(d, "data calib = npz(\"calib.npz\")      and      calibrate(data = calib)");
    diag_note(d, "random data is never used unless you write  data calib = random(seed = 0)");
    b->failed = true;
}

static bool behind_encoded(const Step *calibrate) {
    const Value *observe = step_value(calibrate, "observe");
    return observe && str_is(observe->text, "encoded");
}

/* What is measured behind encoded layers depends on all of these. */
static void report_mixed(Bind *b, const Step *one, const Step *other) {
    Diag *d = diag_error(b->s, "E0001", one->span,
                         "`observe` that is not the same for all layers is not in this build");
    diag_label(d, "measures %s", behind_encoded(one) ? "behind encoded layers" : "the float model");
    diag_span(d, other->span, "this one %s",
              behind_encoded(other) ? "behind encoded layers" : "the float model");
    diag_help(d, "say `observe = encoded` in both, or in none");
    b->failed = true;
}

/* One data set serves all. */
static void take_data(Bind *b, PlanLayer *planned) {
    Plan *plan = b->plan;
    planned->calibrate = setting_of(b, planned);
    const Value *data = step_value(planned->calibrate, "data");
    if (!data || data->type != VALUE_DATA) {
        return;
    }
    if (!plan->data) {
        plan->data = data->data;
        plan->data_step = planned->calibrate;
        plan->encoded = behind_encoded(planned->calibrate);
    } else if (plan->encoded != behind_encoded(planned->calibrate)) {
        report_mixed(b, planned->calibrate, plan->data_step);
    } else if (plan->data != data->data) {
        Diag *d = diag_error(b->s, "E0001", planned->calibrate->span,
                             "a second data set is not in this build");
        diag_label(d, "`%.*s` here", STR_ARG(data->data->name));
        diag_span(d, plan->data_step->span, "`%.*s` here", STR_ARG(plan->data->name));
        diag_help(d, "calibrate all layers on one data set");
        b->failed = true;
    }
}

/* ---- ties and streams */

static int tie_of(Bind *b, Map *known, int index) {
    PlanLayer *planned = &b->plan->layers_planned.at[index];
    const Step *step = planned->awq_step ? planned->awq_step : planned->smooth_step;
    if (!step) {
        return -1;
    }
    const Layer *layer = planned->layer;
    const bool conv = !is_product(layer);
    /* a search has one Gram matrix: layers share factors if they walk over the value alike */
    const Str walk = conv ? conv_view_name(b->s->arena, layer) : (Str){0};
    Str key = str_format(b->s->arena, "%p %p %p %.*s", (const void *)layer->input,
                         (const void *)step, (const void *)layer->node->graph, STR_ARG(walk));
    MapEntry *entry = map_find(known, key);
    const int tie = entry ? (int)(entry - known->entries) : (int)b->plan->ties.len;
    if (!entry) {
        map_put(known, key, b);
        PlanTie made = {.step = step,
                        .value = layer->input,
                        .k = layer->weight->dims[layer->reduce_axis],
                        .behind = conv ? layer->weight->rank - 2 : 0};
        vec_push(b->s->arena, &b->plan->ties, made);
    }
    vec_push(b->s->arena, &b->plan->ties.at[tie].layers, index);
    return tie;
}

/* Searches for factors weigh errors of rounding, so something has to be rounded. */
static bool has_errors(const Plan *plan, const PlanTie *tie) {
    const bool awq = is_step(tie->step, "awq");
    const Value *alpha = step_value(tie->step, "alpha");
    bool found = alpha && (alpha->type == VALUE_FLOAT || alpha->type == VALUE_INT);
    for (size_t i = 0; i < tie->layers.len && !found; i++) {
        const PlanLayer *planned = &plan->layers_planned.at[tie->layers.at[i]];
        found = planned->quantized || (!awq && wished_format(planned, "input"));
    }
    return found;
}

/* Said once of a step. */
static void check_tie(Bind *b, const PlanTie *tie) {
    bool fine = has_errors(b->plan, tie);
    for (const PlanTie *earlier = b->plan->ties.at; earlier < tie && !fine; earlier++) {
        fine = earlier->step == tie->step && !has_errors(b->plan, earlier);
    }
    if (fine) {
        return;
    }
    const bool awq = is_step(tie->step, "awq");
    const PlanLayer *first = &b->plan->layers_planned.at[tie->layers.at[0]];
    Diag *d = diag_error(b->s, "E0404", tie->step->name_span, "`%s` has no format to prepare for",
                         tie->step->schema->name);
    diag_label(d, "no step stores %s %s in a format", awq ? "the weight of" : "weight or input of",
               str_safe_c(b->s->arena, first->layer->path));
    diag_help(d, "add a step after it:  quantize(weight = int8 per channel)%s",
              awq ? "" : "      or give an alpha");
    b->failed = true;
}

void bind_inputs(Bind *b) {
    Map ties = map_on(b->s->arena);
    Plan *plan = b->plan;
    for (size_t i = 0; i < plan->layers_planned.len; i++) {
        PlanLayer *planned = &plan->layers_planned.at[i];
        if (needs_data(planned)) {
            take_data(b, planned);
        }
        if (needs_data(planned) && !planned->calibrate) {
            report_data(b, planned);
            return;
        }
        planned->tie = tie_of(b, &ties, (int)i);
    }
    for (size_t i = 0; i < plan->ties.len; i++) {
        check_tie(b, &plan->ties.at[i]);
    }
    bind_folds(b);
    bind_streams(b);
    placement_streams(b);
}

int64_t stream_opset(const PlanStream *stream) {
    if (!stream->element) {
        return 1;
    }
    int64_t own = stream->element->onnx_opset;
    if (stream->dynamic) { /* Round; axes as an input of ReduceMax */
        const int64_t needs = stream->token ? 18 : 11;
        own = own < needs ? needs : own;
    }
    return stream->type != 1 && own < 19 ? 19 : own;
}
