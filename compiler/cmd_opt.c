/* `morc opt --pass NAME FILE.ir`: one pass on IR text, for people who work on passes. */
#include "compiler/cmd.h"
#include "compiler/passes.h"
#include "runtime/base/file.h"

enum { IR_BYTES = 64 << 20 };

bool cmd_opt(Console *c, const Args *args) {
    Str text;
    TRY(file_read_text(c->s, args->files.at[0], IR_BYTES, &text));
    const Source *source = source_make(c->s->arena, args->files.at[0], text, true);
    Buf b = buf_on(c->s->arena);
    TRY(passes_opt(c->s, source, args->pass, &b));
    console_out(c, buf_view(&b));
    return true;
}
