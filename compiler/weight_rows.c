/* Orders of weights (weight_rows.h). */
#include "compiler/weight_rows.h"
#include <string.h>

WeightRows weight_rows(const Layer *layer) {
    const Tensor *t = layer->weight;
    const bool transposed = str_is(layer->node->op, "ConvTranspose");
    WeightRows shape = {.taps = 1, .groups = 1};
    for (int d = 2; d < t->rank && layer->roles & ROLE_CONV; d++) {
        shape.taps *= t->dims[d];
    }
    shape.across = transposed || (t->rank == 2 && layer->reduce_axis == 0);
    shape.groups =
        transposed ? layer->groups : 1; /* others have their groups in the rows already */
    shape.rows = t->dims[layer->channel_axis] * shape.groups;
    /* a weight may have no outputs, and a kernel no places */
    shape.k = shape.rows > 0 ? t->count / shape.rows : 0;
    shape.taps = shape.taps > 0 ? shape.taps : 1;
    return shape;
}

/* [groups][channels][rows of a group][taps] <-> [groups][rows of a group][channels][taps] */
static void turn(const WeightRows *s, const float *from, float *to, bool back) {
    const int64_t rows = s->rows / s->groups, channels = s->k / s->taps;
    for (int64_t g = 0; g < s->groups; g++) {
        for (int64_t c = 0; c < channels; c++) {
            for (int64_t r = 0; r < rows; r++) {
                const int64_t in_tensor = ((g * channels + c) * rows + r) * s->taps;
                const int64_t in_rows = ((g * rows + r) * channels + c) * s->taps;
                for (int64_t t = 0; t < s->taps; t++) {
                    to[(back ? in_tensor : in_rows) + t] = from[(back ? in_rows : in_tensor) + t];
                }
            }
        }
    }
}

void weight_to_rows(const WeightRows *shape, const float *tensor, float *rows) {
    if (shape->across) {
        turn(shape, tensor, rows, false);
    } else {
        memcpy(rows, tensor, (size_t)(shape->rows * shape->k) * sizeof *rows);
    }
}

void weight_from_rows(const WeightRows *shape, const float *rows, float *tensor) {
    if (shape->across) {
        turn(shape, rows, tensor, true);
    } else {
        memcpy(tensor, rows, (size_t)(shape->rows * shape->k) * sizeof *rows);
    }
}

/* ---- columns */

/* Where the i-th column of those by place lies among those by channel. */
static int64_t column_of(const WeightRows *s, int64_t i) {
    const int64_t channels = s->k / s->taps;
    return i % channels * s->taps + i / channels;
}

void weight_by_place(const WeightRows *shape, int64_t rows, const float *from, float *to) {
    for (int64_t i = 0; i < rows * shape->k; i++) {
        to[i] = from[i / shape->k * shape->k + column_of(shape, i % shape->k)];
    }
}

void weight_by_channel(const WeightRows *shape, int64_t rows, const float *from, float *to) {
    for (int64_t i = 0; i < rows * shape->k; i++) {
        to[i / shape->k * shape->k + column_of(shape, i % shape->k)] = from[i];
    }
}

void weight_gram_by_place(const WeightRows *shape, const double *from, double *to) {
    for (int64_t i = 0; i < shape->k; i++) {
        for (int64_t j = 0; j < shape->k; j++) {
            to[i * shape->k + j] = from[column_of(shape, i) * shape->k + column_of(shape, j)];
        }
    }
}

int64_t weight_scale_place(const WeightRows *shape, int64_t row, int64_t index, int64_t count) {
    const int64_t blocks = count / shape->taps; /* of a place */
    const int64_t place = index / blocks, block = index % blocks;
    const int64_t first = shape->across ? block * shape->rows + row : row * blocks + block;
    return first * shape->taps + place;
}
