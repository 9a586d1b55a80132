/* Printing of resolved recipes and their parts, for `-d recipe`, messages and receipts. What is
 * printed parses to the same recipe again; names, parameters and imports are resolved in it. */
#include "lang/recipe.h"
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- numbers and texts */

/* The shortest decimal that reads back as the same double; always recognisable as a float. */
static void number_print(double x, Buf *out) {
    char text[64];
    int digits = 0;
    do {
        snprintf(text, sizeof text, "%.*e", digits, x);
    } while (strtod(text, NULL) != x && ++digits < 17);
    long exponent = strtol(strchr(text, 'e') + 1, NULL, 10);
    if (exponent >= -5 && exponent < 15) {
        int decimals = digits - (int)exponent;
        snprintf(text, sizeof text, "%.*f", decimals > 0 ? decimals : 0, x);
    }
    buf_printf(out, "%s%s", text, strpbrk(text, ".e") ? "" : ".0");
}

static void text_print(Str text, Buf *out) {
    buf_char(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        if (c == '"' || c == '\\') {
            buf_char(out, '\\');
            buf_char(out, c);
        } else if (c == '\n' || c == '\t') {
            buf_printf(out, "\\%c", c == '\n' ? 'n' : 't');
        } else if ((unsigned char)c < 0x20 || c == 0x7f) {
            buf_printf(out, "\\u{%x}", (unsigned)c);
        } else {
            buf_char(out, c);
        }
    }
    buf_char(out, '"');
}

/* ---- formats */

static void granularity_print(const FormatValue *f, Buf *out) {
    static const char *const words[] = {"", "tensor", "channel", "token", "block"};
    if (f->per == PER_DEFAULT) {
        return;
    }
    buf_printf(out, " per %s", words[f->per]);
    if (f->per == PER_BLOCK && f->block_max) {
        buf_printf(out, "(max = %" PRId64 ")", f->block_max);
    } else if (f->per == PER_BLOCK && f->block_rows) {
        buf_printf(out, "(%" PRId64 ", %" PRId64 ")", f->block, f->block_rows);
    } else if (f->per == PER_BLOCK) {
        buf_printf(out, "(%" PRId64 "%s)", f->block, f->tail_short ? ", tail = short" : "");
    }
}

void format_print(const FormatValue *f, Buf *out) {
    buf_str(out, f->spelled);
    bool whole = !f->none && !str_eq(f->spelled, f->element) && f->scale; /* nvfp4 says it all */
    if (!whole) {
        granularity_print(f, out);
        if (f->scale) {
            buf_printf(out, " scale ");
            format_print(f->scale, out);
        }
    }
    if (f->dynamic) {
        buf_printf(out, " dynamic");
    }
}

double format_bits(const FormatValue *f, double elements_per_scale) {
    if (f->none || !(elements_per_scale > 0)) {
        return f->bits;
    }
    int scale_bits = f->scale ? f->scale->bits : 32;
    int zero_bits = str_starts(f->element, STR("uint")) ? f->bits : 0;
    return f->bits + (scale_bits + zero_bits) / elements_per_scale;
}

/* ---- expressions and selectors */

static void expr_print(const Expr *e, Buf *out);

/* An operand: in parentheses when it is an operation itself. */
static void part_print(const Expr *e, Buf *out) {
    bool plain = e->kind == EXPR_CONST || e->kind == EXPR_ATTR || e->kind == EXPR_METRIC;
    buf_printf(out, plain ? "" : "(");
    expr_print(e, out);
    buf_printf(out, plain ? "" : ")");
}

