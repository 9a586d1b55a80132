/* Fuzz target: any bytes as a recipe. Lexer, parser, printer and resolver must end without a crash;
 * a text that parses must be printed as a text that parses and prints as itself, and so must a
 * recipe that resolves. No file is opened: imports of files fail, std/llm is a short stand-in. */
#undef NDEBUG
#include <assert.h>
#include <string.h>
#include <errno.h>
#include "compiler/vocabulary.h"
#include "lang/parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const Source *source_of(Session *s, const void *data, size_t size) {
    return source_make(s->arena, STR("fuzz.mor"), (Str){(const char *)data, size}, true);
}

/* Messages are drawn for one input in eight: drawing takes most of the time. */
static bool shall_render(const uint8_t *data, size_t size) {
    unsigned sum = 0;
    for (size_t i = 0; i < size; i++) {
        sum += data[i];
    }
    return sum % 8 == 0;
}

static void render(Session *s) {
    Buf text = buf_on(s->arena);
    diags_render(&s->diags, &text, true);
    for (size_t i = 0; i < s->diags.all.len; i++) {
        diag_json(s->diags.all.at[i], &text);
    }
}

static void check_format(Session *s, const Ast *ast) {
    Buf once = buf_on(s->arena), twice = buf_on(s->arena);
    ast_format(ast, &once);
    Ast *again = NULL;
    bool parsed = parse_file(s, source_of(s, once.data, once.len), &again);
    assert(parsed && "the printed recipe does not parse");
    ast_format(again, &twice);
    assert(once.len == twice.len && memcmp(once.data, twice.data, once.len) == 0 &&
           "printing twice differs");
}

static int no_file(const char *path, int flags, mode_t mode) {
    (void)path;
    (void)flags;
    (void)mode;
    errno = ENOENT;
    return -1;
}

static bool std_file(void *user, Str name, Str *text) {
    (void)user;
    *text = STR("param n: int = 32\nselect body = linear - head\n"
                "transform small(bits: format = int4 per block(n)) { quantize(weight = bits) }\n"
                "on body { small() }\nstage edges { on first(linear) { skip } }\n");
    return str_is(name, "llm");
}

static bool resolve_text(Session *s, const Ast *ast, Recipe **recipe) {
    const ResolveOptions options = {.vocabulary = &morc_vocabulary,
                                    .elements = morc_elements,
                                    .ops = morc_ops,
                                    .targets = morc_targets,
                                    .std_file = std_file};
    size_t errors = s->diags.errors;
    bool ok = resolve(s, ast, &options, recipe);
    assert(ok == (s->diags.errors == errors) && "false if and only if an error was reported");
    return ok;
}

static void check_recipe(Session *s, const Ast *ast) {
    Recipe *recipe = NULL, *again = NULL;
    if (!resolve_text(s, ast, &recipe)) {
        return;
    }
    Buf once = buf_on(s->arena), twice = buf_on(s->arena);
    recipe_print(recipe, &once);
    Ast *printed = NULL;
    bool good = parse_file(s, source_of(s, once.data, once.len), &printed) &&
                resolve_text(s, printed, &again);
    assert(good && "the printed recipe does not resolve");
    recipe_print(again, &twice);
    bool comments = strchr(once.data, '#') != NULL; /* they say what was resolved away */
    assert((comments || strcmp(once.data, twice.data) == 0) && "printing twice differs");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Sys sys = sys_real;
    sys.open = no_file;
    Session *s = session_open(&sys);
    Ast *ast = NULL;
    if (parse_file(s, source_of(s, data, size), &ast)) {
        assert(s->diags.errors == 0 && "true although an error was reported");
        check_format(s, ast);
        check_recipe(s, ast);
    } else {
        assert(s->diags.errors > 0 && "false although no error was reported");
    }
    if (shall_render(data, size)) {
        render(s);
    }
    session_close(s);
    return 0;
}
