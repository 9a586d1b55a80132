/* Evaluates selectors on a model's layers: a set of layers as a bitmap over Layers.all. All sets
 * and messages live in the session's arena. Reads the recipe and the index, changes neither. */
#ifndef COMPILER_SELECT_H
#define COMPILER_SELECT_H
#include "lang/recipe.h"
#include "runtime/model/layers.h"

typedef struct LayerSet {
    bool *has;       /* Layers.all.len entries */
    size_t count;
} LayerSet;

/* Every name pattern and every op inside must match something unless marked `?` (E0301, reported
 * once for each span); a block that does not exist is E0302; a regex that says more than it means
 * is W0302. False after an error; *out then holds what could be found. */
bool select_layers(Session *s, const Layers *layers, const Selector *selector, LayerSet *out);

/* The same for a rule, whose selector as a whole may not be empty either (E0301). Messages can then
 * say what the recipe would do as written. */
bool select_rule(Session *s, const Layers *layers, const Rule *rule, LayerSet *out);

/* What a set counts as, in messages, `matches` and `count(S)`: its layers that have a weight; all
 * of its layers when none has. (A module is several nodes: "**.q_proj" is a product and an Add.) */
size_t set_count(const Layers *layers, const LayerSet *set);
LayerSet set_counted(Session *s, const Layers *layers, const LayerSet *set);
LayerSet set_none(Session *s, const Layers *layers);
void set_add(LayerSet *set, int layer);

/* Value of an expression for one layer (predicates; layer not NULL) or for the whole (expects):
 * `metric` looks up EXPR_ATTR and EXPR_METRIC names that are not layer attributes and reports what
 * it cannot; NULL = layer attributes only. E0304 when the arithmetic fails. */
typedef bool (*MetricLookup)(void *user, const Expr *expr, const Layer *layer, double *out);
bool expr_layer_value(Session *s, const Layers *layers, const Expr *e, const Layer *layer,
                      MetricLookup metric, void *user, Value *out);
/* Is the value of an expect or a predicate "yes"? */
bool value_is_true(const Value *value);

#endif
