/* Graphs, nodes and values of a model, from the unpacked skeleton and the skim's records, which
 * correspond by position: the i-th record of a field is the i-th element of the proto's array.
 * First every graph defines its values, then every node finds its inputs, looking outward. */
#include "runtime/base/sanitize.h"
#include "runtime/model/read.h"

enum { /* field numbers */
    ATTRIBUTE_TENSOR = 5, ATTRIBUTE_GRAPH = 6, ATTRIBUTE_TENSORS = 10, ATTRIBUTE_GRAPHS = 11,
    GRAPH_INITIALIZER = 5
};

static Graph *read_graph(Model *m, SkimMessage *record, const Onnx__GraphProto *proto, Node *owner);

static Str domain_of(const char *domain) {
    const Str d = str_from(domain);
    return str_is(d, "ai.onnx") ? STR("") : d;
}

static bool duplicate(const Model *m, Range at, const char *what, Str name) {
    model_error_at(m->session, m->input, at.begin, "E1005", "%s `%s` is defined twice", what,
                   str_safe_c(m->session->arena, name));
    return false;
}

/* Tensors that belong to no graph we look at: training, sparse tensors, defaults of functions. */
static bool read_loose(Model *m, SkimMessage *record) {
    if (record->kind == SKIM_TENSOR) {
        return tensor_read(m, record) != NULL;
    }
    for (SkimMessage *c = record->first; c; c = c->next) {
        TRY(read_loose(m, c));
    }
    return true;
}

/* ---- nodes */

static bool read_attribute(Node *node, SkimMessage *record) {
    Model *m = node->graph->model;
    const Onnx__AttributeProto *a = node->proto->attribute[record->index];
    for (SkimMessage *c = record->first; c; c = c->next) {
        if (c->field == ATTRIBUTE_GRAPH || c->field == ATTRIBUTE_GRAPHS) {
            const Onnx__GraphProto *proto = c->field == ATTRIBUTE_GRAPH ? a->g
                                                                        : a->graphs[c->index];
            Graph *body = read_graph(m, c, proto, node);
            TRY(body != NULL);
            vec_push(m->session->arena, &node->bodies, body);
        } else if (c->field == ATTRIBUTE_TENSOR || c->field == ATTRIBUTE_TENSORS) {
            Tensor *t = tensor_read(m, c);
            TRY(t != NULL);
            vec_push(m->session->arena, &node->tensors, t);
            if (str_is(node->op, "Constant") && node->domain.len == 0 && a->name &&
                strcmp(a->name, "value") == 0) {
                t->constant = node;
            }
        } else {
            TRY(read_loose(m, c));
        }
    }
    return true;
}

static bool read_node(Graph *g, SkimMessage *record, const Onnx__NodeProto *proto) {
    Model *m = g->model;
    Arena *arena = m->session->arena;
    Node *node = arena_new(arena, Node);
    *node = (Node){.graph = g, .index = (int)g->nodes.len, .proto = proto, .record = record,
                   .op = str_from(proto->op_type), .domain = domain_of(proto->domain),
                   .field = record->whole, .message = record->body,
                   .input_count = (int)proto->n_input, .output_count = (int)proto->n_output};
    if (node->op.len == 0) {
        model_error_at(m->session, m->input, record->whole.begin, "E1001",
                       "not a valid ONNX model: a node has no op_type");
        return false;
    }
    node->inputs = arena_many(arena, ValueInfo *, proto->n_input);
    node->outputs = arena_many(arena, ValueInfo *, proto->n_output);
    vec_push(arena, &g->nodes, node);
    for (SkimMessage *c = record->first; c; c = c->next) {
        TRY(read_attribute(node, c));
    }
    return true;
}

/* ---- values */

static ValueInfo *value_new(Graph *g, Str name) {
    ValueInfo *v = arena_new(g->model->session->arena, ValueInfo);
    *v = (ValueInfo){.name = name, .graph = g, .rank = -1};
    map_put(&g->values, name, v);
    return v;
}

static bool define_input(Graph *g, Str name) {
    if (map_get(&g->values, name)) {
        return duplicate(g->model, g->message, "input", name);
    }
    value_new(g, name)->graph_input = true;
    return true;
}

