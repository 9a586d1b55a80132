/* Printer and parser of the text form of IR (ir_text.h). The parser takes any bytes: what it
 * accepts is well formed as text only, verify decides whether it makes sense. */
#include "compiler/ir_text.h"
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include "runtime/base/limits.h"

enum { TYPE_COLUMN = 64, MAX_VALUES = 1 << 20 };

/* ---- printing */
static void print_string(Str text, Buf *out) {
    buf_char(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c == '"' || c == '\\') {
            buf_printf(out, "\\%c", c);
        } else if (c < 0x20 || c > 0x7e) {
            buf_printf(out, "\\x%02x", c);
        } else {
            buf_char(out, (char)c);
        }
    }
    buf_char(out, '"');
}

/* The shortest decimal that reads back as the same double, always with a point or an exponent. */
static void print_number(double number, Buf *out) {
    char text[40];
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, number);
        if (strtod(text, NULL) == number) {
            break;
        }
    }
    buf_printf(out, "%s%s", text, strpbrk(text, ".e") ? "" : ".0");
}

void ir_print_type(IrType type, Buf *out) {
    if (type.element == 0) {
        buf_char(out, '?');
        return;
    }
    buf_printf(out, "%s[", ir_element_name(type.element));
    for (int i = 0; i < type.rank; i++) {
        buf_printf(out, "%s%lld", i ? ", " : "", (long long)type.dims[i]);
    }
    buf_char(out, ']');
}

static void print_attr(const IrAttr *attr, Buf *out) {
    buf_printf(out, " %.*s=", STR_ARG(attr->key));
    switch (attr->kind) {
    case IR_INT:
        buf_printf(out, "%lld", (long long)attr->integer);
        break;
    case IR_FLOAT:
        print_number(attr->number, out);
        break;
    case IR_WORD:
        buf_str(out, attr->text);
        break;
    case IR_STRING:
        print_string(attr->text, out);
        break;
    }
}

static void print_types(const IrOp *op, size_t begin, Buf *out) {
    bool known = false;
    for (size_t i = 0; i < op->results.len; i++) {
        known |= op->results.at[i]->type.element != 0;
    }
    if (!known) {
        return;
    }
    size_t width = out->len - begin;
    buf_repeat(out, ' ', width < TYPE_COLUMN ? TYPE_COLUMN - width : 1);
    for (size_t i = 0; i < op->results.len; i++) {
        buf_printf(out, "%s", i ? ", " : ": ");
        ir_print_type(op->results.at[i]->type, out);
    }
}

void ir_print_op(const IrOp *op, Buf *out) {
    size_t begin = out->len;
    for (size_t i = 0; i < op->results.len; i++) {
        buf_printf(out, "%s%%%d", i ? ", " : "", op->results.at[i]->id);
    }
    buf_printf(out, "%s%s", op->results.len ? " = " : "", op->info->name);
    for (size_t i = 0; i < op->args.len; i++) {
        buf_printf(out, "%s", i ? ", " : " ");
        if (op->args.at[i]) {
            buf_printf(out, "%%%d", op->args.at[i]->id);
        } else {
            buf_char(out, '_');
        }
    }
    for (size_t i = 0; i < op->attrs.len; i++) {
        print_attr(&op->attrs.at[i], out);
    }
    print_types(op, begin, out);
}

void ir_print(const Ir *ir, Buf *out) {
    buf_printf(out, "mor.ir 1\nopset %lld -> %lld\nemit %.*s%s%s\n", (long long)ir->model_opset,
               (long long)ir->opset, STR_ARG(ir->emit), ir->float_weights ? " weights=float" : "",
               ir->microsoft ? " microsoft" : "");
    for (size_t i = 0; i < ir->groups.len; i++) {
        const IrGroup *group = ir->groups.at[i];
        buf_printf(out, "\ngroup ");
        print_string(group->name, out);
        buf_char(out, '\n');
        for (size_t k = 0; k < group->ops.len; k++) {
            buf_printf(out, "  ");
            ir_print_op(group->ops.at[k], out);
            buf_char(out, '\n');
        }
    }
    for (size_t i = 0; i < ir->notes.len; i++) {
        buf_printf(out, "%snote ", i ? "" : "\n");
        print_string(ir->notes.at[i], out);
        buf_char(out, '\n');
    }
}

