/* See array_type.h. Values pass through double, which holds every value of the float types and of
 * the integers up to 32 bits exactly; 64-bit integers pass through int64. */
#include "runtime/calib/array_type.h"
#include <string.h>

enum { TYPE_BFLOAT16 = 16 };

static const ArrayType types[] = {
    {1, "float32", ARRAY_FLOAT, 4, "f4", "F32"},    {2, "uint8", ARRAY_UINT, 1, "u1", "U8"},
    {3, "int8", ARRAY_INT, 1, "i1", "I8"},          {4, "uint16", ARRAY_UINT, 2, "u2", "U16"},
    {5, "int16", ARRAY_INT, 2, "i2", "I16"},        {6, "int32", ARRAY_INT, 4, "i4", "I32"},
    {7, "int64", ARRAY_INT, 8, "i8", "I64"},        {9, "bool", ARRAY_BOOL, 1, "b1", "BOOL"},
    {10, "float16", ARRAY_FLOAT, 2, "f2", "F16"},   {11, "float64", ARRAY_FLOAT, 8, "f8", "F64"},
    {12, "uint32", ARRAY_UINT, 4, "u4", "U32"},     {13, "uint64", ARRAY_UINT, 8, "u8", "U64"},
    {16, "bfloat16", ARRAY_FLOAT, 2, NULL, "BF16"},
};
enum { TYPES = sizeof types / sizeof *types };

const ArrayType *array_type(int onnx) {
    for (int i = 0; i < TYPES; i++) {
        if (types[i].onnx == onnx) {
            return &types[i];
        }
    }
    return NULL;
}

const ArrayType *array_type_of_npy(Str kind) {
    for (int i = 0; i < TYPES; i++) {
        if (types[i].npy && str_is(kind, types[i].npy)) {
            return &types[i];
        }
    }
    return NULL;
}

const ArrayType *array_type_of_safetensors(Str name) {
    for (int i = 0; i < TYPES; i++) {
        if (str_is(name, types[i].safetensors)) {
            return &types[i];
        }
    }
    return NULL;
}

const char *array_type_name(int onnx) {
    const ArrayType *t = array_type(onnx);
    return t ? t->name : "a type without a name";
}

bool array_convertible(int from, int to) {
    const ArrayType *a = array_type(from), *b = array_type(to);
    if (!a || !b) {
        return false;
    }
    const bool widths =
        (from == TYPE_INT32 || from == TYPE_INT64) && (to == TYPE_INT32 || to == TYPE_INT64);
    return from == to || widths || (a->kind == ARRAY_FLOAT && b->kind == ARRAY_FLOAT);
}

/* ---- one element */

