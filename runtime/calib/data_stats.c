/* See data_stats.h. */
#include "runtime/calib/data_stats.h"
#include <math.h>
#include <string.h>
#include "runtime/calib/array_type.h"

enum { BLOCK = 4096, BLOCKS_BETWEEN_LOOKS = 256 };

static void add_floats(const DataArray *a, const uint8_t *in, size_t count, DataStats *out,
                       double *sum) {
    double values[BLOCK], part = 0;
    array_convert(a->type, a->swapped, in, TYPE_FLOAT64, values, count);
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(values[i])) {
            out->not_finite++;
            continue;
        }
        out->min = out->values == 0 || values[i] < out->min ? values[i] : out->min;
        out->max = out->values == 0 || values[i] > out->max ? values[i] : out->max;
        out->values++;
        part += values[i];
    }
    *sum += part;
}

static void add_integers(const DataArray *a, const uint8_t *in, size_t count, DataStats *out,
                         double *sum) {
    const size_t bytes = array_type(a->type)->bytes;
    uint8_t values[BLOCK * 8];
    double part = 0;
    array_convert(a->type, a->swapped, in, a->type, values, count);
    for (size_t i = 0; i < count; i++) {
        int64_t value;
        if (a->type == TYPE_UINT64) {
            memcpy(&value, values + i * bytes, sizeof value);
            part += (double)(uint64_t)value;
            value ^= INT64_MIN; /* orders them as the unsigned numbers they are */
        } else {
            value = array_integer(a->type, values + i * bytes);
            part += (double)value;
        }
        out->least = out->values == 0 || value < out->least ? value : out->least;
        out->most = out->values == 0 || value > out->most ? value : out->most;
        out->values++;
    }
    *sum += part;
}

/* What add_integers kept, as it is in the file. */
static void settle(int type, DataStats *out) {
    if (type == TYPE_UINT64 && out->values) {
        out->least ^= INT64_MIN;
        out->most ^= INT64_MIN;
    }
    const bool wide = type == TYPE_UINT64;
    out->min = wide ? (double)(uint64_t)out->least : (double)out->least;
    out->max = wide ? (double)(uint64_t)out->most : (double)out->most;
}

bool data_stats(Session *s, const DataArray *array, DataStats *out) {
    const ArrayType *type = array_type(array->type);
    double sum = 0;
    memset(out, 0, sizeof *out);
    out->integers = type->kind != ARRAY_FLOAT;
    int64_t blocks = 0;
    for (int64_t at = 0; at < array->count; at += BLOCK) {
        const size_t take = array->count - at < BLOCK ? (size_t)(array->count - at) : BLOCK;
        const uint8_t *in = array->bytes + (uint64_t)at * type->bytes;
        if (out->integers) {
            add_integers(array, in, take, out, &sum);
        } else {
            add_floats(array, in, take, out, &sum);
        }
        if (++blocks % BLOCKS_BETWEEN_LOOKS == 0 && session_stopped(s)) {
            return false;
        }
    }
    if (out->integers) {
        settle(array->type, out);
    }
    out->mean = out->values ? sum / (double)out->values : 0;
    return true;
}
