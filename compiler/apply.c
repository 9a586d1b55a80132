/* Records the edits that an IR asks for (apply.h). The IR refers to nodes by graph and position;
 * positions are those of the model as it was read, which edits never change. */
#include "compiler/apply.h"
#include "compiler/infer.h"
#include "runtime/model/upgrade.h"
#include <assert.h>

typedef struct Apply {
    Arena *arena;
    const Ir *ir;
    const Facts *facts;
    Model *model;
    const IrGroup *group;
} Apply;

static Graph *graph_of(const Apply *a, const IrOp *op) {
    int64_t graph = ir_int(op, "graph", 0);
    assert(graph >= 0 && (size_t)graph < a->model->graphs.len);
    return a->model->graphs.at[graph];
}

static Node *node_of(const Apply *a, const IrOp *op, const char *key) {
    const Graph *graph = graph_of(a, op);
    int64_t node = ir_int(op, key, 0);
    assert(node >= 0 && (size_t)node < graph->nodes.len);
    return graph->nodes.at[node];
}

/* The initializer or constant that the group is about. */
static const Tensor *weight_of(const Apply *a) {
    ValueInfo *value = graph_value(graph_of(a, a->group->ops.at[0]), a->group->name);
    assert(value && value->constant);
    return value->constant;
}

/* Where the bytes come from: a fact, or a result of a kernel. */
static int64_t tag_of(const Apply *a, const IrValue *value) {
    if (value->op->info == IR_OP(known)) {
        const int fact = facts_find(a->facts, ir_text(value->op, "fact"));
        assert(fact >= 0);
        return tag_make(TAG_FACT, fact, 0);
    }
    const bool solved = ir_attr(value->op, "solved") != NULL;
    const int64_t number = ir_int(value->op, solved ? "solved" : "job", 0);
    static const char *const outputs[OUT_COUNT] = {"codes", "scales", "zeros", "super"};
    Str words = ir_text(value->op, "out");
    int result = 0;
    for (int out = 0; out < OUT_COUNT; out++) {
        size_t length = strlen(outputs[out]);
        if (words.len >= length && memcmp(words.data, outputs[out], length) == 0) {
            if (result++ == value->result) {
                return tag_make(solved ? TAG_SOLVED : TAG_JOB, number, out);
            }
            words = str_slice(words, length + 1, words.len);
        }
    }
    assert(false && "a stored value is a result of a kernel");
    return 0;
}

static void apply_store(Apply *a, const IrOp *op) {
    const IrValue *data = op->args.at[0];
    NewTensor tensor = {.name = ir_text(op, "name"), .type = data->type.element,
                        .rank = data->type.rank, .dims = data->type.dims, .tag = tag_of(a, data)};
    uint64_t bits = (uint64_t)type_bits(tensor.type) * (uint64_t)ir_type_elements(data->type);
    tensor.size = bits / 8 + (bits % 8 != 0);
    edit_add_initializer(graph_of(a, op), &tensor);
}

static Onnx__AttributeProto *attribute(Apply *a, const IrAttr *attr) {
    assert(attr->kind == IR_INT); /* the nodes that morc makes have no others */
    Onnx__AttributeProto *proto = arena_new(a->arena, Onnx__AttributeProto);
    onnx__attribute_proto__init(proto);
    proto->name = (char *)str_c(a->arena, str_slice(attr->key, 1, attr->key.len));
    proto->has_type = 1;
    proto->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT;
    proto->has_i = 1;
    proto->i = attr->integer;
    return proto;
}

/* Name of an operand in the graph; "" where it is absent. */
static char *operand_name(Apply *a, const IrValue *value) {
    const char *key = value && ir_attr(value->op, "output") ? "output" : "name";
    return (char *)str_c(a->arena, value ? ir_text(value->op, key) : STR(""));
}

