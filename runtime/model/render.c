/* Messages with their edits applied. The rule: walk the fields of a dirty message in file order,
 * copy every field that no edit touches as the byte range it is, and re-encode only tags and
 * lengths of the messages that enclose an edit. What is new comes after what was there. */
#include "runtime/model/render.h"
#include <string.h>

/* ---- pieces of text */

static Str pack(const Render *r, const ProtobufCMessage *message) {
    const size_t size = protobuf_c_message_get_packed_size(message);
    char *bytes = arena_alloc(r->arena, size + 1);
    protobuf_c_message_pack(message, (uint8_t *)bytes);
    return (Str){bytes, size};
}

static void put_field(const Render *r, Rope *out, uint32_t number, Str bytes) {
    Buf b = buf_on(r->arena);
    wire_put_bytes(&b, number, bytes);
    rope_bytes(out, buf_view(&b));
}

/* The last string field `number` of a message. */
static Str string_in(const Render *r, Range body, uint32_t number) {
    Wire w = wire_over(r->m->input->data, body);
    WireField f;
    Str found = STR("");
    while (wire_next(&w, &f)) {
        if (f.number == number && f.type == WIRE_BYTES) {
            found = wire_str(&w, &f);
        }
    }
    return found;
}

static void keep(const Render *r, Rope *out, const WireField *f) {
    rope_input(out, r->m->input, f->whole.begin, f->whole.end - f->whole.begin);
}

/* ---- opsets and metadata */

static Str opset_bytes(const Render *r, Str domain, int64_t version) {
    Buf b = buf_on(r->arena);
    wire_put_bytes(&b, OPSET_DOMAIN, domain);
    wire_put_int(&b, OPSET_VERSION, (uint64_t)version);
    return buf_view(&b);
}

/* An import that is there, with its version replaced if an edit says so. */
static void render_opset(const Render *r, Rope *out, const WireField *f) {
    const ModelEdits *e = r->m->edits;
    Str domain = string_in(r, f->body, OPSET_DOMAIN);
    domain = str_is(domain, "ai.onnx") ? STR("") : domain;
    for (size_t i = 0; e && i < e->opsets.len; i++) {
        if (!str_eq(e->opsets.at[i].domain, domain)) {
            continue;
        }
        Rope *body = rope_on(r->arena);
        Wire w = wire_over(r->m->input->data, f->body);
        WireField part;
        while (wire_next(&w, &part)) {
            if (part.number != OPSET_VERSION) {
                keep(r, body, &part);
            }
        }
        Buf b = buf_on(r->arena);
        wire_put_int(&b, OPSET_VERSION, (uint64_t)e->opsets.at[i].version);
        rope_bytes(body, buf_view(&b));
        rope_message(out, f->number, body);
        return;
    }
    keep(r, out, f);
}

/* Imports that are missing. In a function only if its body was edited: others need none. */
static void add_opsets(const Render *r, Rope *out, uint32_t number,
                       Onnx__OperatorSetIdProto **imports, size_t count) {
    const ModelEdits *e = r->m->edits;
    for (size_t i = 0; e && i < e->opsets.len; i++) {
        const Str wanted = e->opsets.at[i].domain;
        bool there = false;
        for (size_t k = 0; k < count && !there; k++) {
            const Str domain = str_from(imports[k]->domain);
            there = str_eq(str_is(domain, "ai.onnx") ? STR("") : domain, wanted);
        }
        if (!there) {
            put_field(r, out, number, opset_bytes(r, wanted, e->opsets.at[i].version));
        }
    }
}

static bool replaces_metadata(const Render *r, const WireField *f) {
    const ModelEdits *e = r->m->edits;
    const Str key = string_in(r, f->body, ENTRY_KEY);
    for (size_t i = 0; e && i < e->metadata.len; i++) {
        if (str_eq(e->metadata.at[i].key, key)) {
            return true;
        }
    }
    return false;
}

static bool model_field(Render *r, Rope *out, const WireField *f) {
    const ModelEdits *e = r->m->edits;
    switch (f->number) {
    case MODEL_IR:
        return e && e->ir_version; /* written at the end */
    case MODEL_OPSET:
        render_opset(r, out, f);
        return true;
    case MODEL_METADATA:
        return replaces_metadata(r, f);
    default:
        return false;
    }
}

