/* Builds the layer index: one walk collects the nodes in graph order, then each part adds its
 * fields. In: a checked model. Out: Layers on the session's arena. Reads no weight. Time is linear
 * in nodes, uses and names, except for the bounded searches of layers_roles.c and layers_blocks.c.
 */
#include <stdlib.h>
#include "runtime/model/layers_parts.h"

ValueInfo *node_in(const Node *node, int slot) {
    return slot >= 0 && slot < node->input_count ? node->inputs[slot] : NULL;
}

bool node_is(const Node *node, const char *op) {
    return node->domain.len == 0 && str_is(node->op, op);
}

bool value_is_constant(const ValueInfo *value) {
    return value && value->constant;
}

bool type_is_float(int type) {
    return type == 1 || type == 10 || type == 11 || type == 16;
}

const char *path_from_name(PathFrom from) {
    static const char *const names[] = {"name_scopes", "node name", "weight", "output"};
    return names[from];
}

static Str graph_key(const Graph *const *graph) {
    return (Str){(const char *)graph, sizeof *graph};
}

int layer_index(const Layers *layers, const Node *node) {
    const Graph *graph = node->graph;
    const int *of_node = map_get(&layers->graphs, graph_key(&graph));
    return of_node ? of_node[node->index] : -1;
}

Layer *layer_of(const Layers *layers, const Node *node) {
    int i = layer_index(layers, node);
    return i < 0 ? NULL : &layers->all.at[i];
}

static bool is_constant_node(const Node *node) {
    return node_is(node, "Constant");
}

/* Depth of recursion is that of the file's messages, which onnx_skim limits. */
static void collect(Session *s, Layers *layers, Graph *graph) {
    int *of_node = arena_many(s->arena, int, graph->nodes.len + 1);
    map_put(&layers->graphs, graph_key((const Graph *const *)&graph), of_node);
    for (size_t i = 0; i < graph->nodes.len; i++) {
        Node *node = graph->nodes.at[i];
        of_node[i] = -1;
        if (is_constant_node(node)) {
            continue;
        }
        of_node[i] = (int)layers->all.len;
        Layer layer = {.node = node, .index = (int)layers->all.len, .block = -1};
        layer.state = STR("float");
        if (node->output_count && node->outputs[0]) {
            layer.fanout = (int64_t)node->outputs[0]->uses.len;
        }
        vec_push(s->arena, &layers->all, layer);
        for (size_t b = 0; b < node->bodies.len; b++) {
            collect(s, layers, node->bodies.at[b]);
        }
    }
}

Layers *layers_index(Session *s, Model *model) {
    Layers *layers = arena_new(s->arena, Layers);
    layers->model = model;
    layers->by_path = map_on(s->arena);
    layers->graphs = map_on(s->arena);
    collect(s, layers, model->main);
    for (size_t i = 0; i < model->graphs.len; i++) {
        Graph *graph = model->graphs.at[i];
        if (!graph->owner && graph != model->main) {
            collect(s, layers, graph);
        }
    }
    for (size_t i = 0; i < layers->all.len; i++) {
        layer_weight(layers, &layers->all.at[i]);
    }
    layers_paths(layers);
    layers_depth(layers);
    layers_roles(layers);
    layers_blocks(layers);
    return layers;
}

/* ---- neighbours */

/* A Loop's body returns its condition first; If and Scan return what the owner does. */
static int body_shift(const Node *owner) {
    return node_is(owner, "Loop") ? 1 : 0;
}

ValueInfo *value_outside(const ValueInfo *value, int k) {
    const Node *owner = value->graph ? value->graph->owner : NULL;
    k -= owner ? body_shift(owner) : 0;
    return owner && k >= 0 && k < owner->output_count ? owner->outputs[k] : NULL;
}

/* What leaves `body` as `value`, an output of its owner; NULL if nothing does. */
static ValueInfo *value_inside(const ValueInfo *value, const Graph *body) {
    size_t k = (size_t)value->output + (size_t)body_shift(body->owner);
    bool has = body->proto && k < body->proto->n_output && body->proto->output[k]->name;
    return has ? map_get(&body->values, str_from(body->proto->output[k]->name)) : NULL;
}

typedef struct IndexList {
    Arena *arena;
    Vec(int) v;
} IndexList;

static int index_cmp(const void *a, const void *b) {
    int x = *(const int *)a, y = *(const int *)b;
    return (x > y) - (x < y);
}

static void add(IndexList *list, const Layers *layers, const Node *node) {
    int i = node ? layer_index(layers, node) : -1;
    if (i >= 0) {
        vec_push(list->arena, &list->v, i);
    }
}

/* What makes a value: its producer; inside a subgraph, for an input of it, the owner. What leaves
 * the bodies of a producer as this value counts too. Each body is entered at most once a call. */
static void add_sources(IndexList *list, const Layers *layers, const ValueInfo *value) {
    const Node *from = value ? value->producer : NULL;
    if (!from) {
        add(list, layers, value && value->graph_input && value->graph ? value->graph->owner : NULL);
        return;
    }
    add(list, layers, from);
    for (size_t b = 0; b < from->bodies.len; b++) {
        add_sources(list, layers, value_inside(value, from->bodies.at[b]));
    }
}

static void add_readers(IndexList *list, const Layers *layers, const ValueInfo *value) {
    for (size_t i = 0; value && i < value->uses.len; i++) {
        add(list, layers, value->uses.at[i].node);
    }
}

/* Readers of a value and, where it leaves its subgraph, of the owner's output; and so on outward.
 */
static void add_readers_outward(IndexList *list, const Layers *layers, const ValueInfo *value) {
    add_readers(list, layers, value);
    const Graph *graph = value ? value->graph : NULL;
    if (!graph || !value->graph_output || !graph->owner || !graph->proto) {
        return;
    }
    for (size_t k = 0; k < graph->proto->n_output; k++) {
        const char *name = graph->proto->output[k]->name;
        if (name && str_is(value->name, name)) {
            add_readers_outward(list, layers, value_outside(value, (int)k));
            return; /* a value that leaves twice is followed once: bounded work */
        }
    }
}

void layer_neighbours(const Layers *layers, const Layer *layer, bool upstream, Arena *arena,
                      int **out, int *count) {
    IndexList list = {.arena = arena};
    const Node *node = layer->node;
    for (int i = 0; upstream && i < node->input_count; i++) {
        add_sources(&list, layers, node->inputs[i]);
    }
    for (int i = 0; !upstream && i < node->output_count; i++) {
        add_readers_outward(&list, layers, node->outputs[i]);
    }
    for (size_t b = 0; !upstream && b < node->bodies.len; b++) {
        const Map *values = &node->bodies.at[b]->values;
        for (size_t e = 0; e < values->len; e++) {
            const ValueInfo *value = values->entries[e].value;
            if (value->graph_input && !value->constant) {
                add_readers(&list, layers, value);
            }
        }
    }
    if (list.v.len) {
        qsort(list.v.at, list.v.len, sizeof(int), index_cmp);
    }
    size_t kept = 0;
    for (size_t i = 0; i < list.v.len; i++) {
        if (list.v.at[i] != layer->index && (!kept || list.v.at[kept - 1] != list.v.at[i])) {
            list.v.at[kept++] = list.v.at[i];
        }
    }
    *out = list.v.at;
    *count = (int)kept;
}
