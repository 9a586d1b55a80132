/* Backwards from the value until something says it (known_shape.h). Searches are bounded. */
#include "compiler/known_shape.h"
#include <string.h>

enum { MAX_HOPS = 8, INT64 = 7 };

/* The result has the shape of the first input. */
static bool keeps_shape(const Node *node) {
    static const char *const names[] = {"Identity", "Cast",    "Relu", "LeakyRelu",
                                        "Dropout",  "Softmax", NULL};
    bool found = false;
    for (int i = 0; names[i] && !found && node->domain.len == 0; i++) {
        found = str_is(node->op, names[i]);
    }
    return found && node->input_count > 0 && node->inputs[0];
}

static const Node *named(const ValueInfo *value, const char *op) {
    const Node *node = value->producer;
    return node && node->domain.len == 0 && str_is(node->op, op) ? node : NULL;
}

static const ValueInfo *operand(const Node *node, int slot) {
    return node && slot < node->input_count ? node->inputs[slot] : NULL;
}

static const Onnx__AttributeProto *perm_of(const Node *transpose) {
    return transpose ? node_attribute(transpose, "perm") : NULL;
}

int known_rank(const ValueInfo *value) {
    for (int hops = 0; value && hops < MAX_HOPS; hops++) {
        const Node *reshape = named(value, "Reshape");
        const ValueInfo *shape = operand(reshape, 1);
        const Onnx__AttributeProto *perm = perm_of(named(value, "Transpose"));
        if (value->rank >= 0) {
            return value->rank;
        }
        if (perm) {
            return (int)perm->n_ints;
        }
        if (shape && shape->constant) {
            return (int)shape->constant->count;
        }
        value = value->producer && keeps_shape(value->producer) ? value->producer->inputs[0] : NULL;
    }
    return -1;
}

/* Entry of a constant vector of int64, counted from its last. */
static int64_t entry(Session *s, const Tensor *t, int64_t from_end) {
    if (t->type != INT64 || t->rank != 1 || from_end > t->count) {
        return -1;
    }
    const uint8_t *bytes = tensor_bytes(s, t, s->arena);
    int64_t value = -1;
    if (bytes) {
        memcpy(&value, bytes + (size_t)(t->count - from_end) * sizeof value, sizeof value);
    }
    return value > 0 ? value : -1; /* 0 and -1 stand for what is found out at run time */
}

/* The shape that Reshape is given: a constant, or a Concat that ends in constants. */
static int64_t shape_entry(Session *s, const ValueInfo *shape, int64_t from_end) {
    const Node *parts = shape && !shape->constant ? named(shape, "Concat") : NULL;
    if (shape && shape->constant) {
        return entry(s, shape->constant, from_end);
    }
    for (int i = parts ? parts->input_count : 0; i-- > 0;) {
        const ValueInfo *part = parts->inputs[i];
        const int64_t count = part && part->constant ? part->constant->count
                              : part && part->rank == 1 && part->dims[0] >= 0 ? part->dims[0]
                                                                              : -1;
        if (count < 0 || (from_end <= count && !part->constant)) {
            return -1;
        }
        if (from_end <= count) {
            return entry(s, part->constant, from_end);
        }
        from_end -= count;
    }
    return -1;
}

/* Where the dimension comes from, in front of the value; NULL: nowhere that tells. */
static const ValueInfo *before(const ValueInfo *value, int *from_end) {
    const Node *turn = named(value, "Transpose"), *gemm = named(value, "Gemm");
    const Onnx__AttributeProto *perm = perm_of(turn);
    if (perm) {
        const int rank = (int)perm->n_ints, axis = rank - *from_end;
        const int64_t from = axis >= 0 ? perm->ints[axis] : -1;
        *from_end = from >= 0 && from < rank ? rank - (int)from : 0;
        return *from_end > 0 ? turn->inputs[0] : NULL;
    }
    if (*from_end == 1 && (gemm || named(value, "MatMul"))) {
        const ValueInfo *right = operand(value->producer, 1);
        *from_end = gemm && node_int(gemm, "transB", 0) ? 2 : 1;
        return right && (gemm || right->rank >= 2) ? right : NULL;
    }
    return value->producer && keeps_shape(value->producer) ? value->producer->inputs[0] : NULL;
}

int64_t known_dim(Session *s, const ValueInfo *value, int from_end) {
    for (int hops = 0; value && hops < MAX_HOPS; hops++) {
        if (from_end < 1 || (value->rank >= 0 && from_end > value->rank)) {
            return -1;
        }
        if (value->rank >= 0 && value->dims[value->rank - from_end] >= 0) {
            return value->dims[value->rank - from_end];
        }
        const Node *reshape = named(value, "Reshape");
        if (reshape) {
            return shape_entry(s, operand(reshape, 1), from_end);
        }
        value = before(value, &from_end);
    }
    return -1;
}
