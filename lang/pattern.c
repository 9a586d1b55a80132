/* See pattern.h. A glob becomes a small nondeterministic automaton: a list of instructions, of
 * which a set is active at a time, so that no pattern makes matching slow. A regex is TRE's. */
#include "lang/pattern.h"
#include <tre/tre.h>
#include "runtime/base/alloc.h"
#include "runtime/base/limits.h"

typedef enum GlobOp {
    GLOB_CHAR,  /* the character `c` */
    GLOB_ANY,   /* one character, not '.' */
    GLOB_SPLIT, /* go on at x and at y */
    GLOB_JUMP,  /* go on at x */
    GLOB_MATCH
} GlobOp;

typedef struct GlobStep {
    GlobOp op;
    uint32_t c; /* bytes of one UTF-8 character */
    int x, y;
} GlobStep;

struct Pattern {
    bool is_regex;
    Vec(GlobStep) steps;
    int *active, *next, *seen; /* sets of steps while matching; seen: round in which it was added */
    regex_t regex;
    Cleanup cleanup;
};

/* ---- compiling globs */

typedef struct GlobParse {
    Session *s;
    Pattern *p;
    Str text;
    Span span;
    size_t at;
    int depth, alternatives;
} GlobParse;

/* Where `offset` of a decoded text stands in the source; the whole literal if escapes moved it. */
static Span inside(Str text, Span literal, size_t offset, size_t length) {
    uint32_t lead = literal.length == text.len + 4 ? 3 : 1;
    if (!literal.source || (literal.length != text.len + 2 && literal.length != text.len + 4)) {
        return literal;
    }
    return (Span){literal.source, literal.offset + lead + (uint32_t)offset, (uint32_t)length};
}

static Diag *bad_glob(GlobParse *g, size_t at, size_t length, const char *why) {
    return diag_error(g->s, "E0105", inside(g->text, g->span, at, length), "%s", why);
}

static int emit(GlobParse *g, GlobOp op, uint32_t c, int x, int y) {
    vec_push(g->s->arena, &g->p->steps, (GlobStep){op, c, x, y});
    return (int)g->p->steps.len - 1;
}

static int here(const GlobParse *g) {
    return (int)g->p->steps.len;
}

/* Bytes of the UTF-8 character at p; texts were checked when they were read, paths may be damaged.
 */
static size_t character(const char *p, const char *end, uint32_t *c) {
    *c = (unsigned char)*p;
    size_t n = 1;
    while (n < 4 && p + n < end && ((unsigned char)p[n] & 0xc0) == 0x80) {
        *c = *c << 8 | (unsigned char)p[n++];
    }
    return n;
}

/* zero or more characters of one segment */
static void emit_star(GlobParse *g) {
    int split = emit(g, GLOB_SPLIT, 0, here(g) + 1, 0);
    emit(g, GLOB_ANY, 0, 0, 0);
    emit(g, GLOB_JUMP, 0, split, 0);
    g->p->steps.at[split].y = here(g);
}

static void emit_segment(GlobParse *g) {
    emit(g, GLOB_ANY, 0, 0, 0);
    emit_star(g);
}

/* (SEGMENT '.')*, ('.' SEGMENT)* or, for a `**` alone, (SEGMENT ('.' SEGMENT)*)? */
static void emit_segments(GlobParse *g, bool dot_before, bool dot_after) {
    int split = emit(g, GLOB_SPLIT, 0, here(g) + 1, 0);
    if (dot_before && !dot_after) {
        emit(g, GLOB_CHAR, '.', 0, 0);
    }
    emit_segment(g);
    if (dot_after) {
        emit(g, GLOB_CHAR, '.', 0, 0);
        emit(g, GLOB_JUMP, 0, split, 0);
    } else if (dot_before) {
        emit(g, GLOB_JUMP, 0, split, 0);
    } else {
        emit_segments(g, true, false);
    }
    g->p->steps.at[split].y = here(g);
}

static char peek(const GlobParse *g, size_t ahead) {
    return g->at + ahead < g->text.len ? g->text.data[g->at + ahead] : '\0';
}

