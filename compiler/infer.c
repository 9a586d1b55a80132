/* Type rules of every op of ops.list (infer.h). Pure: reads ops, allocates dims on the Ir. */
#include "compiler/infer.h"

typedef struct Geometry { /* what the shapes of scales and packed codes depend on */
    IrType weight;
    const Format *format;
    Str granule;
    int axis;
    int64_t block;
    bool nbits;
} Geometry;

const Format *infer_format(const IrOp *op) {
    Str name = ir_text(op, "format");
    return name.len ? format_find(name.data, name.len) : NULL;
}

KernelView infer_view(IrType type, int axis) {
    KernelView view = {1, type.rank ? type.dims[axis] : 1, 1};
    for (int i = 0; i < type.rank; i++) {
        if (i < axis) {
            view.outer *= type.dims[i];
        } else if (i > axis) {
            view.inner *= type.dims[i];
        }
    }
    return view;
}

int64_t infer_blocks(int64_t extent, int64_t block) {
    return extent / block + (extent % block != 0);
}

const IrOp *infer_scale_of(const IrValue *value) {
    const IrOp *op = value ? value->op : NULL;
    for (int steps = 0; op && steps < 4; steps++) {
        if (op->info == IR_OP(scale)) {
            return op;
        }
        size_t from = op->info == IR_OP(pack) ? 0 : 1; /* encode and zero: weight, scale, ... */
        bool follow = op->info == IR_OP(pack) || op->info == IR_OP(encode) ||
                      op->info == IR_OP(zero);
        op = follow && op->args.len > from && op->args.at[from] ? op->args.at[from]->op : NULL;
    }
    return NULL;
}

static Inferred wrong(const char **why, const char *text) {
    *why = text;
    return INFER_WRONG;
}

/* Reads format, granule, axis, block of a scale or kernel op. */
static Inferred geometry_of(const IrOp *op, IrType weight, Geometry *g, const char **why) {
    *g = (Geometry){.weight = weight, .format = infer_format(op), .granule = ir_text(op, "granule"),
                    .block = ir_int(op, "block", 0), .nbits = ir_is(op, "layout", "nbits")};
    int64_t axis = ir_int(op, "axis", 0);
    bool block = str_is(g->granule, "block");
    if (g->format == NULL) {
        return wrong(why, "unknown format");
    }
    if (!block && !str_is(g->granule, "channel") && !str_is(g->granule, "tensor")) {
        return wrong(why, "granule is tensor, channel or block");
    }
    if (!str_is(g->granule, "tensor") && (axis < 0 || axis >= weight.rank)) {
        return wrong(why, "axis is not a dimension of the weight");
    }
    if (block && g->block < 1) {
        return wrong(why, "block is below 1");
    }
    g->axis = (int)axis;
    return INFER_TYPE;
}

/* [N, ceil(K / block)] of MatMulNBits, for a weight of rank 2 whose axis is K. */
static bool nbits_dims(const Geometry *g, int64_t dims[2]) {
    if (g->weight.rank != 2 || g->block < 1 || !str_is(g->granule, "block")) {
        return false;
    }
    dims[0] = g->weight.dims[1 - g->axis];
    dims[1] = infer_blocks(g->weight.dims[g->axis], g->block);
    return true;
}

static Inferred scales(Ir *ir, const Geometry *g, int element, IrType *out, const char **why) {
    if (g->nbits) {
        int64_t dims[2];
        if (!nbits_dims(g, dims)) {
            return wrong(why, "nbits needs a matrix in blocks");
        }
        *out = ir_type(ir, element, 2, dims);
    } else if (str_is(g->granule, "tensor")) {
        *out = ir_type(ir, element, 0, NULL);
    } else if (str_is(g->granule, "channel")) {
        *out = ir_type(ir, element, 1, &g->weight.dims[g->axis]);
    } else {
        *out = ir_type(ir, element, g->weight.rank, g->weight.dims);
        ((int64_t *)out->dims)[g->axis] = infer_blocks(g->weight.dims[g->axis], g->block);
    }
    return INFER_TYPE;
}

static Inferred codes(Ir *ir, const Geometry *g, IrType *out, const char **why) {
    if (!g->nbits) {
        *out = ir_type(ir, g->format->onnx_type, g->weight.rank, g->weight.dims);
        return INFER_TYPE;
    }
    int64_t dims[3];
    if (!nbits_dims(g, dims) || g->block * g->format->bits % 8 != 0) {
        return wrong(why, "nbits needs a matrix in blocks of whole bytes");
    }
    dims[2] = g->block * g->format->bits / 8;
    *out = ir_type(ir, 2, 3, dims); /* uint8 */
    return INFER_TYPE;
}

static Inferred zeros(Ir *ir, const Geometry *g, IrType *out, const char **why) {
    if (!g->format->asymmetric) {
        return wrong(why, "this format has no zero point");
    }
    if (!g->nbits) {
        return scales(ir, g, g->format->onnx_type, out, why);
    }
    int64_t dims[2];
    if (!nbits_dims(g, dims)) {
        return wrong(why, "nbits needs a matrix in blocks");
    }
    dims[1] = infer_blocks(dims[1] * g->format->bits, 8);
    *out = ir_type(ir, 2, 2, dims);
    return INFER_TYPE;
}