static void model_end(Render *r, Rope *out) {
    const ModelEdits *e = r->m->edits;
    if (!e) {
        return;
    }
    if (e->ir_version) {
        Buf b = buf_on(r->arena);
        wire_put_int(&b, MODEL_IR, (uint64_t)e->ir_version);
        rope_bytes(out, buf_view(&b));
    }
    add_opsets(r, out, MODEL_OPSET, r->m->proto->opset_import, r->m->proto->n_opset_import);
    for (size_t i = 0; i < e->metadata.len; i++) {
        Buf b = buf_on(r->arena);
        wire_put_bytes(&b, ENTRY_KEY, e->metadata.at[i].key);
        wire_put_bytes(&b, ENTRY_VALUE, e->metadata.at[i].value);
        put_field(r, out, MODEL_METADATA, buf_view(&b));
    }
}

/* ---- graphs and functions */

/* From IR 4 on, an initializer that is also an input may be overridden by the caller; before, it
 * could not. Raising the version therefore takes these inputs away. */
static bool drops_input(const Render *r, const SkimMessage *graph, Str name) {
    const ModelEdits *e = r->m->edits;
    if (!e || e->ir_version < 4 || r->m->proto->ir_version >= 4 || graph != r->m->main->record) {
        return false;
    }
    const ValueInfo *v = map_get(&r->m->main->values, name);
    return v && (v->constant || v->sparse);
}

static bool graph_field(const Render *r, const SkimMessage *graph, const WireField *f) {
    const GraphEdit *e = graph->edit;
    const bool input = graph->kind == SKIM_GRAPH && f->number == GRAPH_INPUT;
    const bool info = f->number == (graph->kind == SKIM_GRAPH ? (uint32_t)GRAPH_VALUE_INFO
                                                              : (uint32_t)FUNCTION_VALUE_INFO);
    if (!input && !info) {
        return false;
    }
    const Str name = string_in(r, f->body, VALUE_NAME);
    return (e && map_find(&e->dropped, name)) || (input && drops_input(r, graph, name));
}

static void graph_end(Render *r, Rope *out, const SkimMessage *graph) {
    const GraphEdit *e = graph->edit;
    for (size_t i = 0; e && i < e->added.len; i++) {
        Rope *t = rope_on(r->arena);
        render_new_tensor(r, t, &e->added.at[i]);
        rope_message(out, GRAPH_INITIALIZER, t);
    }
}

/* A function has no initializers: Constant nodes, before its first node. */
static void add_constants(Render *r, Rope *out, const SkimMessage *function) {
    const GraphEdit *e = function->edit;
    for (size_t i = 0; e && i < e->added.len; i++) {
        const NewTensor *t = &e->added.at[i];
        Rope *tensor = rope_on(r->arena), *attribute = rope_on(r->arena), *node = rope_on(r->arena);
        Buf b = buf_on(r->arena);
        render_new_tensor(r, tensor, t);
        wire_put_bytes(&b, ATTRIBUTE_NAME, STR("value"));
        wire_put_int(&b, ATTRIBUTE_TYPE, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR);
        rope_bytes(attribute, buf_view(&b));
        rope_message(attribute, ATTRIBUTE_TENSOR, tensor);
        b = buf_on(r->arena);
        wire_put_bytes(&b, NODE_OUTPUT, t->name);
        wire_put_bytes(&b, NODE_OP, STR("Constant"));
        rope_bytes(node, buf_view(&b));
        rope_message(node, NODE_ATTRIBUTE, attribute);
        rope_message(out, FUNCTION_NODE, node);
    }
}

static bool edited_inside(const SkimMessage *function) {
    bool edited = function->edit != NULL;
    for (const SkimMessage *c = function->first; c && !edited; c = c->next) {
        edited = c->dirty;
    }
    return edited;
}

static const Onnx__FunctionProto *function_of(const Render *r, const SkimMessage *record) {
    return r->m->proto->functions[record->index];
}

static void function_end(Render *r, Rope *out, const SkimMessage *record, bool constants) {
    const Onnx__FunctionProto *f = function_of(r, record);
    if (constants) {
        add_constants(r, out, record);
    }
    if (edited_inside(record)) {
        add_opsets(r, out, FUNCTION_OPSET, f->opset_import, f->n_opset_import);
    }
}

/* ---- nodes */

static const SlotEdit *slot_edit(const NodeEdit *e, size_t slot) {
    for (size_t i = e ? e->inputs.len : 0; i > 0; i--) { /* the latest counts */
        if ((size_t)e->inputs.at[i - 1].slot == slot) {
            return &e->inputs.at[i - 1];
        }
    }
    return NULL;
}

/* Inputs from `slot` on: edits of slots that the node did not have, "" in between. */
static void add_inputs(const Render *r, Rope *out, const NodeEdit *e, size_t slot) {
    size_t count = slot;
    for (size_t i = 0; i < e->inputs.len; i++) {
        const size_t need = (size_t)e->inputs.at[i].slot + 1;
        count = need > count ? need : count;
    }
    for (; slot < count; slot++) {
        const SlotEdit *edit = slot_edit(e, slot);
        put_field(r, out, NODE_INPUT, edit ? edit->name : STR(""));
    }
}

