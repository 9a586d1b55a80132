/* Host view of kernels/: the table of element formats, and `Kernel`, the description of what is
 * done to one weight tensor: prune -> scale -> encode -> pack, in as few passes as its statistics
 * allow. A Kernel is plain data: the compiler's `fuse` pass fills it, a device runs it. The host
 * runs it with the functions below; a GPU device will emit text for it from the same headers.
 *
 * Element types are ONNX TensorProto.DataType numbers everywhere (FLOAT 1, UINT8 2, INT8 3,
 * FLOAT16 10, DOUBLE 11, BFLOAT16 16, FLOAT8E4M3FN 17, FLOAT8E5M2 19, UINT4 21, INT4 22,
 * FLOAT4E2M1 23, FLOAT8E8M0 24, UINT2 25, INT2 26, FLOAT6E2M3 27, FLOAT6E3M2 28).
 *
 * The law (every fast variant must give the same bits): weights are widened to float32 (DOUBLE is
 * rounded to nearest even first), all arithmetic is single IEEE operations on float32, division is
 * true division, the scale is rounded to its stored type first and that value divides the weights.
 */
#ifndef KERNELS_KERNELS_H
#define KERNELS_KERNELS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Format {
    const char *name;          /* "int8": recipe word, file stem and C prefix are the same */
    const char *doc;           /* one line for `morc explain` and the docs */
    int bits;                  /* of one code */
    float max_abs;             /* largest finite magnitude of a code */
    float scale_max;           /* symmetric scale = amax / scale_max (127, 7, 1, 448, 57344, 6) */
    bool integer;              /* codes are integers (zero is exact, uniform steps) */
    bool asymmetric;           /* unsigned integer with a zero point */
    int onnx_type;             /* TensorProto.DataType of the codes */
    int onnx_opset;            /* first opset whose DequantizeLinear takes it */
    uint32_t (*encode)(float); /* nearest even, saturating; NaN gives some code */
    float (*decode)(uint32_t); /* of a code without zero point */
    bool scale_only;           /* holds scales (e8m0, rounds up), never weights */
} Format;

extern const Format formats[];
extern const int format_count;
const Format *format_find(const char *name, size_t length); /* NULL if there is none */

/* A row-major tensor seen as [outer, axis, inner]: element (o, k, i) is number
 * (o * axis + k) * inner + i. */
typedef struct KernelView {
    int64_t outer, axis, inner;
} KernelView;

typedef enum KernelPrune {
    PRUNE_NONE,
    PRUNE_NM,   /* of each `group` neighbours along prune_view.axis keep the `keep` largest |w| */
    PRUNE_RATIO /* zero the `zeros` smallest |w| of the tensor */
} KernelPrune;  /* ties keep the lower index; a pruned weight is +0 and decodes to exactly 0 */

typedef enum KernelGranule {
    GRANULE_TENSOR,  /* one scale */
    GRANULE_CHANNEL, /* one scale for each index of view.axis, over outer and inner */
    GRANULE_BLOCK    /* one scale for `block` neighbours along view.axis, for each outer and inner;
                      * scales are [outer, ceil(axis / block), inner]; the last may be short */
} KernelGranule;

typedef enum KernelMethod {
    METHOD_MAX, /* scale from amax (symmetric) or min and max (asymmetric) */
    METHOD_MSE /* that scale (asymmetric: and the range that gives the zero point) times 0.60, 0.62,
                * ... 1.10: least sum |w - w'|^2.4, first minimum; k_error in kernels/scale.h */
} KernelMethod;

typedef enum KernelLayout {
    LAYOUT_ONNX, /* codes in the order of the weights, sub-byte codes packed low bits first */
    LAYOUT_NBITS /* com.microsoft::MatMulNBits: B [N, ceil(K/block), block*bits/8], scales
                  * [N, ceil(K/block)], unsigned codes (q + 2^(bits-1) for signed formats), K tail
                  * padded with the zero point; zero points (asymmetric only) packed along K */
} KernelLayout;

/* Not every combination makes sense. Asserted: weights of a scale_only format; LAYOUT_NBITS but for
 * integers in blocks of a multiple of 16, of one matrix (view.outer or view.inner is 1), with one
 * scale each; GRANULE_BLOCK and PRUNE_NM with different views. */
typedef struct Kernel {
    int source;    /* type of the weights: FLOAT, FLOAT16, BFLOAT16 or DOUBLE */
    int64_t count; /* elements; equals outer * axis * inner of each view in use */

    KernelPrune prune;
    int keep, group;       /* PRUNE_NM */
    int64_t zeros;         /* PRUNE_RATIO */
    KernelView prune_view; /* axis = the reduction dimension (PRUNE_NM) */

    const Format *format; /* NULL: pruned weights are stored in the source type, nothing else */
    KernelGranule granule;
    KernelView view; /* of the scales: axis = channel axis or blocked (reduction) axis */
    int64_t block;   /* GRANULE_BLOCK */
    int scale_type;  /* stored type of the scales: FLOAT, FLOAT16, BFLOAT16, FLOAT8E4M3FN
                      * (two-level, see below) or FLOAT8E8M0 (power of two, rounded up) */
    KernelMethod method;
    KernelLayout layout;
    bool metrics; /* also compare the decoded result with the input */
} Kernel;

