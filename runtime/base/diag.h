/* Diagnostics: collected, then rendered once, as text (docs/language.md "Diagnostics") or as JSON
 * lines. One code, one sentence, one primary span, secondary spans for the other half of a
 * conflict, then "= " lines. Everything is sanitised when it is rendered (sanitize.h), so names and
 * paths out of files may be given as they are; a "%" belongs into the format only.
 *
 *     Diag *d = diag_error(s, "E0301", span, "this pattern matches no layer of %s", name);
 *     diag_label(d, "0 of %s nodes", n);             // text under the primary caret
 *     diag_span(d, other, "first rule: 112 layers"); // secondary
 *     diag_line(d, "nearest: `lm_head`");            // "= nearest: ..."
 *     diag_note(d, "..."); diag_help(d, "...");      // "= note: ...", "= help: ..."
 *     diag_fix(d, true, span, "lm_head");            // for --json and check --fix; true = safe
 *
 * A "\n" inside a line continues it, indented, on the next. An identical diagnostic (code, span,
 * message) is dropped: none is shown twice (the Diag returned is then one that nobody sees). */
#ifndef RUNTIME_BASE_DIAG_H
#define RUNTIME_BASE_DIAG_H
#include "runtime/base/source.h"
#include "runtime/base/vec.h"

typedef enum DiagLevel { DIAG_ERROR, DIAG_WARNING } DiagLevel;

typedef struct DiagLabel {
    Span span;
    Str text;
} DiagLabel;

typedef struct DiagFix {
    bool safe;
    Span span;
    Str text;
} DiagFix;

typedef struct Diag {
    struct Diags *owner;
    DiagLevel level;
    Str code, message;
    DiagLabel primary; /* span.source NULL: no place */
    Str where;         /* instead of a span: "model.onnx: @0x1f40", printed after "-->" */
    Vec(DiagLabel) secondary;
    Vec(Str) lines; /* with their "note: " or "help: " prefix */
    Vec(DiagFix) fixes;
} Diag;

typedef struct Diags {
    Arena *arena;
    Vec(Diag *) all;         /* in the order of reporting; at most DIAGS_KEPT */
    size_t errors, warnings; /* reported, kept or not */
} Diags;

enum { DIAGS_KEPT = 1000 };

struct Session;
Diag *diag_error(struct Session *s, const char *code, Span at, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
Diag *diag_warning(struct Session *s, const char *code, Span at, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void diag_where(Diag *d, const char *format, ...) __attribute__((format(printf, 2, 3)));
void diag_label(Diag *d, const char *format, ...) __attribute__((format(printf, 2, 3)));
void diag_span(Diag *d, Span at, const char *format, ...) __attribute__((format(printf, 3, 4)));
void diag_line(Diag *d, const char *format, ...) __attribute__((format(printf, 2, 3)));
void diag_note(Diag *d, const char *format, ...) __attribute__((format(printf, 2, 3)));
void diag_help(Diag *d, const char *format, ...) __attribute__((format(printf, 2, 3)));
void diag_fix(Diag *d, bool safe, Span at, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static const Span NO_SPAN __attribute__((unused)) = {0, 0, 0};

/* Text of all diagnostics (sorted by file and offset, errors and warnings mixed), at most
 * LIMIT_DIAGNOSTICS errors, then "... and N more errors". Colour with ANSI codes when asked. */
void diags_render(const Diags *diags, Buf *out, bool colour);
void diag_render(const Diag *d, Buf *out, bool colour);
void diag_json(const Diag *d, Buf *out); /* one line, with its newline */
/* Indices into `all` in the order of diags_render, on the arena; for --json. */
Diag **diags_sorted(const Diags *diags);
/* Forgets what was collected so far, counts too: a new moment begins. */
void diags_clear(Diags *diags);

#endif
