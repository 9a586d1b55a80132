/* fuse: everything that is computed from a weight becomes one kernel, which reads it as few times
 * as its statistics need.
 *
 *     %1 = scale %0 format=int4 ...
 *     %2 = encode %0, %1 format=int4     ->   %1, %2 = kernel %0 out="codes scales" format=int4 ...
 *     %3 = store %1                           %3 = store %2
 *     %4 = store %2                           %4 = store %1
 *
 * A pruned weight that is also stored as float (weights = float) takes a second kernel without a
 * format. In: typed, emitted IR. Out: no map, reduce or layout op is left. */
#include "compiler/infer.h"
#include "compiler/passes.h"

static const char *const outputs[OUT_COUNT] = {
    [OUT_CODES] = "codes", [OUT_SCALES] = "scales", [OUT_ZEROS] = "zeros", [OUT_SUPER] = "super"};

static bool is_computed(const IrValue *value) {
    IrClass class = value->op->info->class;
    return class == IR_map || class == IR_reduce || class == IR_layout;
}

/* Which output of a kernel with a format this value is; -1: the masked float weight. */
static int output_of(const IrValue *value) {
    const IrOp *op = value->op;
    if (op->info == IR_OP(pack)) {
        op = op->args.at[0]->op;
    }
    if (op->info == IR_OP(encode)) {
        return OUT_CODES;
    }
    if (op->info == IR_OP(scale)) {
        return OUT_SCALES;
    }
    if (op->info == IR_OP(zero)) {
        return OUT_ZEROS;
    }
    return op->info == IR_OP(super) ? OUT_SUPER : -1;
}

static void copy_attr(Ir *ir, IrOp *to, const char *to_key, const IrOp *from, const char *key) {
    const IrAttr *attr = ir_attr(from, key);
    if (attr) {
        vec_push(ir->arena, &to->attrs, *attr);
        vec_last(&to->attrs).key = str_from(to_key);
    }
}

static void describe_mask(Ir *ir, IrOp *kernel, const IrOp *mask) {
    if (mask == NULL) {
        return;
    }
    bool nm = mask->info == IR_OP(mask_nm);
    ir_set_word(ir, kernel, "prune", nm ? STR("nm") : STR("ratio"));
    copy_attr(ir, kernel, "keep", mask, "keep");
    copy_attr(ir, kernel, "group", mask, "group");
    copy_attr(ir, kernel, "prune_axis", mask, "axis");
    copy_attr(ir, kernel, "fraction", mask, "fraction");
}

/* "smooth gptq": what the data decide, in the order of the steps. */
static void describe_edit(Ir *ir, IrOp *kernel, const IrGroup *group) {
    Buf edit = buf_on(ir->arena);
    for (size_t i = 0; i < group->ops.len; i++) {
        const IrOp *op = group->ops.at[i];
        const bool scales = op->info == IR_OP(rescale), encodes = op->info == IR_OP(encode);
        const char *const keys[] = {scales ? "by" : NULL, encodes ? "round" : NULL,
                                    encodes ? "also" : NULL};
        for (int k = 0; k < 3; k++) {
            if (keys[k] && ir_attr(op, keys[k])) {
                buf_printf(&edit, "%s%.*s", edit.len ? " " : "", STR_ARG(ir_text(op, keys[k])));
            }
        }
    }
    if (edit.len) {
        ir_set_string(ir, kernel, "edit", buf_view(&edit));
    }
}

static void describe_format(Ir *ir, IrOp *kernel, const IrGroup *group) {
    const IrOp *scale = ir_find(group, IR_OP(scale));
    static const char *const keys[] = {"format", "granule", "axis", "block"};
    for (int i = 0; i < 4; i++) {
        copy_attr(ir, kernel, keys[i], scale, keys[i]);
    }
    copy_attr(ir, kernel, "scale", scale, "type");
    copy_attr(ir, kernel, "method", scale, "method");
    if (ir_find(group, IR_OP(pack))) {
        ir_set_word(ir, kernel, "layout", STR("nbits"));
    }
}

