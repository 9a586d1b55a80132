/* Backwards from the second product to the first (attention.h). Searches are bounded. */
#include "compiler/attention.h"

enum { MAX_HOPS = 12, MAX_SEEN = 64 };

static bool op_in(const Node *node, const char *const *names) {
    for (; node->domain.len == 0 && *names; names++) {
        if (str_is(node->op, *names)) {
            return true;
        }
    }
    return false;
}

static bool is_product(const Node *node) {
    return str_is(node->op, "MatMul") || str_is(node->op, "Einsum") ||
           str_is(node->op, "FusedMatMul");
}

/* Both operands are computed. */
static bool is_free_product(const Node *node) {
    return is_product(node) && node->input_count >= 2 && node->inputs[0] && node->inputs[1] &&
           !node->inputs[0]->constant && !node->inputs[1]->constant;
}

/* What may stand between softmax and the product with the values. */
static const char *const behind_softmax[] = {"Identity", "Cast",      "Dropout",   "Where",
                                             "Reshape",  "Transpose", "Unsqueeze", NULL};
/* What may stand between the product with the keys and softmax: scale, mask, caps, shapes. */
static const char *const before_softmax[] = {
    "Identity", "Cast", "Dropout", "Where", "Reshape", "Transpose", "Unsqueeze", "Squeeze", "Add",
    "Sub",      "Mul",  "Div",     "Tanh",  "Clip",    "Max",       "Min",       NULL};

typedef struct Walk {
    const Node *seen[MAX_SEEN];
    int hops[MAX_SEEN];
    int len;
} Walk;

static void push(Walk *w, const ValueInfo *value, int hops) {
    const Node *node = value ? value->producer : NULL;
    for (int i = 0; i < w->len; i++) {
        node = w->seen[i] == node ? NULL : node;
    }
    if (node && w->len < MAX_SEEN && hops < MAX_HOPS) {
        w->hops[w->len] = hops;
        w->seen[w->len++] = node;
    }
}

/* The nearest producer of `value` that is wanted, past the ops of `through`. */
static const Node *nearest(const ValueInfo *value, bool (*wanted)(const Node *),
                           const char *const *through) {
    Walk w = {.len = 0};
    push(&w, value, 0);
    for (int i = 0; i < w.len; i++) {
        const Node *node = w.seen[i];
        if (wanted(node)) {
            return node;
        }
        for (int k = 0; k < node->input_count && op_in(node, through); k++) {
            push(&w, node->inputs[k], w.hops[i] + 1);
        }
    }
    return NULL;
}

static bool is_softmax(const Node *node) {
    return node->domain.len == 0 && str_is(node->op, "Softmax");
}

static PlanUse use(const Node *node, int slot) {
    const bool there = slot < node->input_count && node->inputs[slot];
    return (PlanUse){there ? (Node *)(uintptr_t)node : NULL, slot};
}

bool attention_find(const Layer *layer, Attention *out) {
    const Node *node = layer->node;
    *out = (Attention){{0}, {0}, {0}, {0}};
    if (!(layer->roles & ROLE_ATTENTION)) {
        return false;
    }
    if (!is_product(node)) {
        out->query = use(node, 0);
        out->key = use(node, 1);
        out->value = use(node, 2);
        return true;
    }
    for (int i = 0; i < 2 && i < node->input_count; i++) {
        const Node *softmax = nearest(node->inputs[i], is_softmax, behind_softmax);
        if (!softmax) {
            continue;
        }
        out->probability = use(node, i);
        out->value = use(node, 1 - i);
        const Node *scores = nearest(softmax->inputs[0], is_free_product, before_softmax);
        if (scores) {
            out->query = use(scores, 0);
            out->key = use(scores, 1);
        }
        return true;
    }
    return false;
}
