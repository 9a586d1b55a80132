/* See pattern.h. A glob becomes a list of alternatives (its braces expanded), each a row of tokens
 * that a set of states walks over the path, so no pattern can make matching slow. */
#include "lang/pattern.h"
#include <tre/tre.h>
#include "runtime/base/limits.h"

typedef enum TokenKind {
    GLOB_CHAR,   /* this character */
    GLOB_ONE,    /* ?   one character, not a dot */
    GLOB_STAR,   /* *   any text without a dot */
    GLOB_ALL,    /* **  any text */
    GLOB_LEAD,   /* **. nothing (skips the next two), or any text that ends in a dot (the next) */
    GLOB_DOT,    /* the second half of GLOB_LEAD */
    GLOB_TAIL    /* .** nothing, or a dot and any text (the next, GLOB_ALL) */
} TokenKind;

typedef struct GlobToken {
    TokenKind kind;
    char c;
} GlobToken;

typedef Vec(GlobToken) GlobTokens;

struct Pattern {
    bool is_regex;
    regex_t regex;
    Cleanup cleanup;
    Vec(GlobTokens) alternatives;
    bool *now, *next;       /* scratch of matching: longest alternative + 1 */
};

static Diag *bad_pattern(Session *s, Span span, const char *what)
{
    Diag *d = diag_error(s, "E0105", span, "this pattern is not valid");
    diag_label(d, "%s", what);
    return d;
}

/* ---- globs */

static GlobTokens tokenize(Session *s, Str text)
{
    GlobTokens out = {0};
    Arena *a = s->arena;
    for (size_t i = 0; i < text.len; i++) {
        Str rest = str_slice(text, i, text.len);
        if (str_starts(rest, STR("**."))) {
            vec_push(a, &out, (GlobToken){GLOB_LEAD, 0});
            vec_push(a, &out, (GlobToken){GLOB_DOT, 0});
            i += 2;
        } else if (str_is(rest, ".**")) {
            vec_push(a, &out, (GlobToken){GLOB_TAIL, 0});
            vec_push(a, &out, (GlobToken){GLOB_ALL, 0});
            i += 2;
        } else if (str_starts(rest, STR("**"))) {
            vec_push(a, &out, (GlobToken){GLOB_ALL, 0});
            i += 1;
        } else {
            char c = rest.data[0];
            TokenKind kind = c == '*' ? GLOB_STAR : c == '?' ? GLOB_ONE : GLOB_CHAR;
            vec_push(a, &out, (GlobToken){kind, c});
        }
    }
    return out;
}

static bool parse_range(Str item, int64_t *from, int64_t *to)
{
    int64_t *part = from;
    size_t digits = 0;
    *from = *to = 0;
    for (size_t i = 0; i < item.len; i++) {
        char c = item.data[i];
        if (c >= '0' && c <= '9' && digits < 9) {
            *part = *part * 10 + (c - '0');
            digits++;
        } else if (c == '.' && digits && part == from && i + 1 < item.len && item.data[i + 1] == '.') {
            part = to;
            digits = 0;
            i++;
        } else {
            return false;
        }
    }
    return part == to && digits > 0;
}

static bool add_alternative(Session *s, Pattern *p, Str text, Span span);

/* prefix{a,b,0..3}suffix: one alternative for each item */
static bool expand(Session *s, Pattern *p, Str text, size_t open, Span span)
{
    size_t close = open + 1;
    while (close < text.len && text.data[close] != '}' && text.data[close] != '{') {
        close++;
    }
    if (close >= text.len || text.data[close] == '{') {
        bad_pattern(s, span, close >= text.len ? "`{` without `}`" : "braces inside braces");
        return false;
    }
    Str head = str_slice(text, 0, open), tail = str_slice(text, close + 1, text.len);
    for (size_t at = open + 1; at <= close;) {
        size_t end = at;
        while (end < close && text.data[end] != ',') {
            end++;
        }
        Str item = str_slice(text, at, end);
        int64_t from, to;
        if (parse_range(item, &from, &to)) {
            if (to < from || to - from >= LIMIT_PATTERN_ALTERNATIVES) {
                bad_pattern(s, span, "a range in { } runs upward and has at most 1000 numbers");
                return false;
            }
            for (int64_t n = from; n <= to; n++) {
                TRY(add_alternative(s, p, str_format(s->arena, "%.*s%lld%.*s", STR_ARG(head), (long long)n, STR_ARG(tail)), span));
            }
        } else {
            TRY(add_alternative(s, p, str_format(s->arena, "%.*s%.*s%.*s", STR_ARG(head), STR_ARG(item), STR_ARG(tail)), span));
        }
        at = end + 1;
    }
    return true;
}