/* Before IR 4 every initializer is an input too; later that means a default. */
static bool define_initializer(Graph *g, Str name, Range at, const Tensor *t) {
    ValueInfo *v = map_get(&g->values, name);
    if (v && (v->constant || v->sparse)) {
        return duplicate(g->model, at, "initializer", name);
    }
    if (name.len == 0) {
        model_error_at(g->model->session, g->model->input, at.begin, "E1001",
                       "not a valid ONNX model: an initializer has no name");
        return false;
    }
    v = v ? v : value_new(g, name);
    v->constant = t;
    v->sparse = t == NULL;
    return true;
}

static bool define_outputs(Node *node) {
    Graph *g = node->graph;
    for (int i = 0; i < node->output_count; i++) {
        const Str name = str_from(node->proto->output[i]);
        if (name.len == 0) {
            continue;
        }
        if (map_get(&g->values, name)) {
            return duplicate(g->model, node->field, "value", name);
        }
        ValueInfo *v = value_new(g, name);
        v->producer = node;
        v->output = i;
        node->outputs[i] = v;
        for (size_t k = 0; k < node->tensors.len && i == 0; k++) {
            if (node->tensors.at[k]->constant) {
                v->constant = node->tensors.at[k];
            }
        }
    }
    return true;
}

static void set_type(Graph *g, const Onnx__ValueInfoProto *info) {
    ValueInfo *v = map_get(&g->values, str_from(info->name));
    const Onnx__TypeProto__Tensor *t = info->type ? info->type->tensor_type : NULL;
    if (!v || !t) {
        return;
    }
    v->type = t->elem_type;
    if (t->shape) {
        const Onnx__TensorShapeProto *shape = t->shape;
        int64_t *dims = arena_many(g->model->session->arena, int64_t, shape->n_dim);
        for (size_t i = 0; i < shape->n_dim; i++) {
            dims[i] = shape->dim[i]->has_dim_value ? shape->dim[i]->dim_value : -1;
        }
        v->rank = (int)shape->n_dim;
        v->dims = dims;
    }
}

static void set_types(Graph *g, Onnx__ValueInfoProto **infos, size_t count) {
    for (size_t i = 0; i < count; i++) {
        set_type(g, infos[i]);
    }
}

static void set_constant_types(Graph *g) {
    for (size_t i = 0; i < g->values.len; i++) {
        ValueInfo *v = g->values.entries[i].value;
        if (v->constant) {
            v->type = v->constant->type;
            v->rank = v->constant->rank;
            v->dims = v->constant->dims;
        }
    }
}

/* ---- graphs */

static Graph *graph_new(Model *m, SkimMessage *record, Node *owner) {
    Graph *g = arena_new(m->session->arena, Graph);
    *g = (Graph){.model = m, .owner = owner, .depth = owner ? owner->graph->depth + 1 : 0,
                 .field = record->whole, .message = record->body, .record = record,
                 .values = map_on(m->session->arena)};
    g->number = (int)m->graphs.len;
    vec_push(m->session->arena, &m->graphs, g);
    return g;
}

static bool read_parts(Graph *g, Onnx__NodeProto **nodes) {
    Model *m = g->model;
    for (SkimMessage *c = g->record->first; c; c = c->next) {
        if (c->kind == SKIM_NODE) {
            TRY(read_node(g, c, nodes[c->index]));
        } else if (c->kind == SKIM_TENSOR && c->field == GRAPH_INITIALIZER) {
            Tensor *t = tensor_read(m, c);
            TRY(t != NULL);
            t->graph = g;
            t->index = (int)g->initializers.len;
            vec_push(m->session->arena, &g->initializers, t);
        } else {
            TRY(read_loose(m, c));
        }
    }
    return true;
}

static bool define_values(Graph *g) {
    const Onnx__GraphProto *p = g->proto;
    const Onnx__FunctionProto *f = g->function_proto;
    for (size_t i = 0; i < (p ? p->n_input : f->n_input); i++) {
        TRY(define_input(g, str_from(p ? p->input[i]->name : f->input[i])));
    }
    for (size_t i = 0; i < g->initializers.len; i++) {
        const Tensor *t = g->initializers.at[i];
        TRY(define_initializer(g, t->name, t->field, t));
    }
    for (size_t i = 0; p && i < p->n_sparse_initializer; i++) {
        const Onnx__SparseTensorProto *sparse = p->sparse_initializer[i];
        TRY(define_initializer(g, str_from(sparse->values ? sparse->values->name : NULL),
                               g->message, NULL));
    }
    for (size_t i = 0; i < g->nodes.len; i++) {
        TRY(define_outputs(g->nodes.at[i]));
    }
    if (p) {
        set_types(g, p->input, p->n_input);
        set_types(g, p->output, p->n_output);
        set_types(g, p->value_info, p->n_value_info);
    } else {
        set_types(g, f->value_info, f->n_value_info);
    }
    set_constant_types(g);
    return true;
}