/* ---- parsing */
typedef struct Reader {
    Session *s;
    const Source *source;
    const char *at, *end;
    Ir *ir;
    IrGroup *group;
    Map values;      /* "%3" -> IrValue, of the group */
    bool failed;
} Reader;

static bool fail(Reader *r, const char *what) {
    if (!r->failed) {
        r->failed = true;
        Span span = {r->source, (uint32_t)(r->at - r->source->text.data), 1};
        diag_error(r->s, "E0010", span, "malformed IR: %s", what);
    }
    return false;
}

/* Blanks and a comment, but not the end of the line. */
static void skip_blanks(Reader *r) {
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\r')) {
        r->at++;
    }
    if (r->at < r->end && *r->at == '#') {
        while (r->at < r->end && *r->at != '\n') {
            r->at++;
        }
    }
}

static bool at_line_end(Reader *r) {
    skip_blanks(r);
    return r->at >= r->end || *r->at == '\n';
}

static void skip_lines(Reader *r) {
    while (at_line_end(r) && r->at < r->end) {
        r->at++;
    }
}

static bool take(Reader *r, char c) {
    skip_blanks(r);
    if (r->at < r->end && *r->at == c) {
        r->at++;
        return true;
    }
    return false;
}

static bool expect_char(Reader *r, char c, const char *what) {
    return take(r, c) || fail(r, what);
}

static bool word_char(char c) {
    return isalnum((unsigned char)c) || c == '_' || c == '.';
}

/* A run of letters, digits, `_` and `.`; empty if there is none. */
static Str take_word(Reader *r) {
    skip_blanks(r);
    const char *begin = r->at;
    while (r->at < r->end && word_char(*r->at)) {
        r->at++;
    }
    return (Str){begin, (size_t)(r->at - begin)};
}

static bool expect_word(Reader *r, const char *word) {
    const char *begin = r->at;
    if (str_is(take_word(r), word)) {
        return true;
    }
    r->at = begin;
    return fail(r, str_c(r->ir->arena, str_format(r->ir->arena, "expected `%s`", word)));
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool take_string(Reader *r, Str *out) {
    if (!expect_char(r, '"', "expected a quoted string")) {
        return false;
    }
    Buf text = buf_on(r->ir->arena);
    while (r->at < r->end && *r->at != '"' && *r->at != '\n') {
        char c = *r->at++;
        if (c != '\\') {
            buf_char(&text, c);
            continue;
        }
        if (r->end - r->at >= 3 && r->at[0] == 'x' && hex_digit(r->at[1]) >= 0 &&
            hex_digit(r->at[2]) >= 0) {
            buf_char(&text, (char)(hex_digit(r->at[1]) * 16 + hex_digit(r->at[2])));
            r->at += 3;
        } else if (r->at < r->end && (*r->at == '"' || *r->at == '\\')) {
            buf_char(&text, *r->at++);
        } else {
            return fail(r, "unknown escape in a string");
        }
    }
    if (r->at >= r->end || *r->at != '"') {
        return fail(r, "string without an end");
    }
    r->at++;
    *out = buf_view(&text);
    return true;
}

static bool word_integer(Str word, int64_t *out) {
    int64_t value = 0;
    for (size_t i = 0; i < word.len; i++) {
        if (!isdigit((unsigned char)word.data[i]) || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, word.data[i] - '0', &value)) {
            return false;
        }
    }
    *out = value;
    return word.len > 0;
}

static bool take_integer(Reader *r, int64_t *out) {
    bool negative = take(r, '-');
    if (!word_integer(take_word(r), out)) {
        return fail(r, "expected an integer");
    }
    *out = negative ? -*out : *out;
    return true;
}

