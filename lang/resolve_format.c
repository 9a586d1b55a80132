/* Formats: built-in names, int(4), float(e = 3, m = 2), and the chain `per ... scale ... dynamic`.
 * A chain reads from the inside out: `per` and `scale` belong to what stands last in it, so in
 * e2m1 per block(16) scale e4m3 per tensor scale f32 the e4m3 scales are per tensor with f32 scales
 * of their own. Which layers a format fits is for bind. */
#include "lang/resolve_parts.h"

/* Element, block and scale of the built-in formats that are more than an element (D16.4 in
 * docs/decisions, OCP MX 1.0, NVFP4). */
static const struct {
    const char *name, *element;
    int64_t block; /* 0: none of its own */
    const char *scale;
} built_in[] = {
    {"fp8", "e4m3", 0, NULL},
    {"nvfp4", "e2m1", 16, "e4m3"},
    {"mxfp4", "e2m1", 32, "e8m0"},
    {"mxfp8", "e4m3", 32, "e8m0"},
};
enum { BUILT_IN = sizeof built_in / sizeof *built_in };
const char *const block_formats[] = {"fp8", "nvfp4", "mxfp4", "mxfp8", NULL};

static const Param int_params[] = {
    {.name = "bits", .type = PARAM_INT, .required = true, .range = "2..16", .doc = "of a code"},
    {.name = "zero_point", .type = PARAM_BOOL, .later = true, .doc = "codes are shifted"},
    {.name = "narrow", .type = PARAM_BOOL, .later = true, .doc = "leave out the lowest code"},
    {.name = NULL},
};
static const Param float_params[] = {
    {.name = "e", .type = PARAM_INT, .required = true, .range = "1..8", .doc = "exponent bits"},
    {.name = "m", .type = PARAM_INT, .required = true, .range = "0..10", .doc = "mantissa bits"},
    {.name = "bias", .type = PARAM_INT, .later = true, .doc = "exponent of 1.0"},
    {.name = "inf", .type = PARAM_BOOL, .later = true, .doc = "has infinities"},
    {.name = "nan", .type = PARAM_BOOL, .later = true, .doc = "has NaNs"},
    {.name = "saturate", .type = PARAM_BOOL, .later = true, .doc = "clamps what is too large"},
    {.name = NULL},
};
static const Param table_params[] = {
    {.name = "values", .type = PARAM_LIST, .required = true, .doc = "what the codes stand for"},
    {.name = NULL},
};
static const Param code_params[] = {
    {.name = "bits", .type = PARAM_INT, .required = true, .range = "1..16", .doc = "of a code"},
    {.name = "encode", .type = PARAM_FN, .required = true, .doc = "from a weight to its code"},
    {.name = "decode", .type = PARAM_FN, .required = true, .doc = "and back"},
    {.name = "scale", .type = PARAM_FN, .doc = "of the weights that share one"},
    {.name = NULL},
};
const Schema format_functions[] = {
    {.name = "int", .doc = "signed integers", .params = int_params},
    {.name = "uint", .doc = "integers with a zero point", .params = int_params},
    {.name = "float", .doc = "minifloats", .params = float_params},
    {.name = "table", .doc = "a code book", .later = true, .params = table_params},
    {.name = "code", .doc = "your own encoding", .later = true, .params = code_params},
    {.name = NULL},
};
static const Param block_params[] = {
    {.name = "size", .type = PARAM_INT, .range = "2..1048576", .doc = "weights that share a scale"},
    {.name = "rows",
     .type = PARAM_INT,
     .range = "2..1048576",
     .doc = "of a block in two dimensions"},
    {.name = "max",
     .type = PARAM_INT,
     .range = "16..65536",
     .doc = "the largest power of two up to this one that divides"},
    {.name = "tail",
     .type = PARAM_CHOICE,
     .choices = "short",
     .doc = "the last block may be smaller"},
    {.name = NULL},
};
static const Schema block_schema = {.name = "per block", .params = block_params};

/* ---- elements and names */

static const ElementInfo *element(const Resolver *r, Str name) {
    for (const ElementInfo *e = r->options->elements; e && e->name; e++) {
        if (str_is(name, e->name)) {
            return e;
        }
    }
    return NULL;
}

static FormatValue *element_format(Resolver *r, const ElementInfo *info, Span span) {
    FormatValue *f = arena_new(r->s->arena, FormatValue);
    f->element = f->spelled = str_from(info->name);
    f->bits = info->bits;
    f->element_span = span;
    return f;
}

static const Value *format_value(Resolver *r, const FormatValue *f, Span span) {
    Value *v = value_new(r, VALUE_FORMAT, span);
    v->format = f;
    return v;
}

