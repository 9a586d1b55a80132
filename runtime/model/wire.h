/* Pull reader of the protobuf wire format over bytes in memory: one field at a time, no recursion,
 * no allocation. Checks what holds for any message: field numbers 1..2^29-1, varints of at most ten
 * bytes, lengths inside the enclosing range, no groups. Padded varints are legal and accepted.
 * Reference: protobuf.dev/programming-guides/encoding. */
#ifndef RUNTIME_MODEL_WIRE_H
#define RUNTIME_MODEL_WIRE_H
#include "runtime/base/str.h"

/* Byte range of a file, [begin, end). */
typedef struct Range {
    uint64_t begin, end;
} Range;

typedef enum WireType {
    WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5
} WireType;

typedef struct WireField {
    uint32_t number;
    WireType type;
    uint64_t value;  /* varint, or the bits of a fixed field */
    Range whole;     /* from the tag to the end of the body */
    Range body;      /* WIRE_BYTES: the content; otherwise the encoded value */
} WireField;

typedef struct Wire {
    const uint8_t *data; /* offsets of all ranges count from here */
    uint64_t pos, end;
    const char *error;   /* what is wrong at pos, NULL if nothing */
} Wire;

Wire wire_over(const uint8_t *data, Range range);
bool wire_next(Wire *w, WireField *field); /* false at the end, or with w->error set */
bool wire_varint(Wire *w, uint64_t *value);
Str wire_str(const Wire *w, const WireField *field);

/* Writing: canonical encodings, appended. */
void wire_put_varint(Buf *b, uint64_t value);
void wire_put_tag(Buf *b, uint32_t number, WireType type);
void wire_put_bytes(Buf *b, uint32_t number, Str bytes);
void wire_put_int(Buf *b, uint32_t number, uint64_t value);

#endif
