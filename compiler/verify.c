/* IR invariants. In: any Ir that the parser or a pass made. Out: true, or false and one sentence.
 *   1. operands, results and attributes are those of the op's row in ops.list
 *   2. a value is used in its own group, after the op that makes it, and is of the kind (data or
 *      graph) that the operand wants
 *   3. a group begins with its one weight, or is about a value of the graph, begins with it and
 *      computes nothing; and every stated type is what infer says
 *   4. the computing ops are one chain: masks and rescales over the weight; then, each at most once, of one
 *      format and over the last mask, super, scale, zero, encode; what is packed is stored at once,
 *      and beside packed results none is stored as it is, for a kernel has one layout
 *   5. with need_types, every data value has a type */
#include "compiler/verify.h"
#include "compiler/infer.h"
#include "compiler/ir_text.h"

static bool bad(Buf *why, const IrGroup *group, const IrOp *op, const char *what, Str detail) {
    buf_printf(why, "group \"");
    buf_str(why, group->name);
    buf_printf(why, "\": %s%s", what, detail.len ? " `" : "");
    buf_str(why, detail);
    buf_printf(why, "%s in: ", detail.len ? "`" : "");
    ir_print_op(op, why);
    return false;
}

/* Kind of the i-th operand by a signature like "ddd?d?" or "g?*"; 0 when there is none. */
static char operand_kind(const char *signature, size_t i, bool *optional) {
    for (const char *at = signature; *at;) {
        char kind = *at++;
        *optional = *at == '?';
        at += *optional;
        if (i == 0 || *at == '*') {
            return kind;
        }
        i--;
    }
    return 0;
}

static size_t operands_needed(const char *signature) {
    size_t needed = 0, i = 0;
    bool optional;
    for (; i < 8 && operand_kind(signature, i, &optional) && !strchr(signature, '*'); i++) {
        needed = optional ? needed : i + 1;
    }
    return needed;
}

static bool check_args(const IrGroup *group, const IrOp *op, Map *defined, Buf *why) {
    const Str none = {"", 0};
    if (op->args.len < operands_needed(op->info->operands)) {
        return bad(why, group, op, "too few operands", none);
    }
    for (size_t i = 0; i < op->args.len; i++) {
        bool optional = false;
        char kind = operand_kind(op->info->operands, i, &optional);
        const IrValue *value = op->args.at[i];
        if (kind == 0) {
            return bad(why, group, op, "too many operands", none);
        }
        if (value == NULL) {
            if (!optional) {
                return bad(why, group, op, "an operand is absent", none);
            }
            continue;
        }
        if (!map_find(defined, (Str){(const char *)&value, sizeof value})) {
            return bad(why, group, op, "an operand is not defined above", none);
        }
        if (value->op->info->results[0] != kind) {
            return bad(why, group, op, kind == 'g' ? "an operand is data, not a value of the graph"
                       : "an operand is a value of the graph, not data", none);
        }
    }
    return true;
}

/* "int", "word?" ... of an attribute in a row; false if the row does not have it. */
static bool row_attr(const char *row, Str key, IrAttrKind *kind, bool *optional) {
    static const char *const kinds[] = {"int", "float", "word", "string"};
    for (const char *at = row; *at;) {
        size_t length = strcspn(at, " ");
        const char *colon = memchr(at, ':', length);
        if (colon && str_eq((Str){at, (size_t)(colon - at)}, key)) {
            *optional = at[length - 1] == '?';
            Str type = {colon + 1, (size_t)(at + length - colon - 1) - (size_t)*optional};
            for (int i = 0; i < 4; i++) {
                if (str_is(type, kinds[i])) {
                    *kind = (IrAttrKind)i;
                }
            }
            return true;
        }
        at += length;
        at += strspn(at, " ");
    }
    return false;
}

static bool check_attrs(const IrGroup *group, const IrOp *op, Buf *why) {
    const char *row = op->info->attrs;
    bool optional, onnx = row[0] && row[strlen(row) - 1] == '.';
    IrAttrKind kind = IR_INT;
    for (size_t i = 0; i < op->attrs.len; i++) {
        const IrAttr *attr = &op->attrs.at[i];
        if (attr->key.data[0] == '.') {
            if (!onnx) {
                return bad(why, group, op, "no ONNX attributes here:", attr->key);
            }
        } else if (!row_attr(row, attr->key, &kind, &optional)) {
            return bad(why, group, op, "unknown attribute", attr->key);
        } else if (kind != attr->kind) {
            return bad(why, group, op, "wrong type of attribute", attr->key);
        }
    }
    for (const char *at = row; *at;) {
        size_t length = strcspn(at, " ");
        const char *colon = memchr(at, ':', length);
        if (colon) {
            const char *key = str_c(why->arena, (Str){at, (size_t)(colon - at)});
            if (at[length - 1] != '?' && !ir_attr(op, key)) {
                return bad(why, group, op, "missing attribute", str_from(key));
            }
        }
        at += length;
        at += strspn(at, " ");
    }
    return true;
}

static bool check_results(Ir *ir, const IrGroup *group, const IrOp *op, bool need, Map *defined,
                          Buf *why) {
    const char *row = op->info->results;
    const Str none = {"", 0};
    bool many = row[0] && row[1] == '*';
    if (many ? op->results.len < 1 : op->results.len != strlen(row)) {
        return bad(why, group, op, "wrong number of results", none);
    }
    for (size_t i = 0; i < op->results.len; i++) {
        const IrValue *value = op->results.at[i];
        IrType type;
        const char *text = "";
        Inferred got = infer(ir, op, i, &type, &text);
        if (got == INFER_WRONG) {
            return bad(why, group, op, text, none);
        }
        if (got == INFER_TYPE && value->type.element && type.element &&
            !ir_type_equal(type, value->type)) {
            Buf expected = buf_on(ir->arena);
            ir_print_type(type, &expected);
            return bad(why, group, op, "the type should be", buf_view(&expected));
        }
        if (need && row[0] == 'd' && value->type.element == 0) {
            return bad(why, group, op, "a type is missing (run pass `shape`)", none);
        }
        map_put(defined, (Str){(const char *)&value, sizeof value}, ir);
    }
    return true;
}

