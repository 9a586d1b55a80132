/* model_open: map, skim, unpack the skeleton, then build graphs (graphs.c) and check their order
 * (order.c). Also the small questions one asks a model. */
#include <sodium.h>
#include <string.h>
#include "runtime/base/sanitize.h"
#include "runtime/model/read.h"

static void *skeleton_alloc(void *arena, size_t size) {
    return arena_alloc(arena, size);
}

static void skeleton_free(void *arena, void *pointer) {
    (void)arena;
    (void)pointer; /* dies with the arena */
}

static bool unpack(Model *m, Str skeleton) {
    ProtobufCAllocator allocator = {skeleton_alloc, skeleton_free, m->session->arena};
    m->proto = onnx__model_proto__unpack(&allocator, skeleton.len, (const uint8_t *)skeleton.data);
    if (!m->proto) { /* the skim let something pass: still the file's fault, not a crash */
        model_error_at(m->session, m->input, 0, "E1001",
                       "not a valid ONNX model: protobuf-c cannot unpack it");
        return false;
    }
    crypto_hash_sha256(m->graph_hash, (const uint8_t *)skeleton.data, skeleton.len);
    return true;
}

static int64_t default_opset(const Onnx__ModelProto *proto) {
    for (size_t i = 0; i < proto->n_opset_import; i++) {
        const Str domain = str_from(proto->opset_import[i]->domain);
        if (domain.len == 0 || str_is(domain, "ai.onnx")) {
            return proto->opset_import[i]->version;
        }
    }
    return 1; /* what the specification says of models without an import */
}

static bool read_input(Model *m) {
    Skim skim;
    TRY(onnx_skim(m->session, m->input, &skim));
    TRY(unpack(m, skim.skeleton));
    if (!m->proto->graph) {
        model_error_at(m->session, m->input, 0, "E1009", "this is not an ONNX model: no graph");
        return false;
    }
    m->record = skim.root;
    m->ir_version = m->proto->ir_version;
    m->opset = default_opset(m->proto);
    return graphs_read(m) && graphs_check_order(m);
}

Model *model_open_input(Session *s, Input *input, Input *data) {
    Model *m = arena_new(s->arena, Model);
    m->session = s;
    m->input = input;
    m->data_by_location = map_on(s->arena);
    if (data) {
        m->only_data = data;
        vec_push(s->arena, &m->data_files, data);
    }
    if (!read_input(m)) {
        model_close(m);
        return NULL;
    }
    return m;
}

Model *model_open(Session *s, Str path) {
    Input *input = input_open(s, path);
    return input ? model_open_input(s, input, NULL) : NULL;
}

void model_close(Model *m) {
    if (!m) {
        return;
    }
    for (size_t i = 0; i < m->data_files.len; i++) {
        input_close(m->session, m->data_files.at[i]);
    }
    m->data_files.len = 0;
    input_close(m->session, m->input);
    m->input = NULL;
}

ValueInfo *graph_value(const Graph *graph, Str name) {
    for (const Graph *g = graph; g; g = g->owner ? g->owner->graph : NULL) {
        ValueInfo *v = map_get(&g->values, name);
        if (v) {
            return v;
        }
    }
    return NULL;
}

const Onnx__AttributeProto *node_attribute(const Node *node, const char *name) {
    for (size_t i = 0; i < node->proto->n_attribute; i++) {
        const Onnx__AttributeProto *a = node->proto->attribute[i];
        if (a->name && strcmp(a->name, name) == 0) {
            return a;
        }
    }
    return NULL;
}

int64_t node_int(const Node *node, const char *name, int64_t otherwise) {
    const Onnx__AttributeProto *a = node_attribute(node, name);
    return a && a->has_i ? a->i : otherwise;
}

const char *node_shown(const Node *node) {
    Arena *a = node->graph->model->session->arena;
    const Str name = str_from(node->proto->name);
    return name.len > 0 ? str_safe_c(a, name)
                        : str_format(a, "%s #%d", str_safe_c(a, node->op), node->index).data;
}
