/* Plan -> IR (lower.h). In: a bound plan. Out: groups in the order of the planned layers; layers
 * that share a weight get a group each, which pass `dedupe` joins. Knows no transform by name. */
#include "compiler/lower.h"
#include "compiler/lower_input.h"
#include "compiler/transform.h"
#include "runtime/model/layers.h"

typedef struct Lower {
    Session *s;
    const Plan *plan;
    const Model *model;
    Ir *ir;
} Lower;

/* The node of the weight's graph that reads it: the layer's own, or the one whose body it is in. */
static const Node *node_in_graph(const Node *node, const Graph *graph) {
    while (node->graph != graph && node->graph->owner) {
        node = node->graph->owner;
    }
    return node;
}

static bool is_row(const ValueInfo *bias, int64_t n) {
    const Tensor *constant = bias->constant;
    if (constant) {
        return constant->rank == 1 && constant->dims[0] == n;
    }
    return bias->rank == 1 && bias->dims[0] == n;
}

/* Says whether a node is x W (+ bias) in a way that MatMulNBits can stand for. */
static void describe_product(Lower *l, IrOp *op, const PlanLayer *planned) {
    const Layer *layer = planned->layer;
    const Node *node = layer->node;
    bool gemm = str_is(node->op, "Gemm");
    bool plain = layer->weight_at == node && layer->weight_slot == 1 && node->domain.len == 0 &&
                 layer->weight->rank == 2 && node->graph->function.len == 0 && node->inputs[0] &&
                 node->output_count == 1;
    if (gemm) {
        const Onnx__AttributeProto *alpha = node_attribute(node, "alpha");
        const Onnx__AttributeProto *beta = node_attribute(node, "beta");
        plain = plain && (!alpha || alpha->f == 1.0f) && (!beta || beta->f == 1.0f) &&
                node_int(node, "transA", 0) == 0;
    } else {
        plain = plain && str_is(node->op, "MatMul") && node->inputs[0]->rank != 1;
    }
    if (!plain) {
        return;
    }
    const ValueInfo *bias = gemm && node->input_count > 2 ? node->inputs[2] : NULL;
    if (planned->stream >= 0 && bias && !is_row(bias, layer->n)) {
        return; /* it would be two nodes, and what the first reads is edited in the second */
    }
    ir_set_word(l->ir, op, "plain", STR("yes"));
    ir_set_string(l->ir, op, "activation", node->inputs[0]->name);
    if (bias) {
        ir_set_string(l->ir, op, "bias", bias->name);
        if (is_row(bias, layer->n)) {
            ir_set_word(l->ir, op, "bias_row", STR("yes"));
        }
    }
}

static int64_t file_number(const Model *model, const Tensor *tensor) {
    for (size_t i = 0; i < model->data_files.len; i++) {
        if (model->data_files.at[i] == tensor->input) {
            return (int64_t)i + 1;
        }
    }
    return 0;
}

static IrValue *lower_weight(Lower *l, IrGroup *group, const Layer *layer, const ValueInfo *value) {
    const Tensor *tensor = layer->weight;
    IrOp *op = ir_op(l->ir, group, IR_OP(weight));
    ir_set_int(l->ir, op, "graph", value->graph->number);
    ir_set_int(l->ir, op, "uses", (int64_t)value->uses.len + value->graph_output);
    ir_set_int(l->ir, op, "file", file_number(l->model, tensor));
    ir_set_int(l->ir, op, "offset", (int64_t)tensor->input_offset);
    ir_value_of(op)->type = ir_type(l->ir, tensor->type, tensor->rank, tensor->dims);
    return ir_value_of(op);
}

