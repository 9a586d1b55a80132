/* Formats: element [per granularity] [scale format] [dynamic] (language.md 2.7). */
#include "lang/resolve_parts.h"

/* Names that are a whole chain or another name of an element. */
static const struct {
    const char *name, *element;
    int64_t block;
    const char *scale;     /* of the block; its own scale is per tensor f32 for e4m3 */
} named[] = {
    {"fp8", "e4m3", 0, NULL},
    {"nvfp4", "e2m1", 16, "e4m3"},
    {"mxfp4", "e2m1", 32, "e8m0"},
    {"mxfp8", "e4m3", 32, "e8m0"},
};
enum { NAMED = sizeof named / sizeof *named };

static const ElementInfo *element_named(const Resolver *r, Str name)
{
    for (const ElementInfo *e = r->options->elements; e->name; e++) {
        if (str_is(name, e->name)) {
            return e;
        }
    }
    return NULL;
}

static FormatValue *format_of(Resolver *r, const ElementInfo *e, Str spelled, Span span)
{
    FormatValue *f = arena_new(r->s->arena, FormatValue);
    f->element = str_from(e->name);
    f->spelled = spelled;
    f->bits = e->bits;
    f->element_span = span;
    return f;
}

const FormatValue *format_named(Resolver *r, Str name, Span span)
{
    if (str_is(name, "none")) {
        FormatValue *f = arena_new(r->s->arena, FormatValue);
        f->none = true;
        f->element = f->spelled = name;
        f->element_span = span;
        return f;
    }
    for (int i = 0; i < NAMED; i++) {
        if (!str_is(name, named[i].name)) {
            continue;
        }
        FormatValue *f = format_of(r, element_named(r, str_from(named[i].element)), name, span);
        if (named[i].block) {
            f->per = PER_BLOCK;
            f->block = named[i].block;
            FormatValue *scale = format_of(r, element_named(r, str_from(named[i].scale)), str_from(named[i].scale), span);
            if (str_is(scale->element, "e4m3")) {
                scale->per = PER_TENSOR;
                scale->scale = format_of(r, element_named(r, STR("f32")), STR("f32"), span);
            }
            f->scale = scale;
        }
        return f;
    }
    const ElementInfo *e = element_named(r, name);
    return e ? format_of(r, e, name, span) : NULL;
}

bool is_format_call(Str name)
{
    return str_is(name, "int") || str_is(name, "uint") || str_is(name, "float") || str_is(name, "table") || str_is(name, "code");
}

static const Value *format_value(Resolver *r, const FormatValue *f, Span span)
{
    Value *v = value_new(r, VALUE_FORMAT, span);
    v->format = f;
    return v;
}

static const Value *no_such_element(Resolver *r, const Ast *e, const char *have)
{
    Diag *d = diag_error(r->s, "E0001", e->span, "this number format is not in this build");
    diag_label(d, "there are %s", have);
    return poison(r, e->span);
}

/* int(4), uint(8): one whole number, and options that this build does not have */
static const Value *integer_call(Resolver *r, const Ast *e, bool is_unsigned)
{
    if (e->kids.len < 1 || e->kids.at[0]->name.len) {
        diag_error(r->s, "E0204", e->span, "`%s` takes the number of bits: %s(4)", is_unsigned ? "uint" : "int", is_unsigned ? "uint" : "int");
        return poison(r, e->span);
    }
    const Value *bits = evaluate(r, e->kids.at[0]->a);
    if (bits->type != VALUE_INT) {
        return wrong_type(r, bits->span, "a whole number of bits", bits);
    }
    for (size_t i = 1; i < e->kids.len; i++) {
        const Ast *arg = e->kids.at[i];
        bool known = str_is(arg->name, "zero_point") || str_is(arg->name, "narrow");
        Diag *d = diag_error(r->s, known ? "E0001" : "E0202", arg->span, known ? "`%.*s` is not in this build" : "integers have no argument `%.*s`", STR_ARG(arg->name));
        diag_help(d, "uint4 and uint8 have a zero point, int4 and int8 have none");
        return poison(r, e->span);
    }
    Str name = str_format(r->s->arena, "%sint%lld", is_unsigned ? "u" : "", (long long)bits->integer);
    const ElementInfo *element = element_named(r, name);
    return element ? format_value(r, format_of(r, element, str_from(element->name), e->span), e->span)
                   : no_such_element(r, e, "int2 int4 int8 uint2 uint4 uint8");
}

