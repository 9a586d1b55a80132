/* Says why a selector finds nothing, with names and numbers of the model at hand: the nearest path,
 * what the recipe would do as written, and how to say what was probably meant. */
#include "compiler/select_report.h"
#include <string.h>
#include "compiler/names.h"
#include "lang/pattern.h"
#include "runtime/base/sanitize.h"

/* ---- guessing what was meant */

/* Every segment of every path, once; those of layers with a weight first. */
static StrList segments_of(Session *s, const Layers *layers) {
    StrList out = {0};
    Map seen = map_on(s->arena);
    for (int weighted = 1; weighted >= 0; weighted--) {
        for (size_t i = 0; i < layers->all.len; i++) {
            Str path = layers->all.at[i].path;
            bool wanted = (layers->all.at[i].weight != NULL) == weighted;
            for (size_t begin = 0; wanted && begin <= path.len;) {
                size_t end = begin;
                while (end < path.len && path.data[end] != '.') {
                    end++;
                }
                Str segment = str_slice(path, begin, end);
                if (segment.len && map_put(&seen, segment, (void *)layers)) {
                    vec_push(s->arena, &out, segment);
                }
                begin = end + 1;
            }
        }
    }
    return out;
}

static bool is_literal(Str segment) {
    for (size_t i = 0; i < segment.len; i++) {
        if (strchr("*?{},", segment.data[i])) {
            return false;
        }
    }
    return segment.len > 0;
}

static bool has_segment(const StrList *segments, Str segment) {
    for (size_t i = 0; i < segments->len; i++) {
        if (str_eq(segments->at[i], segment)) {
            return true;
        }
    }
    return false;
}

/* The glob with each unknown plain segment replaced by its nearest in the model; false if none is.
 */
static bool respell(Session *s, const StrList *segments, Str glob, Str *out) {
    Buf text = buf_on(s->arena);
    bool changed = false;
    for (size_t begin = 0; begin <= glob.len;) {
        size_t end = begin;
        while (end < glob.len && glob.data[end] != '.') {
            end++;
        }
        Str segment = str_slice(glob, begin, end);
        if (is_literal(segment) && !has_segment(segments, segment)) {
            Str near = nearest_of(segment, segments->at, segments->len);
            changed = changed || near.len;
            segment = near.len ? near : segment;
        }
        buf_printf(&text, "%s%.*s", begin ? "." : "", STR_ARG(segment));
        begin = end + 1;
    }
    *out = buf_view(&text);
    return changed;
}

static LayerSet matches(Session *s, const Layers *layers, Str glob) {
    LayerSet out = set_none(s, layers);
    Pattern *pattern = pattern_glob(s, glob, NO_SPAN);
    for (size_t i = 0; pattern && i < layers->all.len; i++) {
        if (pattern_match(pattern, layers->all.at[i].path)) {
            set_add(&out, (int)i);
        }
    }
    return out;
}

static Str with_dots(Session *s, Str text) {
    Buf b = buf_on(s->arena);
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] != '/' || (i > 0 && i + 1 < text.len)) {
            buf_char(&b, text.data[i] == '/' ? '.' : text.data[i]);
        }
    }
    return buf_view(&b);
}

/* A glob near to this one that matches something; empty if there is none. */
static Str better_glob(Session *s, const Layers *layers, Str glob, LayerSet *found) {
    StrList segments = segments_of(s, layers);
    Str dotted = with_dots(s, glob), respelled = dotted;
    respell(s, &segments, dotted, &respelled);
    for (int i = 0; i < 4; i++) {
        Str base = i < 2 ? dotted : respelled;
        Str attempt = i % 2 ? str_format(s->arena, "**.%.*s", STR_ARG(base)) : base;
        if (!str_eq(attempt, glob)) {
            *found = matches(s, layers, attempt);
            if (found->count) {
                return attempt;
            }
        }
    }
    return (Str){0};
}

/* ---- what the recipe would do */

static const Step *step_named(const Rule *rule, const char *name) {
    for (size_t i = 0; rule && i < rule->steps.len; i++) {
        if (!strcmp(rule->steps.at[i]->schema->name, name)) {
            return rule->steps.at[i];
        }
    }
    return NULL;
}

static Str deed(Session *s, const Rule *rule) {
    const Step *quantize = step_named(rule, "quantize");
    const BoundArg *weight = quantize ? step_arg(quantize, "weight") : NULL;
    if (weight && weight->value && weight->value->type == VALUE_FORMAT) {
        Buf text = buf_on(s->arena);
        buf_printf(&text, "quantized to ");
        format_print(weight->value->format, &text);
        return buf_view(&text);
    }
    return step_named(rule, "prune")  ? STR("pruned")
           : step_named(rule, "skip") ? STR("left in float")
                                      : STR("changed");
}

