/* The receipt that every output carries in its metadata_props:
 *   mor.recipe   the recipe's text as it was read
 *   mor.receipt  JSON: morc version, SHA-256 of the recipe, of each imported file and of the input
 *                model's graph (its weights excluded), of the calibration data, the input's size,
 *                parameter values, and for every layer what was done to it */
#ifndef COMPILER_RECEIPT_H
#define COMPILER_RECEIPT_H
#include "compiler/plan.h"

/* data: SHA-256 of what statistics were taken from, and how many samples; NULL: none were. */
void receipt_json(const Plan *plan, const uint8_t *data, int64_t samples, Buf *out);
/* Records the metadata edits. */
void receipt_attach(Session *s, const Plan *plan, const uint8_t *data, int64_t samples);

#endif