static Inferred infer_pack(Ir *ir, const IrOp *op, IrType *out, const char **why) {
    const IrOp *from = op->args.at[0]->op;
    const IrOp *scale = infer_scale_of(op->args.at[0]);
    Geometry g;
    if (!scale || from->info == IR_OP(pack) || !ir_is(op, "layout", "nbits")) {
        return wrong(why, "only codes, scales and zero points have another layout (nbits)");
    }
    Inferred base = geometry_of(scale, scale->args.at[0]->type, &g, why);
    if (base != INFER_TYPE) {
        return base;
    }
    g.nbits = true;
    if (from->info == IR_OP(encode)) {
        return codes(ir, &g, out, why);
    }
    return from->info == IR_OP(zero) ? zeros(ir, &g, out, why)
                                     : scales(ir, &g, op->args.at[0]->type.element, out, why);
}

/* The n-th word of `out="codes scales"`. */
static Str nth_word(Str words, size_t n) {
    size_t begin = 0;
    for (size_t i = 0; i <= words.len; i++) {
        if (i == words.len || words.data[i] == ' ') {
            if (n-- == 0) {
                return str_slice(words, begin, i);
            }
            begin = i + 1;
        }
    }
    return (Str){"", 0};
}

static Inferred infer_kernel(Ir *ir, const IrOp *op, size_t result, IrType *out, const char **why) {
    IrType weight = op->args.at[0]->type;
    Str name = nth_word(ir_text(op, "out"), result);
    if (!ir_attr(op, "format")) {
        *out = weight;
        return str_is(name, "codes") ? INFER_TYPE : wrong(why, "without a format only `codes`");
    }
    Geometry g;
    Inferred base = geometry_of(op, weight, &g, why);
    if (base != INFER_TYPE) {
        return base;
    }
    if (str_is(name, "codes")) {
        return codes(ir, &g, out, why);
    }
    if (str_is(name, "scales")) {
        return scales(ir, &g, ir_element_find(ir_text(op, "scale")), out, why);
    }
    if (str_is(name, "zeros")) {
        return zeros(ir, &g, out, why);
    }
    *out = ir_type(ir, 1, 0, NULL);
    return str_is(name, "super") ? INFER_TYPE : wrong(why, "`out` names codes scales zeros super");
}

static Inferred infer_encoded(Ir *ir, const IrOp *op, IrType *out, const char **why) {
    IrType weight = op->args.at[0]->type;
    const Format *format = infer_format(op);
    if (format == NULL) {
        return wrong(why, "unknown format");
    }
    if (op->info == IR_OP(encode)) {
        *out = ir_type(ir, format->onnx_type, weight.rank, weight.dims);
        return INFER_TYPE;
    }
    IrType scale = op->args.at[1]->type; /* zero */
    *out = (IrType){format->onnx_type, scale.rank, scale.dims};
    if (scale.element == 0) {
        *out = (IrType){0};
    }
    return format->asymmetric ? INFER_TYPE : wrong(why, "this format has no zero point");
}

Inferred infer(Ir *ir, const IrOp *op, size_t result, IrType *out, const char **why) {
    const IrOpInfo *info = op->info;
    if (info == IR_OP(node) && (ir_attr(op, "before") != NULL) == (ir_attr(op, "behind") != NULL)) {
        return wrong(why, "a node stands `before` another one or `behind` it");
    }
    if (info == IR_OP(value) || info == IR_OP(node) || info == IR_OP(rename)) {
        return INFER_ANY;
    }
    if (info == IR_OP(known)) {
        return ir_value_of(op)->type.element ? INFER_ANY : wrong(why, "a fact states its type");
    }
    if (info == IR_OP(weight)) {
        return ir_value_of(op)->type.element ? INFER_ANY : wrong(why, "a weight states its type");
    }
    if (op->args.at[0]->type.element == 0) {
        *out = (IrType){0};
        return INFER_TYPE; /* not known yet: neither is this */
    }
    if (info == IR_OP(rescale)) {
        const int64_t axis = ir_int(op, "axis", 0);
        if (axis < 0 || axis >= op->args.at[0]->type.rank) {
            return wrong(why, "axis is not a dimension of the weight");
        }
    }
    if (info == IR_OP(mask_nm) || info == IR_OP(mask_ratio) || info == IR_OP(rescale) ||
        info == IR_OP(store)) {
        *out = op->args.at[0]->type;
        return INFER_TYPE;
    }
    if (info == IR_OP(super)) {
        *out = ir_type(ir, 1, 0, NULL);
        return infer_format(op) ? INFER_TYPE : wrong(why, "unknown format");
    }
    if (info == IR_OP(encode) || info == IR_OP(zero)) {
        return infer_encoded(ir, op, out, why);
    }
    if (info == IR_OP(pack)) {
        return infer_pack(ir, op, out, why);
    }
    if (info == IR_OP(kernel)) {
        return infer_kernel(ir, op, result, out, why);
    }
    Geometry g; /* scale */
    Inferred base = geometry_of(op, op->args.at[0]->type, &g, why);
    int element = ir_element_find(ir_text(op, "type"));
    if (base == INFER_TYPE && element == 0) {
        return wrong(why, "unknown type of scales");
    }
    return base == INFER_TYPE ? scales(ir, &g, element, out, why) : base;
}

bool infer_same_mask(const IrOp *a, const IrOp *b) {
    return a->info == b->info && ir_int(a, "keep", 0) == ir_int(b, "keep", 0) &&
           ir_int(a, "group", 0) == ir_int(b, "group", 0) &&
           ir_int(a, "axis", 0) == ir_int(b, "axis", 0) &&
           ir_float(a, "fraction", 0) == ir_float(b, "fraction", 0);
}
