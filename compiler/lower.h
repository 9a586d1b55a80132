/* Plan -> IR: one group for each planned layer that something is done to, with the weight, the
 * nodes that read it and the ops that its steps lower to. Types are stated for weights only;
 * nothing is stored yet: that is the emitters' work (passes `ort`, `qdq`). */
#ifndef COMPILER_LOWER_H
#define COMPILER_LOWER_H
#include "compiler/facts.h"
#include "compiler/ir.h"
#include "compiler/plan.h"

/* facts: what the IR leaves to the data is added to it. */
bool lower(Session *s, const Plan *plan, Facts *facts, Ir **out);

#endif
