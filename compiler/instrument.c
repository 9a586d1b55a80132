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
        if (earlier->graph == seen->graph && earlier->node == seen->node &&
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

/* Makes the pieces one block of bytes. */
static void gather(const Layout *layout, uint8_t *to) {
    for (size_t i = 0; i < layout->pieces.len; i++) {
        const Piece *piece = &layout->pieces.at[i];
        const void *from =
            piece->kind == PIECE_MEMORY ? piece->bytes : piece->input->data + piece->input_offset;
        if (piece->size) {
            memcpy(to + piece->offset, from, (size_t)piece->size);
        }
    }
}

bool instrument(Session *s, Arena *arena, Str path, const ObservationList *seen,
                Instrumented *out) {
    *out = (Instrumented){.model = model_open(s, path)};
    TRY(out->model);
    Str *handed = arena_many(arena, Str, seen->len + 1);
    for (size_t i = 0; i < seen->len; i++) {
        const Str from = read_by(seen, i, handed);
        handed[i] = observe(out->model, &seen->at[i], (int64_t)i, from, s->arena);
    }
    edit_opset(out->model, OBSERVE_DOMAIN, 1);
    Layout layout;
    LayoutOptions options = {.in_place = true, .data_name = STR("weights")};
    TRY(model_layout(out->model, &options, &layout));
    assert(layout.size[1] == 0); /* it was below 2 GiB when it was read */
    uint8_t *bytes = arena_alloc(arena, (size_t)layout.size[0]);
    gather(&layout, bytes);
    out->bytes = bytes;
    out->size = (size_t)layout.size[0];
    return true;
}