/* Weights of the layers of a set, or of all; a weight that layers share counts once. */
static double weights_in(Session *s, const Layers *layers, const LayerSet *set) {
    Map seen = map_on(s->arena);
    double sum = 0;
    for (size_t i = 0; i < layers->all.len; i++) {
        const Layer *layer = &layers->all.at[i];
        Str key = {(const char *)&layer->weight, sizeof layer->weight};
        if ((!set || set->has[i]) && layer->weight && map_put(&seen, key, (void *)layers)) {
            sum += (double)layer->params;
        }
    }
    return sum;
}

/* meant: what the corrected pattern finds. On the right of `-` these are kept by mistake. */
static void note_as_written(Session *s, Diag *d, const Layers *layers, const Rule *rule,
                            const LayerSet *taken_from, const LayerSet *meant) {
    LayerSet hit = set_none(s, layers);
    for (size_t i = 0; i < layers->all.len; i++) {
        if (taken_from->has[i] && meant->has[i] && layers->all.at[i].weight) {
            set_add(&hit, (int)i);
        }
    }
    if (!hit.count || !rule) {
        return;
    }
    StrList names = names_of(s, layers, &hit);
    Buf who = buf_on(s->arena);
    names_braces(s->arena, &names, 2, &who);
    double weights = weights_in(s, layers, &hit), all = weights_in(s, layers, NULL);
    diag_note(d, "as written, %.*s (%.*s weights, %.0f%% of the model) would be %.*s",
              STR_ARG(buf_view(&who)), STR_ARG(str_si(s->arena, weights)),
              all > 0 ? 100.0 * weights / all : 0.0, STR_ARG(deed(s, rule)));
}

/* The built-in that finds what a corrected name pattern finds, but for nodes without a weight. */
static const char *builtin_for(const Layers *layers, const LayerSet *meant) {
    static const struct {
        const char *name;
        unsigned role;
    } rows[] = {{"head", ROLE_HEAD}, {"embedding", ROLE_EMBEDDING}};
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        bool same = true, any = false;
        for (size_t i = 0; i < layers->all.len; i++) {
            const Layer *layer = &layers->all.at[i];
            bool role = layer->roles & rows[r].role;
            any = any || role;
            same = same && (!layer->weight || role == meant->has[i]);
        }
        if (same && any) {
            return rows[r].name;
        }
    }
    return NULL;
}

/* ---- E0301 */

static Diag *no_match(Session *s, const Layers *layers, Span span, const char *what) {
    Diag *d = diag_error(s, "E0301", span, "this %s matches no layer of %.*s", what,
                         STR_ARG(model_file_name(layers->model)));
    diag_label(d, "0 of %.*s", STR_ARG(plural(s->arena, layers->all.len, "node")));
    return d;
}

static void explain_glob(Session *s, Diag *d, const Layers *layers, const Selector *selector,
                         const Rule *rule, const LayerSet *taken_from) {
    LayerSet meant = {0};
    Str better = better_glob(s, layers, selector->text, &meant);
    if (!better.len) {
        for (size_t i = 0; i < layers->all.len; i++) {
            if (layers->all.at[i].weight) {
                diag_line(d, "paths of this model look like `%.*s`",
                          STR_ARG(str_safe(s->arena, layers->all.at[i].path)));
                break;
            }
        }
        return;
    }
    LayerSet counted = set_counted(s, layers, &meant);
    StrList names = names_of(s, layers, &counted);
    diag_line(d, "nearest: `%.*s`", STR_ARG(names.at[0]));
    if (taken_from) {
        note_as_written(s, d, layers, rule, taken_from, &meant);
    }
    Str shown = str_safe(s->arena, better);
    const char *builtin = builtin_for(layers, &meant);
    if (builtin) {
        diag_help(d, "did you mean \"%.*s\"?  The built-in `%s` finds it without a name.",
                  STR_ARG(shown), builtin);
    } else {
        diag_help(d, "did you mean \"%.*s\"?  (%.*s)", STR_ARG(shown),
                  STR_ARG(plural(s->arena, counted.count, "layer")));
    }
    diag_fix(d, false, selector->span, "\"%.*s\"", STR_ARG(shown));
}

static void explain_regex(Session *s, Diag *d, const Layers *layers, const Selector *selector) {
    Str loose = str_format(s->arena, ".*(%.*s).*", STR_ARG(selector->text));
    Pattern *pattern = pattern_regex(s, loose, NO_SPAN);
    size_t found = 0;
    for (size_t i = 0; pattern && i < layers->all.len; i++) {
        found += pattern_match(pattern, layers->all.at[i].path);
    }
    if (found) {
        diag_note(d, "a regex must match the whole path; %.*s %s it as a part",
                  STR_ARG(plural(s->arena, found, "path")), found == 1 ? "has" : "have");
        diag_help(d, "re\".*%.*s.*\"", STR_ARG(str_safe(s->arena, selector->text)));
    }
}

