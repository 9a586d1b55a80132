/* Recipe values as text: for `-d recipe`, for plans and for messages. */
#include "lang/recipe.h"
#include "runtime/base/sanitize.h"

static void scale_text(const FormatValue *f, Buf *out)
{
    switch (f->per) {
    case PER_TENSOR:
        buf_str(out, STR(" per tensor"));
        break;
    case PER_CHANNEL:
        buf_str(out, STR(" per channel"));
        break;
    case PER_TOKEN:
        buf_str(out, STR(" per token"));
        break;
    case PER_BLOCK:
        if (f->block_max) {
            buf_printf(out, " per block(max = %lld)", (long long)f->block_max);
        } else if (f->block_rows) {
            buf_printf(out, " per block(%lld, %lld)", (long long)f->block_rows, (long long)f->block);
        } else {
            buf_printf(out, " per block(%lld%s)", (long long)f->block, f->tail_short ? ", tail = short" : "");
        }
        break;
    case PER_DEFAULT:
        break;
    }
}

void format_print(const FormatValue *f, Buf *out)
{
    if (f->none) {
        buf_str(out, STR("none"));
        return;
    }
    buf_str(out, f->spelled);
    bool named_chain = !str_eq(f->spelled, f->element) && f->scale; /* nvfp4 says it all */
    if (!named_chain) {
        scale_text(f, out);
        for (const FormatValue *s = f->scale; s; s = s->scale) {
            buf_printf(out, " scale %.*s", STR_ARG(s->element));
            scale_text(s, out);
        }
    }
    if (f->dynamic) {
        buf_str(out, STR(" dynamic"));
    }
}

double format_bits(const FormatValue *f, double elements_per_scale)
{
    double bits = f->bits;
    if (elements_per_scale > 0) {
        bits += (f->scale ? f->scale->bits : 32) / elements_per_scale;
    }
    return bits;
}

static void expr_print(const Expr *e, Buf *out);

static void pair(const char *name, const Selector *sel, Buf *out)
{
    buf_printf(out, "%s(", name);
    selector_print(sel->a, out);
    if (sel->b) {
        buf_str(out, STR(", "));
        selector_print(sel->b, out);
    }
    buf_char(out, ')');
}

static void set_operand(const Selector *sel, Buf *out)
{
    bool wrap = sel->kind == SELECT_UNION || sel->kind == SELECT_INTERSECT || sel->kind == SELECT_DIFFERENCE;
    buf_str(out, wrap ? STR("(") : STR(""));
    selector_print(sel, out);
    buf_str(out, wrap ? STR(")") : STR(""));
}

void selector_print(const Selector *sel, Buf *out)
{
    static const char *const calls[] = {
        [SELECT_INPUTS] = "inputs", [SELECT_USERS] = "users", [SELECT_UPSTREAM] = "upstream",
        [SELECT_DOWNSTREAM] = "downstream", [SELECT_SIBLINGS] = "siblings", [SELECT_BETWEEN] = "between"};
    switch (sel->kind) {
    case SELECT_BUILTIN:
        buf_str(out, sel->name);
        break;
    case SELECT_OP:
        if (sel->domain.len) {
            buf_printf(out, "op(\"%.*s::%.*s\")", STR_ARG(sel->domain), STR_ARG(sel->name));
        } else {
            buf_str(out, sel->name);
        }
        break;
    case SELECT_GLOB:
    case SELECT_REGEX:
        buf_str(out, sel->kind == SELECT_REGEX ? STR("re\"") : STR("\""));
        buf_safe(out, sel->text);
        buf_char(out, '"');
        break;
    case SELECT_FILTER:
        set_operand(sel->a, out);
        buf_char(out, '[');
        expr_print(sel->where, out);
        buf_char(out, ']');
        break;
    case SELECT_FIRST:
    case SELECT_LAST:
        buf_str(out, sel->kind == SELECT_FIRST ? STR("first(") : STR("last("));
        selector_print(sel->a, out);
        buf_printf(out, ", %lld)", (long long)sel->count);
        break;
    case SELECT_BLOCK:
        buf_printf(out, "block(%lld..%lld)", (long long)sel->from, (long long)sel->to);
        break;
    case SELECT_INPUTS: case SELECT_USERS: case SELECT_UPSTREAM: case SELECT_DOWNSTREAM:
    case SELECT_SIBLINGS: case SELECT_BETWEEN:
        pair(calls[sel->kind], sel, out);
        break;
    case SELECT_UNION: case SELECT_INTERSECT: case SELECT_DIFFERENCE:
        set_operand(sel->a, out);
        buf_str(out, sel->kind == SELECT_UNION ? STR(" | ") : sel->kind == SELECT_INTERSECT ? STR(" & ") : STR(" - "));
        set_operand(sel->b, out);
        break;
    case SELECT_COMPLEMENT:
        buf_char(out, '!');
        set_operand(sel->a, out);
        break;
    case SELECT_OPTIONAL:
        set_operand(sel->a, out);
        buf_char(out, '?');
        break;
    }
}

