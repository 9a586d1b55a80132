/* Runs the passes of passes.list with verify between them (passes.h). */
#include "compiler/passes.h"
#include "compiler/ir_text.h"
#include "compiler/verify.h"
#include "runtime/base/schema.h"

enum { types_any = false, types_typed = true };

const Pass passes[] = {
#define PASS(name, types, doc) {#name, types_##types, pass_##name, doc},
#include "compiler/passes.list"
#undef PASS
    {NULL, false, NULL, NULL},
};

/* Rows run in their order and `shape` is the first: types hold from there on. */
bool passes_run_one(Session *s, Ir *ir, const Pass *pass) {
    TRY(pass->run(s, ir));
    Buf why = buf_on(ir->arena);
    if (verify(ir, true, &why)) {
        return true;
    }
    Diag *d = diag_error(s, "E0002", NO_SPAN, "bug in morc: pass `%s` left a wrong IR", pass->name);
    diag_note(d, "%.*s", STR_ARG(buf_view(&why)));
    diag_help(d, "please report it with the recipe and what `morc -d %s` prints", pass->name);
    return false;
}

bool passes_run(Session *s, Ir *ir, Str dump, Buf *dump_out) {
    for (const Pass *pass = passes; pass->name; pass++) {
        TRY(passes_run_one(s, ir, pass));
        if (dump_out && str_is(dump, pass->name)) {
            ir_print(ir, dump_out);
        }
    }
    return true;
}

static const Pass *find_pass(Session *s, Str name) {
    Str names[16];
    size_t count = 0;
    for (const Pass *pass = passes; pass->name; pass++) {
        if (str_is(name, pass->name)) {
            return pass;
        }
        names[count++] = str_from(pass->name);
    }
    Diag *d = diag_error(s, "E0010", NO_SPAN, "there is no pass `%.*s`", STR_ARG(name));
    Str near = nearest_of(name, names, count);
    if (near.len) {
        diag_help(d, "did you mean `%.*s`?", STR_ARG(near));
    } else {
        diag_help(d, "`morc -d list` names them");
    }
    return NULL;
}

bool passes_opt(Session *s, const Source *text, Str name, Buf *out) {
    const Pass *pass = find_pass(s, name);
    Ir *ir;
    if (pass == NULL || !ir_parse(s, text, &ir)) {
        return false;
    }
    Buf why = buf_on(ir->arena);
    if (!verify(ir, pass->typed, &why)) {
        Diag *d = diag_error(s, "E0010", NO_SPAN, "this IR does not hold together");
        diag_where(d, "%.*s", STR_ARG(text->name));
        diag_note(d, "%.*s", STR_ARG(buf_view(&why)));
        return false;
    }
    TRY(passes_run_one(s, ir, pass));
    ir_print(ir, out);
    return true;
}
