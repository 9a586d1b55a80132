/* Fuzz target: any bytes as a recipe. Lexer, parser and printer must end without a
 * crash; a text that parses must be printed as a text that parses and prints as itself. */
#undef NDEBUG
#include <assert.h>
#include <string.h>
#include "lang/parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const Source *source_of(Session *s, const void *data, size_t size)
{
    return source_make(s->arena, STR("fuzz.mor"), (Str){(const char *)data, size}, true);
}

/* Messages are drawn for one input in eight: drawing takes most of the time. */
static bool shall_render(const uint8_t *data, size_t size)
{
    unsigned sum = 0;
    for (size_t i = 0; i < size; i++) {
        sum += data[i];
    }
    return sum % 8 == 0;
}

static void render(Session *s)
{
    Buf text = buf_on(s->arena);
    diags_render(&s->diags, &text, true);
    for (size_t i = 0; i < s->diags.all.len; i++) {
        diag_json(s->diags.all.at[i], &text);
    }
}

static void check_format(Session *s, const Ast *ast)
{
    Buf once = buf_on(s->arena), twice = buf_on(s->arena);
    ast_format(ast, &once);
    Ast *again = NULL;
    bool parsed = parse_file(s, source_of(s, once.data, once.len), &again);
    assert(parsed && "the printed recipe does not parse");
    ast_format(again, &twice);
    assert(once.len == twice.len && memcmp(once.data, twice.data, once.len) == 0 &&
           "printing twice differs");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Session *s = session_open(&sys_real);
    Ast *ast = NULL;
    if (parse_file(s, source_of(s, data, size), &ast)) {
        assert(s->diags.errors == 0 && "true although an error was reported");
        check_format(s, ast);
    } else {
        assert(s->diags.errors > 0 && "false although no error was reported");
    }
    if (shall_render(data, size)) {
        render(s);
    }
    session_close(s);
    return 0;
}
