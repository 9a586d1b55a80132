/* Weights as rows of output channels, and back. In a row the columns lie as those of the im2col of
 * what the layer reads: (input channel of the group, place in the kernel). Blocks of a kernel of
 * more than one place run along the input channels of each place: for these the columns go by place
 * first. */
#ifndef COMPILER_WEIGHT_ROWS_H
#define COMPILER_WEIGHT_ROWS_H
#include "runtime/base/arena.h"
#include "runtime/model/layers.h"

typedef struct WeightRows {
    int64_t rows, k; /* of all groups together; columns */
    int64_t taps;    /* places in the kernel: 1 of a matrix */
    int64_t groups;
    bool across; /* the tensor has input channels first: x W, ConvTranspose */
} WeightRows;

WeightRows weight_rows(const Layer *layer);
/* Between the order of the tensor and rows. */
void weight_to_rows(const WeightRows *shape, const float *tensor, float *rows);
void weight_from_rows(const WeightRows *shape, const float *rows, float *tensor);
/* Columns by place, and back; the same of the rows and columns of a Gram matrix. */
void weight_by_place(const WeightRows *shape, int64_t rows, const float *from, float *to);
void weight_by_channel(const WeightRows *shape, int64_t rows, const float *from, float *to);
void weight_gram_by_place(const WeightRows *shape, const double *from, double *to);
/* Where scale `index` of a row lies in the tensor of scales in blocks, if the row has `count`. */
int64_t weight_scale_place(const WeightRows *shape, int64_t row, int64_t index, int64_t count);

#endif