/* Value of an attribute: "string", integer, number (has a point or an exponent) or word. */
static bool take_attr_value(Reader *r, IrOp *op, const char *key) {
    skip_blanks(r);
    if (r->at < r->end && *r->at == '"') {
        Str text;
        TRY(take_string(r, &text));
        ir_set_string(r->ir, op, key, text);
        return true;
    }
    const char *begin = r->at;
    bool negative = take(r, '-');
    Str word = take_word(r);
    if (word.len == 0) {
        return fail(r, "expected a value");
    }
    if (!negative && !isdigit((unsigned char)word.data[0])) {
        ir_set_word(r->ir, op, key, word);
        return true;
    }
    int64_t integer;
    if (word_integer(word, &integer)) {
        ir_set_int(r->ir, op, key, negative ? -integer : integer);
        return true;
    }
    if (word.data[word.len - 1] == 'e' && r->at < r->end && (*r->at == '-' || *r->at == '+')) {
        r->at++; /* 1e-05 */
        take_word(r);
    }
    const char *text = str_c(r->ir->arena, (Str){begin, (size_t)(r->at - begin)});
    char *stop;
    double number = strtod(text, &stop);
    if (*stop != '\0' || !isfinite(number)) {
        return fail(r, "not a number");
    }
    ir_set_float(r->ir, op, key, number);
    return true;
}

static bool take_type(Reader *r, IrType *out) {
    if (take(r, '?')) {
        *out = (IrType){0};
        return true;
    }
    int element = ir_element_find(take_word(r));
    if (element == 0) {
        return fail(r, "expected an element type, such as f32 or int4");
    }
    TRY(expect_char(r, '[', "expected `[`"));
    int64_t dims[LIMIT_RANK];
    int rank = 0;
    int64_t elements = 1;
    while (!take(r, ']')) {
        if (rank == LIMIT_RANK) {
            return fail(r, "too many dimensions");
        }
        TRY(rank == 0 || expect_char(r, ',', "expected `,` or `]`"));
        TRY(take_integer(r, &dims[rank]));
        if (dims[rank] < 0 || __builtin_mul_overflow(elements, dims[rank], &elements)) {
            return fail(r, "impossible dimension");
        }
        rank++;
    }
    *out = ir_type(r->ir, element, rank, dims);
    return true;
}

/* "%12"; its digits are the key of Reader.values. */
static bool take_id(Reader *r, Str *key, int *id) {
    int64_t number;
    TRY(expect_char(r, '%', "expected a value, such as %0"));
    Str word = take_word(r);
    bool canonical = word.len == 1 || !str_starts(word, STR("0")); /* %09 would be %9 once more */
    if (!canonical || !word_integer(word, &number) || number >= MAX_VALUES) {
        return fail(r, "not a value number");
    }
    *id = (int)number;
    *key = word;
    return true;
}

static bool take_args(Reader *r, IrOp *op) {
    do {
        if (take(r, '_')) {
            ir_arg(r->ir, op, NULL);
            continue;
        }
        Str key;
        int id;
        TRY(take_id(r, &key, &id));
        IrValue *value = map_get(&r->values, key);
        if (value == NULL) {
            return fail(r, "this value is not defined above");
        }
        ir_arg(r->ir, op, value);
    } while (take(r, ','));
    return true;
}

static bool take_attrs(Reader *r, IrOp *op) {
    while (!at_line_end(r) && *r->at != ':') {
        Str key = take_word(r);
        if (key.len == 0) {
            return fail(r, "expected key=value");
        }
        const char *name = str_c(r->ir->arena, key);
        if (ir_attr(op, name)) {
            return fail(r, "attribute given twice");
        }
        TRY(expect_char(r, '=', "expected `=`") && take_attr_value(r, op, name));
    }
    return true;
}

enum { MAX_RESULTS = 8 };

typedef struct Results {
    Str keys[MAX_RESULTS];
    int ids[MAX_RESULTS];
    size_t count;
} Results;