static Graph *read_graph(Model *m, SkimMessage *record, const Onnx__GraphProto *proto,
                         Node *owner) {
    Graph *g = graph_new(m, record, owner);
    g->proto = proto;
    return read_parts(g, proto->node) && define_values(g) ? g : NULL;
}

static bool read_function(Model *m, SkimMessage *record, const Onnx__FunctionProto *proto,
                          Map *seen) {
    Graph *g = graph_new(m, record, NULL);
    const Str domain = domain_of(proto->domain), overload = str_from(proto->overload);
    g->function_proto = proto;
    g->function = str_format(m->session->arena, "%.*s::%s%s%.*s", STR_ARG(domain),
                             proto->name ? proto->name : "", overload.len ? ":" : "",
                             STR_ARG(overload));
    if (!map_put(seen, g->function, g)) {
        return duplicate(m, record->whole, "function", g->function);
    }
    return read_parts(g, proto->node) && define_values(g);
}

/* ---- uses */

static bool find_inputs(Node *node) {
    const Graph *g = node->graph;
    Model *m = g->model;
    for (int i = 0; i < node->input_count; i++) {
        const Str name = str_from(node->proto->input[i]);
        if (name.len == 0) {
            continue;
        }
        ValueInfo *v = graph_value(g, name);
        if (!v) {
            model_error_at(m->session, m->input, node->field.begin, "E1006",
                           "node `%s` reads `%s`, which nothing defines", node_shown(node),
                           str_safe_c(m->session->arena, name));
            return false;
        }
        node->inputs[i] = v;
        v->uses.cap++;
    }
    return true;
}

/* The numbers of uses are known now, so their arrays have no slack (most values have one use). */
static void list_uses(Node *node) {
    Arena *arena = node->graph->model->session->arena;
    for (int i = 0; i < node->input_count; i++) {
        ValueInfo *v = node->inputs[i];
        if (v) {
            v->uses.at = v->uses.at ? v->uses.at : arena_many(arena, Use, v->uses.cap);
            v->uses.at[v->uses.len++] = (Use){node, i};
        }
    }
}

static bool find_outputs(const Graph *g) {
    const Onnx__GraphProto *p = g->proto;
    const Onnx__FunctionProto *f = g->function_proto;
    for (size_t i = 0; i < (p ? p->n_output : f->n_output); i++) {
        const Str name = str_from(p ? p->output[i]->name : f->output[i]);
        ValueInfo *v = graph_value(g, name);
        if (!v && name.len > 0) {
            model_error_at(g->model->session, g->model->input, g->field.begin, "E1006",
                           "graph output `%s` is defined by nothing",
                           str_safe_c(g->model->session->arena, name));
            return false;
        }
        if (v) {
            v->graph_output = true;
        }
    }
    return true;
}

bool graphs_read(Model *m) {
    Map functions = map_on(m->session->arena);
    for (SkimMessage *c = m->record->first; c; c = c->next) {
        if (c->kind == SKIM_GRAPH) {
            m->main = read_graph(m, c, m->proto->graph, NULL);
            TRY(m->main != NULL);
        }
    }
    for (SkimMessage *c = m->record->first; c; c = c->next) {
        if (c->kind == SKIM_FUNCTION) {
            TRY(read_function(m, c, m->proto->functions[c->index], &functions));
        } else if (c->kind == SKIM_TRAINING) {
            TRY(read_loose(m, c));
        }
    }
    for (size_t i = 0; i < m->graphs.len; i++) {
        Graph *g = m->graphs.at[i];
        for (size_t k = 0; k < g->nodes.len; k++) {
            TRY(find_inputs(g->nodes.at[k]));
        }
        TRY(find_outputs(g));
    }
    for (size_t i = 0; i < m->graphs.len; i++) {
        for (size_t k = 0; k < m->graphs.at[i]->nodes.len; k++) {
            list_uses(m->graphs.at[i]->nodes.at[k]);
        }
    }
    return true;
}
