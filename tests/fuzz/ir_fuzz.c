/* Fuzz target: any bytes as IR text. What parses prints as text that parses and prints as itself;
 * what verifies goes through all passes, and whatever they leave verifies. */
#undef NDEBUG
#include <assert.h>
#include <string.h>
#include "compiler/ir_text.h"
#include "compiler/passes.h"
#include "compiler/verify.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const Source *source_of(Session *s, const void *data, size_t size)
{
    return source_make(s->arena, STR("fuzz.ir"), (Str){(const char *)data, size}, true);
}

static void check_text(Session *s, const Ir *ir)
{
    Buf once = buf_on(s->arena), twice = buf_on(s->arena);
    Ir *again = NULL;
    ir_print(ir, &once);
    bool parsed = ir_parse(s, source_of(s, once.data, once.len), &again);
    assert(parsed && "the printed IR does not parse");
    ir_print(again, &twice);
    assert(once.len == twice.len && memcmp(once.data, twice.data, once.len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Session *s = session_open(&sys_real);
    Ir *ir = NULL;
    if (!ir_parse(s, source_of(s, data, size), &ir)) {
        assert(s->diags.errors == 1 && "false although no error was reported");
        session_close(s);
        return 0;
    }
    check_text(s, ir);
    Buf why = buf_on(s->arena);
    if (verify(ir, false, &why) && passes_run(s, ir, STR(""), NULL)) {
        check_text(s, ir);
    }
    for (size_t i = 0; i < s->diags.all.len; i++) {
        assert(!str_is(s->diags.all.at[i]->code, "E0002") && "a pass left a wrong IR");
    }
    session_close(s);
    return 0;
}
