/* The parts that layers.c calls in turn; nothing else includes this. Each fills fields of the
 * layers in Layers.all, which is complete, with paths and weights as far as said. */
#ifndef RUNTIME_MODEL_LAYERS_PARTS_H
#define RUNTIME_MODEL_LAYERS_PARTS_H
#include "runtime/model/layers.h"

/* Kind, weight, axes, widths and the roles linear, conv, embedding of one layer. */
void layer_weight(Layers *layers, Layer *layer);
/* path and path_from of every layer (wants weights), then by_path. */
void layers_paths(Layers *layers);
/* depth (wants weights). */
void layers_depth(Layers *layers);
/* attention, norm, head, residual (wants weights and depth). */
void layers_roles(Layers *layers);
/* block, block_count, block_rule (wants paths and weights). */
void layers_blocks(Layers *layers);

/* Helpers shared by the parts. */
ValueInfo *node_in(const Node *node, int slot);          /* NULL if absent */
bool node_is(const Node *node, const char *op);          /* in the standard domain */
bool value_is_constant(const ValueInfo *value);
/* The value that leaves the subgraph `value` is an output of, in its owner's graph; NULL if none. */
ValueInfo *value_outside(const ValueInfo *value, int k);
int layer_index(const Layers *layers, const Node *node); /* -1 for a Constant */

#endif
