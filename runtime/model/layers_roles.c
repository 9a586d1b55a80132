/* Roles that follow from a layer's surroundings: attention, norm, head, residual. The rules, in
 * words, are in docs/layers.md. Nothing here looks at a name. Searches are bounded; when a bound is
 * met the role is not given. */
#include "runtime/model/layers_parts.h"

/* ---- attention and norm */

static bool op_in(Str op, const char *const *names) {
    for (; *names; names++) {
        if (str_is(op, *names)) {
            return true;
        }
    }
    return false;
}

static const char *const attention_ops[] = {"Attention",
                                            "MultiHeadAttention",
                                            "GroupQueryAttention",
                                            "PackedAttention",
                                            "PackedMultiHeadAttention",
                                            "DecoderMaskedMultiHeadAttention",
                                            "DecoderMaskedSelfAttention",
                                            "QAttention",
                                            "LongformerAttention",
                                            "SparseAttention",
                                            "PagedAttention",
                                            NULL};

static const char *const norm_ops[] = {"LayerNormalization",
                                       "RMSNormalization",
                                       "SimplifiedLayerNormalization",
                                       "SkipLayerNormalization",
                                       "SkipSimplifiedLayerNormalization",
                                       "EmbedLayerNormalization",
                                       "BatchNormalization",
                                       "InstanceNormalization",
                                       "GroupNormalization",
                                       "GroupNorm",
                                       "SkipGroupNorm",
                                       "LpNormalization",
                                       "MeanVarianceNormalization",
                                       NULL};

static const char *const carriers[] = {"Identity", "Cast", "Dropout", NULL};
static const char *const softmax_carriers[] = {"Identity", "Cast",      "Dropout",   "Where",
                                               "Reshape",  "Transpose", "Unsqueeze", NULL};

static bool carries(const Node *node, const char *const *names) {
    return node->domain.len == 0 && op_in(node->op, names);
}

static void mark(Layers *layers, const Node *node, LayerRole role) {
    Layer *layer = layer_of(layers, node);
    if (layer) {
        layer->roles |= (unsigned)role;
    }
}

/* Products that softmax's result flows into; hops: how many carriers may still stand between. */
static void mark_attention(Layers *layers, const Node *node, int hops) {
    ValueInfo *value = node->output_count ? node->outputs[0] : NULL;
    for (size_t i = 0; value && i < value->uses.len && i < 16; i++) {
        const Node *user = value->uses.at[i].node;
        bool product =
            node_is(user, "MatMul") || node_is(user, "Einsum") || str_is(user->op, "FusedMatMul");
        const Layer *layer = layer_of(layers, user);
        if (product && layer && !layer->weight) {
            mark(layers, user, ROLE_ATTENTION);
        } else if (hops > 0 && carries(user, softmax_carriers)) {
            mark_attention(layers, user, hops - 1);
        }
    }
}

/* The one user of `node`'s first output that is a standard `op`; NULL if there is none. */
static const Node *user_with(const Node *node, const char *op) {
    ValueInfo *value = node->output_count ? node->outputs[0] : NULL;
    for (size_t i = 0; value && i < value->uses.len && i < 16; i++) {
        if (node_is(value->uses.at[i].node, op)) {
            return value->uses.at[i].node;
        }
    }
    return NULL;
}

static bool has_constant(const Node *node) {
    return value_is_constant(node_in(node, 0)) || value_is_constant(node_in(node, 1));
}

static const Node *only_user(const Node *node) {
    ValueInfo *value = node->output_count ? node->outputs[0] : NULL;
    return value && value->uses.len == 1 && !value->graph_output ? value->uses.at[0].node : NULL;
}

static const Node *past_casts(const Node *node) {
    const Node *next = node;
    for (int i = 0; next && i < 4 && carries(next, carriers); i++) {
        next = only_user(next);
    }
    return next;
}

/* x / sqrt(mean(x^2) + eps), gain and bias: from the ReduceMean to the last node, or NULL. */
static const Node *norm_after(const Node *mean) {
    const ValueInfo *squared = node_in(mean, 0);
    const Node *square = squared ? squared->producer : NULL;
    if (!square || (!node_is(square, "Pow") && !node_is(square, "Mul"))) {
        return NULL;
    }
    const Node *at = user_with(mean, "Add");
    at = at && has_constant(at) ? at : mean;
    const Node *root = user_with(at, "Sqrt");
    root = root ? root : user_with(at, "Pow");
    if (!root) {
        return NULL;
    }
    const Node *inverse = user_with(root, "Reciprocal");
    const Node *scaled = inverse ? user_with(inverse, "Mul") : NULL;
    scaled = scaled ? scaled : user_with(root, "Div");
    if (scaled && node_is(scaled, "Div") && value_is_constant(node_in(scaled, 0))) {
        scaled = user_with(scaled, "Mul"); /* 1 / sqrt(...), then the product */
    }
    if (!scaled && node_is(root, "Pow")) {
        scaled = user_with(root, "Mul");
    }
    const Node *last = scaled;
    static const char *const tails[] = {"Mul", "Add"};
    for (int i = 0; last && i < 2; i++) {
        const Node *next = only_user(last) ? past_casts(only_user(last)) : NULL;
        if (next && node_is(next, tails[i]) && has_constant(next)) {
            last = next;
        }
    }
    return last;
}