static const Value *built_in_value(Resolver *r, int row, Span span) {
    const ElementInfo *info = element(r, str_from(built_in[row].element));
    assert(info && "every build has the elements of its block formats");
    FormatValue *f = element_format(r, info, span);
    f->spelled = str_from(built_in[row].name);
    if (built_in[row].block) {
        f->per = PER_BLOCK;
        f->block = built_in[row].block;
        f->per_span = span;
        FormatValue *scale = element_format(r, element(r, str_from(built_in[row].scale)), span);
        if (str_is(scale->element, "e4m3")) {
            scale->per = PER_TENSOR;
            scale->per_span = span;
            scale->scale = element_format(r, element(r, STR("f32")), span);
        }
        f->scale = scale;
    }
    return format_value(r, f, span);
}

const Value *format_of_name(Resolver *r, Str name, Span span) {
    if (str_is(name, "none")) {
        FormatValue *f = arena_new(r->s->arena, FormatValue);
        f->none = true;
        f->element = f->spelled = STR("none");
        f->element_span = span;
        return format_value(r, f, span);
    }
    for (int i = 0; i < BUILT_IN; i++) {
        if (str_is(name, built_in[i].name)) {
            return built_in_value(r, i, span);
        }
    }
    const ElementInfo *info = element(r, name);
    return info ? format_value(r, element_format(r, info, span), span) : NULL;
}

const Schema *format_function(Str name) {
    for (const Schema *f = format_functions; f->name; f++) {
        if (str_is(name, f->name)) {
            return f;
        }
    }
    return NULL;
}

static const ElementInfo *minifloat(const Resolver *r, int64_t exponent, int64_t mantissa) {
    for (const ElementInfo *e = r->options->elements; e && e->name; e++) {
        if (!e->integer && e->exponent == exponent && e->mantissa == mantissa) {
            return e;
        }
    }
    return NULL;
}

const Value *format_call(Resolver *r, Context c, const Ast *e, const Schema *function) {
    ArgList args = {0};
    if (!bind_args(r, (Context){c.scope, AT_CONSTANT}, function, &e->kids, e->a->span, &args)) {
        return POISON;
    }
    if (function->later) {
        for_later(r, e->a->span, "`%s(...)`", function->name);
        return POISON;
    }
    int64_t first = args.at[0].value->integer;
    bool is_float = str_is(str_from(function->name), "float");
    Str word = str_format(r->s->arena, "%s%lld", function->name, (long long)first);
    const ElementInfo *info =
        is_float ? minifloat(r, first, args.at[1].value->integer) : element(r, word);
    if (!info) {
        Str shape = span_text(e->span);
        for_later(r, e->span, "the format `%.*s`", STR_ARG(shape));
        return POISON;
    }
    return format_value(r, element_format(r, info, e->span), e->span);
}

/* ---- the chain */

enum { CHAIN = 3 }; /* codes, their scales, the scales of those */

static FormatValue *copy_chain(Resolver *r, const FormatValue *f, FormatValue **last, int *length) {
    FormatValue *copy = arena_new(r->s->arena, FormatValue);
    *copy = *f;
    *length += 1;
    *last = copy;
    if (f->scale && *length <= CHAIN) {
        copy->scale = copy_chain(r, f->scale, last, length);
    }
    return copy;
}

static const Value *chain_error(Resolver *r, Span at, const FormatValue *f, const char *label) {
    Diag *d = diag_error(r->s, "E0210", at, "this does not fit `%.*s`", STR_ARG(f->spelled));
    diag_label(d, "%s", label);
    return POISON;
}

static bool is_wide(const FormatValue *f) {
    return str_is(f->element, "f32") || str_is(f->element, "f16") || str_is(f->element, "bf16") ||
           str_is(f->element, "e8m0");
}

/* size, or max, or neither: what is wrong with it, or NULL */
static const char *block_wrong(const BoundArg *size, const BoundArg *rows, const BoundArg *max,
                               const BoundArg *tail) {
    if (!size && !max) {
        return "a block has a size: per block(128) or per block(max = 128)";
    }
    if (size && max) {
        return "either a size or a largest size";
    }
    if (max && (max->value->integer & (max->value->integer - 1))) {
        return "the largest block size is a power of two";
    }
    if (tail && (max || rows)) {
        return "only blocks of one fixed size have a short tail";
    }
    return rows && !size ? "rows come second: per block(128, 128)" : NULL;
}

static bool per_block(Resolver *r, Context c, const Ast *e, FormatValue *f) {
    ArgList args = {0};
    TRY(bind_args(r, (Context){c.scope, AT_CONSTANT}, &block_schema, &e->kids, e->name_span,
                  &args));
    const BoundArg *size = arg_given(&args, "size"), *rows = arg_given(&args, "rows");
    const BoundArg *max = arg_given(&args, "max"), *tail = arg_given(&args, "tail");
    const char *wrong = block_wrong(size, rows, max, tail);
    if (wrong) {
        Span at =
            e->kids.len ? span_join(e->kids.at[0]->span, vec_last(&e->kids)->span) : e->name_span;
        diag_label(diag_error(r->s, "E0210", at, "this is no block"), "%s", wrong);
        return false;
    }
    f->per = PER_BLOCK;
    f->block = size ? size->value->integer : 0;
    f->block_max = max ? max->value->integer : 0;
    f->block_rows = rows ? rows->value->integer : 0;
    f->tail_short = tail != NULL;
    f->per_span = e->name_span; /* "block(64)", without the element before it */
    f->per_span.length = e->span.offset + e->span.length - e->name_span.offset;
    if (rows) {
        for_later(r, f->per_span, "a block in two dimensions");
    }
    return true;
}