static double from_bits(uint64_t bits) {
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint64_t to_bits(double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* A 16-bit float with so many bits of exponent and mantissa. */
static double widen(uint32_t code, int exponent, int mantissa) {
    const uint64_t sign = (uint64_t)(code >> 15) << 63;
    const int bias = (1 << (exponent - 1)) - 1;
    const int e = (int)(code >> mantissa) & ((1 << exponent) - 1);
    const uint64_t m = code & ((1u << mantissa) - 1);
    if (e == (1 << exponent) - 1) {
        return from_bits(sign | UINT64_C(0x7ff) << 52 | m << (52 - mantissa));
    }
    if (e == 0) { /* m units of the least subnormal: exact in double */
        const double unit = from_bits((uint64_t)(1023 + 1 - bias - mantissa) << 52);
        return from_bits(sign | to_bits((double)m * unit));
    }
    return from_bits(sign | (uint64_t)(e - bias + 1023) << 52 | m << (52 - mantissa));
}

/* The nearest such float, ties to even: the carry of rounding up runs into the exponent, and from
 * the largest finite value into infinity, as IEEE 754 has it. */
static uint32_t narrow(double value, int exponent, int mantissa) {
    const uint64_t bits = to_bits(value), magnitude = bits & ~(UINT64_C(1) << 63);
    const uint32_t sign = (uint32_t)(bits >> 63) << 15;
    const int bias = (1 << (exponent - 1)) - 1;
    const uint32_t infinity = (uint32_t)((1 << exponent) - 1) << mantissa;
    if (magnitude > UINT64_C(0x7ff) << 52) { /* NaN stays one, and quiet */
        return sign | infinity | 1u << (mantissa - 1);
    }
    const int e = (int)(magnitude >> 52) - 1023 + bias;
    if (e >= (1 << exponent) - 1) {
        return sign | infinity;
    }
    const int drop = 52 - mantissa + (e < 1 ? 1 - e : 0);
    if (drop > 53) {
        return sign;
    }
    const uint64_t significand = (magnitude & ((UINT64_C(1) << 52) - 1)) | UINT64_C(1) << 52;
    const uint64_t kept = significand >> drop, rest = significand & ((UINT64_C(1) << drop) - 1);
    const uint64_t half = UINT64_C(1) << (drop - 1);
    const uint64_t up = rest > half || (rest == half && (kept & 1)) ? 1 : 0;
    /* kept holds the leading one, which adds 1 to the exponent field of a normal number */
    const uint64_t field = e < 1 ? 0 : (uint64_t)(e - 1) << mantissa;
    return sign | (uint32_t)(field + kept + up);
}

static uint64_t load(const void *at, size_t bytes, bool swapped) {
    uint16_t two;
    uint32_t four;
    uint64_t eight;
    switch (bytes) {
    case 1:
        return *(const uint8_t *)at;
    case 2:
        memcpy(&two, at, sizeof two);
        return swapped ? __builtin_bswap16(two) : two;
    case 4:
        memcpy(&four, at, sizeof four);
        return swapped ? __builtin_bswap32(four) : four;
    default:
        memcpy(&eight, at, sizeof eight);
        return swapped ? __builtin_bswap64(eight) : eight;
    }
}

static double float_of(int type, uint64_t bits) {
    if (type == TYPE_FLOAT64) {
        return from_bits(bits);
    }
    if (type == TYPE_FLOAT32) {
        const uint32_t half = (uint32_t)bits;
        float value;
        memcpy(&value, &half, sizeof value);
        return (double)value;
    }
    return type == TYPE_FLOAT16 ? widen((uint32_t)bits, 5, 10) : widen((uint32_t)bits, 8, 7);
}

void array_put_float(int type, double value, void *at) {
    if (type == TYPE_FLOAT64) {
        memcpy(at, &value, sizeof value);
    } else if (type == TYPE_FLOAT32) {
        const float narrowed = (float)value;
        memcpy(at, &narrowed, sizeof narrowed);
    } else {
        const uint16_t code =
            (uint16_t)(type == TYPE_BFLOAT16 ? narrow(value, 8, 7) : narrow(value, 5, 10));
        memcpy(at, &code, sizeof code);
    }
}

int64_t array_integer(int type, const void *at) {
    const ArrayType *t = array_type(type);
    const uint64_t bits = load(at, t->bytes, false);
    if (t->kind == ARRAY_INT) {
        const int unused = 64 - 8 * (int)t->bytes;
        return (int64_t)(bits << unused) >> unused;
    }
    return bits > INT64_MAX ? INT64_MAX : (int64_t)bits;
}

double array_value(int type, const void *at) {
    const ArrayType *t = array_type(type);
    const uint64_t bits = load(at, t->bytes, false);
    if (t->kind == ARRAY_FLOAT) {
        return float_of(type, bits);
    }
    return t->kind == ARRAY_INT ? (double)array_integer(type, at) : (double)bits;
}

/* ---- runs of elements */

static bool finite(double value) {
    return (to_bits(value) >> 52 & 0x7ff) != 0x7ff;
}

static size_t convert_floats(int from, bool swapped, const uint8_t *in, int to, uint8_t *out,
                             size_t count) {
    const size_t wide = array_type(from)->bytes, narrowed = array_type(to)->bytes;
    for (size_t i = 0; i < count; i++) {
        const double value = float_of(from, load(in + i * wide, wide, swapped));
        array_put_float(to, value, out + i * narrowed);
        if (narrowed < wide && finite(value) &&
            !finite(float_of(to, load(out + i * narrowed, narrowed, false)))) {
            return i;
        }
    }
    return count;
}

static size_t convert_integers(int from, bool swapped, const uint8_t *in, int to, uint8_t *out,
                               size_t count) {
    const size_t wide = array_type(from)->bytes;
    for (size_t i = 0; i < count; i++) {
        const uint64_t bits = load(in + i * wide, wide, swapped);
        const int64_t value = from == TYPE_INT32 ? (int32_t)(uint32_t)bits : (int64_t)bits;
        if (to == TYPE_INT64) {
            memcpy(out + 8 * i, &value, sizeof value);
            continue;
        }
        if (value != (int32_t)value) {
            return i;
        }
        const int32_t fits = (int32_t)value;
        memcpy(out + 4 * i, &fits, sizeof fits);
    }
    return count;
}

size_t array_convert(int from, bool swapped, const void *in, int to, void *out, size_t count) {
    const size_t bytes = array_type(from)->bytes;
    if (from != to && array_type(from)->kind == ARRAY_FLOAT) {
        return convert_floats(from, swapped, in, to, out, count);
    }
    if (from != to) {
        return convert_integers(from, swapped, in, to, out, count);
    }
    if (!swapped) {
        memcpy(out, in, count * bytes);
        return count;
    }
    for (size_t i = 0; i < count; i++) {
        const uint64_t value = load((const uint8_t *)in + i * bytes, bytes, true);
        memcpy((uint8_t *)out + i * bytes, &value, bytes); /* the host is little-endian */
    }
    return count;
}
