/* The model as it is, with an Observe op in front of each value that is to be seen: made of a
 * second reading of the file, because what the first one becomes is decided already. */
#ifndef COMPILER_INSTRUMENT_H
#define COMPILER_INSTRUMENT_H
#include "compiler/observations.h"

typedef struct Instrumented {
    Model *model;      /* the second reading: closed by the caller, when the engine has the bytes */
    const void *bytes; /* an ONNX file, on `arena` */
    size_t size;
} Instrumented;

/* Slot of an Observe op = index in `seen`. External data stays where it is: the engine reads it
 * from the model's folder. Errors: E10xx. */
bool instrument(Session *s, Arena *arena, Str path, const ObservationList *seen, Instrumented *out);

#endif
