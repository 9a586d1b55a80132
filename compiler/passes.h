/* The pass pipeline over IR: every row of passes.list is a function Ir -> Ir in compiler/pass/. */
#ifndef COMPILER_PASSES_H
#define COMPILER_PASSES_H
#include "compiler/ir.h"

typedef struct Pass {
    const char *name;
    bool typed;   /* needs the types of all values */
    bool (*run)(Session *s, Ir *ir); /* false: reported */
    const char *doc;
} Pass;

extern const Pass passes[]; /* ends in a NULL name */

#define PASS(name, types, doc) bool pass_##name(Session *s, Ir *ir);
#include "compiler/passes.list"
#undef PASS

/* One pass, then verify. A pass that leaves a wrong IR is a bug of morc: E0002, with the op. */
bool passes_run_one(Session *s, Ir *ir, const Pass *pass);
/* All passes in order. The IR after pass `dump` goes to dump_out (NULL: none wanted). */
bool passes_run(Session *s, Ir *ir, Str dump, Buf *dump_out);

/* `morc opt --pass=NAME FILE.ir`: parses, verifies (E0010), runs one pass, prints. */
bool passes_opt(Session *s, const Source *text, Str pass, Buf *out);

#endif
