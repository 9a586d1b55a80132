/* Lowering of what layers read (lower_input.h). */
#include "compiler/lower_input.h"
#include "compiler/lower_dynamic.h"
#include "runtime/calib/array_type.h"
#include "runtime/calib/stats.h"

typedef struct Stream {
    Ir *ir;
    Facts *facts;
    const Plan *plan;
    const PlanStream *stream;
    IrGroup *group;
    int graph, before, number;
} Stream;

static IrValue *known(Ir *ir, Facts *facts, IrGroup *group, const Fact *fact, int rank) {
    facts_add(facts, fact);
    IrOp *op = ir_op(ir, group, IR_OP(known));
    ir_set_string(ir, op, "fact", fact->name);
    ir_value_of(op)->type = ir_type(ir, fact->type, rank, &fact->count);
    return ir_value_of(op);
}

/* A new initializer that holds a fact. */
static IrValue *store(Stream *t, FactKind kind, const char *suffix, int type, int64_t count) {
    const Str base = t->stream->value->name;
    const int behind = kind == FACT_DIVIDE ? t->plan->ties.at[t->stream->tie].behind : 0;
    Fact fact = {
        .name = ir_fresh_name(t->ir, str_format(t->ir->arena, "%.*s%s", STR_ARG(base), suffix)),
        .kind = kind,
        .index = kind == FACT_DIVIDE ? t->stream->tie : t->number,
        .type = type,
        .count = count};
    IrValue *data = known(t->ir, t->facts, t->group, &fact, kind == FACT_DIVIDE ? 1 : 0);
    if (behind) { /* [1, channels, 1, ...] */
        const int64_t dims[2 + STAT_RANK_MAX] = {1, count, 1, 1, 1};
        data->type = ir_type(t->ir, type, 2 + behind, dims);
    }
    IrOp *op = ir_op(t->ir, t->group, IR_OP(store));
    ir_arg(t->ir, op, data);
    ir_set_string(t->ir, op, "name", fact.name);
    ir_set_int(t->ir, op, "graph", t->graph);
    ir_value_of(op)->type = data->type;
    return ir_value_of(op);
}

static IrValue *node(Stream *t, const char *name, const char *suffix, IrValue *const *args) {
    const Str base = t->stream->value->name;
    IrOp *op = ir_op(t->ir, t->group, IR_OP(node));
    ir_set_word(t->ir, op, "op", str_from(name));
    ir_set_string(t->ir, op, "name",
                  ir_fresh_name(t->ir, str_format(t->ir->arena, "%.*s%s", STR_ARG(base), suffix)));
    ir_set_int(t->ir, op, "graph", t->graph);
    ir_set_int(t->ir, op, "before", t->before);
    for (; *args; args++) {
        ir_arg(t->ir, op, *args);
    }
    return ir_value_of(op);
}

static void lower_stream(Stream *t) {
    const PlanStream *stream = t->stream;
    t->group = ir_group(t->ir, stream->value->name);
    t->graph = stream->graph->number;
    t->before = stream->graph->nodes.at[stream->graph->nodes.len - 1]->index;
    for (size_t i = 0; i < stream->uses.len; i++) {
        const int reader = stream->uses.at[i].node->index;
        t->before = reader < t->before ? reader : t->before;
    }
    IrOp *value = ir_op(t->ir, t->group, IR_OP(value));
    ir_set_string(t->ir, value, "name", stream->value->name);
    ir_set_int(t->ir, value, "graph", t->graph);
    IrValue *x = ir_value_of(value);
    if (stream->tie >= 0 && t->plan->ties.at[stream->tie].folds.len == 0) {
        IrValue *factors =
            store(t, FACT_DIVIDE, "_divide", stream->type, t->plan->ties.at[stream->tie].k);
        x = node(t, "Mul", "_scaled", (IrValue *const[]){x, factors, NULL});
    }
    if (stream->dynamic) {
        lower_dynamic(
            &(DynamicInput){t->ir, t->facts, t->plan, stream, t->group, t->graph, t->before}, x);
        return;
    }
    if (stream->element) {
        IrValue *scale = store(t, FACT_SCALE, "_scale", stream->type, 1);
        IrValue *zero = store(t, FACT_ZERO, "_zp", stream->element->onnx_type, 1);
        x = node(t, "QuantizeLinear", "_q", (IrValue *const[]){x, scale, zero, NULL});
        x = node(t, "DequantizeLinear", "_dq", (IrValue *const[]){x, scale, zero, NULL});
    }
    for (size_t i = 0; i < stream->uses.len; i++) {
        IrOp *use = ir_op(t->ir, t->group, IR_OP(use));
        ir_arg(t->ir, use, x);
        ir_set_int(t->ir, use, "graph", t->graph);
        ir_set_int(t->ir, use, "node", stream->uses.at[i].node->index);
        ir_set_int(t->ir, use, "slot", stream->uses.at[i].slot);
    }
}

