/* Lowering of what layers read (lower_input.h). */
#include "compiler/lower_input.h"

typedef struct Stream {
    Ir *ir;
    Facts *facts;
    const Plan *plan;
    const PlanStream *stream;
    IrGroup *group;
    int graph, before, number;
} Stream;

static int graph_number(const Plan *plan, const Graph *graph) {
    const Model *model = plan->layers->model;
    int number = 0;
    while (model->graphs.at[number] != graph) {
        number++;
    }
    return number;
}

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
    Fact fact = {.name = ir_fresh_name(t->ir, str_format(t->ir->arena, "%.*s%s", STR_ARG(base), suffix)),
                 .kind = kind,
                 .index = kind == FACT_DIVIDE ? t->stream->tie : t->number,
                 .type = type,
                 .count = count};
    IrValue *data = known(t->ir, t->facts, t->group, &fact, kind == FACT_DIVIDE ? 1 : 0);
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

static int slot_of(const Layer *layer) {
    int slot = 0;
    while (layer->node->inputs[slot] != layer->input) {
        slot++;
    }
    return slot;
}

static void lower_stream(Stream *t) {
    const PlanStream *stream = t->stream;
    t->group = ir_group(t->ir, stream->value->name);
    t->graph = graph_number(t->plan, stream->graph);
    t->before = stream->graph->nodes.at[stream->graph->nodes.len - 1]->index;
    for (size_t i = 0; i < stream->layers.len; i++) {
        const Layer *layer = t->plan->layers_planned.at[stream->layers.at[i]].layer;
        t->before = layer->node->index < t->before ? layer->node->index : t->before;
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
    if (stream->element) {
        IrValue *scale = store(t, FACT_SCALE, "_scale", stream->type, 1);
        IrValue *zero = store(t, FACT_ZERO, "_zp", stream->element->onnx_type, 1);
        x = node(t, "QuantizeLinear", "_q", (IrValue *const[]){x, scale, zero, NULL});
        x = node(t, "DequantizeLinear", "_dq", (IrValue *const[]){x, scale, zero, NULL});
    }
    for (size_t i = 0; i < stream->layers.len; i++) {
        const Layer *layer = t->plan->layers_planned.at[stream->layers.at[i]].layer;
        IrOp *use = ir_op(t->ir, t->group, IR_OP(use));
        ir_arg(t->ir, use, x);
        ir_set_int(t->ir, use, "graph", t->graph);
        ir_set_int(t->ir, use, "node", layer->node->index);
        ir_set_int(t->ir, use, "slot", slot_of(layer));
    }
}

static void lower_fold(Ir *ir, Facts *facts, const Plan *plan, int tie, int fold) {
    const ValueInfo *gain = plan->ties.at[tie].folds.at[fold];
    const Tensor *tensor = gain->constant;
    IrGroup *group = ir_group(ir, gain->name);
    IrOp *weight = ir_op(ir, group, IR_OP(weight));
    ir_set_int(ir, weight, "graph", graph_number(plan, gain->graph));
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

void lower_inputs(const Plan *plan, Facts *facts, Ir *ir) {
    for (size_t i = 0; i < plan->ties.len; i++) {
        for (size_t k = 0; k < plan->ties.at[i].folds.len; k++) {
            lower_fold(ir, facts, plan, (int)i, (int)k);
        }
    }
    for (size_t i = 0; i < plan->streams.len; i++) {
        Stream t = {.ir = ir, .facts = facts, .plan = plan, .stream = &plan->streams.at[i],
                    .number = (int)i};
        lower_stream(&t);
        const int64_t opset = stream_opset(t.stream);
        ir->opset = opset > ir->opset ? opset : ir->opset;
    }
}
