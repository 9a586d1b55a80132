/* Adds Observe ops and lays the model out in memory (instrument.h). */
#include "compiler/instrument.h"
#include "runtime/engine/observe.h"
#include "runtime/model/model.h"
#include <assert.h>
#include <string.h>

/* What a reader reads by now: the value, or what an earlier Observe in front of it hands on. */
static Str read_by(const ObservationList *all, size_t until, const Str *handed) {
    const Observation *seen = &all->at[until];
    for (size_t i = until; i-- > 0;) {
        const Observation *earlier = &all->at[i];
        if (handed[i].len && earlier->graph == seen->graph && earlier->node == seen->node &&
            earlier->slot == seen->slot) {
            return handed[i];
        }
    }
    return seen->value->name;
}

static Str observe(Model *model, const Observation *seen, int64_t slot, Str from, Arena *arena) {
    Node *node = model->graphs.at[seen->graph->number]->nodes.at[seen->node];
    Onnx__AttributeProto *attribute = arena_new(arena, Onnx__AttributeProto);
    onnx__attribute_proto__init(attribute);
    attribute->name = (char *)(uintptr_t)OBSERVE_SLOT;
    attribute->has_type = 1;
    attribute->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT;
    attribute->has_i = 1;
    attribute->i = slot;
    Onnx__NodeProto *proto = arena_new(arena, Onnx__NodeProto);
    onnx__node_proto__init(proto);
    const Str name =
        model_fresh_name(model, str_format(arena, "%.*s_observed", STR_ARG(seen->value->name)));
    proto->op_type = (char *)(uintptr_t)OBSERVE_OP;
    proto->domain = (char *)(uintptr_t)OBSERVE_DOMAIN;
    proto->name = (char *)str_c(arena, name);
    proto->input = arena_many(arena, char *, 1);
    proto->input[proto->n_input++] = (char *)str_c(arena, from);
    proto->output = arena_many(arena, char *, 1);
    proto->output[proto->n_output++] = proto->name;
    proto->attribute = arena_many(arena, Onnx__AttributeProto *, 1);
    proto->attribute[proto->n_attribute++] = attribute;
    edit_insert_before(node, proto);
    edit_node_input(node, seen->slot, name);
    return name;
}

static const void *bytes_of(const Piece *piece, const InstrumentEdits *edits) {
    switch (piece->kind) {
    case PIECE_MEMORY:
        return piece->bytes;
    case PIECE_INPUT:
        return piece->input->data + piece->input_offset;
    case PIECE_TENSOR:
        break;
    }
    return edits->bytes(edits->user, piece->tag);
}

/* Makes the pieces of each file one block of bytes. */
static void gather(const Layout *layout, const InstrumentEdits *edits, uint8_t *const to[2]) {
    for (size_t i = 0; i < layout->pieces.len; i++) {
        const Piece *piece = &layout->pieces.at[i];
        if (piece->size) {
            memcpy(to[piece->file] + piece->offset, bytes_of(piece, edits), (size_t)piece->size);
        }
    }
}

bool instrument(Session *s, Arena *arena, Str path, const ObservationList *seen, int level,
                const InstrumentEdits *edits, Instrumented *out) {
    *out = (Instrumented){.model = model_open(s, path)};
    TRY(out->model);
    TRY(!edits || edits->edit(edits->user, out->model, level));
    Str *handed = arena_many(arena, Str, seen->len + 1);
    for (size_t i = 0; i < seen->len; i++) {
        const bool here = level == ALL_LEVELS || seen->at[i].level == level;
        const Str from = read_by(seen, i, handed);
        handed[i] = here ? observe(out->model, &seen->at[i], (int64_t)i, from, s->arena) : (Str){0};
    }
    edit_opset(out->model, OBSERVE_DOMAIN, 1);
    Layout layout;
    LayoutOptions options = {.in_place = true, .data_name = STR(INSTRUMENT_DATA)};
    TRY(model_layout(out->model, &options, &layout));
    assert(edits || layout.size[1] == 0); /* it was below 2 GiB when it was read */
    uint8_t *const files[2] = {arena_alloc(arena, (size_t)layout.size[0]),
                               layout.size[1] ? arena_alloc(arena, (size_t)layout.size[1]) : NULL};
    gather(&layout, edits, files);
    *out = (Instrumented){.model = out->model,
                          .bytes = files[0],
                          .size = (size_t)layout.size[0],
                          .data = files[1],
                          .data_size = (size_t)layout.size[1]};
    return true;
}