static bool glob_double_star(GlobParse *g) {
    char before = g->at ? g->text.data[g->at - 1] : '\0', after = peek(g, 2);
    bool left = !before || strchr(".{,", before), right = !after || strchr(".},", after);
    if (!left || !right) {
        Diag *d = bad_glob(g, g->at, 2, "`**` stands for whole segments");
        diag_help(d, "put dots around it, as in \"**.q_proj\"; `*` is any text within a segment");
        return false;
    }
    g->at += 2;
    if (after == '.') {
        emit_segments(g, before == '.', true);
        g->at++;
        return true;
    }
    /* the dot before is optional with it: take it back, unless another `**` consumed it */
    bool dot = before == '.' && vec_last(&g->p->steps).op == GLOB_CHAR;
    g->p->steps.len -= dot ? 1 : 0;
    emit_segments(g, dot, false);
    return true;
}

static bool glob_sequence(GlobParse *g);

static bool glob_number(GlobParse *g, int64_t *out) {
    size_t from = g->at;
    *out = 0;
    while (peek(g, 0) >= '0' && peek(g, 0) <= '9' && g->at - from < 9) {
        *out = *out * 10 + (peek(g, 0) - '0');
        g->at++;
    }
    return g->at > from;
}

/* One more alternative: the jump that leaves the last one is chained through `ends`. */
static bool count_alternatives(GlobParse *g, size_t at, int64_t more) {
    g->alternatives +=
        more > LIMIT_PATTERN_ALTERNATIVES ? LIMIT_PATTERN_ALTERNATIVES + 1 : (int)more;
    if (g->alternatives > LIMIT_PATTERN_ALTERNATIVES) {
        diag_help(bad_glob(g, at, 1, "this glob has too many alternatives"), "at most %d",
                  LIMIT_PATTERN_ALTERNATIVES);
        return false;
    }
    return true;
}

typedef struct Ends {
    Vec(int) jumps;
} Ends;

/* Emits `split; BODY; jump end`, or only the body's part when it is the last alternative. */
static int begin_alternative(GlobParse *g) {
    return emit(g, GLOB_SPLIT, 0, here(g) + 1, 0);
}

static void end_alternative(GlobParse *g, Ends *ends, int split) {
    vec_push(g->s->arena, &ends->jumps, emit(g, GLOB_JUMP, 0, 0, 0));
    g->p->steps.at[split].y = here(g);
}

/* 0..3 at g->at: true and emitted, or false and g->at unchanged */
static bool glob_range(GlobParse *g, Ends *ends, bool *ok) {
    size_t from = g->at;
    int64_t first, last;
    if (!glob_number(g, &first) || peek(g, 0) != '.' || peek(g, 1) != '.') {
        g->at = from;
        return false;
    }
    g->at += 2;
    if (!glob_number(g, &last) || last < first) {
        bad_glob(g, from, g->at - from, "a range of numbers goes up, as in {0..3}");
        *ok = false;
        return true;
    }
    *ok = count_alternatives(g, from, last - first);
    for (int64_t n = first; *ok && n <= last; n++) {
        int split = begin_alternative(g);
        char digits[24];
        int length = snprintf(digits, sizeof digits, "%lld", (long long)n);
        for (int i = 0; i < length; i++) {
            emit(g, GLOB_CHAR, (unsigned char)digits[i], 0, 0);
        }
        end_alternative(g, ends, split);
    }
    return true;
}

/* {a,b,0..3}; the last split leads nowhere: a step that never matches */
static bool glob_braces(GlobParse *g) {
    size_t open = g->at++;
    Ends ends = {0};
    bool ok = ++g->depth <= LIMIT_BRACKET_DEPTH;
    if (!ok) {
        bad_glob(g, open, 1, "braces are nested too deep");
    }
    while (ok) {
        if (!glob_range(g, &ends, &ok)) {
            int split = begin_alternative(g);
            ok = count_alternatives(g, g->at, 1) && glob_sequence(g);
            end_alternative(g, &ends, split);
        }
        if (!ok || peek(g, 0) == '}') {
            break;
        }
        if (peek(g, 0) != ',') {
            bad_glob(g, open, 1, "this `{` is never closed");
            ok = false;
        }
        g->at++;
    }
    g->at++;
    g->depth--;
    emit(g, GLOB_CHAR, UINT32_MAX, 0, 0); /* after the last alternative: no character */
    for (size_t i = 0; i < ends.jumps.len; i++) {
        g->p->steps.at[ends.jumps.at[i]].x = here(g);
    }
    return ok;
}

