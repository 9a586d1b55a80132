/* See args.h. One table of flags and one of verbs drive parsing, help and suggestions. */
#include "compiler/args.h"
#include "runtime/base/limits.h"
#include "runtime/base/sanitize.h"
#include "runtime/base/schema.h"

#define ON(verb) (1u << (verb))
#define RECIPES                                                                                    \
    (ON(VERB_RUN) | ON(VERB_PLAN) | ON(VERB_CHECK) | ON(VERB_EXPLAIN) | ON(VERB_BENCH))
#define RUNS (ON(VERB_RUN) | ON(VERB_BENCH))
#define ANY 0xffffffffu

typedef struct VerbRow {
    const char *name;
    Verb verb;
    int least, most; /* positional arguments; most < 0: any number */
    const char *usage, *doc;
} VerbRow;

/* `run` has no name: a first argument that ends in .mor, is "-" or holds a '/' is a recipe. */
static const VerbRow verbs[] = {
#include "compiler/verbs.list"
};

/* In the language's design, not in this build. */
static const char *const verbs_later[] = {"diff",   "restore", "repl", "lock", "verify",
                                          "vendor", "lsp",     "import", NULL};

typedef enum FlagKind {
    FLAG_BOOL,
    FLAG_TEXT,
    FLAG_PARAM,
    FLAG_DATA,
    FLAG_COUNT,
    FLAG_SIZE,
    FLAG_INLINE,
    FLAG_LATER
} FlagKind;

typedef struct Flag {
    char brief;
    const char *name, *value;
    FlagKind kind;
    size_t field;   /* offset in Args */
    unsigned verbs; /* that take it */
    const char *doc;
} Flag;

#define FIELD(name) offsetof(Args, name)
static const Flag flags[] = {
#include "compiler/flags.list"
};
enum { FLAG_ROWS = sizeof flags / sizeof *flags, VERB_ROWS = sizeof verbs / sizeof *verbs };

typedef struct Parser {
    Session *s;
    Args *args;
    const Source *line; /* the whole command line as a pseudo-source */
    uint32_t *offsets;  /* of each argv in it */
    int argc;
    char **argv;
    bool *used; /* flags seen */
    int *used_at;
    bool help, version, limits;
} Parser;

static Span argument_span(const Parser *p, int i) {
    return (Span){p->line, p->offsets[i], (uint32_t)strlen(p->argv[i])};
}

static const Source *join_line(Session *s, int argc, char **argv, uint32_t *offsets) {
    Buf b = buf_on(s->arena);
    for (int i = 0; i < argc; i++) {
        Str word = str_from(i == 0 ? "morc" : argv[i]);
        offsets[i] = (uint32_t)b.len;
        buf_str(&b, word);
        if (i + 1 < argc) {
            buf_char(&b, ' ');
        }
    }
    return source_make(s->arena, STR("command line"), buf_view(&b), false);
}

static bool unknown_flag(Parser *p, int i, Str name) {
    Str names[FLAG_ROWS];
    for (int f = 0; f < FLAG_ROWS; f++) {
        names[f] = str_from(flags[f].name);
    }
    Diag *d = diag_error(p->s, "E1110", argument_span(p, i), "there is no flag `%s`",
                         str_safe_c(p->s->arena, str_from(p->argv[i])));
    Str near = nearest_of(name, names, FLAG_ROWS);
    if (near.len) {
        diag_label(d, "did you mean `--%.*s`?", STR_ARG(near));
    }
    diag_help(d, "morc --help lists the flags");
    return false;
}

static bool bad_value(Parser *p, int i, const Flag *flag, const char *expected) {
    Span at = argument_span(p, i);
    Diag *d = diag_error(p->s, "E1110", at, "`--%s` takes %s", flag->name, expected);
    diag_label(d, "not %s", expected);
    return false;
}

static bool parse_count(Str text, int *out) {
    uint64_t n;
    const size_t digits = str_digits(text, &n);
    *out = digits > 0 && digits == text.len && n <= LIMIT_THREADS ? (int)n : 0;
    return *out > 0;
}

/* 300MiB, 2GiB, 64KiB or plain bytes */
static bool parse_size(Str text, uint64_t *out) {
    uint64_t n = 0, unit = 1;
    const size_t digits = str_digits(text, &n);
    Str suffix = str_slice(text, digits, text.len);
    if (str_is(suffix, "KiB")) {
        unit = 1u << 10;
    } else if (str_is(suffix, "MiB")) {
        unit = 1u << 20;
    } else if (str_is(suffix, "GiB")) {
        unit = 1u << 30;
    } else if (suffix.len) {
        return false;
    }
    return digits > 0 && n > 0 && !__builtin_mul_overflow(n, unit, out);
}

