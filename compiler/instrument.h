/* The model as it is, with an Observe op in front of each value that is to be seen: made of a
 * second reading of the file, because what the first one becomes is decided already. */
#ifndef COMPILER_INSTRUMENT_H
#define COMPILER_INSTRUMENT_H
#include "compiler/observations.h"

#define INSTRUMENT_DATA "weights"

typedef struct Instrumented {
    Model *model;      /* the second reading: closed by the caller, when the engine has the bytes */
    const void *bytes; /* an ONNX file, on `arena` */
    size_t size;
    const void *data; /* its data file, INSTRUMENT_DATA; NULL: all is in the model */
    size_t data_size;
} Instrumented;

/* What else changes in the copy: payloads get tags, and bytes for them. */
typedef struct InstrumentEdits {
    void *user;
    bool (*edit)(void *user, Model *copy, int level); /* before the Observe ops; false: reported */
    const void *(*bytes)(void *user, int64_t tag);    /* of a new payload */
} InstrumentEdits;

enum { ALL_LEVELS = -1 };

/* Slot of an Observe op = index in `seen`; of values of one level only, or of all. External data
 * stays where it is: the engine reads it from the model's folder. edits: NULL: none. Errors: E10xx.
 */
bool instrument(Session *s, Arena *arena, Str path, const ObservationList *seen, int level,
                const InstrumentEdits *edits, Instrumented *out);

#endif