static void lower_fold(Ir *ir, Facts *facts, const Plan *plan, int tie, int fold) {
    const ValueInfo *gain = plan->ties.at[tie].folds.at[fold].value;
    const Tensor *tensor = gain->constant;
    IrGroup *group = ir_group(ir, gain->name);
    IrOp *weight = ir_op(ir, group, IR_OP(weight));
    ir_set_int(ir, weight, "graph", gain->graph->number);
    ir_set_int(ir, weight, "uses", 1);
    ir_value_of(weight)->type = ir_type(ir, tensor->type, tensor->rank, tensor->dims);
    Fact fact = {.name = str_format(ir->arena, "%.*s.absorbed", STR_ARG(gain->name)),
                 .kind = FACT_ABSORBED,
                 .index = tie,
                 .fold = fold,
                 .type = tensor->type,
                 .count = tensor->count};
    IrValue *data = known(ir, facts, group, &fact, 1);
    data->type = ir_value_of(weight)->type;
    IrOp *rewrite = ir_op(ir, group, IR_OP(rewrite));
    ir_arg(ir, rewrite, data);
}

/* ---- biases */

typedef struct Bias {
    Ir *ir;
    Facts *facts;
    const PlanLayer *planned;
    IrGroup *group;
    int graph, index;
} Bias;

static IrValue *store_bias(Bias *t, FactKind kind, const char *suffix, int type, bool each) {
    const Layer *layer = t->planned->layer;
    const Str base = str_format(t->ir->arena, "%.*s%s", STR_ARG(t->group->name), suffix);
    Fact fact = {.name = ir_fresh_name(t->ir, base),
                 .kind = kind,
                 .index = t->index,
                 .type = type,
                 .count = each ? layer->weight->dims[layer->channel_axis] : 1};
    IrValue *data = known(t->ir, t->facts, t->group, &fact, each ? 1 : 0);
    IrOp *op = ir_op(t->ir, t->group, IR_OP(store));
    ir_arg(t->ir, op, data);
    ir_set_string(t->ir, op, "name", fact.name);
    ir_set_int(t->ir, op, "graph", t->graph);
    ir_value_of(op)->type = data->type;
    return ir_value_of(op);
}

static IrValue *lower_bias_codes(Bias *t) {
    const bool each = t->planned->format.granule == GRANULE_CHANNEL;
    IrValue *codes = store_bias(t, FACT_BIAS_CODES, "_q", TYPE_INT32, true);
    IrValue *scale = store_bias(t, FACT_BIAS_SCALE, "_scale", TYPE_FLOAT32, each);
    IrOp *op = ir_op(t->ir, t->group, IR_OP(node));
    ir_set_word(t->ir, op, "op", STR("DequantizeLinear"));
    const Str name = str_format(t->ir->arena, "%.*s_dq", STR_ARG(t->group->name));
    ir_set_string(t->ir, op, "name", ir_fresh_name(t->ir, name));
    ir_set_int(t->ir, op, "graph", t->graph);
    ir_set_int(t->ir, op, "before", t->planned->layer->node->index);
    if (each) {
        ir_set_int(t->ir, op, ".axis", 0);
    }
    ir_arg(t->ir, op, codes);
    ir_arg(t->ir, op, scale);
    return ir_value_of(op);
}