static bool take_named(Parser *p, int i, const Flag *flag, Str text) {
    int64_t eq = str_find(text, '=');
    if (eq <= 0) {
        Diag *d = diag_error(p->s, "E1110", argument_span(p, i), "`-%s` takes %s",
                             flag->brief ? "p" : "-data", flag->value);
        diag_label(d, "no `=` with a name before it");
        return false;
    }
    Span word = argument_span(p, i);
    uint32_t skip = word.length - (uint32_t)text.len; /* "-p" may be attached */
    ParamFlag param = {str_slice(text, 0, (size_t)eq),
                       str_slice(text, (size_t)eq + 1, text.len),
                       {word.source, word.offset + skip, (uint32_t)eq}};
    ParamFlagList *list = flag->kind == FLAG_DATA ? &p->args->data : &p->args->params;
    vec_push(p->s->arena, list, param);
    return true;
}

/* `at` is the flag's place on the line, `i` its value's. */
static bool set_flag(Parser *p, int at, int i, const Flag *flag, Str value) {
    char *base = (char *)p->args;
    switch (flag->kind) {
    case FLAG_BOOL:
        if (flag->field) {
            *(bool *)(base + flag->field) = true;
        } else if (flag->brief == 'h') {
            p->help = true;
        } else if (str_is(str_from(flag->name), "version")) {
            p->version = true;
        } else if (str_is(str_from(flag->name), "limits")) {
            p->limits = true;
        }
        return true;
    case FLAG_TEXT:
        if (str_is(str_from(flag->name), "deny")) {
            p->args->deny_warnings = true;
            return str_is(value, "warnings") || bad_value(p, i, flag, "`warnings`");
        }
        *(Str *)(base + flag->field) = value;
        return value.len > 0 || bad_value(p, i, flag, flag->value);
    case FLAG_PARAM:
    case FLAG_DATA:
        return take_named(p, i, flag, value);
    case FLAG_INLINE:
        p->args->inline_recipe = value;
        p->args->has_inline = true;
        return true;
    case FLAG_COUNT:
        return parse_count(value, (int *)(base + flag->field)) ||
               bad_value(p, i, flag, "a number from 1 to 256");
    case FLAG_SIZE:
        return parse_size(value, (uint64_t *)(base + flag->field)) ||
               bad_value(p, i, flag, "a size such as 300MiB");
    case FLAG_LATER:
        break;
    }
    Span word = argument_span(p, at);
    Diag *d = diag_error(p->s, "E1110", word, "`--%s` is not in this build", flag->name);
    diag_label(d, "part of the language, not built yet");
    return false;
}

static const Flag *find_flag(Str word, bool brief) {
    for (int f = 0; f < FLAG_ROWS; f++) {
        if (brief ? flags[f].brief && word.data[0] == flags[f].brief
                  : str_is(word, flags[f].name)) {
            return &flags[f];
        }
    }
    return NULL;
}

/* One argument that begins with '-'. *i moves on when its value is the next word. */
static bool take_flag(Parser *p, int *i) {
    int at = *i;
    Str word = str_from(p->argv[at]);
    bool brief = word.data[1] != '-';
    Str name = str_slice(word, brief ? 1 : 2, word.len), value = {0};
    bool attached = false;
    int64_t eq = brief ? -1 : str_find(name, '=');
    if (eq >= 0) {
        value = str_slice(name, (size_t)eq + 1, name.len);
        name = str_slice(name, 0, (size_t)eq);
        attached = true;
    } else if (brief && name.len > 1) {
        value = str_slice(name, 1, name.len);
        name = str_slice(name, 0, 1);
        attached = true;
    }
    const Flag *flag = name.len ? find_flag(name, brief) : NULL;
    if (!flag || (flag->value == NULL && attached)) {
        return unknown_flag(p, at, name);
    }
    if (flag->value && !attached) {
        if (at + 1 >= p->argc) {
            return bad_value(p, at, flag, flag->value);
        }
        value = str_from(p->argv[++*i]);
    }
    long row = flag - flags;
    if (p->used[row] && flag->value && flag->kind != FLAG_PARAM && flag->kind != FLAG_DATA) {
        Span again = argument_span(p, at);
        Diag *d = diag_error(p->s, "E1110", again, "`--%s` is given twice", flag->name);
        diag_span(d, argument_span(p, p->used_at[row]), "first here");
        return false;
    }
    p->used[row] = true;
    p->used_at[row] = at;
    return set_flag(p, at, *i, flag, value);
}

