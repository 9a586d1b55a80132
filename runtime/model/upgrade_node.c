#include "runtime/model/upgrade_node.h"
#include <string.h>
#include "runtime/model/read.h"

bool upgrade_refuse(Upgrade *u, const char *why) {
    if (!map_put(&u->refused, u->node->op, u->node)) {
        return false; /* one message an op */
    }
    Diag *d = model_error_at(u->session, u->m->input, u->node->field.begin, "E1010",
                             "`%s` cannot be raised from opset %lld to %lld: %s",
                             node_shown(u->node), (long long)u->from, (long long)u->target, why);
    diag_note(d, "it is a %.*s", STR_ARG(u->node->op));
    return false;
}

static char *text_of(const Upgrade *u, Str s) {
    return (char *)str_c(u->arena, s);
}

/* ---- attributes */

Onnx__AttributeProto *upgrade_attribute(const Upgrade *u, const char *name) {
    for (size_t i = 0; i < u->now->n_attribute; i++) {
        Onnx__AttributeProto *a = u->now->attribute[i];
        if (a->name && strcmp(a->name, name) == 0) {
            return a;
        }
    }
    return NULL;
}

static void keep_all_but(Upgrade *u, const Onnx__AttributeProto *gone, size_t room) {
    Onnx__NodeProto *n = u->now;
    Onnx__AttributeProto **kept = arena_many(u->arena, Onnx__AttributeProto *,
                                             n->n_attribute + room);
    size_t count = 0;
    for (size_t i = 0; i < n->n_attribute; i++) {
        if (n->attribute[i] != gone) {
            kept[count++] = n->attribute[i];
        }
    }
    n->attribute = kept;
    n->n_attribute = count;
    u->changed = true;
}

bool upgrade_take(Upgrade *u, const char *name, Onnx__AttributeProto **out) {
    *out = upgrade_attribute(u, name);
    if (*out && (*out)->ref_attr_name && (*out)->ref_attr_name[0]) {
        return upgrade_refuse(
            u, str_format(u->arena, "`%s` comes from an attribute of its function", name).data);
    }
    if (*out) {
        keep_all_but(u, *out, 0);
    }
    return true;
}

static Onnx__AttributeProto *attribute_new(const Upgrade *u, const char *name) {
    Onnx__AttributeProto *a = arena_new(u->arena, Onnx__AttributeProto);
    onnx__attribute_proto__init(a);
    a->name = text_of(u, str_from(name));
    a->has_type = true;
    return a;
}

static void add_attribute(Upgrade *u, Onnx__AttributeProto *a) {
    keep_all_but(u, upgrade_attribute(u, a->name), 1);
    u->now->attribute[u->now->n_attribute++] = a;
}

static Onnx__AttributeProto *int_attribute(const Upgrade *u, const char *name, int64_t value) {
    Onnx__AttributeProto *a = attribute_new(u, name);
    a->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT;
    a->has_i = true;
    a->i = value;
    return a;
}

const Onnx__AttributeProto *upgrade_int_attribute(Upgrade *u, const char *name, int64_t value) {
    return int_attribute(u, name, value);
}

void upgrade_set_int(Upgrade *u, const char *name, int64_t value) {
    add_attribute(u, int_attribute(u, name, value));
}

void upgrade_set_text(Upgrade *u, const char *name, const char *text) {
    Onnx__AttributeProto *a = attribute_new(u, name);
    a->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING;
    a->has_s = true;
    a->s.len = strlen(text);
    a->s.data = (uint8_t *)text_of(u, str_from(text));
    add_attribute(u, a);
}

Str upgrade_text(const Upgrade *u, const char *name, const char *otherwise) {
    const Onnx__AttributeProto *a = upgrade_attribute(u, name);
    return a && a->has_s ? (Str){(const char *)a->s.data, a->s.len} : str_from(otherwise);
}

/* ---- inputs */

Str upgrade_input(const Upgrade *u, size_t slot) {
    return slot < u->now->n_input ? str_from(u->now->input[slot]) : STR("");
}

void upgrade_set_input(Upgrade *u, size_t slot, Str name) {
    Onnx__NodeProto *n = u->now;
    const size_t count = slot < n->n_input ? n->n_input : slot + 1;
    char **inputs = arena_many(u->arena, char *, count);
    for (size_t i = 0; i < count; i++) {
        inputs[i] = i < n->n_input ? n->input[i] : text_of(u, STR(""));
    }
    inputs[slot] = text_of(u, name);
    n->input = inputs;
    n->n_input = count;
    u->changed = true;
}

static Str fresh(const Upgrade *u, const char *what) {
    const Str base = str_from(u->node->proto->n_output ? u->node->proto->output[0] : "");
    return model_fresh_name(u->m, str_format(u->arena, "%.*s_%s", STR_ARG(base), what));
}

static Str add_constant(Upgrade *u, const char *what, int type, const void *bytes, size_t size,
                        size_t count, bool scalar) {
    int64_t *dims = arena_new(u->arena, int64_t);
    dims[0] = (int64_t)count;
    const NewTensor t = {.name = fresh(u, what), .type = type, .rank = scalar ? 0 : 1,
                         .dims = dims, .size = size,
                         .bytes = str_copy(u->arena, (Str){bytes, size}).data};
    edit_add_initializer(u->node->graph, &t);
    return t.name;
}

Str upgrade_ints(Upgrade *u, const char *what, const int64_t *values, size_t count, bool scalar) {
    return add_constant(u, what, ONNX__TENSOR_PROTO__DATA_TYPE__INT64, values, count * 8, count,
                        scalar);
}

Str upgrade_floats(Upgrade *u, const char *what, const float *values, size_t count, bool scalar) {
    return add_constant(u, what, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, values, count * 4, count,
                        scalar);
}

Str upgrade_insert(Upgrade *u, const char *op, const Str *inputs, size_t count,
                   const Onnx__AttributeProto *attribute) {
    Onnx__NodeProto *n = arena_new(u->arena, Onnx__NodeProto);
    onnx__node_proto__init(n);
    const Str name = fresh(u, op);
    n->op_type = text_of(u, str_from(op));
    n->name = text_of(u, name);
    n->input = arena_many(u->arena, char *, count);
    for (n->n_input = 0; n->n_input < count; n->n_input++) {
        n->input[n->n_input] = text_of(u, inputs[n->n_input]);
    }
    n->output = arena_many(u->arena, char *, 1);
    n->output[n->n_output++] = text_of(u, name);
    if (attribute) {
        n->attribute = arena_many(u->arena, Onnx__AttributeProto *, 1);
        n->attribute[n->n_attribute++] = (Onnx__AttributeProto *)attribute;
    }
    edit_insert_before(u->node, n);
    return name;
}

Str upgrade_like(Upgrade *u, const char *what, float value, size_t slot) {
    const ValueInfo *v = (int)slot < u->node->input_count ? u->node->inputs[slot] : NULL;
    const int type = v ? v->type : 0;
    enum { CAST_LIKE = 15 }; /* opset that brought the op */
    if (type == 0 && u->target < CAST_LIKE) {
        upgrade_refuse(u, "the model does not say of what type its input is");
        return STR("");
    }
    const Str constant = upgrade_floats(u, what, &value, 1, true);
    if (type == ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT) {
        return constant;
    }
    if (type == 0) {
        const Str both[] = {constant, v ? v->name : STR("")};
        return upgrade_insert(u, "CastLike", both, 2, NULL);
    }
    return upgrade_insert(u, "Cast", &constant, 1, int_attribute(u, "to", type));
}
