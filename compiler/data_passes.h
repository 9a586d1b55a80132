/* How many times the data is run through the model, and what each pass measures. Gram matrices are
 * what takes memory (k x k numbers a value), so a pass measures those of so many values as fit into
 * a budget, from the front of the model to its end; what is small comes along in the first pass
 * that reaches that far. All fits: one pass. Of the float model the cut changes no bit, as every
 * value has its statistics from one pass over all data.
 *
 * Behind encoded layers (observe = encoded) values of one level (observations.h) are measured
 * together, in one pass if they fit: no layer between them has to be encoded before. */
#ifndef COMPILER_DATA_PASSES_H
#define COMPILER_DATA_PASSES_H
#include "compiler/observations.h"

typedef struct DataPass {
    int level;      /* the deepest of its values */
    uint64_t bytes; /* of its Gram matrices */
    size_t values;  /* observations */
} DataPass;

typedef struct DataPasses {
    Vec(DataPass) all;
    uint64_t budget; /* bytes of Gram matrices at a time; one value's own may be more */
} DataPasses;

/* The budget that is asked for (--stats-memory), or half of what is free. */
uint64_t data_passes_budget(Session *s, uint64_t asked);

/* Adds passes for the observations whose `pass` is -1, and sets it. encoded: by levels. */
void data_passes(DataPasses *passes, ObservationList *seen, bool encoded, Arena *arena);

/* "one pass over the data", or how many and why. */
void data_passes_print(const DataPasses *passes, bool encoded, Buf *out);

/* The same of a plan, on this machine; asked: as for the budget. Empty: it needs no data. */
Str data_passes_words(Session *s, const Plan *plan, uint64_t asked);

#endif