static void expr_print(const Expr *e, Buf *out) {
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
    case EXPR_UNARY:
        buf_printf(out, "%s%s", ast_op_text[e->op], e->op == OP_NOT ? " " : "");
        part_print(e->a, out);
        break;
    case EXPR_BINARY:
        part_print(e->a, out);
        buf_printf(out, " %s ", ast_op_text[e->op]);
        part_print(e->b, out);
        break;
    case EXPR_IF:
        buf_printf(out, "if ");
        part_print(e->a, out);
        buf_printf(out, " then ");
        part_print(e->b, out);
        buf_printf(out, " else ");
        part_print(e->c, out);
        break;
    }
}

static void call_print(const char *function, const Selector *s, Buf *out) {
    buf_printf(out, "%s(", function);
    selector_print(s->a, out);
    if (s->b) {
        buf_printf(out, ", ");
        selector_print(s->b, out);
    }
    if (s->count > 1) {
        buf_printf(out, ", %" PRId64, s->count);
    }
    buf_char(out, ')');
}

static bool is_algebra(const Selector *s) {
    return s->kind == SELECT_UNION || s->kind == SELECT_INTERSECT || s->kind == SELECT_DIFFERENCE;
}

/* An operand of an operator: in parentheses when it is an operator itself. */
static void operand_print(const Selector *s, Buf *out) {
    buf_printf(out, is_algebra(s) ? "(" : "");
    selector_print(s, out);
    buf_printf(out, is_algebra(s) ? ")" : "");
}

/* What stands before `?` or a filter, both of which bind closer than `!`. */
static void postfix_print(const Selector *s, Buf *out) {
    bool wrap = s->kind == SELECT_COMPLEMENT;
    buf_printf(out, wrap ? "(" : "");
    operand_print(s, out);
    buf_printf(out, wrap ? ")" : "");
}

static const char *selector_word(SelectorKind kind) {
    switch (kind) {
    case SELECT_FIRST:
        return "first";
    case SELECT_LAST:
        return "last";
    case SELECT_INPUTS:
        return "inputs";
    case SELECT_USERS:
        return "users";
    case SELECT_UPSTREAM:
        return "upstream";
    case SELECT_DOWNSTREAM:
        return "downstream";
    case SELECT_SIBLINGS:
        return "siblings";
    case SELECT_BETWEEN:
        return "between";
    case SELECT_UNION:
        return "|";
    case SELECT_INTERSECT:
        return "&";
    default:
        return "-";
    }
}

static void leaf_print(const Selector *s, Buf *out) {
    if (s->kind == SELECT_REGEX) { /* raw: only a quote is escaped, and a quote alone */
        buf_printf(out, "re\"");
        for (size_t i = 0; i < s->text.len; i++) {
            buf_printf(out, s->text.data[i] == '"' ? "\\" : "");
            buf_char(out, s->text.data[i]);
        }
        buf_char(out, '"');
    } else if (s->kind == SELECT_GLOB) {
        text_print(s->text, out);
    } else if (s->kind == SELECT_OP && s->domain.len) {
        buf_printf(out, "op(\"%.*s::%.*s\")", STR_ARG(s->domain), STR_ARG(s->name));
    } else {
        buf_str(out, s->name);
    }
}

void selector_print(const Selector *s, Buf *out) {
    switch (s->kind) {
    case SELECT_BUILTIN:
    case SELECT_OP:
    case SELECT_GLOB:
    case SELECT_REGEX:
        leaf_print(s, out);
        break;
    case SELECT_BLOCK:
        buf_printf(out, s->from == s->to ? "block(%" PRId64 ")" : "block(%" PRId64 "..%" PRId64 ")",
                   s->from, s->to);
        break;
    case SELECT_FILTER:
        postfix_print(s->a, out);
        buf_char(out, '[');
        expr_print(s->where, out);
        buf_char(out, ']');
        break;
    case SELECT_COMPLEMENT:
        buf_char(out, '!');
        operand_print(s->a, out);
        break;
    case SELECT_OPTIONAL:
        postfix_print(s->a, out);
        buf_char(out, '?');
        break;
    case SELECT_UNION:
    case SELECT_INTERSECT:
    case SELECT_DIFFERENCE:
        operand_print(s->a, out);
        buf_printf(out, " %s ", selector_word(s->kind));
        operand_print(s->b, out);
        break;
    default:
        call_print(selector_word(s->kind), s, out);
    }
}