/* up to the end of the text, or to the `,` or `}` of the braces we are in */
static bool glob_sequence(GlobParse *g) {
    while (g->at < g->text.len) {
        char c = peek(g, 0);
        if (g->depth > 0 && (c == ',' || c == '}')) {
            return true;
        }
        if (c == '*' && peek(g, 1) == '*') {
            TRY(glob_double_star(g));
        } else if (c == '{') {
            TRY(glob_braces(g));
        } else if (c == '}' || c == '[' || c == ']') {
            Diag *d = bad_glob(
                g, g->at, 1, c == '}' ? "this `}` closes nothing" : "globs have no [...] classes");
            diag_help(d, "a glob knows * ? ** {a,b} {0..3}; for more there is re\"...\"");
            return false;
        } else if (c == '*' || c == '?') {
            if (c == '*') {
                emit_star(g);
            } else {
                emit(g, GLOB_ANY, 0, 0, 0);
            }
            g->at++;
        } else {
            uint32_t code;
            g->at += character(g->text.data + g->at, g->text.data + g->text.len, &code);
            emit(g, GLOB_CHAR, code, 0, 0);
        }
    }
    return true;
}

static bool text_fits(Session *s, Str text, Span span) {
    if (text.len > 0 && text.len <= LIMIT_PATTERN_BYTES) {
        return true;
    }
    diag_error(s, "E0105", span,
               text.len ? "this pattern is longer than %d bytes" : "this pattern is empty",
               LIMIT_PATTERN_BYTES);
    return false;
}

Pattern *pattern_glob(Session *s, Str text, Span span) {
    if (!text_fits(s, text, span)) {
        return NULL;
    }
    Pattern *p = arena_new(s->arena, Pattern);
    GlobParse g = {.s = s, .p = p, .text = text, .span = span};
    if (!glob_sequence(&g)) {
        return NULL;
    }
    emit(&g, GLOB_MATCH, 0, 0, 0);
    p->active = arena_many(s->arena, int, p->steps.len);
    p->next = arena_many(s->arena, int, p->steps.len);
    p->seen = arena_many(s->arena, int, 2 * p->steps.len);
    return p;
}

/* ---- matching globs */

/* Adds a step to the set, splits and jumps followed to what consumes a character. Each step enters
 * once a round, also into `stack`, the second half of `seen`. */
static int follow(const Pattern *p, int *set, int count, int from, int round) {
    int *stack = p->seen + p->steps.len, top = 0, to[2];
    if (p->seen[from] != round) {
        p->seen[from] = round;
        stack[top++] = from;
    }
    while (top > 0) {
        int i = stack[--top];
        const GlobStep *step = &p->steps.at[i];
        int ways = step->op == GLOB_SPLIT ? 2 : step->op == GLOB_JUMP ? 1 : 0;
        if (ways == 0) {
            set[count++] = i;
        }
        to[0] = step->x;
        to[1] = step->y;
        for (int k = 0; k < ways; k++) {
            if (p->seen[to[k]] != round) {
                p->seen[to[k]] = round;
                stack[top++] = to[k];
            }
        }
    }
    return count;
}

static bool glob_match(const Pattern *p, Str path) {
    const char *at = path.data, *end = path.data + path.len;
    int *active = p->active, *next = p->next, round = 1;
    memset(p->seen, 0, p->steps.len * sizeof *p->seen);
    int count = follow(p, active, 0, 0, round);
    while (at < end && count > 0) {
        uint32_t c;
        at += character(at, end, &c);
        int reached = 0;
        round++;
        for (int i = 0; i < count; i++) {
            const GlobStep *step = &p->steps.at[active[i]];
            if ((step->op == GLOB_CHAR && step->c == c) || (step->op == GLOB_ANY && c != '.')) {
                reached = follow(p, next, reached, active[i] + 1, round);
            }
        }
        int *swap = active;
        active = next;
        next = swap;
        count = reached;
    }
    for (int i = 0; at == end && i < count; i++) {
        if (p->steps.at[active[i]].op == GLOB_MATCH) {
            return true;
        }
    }
    return false;
}

/* ---- regexes */

static void regex_free(Session *s, void *owner) {
    (void)s;
    tre_regfree(&((Pattern *)owner)->regex);
}

/* What a regex grows to when {n,m} are written out, group by group. */
typedef struct Growth {
    int64_t sum[LIMIT_BRACKET_DEPTH], last; /* of each open group; of the last atom */
    int depth;
} Growth;

static void grow_atom(Growth *g, int64_t size) {
    g->last = size;
    g->sum[g->depth] += size;
}

