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

static int64_t dim(Session *s, const ValueInfo *value, int from_end, int hops);

static int64_t dim_of_transpose(Session *s, const Node *node, int from_end, int hops) {
    const Onnx__AttributeProto *perm = perm_of(node);
    const int rank = perm ? (int)perm->n_ints : 0, axis = rank - from_end;
    const int64_t from = axis >= 0 && axis < rank ? perm->ints[axis] : -1;
    return from >= 0 && from < rank ? dim(s, node->inputs[0], rank - (int)from, hops) : -1;
}

/* Rows of the left, columns of the right; of the others the two are equal, or one of them is 1. */
static int64_t dim_of_product(Session *s, const Node *node, int from_end, int hops) {
    const ValueInfo *left = operand(node, 0), *right = operand(node, 1);
    if (!left || !right || known_rank(left) < 2 || known_rank(right) < 2) {
        const bool matrix = right && known_rank(right) >= 2 && from_end == 1;
        return matrix ? dim(s, right, 1, hops) : -1;
    }
    const int64_t of_left = from_end == 1 ? -1 : dim(s, left, from_end, hops);
    return from_end == 1   ? dim(s, right, 1, hops)
           : from_end == 2 ? of_left
           : of_left > 1   ? of_left
                           : dim(s, right, from_end, hops);
}

static int64_t dim(Session *s, const ValueInfo *value, int from_end, int hops) {
    const Node *node = value ? value->producer : NULL;
    if (!value || from_end < 1 || (value->rank >= 0 && from_end > value->rank)) {
        return -1;
    }
    if (value->rank >= 0 && value->dims[value->rank - from_end] >= 0) {
        return value->dims[value->rank - from_end];
    }
    if (!node || hops == MAX_HOPS) {
        return -1;
    }
    if (named(value, "Reshape")) {
        return shape_entry(s, operand(node, 1), from_end);
    }
    if (named(value, "Transpose")) {
        return dim_of_transpose(s, node, from_end, hops + 1);
    }
    if (named(value, "MatMul")) {
        return dim_of_product(s, node, from_end, hops + 1);
    }
    if (named(value, "Gemm") && from_end == 1) {
        return dim(s, operand(node, 1), node_int(node, "transB", 0) ? 2 : 1, hops + 1);
    }
    return keeps_shape(node) ? dim(s, node->inputs[0], from_end, hops + 1) : -1;
}

int64_t known_dim(Session *s, const ValueInfo *value, int from_end) {
    return dim(s, value, from_end, 0);
}