static bool is_recipe_word(Str word) {
    return str_is(word, "-") || str_ends(word, STR(".mor")) || str_find(word, '/') >= 0;
}

static bool unknown_verb(Parser *p, int i) {
    Str word = str_from(p->argv[i]);
    for (int v = 0; verbs_later[v]; v++) {
        if (str_is(word, verbs_later[v])) {
            Diag *d = diag_error(p->s, "E1110", argument_span(p, i),
                                 "`morc %s` is not in this build", verbs_later[v]);
            diag_label(d, "part of the language, not built yet");
            return false;
        }
    }
    Str names[VERB_ROWS];
    for (int v = 0; v < VERB_ROWS; v++) {
        names[v] = str_from(verbs[v].name);
    }
    Diag *d = diag_error(p->s, "E1110", argument_span(p, i), "`%s` is neither a verb nor a recipe",
                         str_safe_c(p->s->arena, word));
    Str near = nearest_of(word, names + 1, VERB_ROWS - 1);
    if (near.len) {
        diag_label(d, "did you mean `%.*s`?", STR_ARG(near));
    }
    if (str_ends(word, STR(".onnx"))) {
        diag_help(d, "the recipe comes before the model: morc RECIPE MODEL");
        return false;
    }
    diag_help(d, "a recipe ends in .mor, is `-` (stdin) or holds a `/`: ./%s",
              str_safe_c(p->s->arena, word));
    return false;
}

static bool choose_verb(Parser *p, int first) {
    p->args->verb = p->args->dry_run ? VERB_PLAN : VERB_RUN;
    if (first == 0) {
        return true;
    }
    Str word = str_from(p->argv[first]);
    for (int v = 1; v < VERB_ROWS; v++) {
        if (str_is(word, verbs[v].name)) {
            p->args->verb = verbs[v].verb;
            memmove(p->args->files.at, p->args->files.at + 1, --p->args->files.len * sizeof(Str));
            return true;
        }
    }
    return p->args->has_inline || is_recipe_word(word) || unknown_verb(p, first);
}

static const VerbRow *verb_row(Verb verb) {
    for (int v = 0; v < VERB_ROWS; v++) {
        if (verbs[v].verb == verb) {
            return &verbs[v];
        }
    }
    return &verbs[0];
}

static bool check_counts(Parser *p) {
    const VerbRow *row = verb_row(p->args->verb);
    int n = (int)p->args->files.len + (p->args->has_inline ? 1 : 0);
    int least = row->least;
    if ((p->args->verb == VERB_RUN || p->args->verb == VERB_PLAN || p->args->verb == VERB_BENCH) &&
        p->args->dump.len == 0) {
        least = 2;
    }
    if (n >= least && (row->most < 0 || n <= row->most)) {
        return true;
    }
    Span end = {p->line, (uint32_t)p->line->text.len, 1};
    Diag *d =
        diag_error(p->s, "E1110", n < least ? end : argument_span(p, p->argc - 1),
                   n < least ? "something is missing on the command line" : "too many arguments");
    diag_help(d, "usage: morc %s%s%s", row->name, *row->name ? " " : "", row->usage);
    return false;
}

/* auto, host, cuda or cuda:N */
static bool check_device(Parser *p) {
    Args *args = p->args;
    const Str device = args->device;
    uint64_t n = 0;
    if (device.len == 0 || str_is(device, "auto") || str_is(device, "host")) {
        return true;
    }
    const Str ordinal = str_slice(device, 5, device.len);
    if (!str_is(device, "cuda") &&
        (!str_starts(device, STR("cuda:")) || str_digits(ordinal, &n) != ordinal.len ||
         ordinal.len == 0 || ordinal.len > 3)) {
        diag_error(p->s, "E1110", NO_SPAN, "`--device` is auto, host, cuda or cuda:N");
        return false;
    }
    args->gpu = str_is(device, "cuda") ? -1 : (int)n;
    return true;
}

