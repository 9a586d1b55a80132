/* A file of arrays: .npy, .npz or .safetensors, opened once, its headers checked against its size,
 * its elements mapped where they lie. Members of an .npz are checked (CRC-32) and, when they are
 * deflated, unpacked (unpacked.h) the first time they are asked for.
 *
 * Errors, with the file and the array: E1101 it cannot be read; E0704 it is damaged, hostile, or of
 * a kind that is not read; E0705 it holds a pickle. */
#ifndef RUNTIME_CALIB_DATA_FILE_H
#define RUNTIME_CALIB_DATA_FILE_H
#include "runtime/base/file.h"
#include "runtime/calib/npz.h"

typedef enum DataFormat { DATA_NPY, DATA_NPZ, DATA_SAFETENSORS, DATA_FORMATS } DataFormat;

typedef struct DataArray {
    Str name; /* without ".npy"; empty: the one array of an .npy file */
    int type; /* array_type.h */
    bool swapped, fortran;
    int rank;
    const int64_t *dims;
    int64_t count;        /* of elements */
    uint64_t size;        /* bytes of them */
    const uint8_t *bytes; /* borrowed from the DataFile, any alignment; NULL until
                             data_file_load, and when there are none */
    bool loaded;
    uint64_t header; /* bytes before the elements, in a member */
    const NpzMember *member;
} DataArray;

typedef struct DataFile {
    Input *input;
    DataFormat format;
    DataArray *arrays; /* in the file's order */
    size_t count;
    Str folder; /* for what is unpacked */
    Span at;    /* where the recipe names the file, for messages */
    struct Unpacked **unpacked;
} DataFile;

/* "npz" -> DATA_NPZ; false: no such loader reads a file */
bool data_format_named(Str name, DataFormat *out);
/* By the first bytes, then by the name. False: it is none of them. */
bool data_format_guess(const Input *input, DataFormat *out);

/* folder: where deflated members go; it must be there. */
DataFile *data_file_open(Session *s, DataFormat format, Str path, Str folder, Span at);
/* Takes over `input` (closed with the DataFile, or on an error). */
DataFile *data_file_over(Session *s, DataFormat format, Input *input, Str folder, Span at);
bool data_file_load(Session *s, DataFile *file, DataArray *array);
void data_file_close(Session *s, DataFile *file); /* NULL is fine */

/* "int32 [512, 128]" */
Str data_array_shape(Arena *arena, int type, int rank, const int64_t *dims);

#endif
