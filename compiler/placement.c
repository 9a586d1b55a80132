/* The rules that are about layers, the table, and what plans say of it (placement.h). */
#include "compiler/placement.h"
#include "compiler/attention.h"
#include "compiler/batchnorm.h"
#include "runtime/base/sanitize.h"
#include <string.h>

bool placement_holds(const PlanLayer *planned) {
    const Step *step = planned->quantize_step;
    const Value *place = step_value(step, "place");
    return step && !(place && str_is(place->text, "exact"));
}

void placement_note(Bind *b, int rule, const Layer *layer) {
    vec_push(b->s->arena, &b->plan->placed, ((PlanPlacement){rule, layer}));
}

/* ---- batchnorm */

/* Of layers that read codes whose scales are known: where weights alone are stored, the rest of the
 * graph stays as it is, and scales that are found at run time come without data to solve a bias. */
static void place_batchnorm(Bind *b, int rule) {
    for (size_t i = 0; i < b->plan->layers_planned.len; i++) {
        PlanLayer *planned = &b->plan->layers_planned.at[i];
        const FormatValue *input = wished_format(planned, "input");
        if (!planned->quantized || !input || input->dynamic || !placement_holds(planned)) {
            continue;
        }
        const Node *norm = batchnorm_behind(planned->layer);
        const bool read = norm && (norm->outputs[0]->uses.len || !wished_format(planned, "output"));
        if (read) {
            planned->norm = norm;
            placement_note(b, rule, planned->layer);
        }
    }
}

/* ---- narrow */

/* A name without wildcards means this layer and no other. */
static bool names_layer(const Selector *selector, Str path) {
    if (!selector) {
        return false;
    }
    return (selector->kind == SELECT_GLOB && str_eq(selector->text, path)) ||
           names_layer(selector->a, path) || names_layer(selector->b, path);
}

enum {
    SMALL_PRODUCT = 16,  /* k and n of a product below which codes cost more than they save */
    SMALL_CONV = 16,     /* channels of a convolution */
    INT8_CHANNELS = 8,   /* ... of which fewer do in int8 when they are a multiple of this */
    LARGE_KERNEL = 32,   /* side of a filter that fp8 kernels take */
    LONG_SEQUENCE = 512, /* positions beyond which attention does not run in int8 */
    LARGE_HEAD = 256,
    SMALL_HEAD = 8 /* sizes of a head between which it runs in fp8 */
};

/* All leading dimensions are known to be 1. */
static bool is_vector(const ValueInfo *x) {
    bool one = x->rank >= 1;
    for (int i = 0; i + 1 < x->rank; i++) {
        one = one && x->dims[i] == 1;
    }
    return one;
}

static bool is_narrow_conv(const Layer *layer, const Format *element) {
    const int64_t groups = layer->groups > 0 ? layer->groups : 1;
    const bool transposed = str_is(layer->node->op, "ConvTranspose");
    const int64_t first = layer->weight->dims[0], second = layer->weight->dims[1];
    const int64_t in = transposed ? first : second * groups,
                  out = transposed ? second * groups : first;
    if (element->integer) {
        const bool image = layer->input && layer->input->graph_input; /* the first one has 3 */
        return (!image && in < SMALL_CONV && in % INT8_CHANNELS) ||
               (out < SMALL_CONV && out % INT8_CHANNELS);
    }
    return in < SMALL_CONV || out < SMALL_CONV || groups > 1 || layer->kernel > LARGE_KERNEL;
}

/* The last dimension of what is read there; -1 if it is not known. */
static int64_t last_of(const PlanUse *use) {
    const ValueInfo *value = use->node ? use->node->inputs[use->slot] : NULL;
    return value && value->rank > 0 ? value->dims[value->rank - 1] : -1;
}

/* Sizes that the fused kernels of attention do not take. */
static bool is_odd_attention(const Layer *layer, const Format *element) {
    Attention parts;
    if (!attention_find(layer, &parts)) {
        return false;
    }
    const int64_t head = last_of(&parts.query), positions = last_of(&parts.probability);
    return element->integer ? positions > LONG_SEQUENCE
                            : head > LARGE_HEAD || (head >= 0 && head <= SMALL_HEAD);
}

static bool is_narrow(const Layer *layer, const FormatValue *format) {
    const Format *element = format_find(format->element.data, format->element.len);
    if (!layer->weight) {
        return is_odd_attention(layer, element);
    }
    if (layer->roles & ROLE_CONV) {
        return is_narrow_conv(layer, element);
    }
    return is_vector(layer->input) || layer->k < SMALL_PRODUCT || layer->n < SMALL_PRODUCT;
}

static void place_narrow(Bind *b, int rule) {
    for (size_t i = 0; i < b->plan->layers_planned.len; i++) {
        PlanLayer *planned = &b->plan->layers_planned.at[i];
        const FormatValue *format = wished_format(planned, "input");
        const Rule *owner = planned->owner[1].rule;
        if (!format || !placement_holds(planned) || planned->smooth_step || planned->awq_step ||
            !is_narrow(planned->layer, format) ||
            (owner && names_layer(owner->selector, planned->layer->path))) {
            continue;
        }
        planned->quantized = false;
        planned->quantize_step = NULL;
        planned->round = ROUND_NEAREST;
        planned->bias = false;
        placement_note(b, rule, planned->layer);
    }
}

/* ---- residual */

