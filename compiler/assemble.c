/* Builds the Schedule (assemble.h). In: fused, ordered IR whose edits the layout holds. Out: plain
 * data on the session's arena; jobs in the order of their numbers, segments as the pieces lie. */
#include "compiler/assemble.h"
#include "compiler/infer.h"
#include <assert.h>

static void read_mask(const IrOp *op, IrType weight, Kernel *k) {
    if (ir_is(op, "prune", "nm")) {
        k->prune = PRUNE_NM;
        k->keep = (int)ir_int(op, "keep", 0);
        k->group = (int)ir_int(op, "group", 1);
        k->prune_view = infer_view(weight, (int)ir_int(op, "prune_axis", 0));
    } else if (ir_is(op, "prune", "ratio")) {
        k->prune = PRUNE_RATIO;
        k->zeros = (int64_t)(ir_float(op, "fraction", 0) * (double)k->count + 0.5);
        k->prune_view = (KernelView){1, k->count, 1};
    }
}

Kernel assemble_kernel(const IrOp *op, bool metrics) {
    IrType weight = op->args.at[0]->type;
    Kernel k = {.source = weight.element, .count = ir_type_elements(weight), .metrics = metrics};
    k.view = (KernelView){1, k.count, 1};
    read_mask(op, weight, &k);
    k.format = infer_format(op);
    if (k.format == NULL) {
        return k;
    }
    if (!ir_is(op, "granule", "tensor")) {
        bool block = ir_is(op, "granule", "block");
        k.granule = block ? GRANULE_BLOCK : GRANULE_CHANNEL;
        k.block = block ? ir_int(op, "block", 0) : 0;
        k.view = infer_view(weight, (int)ir_int(op, "axis", 0));
    }
    k.scale_type = ir_element_find(ir_text(op, "scale"));
    k.method = ir_is(op, "method", "mse") ? METHOD_MSE : METHOD_MAX;
    k.layout = ir_is(op, "layout", "nbits") ? LAYOUT_NBITS : LAYOUT_ONNX;
    return k;
}

static int first_layer(const IrGroup *group) {
    const IrOp *layer = ir_find(group, IR_OP(layer));
    return layer ? (int)ir_int(layer, "plan", 0) : 0;
}

static bool add_job(Session *s, const IrGroup *group, const IrOp *op, const Model *model,
                    bool metrics, SolvedList *solved, Schedule *out) {
    const Graph *graph = model->graphs.at[ir_int(group->ops.at[0], "graph", 0)];
    ValueInfo *value = graph_value(graph, group->name);
    assert(value && value->constant);
    if (ir_attr(op, "solved")) {
        assert((int64_t)solved->len == ir_int(op, "solved", -1));
        Solved one = {.name = group->name,
                      .kernel = assemble_kernel(op, metrics),
                      .layer = first_layer(group)};
        one.source = tensor_bytes(s, value->constant, s->arena);
        vec_push(s->arena, solved, one);
        return one.source != NULL;
    }
    assert((int64_t)out->jobs.len == ir_int(op, "job", -1));
    ScheduleJob job = {.kernel = assemble_kernel(op, metrics), .name = group->name};
    job.source = tensor_bytes(s, value->constant, s->arena);
    if (job.source == NULL) {
        return false;
    }
    vec_push(s->arena, &out->jobs, job);
    return true;
}

static ScheduleSegment segment_of(const Piece *piece) {
    ScheduleSegment segment = {.file = piece->file, .offset = piece->offset, .size = piece->size};
    switch (piece->kind) {
    case PIECE_MEMORY:
        segment.kind = SEGMENT_MEMORY;
        segment.data = piece->bytes;
        break;
    case PIECE_INPUT:
        segment.kind = SEGMENT_INPUT;
        segment.input = piece->input;
        segment.input_offset = piece->input_offset;
        break;
    case PIECE_TENSOR:
        if (tag_kind(piece->tag) != TAG_JOB) {
            segment.kind = SEGMENT_MEMORY; /* assemble_known */
            break;
        }
        segment.kind = SEGMENT_KERNEL;
        segment.job = (int)tag_number(piece->tag);
        segment.out = tag_output(piece->tag);
        break;
    }
    return segment;
}

void assemble_known(Schedule *schedule, const Layout *layout, const Facts *facts,
                    const SolvedList *solved) {
    for (size_t i = 0; i < layout->pieces.len; i++) {
        const Piece *piece = &layout->pieces.at[i];
        const int64_t number = tag_number(piece->tag);
        if (piece->kind != PIECE_TENSOR || tag_kind(piece->tag) == TAG_JOB) {
            continue;
        }
        schedule->segments.at[i].data = tag_kind(piece->tag) == TAG_FACT
                                            ? facts->all.at[number].bytes
                                            : solved->at[number].outs[tag_output(piece->tag)];
    }
}

bool assemble(Session *s, const Ir *ir, const Model *model, const Layout *layout,
              const Str files[2], bool metrics, SolvedList *solved, Schedule *out) {
    for (int file = 0; file < 2; file++) {
        if (file == 0 || layout->size[file] > 0) {
            vec_push(s->arena, &out->files, (ScheduleFile){files[file], layout->size[file]});
        }
    }
    for (size_t i = 0; i < ir->groups.len; i++) {
        const IrGroup *group = ir->groups.at[i];
        for (size_t k = 0; k < group->ops.len; k++) {
            if (group->ops.at[k]->info == IR_OP(kernel)) {
                TRY(add_job(s, group, group->ops.at[k], model, metrics, solved, out));
            }
        }
    }
    for (size_t i = 0; i < layout->pieces.len; i++) {
        vec_push(s->arena, &out->segments, segment_of(&layout->pieces.at[i]));
    }
    return true;
}
