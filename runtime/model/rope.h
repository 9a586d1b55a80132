/* Bytes of an output file before their offsets are known: memory, ranges of inputs, tensors that
 * will be made later, and other ropes. Sizes are known at once, so a message can state its length
 * before it is written. Everything lies on one arena; bytes are borrowed. */
#ifndef RUNTIME_MODEL_ROPE_H
#define RUNTIME_MODEL_ROPE_H
#include "runtime/model/model.h"

typedef struct Bit {
    PieceKind kind;            /* unused when rope is set */
    uint64_t size;
    const void *bytes;
    const Input *input;
    uint64_t input_offset;
    int64_t tag;
    const struct Rope *rope;
} Bit;

typedef struct Rope {
    Arena *arena;
    Vec(Bit) bits;
    uint64_t size;
} Rope;

Rope *rope_on(Arena *arena);
void rope_bytes(Rope *r, Str bytes);  /* copied */
void rope_input(Rope *r, const Input *input, uint64_t offset, uint64_t size);
void rope_tensor(Rope *r, int64_t tag, uint64_t size);
void rope_message(Rope *r, uint32_t number, const Rope *body); /* tag, length, body */
/* Appends pieces of file `file`; small neighbours become one piece of memory. */
void rope_pieces(const Rope *r, int file, Layout *out);

#endif