/* One kernel for the values in `wanted` (by output; with_format false: the masked weight). */
static IrOp *make_kernel(Ir *ir, IrGroup *group, IrValue *const wanted[OUT_COUNT], bool with_format,
                         IrValue *made[OUT_COUNT]) {
    IrOp *kernel = ir_op(ir, group, IR_OP(kernel));
    const IrOp *mask = NULL;
    for (size_t i = 0; i < group->ops.len; i++) {
        const IrOp *op = group->ops.at[i];
        if (op->info == IR_OP(mask_nm) || op->info == IR_OP(mask_ratio)) {
            mask = op;
        }
    }
    Buf out = buf_on(ir->arena);
    ir_arg(ir, kernel, ir_value_of(group->ops.at[0]));
    for (int i = 0; i < OUT_COUNT; i++) {
        if (wanted[i]) {
            buf_printf(&out, "%s%s", out.len ? " " : "", outputs[i]);
            made[i] = ir_result(ir, group, kernel);
            made[i]->type = wanted[i]->type;
        }
    }
    ir_set_string(ir, kernel, "out", buf_view(&out));
    describe_edit(ir, kernel, group);
    describe_mask(ir, kernel, mask);
    if (with_format) {
        describe_format(ir, kernel, group);
    }
    return kernel;
}

/* Values of the group that io ops (store, rewrite) take, by kernel and output. */
static void find_wanted(const IrGroup *group, IrValue *coded[OUT_COUNT], IrValue **masked) {
    for (size_t i = 0; i < group->ops.len; i++) {
        const IrOp *op = group->ops.at[i];
        if (op->info != IR_OP(store) && op->info != IR_OP(rewrite)) {
            continue;
        }
        IrValue *value = op->args.at[0];
        int output = is_computed(value) ? output_of(value) : -2;
        if (output >= 0) {
            coded[output] = value;
        } else if (output == -1) {
            *masked = value;
        }
    }
}

/* Weight, layers, kernels, then what used to follow: io and graph ops in their order. */
static void reorder(Ir *ir, IrGroup *group, IrOp *const kernels[2]) {
    IrGroup fused = *group;
    memset(&fused.ops, 0, sizeof fused.ops);
    bool placed = false;
    for (size_t i = 0; i < group->ops.len; i++) {
        IrOp *op = group->ops.at[i];
        bool head = op->info == IR_OP(weight) || op->info == IR_OP(layer);
        if (!head && !placed) {
            placed = true;
            for (int k = 0; k < 2; k++) {
                if (kernels[k]) {
                    vec_push(ir->arena, &fused.ops, kernels[k]);
                }
            }
        }
        if (op->info->class == IR_io || op->info->class == IR_graph) {
            vec_push(ir->arena, &fused.ops, op);
        }
    }
    *group = fused;
    ir_renumber(group);
}

bool pass_fuse(Session *s, Ir *ir) {
    (void)s;
    for (size_t i = 0; i < ir->groups.len; i++) {
        IrGroup *group = ir->groups.at[i];
        IrValue *coded[OUT_COUNT] = {0}, *masked[OUT_COUNT] = {0}, *made[OUT_COUNT] = {0};
        IrOp *kernels[2] = {NULL, NULL};
        find_wanted(group, coded, &masked[OUT_CODES]);
        if (masked[OUT_CODES]) {
            kernels[0] = make_kernel(ir, group, masked, false, made);
            ir_replace_value(group, masked[OUT_CODES], made[OUT_CODES]);
        }
        if (coded[OUT_SCALES]) {
            kernels[1] = make_kernel(ir, group, coded, true, made);
            for (int k = 0; k < OUT_COUNT; k++) {
                if (coded[k]) {
                    ir_replace_value(group, coded[k], made[k]);
                }
            }
        }
        if (kernels[0] || kernels[1]) {
            reorder(ir, group, kernels);
        }
    }
    return true;
}
