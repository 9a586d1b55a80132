/* The resolved recipe: names bound, constants folded, defaults filled, imports and includes
 * flattened, types checked. Nothing here refers back to the tree except spans. Selectors, layer
 * predicates and expectations stay symbolic: they need a model (compiler/bind.h). */
#ifndef LANG_RECIPE_H
#define LANG_RECIPE_H
#include "lang/ast.h"
#include "runtime/base/schema.h"

/* ---- formats: element [per granularity] [scale FORMAT] [dynamic]
 *
 * Block formats are spelled out: nvfp4 arrives as e2m1 per block(16) scale e4m3 per tensor
 * scale f32; mxfp4 and mxfp8 as e2m1 and e4m3 per block(32) scale e8m0.
 * So nobody below needs to know their names; `spelled` keeps them for messages. */
typedef enum GranularityKind {
    PER_DEFAULT, /* nothing written: per tensor */
    PER_TENSOR, PER_CHANNEL, PER_TOKEN, PER_BLOCK
} GranularityKind;

typedef struct FormatValue {
    bool none;                 /* `none`: stays float */
    Str element;               /* "int4", "e4m3", "f16"; canonical: int(4) and fp8 become these */
    Str spelled;               /* what the user calls it: "fp8", "nvfp4", "int4" */
    int bits;                  /* of one element */
    GranularityKind per;
    int64_t block;             /* PER_BLOCK: size; 0 when block_max is used */
    int64_t block_max;         /* per block(max = N) */
    int64_t block_rows;        /* per block(128, 128): second size, 0 if none */
    bool tail_short;           /* per block(N, tail = short) */
    const struct FormatValue *scale; /* format of the scales; NULL = float, none written */
    bool dynamic;
    Span element_span; /* of its word */
    Span per_span;     /* of "block(64)" or the other word; of the whole name for nvfp4 */
} FormatValue;

/* ---- values */
typedef enum ValueType {
    VALUE_POISON, /* an error was reported about it; everything that touches it stays quiet */
    VALUE_INT, VALUE_FLOAT, VALUE_BOOL, VALUE_STRING, VALUE_RATIO, VALUE_RANGE, VALUE_LIST,
    VALUE_SELECTOR, VALUE_FORMAT, VALUE_DATA, VALUE_FN,
    VALUE_CHOICE, /* a name out of a closed list, with arguments: gptq(block = 128) */
    VALUE_TARGET, /* sm_90: integer = 90 */
    VALUE_EXPR    /* not constant: needs a layer (.k) or a result (cosine) */
} ValueType;

typedef struct Selector Selector;
typedef struct Expr Expr;
typedef struct Value Value;
typedef struct Data Data;

typedef struct BoundArg {
    const Param *param;
    Span name_span, span; /* of the name (or the value when positional), of the value */
    const Value *value;   /* the default when not given; NULL if there is none either */
    bool given;           /* false: the default */
} BoundArg;
typedef Vec(BoundArg) ArgList;

struct Value {
    ValueType type;
    Span span;
    int64_t integer, integer2;         /* INT, RATIO a:b, RANGE of ints */
    double number, number2;            /* INT and FLOAT; RANGE from, to (also of ints) */
    bool flag;                         /* BOOL; RANGE: both ends are ints */
    Str text;                          /* STRING, CHOICE */
    Vec(const Value *) items;          /* LIST */
    const Selector *selector;
    const FormatValue *format;
    const Data *data;
    const Schema *method;              /* CHOICE with a schema of its own, may be NULL */
    ArgList args;                      /* CHOICE */
    const Expr *expr;
};

/* ---- selectors (language.md 2.5) */
typedef enum SelectorKind {
    SELECT_BUILTIN,   /* name: all linear conv embedding attention norm head residual */
    SELECT_OP,        /* domain, name: an ONNX op type */
    SELECT_GLOB, SELECT_REGEX,  /* text */
    SELECT_FILTER,    /* a, where */
    SELECT_FIRST, SELECT_LAST,  /* a, count */
    SELECT_BLOCK,     /* from .. to, negative from the end */
    SELECT_INPUTS, SELECT_USERS, SELECT_UPSTREAM, SELECT_DOWNSTREAM, SELECT_SIBLINGS, /* a */
    SELECT_BETWEEN,   /* a, b */
    SELECT_UNION, SELECT_INTERSECT, SELECT_DIFFERENCE, /* a, b */
    SELECT_COMPLEMENT, /* a, within `all` */
    SELECT_OPTIONAL   /* a: may be empty */
} SelectorKind;

struct Selector {
    SelectorKind kind;
    Span span;
    Str name, domain, text;
    const Selector *a, *b;
    const Expr *where;
    int64_t count, from, to;
    struct Pattern *pattern; /* SELECT_GLOB, SELECT_REGEX: compiled (lang/pattern.h) */
    uint32_t size, depth;    /* of the tree: at most LIMIT_EXPRESSION_NODES, LIMIT_DEPTH */
};

/* ---- expressions that wait for a layer or a result */
typedef enum ExprKind {
    EXPR_CONST,   /* value */
    EXPR_ATTR,    /* name without the dot: k, n, dtype ... or a metric of a rule: cosine, bits */
    EXPR_METRIC,  /* name: matches bits size cosine ...; selector: its argument, may be NULL */
    EXPR_BINARY, EXPR_UNARY, EXPR_IF /* op; a, b, c */
} ExprKind;