/* ---- head: what a value is good for */

static const char *const shape_ops[] = {"Reshape", "Transpose",  "Squeeze",  "Unsqueeze", "Slice",
                                        "Gather",  "Cast",       "Identity", "Flatten",   "Split",
                                        "Softmax", "LogSoftmax", "Dropout",  NULL};

/* Does `slot` of this node pass its value on unchanged, but for shape, bias and softmax? */
static bool passes_on(const Node *node, int slot) {
    if (node->domain.len) {
        return false;
    }
    const ValueInfo *other = node_in(node, 1 - slot); /* NULL for slots past 1 */
    bool bias = str_is(node->op, "Add") && slot < 2 && other && other->constant &&
                other->constant->rank <= 1;
    return bias || (slot == 0 && op_in(node->op, shape_ops));
}

static bool ends_outside(const ValueInfo *value, const bool *ends_layer, const Layers *layers);

/* True if every use of the value leads only to outputs of the model, and one does. */
static bool value_ends(const ValueInfo *value, const bool *ends_layer, const Layers *layers) {
    bool any = false;
    if (value->graph_output) {
        if (!ends_outside(value, ends_layer, layers)) {
            return false;
        }
        any = true;
    }
    for (size_t i = 0; i < value->uses.len; i++) {
        const Use *use = &value->uses.at[i];
        if (node_is(use->node, "Shape") || node_is(use->node, "Size")) {
            continue;
        }
        int user = layer_index(layers, use->node);
        if (user < 0 || !passes_on(use->node, use->slot) || !ends_layer[user]) {
            return false;
        }
        any = true;
    }
    return any;
}

static bool ends_outside(const ValueInfo *value, const bool *ends_layer, const Layers *layers) {
    const Graph *graph = value->graph;
    if (graph == layers->model->main) {
        return true;
    }
    if (!graph->owner || !graph->proto) {
        return false; /* local functions: not followed */
    }
    for (size_t k = 0; k < graph->proto->n_output; k++) {
        const char *name = graph->proto->output[k]->name;
        if (name && str_is(value->name, name)) {
            const ValueInfo *outside = value_outside(value, (int)k);
            return outside && value_ends(outside, ends_layer, layers);
        }
    }
    return false;
}

/* Backwards over the layers, so that users are decided before what they read. */
static void mark_heads(Layers *layers) {
    bool *ends_layer = arena_many(layers->model->session->arena, bool, layers->all.len + 1);
    for (size_t i = layers->all.len; i-- > 0;) {
        Layer *layer = &layers->all.at[i];
        bool any = false, all = true;
        for (int k = 0; k < layer->node->output_count; k++) {
            const ValueInfo *value = layer->node->outputs[k];
            if (value && (value->uses.len || value->graph_output)) {
                bool ends = value_ends(value, ends_layer, layers);
                any = any || ends;
                all = all && ends;
            }
        }
        ends_layer[i] = any && all;
        if (ends_layer[i] && (layer->roles & ROLE_LINEAR)) {
            layer->roles |= ROLE_HEAD;
        }
    }
}

/* ---- residual: Add(x, f(x)), where f has a weight */

typedef struct Search {
    const Layers *layers;
    Arena *arena;
    int *seen[2]; /* stamp of the last search that reached a layer, without / with weight */
    int stamp;
    int64_t budget; /* steps left to all searches together */
    Vec(int) stack; /* layer * 2 + weight seen on the way */
} Search;

static const Layer *producer_of(const Search *s, const ValueInfo *value) {
    return value && value->producer ? layer_of(s->layers, value->producer) : NULL;
}

static void reach(Search *s, const ValueInfo *value, bool weight, int lowest) {
    const Layer *from = producer_of(s, value);
    if (!from || from->index <= lowest) {
        return; /* older than what is searched for */
    }
    weight = weight || from->weight;
    if (s->seen[weight][from->index] != s->stamp) {
        s->seen[weight][from->index] = s->stamp;
        vec_push(s->arena, &s->stack, from->index * 2 + weight);
    }
}