static void explain_op(Session *s, Diag *d, const Layers *layers) {
    Map counts = map_on(s->arena);
    for (size_t i = 0; i < layers->all.len; i++) {
        if (layers->all.at[i].weight) {
            Str op = layers->all.at[i].node->op;
            size_t *count = map_get(&counts, op);
            if (!count) {
                count = arena_new(s->arena, size_t);
                map_put(&counts, op, count);
            }
            ++*count;
        }
    }
    Buf text = buf_on(s->arena);
    for (size_t i = 0; i < counts.len; i++) {
        buf_printf(&text, "%s%.*s (%zu)", i ? ", " : "",
                   STR_ARG(str_safe(s->arena, counts.entries[i].key)),
                   *(size_t *)counts.entries[i].value);
    }
    if (counts.len) {
        diag_line(d, "ops with a weight in this model: %.*s", STR_ARG(buf_view(&text)));
    }
}

void report_no_match(Session *s, const Layers *layers, const Selector *selector, const Rule *rule,
                     const LayerSet *taken_from) {
    Diag *d;
    if (selector->kind == SELECT_OP) {
        d = no_match(s, layers, selector->span, "op");
        explain_op(s, d, layers);
    } else {
        d = no_match(s, layers, selector->span, "pattern");
        if (selector->kind == SELECT_GLOB) {
            explain_glob(s, d, layers, selector, rule, taken_from);
        } else {
            explain_regex(s, d, layers, selector);
        }
    }
    Str text = span_text(selector->span);
    if (text.len && text.len < 60) {
        diag_help(d, "if this layer may be absent from some models, say so:  %.*s?", STR_ARG(text));
    }
}

/* Says which built-in selectors are empty in this model: all else that is empty was an error. */
static bool explain_builtins(Session *s, const Layers *layers, const Selector *part, Diag *d,
                             Map *seen) {
    LayerSet set;
    bool any = false;
    if (part->kind == SELECT_BUILTIN && map_put(seen, part->name, d) &&
        select_layers(s, layers, part, &set) && !set.count) {
        any = true;
        diag_note(d, "`%.*s` is empty in this model", STR_ARG(part->name));
    }
    any = (part->a && explain_builtins(s, layers, part->a, d, seen)) || any;
    return (part->b && explain_builtins(s, layers, part->b, d, seen)) || any;
}

void report_empty_rule(Session *s, const Layers *layers, const Rule *rule) {
    Diag *d = diag_error(s, "E0301", rule->selector_span, "this rule selects no layer of %.*s",
                         STR_ARG(model_file_name(layers->model)));
    diag_label(d, "0 of %.*s", STR_ARG(plural(s->arena, layers->all.len, "node")));
    Map seen = map_on(s->arena);
    if (!explain_builtins(s, layers, rule->selector, d, &seen)) {
        diag_note(d, "each of its parts matches something, together they leave nothing");
    }
    Str text = span_text(rule->selector_span);
    bool brief = text.len < 60 && str_find(text, '\n') < 0;
    diag_help(d, "if the rule may be empty for some models, say so:  on (%.*s)? {",
              STR_ARG(brief ? text : STR("...")));
}

/* ---- E0302 */

void report_no_block(Session *s, const Layers *layers, const Selector *selector) {
    Str file = model_file_name(layers->model);
    if (!layers->block_count) {
        Diag *d =
            diag_error(s, "E0302", selector->span, "%.*s has no repeated blocks", STR_ARG(file));
        diag_note(d,
                  "blocks are layers named PREFIX.0, PREFIX.1, ..., or a sequence of layers with\n"
                  "a weight that repeats itself and covers half of the model");
        diag_help(d, "select by name, by `first(...)` and `last(...)`, or by [.depth ...]");
        return;
    }
    Diag *d = diag_error(s, "E0302", selector->span, "%.*s has %d repeated blocks", STR_ARG(file),
                         layers->block_count);
    diag_label(d, "blocks are 0 to %d, or -%d to -1 from the end", layers->block_count - 1,
               layers->block_count);
    diag_line(d, "found by: %.*s", STR_ARG(str_safe(s->arena, layers->block_rule)));
}

/* ---- W0302 */

/* The glob that the regex's author had in mind: dots are dots, ".*" at the end is all below. False
 * if the text uses anything else. digit_dot: a number stands before a loose dot. */
