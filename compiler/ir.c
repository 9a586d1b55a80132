/* Building and reading IR. In: calls of lower, passes and the text parser. Out: the structures of
 * ir.h, on the Ir's arena. Checks nothing: that is verify's work. */
#include "compiler/ir.h"
#include <assert.h>

const IrOpInfo ir_ops[] = {
#define OP(name, operands, results, class, attrs, doc)                                             \
    {#name, operands, results, IR_##class, attrs, doc},
#include "compiler/ops.list"
#undef OP
};

typedef struct ElementRow {
    const char *name;
    int element;
} ElementRow;

/* Floats of models, then the code formats under their recipe names. */
static const ElementRow elements[] = {
    {"f32", 1},   {"f16", 10},   {"bf16", 16}, {"f64", 11},   {"int8", 3},  {"uint8", 2},
    {"int4", 22}, {"uint4", 21}, {"int2", 26}, {"uint2", 25}, {"e4m3", 17}, {"e5m2", 19},
    {"e2m1", 23}, {"e8m0", 24},  {"e2m3", 27}, {"e3m2", 28},  {"int32", 6},
    {"int64", 7},
};
enum { ELEMENT_COUNT = sizeof elements / sizeof elements[0] };

const char *ir_element_name(int element) {
    for (int i = 0; i < ELEMENT_COUNT; i++) {
        if (elements[i].element == element) {
            return elements[i].name;
        }
    }
    return "?";
}

int ir_element_find(Str name) {
    for (int i = 0; i < ELEMENT_COUNT; i++) {
        if (str_is(name, elements[i].name)) {
            return elements[i].element;
        }
    }
    return 0;
}

const IrOpInfo *ir_op_find(Str name) {
    for (int i = 0; i < IR_OP_COUNT; i++) {
        if (str_is(name, ir_ops[i].name)) {
            return &ir_ops[i];
        }
    }
    return NULL;
}

Ir *ir_make(Arena *arena) {
    Ir *ir = arena_new(arena, Ir);
    ir->arena = arena;
    ir->names = map_on(arena);
    return ir;
}

IrGroup *ir_group(Ir *ir, Str name) {
    IrGroup *group = arena_new(ir->arena, IrGroup);
    group->name = name;
    vec_push(ir->arena, &ir->groups, group);
    return group;
}

IrOp *ir_op(Ir *ir, IrGroup *group, const IrOpInfo *info) {
    IrOp *op = arena_new(ir->arena, IrOp);
    op->info = info;
    op->at = NO_SPAN;
    vec_push(ir->arena, &group->ops, op);
    if (info->results[0] != '\0' && info->results[1] == '\0') {
        ir_result(ir, group, op);
    }
    return op;
}

void ir_arg(Ir *ir, IrOp *op, IrValue *value) {
    vec_push(ir->arena, &op->args, value);
}

IrValue *ir_result(Ir *ir, IrGroup *group, IrOp *op) {
    IrValue *value = arena_new(ir->arena, IrValue);
    value->op = op;
    value->result = (int)op->results.len;
    value->id = group->next_id++;
    vec_push(ir->arena, &op->results, value);
    return value;
}

IrValue *ir_value_of(const IrOp *op) {
    assert(op->results.len == 1);
    return op->results.at[0];
}

/* The attribute of that key, added at the end if it is new. */
static IrAttr *attr_slot(Ir *ir, IrOp *op, const char *key) {
    for (size_t i = 0; i < op->attrs.len; i++) {
        if (str_is(op->attrs.at[i].key, key)) {
            return &op->attrs.at[i];
        }
    }
    vec_push(ir->arena, &op->attrs, (IrAttr){.key = str_copy(ir->arena, str_from(key))});
    return &vec_last(&op->attrs);
}

void ir_set_int(Ir *ir, IrOp *op, const char *key, int64_t value) {
    IrAttr *attr = attr_slot(ir, op, key);
    attr->kind = IR_INT;
    attr->integer = value;
}

void ir_set_float(Ir *ir, IrOp *op, const char *key, double value) {
    IrAttr *attr = attr_slot(ir, op, key);
    attr->kind = IR_FLOAT;
    attr->number = value;
}

void ir_set_word(Ir *ir, IrOp *op, const char *key, Str word) {
    IrAttr *attr = attr_slot(ir, op, key);
    attr->kind = IR_WORD;
    attr->text = word;
}

void ir_set_string(Ir *ir, IrOp *op, const char *key, Str text) {
    IrAttr *attr = attr_slot(ir, op, key);
    attr->kind = IR_STRING;
    attr->text = text;
}

const IrAttr *ir_attr(const IrOp *op, const char *key) {
    for (size_t i = 0; i < op->attrs.len; i++) {
        if (str_is(op->attrs.at[i].key, key)) {
            return &op->attrs.at[i];
        }
    }
    return NULL;
}

int64_t ir_int(const IrOp *op, const char *key, int64_t otherwise) {
    const IrAttr *attr = ir_attr(op, key);
    return attr && attr->kind == IR_INT ? attr->integer : otherwise;
}

double ir_float(const IrOp *op, const char *key, double otherwise) {
    const IrAttr *attr = ir_attr(op, key);
    return attr && attr->kind == IR_FLOAT ? attr->number : otherwise;
}

Str ir_text(const IrOp *op, const char *key) {
    const IrAttr *attr = ir_attr(op, key);
    return attr ? attr->text : (Str){"", 0};
}

bool ir_is(const IrOp *op, const char *key, const char *word) {
    return str_is(ir_text(op, key), word);
}

IrOp *ir_find(const IrGroup *group, const IrOpInfo *info) {
    for (size_t i = 0; i < group->ops.len; i++) {
        if (group->ops.at[i]->info == info) {
            return group->ops.at[i];
        }
    }
    return NULL;
}

size_t ir_count(const IrGroup *group, const IrOpInfo *info) {
    size_t count = 0;
    for (size_t i = 0; i < group->ops.len; i++) {
        count += group->ops.at[i]->info == info;
    }
    return count;
}

void ir_replace_value(IrGroup *group, const IrValue *old, IrValue *new) {
    for (size_t i = 0; i < group->ops.len; i++) {
        IrOp *op = group->ops.at[i];
        for (size_t k = 0; k < op->args.len; k++) {
            if (op->args.at[k] == old) {
                op->args.at[k] = new;
            }
        }
    }
}

void ir_renumber(IrGroup *group) {
    group->next_id = 0;
    for (size_t i = 0; i < group->ops.len; i++) {
        for (size_t k = 0; k < group->ops.at[i]->results.len; k++) {
            group->ops.at[i]->results.at[k]->id = group->next_id++;
        }
    }
}

void ir_remove_op(IrGroup *group, const IrOp *op) {
    size_t kept = 0;
    for (size_t i = 0; i < group->ops.len; i++) {
        if (group->ops.at[i] != op) {
            group->ops.at[kept++] = group->ops.at[i];
        }
    }
    group->ops.len = kept;
}

IrType ir_type(Ir *ir, int element, int rank, const int64_t *dims) {
    int64_t *copy = arena_many(ir->arena, int64_t, (size_t)rank);
    for (int i = 0; i < rank; i++) {
        copy[i] = dims[i];
    }
    return (IrType){element, rank, copy};
}

bool ir_type_equal(IrType a, IrType b) {
    if (a.element != b.element || a.rank != b.rank) {
        return false;
    }
    for (int i = 0; i < a.rank; i++) {
        if (a.dims[i] != b.dims[i]) {
            return false;
        }
    }
    return true;
}

int64_t ir_type_elements(IrType type) {
    int64_t count = 1;
    for (int i = 0; i < type.rank; i++) {
        count *= type.dims[i];
    }
    return count;
}

Str ir_fresh_name(Ir *ir, Str wanted) {
    Str name = ir->fresh ? ir->fresh(ir->model, wanted) : wanted;
    for (int i = 2; map_find(&ir->names, name) != NULL; i++) {
        Str next = str_format(ir->arena, "%.*s_%d", STR_ARG(wanted), i);
        name = ir->fresh ? ir->fresh(ir->model, next) : next;
    }
    map_put(&ir->names, name, ir);
    return name;
}

void ir_note(Ir *ir, const char *format, ...) {
    Buf text = buf_on(ir->arena);
    va_list args;
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    vec_push(ir->arena, &ir->notes, buf_view(&text));
}
