/* Recording of edits (model.h says what each means). Nothing is written here and no byte of the
 * model is touched; onnx_layout.c applies what is recorded, as often as it is asked to. */
#include "runtime/model/onnx_edit.h"
#include <assert.h>
#include "runtime/base/limits.h"

static ModelEdits *edits_of(Model *m) {
    if (!m->edits) {
        m->edits = arena_new(m->session->arena, ModelEdits);
        m->edits->names = map_on(m->session->arena);
    }
    return m->edits;
}

static void mark(SkimMessage *record) {
    for (; record && !record->dirty; record = record->parent) {
        record->dirty = true;
    }
}

static NodeEdit *node_edit(Node *node) {
    SkimMessage *r = node->record;
    mark(r);
    if (!r->edit) {
        r->edit = arena_new(node->graph->model->session->arena, NodeEdit);
    }
    return r->edit;
}

static GraphEdit *graph_edit(const Graph *graph) {
    SkimMessage *r = graph->record;
    Arena *arena = graph->model->session->arena;
    mark(r);
    if (!r->edit) {
        GraphEdit *e = arena_new(arena, GraphEdit);
        e->dropped = map_on(arena);
        r->edit = e;
    }
    return r->edit;
}

static TensorEdit *tensor_edit(Model *m, const Tensor *t) {
    SkimMessage *r = t->record;
    mark(r);
    if (!r->edit) {
        r->edit = arena_new(m->session->arena, TensorEdit);
    }
    return r->edit;
}

/* ---- names */

static void take_name(ModelEdits *e, Str name) {
    if (name.len > 0) {
        map_put(&e->names, name, e);
    }
}

static void take_names(const Model *m, ModelEdits *e) {
    for (size_t i = 0; i < m->graphs.len; i++) {
        const Graph *g = m->graphs.at[i];
        for (size_t k = 0; k < g->values.len; k++) {
            take_name(e, g->values.entries[k].key);
        }
        for (size_t k = 0; k < g->nodes.len; k++) {
            take_name(e, str_from(g->nodes.at[k]->proto->name));
        }
    }
    e->names_known = true;
}

Str model_fresh_name(Model *m, Str wanted) {
    ModelEdits *e = edits_of(m);
    if (!e->names_known) {
        take_names(m, e);
    }
    Arena *arena = m->session->arena;
    enum { ROOM = 64 }; /* for a suffix */
    if (wanted.len > LIMIT_NAME_BYTES - ROOM) {
        wanted = STR("value"); /* a longer one could not be read back */
    }
    Str name = str_copy(arena, wanted);
    for (int n = 2; map_find(&e->names, name); n++) {
        name = str_format(arena, "%.*s_%d", STR_ARG(wanted), n);
    }
    take_name(e, name);
    return name;
}

/* ---- nodes */

void edit_node_input(Node *node, int slot, Str name) {
    assert(slot >= 0);
    NodeEdit *e = node_edit(node);
    vec_push(node->graph->model->session->arena, &e->inputs, ((SlotEdit){slot, name}));
}

void edit_insert_before(Node *node, Onnx__NodeProto *inserted) {
    vec_push(node->graph->model->session->arena, &node_edit(node)->before, inserted);
}

void edit_rename_output(Node *node, Str name) {
    assert(node->output_count > 0 && name.len > 0);
    node_edit(node)->output = name;
}

void edit_insert_behind(Node *node, Onnx__NodeProto *inserted) {
    vec_push(node->graph->model->session->arena, &node_edit(node)->behind, inserted);
}

void edit_replace_node(Node *node, Onnx__NodeProto *replacement) {
    assert(node->bodies.len == 0 && "its bodies would lose their weights");
    node_edit(node)->replacement = replacement;
}

void edit_remove_node(Node *node) {
    node_edit(node)->removed = true;
}

void edit_absorb_node(Node *node, Node *next) {
    Onnx__NodeProto *proto = arena_new(node->graph->model->session->arena, Onnx__NodeProto);
    *proto = *node->proto;
    proto->output = next->proto->output;
    proto->n_output = next->proto->n_output;
    map_put(&graph_edit(node->graph)->dropped, node->outputs[0]->name, node);
    edit_replace_node(node, proto);
    edit_remove_node(next);
}

/* ---- tensors */

void edit_add_initializer(Graph *graph, const NewTensor *tensor) {
    assert(tensor->name.len > 0);
    GraphEdit *e = graph_edit(graph);
    vec_push(graph->model->session->arena, &e->added, *tensor);
}

void edit_replace_payload(const Tensor *tensor, int64_t tag) {
    Graph *graph = tensor->graph ? tensor->graph : tensor->constant->graph;
    TensorEdit *e = tensor_edit(graph->model, tensor);
    e->replaced = true;
    e->tag = tag;
}

void edit_remove_initializer(const Tensor *tensor) {
    if (tensor->constant) {
        Node *node = tensor->constant;
        edit_remove_node(node);
        if (node->outputs[0]) {
            map_put(&graph_edit(node->graph)->dropped, node->outputs[0]->name, node);
        }
        return;
    }
    assert(tensor->graph);
    tensor_edit(tensor->graph->model, tensor)->removed = true;
    map_put(&graph_edit(tensor->graph)->dropped, tensor->name, tensor->graph);
}

/* ---- model */

void edit_opset(Model *m, const char *domain, int64_t version) {
    ModelEdits *e = edits_of(m);
    const Str name = str_is(str_from(domain), "ai.onnx") ? STR("") : str_from(domain);
    mark(m->record);
    if (name.len == 0) {
        m->opset = version;
    }
    for (size_t i = 0; i < e->opsets.len; i++) {
        if (str_eq(e->opsets.at[i].domain, name)) {
            e->opsets.at[i].version = version;
            return;
        }
    }
    vec_push(m->session->arena, &e->opsets,
             ((OpsetEdit){str_copy(m->session->arena, name), version}));
    for (size_t i = 0; i < m->graphs.len; i++) {
        if (m->graphs.at[i]->function_proto) {
            mark(m->graphs.at[i]->record);
        }
    }
}

void edit_ir_version(Model *m, int64_t version) {
    edits_of(m)->ir_version = version;
    m->ir_version = version;
    mark(m->record);
    mark(m->main->record); /* its inputs: onnx_layout.c, drops_input */
}

void edit_metadata(Model *m, Str key, Str value) {
    ModelEdits *e = edits_of(m);
    Arena *arena = m->session->arena;
    mark(m->record);
    for (size_t i = 0; i < e->metadata.len; i++) {
        if (str_eq(e->metadata.at[i].key, key)) {
            e->metadata.at[i].value = str_copy(arena, value);
            return;
        }
    }
    vec_push(arena, &e->metadata, ((MetadataEdit){str_copy(arena, key), str_copy(arena, value)}));
}