/* Does `from` depend on `ancestor` along a path with a weight? */
static bool depends(Search *s, const ValueInfo *from, const ValueInfo *ancestor) {
    const Layer *made = producer_of(s, ancestor);
    int lowest = made ? made->index : -1;
    s->stamp++;
    s->stack.len = 0;
    reach(s, from, false, lowest);
    while (s->stack.len) {
        int top = s->stack.at[--s->stack.len];
        const Node *node = s->layers->all.at[top / 2].node;
        for (int i = 0; i < node->input_count; i++) {
            if (node->inputs[i] == ancestor && (top & 1)) {
                return true;
            }
            if (s->budget-- < 0) {
                return false;
            }
            reach(s, node->inputs[i], top & 1, lowest);
        }
    }
    return false;
}

static const char *const skip_ops[] = {"Identity", "Cast",    "Dropout",   "Reshape", "Transpose",
                                       "Squeeze",  "Flatten", "Unsqueeze", NULL};

static const ValueInfo *behind(const ValueInfo *value, const char *const *names) {
    for (int hops = 0; hops < 8 && value->producer && carries(value->producer, names); hops++) {
        const ValueInfo *before = node_in(value->producer, 0);
        if (!before || before->constant) {
            break;
        }
        value = before;
    }
    return value;
}

/* `skip` is the short side: x itself, or x through one convolution and its norm. */
static bool joins(Search *s, const ValueInfo *skip, const ValueInfo *around) {
    const ValueInfo *x = behind(skip, skip_ops);
    if (depends(s, around, x)) {
        return true;
    }
    const Layer *layer = producer_of(s, x);
    if (layer && node_is(layer->node, "BatchNormalization")) {
        layer = producer_of(s, node_in(layer->node, 0));
    }
    bool shortcut = layer && (layer->roles & ROLE_CONV) && layer->input;
    return shortcut && depends(s, around, behind(layer->input, skip_ops));
}

static bool is_join(const Node *node) {
    const ValueInfo *a = node_in(node, 0), *b = node_in(node, 1);
    return node_is(node, "Add") && a && b && !a->constant && !b->constant && a != b;
}

static Str value_key(const ValueInfo *const *value) {
    return (Str){(const char *)value, sizeof *value};
}

/* What several Adds take as an operand (an attention mask, a position code) is no skip connection,
 * though all but the first of them depend on it. */
static Map terms_of_adds(const Layers *layers) {
    Map adds = map_on(layers->model->session->arena); /* value -> Add, or layers when several */
    for (size_t i = 0; i < layers->all.len; i++) {
        Node *node = layers->all.at[i].node;
        for (int k = 0; k < 2 && is_join(node); k++) {
            const ValueInfo *x = behind(node->inputs[k], skip_ops);
            Node *first = map_get(&adds, value_key(&x));
            map_put(&adds, value_key(&x), first && first != node ? (void *)layers : (void *)node);
        }
    }
    return adds;
}

static void mark_residuals(Layers *layers) {
    size_t n = layers->all.len;
    Arena *arena = layers->model->session->arena;
    Search s = {.layers = layers, .arena = arena, .budget = 64 * (int64_t)n + 100000};
    s.seen[0] = arena_many(arena, int, n + 1);
    s.seen[1] = arena_many(arena, int, n + 1);
    Map adds = terms_of_adds(layers);
    for (size_t i = 0; i < n; i++) {
        Layer *layer = &layers->all.at[i];
        for (int k = 0; k < 2 && is_join(layer->node); k++) {
            const ValueInfo *skip = layer->node->inputs[k], *x = behind(skip, skip_ops);
            if (map_get(&adds, value_key(&x)) == layer->node &&
                joins(&s, skip, layer->node->inputs[1 - k])) {
                layer->roles |= ROLE_RESIDUAL;
            }
        }
    }
}

void layers_roles(Layers *layers) {
    for (size_t i = 0; i < layers->all.len; i++) {
        Layer *layer = &layers->all.at[i];
        const Node *node = layer->node;
        if (op_in(node->op, attention_ops)) {
            layer->roles |= ROLE_ATTENTION;
        } else if (op_in(node->op, norm_ops)) {
            layer->roles |= ROLE_NORM;
        } else if (node_is(node, "Softmax")) {
            mark_attention(layers, node, 4);
        } else if (node_is(node, "ReduceMean")) {
            const Node *last = norm_after(node);
            if (last) {
                mark(layers, last, ROLE_NORM);
            }
        }
    }
    mark_heads(layers);
    mark_residuals(layers);
}