static void replaced_node(const Render *r, Rope *out, const SkimMessage *record) {
    const NodeEdit *e = record->edit;
    Onnx__NodeProto node = *e->replacement;
    for (size_t i = 0; i < node.n_input; i++) {
        const SlotEdit *edit = slot_edit(e, i);
        put_field(r, out, NODE_INPUT, edit ? edit->name : str_from(node.input[i]));
    }
    add_inputs(r, out, e, node.n_input);
    node.n_input = 0;
    if (e->output.len) {
        char **outputs = arena_many(r->arena, char *, node.n_output);
        memcpy(outputs, node.output, node.n_output * sizeof *outputs);
        outputs[0] = (char *)str_c(r->arena, e->output);
        node.output = outputs;
    }
    rope_bytes(out, pack(r, &node.base));
    Wire w = wire_over(r->m->input->data, record->body);
    WireField f;
    while (wire_next(&w, &f)) {
        if (!protobuf_c_message_descriptor_get_field(&onnx__node_proto__descriptor, f.number)) {
            keep(r, out, &f);
        }
    }
}

/* The first output under its new name, if this is it and it has one. */
static bool renamed_output(const Render *r, Rope *out, const SkimMessage *node, size_t index) {
    const NodeEdit *e = node->edit;
    const bool renamed = e && e->output.len && index == 0;
    if (renamed) {
        put_field(r, out, NODE_OUTPUT, e->output);
    }
    return renamed;
}

/* ---- all messages */

static void render_child(Render *r, Rope *out, const SkimMessage *child) {
    const NodeEdit *e = child->kind == SKIM_NODE ? child->edit : NULL;
    for (size_t i = 0; e && i < e->before.len; i++) {
        put_field(r, out, child->field, pack(r, &e->before.at[i]->base));
    }
    if (e && e->removed) {
        return;
    }
    if (child->kind == SKIM_TENSOR && child->edit && ((const TensorEdit *)child->edit)->removed) {
        return;
    }
    Rope *body = rope_on(r->arena);
    if (child->kind == SKIM_TENSOR) {
        render_tensor(r, body, child);
    } else if (e && e->replacement) {
        replaced_node(r, body, child);
    } else {
        render_message(r, body, child);
    }
    rope_message(out, child->field, body);
    for (size_t i = 0; e && i < e->behind.len; i++) {
        put_field(r, out, child->field, pack(r, &e->behind.at[i]->base));
    }
}

/* Fields of a message that were seen so far. */
typedef struct Seen {
    size_t inputs, outputs;
} Seen;

/* True if the field was dealt with (or left out on purpose). */
static bool special(Render *r, Rope *out, const SkimMessage *m, const WireField *f, Seen *seen) {
    switch (m->kind) {
    case SKIM_MODEL:
        return model_field(r, out, f);
    case SKIM_FUNCTION:
        if (f->number == FUNCTION_OPSET) {
            render_opset(r, out, f);
            return true;
        }
        return graph_field(r, m, f);
    case SKIM_GRAPH:
        return graph_field(r, m, f);
    case SKIM_NODE:
        if (f->number == NODE_INPUT) {
            const SlotEdit *edit = slot_edit(m->edit, seen->inputs++);
            if (edit) {
                put_field(r, out, NODE_INPUT, edit->name);
            }
            return edit != NULL;
        }
        return f->number == NODE_OUTPUT && renamed_output(r, out, m, seen->outputs++);
    default:
        return false;
    }
}

void render_message(Render *r, Rope *out, const SkimMessage *m) {
    Wire w = wire_over(r->m->input->data, m->body);
    WireField f;
    const SkimMessage *child = m->first;
    Seen seen = {0};
    bool constants = m->kind == SKIM_FUNCTION;
    while (wire_next(&w, &f)) {
        while (child && child->whole.begin < f.whole.begin) {
            child = child->next;
        }
        if (constants && f.number == FUNCTION_NODE) {
            add_constants(r, out, m);
            constants = false;
        }
        if (special(r, out, m, &f, &seen)) {
            continue;
        }
        if (child && child->dirty && child->whole.begin == f.whole.begin) {
            render_child(r, out, child);
        } else {
            keep(r, out, &f);
        }
    }
    if (m->kind == SKIM_MODEL) {
        model_end(r, out);
    } else if (m->kind == SKIM_GRAPH) {
        graph_end(r, out, m);
    } else if (m->kind == SKIM_FUNCTION) {
        function_end(r, out, m, constants);
    } else if (m->kind == SKIM_NODE && m->edit) {
        add_inputs(r, out, m->edit, seen.inputs);
    }
}