/* Op, domain, inputs and attributes of a node or replace op; the caller adds name and outputs. */
static Onnx__NodeProto *node_proto(Apply *a, const IrOp *op) {
    Onnx__NodeProto *proto = arena_new(a->arena, Onnx__NodeProto);
    onnx__node_proto__init(proto);
    proto->op_type = (char *)str_c(a->arena, ir_text(op, "op"));
    if (ir_attr(op, "domain")) {
        proto->domain = (char *)str_c(a->arena, ir_text(op, "domain"));
    }
    proto->input = arena_many(a->arena, char *, op->args.len);
    for (size_t i = 0; i < op->args.len; i++) {
        proto->input[proto->n_input++] = operand_name(a, op->args.at[i]);
    }
    proto->attribute = arena_many(a->arena, Onnx__AttributeProto *, op->attrs.len);
    for (size_t i = 0; i < op->attrs.len; i++) {
        if (op->attrs.at[i].key.data[0] == '.') {
            proto->attribute[proto->n_attribute++] = attribute(a, &op->attrs.at[i]);
        }
    }
    return proto;
}

static void apply_node(Apply *a, const IrOp *op) {
    Onnx__NodeProto *proto = node_proto(a, op);
    proto->name = (char *)str_c(a->arena, ir_text(op, "name"));
    proto->output = arena_many(a->arena, char *, 1);
    proto->output[proto->n_output++] = operand_name(a, ir_value_of(op));
    if (ir_attr(op, "behind")) {
        edit_insert_behind(node_of(a, op, "behind"), proto);
    } else {
        edit_insert_before(node_of(a, op, "before"), proto);
    }
}

static void apply_replace(Apply *a, const IrOp *op) {
    Node *node = node_of(a, op, "node");
    Onnx__NodeProto *proto = node_proto(a, op);
    proto->name = node->proto->name;
    proto->output = node->proto->output;
    proto->n_output = node->proto->n_output;
    proto->metadata_props = node->proto->metadata_props; /* the layer keeps its path */
    proto->n_metadata_props = node->proto->n_metadata_props;
    edit_replace_node(node, proto);
}

/* Constants that these inputs are alone in reading, from the second on. */
static void drop_constants(const Node *node, int from) {
    for (int i = from; i < node->input_count; i++) {
        const ValueInfo *value = node->inputs[i];
        if (value && value->constant && value->uses.len == 1 && !value->graph_output) {
            edit_remove_initializer(value->constant);
        }
    }
}

static void apply_absorb(const Apply *a, const IrOp *op) {
    Node *node = node_of(a, op, "node"), *next = node_of(a, op, "next");
    drop_constants(node, 2); /* its old bias */
    drop_constants(next, 1);
    edit_absorb_node(node, next);
}

static void apply_op(Apply *a, const IrOp *op) {
    if (op->info == IR_OP(store)) {
        apply_store(a, op);
    } else if (op->info == IR_OP(rewrite)) {
        edit_replace_payload(weight_of(a), tag_of(a, op->args.at[0]));
    } else if (op->info == IR_OP(node)) {
        apply_node(a, op);
    } else if (op->info == IR_OP(rename)) {
        edit_rename_output(node_of(a, op, "node"), ir_text(op, "name"));
    } else if (op->info == IR_OP(replace)) {
        apply_replace(a, op);
    } else if (op->info == IR_OP(use)) {
        edit_node_input(node_of(a, op, "node"), (int)ir_int(op, "slot", 0),
                        str_from(operand_name(a, op->args.at[0])));
    } else if (op->info == IR_OP(absorb)) {
        apply_absorb(a, op);
    } else if (op->info == IR_OP(drop)) {
        edit_remove_initializer(weight_of(a));
    }
}

bool apply(Session *s, const Ir *ir, const Facts *facts, Model *model) {
    if (model->ir_version < 4) {
        edit_ir_version(model, 4); /* before it, every initializer had to be an input as well */
    }
    if (ir->opset > model->opset) {
        TRY(model_upgrade(s, model, ir->opset));
    }
    Apply a = {.arena = s->arena, .ir = ir, .facts = facts, .model = model};
    for (size_t i = 0; i < ir->groups.len; i++) {
        a.group = ir->groups.at[i];
        for (size_t k = 0; k < a.group->ops.len; k++) {
            apply_op(&a, a.group->ops.at[k]);
        }
    }
    if (ir->microsoft) {
        edit_opset(model, "com.microsoft", 1);
    }
    return true;
}
