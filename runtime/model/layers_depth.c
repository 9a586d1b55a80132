/* Depth: on the longest path from an input to a layer, how many layers have a weight, itself
 * included. One pass in graph order (ONNX demands that producers stand before consumers; in a file
 * that breaks this, a value from below counts as depth 0). A node with subgraphs is as deep as what
 * they make. */
#include "runtime/model/layers_parts.h"

typedef struct Depths {
    const Layers *layers;
    int *after; /* of each layer: depth behind it */
} Depths;

static int value_depth(const Depths *d, const ValueInfo *value) {
    int from = value && value->producer ? layer_index(d->layers, value->producer) : -1;
    return from < 0 ? 0 : d->after[from];
}

static int deepest(int a, int b) {
    return a > b ? a : b;
}

/* `base`: depth of what the graph's inputs bring. Returns the deepest of its nodes. */
static int walk(Depths *d, const Graph *graph, int base) {
    int most = base;
    for (size_t i = 0; i < graph->nodes.len; i++) {
        const Node *node = graph->nodes.at[i];
        Layer *layer = layer_of(d->layers, node);
        if (!layer) {
            continue;
        }
        int depth = 0;
        for (int k = 0; k < node->input_count; k++) {
            const ValueInfo *in = node->inputs[k];
            bool fed = in && in->graph_input && in->graph == graph;
            depth = deepest(depth, fed ? base : value_depth(d, in));
        }
        layer->depth = depth + (layer->weight != NULL);
        d->after[layer->index] = layer->depth;
        for (size_t b = 0; b < node->bodies.len; b++) {
            int inside = walk(d, node->bodies.at[b], depth);
            d->after[layer->index] = deepest(d->after[layer->index], inside);
        }
        most = deepest(most, d->after[layer->index]);
    }
    return most;
}

void layers_depth(Layers *layers) {
    Arena *arena = layers->model->session->arena;
    Depths d = {layers, arena_many(arena, int, layers->all.len + 1)};
    walk(&d, layers->model->main, 0);
    for (size_t i = 0; i < layers->model->graphs.len; i++) {
        const Graph *graph = layers->model->graphs.at[i];
        if (!graph->owner && graph != layers->model->main) {
            walk(&d, graph, 0);
        }
    }
}
