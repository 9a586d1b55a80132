/* The IR: what is done to each weight, as a list of typed ops in SSA form, one group for a weight,
 * and the edits of the ONNX graph that go with it. Made by lower from the plan, rewritten by the
 * passes of passes.list, turned into model edits by apply and into a schedule by assemble.
 *
 * Data only: it refers to the model by graph and node numbers and by names, never by pointers, so
 * that printing and parsing (ir_text.h) lose nothing and a pass runs on text without a model.
 * Element types are ONNX TensorProto.DataType numbers. Everything lives on the Ir's arena. */
#ifndef COMPILER_IR_H
#define COMPILER_IR_H
#include "runtime/base/session.h"

typedef enum IrClass { IR_io, IR_map, IR_reduce, IR_layout, IR_graph, IR_fused } IrClass;

typedef struct IrOpInfo { /* a row of ops.list */
    const char *name, *operands, *results;
    IrClass class;
    const char *attrs, *doc;
} IrOpInfo;

/* Address of a row: `op->info == IR_OP(scale)`. */
typedef enum IrOpIndex {
#define OP(name, ...) IR_OP_##name,
#include "compiler/ops.list"
#undef OP
    IR_OP_COUNT
} IrOpIndex;
extern const IrOpInfo ir_ops[];
#define IR_OP(name) (&ir_ops[IR_OP_##name])
const IrOpInfo *ir_op_find(Str name); /* NULL if there is none */

typedef struct IrType {
    int element;         /* 0: not known (yet) */
    int rank;
    const int64_t *dims;
} IrType;

typedef struct IrOp IrOp;
typedef struct IrValue {
    IrOp *op;            /* that makes it */
    int result;          /* which of its results */
    int id;              /* %id, unique in its group */
    IrType type;
} IrValue;

typedef enum IrAttrKind { IR_INT, IR_FLOAT, IR_WORD, IR_STRING } IrAttrKind;
typedef struct IrAttr {
    Str key;             /* ".axis": attribute of the ONNX node */
    IrAttrKind kind;
    int64_t integer;
    double number;
    Str text;            /* IR_WORD, IR_STRING */
} IrAttr;

struct IrOp {
    const IrOpInfo *info;
    Vec(IrValue *) args; /* NULL: absent */
    Vec(IrValue *) results;
    Vec(IrAttr) attrs;
    Span at;             /* who asked for it, for messages; not printed */
};

typedef struct IrGroup {
    Str name;            /* of the weight */
    Vec(IrOp *) ops;
    int next_id;
} IrGroup;

typedef struct Ir {
    Arena *arena;
    Str (*fresh)(void *model, Str wanted); /* names new to the model; NULL when read from text */
    void *model;
    int64_t model_opset;     /* what the model has */
    int64_t opset;           /* what the output has; emitters raise it */
    Str emit;                /* "qdq", "ort" */
    bool float_weights;      /* emit qdq(weights = float) */
    bool microsoft;          /* the output uses com.microsoft ops */
    Vec(IrGroup *) groups;
    Vec(Str) notes;          /* choices that people want to hear of */
    Map names;               /* given out by ir_fresh_name */
} Ir;

Ir *ir_make(Arena *arena);
IrGroup *ir_group(Ir *ir, Str name);

/* Appends an op with as many results as its row fixes (`d`, `g`: 1, otherwise 0). */
IrOp *ir_op(Ir *ir, IrGroup *group, const IrOpInfo *info);
void ir_arg(Ir *ir, IrOp *op, IrValue *value); /* NULL: absent */
IrValue *ir_result(Ir *ir, IrGroup *group, IrOp *op);
IrValue *ir_value_of(const IrOp *op);          /* its only result */
void ir_set_int(Ir *ir, IrOp *op, const char *key, int64_t value);
void ir_set_float(Ir *ir, IrOp *op, const char *key, double value);
void ir_set_word(Ir *ir, IrOp *op, const char *key, Str word);
void ir_set_string(Ir *ir, IrOp *op, const char *key, Str text);
const IrAttr *ir_attr(const IrOp *op, const char *key); /* NULL if absent */
int64_t ir_int(const IrOp *op, const char *key, int64_t otherwise);
double ir_float(const IrOp *op, const char *key, double otherwise);
Str ir_text(const IrOp *op, const char *key);           /* empty if absent */
bool ir_is(const IrOp *op, const char *key, const char *word);

IrOp *ir_find(const IrGroup *group, const IrOpInfo *info); /* first of that kind, or NULL */
size_t ir_count(const IrGroup *group, const IrOpInfo *info);
/* Every use of `old` in the group reads `new` from now on. */
void ir_replace_value(IrGroup *group, const IrValue *old, IrValue *new);
void ir_renumber(IrGroup *group); /* ids in the order of the results */
void ir_remove_op(IrGroup *group, const IrOp *op);
IrType ir_type(Ir *ir, int element, int rank, const int64_t *dims); /* copies dims */
bool ir_type_equal(IrType a, IrType b);
int64_t ir_type_elements(IrType type);
const char *ir_element_name(int element); /* "f32", "int4", "e4m3"; "?" if unknown */
int ir_element_find(Str name);            /* 0 if unknown */

/* A name that nothing in model and IR has; remembers it. */
Str ir_fresh_name(Ir *ir, Str wanted);
void ir_note(Ir *ir, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