/* Outputs of a kernel; a size of 0 means that it has none. */
typedef enum KernelOutput {
    OUT_CODES,  /* packed codes, or pruned weights when format is NULL */
    OUT_SCALES, /* in scale_type */
    OUT_ZEROS,  /* zero points in the format's own type and packing (asymmetric only) */
    OUT_SUPER,  /* one float32, scale_type FLOAT8E4M3FN only: s2 = amax / (scale_max * 448);
                 * the scale of a block is decode(e4m3) * s2 */
    OUT_COUNT
} KernelOutput;

/* Comparison of what is stored (decoded) with the weights that came in; sums over elements. Without
 * Kernel.metrics only count, nonfinite and first_nonfinite are filled in. The sums are those of
 * kernels/compare.h, exact within a chunk: the same bits on every machine and device, for any
 * number of threads; wq follows from the others. */
typedef struct KernelMetrics {
    double ww, wq, qq, ee; /* w*w, w*q, q*q, (w-q)^2 */
    double max_error;      /* max |w - q| */
    int64_t zeros;         /* stored elements that decode to 0 */
    int64_t count;
    int64_t nonfinite;       /* inputs that are NaN or infinite (the result is then unusable) */
    int64_t first_nonfinite; /* lowest index of one, -1 if there is none */
} KernelMetrics;

/* A kernel is run in chunks of about 2^20 weights that no thread count changes. Survey passes (0 or
 * more) gather what whole-tensor statistics need; then each chunk is encoded independently of the
 * others. */
int64_t kernel_output_size(const Kernel *k, KernelOutput out); /* bytes */
int64_t kernel_chunks(const Kernel *k);
size_t kernel_scratch_size(const Kernel *k); /* bytes a thread needs while it runs any chunk */
int kernel_surveys(const Kernel *k);         /* passes over the tensor before encoding */
size_t kernel_state_size(const Kernel *k);   /* bytes of survey state; 0 if there are no surveys */
void kernel_state_init(const Kernel *k, void *state);
/* Folds one chunk into `partial`, a private copy made by kernel_state_fork. Order-free. */
void kernel_state_fork(const Kernel *k, void *partial, const void *state);
void kernel_survey(const Kernel *k, int pass, int64_t chunk, const void *src, void *partial,
                   void *scratch);
void kernel_state_merge(const Kernel *k, int pass, void *state, const void *partial);
void kernel_state_close(const Kernel *k, int pass,
                        void *state); /* after the last merge of a pass */

/* Where chunk's part of an output lies: byte range [*offset, *offset + *size) of that output;
 * size 0 when the output belongs to no chunk (it is then written whole by kernel_global). */
void kernel_extent(const Kernel *k, int64_t chunk, KernelOutput out, int64_t *offset,
                   int64_t *size);
/* Encodes one chunk: src is the whole tensor (8-byte aligned is not required), outs[i] points at
 * kernel_extent's size of bytes (NULL when that is 0). Metrics of the chunk are stored, not added.
 */
void kernel_encode(const Kernel *k, int64_t chunk, const void *src, const void *state,
                   void *const outs[OUT_COUNT], KernelMetrics *metrics, void *scratch);
/* Outputs that come from survey state alone (scales per tensor or channel, OUT_SUPER):
 * false if this output comes from the chunks instead. */
bool kernel_global(const Kernel *k, KernelOutput out, const void *state, void *dst);
void kernel_metrics_add(KernelMetrics *sum, const KernelMetrics *part); /* in chunk order */

/* The plain scalar text, whole tensor at once: the oracle for all of the above. Allocates nothing;
 * outs[i] point at kernel_output_size bytes. */
void kernel_reference(const Kernel *k, const void *src, void *const outs[OUT_COUNT]);
/* Scales that somebody has decided, in the order of OUT_SCALES in LAYOUT_ONNX: what the scale of a
 * granule is, whatever Kernel.method says. */
typedef struct KernelGiven {
    const uint32_t *codes; /* as stored in scale_type */
    const float *zeros;    /* zero points; NULL for symmetric formats */
    float super;           /* two-level: OUT_SUPER */
} KernelGiven;
/* The same as kernel_reference with given scales. */
void kernel_given(const Kernel *k, const void *src, const KernelGiven *given,
                  void *const outs[OUT_COUNT]);
/* What the whole outputs stand for, in the order of the weights. */
void kernel_decode(const Kernel *k, void *const outs[OUT_COUNT], float *w);
/* All chunks' metrics, whatever Kernel.metrics says, from the whole outputs. */
void kernel_reference_metrics(const Kernel *k, const void *src, void *const outs[OUT_COUNT],
                              KernelMetrics *metrics);
/* The same, fast, from what the outputs decode to; the source is FLOAT. */
void kernel_compare(const Kernel *k, const float *src, const float *stored, KernelMetrics *metrics);

#endif