/* The layer that reads codes and whose result, with its bias, this operand is; -1. */
static int layer_before(const Bind *b, const ValueInfo *value) {
    for (int hops = 0; hops < 3 && value && value->producer; hops++) {
        const Node *node = value->producer;
        if (value->uses.len != 1 || value->graph_output) {
            return -1;
        }
        const Layer *layer = layer_of(b->layers, node);
        const bool norm = str_is(node->op, "BatchNormalization") && node->inputs[0]->producer;
        layer = norm ? layer_of(b->layers, node->inputs[0]->producer) : layer;
        const PlanLayer *planned = layer ? plan_layer(b->plan, layer) : NULL;
        if (planned && planned->stream >= 0 && planned->layer->weight &&
            (norm ? planned->norm == node : planned->norm == NULL)) {
            return b->plan->streams.at[planned->stream].element
                       ? (int)(planned - b->plan->layers_planned.at)
                       : -1;
        }
        const bool add = node->domain.len == 0 && str_is(node->op, "Add");
        const int bias = add && node->inputs[0] && node->inputs[0]->constant   ? 0
                         : add && node->inputs[1] && node->inputs[1]->constant ? 1
                                                                               : -1;
        value = bias >= 0 ? node->inputs[1 - bias] : NULL;
    }
    return -1;
}

int placement_residual_slot(const Bind *b, const Node *add, int *whose) {
    const int first = layer_before(b, add->inputs[0]), second = layer_before(b, add->inputs[1]);
    *whose = first > second ? first : second;
    if (*whose < 0) {
        return -1;
    }
    return *whose == first ? 1 : 0; /* of two layers the later one runs with the sum */
}

/* Convolutions only: they are what TensorRT runs as one kernel with the sum, and the stream of a
 * transformer, which its products are added to, loses more by 8 bits than all of its layers. */
static void place_residual(Bind *b, int rule) {
    for (size_t i = 0; i < b->layers->all.len; i++) {
        const Layer *layer = &b->layers->all.at[i];
        int whose = -1;
        const int slot =
            layer->roles & ROLE_RESIDUAL ? placement_residual_slot(b, layer->node, &whose) : -1;
        if (slot < 0 || !can_stream(layer->node->inputs[slot])) {
            continue;
        }
        const PlanLayer *planned = &b->plan->layers_planned.at[whose];
        if (!(planned->layer->roles & ROLE_CONV) || !planned->quantized ||
            !placement_holds(planned)) {
            continue;
        }
        const StreamWish wish = {layer->node->inputs[slot],       layer->node, slot,
                                 wished_format(planned, "input"), -1,          whose};
        if (wish.format && !wish.format->dynamic && stream_take(b, &wish) >= 0) {
            placement_note(b, rule, layer);
        }
    }
}

/* ---- the table, in the order in which they act */

const PlacementRule placement_rules[] = {
    {"narrow", "products of one row, few channels and odd heads stay in float: no kernel gains",
     place_narrow, NULL},
    {"batchnorm",
     "BatchNormalization goes into the convolution before it: one kernel, one rounding",
     place_batchnorm, NULL},
    {"residual", "what is added to a convolution is stored like its input: both run as one kernel",
     NULL, place_residual},
    {"concat", "what a Concat joins has one scale: its parts are not scaled again", NULL,
     place_shared_scales},
    {"commute", "one pair of Q and DQ serves both sides of an op that only moves values", NULL,
     place_commuting},
};
const int placement_rule_count = sizeof placement_rules / sizeof *placement_rules;

void placement_weights(Bind *b) {
    for (int i = 0; i < placement_rule_count && !b->failed; i++) {
        if (placement_rules[i].weights) {
            placement_rules[i].weights(b, i);
        }
    }
}

void placement_streams(Bind *b) {
    for (int i = 0; i < placement_rule_count; i++) {
        if (placement_rules[i].streams) {
            placement_rules[i].streams(b, i);
        }
    }
}

/* ---- text */

static StrList layers_of(const Plan *plan, int rule, Arena *arena) {
    StrList names = {0};
    for (size_t i = 0; i < plan->placed.len; i++) {
        if (plan->placed.at[i].rule == rule) {
            vec_push(arena, &names, str_safe(arena, plan->placed.at[i].layer->path));
        }
    }
    return names;
}

void placement_print(const Plan *plan, Buf *out) {
    for (int i = 0; i < placement_rule_count; i++) {
        const StrList names = layers_of(plan, i, out->arena);
        if (names.len == 0) {
            continue;
        }
        Buf text = buf_on(out->arena);
        names_braces(out->arena, &names, 2, &text);
        buf_printf(out, "  %-10s %-36.*s %10.*s  %s\n", placement_rules[i].name,
                   STR_ARG(buf_view(&text)), STR_ARG(plural(out->arena, names.len, "layer")),
                   placement_rules[i].doc);
    }
}

void placement_dump(const Plan *plan, Buf *out) {
    for (size_t i = 0; i < plan->placed.len; i++) {
        buf_printf(out, "placed %s %.*s\n", placement_rules[plan->placed.at[i].rule].name,
                   STR_ARG(str_safe(out->arena, plan->placed.at[i].layer->path)));
    }
}

void placement_json(const Plan *plan, Buf *out) {
    for (size_t i = 0; i < plan->placed.len; i++) {
        const PlacementRule *rule = &placement_rules[plan->placed.at[i].rule];
        buf_printf(out, "{\"type\":\"placement\",\"rule\":\"%s\",\"path\":", rule->name);
        buf_json(out, plan->placed.at[i].layer->path);
        buf_printf(out, ",\"why\":\"%s\"}\n", rule->doc);
    }
}
