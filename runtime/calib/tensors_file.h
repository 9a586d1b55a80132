/* Headers of safetensors files (format as of safetensors 0.8): eight bytes of length, a JSON object
 * of tensors, then their bytes. The reader is as strict as the format's own: begins with "{", no
 * name twice, offsets without holes or overlaps that cover the file to its last byte, sizes that
 * are those of type and shape. Elements are little-endian, the last dimension varies fastest. */
#ifndef RUNTIME_CALIB_TENSORS_FILE_H
#define RUNTIME_CALIB_TENSORS_FILE_H
#include "runtime/base/str.h"

typedef struct TensorsItem {
    Str name;
    int type; /* array_type.h */
    int rank;
    const int64_t *dims;
    int64_t count;         /* of elements */
    uint64_t begin, bytes; /* where they lie in the file */
} TensorsItem;

typedef struct TensorsHeader {
    TensorsItem *items; /* in the order of the header */
    size_t count;
} TensorsHeader;

/* data: the whole file, mapped. False: *why says what is wrong. Results are on the arena. */
bool tensors_header(Arena *arena, const uint8_t *data, uint64_t size, TensorsHeader *out, Str *why);

#endif