/* A group about the bias that is there, or, where a BatchNormalization is taken in, about what that
 * made. */
static IrGroup *open_bias(Bias *t) {
    const Node *norm = t->planned->norm;
    const ValueInfo *about = norm ? norm->outputs[0] : t->planned->layer->node->inputs[2];
    IrGroup *group = ir_group(t->ir, about->name);
    IrOp *first = ir_op(t->ir, group, norm ? IR_OP(value) : IR_OP(weight));
    ir_set_int(t->ir, first, "graph", norm ? t->graph : about->graph->number);
    if (norm) {
        ir_set_string(t->ir, first, "name", about->name);
    } else {
        const Tensor *tensor = about->constant;
        ir_set_int(t->ir, first, "uses", (int64_t)about->uses.len + about->graph_output);
        ir_value_of(first)->type = ir_type(t->ir, tensor->type, tensor->rank, tensor->dims);
    }
    return group;
}

static void lower_bias(Ir *ir, Facts *facts, const Plan *plan, int index) {
    const PlanLayer *planned = &plan->layers_planned.at[index];
    const Node *node = planned->layer->node, *norm = planned->norm;
    Bias t = {
        .ir = ir, .facts = facts, .planned = planned, .index = index, .graph = node->graph->number};
    t.group = open_bias(&t);
    IrValue *made = planned->bias
                        ? lower_bias_codes(&t)
                        : store_bias(&t, FACT_BIAS, "_bias", planned->layer->weight->type, true);
    IrOp *use = ir_op(ir, t.group, IR_OP(use));
    ir_arg(ir, use, made);
    ir_set_int(ir, use, "graph", t.graph);
    ir_set_int(ir, use, "node", node->index);
    ir_set_int(ir, use, "slot", 2);
    if (norm) {
        IrOp *absorb = ir_op(ir, t.group, IR_OP(absorb));
        ir_set_int(ir, absorb, "graph", t.graph);
        ir_set_int(ir, absorb, "node", node->index);
        ir_set_int(ir, absorb, "next", norm->index);
    } else if (node->inputs[2]->uses.len == 1 && !node->inputs[2]->graph_output) {
        IrOp *drop = ir_op(ir, t.group, IR_OP(drop));
        ir_arg(ir, drop, ir_value_of(t.group->ops.at[0]));
    }
}

void lower_inputs(const Plan *plan, const LowerOnly *only, Facts *facts, Ir *ir) {
    for (size_t i = 0; i < plan->ties.len; i++) {
        const bool wanted = !only || only->ties[i];
        for (size_t k = 0; wanted && k < plan->ties.at[i].folds.len; k++) {
            if (!plan->ties.at[i].folds.at[k].solved) {
                lower_fold(ir, facts, plan, (int)i, (int)k);
            }
        }
    }
    for (size_t i = 0; i < plan->layers_planned.len; i++) {
        const bool wanted = !only || only->layers[i];
        if (wanted && (plan->layers_planned.at[i].norm || plan->layers_planned.at[i].bias)) {
            lower_bias(ir, facts, plan, (int)i);
        }
    }
    for (size_t i = 0; i < plan->streams.len; i++) {
        if (plan->streams.at[i].uses.len == 0 || (only && !only->streams[i])) {
            continue;
        }
        Stream t = {.ir = ir,
                    .facts = facts,
                    .plan = plan,
                    .stream = &plan->streams.at[i],
                    .number = (int)i};
        lower_stream(&t);
        const int64_t opset = stream_opset(t.stream);
        ir->opset = opset > ir->opset ? opset : ir->opset;
    }
}
