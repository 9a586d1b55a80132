/* Gives every comment, and every blank line, to the statement it belongs to: above it, at the end
 * of its line, or (nothing follows) inside the block that it closes. Comments inside an expression
 * move above their statement. "##" lines become the doc text of a declaration. */
#include "lang/build.h"

typedef struct Attach {
    Parse *p;
    size_t next; /* comment to be placed */
} Attach;

static const Token *peek(const Attach *a) {
    return a->next < a->p->lexer->comments.len ? &a->p->lexer->comments.at[a->next] : NULL;
}

static Str comment_text(const Attach *a, const Token *t) {
    Str s = span_text(token_span(a->p, *t));
    while (s.len &&
           (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\t' || s.data[s.len - 1] == '\r')) {
        s.len--;
    }
    return s;
}

static AstComments *comments_of(Attach *a, Ast *node) {
    if (!node->comments) {
        node->comments = arena_new(a->p->session->arena, AstComments);
    }
    return node->comments;
}

static bool blank_between(const Attach *a, uint32_t from, uint32_t to) {
    const char *text = a->p->source->text.data;
    int lines = 0;
    for (uint32_t i = from; i < to; i++) {
        lines += text[i] == '\n' ? 1 : 0;
    }
    return lines >= 2;
}

/* Takes the comments that begin before `limit`; returns where the last thing placed ended. */
static uint32_t take_before(Attach *a, AstComments *c, bool inside, uint32_t from, uint32_t limit) {
    Arena *arena = a->p->session->arena;
    for (const Token *t = peek(a); t && t->offset < limit; t = peek(a)) {
        Str blank = {"", 0}, text = comment_text(a, t);
        if (blank_between(a, from, t->offset)) {
            if (inside) {
                vec_push(arena, &c->inside, blank);
            } else {
                vec_push(arena, &c->before, blank);
            }
        }
        if (inside) {
            vec_push(arena, &c->inside, text);
        } else {
            vec_push(arena, &c->before, text);
        }
        from = t->offset + t->length;
        a->next++;
    }
    return from;
}

static void collect_doc(Attach *a, Ast *node) {
    Buf doc = buf_on(a->p->session->arena);
    for (size_t i = 0; node->comments && i < node->comments->before.len; i++) {
        Str line = node->comments->before.at[i];
        if (!str_starts(line, STR("##"))) {
            doc.len = 0;
            continue;
        }
        size_t skip = 2;
        while (skip < line.len && line.data[skip] == ' ') {
            skip++;
        }
        if (doc.len) {
            buf_char(&doc, '\n');
        }
        buf_str(&doc, str_slice(line, skip, line.len));
    }
    node->doc = doc.len ? buf_view(&doc) : (Str){"", 0};
}

static void attach_list(Attach *a, Ast *owner, AstList *list, uint32_t begin, uint32_t end);

/* The statements of fn name(...) { lets; result }. */
static void attach_function(Attach *a, Ast *node) {
    AstList body = {0};
    for (size_t i = 0; i < node->kids.len; i++) {
        if (node->kids.at[i]->kind == AST_LET) {
            vec_push(a->p->session->arena, &body, node->kids.at[i]);
        }
    }
    vec_push(a->p->session->arena, &body, node->a);
    attach_list(a, node, &body, body.at[0]->span.offset, node->span.offset + node->span.length);
}

static void attach_blocks(Attach *a, Ast *node) {
    Ast *children[2] = {node->a, node->b};
    for (int i = 0; i < 2; i++) {
        Ast *c = children[i];
        if (c && c->kind == AST_BLOCK) {
            take_before(a, comments_of(a, node), false, c->span.offset, c->span.offset);
            attach_list(a, c, &c->kids, c->span.offset + 1, c->span.offset + c->span.length);
        }
    }
    if (node->kind == AST_STAGE || node->kind == AST_BLOCK) {
        attach_list(a, node, &node->kids, node->span.offset + 1,
                    node->span.offset + node->span.length);
    } else if (node->kind == AST_FN && node->flag) {
        attach_function(a, node);
    }
}

static bool same_line(const Attach *a, uint32_t from, uint32_t to) {
    const char *text = a->p->source->text.data;
    return memchr(text + from, '\n', to - from) == NULL;
}

static void attach_list(Attach *a, Ast *owner, AstList *list, uint32_t begin, uint32_t end) {
    uint32_t from = begin;
    for (size_t i = 0; i < list->len; i++) {
        Ast *node = list->at[i];
        uint32_t start = node->span.offset, stop = start + node->span.length;
        AstComments *c = comments_of(a, node);
        from = take_before(a, c, false, from, start);
        if (blank_between(a, from, start)) {
            Str blank = {"", 0};
            vec_push(a->p->session->arena, &c->before, blank);
        }
        collect_doc(a, node);
        attach_blocks(a, node);
        take_before(a, c, false, stop, stop);
        const Token *t = peek(a);
        uint32_t limit = i + 1 < list->len ? list->at[i + 1]->span.offset : end;
        from = stop;
        if (t && t->offset < limit && same_line(a, stop, t->offset)) {
            c->after = comment_text(a, t);
            from = t->offset + t->length;
            a->next++;
        }
    }
    take_before(a, comments_of(a, owner), true, from, end);
}

void attach_comments(Parse *p, Ast *recipe) {
    Attach a = {.p = p};
    attach_list(&a, recipe, &recipe->kids, 0, (uint32_t)p->source->text.len + 1);
}
