/* How a Conv or ConvTranspose walks over its input, from its attributes and the shape at hand: what
 * statistics need to see the input as rows of an im2col, [places of the output][channel of the
 * group, place in the kernel]: the order of weight_rows.h. Specification: ONNX Conv (pads,
 * auto_pad, strides, dilations, group), ConvTranspose (also output_padding; not auto_pad SAME nor
 * output_shape). */
#ifndef COMPILER_CONV_VIEW_H
#define COMPILER_CONV_VIEW_H
#include "runtime/calib/stats.h"
#include "runtime/model/layers.h"

/* Can the Gram matrix of what it reads be taken? One to three dimensions, a weight of its own. */
bool conv_view_fits(const Layer *layer);
/* dims: of the input, [batch, channels, size...]. False: this is not what the Conv reads. */
bool conv_view(const Layer *layer, const int64_t *dims, int rank, StatConv *out);
/* "conv 3x3 strides 2x2 ... group 1": equal for two layers that walk over their input alike. */
Str conv_view_name(Arena *arena, const Layer *layer);

#endif
