/* Which values of the model have to be seen on data, and what of them: from the plan alone, one for
 * each value, whoever asks. Gram matrices of what a convolution reads are apart: one for each value
 * and way to walk over it (conv_view.h). */
#ifndef COMPILER_OBSERVATIONS_H
#define COMPILER_OBSERVATIONS_H
#include "compiler/plan.h"
#include "runtime/calib/stats.h"

typedef struct Observation {
    Str name; /* of the value; with the number of its graph where that is not main */
    const ValueInfo *value;
    const Graph *graph; /* of the readers */
    int node, slot;     /* the first reader in graph order: the value is seen in front of it */
    unsigned what;      /* of StatWhat */
    bool channels;      /* it has channels, with `behind` dimensions behind them; else it is one row
                         * of numbers */
    int behind;
    const Layer *conv;  /* the first that reads it so; NULL: the value as it lies */
    uint64_t bytes;     /* of its Gram matrices; 0: none */
    int level;          /* layers with a weight before the value, on the longest way to it */
    int unit;           /* those of one unit are measured in one pass */
    int pass;           /* over the data that measures it; set by data_passes */
} Observation;
typedef Vec(Observation) ObservationList;

ObservationList observations(const Plan *plan, Arena *arena);
/* The first one of a value as it lies; NULL if there is none. */
const Observation *observation_of(const ObservationList *all, const ValueInfo *value,
                                  const Graph *graph);
/* The one whose channels are those that the layer reads. */
const Observation *observation_input(const ObservationList *all, const Layer *layer);
/* The one that holds the Gram matrices of a layer's input. */
const Observation *observation_gram(const ObservationList *all, const Layer *layer, Arena *arena);
/* One line each, of those of a pass: a part of the statistics' identity. */
void observations_print(const ObservationList *all, int pass, Buf *out);
/* Layers with a weight before a value: of what makes it, or, of an input, of its readers. */
int observation_level(const Layers *layers, const ValueInfo *value);

#endif