static void expr_print(const Expr *e, Buf *out)
{
    switch (e->kind) {
    case EXPR_CONST:
        value_print(e->value, out);
        break;
    case EXPR_ATTR:
        buf_printf(out, ".%.*s", STR_ARG(e->name));
        break;
    case EXPR_METRIC:
        buf_str(out, e->name);
        if (e->selector) {
            buf_char(out, '(');
            selector_print(e->selector, out);
            buf_char(out, ')');
        }
        break;
    case EXPR_BINARY:
        buf_char(out, '(');
        expr_print(e->a, out);
        buf_printf(out, " %s ", ast_op_text[e->op]);
        expr_print(e->b, out);
        buf_char(out, ')');
        break;
    case EXPR_UNARY:
        buf_printf(out, "%s ", ast_op_text[e->op]);
        expr_print(e->a, out);
        break;
    case EXPR_IF:
        buf_str(out, STR("if "));
        expr_print(e->a, out);
        buf_str(out, STR(" then "));
        expr_print(e->b, out);
        buf_str(out, STR(" else "));
        expr_print(e->c, out);
        break;
    }
}

static void args_print(const BoundArg *args, size_t count, Buf *out)
{
    bool first = true;
    buf_char(out, '(');
    for (size_t i = 0; i < count; i++) {
        if (!args[i].value) {
            continue;
        }
        buf_printf(out, "%s%s = ", first ? "" : ", ", args[i].param->name);
        value_print(args[i].value, out);
        first = false;
    }
    buf_char(out, ')');
}

void value_print(const Value *v, Buf *out)
{
    switch (v->type) {
    case VALUE_POISON:
        buf_str(out, STR("<error>"));
        break;
    case VALUE_INT:
        buf_printf(out, "%lld", (long long)v->integer);
        break;
    case VALUE_FLOAT:
        buf_printf(out, "%.15g", v->number);
        break;
    case VALUE_BOOL:
        buf_str(out, v->flag ? STR("true") : STR("false"));
        break;
    case VALUE_STRING:
        buf_char(out, '"');
        buf_safe(out, v->text);
        buf_char(out, '"');
        break;
    case VALUE_RATIO:
        buf_printf(out, "%lld:%lld", (long long)v->integer, (long long)v->integer2);
        break;
    case VALUE_RANGE:
        buf_printf(out, "%.15g..%.15g", v->number, v->number2);
        break;
    case VALUE_LIST:
        buf_char(out, '[');
        for (size_t i = 0; i < v->items.len; i++) {
            buf_str(out, i ? STR(", ") : STR(""));
            value_print(v->items.at[i], out);
        }
        buf_char(out, ']');
        break;
    case VALUE_SELECTOR:
        selector_print(v->selector, out);
        break;
    case VALUE_FORMAT:
        format_print(v->format, out);
        break;
    case VALUE_DATA:
        buf_str(out, v->data->name);
        break;
    case VALUE_FN:
        buf_printf(out, "fn %.*s", STR_ARG(v->text));
        break;
    case VALUE_CHOICE:
        buf_str(out, v->text);
        if (v->method) {
            args_print(v->args.at, v->args.len, out);
        }
        break;
    case VALUE_EXPR:
        expr_print(v->expr, out);
        break;
    }
}