static bool add_alternative(Session *s, Pattern *p, Str text, Span span)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '{') {
            return expand(s, p, text, i, span);
        }
        if (text.data[i] == '}' || text.data[i] == '[' || text.data[i] == ']') {
            bad_pattern(s, span, text.data[i] == '}' ? "`}` without `{`" : "globs have no [ ] classes; write {a,b} or re\"...\"");
            return false;
        }
    }
    if (p->alternatives.len >= LIMIT_PATTERN_ALTERNATIVES) {
        bad_pattern(s, span, "more than 1000 alternatives in { }");
        return false;
    }
    vec_push(s->arena, &p->alternatives, tokenize(s, text));
    return true;
}

Pattern *pattern_glob(Session *s, Str text, Span span)
{
    Pattern *p = arena_new(s->arena, Pattern);
    if (text.len == 0 || text.len > LIMIT_PATTERN_BYTES) {
        bad_pattern(s, span, text.len ? "longer than 4096 bytes" : "empty");
        return NULL;
    }
    if (!add_alternative(s, p, text, span)) {
        return NULL;
    }
    size_t longest = 0;
    for (size_t i = 0; i < p->alternatives.len; i++) {
        longest = p->alternatives.at[i].len > longest ? p->alternatives.at[i].len : longest;
    }
    p->now = arena_many(s->arena, bool, longest + 1);
    p->next = arena_many(s->arena, bool, longest + 1);
    return p;
}

/* States reachable without reading anything: each token may only reach forward. */
static void close_states(const GlobTokens *t, bool *states)
{
    for (size_t i = 0; i < t->len; i++) {
        if (!states[i]) {
            continue;
        }
        TokenKind kind = t->at[i].kind;
        if (kind == GLOB_STAR || kind == GLOB_ALL) {
            states[i + 1] = true;
        } else if (kind == GLOB_LEAD) {
            states[i + 1] = states[i + 2] = true;
        } else if (kind == GLOB_TAIL) {
            states[i + 2] = true;
        }
    }
}

static void step(const GlobTokens *t, const bool *now, bool *next, char c)
{
    memset(next, 0, t->len + 1);
    for (size_t i = 0; i < t->len; i++) {
        if (!now[i]) {
            continue;
        }
        switch (t->at[i].kind) {
        case GLOB_CHAR:
            next[i + 1] |= c == t->at[i].c;
            break;
        case GLOB_ONE:
            next[i + 1] |= c != '.';
            break;
        case GLOB_STAR:
            next[i] |= c != '.';
            break;
        case GLOB_ALL:
            next[i] = true;
            break;
        case GLOB_DOT:
            next[i] = true;
            next[i + 1] |= c == '.';
            break;
        case GLOB_TAIL:
            next[i + 1] |= c == '.';
            break;
        case GLOB_LEAD:
            break;
        }
    }
}

static bool match_one(const Pattern *p, const GlobTokens *t, Str path)
{
    bool *now = p->now, *next = p->next;
    memset(now, 0, t->len + 1);
    now[0] = true;
    close_states(t, now);
    for (size_t i = 0; i < path.len; i++) {
        step(t, now, next, path.data[i]);
        close_states(t, next);
        bool *swap = now;
        now = next;
        next = swap;
    }
    return now[t->len];
}

/* ---- regexes */

static void release(Session *s, void *owner)
{
    (void)s;
    tre_regfree(&((Pattern *)owner)->regex);
}

Pattern *pattern_regex(Session *s, Str text, Span span)
{
    if (text.len == 0 || text.len > LIMIT_PATTERN_BYTES || memchr(text.data, 0, text.len)) {
        bad_pattern(s, span, text.len ? "longer than 4096 bytes" : "empty");
        return NULL;
    }
    for (size_t i = 0; i + 1 < text.len; i++) {
        if (text.data[i] == '\\') {
            char c = text.data[++i];
            if (c >= '1' && c <= '9') {
                bad_pattern(s, span, "back-references are not allowed: they cannot run in linear time");
                return NULL;
            }
        }
    }
    Pattern *p = arena_new(s->arena, Pattern);
    p->is_regex = true;
    Str whole = str_format(s->arena, "^(%.*s)$", STR_ARG(text));
    int error = tre_regncomp(&p->regex, whole.data, whole.len, REG_EXTENDED | REG_NOSUB);
    if (error) {
        char message[128];
        tre_regerror(error, &p->regex, message, sizeof message);
        bad_pattern(s, span, message);
        return NULL;
    }
    session_on_close(s, &p->cleanup, release, p);
    return p;
}

bool pattern_match(const Pattern *p, Str path)
{
    if (p->is_regex) {
        return tre_regnexec(&p->regex, path.data, path.len, 0, NULL, 0) == 0;
    }
    for (size_t i = 0; i < p->alternatives.len; i++) {
        if (match_one(p, &p->alternatives.at[i], path)) {
            return true;
        }
    }
    return false;
}