static bool take_result_ids(Reader *r, Results *results) {
    skip_blanks(r);
    if (*r->at != '%') {
        return true;
    }
    do {
        if (results->count == MAX_RESULTS) {
            return fail(r, "too many results");
        }
        TRY(take_id(r, &results->keys[results->count], &results->ids[results->count]));
        results->count++;
    } while (take(r, ','));
    return expect_char(r, '=', "expected `=`");
}

static bool define_results(Reader *r, IrOp *op, const Results *results) {
    op->results.len = 0;
    for (size_t i = 0; i < results->count; i++) {
        if (map_get(&r->values, results->keys[i])) {
            return fail(r, "this value is defined twice");
        }
        int next = r->group->next_id;
        IrValue *value = ir_result(r->ir, r->group, op);
        value->id = results->ids[i];
        map_put(&r->values, results->keys[i], value);
        r->group->next_id = value->id >= next ? value->id + 1 : next;
    }
    if (take(r, ':')) {
        for (size_t i = 0; i < op->results.len; i++) {
            TRY(i == 0 || expect_char(r, ',', "expected a type for each result"));
            TRY(take_type(r, &op->results.at[i]->type));
        }
    }
    return at_line_end(r) || fail(r, "expected the end of the line");
}

static bool parse_op(Reader *r) {
    Results results = {.count = 0};
    TRY(take_result_ids(r, &results));
    const char *begin = r->at;
    const IrOpInfo *info = ir_op_find(take_word(r));
    if (info == NULL) {
        r->at = begin;
        return fail(r, "expected the name of an op");
    }
    if (r->group == NULL) {
        return fail(r, "an op before the first group");
    }
    int next = r->group->next_id;
    IrOp *op = ir_op(r->ir, r->group, info);
    r->group->next_id = next; /* the text numbers its values itself */
    skip_blanks(r);
    if (r->at < r->end && (*r->at == '%' || (*r->at == '_' && !word_char(r->at[1])))) {
        TRY(take_args(r, op));
    }
    return take_attrs(r, op) && define_results(r, op, &results);
}

static bool parse_header(Reader *r) {
    int64_t version;
    skip_lines(r);
    TRY(expect_word(r, "mor.ir") && take_integer(r, &version));
    if (version != 1) {
        return fail(r, "this morc reads version 1");
    }
    skip_lines(r);
    TRY(expect_word(r, "opset") && take_integer(r, &r->ir->model_opset));
    TRY(expect_char(r, '-', "expected `->`") && expect_char(r, '>', "expected `->`"));
    TRY(take_integer(r, &r->ir->opset));
    skip_lines(r);
    TRY(expect_word(r, "emit"));
    r->ir->emit = take_word(r);
    while (!at_line_end(r)) {
        Str word = take_word(r);
        if (str_is(word, "weights") && take(r, '=')) {
            TRY(expect_word(r, "float"));
            r->ir->float_weights = true;
        } else if (str_is(word, "microsoft")) {
            r->ir->microsoft = true;
        } else {
            return fail(r, "unknown word after `emit`");
        }
    }
    return true;
}

static bool parse_line(Reader *r) {
    const char *begin = r->at;
    Str word = take_word(r);
    Str text;
    if (str_is(word, "group")) {
        TRY(take_string(r, &text));
        r->group = ir_group(r->ir, text);
        r->values = map_on(r->ir->arena);
    } else if (str_is(word, "note")) {
        TRY(take_string(r, &text));
        vec_push(r->ir->arena, &r->ir->notes, text);
    } else {
        r->at = begin;
        return parse_op(r);
    }
    return at_line_end(r) || fail(r, "expected the end of the line");
}

bool ir_parse(Session *s, const Source *source, Ir **out) {
    Reader r = {.s = s, .source = source, .at = source->text.data, .ir = ir_make(s->arena)};
    r.end = r.at + source->text.len;
    TRY(parse_header(&r));
    for (skip_lines(&r); r.at < r.end; skip_lines(&r)) {
        TRY(parse_line(&r));
    }
    *out = r.ir;
    return true;
}