/* ---- values */

static void args_print(const ArgList *args, Buf *out);

static bool says_nothing(const BoundArg *arg) {
    const Value *v = arg->value;
    return !v || (!arg->given && v->type == VALUE_FORMAT && v->format->none);
}

static void int_print(int64_t n, Buf *out) {
    if (n == INT64_MIN) { /* its magnitude is no literal */
        buf_printf(out, "(-%" PRId64 " - 1)", INT64_MAX);
    } else {
        buf_printf(out, "%" PRId64, n);
    }
}

void value_print(const Value *v, Buf *out) {
    switch (v->type) {
    case VALUE_INT:
        int_print(v->integer, out);
        break;
    case VALUE_FLOAT:
        number_print(v->number, out);
        break;
    case VALUE_BOOL:
        buf_printf(out, v->flag ? "true" : "false");
        break;
    case VALUE_STRING:
        text_print(v->text, out);
        break;
    case VALUE_RATIO:
        buf_printf(out, "%" PRId64 ":%" PRId64, v->integer, v->integer2);
        break;
    case VALUE_RANGE:
        if (v->flag) {
            buf_printf(out, "%" PRId64 "..%" PRId64, v->integer, v->integer2);
        } else {
            number_print(v->number, out);
            buf_printf(out, "..");
            number_print(v->number2, out);
        }
        break;
    case VALUE_LIST:
        buf_char(out, '[');
        for (size_t i = 0; i < v->items.len; i++) {
            buf_printf(out, i ? ", " : "");
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
    case VALUE_TARGET:
        buf_printf(out, "sm_%" PRId64, v->integer);
        break;
    case VALUE_CHOICE:
        buf_str(out, v->text);
        args_print(&v->args, out);
        break;
    case VALUE_EXPR:
        expr_print(v->expr, out);
        break;
    default:
        buf_char(out, '?'); /* nothing good has these */
    }
}

/* What was given or has a default, by name, in the order of the schema; nothing when there is none.
 */
static void args_print(const ArgList *args, Buf *out) {
    bool any = false;
    for (size_t i = 0; i < args->len; i++) {
        if (!says_nothing(&args->at[i])) {
            buf_printf(out, "%s%s = ", any ? ", " : "(", args->at[i].param->name);
            value_print(args->at[i].value, out);
            any = true;
        }
    }
    buf_printf(out, any ? ")" : "");
}

/* ---- recipes */

static void step_print(const Step *step, int indent, Buf *out) {
    buf_repeat(out, ' ', (size_t)indent);
    buf_printf(out, "%s", step->schema->name);
    args_print(&step->args, out);
    if (step->alternatives.len) {
        buf_printf(out, " {\n");
        for (size_t i = 0; i < step->alternatives.len; i++) {
            const StepList *group = step->alternatives.at[i];
            for (size_t k = 0; k < group->len; k++) {
                step_print(group->at[k], indent + 2, out);
            }
        }
        buf_repeat(out, ' ', (size_t)indent);
        buf_char(out, '}');
    }
    buf_char(out, '\n');
}

static void expect_print(const Expect *e, int indent, Buf *out) {
    buf_repeat(out, ' ', (size_t)indent);
    buf_printf(out, "expect ");
    expr_print(e->condition, out);
    if (e->message.len) {
        buf_printf(out, ", ");
        text_print(e->message, out);
    }
    buf_char(out, '\n');
}

static void rule_print(const Recipe *recipe, const Rule *rule, int stage, int index, Buf *out) {
    buf_printf(out, "  %son ", rule->override ? "override " : "");
    selector_print(rule->selector, out);
    buf_printf(out, " {%s%.*s\n", rule->origin.len ? " # from " : "", STR_ARG(rule->origin));
    for (size_t i = 0; i < rule->steps.len; i++) {
        step_print(rule->steps.at[i], 4, out);
    }
    for (size_t i = 0; i < recipe->expects.len; i++) {
        const Expect *e = &recipe->expects.at[i];
        if (e->rule == index && e->stage == stage) {
            expect_print(e, 4, out);
        }
    }
    buf_printf(out, "  }\n");
}

static void settings_print(const Recipe *recipe, Buf *out) {
    for (size_t i = 0; i < recipe->params.len; i++) {
        const RecipeParam *p = &recipe->params.at[i];
        buf_printf(out, "# param %.*s: ", STR_ARG(p->name));
        for (size_t k = 0; k < p->type_text.len; k++) { /* a range may go over several lines */
            char c = p->type_text.data[k];
            buf_char(out, c == '\n' || c == '\r' ? ' ' : c);
        }
        buf_printf(out, " = ");
        value_print(p->value, out);
        buf_printf(out, p->given ? " (given)\n" : "\n");
    }
    for (size_t i = 0; i < recipe->data.len; i++) {
        buf_printf(out, "data %.*s = %s", STR_ARG(recipe->data.at[i]->name),
                   recipe->data.at[i]->loader->name);
        args_print(&recipe->data.at[i]->args, out);
        buf_char(out, '\n');
    }
    for (size_t i = 0; i < recipe->targets.len; i++) {
        buf_printf(out, "%ssm_%d%s", i ? ", " : "target ", recipe->targets.at[i].sm,
                   i + 1 == recipe->targets.len ? "\n" : "");
    }
    if (recipe->target) {
        buf_printf(out, "# for sm_%d\n", recipe->target);
    }
    if (recipe->emit) {
        buf_printf(out, "emit ");
        step_print(recipe->emit, 0, out);
    }
}

void recipe_print(const Recipe *recipe, Buf *out) {
    settings_print(recipe, out);
    for (size_t i = 0; i < recipe->stages.len; i++) {
        const Stage *stage = &recipe->stages.at[i];
        buf_printf(out, "stage %.*s {\n", STR_ARG(stage->name));
        for (size_t k = 0; k < stage->settings.len; k++) {
            step_print(stage->settings.at[k], 2, out);
        }
        for (size_t k = 0; k < stage->rules.len; k++) {
            rule_print(recipe, &stage->rules.at[k], (int)i, (int)k, out);
        }
        buf_printf(out, "}\n");
    }
    for (size_t i = 0; i < recipe->expects.len; i++) {
        if (recipe->expects.at[i].rule < 0) {
            expect_print(&recipe->expects.at[i], 0, out);
        }
    }
}

const BoundArg *args_find(const ArgList *args, const char *name) {
    for (size_t i = 0; i < args->len; i++) {
        if (strcmp(args->at[i].param->name, name) == 0) {
            return &args->at[i];
        }
    }
    return NULL;
}

const Value *args_value(const ArgList *args, const char *name) {
    const BoundArg *arg = args_find(args, name);
    return arg ? arg->value : NULL;
}

double args_number(const ArgList *args, const char *name, double otherwise) {
    const Value *value = args_value(args, name);
    return !value ? otherwise : value->type == VALUE_INT ? (double)value->integer : value->number;
}

const BoundArg *step_arg(const Step *step, const char *name) {
    const BoundArg *arg = args_find(&step->args, name);
    assert(arg && "a step has every parameter of its schema");
    return arg;
}

const Value *step_value(const Step *step, const char *name) {
    return step ? args_value(&step->args, name) : NULL;
}

const Step *steps_find(const StepList *steps, const char *name) {
    for (size_t i = 0; i < steps->len; i++) {
        if (strcmp(steps->at[i]->schema->name, name) == 0) {
            return steps->at[i];
        }
    }
    return NULL;
}
