/* Headers of .npy files (numpy's format 1.0, 2.0 and 3.0), wherever the bytes lie: a file of its
 * own or a member of an .npz. Nothing is assumed of the bytes and nothing of them is executed: the
 * header is a Python literal of exactly three keys, read by a grammar of that and no more.
 *
 * Objects (pickles) are refused by name, and so are types that no input of a model has: complex,
 * strings, dates, structures. */
#ifndef RUNTIME_CALIB_NPY_H
#define RUNTIME_CALIB_NPY_H
#include "runtime/base/limits.h"
#include "runtime/base/str.h"

typedef struct NpyHeader {
    uint64_t begin; /* where the elements begin */
    int type;       /* array_type.h */
    bool swapped;   /* big-endian */
    bool fortran;   /* the first dimension varies fastest */
    int rank;
    int64_t dims[LIMIT_RANK];
    int64_t count;  /* of elements */
    uint64_t bytes; /* of them */
    bool pickled;   /* with false: what was refused is a pickle */
} NpyHeader;

/* Enough bytes of the front for any header that is accepted. */
enum { NPY_FRONT = 12 + (1 << 16) };

/* bytes: the front of the file, all of it or NPY_FRONT. False: *why says what is wrong. */
bool npy_header(Arena *arena, Str bytes, NpyHeader *out, Str *why);

#endif