struct Expr {
    ExprKind kind;
    ValueType type; /* INT, FLOAT, BOOL, STRING, LIST */
    AstOp op;
    Span span;
    Str name;
    const Value *value;
    const Selector *selector;
    const Expr *a, *b, *c;
};

/* ---- rules */
typedef struct Step Step;
typedef Vec(Step *) StepList;
struct Step {
    const Schema *schema;
    Span span, name_span;
    ArgList args;                  /* one for each parameter of the schema, in its order */
    Vec(StepList *) alternatives;  /* choose { } */
    bool wrong;                    /* an error was reported about it; never in a good recipe */
};

typedef struct Expect {
    Span span;          /* of the condition */
    const Expr *condition;
    Str message;        /* may be empty */
    int rule;           /* index in its stage, or -1 for the whole recipe */
    int stage;
} Expect;

typedef struct Rule {
    Span span, selector_span; /* the `on` line; the selector */
    bool override;
    const Selector *selector;
    StepList steps;
    Str origin;               /* file whose `include` brought it, empty for the recipe itself */
} Rule;

/* Stages run in order, each on the weights as those before it leave them. */
typedef struct Stage {
    Str name;                 /* "main" for what stands outside of stages */
    Span span;                /* of its name; of the first thing outside */
    bool written;             /* as `stage name { }` */
    Vec(Rule) rules;
    StepList settings;        /* calibrate, evaluate */
} Stage;

typedef struct RecipeParam {
    Str name, doc;
    Str type_text;            /* "float in 0.0..1.0" */
    const Value *value, *initial;
    bool given;               /* by -p */
    Span span;
} RecipeParam;

struct Data {
    Str name;
    Span span;
    const Schema *loader;     /* npz, npy, ... */
    ArgList args;
};

typedef struct Target {
    Span span;
    int sm;                   /* 90 for sm_90 */
} Target;

typedef struct Within {
    Span span;
    double bound;
    Str unit;
} Within;

typedef struct Recipe {
    const Source *source;
    Vec(RecipeParam) params;
    Vec(Target) targets;
    int target;               /* picked: an sm number, 0 if none is known */
    const Step *emit;         /* schema of kind SCHEMA_EMIT, defaults filled; qdq if not written */
    bool emit_written;
    Vec(Stage) stages;
    Vec(Expect) expects;
    Vec(Within) withins;
    Vec(Data *) data;
    Vec(const Source *) sources; /* every file read, for the receipt */
} Recipe;

/* Named selectors keep their name for messages: "select keep = ..." */

typedef struct ElementInfo {  /* a row for each element format the build has, ends in a NULL name */
    const char *name;
    int bits;
    bool integer, unsigned_;
    int exponent, mantissa;   /* minifloats */
    bool scale_only;          /* may hold scales, not weights: e8m0, f16, f32 */
} ElementInfo;

typedef struct ParamGiven {   /* -p NAME=EXPR */
    Str name;
    Span name_span;           /* where it stands on the command line, for messages */
    const Source *source;     /* of the expression */
} ParamGiven;

typedef struct ResolveOptions {
    const Vocabulary *vocabulary;
    const ElementInfo *elements;
    const char *const *ops;      /* ONNX op types of domain "", sorted, ends in NULL */
    const ParamGiven *params;
    size_t param_count;
    const int *targets;          /* sm numbers that exist, ends in 0; NULL: any */
    Str target;                  /* --target, empty if not given */
    int local_sm;                /* GPU of this machine, 0 if none */
    /* Text of stdlib file "std/NAME", false if there is none. */
    bool (*std_file)(void *user, Str name, Str *text);
    void *user;
} ResolveOptions;

/* Tree -> recipe: all semantic errors of moment "check" (E02xx, E01xx that need meaning, E0403,
 * E0404, E0701, E08xx, E0001) in one run. */
bool resolve(Session *s, const Ast *ast, const ResolveOptions *options, Recipe **out);

void recipe_print(const Recipe *recipe, Buf *out);   /* `-d recipe`, golden .recipe */
void format_print(const FormatValue *f, Buf *out);   /* "int4 per block(128)" */
void selector_print(const Selector *selector, Buf *out);
void value_print(const Value *value, Buf *out);
/* Of a step, data or a method by name; NULL if its schema has none of that name. */
const BoundArg *args_find(const ArgList *args, const char *name);
const Value *args_value(const ArgList *args, const char *name); /* NULL also if it has no value */
double args_number(const ArgList *args, const char *name, double otherwise);
/* Argument of a step by name; every parameter of the schema has one. */
const BoundArg *step_arg(const Step *step, const char *name);
/* Its value; NULL if there is no step, no parameter of that name or no value. */
const Value *step_value(const Step *step, const char *name);
const Step *steps_find(const StepList *steps, const char *name); /* the first; NULL if none */
/* Bits of one weight in this format with blocks of `block`: 4.5 for nvfp4 */
double format_bits(const FormatValue *f, double elements_per_scale);

#endif