/* The bounds at text[*i], which is `{`; false if they are not {3}, {3,} or {3,7}. */
static bool grow_repeat(Growth *g, Str text, size_t *i) {
    int64_t n = 0, most = 1;
    for ((*i)++; *i < text.len && text.data[*i] != '}'; (*i)++) {
        char c = text.data[*i];
        if (c != ',' && (c < '0' || c > '9')) {
            return false;
        }
        n = c == ',' ? 0 : n < 10000 ? n * 10 + (c - '0') : n;
        most = n > most ? n : most;
    }
    g->sum[g->depth] += g->last * (most - 1);
    g->last *= most;
    return true;
}

enum { REGEX_STATES = 10000 }; /* TRE takes about 100 bytes for each */

/* The last byte of a class that begins at text[i], which is `[`. A `]` that stands first, or inside
 * [:alpha:], [.x.] or [=x=], does not end it. */
static size_t class_end(Str text, size_t i) {
    i += i + 1 < text.len && text.data[i + 1] == '^' ? 1 : 0;
    i += i + 1 < text.len && text.data[i + 1] == ']' ? 1 : 0;
    for (i++; i < text.len && text.data[i] != ']'; i++) {
        char kind = i + 1 < text.len && text.data[i] == '[' ? text.data[i + 1] : 0;
        if (kind == ':' || kind == '.' || kind == '=') {
            for (i += 2; i + 1 < text.len && (text.data[i] != kind || text.data[i + 1] != ']');) {
                i++;
            }
            i++;
        }
    }
    return i < text.len ? i : text.len - 1;
}

/* TRE copies what a {n,m} repeats, so nested ones multiply; it runs back-references by
 * backtracking; its {~1} means approximate matching; its \Q and (?#) hide brackets from this count;
 * a lone `)` would close the group put around the text. All are refused before it sees them. */
static const char *regex_wrong(Str text, size_t *i) {
    Growth g = {.last = 1};
    for (; *i < text.len; (*i)++) {
        char c = text.data[*i];
        if (c == '\\' && *i + 1 < text.len) {
            char next = text.data[++*i];
            grow_atom(&g, 1);
            if (next >= '1' && next <= '9') {
                return "regexes have no back-references";
            }
            if (next == 'Q') {
                return "regexes have no \\Q: write \\ before each sign";
            }
        } else if (c == '[') {
            *i = class_end(text, *i);
            grow_atom(&g, 1);
        } else if (c == '(') {
            if (str_starts(str_slice(text, *i, text.len), STR("(?#"))) {
                return "regexes have no comments";
            }
            if (++g.depth == LIMIT_BRACKET_DEPTH) {
                return "groups are nested too deep";
            }
            g.sum[g.depth] = 0;
        } else if (c == ')' && g.depth == 0) {
            return "this `)` closes no group";
        } else if (c == ')') {
            int64_t size = g.sum[g.depth--];
            grow_atom(&g, size);
        } else if (c == '{' && !grow_repeat(&g, text, i)) {
            return "bounds are written {3}, {3,} or {3,7}";
        } else if (c != '{' && c != '*' && c != '+' && c != '?') {
            grow_atom(&g, 1);
        }
        if (g.sum[g.depth] > REGEX_STATES) {
            return "this regex repeats its parts too often";
        }
    }
    return NULL;
}

Pattern *pattern_regex(Session *s, Str text, Span span) {
    if (!text_fits(s, text, span)) {
        return NULL;
    }
    size_t at = 0;
    const char *wrong = regex_wrong(text, &at);
    if (wrong) {
        diag_error(s, "E0105", inside(text, span, at < text.len ? at : text.len - 1, 1), "%s",
                   wrong);
        return NULL;
    }
    Pattern *p = arena_new(s->arena, Pattern);
    p->is_regex = true;
    Str whole = str_format(s->arena, "^(%.*s)$", STR_ARG(text));
    int error = tre_regncomp(&p->regex, whole.data, whole.len, REG_EXTENDED | REG_NOSUB);
    if (error == REG_ESPACE) {
        alloc_failed(whole.len);
    }
    if (error) {
        char why[128];
        tre_regerror(error, &p->regex, why, sizeof why);
        diag_label(diag_error(s, "E0105", span, "this regex cannot be read"), "%s", why);
        return NULL;
    }
    session_on_close(s, &p->cleanup, regex_free, p);
    return p;
}

bool pattern_match(const Pattern *p, Str path) {
    if (p->is_regex) {
        return tre_regnexec(&p->regex, path.data, path.len, 0, NULL, 0) == 0;
    }
    return glob_match(p, path);
}
