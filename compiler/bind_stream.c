/* Streams: which inputs of which nodes read a value in a format, and what they share. A use has one
 * stream: what a layer says of its own input goes before what another says of its output. */
#include "compiler/attention.h"
#include "compiler/bind_parts.h"
#include "compiler/placement.h"
#include <string.h>

/* ---- values and uses */

bool can_stream(const ValueInfo *value) {
    return value && !value->constant && !value->sparse &&
           (value->type == 0 || (type_is_float(value->type) && value->type != 11));
}

ValueInfo *layer_result(const PlanLayer *planned) {
    const Node *last = planned->norm ? planned->norm : planned->layer->node;
    return last->output_count ? last->outputs[0] : NULL;
}

/* A value whose type the model does not say has that of the weight. Doubles have no formats, only
 * factors. */
static int float_type(const ValueInfo *value, const PlanLayer *planned) {
    const int own = planned->layer->weight ? planned->layer->weight->type : 1;
    return value->type != 0 ? value->type : type_is_float(own) ? own : 1;
}

static Str use_key(const Bind *b, const Node *node, int slot) {
    return str_format(b->s->arena, "%p %d", (const void *)node, slot);
}

int stream_at(const Bind *b, const Node *node, int slot) {
    return (int)(uintptr_t)map_get(&b->uses, use_key(b, node, slot)) - 1;
}

/* ---- one stream */

static Str stream_key(Bind *b, const PlanStream *stream) {
    Buf key = buf_on(b->s->arena);
    buf_printf(&key, "%p %p %d ", (const void *)stream->value, (const void *)stream->graph,
               stream->tie);
    if (stream->written) {
        buf_printf(&key, "%p ", (const void *)stream->calibrate);
        format_print(stream->written, &key);
    }
    return buf_view(&key);
}

void stream_add_use(Bind *b, int stream, Node *node, int slot) {
    vec_push(b->s->arena, &b->plan->streams.at[stream].uses, ((PlanUse){node, slot}));
    map_put(&b->uses, use_key(b, node, slot), (void *)((uintptr_t)stream + 1));
}

int stream_take(Bind *b, const StreamWish *wish) {
    Plan *plan = b->plan;
    if (stream_at(b, wish->node, wish->slot) >= 0) {
        return -1;
    }
    const PlanLayer *planned = &plan->layers_planned.at[wish->layer];
    PlanStream made = {.value = wish->value,
                       .graph = wish->node->graph,
                       .tie = wish->tie,
                       .written = wish->format,
                       .calibrate = planned->calibrate,
                       .type = float_type(wish->value, planned),
                       .scale = (int)plan->streams.len};
    if (wish->format) {
        made.element = format_find(wish->format->element.data, wish->format->element.len);
        made.dynamic = wish->format->dynamic;
        made.calibrate = made.dynamic ? NULL : made.calibrate;
        made.token = wish->format->per == PER_TOKEN;
    }
    const Str key = stream_key(b, &made);
    const MapEntry *entry = map_find(&b->streams, key);
    const int index = entry ? (int)(entry - b->streams.entries) : (int)plan->streams.len;
    if (!entry) {
        map_put(&b->streams, key, b);
        vec_push(b->s->arena, &plan->streams, made);
    }
    PlanStream *stream = &plan->streams.at[index];
    if (stream->layers.len == 0 || vec_last(&stream->layers) != wish->layer) {
        vec_push(b->s->arena, &stream->layers, wish->layer);
    }
    stream_add_use(b, index, wish->node, wish->slot);
    return index;
}

/* ---- layers without a weight */

static bool adds_or_pools(const Node *node) {
    static const char *const names[] = {"MatMul",
                                        "Gemm",
                                        "Conv",
                                        "ConvTranspose",
                                        "Einsum",
                                        "Add",
                                        "Mul",
                                        "Sub",
                                        "Div",
                                        "Concat",
                                        "AveragePool",
                                        "MaxPool",
                                        "GlobalAveragePool",
                                        NULL};
    bool found = false;
    for (int i = 0; names[i] && !found && node->domain.len == 0; i++) {
        found = str_is(node->op, names[i]);
    }
    return found;
}