static bool regex_as_glob(Session *s, Str regex, Str *glob, size_t *number_at) {
    Buf out = buf_on(s->arena);
    bool found = false;
    for (size_t i = 0; i < regex.len; i++) {
        char c = regex.data[i], next = i + 1 < regex.len ? regex.data[i + 1] : 0;
        if (c == '\\' && next == '.') {
            buf_char(&out, '.');
            i++;
        } else if (c == '.' && out.len && out.data[out.len - 1] >= '0' &&
                   out.data[out.len - 1] <= '9') {
            if (!found) {
                *number_at = out.len;
                while (*number_at && strchr("0123456789", out.data[*number_at - 1])) {
                    --*number_at;
                }
            }
            found = true;
            buf_printf(&out, next == '*' ? ".**" : ".");
            i += next == '*';
        } else if (c == '.' && next == '*') {
            buf_printf(&out, "**");
            i++;
        } else if (strchr("\\*+?()[]{}|^$", c)) {
            return false;
        } else {
            buf_char(&out, c);
        }
    }
    *glob = buf_view(&out);
    return found;
}

/* Layers that a regex matches beside those that were meant, by the number at one place. */
typedef struct Spread {
    int64_t first, last; /* lowest and highest number that was not meant */
    size_t meant, extra; /* layers */
} Spread;

static bool number_at(Str path, size_t at, int64_t *number) {
    *number = 0;
    size_t i = at;
    for (; i < path.len && i - at < 9 && path.data[i] >= '0' && path.data[i] <= '9'; i++) {
        *number = *number * 10 + (path.data[i] - '0');
    }
    return i > at;
}

static Spread spread_of(const Layers *layers, const LayerSet *all, const LayerSet *meant,
                        size_t at) {
    Spread spread = {.first = INT64_MAX, .last = -1};
    for (size_t i = 0; i < layers->all.len; i++) {
        int64_t number;
        if (!all->has[i]) {
            continue;
        }
        if (meant->has[i]) {
            spread.meant++;
        } else if (number_at(layers->all.at[i].path, at, &number)) {
            spread.extra++;
            spread.first = number < spread.first ? number : spread.first;
            spread.last = number > spread.last ? number : spread.last;
        }
    }
    return spread;
}

/* "layers.1": the segment before the number, and the number. */
static void around_number(Str glob, size_t at, Str *word, Str *digits) {
    size_t begin = at ? at - 1 : 0, end = at;
    while (begin > 0 && glob.data[begin - 1] != '.') {
        begin--;
    }
    while (end < glob.len && strchr("0123456789", glob.data[end])) {
        end++;
    }
    *word = str_slice(glob, begin, at);
    *digits = str_slice(glob, at, end);
}

void lint_regex(Session *s, const Layers *layers, const Selector *selector,
                const LayerSet *matched) {
    Str glob, word, digits;
    size_t at = 0;
    if (!regex_as_glob(s, selector->text, &glob, &at)) {
        return;
    }
    LayerSet meant = matches(s, layers, glob), all = set_counted(s, layers, matched);
    Spread spread = spread_of(layers, &all, &meant, at);
    if (!spread.meant || !spread.extra) {
        return;
    }
    around_number(glob, at, &word, &digits);
    Str before = str_slice(word, 0, word.len ? word.len - 1 : 0);
    bool one = spread.first == spread.last;
    long long first = (long long)spread.first, last = (long long)spread.last;
    Str others = one ? str_format(s->arena, "%lld", first)
                     : str_format(s->arena, "%lld to %lld", first, last);
    Str range = one ? str_format(s->arena, "%.*s%lld", STR_ARG(word), first)
                    : str_format(s->arena, "%.*s%lld - %.*s%lld", STR_ARG(word), first,
                                 STR_ARG(word), last);
    Diag *d = diag_warning(s, "W0302", selector->span, "this regex also matches %.*s %.*s",
                           STR_ARG(before), STR_ARG(others));
    diag_label(d, "%.*s: %.*s%.*s (%zu) and %.*s (%zu)",
               STR_ARG(plural(s->arena, all.count, "layer")), STR_ARG(word), STR_ARG(digits),
               spread.meant, STR_ARG(range), spread.extra);
    diag_note(d, "`.` is any character and `.*` any text, so \"%.*s.*\" also matches \"%lld.\"",
              STR_ARG(digits), first);
    diag_help(d, "the glob \"%.*s\" matches the %.*s of %.*s%.*s", STR_ARG(glob),
              STR_ARG(plural(s->arena, spread.meant, "layer")), STR_ARG(word), STR_ARG(digits));
    diag_fix(d, false, selector->span, "\"%.*s\"", STR_ARG(glob));
}