static bool check_flags_of_verb(Parser *p) {
    unsigned verb = ON(p->args->verb) | (p->args->dry_run ? ON(VERB_RUN) : 0u);
    for (int f = 0; f < FLAG_ROWS; f++) {
        if (p->used[f] && !(flags[f].verbs & verb)) {
            diag_error(p->s, "E1110", argument_span(p, p->used_at[f]),
                       "`morc %s` does not take `--%s`", verb_row(p->args->verb)->name,
                       flags[f].name);
            return false;
        }
    }
    Str color = p->args->color;
    if (color.len && !str_is(color, "auto") && !str_is(color, "always") &&
        !str_is(color, "never")) {
        diag_error(p->s, "E1110", NO_SPAN, "`--color` is auto, always or never");
        return false;
    }
    return check_device(p);
}

/* `morc help VERB` */
static bool help_of(Parser *p, int i) {
    for (int v = 1; v < VERB_ROWS; v++) {
        if (str_is(p->args->files.at[0], verbs[v].name)) {
            p->args->helped = verbs[v].verb;
            return true;
        }
    }
    return unknown_verb(p, i);
}

bool args_parse(Session *s, int argc, char **argv, Args *out) {
    memset(out, 0, sizeof *out);
    Parser p = {.s = s, .args = out, .argc = argc, .argv = argv};
    p.offsets = arena_many(s->arena, uint32_t, (size_t)argc + 1);
    p.used = arena_many(s->arena, bool, FLAG_ROWS);
    p.used_at = arena_many(s->arena, int, FLAG_ROWS);
    p.line = join_line(s, argc, argv, p.offsets);
    out->line = p.line->text;
    int first = 0;
    bool plain = false;
    for (int i = 1; i < argc; i++) {
        Str word = str_from(argv[i]);
        if (!plain && str_is(word, "--")) {
            plain = true;
        } else if (!plain && word.len > 1 && word.data[0] == '-') {
            TRY(take_flag(&p, &i));
        } else {
            first = first ? first : i;
            vec_push(s->arena, &out->files, word);
        }
    }
    if (p.version || p.limits) {
        out->verb = p.version ? VERB_VERSION : VERB_LIMITS;
        return true;
    }
    if (argc <= 1) {
        out->verb = VERB_HELP;
        return true;
    }
    if (out->dump.len && str_is(out->dump, "list")) {
        out->verb = VERB_DUMPS;
        return true;
    }
    out->helped = VERB_HELP;
    if (p.help && first == 0) {
        out->verb = VERB_HELP;
        return true;
    }
    TRY(choose_verb(&p, first));
    if (p.help) {
        out->helped = out->verb;
        out->verb = VERB_HELP;
        return true;
    }
    if (out->verb == VERB_HELP && out->files.len == 1) {
        return help_of(&p, argc - 1);
    }
    return check_flags_of_verb(&p) && check_counts(&p);
}

void args_help(Verb verb, Buf *out) {
    if (verb == VERB_HELP) {
        buf_printf(out, "morc %s compresses neural networks as a recipe says.\n\n", MORC_VERSION);
    }
    for (int v = 0; v < VERB_ROWS; v++) {
        if (verb == VERB_HELP || verbs[v].verb == verb) {
            Buf usage = buf_on(out->arena);
            buf_printf(&usage, "morc %s%s%s", verbs[v].name, *verbs[v].name ? " " : "",
                       verbs[v].usage);
            buf_printf(out, "  %-44s %s\n", usage.data, verbs[v].doc);
        }
    }
    buf_printf(out, "\nFlags, anywhere on the line:\n");
    for (int f = 0; f < FLAG_ROWS; f++) {
        if (flags[f].kind == FLAG_LATER || !(verb == VERB_HELP || flags[f].verbs & ON(verb))) {
            continue;
        }
        Buf left = buf_on(out->arena);
        if (flags[f].brief) {
            buf_printf(&left, "-%c, ", flags[f].brief);
        } else {
            buf_repeat(&left, ' ', 4);
        }
        buf_printf(&left, "--%s%s%s", flags[f].name, flags[f].value ? " " : "",
                   flags[f].value ? flags[f].value : "");
        buf_printf(out, "  %-32s %s\n", left.data, flags[f].doc);
    }
    buf_printf(
        out,
        "\nExit: 0 done, 1 recipe, 2 command line, 3 an expect failed, 4 this machine cannot,\n"
        "5 a file, 70 a bug in morc, 128+n a signal.\n");
}
