/* model_layout: what the output files hold, byte for byte, before any weight is read. One file if
 * it stays below protobuf's limit of 2 GiB, otherwise (or when asked) the larger tensors go to one
 * data file. A model without edits and without external data is one range: its input. */
#include <assert.h>
#include <string.h>
#include "runtime/model/render.h"

static void mark(SkimMessage *record) {
    for (; record && !record->dirty; record = record->parent) {
        record->dirty = true;
    }
}

static uint64_t render(Render *r, Layout *out) {
    const Model *m = r->m;
    for (size_t i = 0; i < m->tensors.len; i++) {
        const Tensor *t = m->tensors.at[i];
        if ((t->carrier == CARRIER_EXTERNAL && !r->in_place) || tensor_goes_outside(r, t)) {
            mark(t->record);
        }
    }
    Rope *model = rope_on(r->arena);
    r->data = rope_on(r->arena);
    if (m->record->dirty) {
        render_message(r, model, m->record);
    } else {
        rope_input(model, m->input, 0, m->input->size);
    }
    *out = (Layout){0};
    if (model->size <= INT32_MAX) {
        rope_pieces(model, 0, out);
        rope_pieces(r->data, 1, out);
    }
    return model->size;
}

bool model_layout(Model *m, const LayoutOptions *options, Layout *out) {
    Render r = {.m = m, .arena = m->session->arena, .external = options->external,
                .in_place = options->in_place, .data_name = options->data_name};
    uint64_t size = render(&r, out);
    if (size > INT32_MAX && !r.external) {
        r.external = true;
        size = render(&r, out);
    }
    assert(!r.external || options->data_name.len > 0);
    if (size > INT32_MAX) {
        diag_error(m->session, "E1012", NO_SPAN,
                   "the model would have %s without its weights: protobuf ends at 2 GiB",
                   str_bytes(m->session->arena, size).data);
        return false;
    }
    return true;
}