/* float(e = 3, m = 2) */
static const Value *float_call(Resolver *r, const Ast *e)
{
    int64_t exponent = -1, mantissa = -1;
    for (size_t i = 0; i < e->kids.len; i++) {
        const Ast *arg = e->kids.at[i];
        int64_t *to = str_is(arg->name, "e") ? &exponent : str_is(arg->name, "m") ? &mantissa : NULL;
        if (!to) {
            bool known = str_is(arg->name, "bias") || str_is(arg->name, "inf") || str_is(arg->name, "nan") || str_is(arg->name, "saturate");
            diag_error(r->s, known ? "E0001" : "E0202", arg->span, known ? "`%.*s` of a float format is not in this build" : "`float` has no argument `%.*s`; it takes e and m", STR_ARG(arg->name));
            return poison(r, e->span);
        }
        const Value *v = evaluate(r, arg->a);
        if (v->type != VALUE_INT) {
            return wrong_type(r, v->span, "a whole number of bits", v);
        }
        *to = v->integer;
    }
    for (const ElementInfo *x = r->options->elements; x->name; x++) {
        if (!x->integer && !x->unsigned_ && x->exponent == exponent && x->mantissa == mantissa) {
            return format_value(r, format_of(r, x, str_from(x->name), e->span), e->span);
        }
    }
    return no_such_element(r, e, "e4m3 e5m2 e2m1 e3m2 e2m3");
}

const Value *evaluate_format_call(Resolver *r, const Ast *e)
{
    Str name = unparen(e->a)->name;
    if (str_is(name, "int") || str_is(name, "uint")) {
        return integer_call(r, e, str_is(name, "uint"));
    }
    if (str_is(name, "float")) {
        return float_call(r, e);
    }
    Diag *d = diag_error(r->s, "E0001", e->span, "formats of your own are not in this build");
    diag_label(d, "`%.*s` is part of the language, not built yet", STR_ARG(name));
    return poison(r, e->span);
}

static bool block_size(Resolver *r, const Ast *arg, int64_t *out)
{
    const Value *v = evaluate(r, arg->a);
    if (v->type != VALUE_INT) {
        wrong_type(r, v->span, "a whole number", v);
        return false;
    }
    if (v->integer < 2 || v->integer > 65536) {
        Diag *d = diag_error(r->s, "E0206", v->span, "a block has 2 to 65536 weights");
        diag_label(d, "this is %lld", (long long)v->integer);
        return false;
    }
    *out = v->integer;
    return true;
}

static bool tail_option(Resolver *r, const Ast *arg, FormatValue *f)
{
    const Ast *value = unparen(arg->a);
    if (value->kind != AST_NAME || !(str_is(value->name, "short") || str_is(value->name, "error"))) {
        Diag *d = diag_error(r->s, "E0206", arg->a->span, "`tail` is short or error");
        diag_note(d, "short: the last block of a row may hold fewer weights");
        return false;
    }
    f->tail_short = str_is(value->name, "short");
    return true;
}

/* per block(128), per block(max = 128), per block(128, tail = short), per block(128, 128) */
static bool block_arguments(Resolver *r, const Ast *e, FormatValue *f)
{
    for (size_t i = 0; i < e->kids.len; i++) {
        const Ast *arg = e->kids.at[i];
        if (arg->name.len == 0) {
            if (f->block && f->block_rows) {
                diag_error(r->s, "E0204", arg->span, "a block has at most two sides");
                return false;
            }
            f->block_rows = f->block;
            TRY(block_size(r, arg, &f->block));
        } else if (str_is(arg->name, "max")) {
            TRY(block_size(r, arg, &f->block_max));
        } else if (str_is(arg->name, "tail")) {
            TRY(tail_option(r, arg, f));
        } else {
            Diag *d = diag_error(r->s, "E0202", arg->name_span, "`block` has no argument `%.*s`", STR_ARG(arg->name));
            diag_note(d, "block(128), block(max = 128), block(128, tail = short)");
            return false;
        }
    }
    if ((f->block == 0) == (f->block_max == 0)) {
        Diag *d = diag_error(r->s, "E0204", e->span, f->block ? "a size and a `max` contradict each other" : "how large is a block?");
        diag_help(d, "per block(128), or the largest power of two that divides: per block(max = 128)");
        return false;
    }
    if (f->block_rows) {
        diag_error(r->s, "E0001", e->span, "two-dimensional blocks are not in this build");
        return false;
    }
    return true;
}