const BoundArg *step_arg(const Step *step, const char *name)
{
    for (size_t i = 0; i < step->args.len; i++) {
        if (str_is(str_from(step->args.at[i].param->name), name)) {
            return &step->args.at[i];
        }
    }
    return NULL;
}

static void step_print(const Step *step, Buf *out)
{
    buf_str(out, str_from(step->schema->name));
    args_print(step->args.at, step->args.len, out);
    buf_char(out, '\n');
}

static void expect_print(const Expect *e, const char *indent, Buf *out)
{
    buf_printf(out, "%sexpect ", indent);
    expr_print(e->condition, out);
    if (e->message.len) {
        buf_str(out, STR(", \""));
        buf_safe(out, e->message);
        buf_char(out, '"');
    }
    buf_char(out, '\n');
}

static void rule_print(const Recipe *r, int stage, int index, const Rule *rule, Buf *out)
{
    Place place = rule->span.source ? source_place(rule->span.source, rule->span.offset) : (Place){0, 0};
    buf_printf(out, "  %son ", rule->override ? "override " : "");
    selector_print(rule->selector, out);
    buf_printf(out, "    # line %u", place.line);
    if (rule->origin.len) {
        buf_printf(out, ", from %.*s", STR_ARG(rule->origin));
    }
    buf_char(out, '\n');
    for (size_t i = 0; i < rule->steps.len; i++) {
        buf_str(out, STR("    "));
        step_print(rule->steps.at[i], out);
    }
    for (size_t i = 0; i < r->expects.len; i++) {
        if (r->expects.at[i].stage == stage && r->expects.at[i].rule == index) {
            expect_print(&r->expects.at[i], "    ", out);
        }
    }
}

void recipe_print(const Recipe *r, Buf *out)
{
    for (size_t i = 0; i < r->params.len; i++) {
        const RecipeParam *p = &r->params.at[i];
        buf_printf(out, "param %.*s: %.*s = ", STR_ARG(p->name), STR_ARG(p->type_text));
        value_print(p->value, out);
        buf_str(out, p->given ? STR("    # given\n") : STR("\n"));
    }
    if (r->target) {
        buf_printf(out, "target sm_%d\n", r->target);
    }
    buf_str(out, STR("emit "));
    step_print(r->emit, out);
    for (size_t i = 0; i < r->data.len; i++) {
        buf_printf(out, "data %.*s = %s", STR_ARG(r->data.at[i]->name), r->data.at[i]->loader->name);
        args_print(r->data.at[i]->args.at, r->data.at[i]->args.len, out);
        buf_char(out, '\n');
    }
    for (size_t k = 0; k < r->stages.len; k++) {
        buf_printf(out, "stage %.*s\n", STR_ARG(r->stages.at[k].name));
        for (size_t i = 0; i < r->stages.at[k].rules.len; i++) {
            rule_print(r, (int)k, (int)i, &r->stages.at[k].rules.at[i], out);
        }
    }
    for (size_t i = 0; i < r->expects.len; i++) {
        if (r->expects.at[i].rule < 0) {
            expect_print(&r->expects.at[i], "", out);
        }
    }
    for (size_t i = 0; i < r->withins.len; i++) {
        buf_printf(out, "within %.15g %.*s\n", r->withins.at[i].bound, STR_ARG(r->withins.at[i].unit));
    }
}
