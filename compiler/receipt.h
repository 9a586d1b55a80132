/* The receipt that every output carries in its metadata_props:
 *   mor.recipe   the recipe's text as it was read
 *   mor.receipt  JSON: morc version, SHA-256 of the recipe, of each imported file and of the input
 *                model's graph (its weights excluded), of the calibration data, the engine that
 *                ran on these, the input's size, parameter values, and for every layer what was
 *                done to it */
#ifndef COMPILER_RECEIPT_H
#define COMPILER_RECEIPT_H
#include "compiler/plan.h"

/* What statistics were taken from. The engine is there because its version decides their bits. */
typedef struct ReceiptData {
    const uint8_t *hash; /* SHA-256 */
    int64_t samples;
    Str engine; /* that ran the model on them, now or when the .morstat was made */
} ReceiptData;

/* data: NULL: there was none. */
void receipt_json(const Plan *plan, const ReceiptData *data, Buf *out);
/* Records the metadata edits. */
void receipt_attach(Session *s, const Plan *plan, const ReceiptData *data);

/* What the receipt of a model that is read says of its making; a model from anywhere may have any
 * text there, so what makes no sense is empty or -1. */
typedef struct ReceiptSummary {
    Str morc, recipe, data, engine; /* sanitised; recipe and data: hashes */
    int64_t samples;                /* -1: no data */
    bool readable;
} ReceiptSummary;

/* False: it has none. */
bool receipt_read(Arena *arena, const Model *model, ReceiptSummary *out);
/* Lines for people; nothing if there is no receipt. */
void receipt_print(const Model *model, Buf *out);

#endif
