/* The element types that arrays of data have: one row each, named by ONNX's TensorProto.DataType,
 * with what numpy and safetensors call them. Conversion of elements: exact between integers of
 * different widths, to nearest even between floats; no libm, so the bits are the same everywhere.
 */
#ifndef RUNTIME_CALIB_ARRAY_TYPE_H
#define RUNTIME_CALIB_ARRAY_TYPE_H
#include "runtime/base/str.h"

typedef enum ArrayKind { ARRAY_BOOL, ARRAY_INT, ARRAY_UINT, ARRAY_FLOAT } ArrayKind;

typedef struct ArrayType {
    int onnx;
    const char *name; /* as messages and .dtype show it */
    ArrayKind kind;
    size_t bytes;
    const char *npy;         /* descr without the byte order; NULL: numpy has none */
    const char *safetensors; /* dtype */
} ArrayType;

/* Numbers of TensorProto.DataType that are needed by name. */
enum {
    TYPE_FLOAT32 = 1,
    TYPE_INT32 = 6,
    TYPE_INT64 = 7,
    TYPE_FLOAT16 = 10,
    TYPE_FLOAT64 = 11,
    TYPE_UINT64 = 13
};

const ArrayType *array_type(int onnx);                /* NULL: no data has this type */
const ArrayType *array_type_of_npy(Str kind);         /* "f4" */
const ArrayType *array_type_of_safetensors(Str name); /* "F32" */
const char *array_type_name(int onnx);                /* "a type without a name" if unknown */

/* May data of one type stand for the other? Equal, int32 and int64, or two floats. */
bool array_convertible(int from, int to);
/* Elements of `from` (any alignment, big-endian when `swapped`) as `to`. Returns how many were
 * converted: fewer than `count` when the next one is an integer that does not fit, or a finite
 * float that would become infinite. */
size_t array_convert(int from, bool swapped, const void *in, int to, void *out, size_t count);
/* One little-endian element, floats and bool too, as double: exact but for 64-bit integers. */
double array_value(int type, const void *at);
/* One element of an integer type or bool; those of uint64 above INT64_MAX become INT64_MAX. */
int64_t array_integer(int type, const void *at);
/* Writes the nearest value of a float type, ties to even. */
void array_put_float(int type, double value, void *at);

#endif
