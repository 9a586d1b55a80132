/* The receipt that every output carries in its metadata_props:
 *   mor.recipe   the recipe's text as it was read
 *   mor.receipt  JSON: morc version, SHA-256 of the recipe, of each imported file and of the input
 *                model's graph (its weights excluded), the input's size, parameter values, and for
 *                every layer what was done to it */
#ifndef COMPILER_RECEIPT_H
#define COMPILER_RECEIPT_H
#include "compiler/plan.h"

void receipt_json(const Plan *plan, Buf *out);
void receipt_attach(Session *s, const Plan *plan); /* records the metadata edits */

#endif
