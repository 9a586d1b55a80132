/* See parse.h. One driver for all entries: it asks the grammar about each token before feeding it,
 * so that an error is reported where it is and with everything that would have fitted. After an
 * error the rest of the statement is left out (its errors are echoes), and reading goes on behind
 * it. */
#include "lang/parse.h"
#include <assert.h>
#include "lang/grammar.h"
#include "lang/syntax_error.h"

typedef struct Driver {
    Parse p;
    SyntaxErrors errors;
    void *grammar;
    bool skipping;   /* the statement at hand has its error */
    int skip_braces; /* braces that are open around it */
} Driver;

static void feed(Driver *d, Token t) {
    bool fits = grammar_accepts(d->grammar, t.kind);
    d->p.refused = false;
    grammar_feed(d->grammar, t, &d->p);
    assert(!fits || !d->p.refused); /* an error would go unreported */
    (void)fits;
    if (t.kind == TK_SEP || t.kind == TK_LBRACE || t.kind == TK_RBRACE) {
        d->p.nodes = 0;
        d->p.mixed = false;
    }
}

static void skip_from(Driver *d, Token t) {
    int braces = d->p.lexer->braces;
    d->skipping = true;
    d->skip_braces = t.kind == TK_LBRACE ? braces - 1 : braces;
}

/* While the rest of a faulty statement is left out: is t where reading goes on? At its end, at the
 * next statement in spite of an open bracket, or at the block: on head tail { ... } */
static bool resumes(Driver *d, Token t) {
    Lexer *l = d->p.lexer;
    if (t.kind == 0 || (t.kind == TK_SEP && l->braces <= d->skip_braces)) {
        lexer_forget_brackets(l);
        return true;
    }
    if (l->depth > 0 && l->braces <= d->skip_braces && syntax_starts_statement(&d->errors, t)) {
        lexer_forget_brackets(l);
        feed(d, (Token){TK_SEP, t.offset, 0});
        return true;
    }
    return t.kind == TK_LBRACE && l->depth == 0 && l->braces - 1 == d->skip_braces &&
           grammar_accepts(d->grammar, TK_LBRACE) && !grammar_accepts(d->grammar, TK_SEP);
}

/* The line ends before the `{` that it needs, and the next line begins with it. */
static bool brace_follows(const Driver *d, Token t) {
    Str rest = d->p.source->text;
    rest = str_slice(rest, t.offset, rest.len);
    return t.kind == TK_SEP && t.length == 1 && rest.data[strspn(rest.data, " \t\r\n")] == '{' &&
           grammar_accepts(d->grammar, TK_LBRACE);
}

/* A token that does not fit was reported. True: a SEP was put before it, and it is to be read
 * again; ends of statements are fed as they are, and the grammar recovers there. */
static bool recover(Driver *d, Token t, bool begins_statement) {
    if (brace_follows(d, t)) {
        return false; /* as if it stood there */
    }
    if (t.kind == TK_SEP || t.kind == 0) {
        lexer_forget_brackets(d->p.lexer);
        feed(d, (Token){TK_SEP, t.offset, 0});
        return false;
    }
    if (begins_statement) {
        feed(d, (Token){TK_SEP, t.offset, 0});
        return true;
    }
    skip_from(d, t);
    return false;
}

static void unreadable(Driver *d, Token t) {
    syntax_bad_token(&d->errors, t);
    if (t.kind != BAD_CHARACTER && grammar_accepts(d->grammar, TK_BROKEN)) {
        t.kind = TK_BROKEN; /* stands in for what was meant */
        feed(d, t);
    } else {
        skip_from(d, t);
    }
}

static void take(Driver *d, Token t) {
    bool reported = d->skipping;
    d->skipping = d->skipping && !resumes(d, t);
    bool fits = t.kind < BAD_CHARACTER && grammar_accepts(d->grammar, t.kind);
    if (d->skipping) {
        fits = false;
    } else if (t.kind >= BAD_CHARACTER) {
        unreadable(d, t);
    } else if (!fits && reported) {
        feed(d, (Token){TK_SEP, t.offset, 0});
    } else if (!fits) {
        bool begins = syntax_unexpected(&d->errors, t);
        fits = recover(d, t, begins) && grammar_accepts(d->grammar, t.kind);
    }
    if (fits) {
        feed(d, t);
    }
    syntax_after(&d->errors, t);
}

/* Closes what is still open, so that a broken text has a tree too. */
static void finish(Driver *d) {
    Token end = {0, (uint32_t)d->p.source->text.len, 0};
    for (int i = 0; i < LIMIT_BRACKET_DEPTH && !grammar_accepts(d->grammar, 0); i++) {
        feed(d, (Token){TK_RBRACE, end.offset, 0});
        feed(d, (Token){TK_SEP, end.offset, 0});
    }
    if (grammar_accepts(d->grammar, 0)) {
        feed(d, end);
    }
}

/* Beyond a limit, or hopeless: nothing more is read. */
static bool gives_up(Driver *d, size_t errors) {
    Session *s = d->p.session;
    if (d->p.overflow) {
        Diag *diag =
            diag_error(s, "E0106", syntax_statement(&d->errors), "this is nested too deep");
        diag_label(diag, "in the statement that begins here");
    }
    return d->p.overflow || d->p.too_big || s->diags.errors - errors >= DIAGS_KEPT;
}

static void read_file(Driver *d, size_t errors) {
    for (;;) {
        Token t = lexer_next(d->p.lexer);
        if (t.kind == BAD_DEPTH) {
            syntax_bad_token(&d->errors, t);
            return;
        }
        take(d, t);
        if (gives_up(d, errors)) {
            return;
        }
        if (t.kind == 0) {
            break;
        }
    }
    finish(d);
}

static void read_expression(Driver *d, size_t errors) {
    for (;;) {
        Token t = lexer_next(d->p.lexer);
        if (t.kind == TK_SEP) {
            continue;
        }
        if (t.kind >= BAD_CHARACTER) {
            syntax_bad_token(&d->errors, t);
            return;
        }
        if (!grammar_accepts(d->grammar, t.kind)) {
            syntax_unexpected(&d->errors, t);
            return;
        }
        feed(d, t);
        if (t.kind == 0 || gives_up(d, errors)) {
            return;
        }
        syntax_after(&d->errors, t);
    }
}

static bool parse(Session *s, const Source *source, int mode, Ast **out) {
    size_t errors = s->diags.errors;
    Driver *d = arena_new(s->arena, Driver);
    Lexer *lexer = arena_new(s->arena, Lexer);
    *out = NULL;
    TRY(syntax_text_ok(s, source));
    lexer_open(lexer, s, source);
    d->p = (Parse){.session = s, .source = source, .lexer = lexer};
    d->grammar = grammar_open(s, mode, &d->p);
    syntax_begin(&d->errors, &d->p, d->grammar);
    if (mode == TK_MODE_FILE) {
        read_file(d, errors);
    } else {
        read_expression(d, errors);
    }
    grammar_close(d->grammar);
    if (d->p.result && mode == TK_MODE_FILE) {
        attach_comments(&d->p, d->p.result);
    }
    *out = d->p.result;
    return s->diags.errors == errors;
}

bool parse_file(Session *s, const Source *source, Ast **out) {
    return parse(s, source, TK_MODE_FILE, out);
}

bool parse_expr(Session *s, const Source *source, Ast **out) {
    return parse(s, source, TK_MODE_EXPR, out);
}
