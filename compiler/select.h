/* Evaluates selectors on a model's layers: a set of layers as a bitmap over Layers.all. */
#ifndef COMPILER_SELECT_H
#define COMPILER_SELECT_H
#include "lang/recipe.h"
#include "runtime/model/layers.h"

typedef struct LayerSet {
    bool *has;       /* Layers.all.len entries */
    size_t count;
} LayerSet;

/* Every name pattern and every op inside must match something unless marked `?` (E0301, reported
 * once for each span). False after an error. */
bool select_layers(Session *s, const Layers *layers, const Selector *selector, LayerSet *out);

/* Value of an expression for one layer (predicates) or for the whole (expects): `metric` looks up
 * EXPR_ATTR/EXPR_METRIC names that are not layer attributes; NULL = layer attributes only. */
typedef bool (*MetricLookup)(void *user, const Expr *expr, const Layer *layer, double *out);
bool expr_layer_value(Session *s, const Layers *layers, const Expr *e, const Layer *layer,
                      MetricLookup metric, void *user, Value *out);
#endif
