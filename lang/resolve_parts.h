/* What the parts of resolve share: scopes of names, evaluation, arguments. Internal to lang/.
 *
 *   resolve.c           the recipe: items, stages, rules, settings
 *   resolve_target.c    targets
 *   resolve_include.c   include
 *   resolve_import.c    files
 *   resolve_names.c     scopes, declarations, suggestions
 *   resolve_params.c    parameters
 *   resolve_expr.c      expressions: leaves, names, calls
 *   resolve_fold.c      operators: constants fold, the rest becomes Expr
 *   resolve_selector.c  selectors and their functions
 *   resolve_format.c    formats and their chain
 *   resolve_args.c      arguments against a Schema
 *   resolve_steps.c     stacks of steps, transforms, order
 *   resolve_metric.c    what an expect may measure
 *
 * Errors poison: a Value of type VALUE_POISON was reported and is passed on in silence. Every
 * evaluation is paid from one budget (LIMIT_RECIPE_WORK) and bounded in depth (LIMIT_DEPTH), so
 * that names which double each other end in E0106 instead of in memory. */
#ifndef LANG_RESOLVE_PARTS_H
#define LANG_RESOLVE_PARTS_H
#include <assert.h>
#include "lang/recipe.h"
#include "lang/pattern.h"
#include "runtime/base/limits.h"

typedef struct Scope Scope;
typedef struct Decl Decl;

typedef struct Module { /* one file, parsed */
    const Source *source;
    const Ast *ast;
    Str path; /* "lib/common.mor" from the recipe's directory; "std/llm" */
    bool is_std;
    bool open;   /* being read or included: meeting it again is a cycle */
    bool broken; /* it did not parse */
    bool targets_read;
    Scope *shared; /* with its parameters' defaults: what `use` gives */
} Module;

typedef enum DeclState { DECL_NEW, DECL_BUSY, DECL_DONE } DeclState;

struct Decl {
    const Ast *ast; /* USE PARAM LET SELECT FORMAT DATA FN TRANSFORM STAGE, or FORMAL */
    Str name;
    Span span;    /* of the name */
    Scope *scope; /* where its expression is evaluated */
    DeclState state;
    const Value *value;   /* of LET SELECT FORMAT DATA PARAM FORMAL */
    Module *module;       /* USE; NULL if it could not be read */
    RecipeParam *param;   /* PARAM of the recipe itself: what -p gave */
    Decl *waiting;        /* declaration whose value asked for this one */
    bool reported;        /* as part of a circle */
    const Schema *schema; /* TRANSFORM: its parameters, once asked for */
};

struct Scope {
    Scope *outer; /* a transform's parameters lie over its file; NULL for a file */
    Module *module;
    Map names; /* -> Decl */
};

/* Where an expression stands, which says what else than constants it may name. */
typedef enum Position { AT_CONSTANT, AT_LAYER, AT_RULE_EXPECT, AT_RECIPE_EXPECT } Position;

typedef struct Context {
    Scope *scope;
    Position position;
} Context;

typedef struct Later { /* an E0001 to be: dropped when its step turns out wrong in another way */
    Span span;
    Str message;
} Later;

typedef struct Resolver {
    Session *s;
    const ResolveOptions *options;
    Recipe *recipe;
    Scope *root;
    Str directory; /* of the recipe */
    Map modules;   /* path -> Module */
    size_t files, import_depth;
    Map defaults;     /* Param (its address as bytes) -> Value */
    Decl *evaluating; /* innermost declaration at work */
    size_t work, depth;
    bool spent; /* E0106 was reported: be quiet */
    bool trial; /* a transform is only checked: nothing is for later */
    Vec(Later) later;
    bool target_reported;
} Resolver;

extern const Value poison_value;
#define POISON (&poison_value)

/* ---- resolve_names.c */
Scope *scope_new(Resolver *r, Scope *outer, Module *module);
/* Enters the declarations of a file, E0205 for what may not be. */
void declare_items(Resolver *r, Scope *scope, const AstList *items);
Decl *declare_value(Resolver *r, Scope *scope, const Ast *ast, const Value *value);
Decl *scope_find(const Scope *scope, Str name); /* outward; NULL if there is none */
const Value *decl_value(Resolver *r, Decl *decl, Span use);
void evaluate_all(Resolver *r, Scope *scope); /* unused declarations have errors, too */
Decl *import_member(Resolver *r, Scope *scope, const Ast *object, Str name, Span at);
void report_unknown(Resolver *r, Scope *scope, Position position, Str name, Span at);

/* ---- resolve_params.c */
/* The value of a PARAM or FORMAL: `given`, or else its default; NULL when there is neither. Checked
 * against its type and range; what is wrong with `given` is reported under `code` at `at`. */
bool param_type(Resolver *r, const Ast *ast, Param *out); /* of PARAM and FORMAL; false: reported */
const Value *param_value(Resolver *r, Scope *scope, const Ast *param, const Value *given, Span at,
                         const char *code);
const Value *param_decl(Resolver *r, const Decl *decl); /* of a PARAM, with what -p gave */
void unknown_params(Resolver *r);                       /* E0207 for a -p that names none */
void record_params(Resolver *r);                        /* into the recipe, all evaluated */

/* ---- resolve_import.c */
Module *import_file(Resolver *r, Scope *from, const Ast *address); /* NULL: reported */
Scope *module_shared(Resolver *r, Module *module);

