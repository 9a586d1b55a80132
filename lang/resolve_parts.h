/* What the files of the resolver share. A Module is one file with its names; names are evaluated when
 * first used, so declarations may come in any order. A Frame holds the arguments of a transform while
 * its steps are copied into a rule. A poisoned value stays quiet. */
#ifndef LANG_RESOLVE_PARTS_H
#define LANG_RESOLVE_PARTS_H
#include "lang/recipe.h"

typedef enum DeclState { DECL_NEW, DECL_BUSY, DECL_DONE } DeclState;

typedef struct Module {
    const Source *source;
    const Ast *ast;
    Map names;           /* -> Decl */
    Map imports;         /* alias -> Import */
    Str folder;          /* of the file, "" or "dir/"; imports may not leave the root's folder */
    bool std;            /* from the binary: no relative imports */
    int depth;
} Module;

typedef struct Decl {
    const Ast *ast;
    Module *module;
    DeclState state;
    const Value *value;
    bool given;          /* a parameter set by -p or include(...) */
} Decl;

typedef struct Import {
    const Ast *ast;
    Module *module;      /* NULL: could not be read, reported */
} Import;

typedef struct Frame {
    const Ast *transform;
    Map values;          /* -> Value */
    struct Frame *outer;
    int depth;
} Frame;

typedef enum Mode {
    MODE_CONST,   /* constants only */
    MODE_LAYER,   /* inside S[...]: .k, .dtype, ... */
    MODE_RULE,    /* expect inside a rule: matches, .cosine, ... */
    MODE_RECIPE   /* expect outside: bits, size, count(S), ... */
} Mode;

typedef struct Resolver {
    Session *s;
    const ResolveOptions *options;
    Recipe *recipe;
    Module *module;
    Frame *frame;
    Mode mode;
    int files;           /* read so far */
    Span target_written; /* of `target`, for messages */
} Resolver;

/* ---- values (resolve_expr.c) */
Value *value_new(Resolver *r, ValueType type, Span span);
const Value *poison(Resolver *r, Span span);
const Value *evaluate(Resolver *r, const Ast *e);
const char *value_type_text(const Value *v);                /* "a format", "a number" */
const Value *wrong_type(Resolver *r, Span at, const char *wanted, const Value *got);
bool as_number(const Value *v, double *out);                /* INT or FLOAT */
const Value *coerce(Resolver *r, const Value *v, ParamType wanted, const char *what);
const Ast *unparen(const Ast *e);

/* ---- names (resolve_names.c) */
const Value *evaluate_name(Resolver *r, const Ast *e);
const Value *evaluate_member(Resolver *r, const Ast *e);
const Value *decl_value(Resolver *r, Decl *decl, Span used);
bool is_builtin_name(Resolver *r, Str name, const char **what);
Module *module_load(Resolver *r, const Source *source, const Ast *ast, Str folder, bool std, int depth);
Module *module_import(Resolver *r, const Ast *string);      /* "./x.mor" or "std/x" */
bool param_set(Resolver *r, Decl *decl, const Value *v);    /* type and range of the declaration */
bool type_named(Resolver *r, const Ast *declaration, ParamType *out); /* its `: type` */

/* ---- formats (resolve_format.c) */
const FormatValue *format_named(Resolver *r, Str name, Span span); /* NULL if there is none */
const Value *evaluate_format(Resolver *r, const Ast *e);    /* PER, SCALE, DYNAMIC */
const Value *evaluate_format_call(Resolver *r, const Ast *e); /* int(4), float(e = 3, m = 2), ... */
bool is_format_call(Str name);

/* ---- selectors (resolve_select.c) */
bool is_builtin_selector(Str name);
bool is_selector_call(Str name);
const Value *selector_name(Resolver *r, Str name, Span span); /* built in or an op; NULL if neither */
const Value *selector_of_text(Resolver *r, const Value *text, bool regex);
const Value *evaluate_selector_call(Resolver *r, const Ast *e);
const Value *evaluate_set(Resolver *r, const Ast *e, const Value *a, const Value *b);
const Value *evaluate_filter(Resolver *r, const Ast *e, const Value *set);
const Value *selector_wrap(Resolver *r, SelectorKind kind, Span span, const Value *a);
const Selector *want_selector(Resolver *r, const Ast *e);   /* NULL after an error */

/* ---- steps (resolve_step.c) */
typedef Vec(BoundArg) BoundArgs;
/* Binds arguments to the parameters of a schema; false if something was wrong (all reported). */
bool bind_args(Resolver *r, const Schema *schema, const AstList *args, Span call, BoundArg **out, size_t *count);
void resolve_steps(Resolver *r, const Ast *block, StepList *out, int stage, int rule);
void check_stack(Resolver *r, const Rule *rule);
bool resolve_setting(Resolver *r, const Ast *step, StepList *out);
const Step *resolve_emit(Resolver *r, const Ast *emit);
const Value *evaluate_data(Resolver *r, Str name, const Ast *call);
void resolve_expect(Resolver *r, const Ast *e, int stage, int rule);

#endif