static void lower_reader(Lower *l, IrGroup *group, const PlanLayer *planned, const ValueInfo *value,
                         IrValue *weight) {
    const Layer *layer = planned->layer;
    IrOp *op = ir_op(l->ir, group, IR_OP(layer));
    ir_arg(l->ir, op, weight);
    ir_set_string(l->ir, op, "path", layer->path);
    ir_set_word(l->ir, op, "op", layer->node->op);
    ir_set_int(l->ir, op, "graph", layer->weight_at->graph->number);
    ir_set_int(l->ir, op, "node", layer->weight_at->index);
    ir_set_int(l->ir, op, "slot", layer->weight_slot);
    ir_set_int(l->ir, op, "before", node_in_graph(layer->weight_at, value->graph)->index);
    ir_set_int(l->ir, op, "plan", planned - l->plan->layers_planned.at);
    describe_product(l, op, planned);
}

/* The steps of one phase, in the order of the rule that owns it. */
static bool lower_phase(Lowering *lowering, const PlanOwner *owner, Phase phase) {
    for (size_t i = 0; owner->rule && i < owner->rule->steps.len; i++) {
        const Step *step = owner->rule->steps.at[i];
        const Transform *transform = transform_find(step->schema);
        if (step->schema->phase != phase || transform == NULL) {
            continue; /* another phase's, or a step that bind has refused */
        }
        TRY(!transform->check || transform->check(lowering->session, lowering->layer, step));
        TRY(!transform->lower || transform->lower(lowering, step));
    }
    return true;
}

/* Factors of a layer behind it, which its output channels are divided by. */
static void lower_absorbed(Lowering *lowering) {
    const PlanLayer *planned = lowering->layer;
    if (!planned->absorbs) {
        return;
    }
    IrOp *op = ir_op(lowering->ir, lowering->group, IR_OP(rescale));
    ir_arg(lowering->ir, op, lowering->weight);
    ir_set_word(lowering->ir, op, "by", STR("fold"));
    ir_set_string(lowering->ir, op, "name", planned->absorbs->value->name);
    ir_set_int(lowering->ir, op, "axis", planned->layer->channel_axis);
    lowering->weight = ir_value_of(op);
}

static bool lower_layer(Lower *l, const PlanLayer *planned) {
    const Layer *layer = planned->layer;
    if (planned->skip || layer->weight == NULL) {
        return true;
    }
    const ValueInfo *value = layer->weight_at->inputs[layer->weight_slot];
    IrGroup *group = ir_group(l->ir, value->name);
    IrValue *weight = lower_weight(l, group, layer, value);
    lower_reader(l, group, planned, value, weight);
    Lowering lowering = {l->s, l->ir, group, planned, weight};
    TRY(lower_phase(&lowering, &planned->owner[PHASE_EDIT - PHASE_EDIT], PHASE_EDIT));
    lower_absorbed(&lowering);
    return lower_phase(&lowering, &planned->owner[PHASE_ENCODE - PHASE_EDIT], PHASE_ENCODE);
}

static void read_emit(Ir *ir, const Step *emit) {
    ir->emit = emit ? str_from(emit->schema->name) : STR("qdq");
    for (size_t i = 0; emit && i < emit->args.len; i++) {
        const BoundArg *arg = &emit->args.at[i];
        if (arg->value && strcmp(arg->param->name, "opset") == 0) {
            ir->opset = arg->value->integer > ir->opset ? arg->value->integer : ir->opset;
        } else if (arg->value && strcmp(arg->param->name, "weights") == 0) {
            ir->float_weights = str_is(arg->value->text, "float");
        }
    }
}

static Str fresh_name(void *model, Str wanted) {
    return model_fresh_name(model, wanted);
}

bool lower(Session *s, const Plan *plan, Facts *facts, Ir **out) {
    Lower l = {.s = s, .plan = plan, .model = plan->layers->model};
    l.ir = ir_make(s->arena);
    l.ir->fresh = fresh_name;
    l.ir->model = plan->layers->model;
    l.ir->model_opset = l.model->opset;
    l.ir->opset = l.model->opset;
    read_emit(l.ir, plan->recipe->emit);
    bool ok = true;
    for (size_t i = 0; i < plan->layers_planned.len; i++) {
        ok &= lower_layer(&l, &plan->layers_planned.at[i]);
    }
    lower_inputs(plan, NULL, facts, l.ir);
    *out = l.ir;
    return ok;
}