/* ---- resolve_expr.c */
bool resolver_enter(Resolver *r, Span at); /* false: too deep or too much, reported once */
void resolver_leave(Resolver *r);
const Value *eval(Resolver *r, Context c, const Ast *e);
const Value *eval_constant(Resolver *r, Scope *scope, const Ast *e);
Value *value_new(Resolver *r, ValueType type, Span span);
const Value *value_int(Resolver *r, int64_t n, Span span);
const Value *value_bool(Resolver *r, bool flag, Span span);
const Value *value_float(Resolver *r, double x, Span span);
const Value *value_expr(Resolver *r, Expr expr); /* a VALUE_EXPR of its own copy */
ValueType value_static_type(const Value *v);     /* that of the expression for VALUE_EXPR */
bool value_is_number(const Value *v);            /* constant */
double value_number(const Value *v);
const char *value_type_words(ValueType type); /* "a selector" */
int sm_number(Str word);                      /* 90 for sm_90, 0 if the word is none */
const Ast *unwrap(const Ast *e);              /* without its parentheses */

/* ---- resolve_fold.c */
const Value *eval_binary(Resolver *r, Context c, const Ast *e);
const Value *eval_unary(Resolver *r, Context c, const Ast *e);
const Value *eval_conditional(Resolver *r, Context c, const Ast *e);

/* ---- resolve_selector.c */
bool is_selector_like(const Value *v);                           /* selector or string */
const Selector *as_selector(Resolver *r, const Value *v);        /* NULL: poison or no selector */
const Value *selector_of_name(Resolver *r, Str name, Span span); /* built-ins and ops; NULL */
const Value *selector_binary(Resolver *r, const Ast *e, const Value *a, const Value *b);
const Value *selector_complement(Resolver *r, const Ast *e, const Value *a);
const Value *selector_optional(Resolver *r, const Ast *e, const Value *a);
const Value *selector_filter(Resolver *r, Context c, const Ast *e, const Value *a);
const Schema *selector_function(Str name); /* first last block ... */
const Value *selector_call(Resolver *r, Context c, const Ast *e, const Schema *function);
extern const char *const selector_names[]; /* all linear ..., ends in NULL */
extern const Schema selector_functions[];  /* ends in a NULL name */

/* ---- resolve_format.c */
const Value *format_of_name(Resolver *r, Str name, Span span); /* NULL if it is none */
const Schema *format_function(Str name);                       /* int uint float table code */
const Value *format_call(Resolver *r, Context c, const Ast *e, const Schema *function);
const Value *format_postfix(Resolver *r, Context c, const Ast *e); /* PER SCALE DYNAMIC */
extern const char *const block_formats[];                          /* fp8 nvfp4 ..., ends in NULL */
extern const Schema format_functions[];                            /* ends in a NULL name */

/* ---- resolve_args.c */
/* One BoundArg for each parameter of the schema, in its order. False: reported. */
bool bind_args(Resolver *r, Context c, const Schema *schema, const AstList *args, Span name,
               ArgList *out);
/* v as the parameter wants it, or POISON; `what`: "`alpha` of `smooth`". */
const Value *convert(Resolver *r, const Value *v, const Param *p, Span at, const char *what,
                     const char *code);
const Value *eval_for(Resolver *r, Context c, const Ast *e, const Param *p, const char *what);
const BoundArg *arg_named(const ArgList *args, const char *name); /* asserts that there is one */
const BoundArg *arg_given(const ArgList *args, const char *name); /* NULL when not given */
void report_unknown_argument(Resolver *r, const Schema *schema, Str name, Span at);

/* ---- resolve_steps.c */
typedef struct Stack { /* where the lines of a rule go */
    StepList *steps;
    int rule, stage; /* for its expects */
    int expects;
} Stack;
void resolve_block(Resolver *r, Scope *scope, const Ast *block, Stack *out);
Step *resolve_step(Resolver *r, Context c, const Schema *schema, const Ast *step);
void check_transform(Resolver *r, Decl *transform);   /* as far as that goes without arguments */
void check_stack(Resolver *r, const StepList *steps); /* E0403 */
void check_stage(Resolver *r, const Stage *stage);    /* E0404, E0701 */

/* ---- resolve_metric.c */
const Value *metric_name(Resolver *r, Context c, Str name, Span span); /* NULL if it is none */
const Value *metric_call(Resolver *r, Context c, const Ast *e);        /* NULL if it is none */
const Value *attribute(Resolver *r, Context c, const Ast *e);
void check_evaluation(Resolver *r); /* E0703; E0205 for a second `evaluate` */
extern const char *const metric_names[]; /* ends in NULL */

/* ---- resolve_target.c */
void collect_targets(Resolver *r);
void pick_target(Resolver *r);

/* ---- resolve.c, resolve_include.c */
typedef struct Reading { /* a list of items on its way into a stage */
    Scope *scope;
    Str origin; /* file that an `include` brought; empty for the recipe itself */
    int stage;  /* index, -1: "main", made when something needs it */
    bool in_stage;
    bool split; /* said already that "main" goes on after another stage */
} Reading;
void read_items(Resolver *r, Reading *in, const AstList *items);
void read_include(Resolver *r, Reading *in, const Ast *item);
int stage_of(Resolver *r, Reading *in, Span span); /* index; makes "main" when it is needed */
void report_twice(Resolver *r, Span at, Span first, const char *word);
void resolve_expect(Resolver *r, Context c, const Ast *expect, int rule, int stage);

/* ---- E0001 */
void for_later(Resolver *r, Span at, const char *format, ...) __attribute__((format(printf, 3, 4)));
void not_for_later(Resolver *r, Span within); /* drops those that lie in it */

#endif