static void add_use(Bind *b, UseList *out, PlanUse use) {
    if (use.node && can_stream(use.node->inputs[use.slot])) {
        vec_push(b->s->arena, out, use);
    }
}

const char *weightless_uses(Bind *b, const Layer *layer, const char *role, UseList *out) {
    Attention parts;
    const bool attention = attention_find(layer, &parts), kv = strcmp(role, "kv") == 0;
    if (kv && !attention) {
        return "keys and values are read by attention, and this is none";
    }
    if (attention && !kv) {
        add_use(b, out, parts.query);
        add_use(b, out, parts.probability);
    }
    if (attention) {
        add_use(b, out, parts.key);
        add_use(b, out, parts.value);
    } else if (!adds_or_pools(layer->node)) {
        return "only products, sums, pools and attention read codes";
    }
    int whose;
    const bool sum = layer->roles & ROLE_RESIDUAL;
    const int only = sum ? placement_residual_slot(b, layer->node, &whose) : -1;
    for (int i = 0; !attention && i < layer->node->input_count; i++) {
        if (only < 0 || only == i) {
            add_use(b, out, (PlanUse){layer->node, i});
        }
    }
    return out->len ? NULL : "it reads nothing that is a float and computed";
}

/* ---- what layers ask for */

static void take_uses(Bind *b, int index, const char *role) {
    PlanLayer *planned = &b->plan->layers_planned.at[index];
    const FormatValue *format = wished_format(planned, role);
    UseList uses = {0};
    if (!format || weightless_uses(b, planned->layer, role, &uses)) {
        return;
    }
    for (size_t i = 0; i < uses.len; i++) {
        const PlanUse use = uses.at[i];
        const int stream = stream_take(
            b, &(StreamWish){use.node->inputs[use.slot], use.node, use.slot, format, -1, index});
        planned->stream = planned->stream < 0 ? stream : planned->stream;
    }
}

static int slot_of(const Layer *layer) {
    int slot = 0;
    while (layer->node->inputs[slot] != layer->input) {
        slot++;
    }
    return slot;
}

static void take_input(Bind *b, int index) {
    PlanLayer *planned = &b->plan->layers_planned.at[index];
    const FormatValue *format = wished_format(planned, "input");
    const bool scaled = planned->tie >= 0 && b->plan->ties.at[planned->tie].folds.len == 0;
    if (!planned->layer->weight || (!format && !scaled)) {
        return;
    }
    planned->stream =
        stream_take(b, &(StreamWish){planned->layer->input, planned->layer->node,
                                     slot_of(planned->layer), format, planned->tie, index});
}

static void take_output(Bind *b, int index) {
    const PlanLayer *planned = &b->plan->layers_planned.at[index];
    const FormatValue *format = wished_format(planned, "output");
    ValueInfo *value = format ? layer_result(planned) : NULL;
    for (size_t i = 0; value && i < value->uses.len; i++) {
        const Use use = value->uses.at[i];
        stream_take(b, &(StreamWish){value, use.node, use.slot, format, -1, index});
    }
}

void bind_streams(Bind *b) {
    b->streams = map_on(b->s->arena);
    b->uses = map_on(b->s->arena);
    const int count = (int)b->plan->layers_planned.len;
    for (int i = 0; i < count; i++) {
        take_input(b, i);
    }
    for (int i = 0; i < count; i++) {
        if (!b->plan->layers_planned.at[i].layer->weight) {
            take_uses(b, i, "kv");
            take_uses(b, i, "input");
        }
    }
    for (int i = 0; i < count; i++) {
        take_output(b, i);
    }
}