static const Value *with_granularity(Resolver *r, const Ast *e, const FormatValue *inner)
{
    static const char *const kinds[] = {"", "tensor", "channel", "token", "block"};
    Str names[4];
    for (int i = 0; i < 4; i++) {
        names[i] = str_from(kinds[i + 1]);
    }
    FormatValue *f = arena_new(r->s->arena, FormatValue);
    *f = *inner;
    f->per = PER_DEFAULT;
    f->per_span = e->span;
    if (inner->per != PER_DEFAULT) {
        Diag *d = diag_error(r->s, "E0205", e->span, "this format says twice what shares a scale");
        diag_label(d, "`%.*s` already is per %s", STR_ARG(inner->spelled), kinds[inner->per]);
        return poison(r, e->span);
    }
    for (int i = 1; i <= 4; i++) {
        if (str_is(e->name, kinds[i])) {
            f->per = (GranularityKind)i;
        }
    }
    if (f->per == PER_DEFAULT) {
        Diag *d = diag_error(r->s, "E0201", e->name_span, "nothing is `per %.*s`", STR_ARG(e->name));
        Str near = nearest_of(e->name, names, 4);
        diag_label(d, near.len ? "did you mean `%.*s`?" : "tensor, channel, token or block(N)%.*s", STR_ARG(near));
        return poison(r, e->span);
    }
    if (f->per == PER_BLOCK) {
        if (!block_arguments(r, e, f)) {
            return poison(r, e->span);
        }
    } else if (e->kids.len) {
        diag_error(r->s, "E0204", e->span, "`per %s` takes no arguments", kinds[f->per]);
        return poison(r, e->span);
    }
    return format_value(r, f, e->span);
}

/* The outermost `scale` or `per` of e4m3 in `... scale e4m3 per tensor` belongs to the scales. */
static const Value *with_scale(Resolver *r, const Ast *e, const FormatValue *inner)
{
    const FormatValue *scale = format_named(r, e->name, e->name_span);
    if (!scale || scale->none || scale->per != PER_DEFAULT) {
        Diag *d = diag_error(r->s, "E0203", e->name_span, "scales are stored in f32, f16, bf16, e4m3 or e8m0");
        diag_label(d, "not in `%.*s`", STR_ARG(e->name));
        return poison(r, e->span);
    }
    FormatValue *f = arena_new(r->s->arena, FormatValue);
    *f = *inner;
    if (!f->scale) {
        f->scale = scale;
    } else { /* scales of the scales */
        FormatValue *outer = arena_new(r->s->arena, FormatValue);
        *outer = *f->scale;
        if (outer->scale) {
            diag_error(r->s, "E0205", e->span, "scales have at most two levels");
            return poison(r, e->span);
        }
        outer->scale = scale;
        f->scale = outer;
    }
    return format_value(r, f, e->span);
}

const Value *evaluate_format(Resolver *r, const Ast *e)
{
    const Value *inner = coerce(r, evaluate(r, e->a), PARAM_FORMAT, e->kind == AST_PER ? "`per`" : e->kind == AST_SCALE ? "`scale`" : "`dynamic`");
    if (inner->type == VALUE_POISON) {
        return inner;
    }
    if (inner->format->none) {
        diag_error(r->s, "E0203", e->span, "`none` stays float: it has no scales");
        return poison(r, e->span);
    }
    if (e->kind == AST_PER) {
        if (inner->format->scale && inner->format->scale->per == PER_DEFAULT && inner->format->per != PER_DEFAULT) {
            const Value *scale = with_granularity(r, e, inner->format->scale);
            if (scale->type == VALUE_POISON) {
                return scale;
            }
            FormatValue *f = arena_new(r->s->arena, FormatValue);
            *f = *inner->format;
            f->scale = scale->format;
            return format_value(r, f, e->span);
        }
        return with_granularity(r, e, inner->format);
    }
    if (e->kind == AST_SCALE) {
        return with_scale(r, e, inner->format);
    }
    FormatValue *f = arena_new(r->s->arena, FormatValue);
    *f = *inner->format;
    f->dynamic = true;
    return format_value(r, f, e->span);
}
