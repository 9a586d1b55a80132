/* Where a rule of the recipe needs more than it says, or less: rules of placement, each with a name
 * and a reason that `morc plan` shows. They follow what TensorRT fuses and runs on codes ("Working
 * with quantized types", explicit quantization) and are one row each; `quantize(place = exact)`
 * turns them off for its layers. */
#ifndef COMPILER_PLACEMENT_H
#define COMPILER_PLACEMENT_H
#include "compiler/bind_parts.h"

typedef struct PlacementRule {
    const char *name, *doc;
    void (*weights)(Bind *b, int rule); /* when all steps are bound, before sizes and streams */
    void (*streams)(Bind *b, int rule); /* when the streams that were asked for are there */
} PlacementRule;

extern const PlacementRule placement_rules[];
extern const int placement_rule_count;

void placement_weights(Bind *b);
void placement_streams(Bind *b);
/* Do the rules hold for this layer? Not with place = exact. */
bool placement_holds(const PlanLayer *planned);
/* Notes for the plan that a rule acted on a layer. */
void placement_note(Bind *b, int rule, const Layer *layer);

/* Which operand of a residual Add is stored: the other one comes right out of a layer that reads
 * codes, so that both run as one kernel. *whose: that layer, in layers_planned. -1: neither does.
 */
int placement_residual_slot(const Bind *b, const Node *add, int *whose);

/* For plan_print, plan_dump, plan_json. */
void placement_print(const Plan *plan, Buf *out);
void placement_dump(const Plan *plan, Buf *out);
void placement_json(const Plan *plan, Buf *out);

/* ---- rows of their own files */
void place_shared_scales(Bind *b, int rule); /* placement_scale.c: Concat */
void place_commuting(Bind *b, int rule);     /* ... MaxPool, Reshape, ... */

#endif