static const Value *granularity(Resolver *r, Context c, const Ast *e, FormatValue *f,
                                FormatValue *last) {
    static const struct {
        const char *word;
        GranularityKind kind;
    } rows[] = {{"tensor", PER_TENSOR},
                {"channel", PER_CHANNEL},
                {"token", PER_TOKEN},
                {"block", PER_BLOCK}};
    GranularityKind kind = PER_DEFAULT;
    Str words[4];
    for (size_t i = 0; i < 4; i++) {
        words[i] = str_from(rows[i].word);
        kind = str_is(e->name, rows[i].word) ? rows[i].kind : kind;
    }
    if (kind == PER_DEFAULT) {
        Str nearest = nearest_of(e->name, words, 4);
        Diag *d = diag_error(r->s, "E0201", e->name_span, "there is no granularity `%.*s`",
                             STR_ARG(e->name));
        if (nearest.len) {
            diag_label(d, "did you mean `%.*s`?", STR_ARG(nearest));
            diag_fix(d, false, e->name_span, "%.*s", STR_ARG(nearest));
        }
        diag_line(d, "per tensor, per channel, per token, per block(16)");
        return POISON;
    }
    if (last->per != PER_DEFAULT) {
        return chain_error(r, e->name_span, last, "what shares a scale is said already");
    }
    if (is_wide(last)) {
        return chain_error(r, e->name_span, last, "it has no scale that could be shared");
    }
    if (kind != PER_BLOCK && e->flag) {
        Diag *d = diag_error(r->s, "E0204", e->name_span, "`per %.*s` takes no arguments",
                             STR_ARG(e->name));
        diag_label(d, "write `per %.*s`", STR_ARG(e->name));
        return POISON;
    }
    last->per = kind;
    last->per_span = e->name_span;
    if (kind == PER_BLOCK && !per_block(r, c, e, last)) {
        return POISON;
    }
    return format_value(r, f, e->span);
}

static const Value *scale_name(Resolver *r, Context c, const Ast *e) {
    Decl *decl = scope_find(c.scope, e->name);
    const Value *v =
        decl ? decl_value(r, decl, e->name_span) : format_of_name(r, e->name, e->name_span);
    v = v ? v : selector_of_name(r, e->name, e->name_span);
    if (!v) {
        report_unknown(r, c.scope, AT_CONSTANT, e->name, e->name_span);
        return POISON;
    }
    if (v->type != VALUE_FORMAT && v->type != VALUE_POISON) {
        Diag *d = diag_error(r->s, "E0203", e->name_span, "scales are stored in a format");
        diag_label(d, "this is %s", value_type_words(value_static_type(v)));
        return POISON;
    }
    return v;
}

static const Value *scale(Resolver *r, Context c, const Ast *e, FormatValue *f, FormatValue *last,
                          int length) {
    const Value *v = scale_name(r, c, e);
    if (v->type == VALUE_POISON) {
        return POISON;
    }
    if (v->format->none || v->format->dynamic) {
        return chain_error(r, e->name_span, v->format, "scales are stored");
    }
    FormatValue *end;
    FormatValue *scales = copy_chain(r, v->format, &end, &length);
    if (is_wide(last) || length > CHAIN) {
        return chain_error(r, e->name_span, last, "its scales have no scales of their own");
    }
    last->scale = scales;
    return format_value(r, f, e->span);
}

const Value *format_postfix(Resolver *r, Context c, const Ast *e) {
    const Value *a = eval(r, c, e->a);
    if (a->type == VALUE_POISON) {
        return POISON;
    }
    if (a->type != VALUE_FORMAT) {
        static const char *const words[] = {"per", "scale", "dynamic"};
        Diag *d = diag_error(r->s, "E0203", e->a->span, "`%s` belongs to a format",
                             words[e->kind == AST_PER     ? 0
                                   : e->kind == AST_SCALE ? 1
                                                          : 2]);
        diag_label(d, "this is %s", value_type_words(value_static_type(a)));
        return POISON;
    }
    FormatValue *last;
    int length = 0;
    FormatValue *f = copy_chain(r, a->format, &last, &length);
    if (f->none) {
        return chain_error(r, e->span, f, "`none` stays as it is");
    }
    bool whole = f->scale && !str_eq(f->spelled, f->element);
    if (whole && e->kind != AST_DYNAMIC) {
        return chain_error(r, e->name_span, f, "it has blocks and scales of its own");
    }
    if (e->kind == AST_PER) {
        return granularity(r, c, e, f, last);
    }
    if (e->kind == AST_SCALE) {
        return scale(r, c, e, f, last, length);
    }
    if (f->dynamic) {
        return chain_error(r, e->op_span, f, "it is dynamic already");
    }
    f->dynamic = true;
    return format_value(r, f, e->span);
}