/* What a group has computed so far; NULL: not yet. */
typedef struct Chain {
    const IrValue *weight, *masked, *super, *scale, *zero, *encode;
    const IrValue *packed; /* by the op before */
    bool any_packed, any_plain;
    Str format;
} Chain;

static const IrValue *arg(const IrOp *op, size_t i) {
    return i < op->args.len ? op->args.at[i] : NULL;
}

/* A step over the masked weight that comes once and has the format of the others. */
static bool step_fits(Chain *c, const IrOp *op, const IrValue **slot) {
    Str format = ir_text(op, "format");
    bool fits = *slot == NULL && arg(op, 0) == c->masked &&
                (c->format.len == 0 || str_eq(c->format, format));
    c->format = format;
    *slot = ir_value_of(op);
    return fits;
}

static bool scale_fits(Chain *c, const IrOp *op) {
    bool two_levels = ir_is(op, "type", "e4m3");
    return step_fits(c, op, &c->scale) && arg(op, 1) == c->super &&
           two_levels == (c->super != NULL);
}

static bool encode_fits(Chain *c, const IrOp *op) {
    const Format *format = infer_format(op);
    return step_fits(c, op, &c->encode) && c->scale && arg(op, 1) == c->scale &&
           arg(op, 2) == c->zero && arg(op, 3) == c->super &&
           (format && format->asymmetric) == (c->zero != NULL);
}

static bool layout_fits(Chain *c, const IrOp *op) {
    const IrValue *first = arg(op, 0);
    bool store = op->info == IR_OP(store);
    if (c->packed && !(store && first == c->packed)) {
        return false;
    }
    c->any_plain |= store && !c->packed && first && first != c->masked;
    c->packed = op->info == IR_OP(pack) ? ir_value_of(op) : NULL;
    c->any_packed |= c->packed != NULL;
    return !(c->any_packed && c->any_plain);
}

static bool op_fits(Chain *c, const IrOp *op) {
    const IrOpInfo *info = op->info;
    const IrValue *first = arg(op, 0);
    if (!layout_fits(c, op)) {
        return false;
    }
    if (info == IR_OP(mask_nm) || info == IR_OP(mask_ratio) || info == IR_OP(rescale)) {
        bool fits = first == c->masked && c->format.len == 0;
        c->masked = ir_value_of(op);
        return fits;
    }
    if (info == IR_OP(super)) {
        return step_fits(c, op, &c->super) && !c->scale;
    }
    if (info == IR_OP(scale)) {
        return scale_fits(c, op);
    }
    if (info == IR_OP(zero)) {
        return step_fits(c, op, &c->zero) && c->scale && arg(op, 1) == c->scale && !c->encode;
    }
    if (info == IR_OP(encode)) {
        return encode_fits(c, op);
    }
    if (info == IR_OP(layer) || info == IR_OP(drop) || info == IR_OP(kernel)) {
        return first == c->weight;
    }
    if (info == IR_OP(store) || info == IR_OP(rewrite)) {
        return first != c->weight;
    }
    return true;
}

/* Values of the graph and facts are all that an edit of the graph alone needs. */
static bool check_edits(const IrGroup *group, Buf *why) {
    for (size_t i = 0; i < group->ops.len; i++) {
        const IrOp *op = group->ops.at[i];
        if (op->info->class != IR_graph && op->info != IR_OP(known) && op->info != IR_OP(store)) {
            return bad(why, group, op, "a group without a weight computes nothing", (Str){"", 0});
        }
    }
    return true;
}

static bool check_chain(const IrGroup *group, Buf *why) {
    Chain chain = {.weight = ir_value_of(group->ops.at[0])};
    chain.masked = chain.weight;
    for (size_t i = 0; i < group->ops.len; i++) {
        if (!op_fits(&chain, group->ops.at[i])) {
            return bad(why, group, group->ops.at[i], "out of the chain of steps", (Str){"", 0});
        }
    }
    const IrOp *last = vec_last(&group->ops);
    return !chain.packed || bad(why, group, last, "packed, but not stored", (Str){"", 0});
}

bool verify(Ir *ir, bool need_types, Buf *why) {
    for (size_t i = 0; i < ir->groups.len; i++) {
        const IrGroup *group = ir->groups.at[i];
        const ArenaMark mark = arena_mark(ir->arena); /* kept after a failure: `why` may be there */
        Map defined = map_on(ir->arena);
        const IrOpInfo *first = group->ops.len ? group->ops.at[0]->info : NULL;
        const bool edits = first == IR_OP(value);
        if ((first != IR_OP(weight) && !edits) || ir_count(group, IR_OP(weight)) != !edits) {
            buf_printf(why, "group \"");
            buf_str(why, group->name);
            buf_printf(why, "\": a group begins with its one weight, or with a value");
            return false;
        }
        for (size_t k = 0; k < group->ops.len; k++) {
            const IrOp *op = group->ops.at[k];
            TRY(check_args(group, op, &defined, why) && check_attrs(group, op, why));
            TRY(check_results(ir, group, op, need_types, &defined, why));
        }
        TRY(edits ? check_edits(group, why) : check_chain(group, why));
        arena_reset(ir->arena, mark);
    }
    return true;
}
