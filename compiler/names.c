/* Compresses lists of layer paths. A path is cut at its first number ("layers.", 12, ".mlp.up");
 * paths with equal text share one pattern that lists the numbers as ranges. Patterns with equal
 * numbers that differ in the last segment alone are joined in turn: "{gate_proj,up_proj}". */
#include "compiler/names.h"
#include <stdlib.h>
#include "runtime/base/sanitize.h"

typedef struct Family {
    Str before, after;    /* text around the number */
    Vec(int64_t) numbers; /* empty: no number in the path */
    Str stem;             /* all but the last segment of `after` */
    Vec(Str) tails;       /* last segments, when joined */
    bool joined;          /* into an earlier one */
} Family;

typedef Vec(Family *) FamilyList;

Str model_file_name(const Model *model) {
    Str path = model->input->path;
    size_t begin = path.len;
    while (begin > 0 && path.data[begin - 1] != '/') {
        begin--;
    }
    return str_safe(model->session->arena, str_slice(path, begin, path.len));
}

Str weight_name(Arena *arena, const Layer *layer) {
    return str_safe(arena, layer->weight_at->inputs[layer->weight_slot]->name);
}

Str plural(Arena *arena, size_t n, const char *noun) {
    return str_format(arena, "%.*s %s%s", STR_ARG(str_grouped(arena, n)), noun, n == 1 ? "" : "s");
}

StrList names_of(Session *s, const Layers *layers, const LayerSet *set) {
    StrList out = {0};
    for (size_t i = 0; i < layers->all.len; i++) {
        if (set->has[i]) {
            vec_push(s->arena, &out, str_safe(s->arena, layers->all.at[i].path));
        }
    }
    return out;
}

void names_few(Arena *arena, const StrList *paths, Buf *out) {
    for (size_t i = 0; i < paths->len; i++) {
        if (i == 2 && paths->len > 3) {
            buf_printf(out, ", ... ");
            i = paths->len - 1;
        } else if (i > 0) {
            buf_printf(out, ", ");
        }
        buf_str(out, str_safe(arena, paths->at[i]));
    }
}

/* First segment that is a number of at most nine digits. */
static bool cut(Str path, Str *before, int64_t *number, Str *after) {
    for (size_t begin = 0; begin < path.len;) {
        size_t end = begin;
        *number = 0;
        while (end < path.len && path.data[end] >= '0' && path.data[end] <= '9' &&
               end - begin < 9) {
            *number = *number * 10 + (path.data[end] - '0');
            end++;
        }
        bool plain = end > begin && (end == begin + 1 || path.data[begin] != '0');
        if (plain && (end == path.len || path.data[end] == '.')) {
            *before = str_slice(path, 0, begin);
            *after = str_slice(path, end, path.len);
            return true;
        }
        while (end < path.len && path.data[end] != '.') {
            end++;
        }
        begin = end + 1;
    }
    return false;
}

static FamilyList families_of(Arena *arena, const StrList *paths) {
    FamilyList all = {0};
    Map known = map_on(arena);
    for (size_t i = 0; i < paths->len; i++) {
        Str before = paths->at[i], after = {0};
        int64_t number = 0;
        bool numbered = cut(paths->at[i], &before, &number, &after);
        Str key = str_format(arena, "%.*s\n%d\n%.*s", STR_ARG(before), numbered, STR_ARG(after));
        Family *family = map_get(&known, key);
        if (!family) {
            family = arena_new(arena, Family);
            family->before = before;
            family->after = after;
            map_put(&known, key, family);
            vec_push(arena, &all, family);
        }
        if (numbered) {
            vec_push(arena, &family->numbers, number);
        }
    }
    return all;
}

static int number_cmp(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* "{0..3,28}", "7" or nothing. */
static void put_numbers(Family *f, Buf *out) {
    if (f->numbers.len < 2) {
        if (f->numbers.len) {
            buf_printf(out, "%lld", (long long)f->numbers.at[0]);
        }
        return;
    }
    qsort(f->numbers.at, f->numbers.len, sizeof(int64_t), number_cmp);
    buf_char(out, '{');
    for (size_t i = 0, j; i < f->numbers.len; i = j) {
        for (j = i + 1; j < f->numbers.len && f->numbers.at[j] <= f->numbers.at[j - 1] + 1;) {
            j++;
        }
        int64_t first = f->numbers.at[i], last = f->numbers.at[j - 1];
        buf_printf(out, "%s%lld", i ? "," : "", (long long)first);
        if (last > first) {
            buf_printf(out, "%s%lld", last == first + 1 ? "," : "..", (long long)last);
        }
    }
    buf_char(out, '}');
}

static void split_tail(Arena *arena, Family *f) {
    size_t dot = f->after.len;
    while (dot > 0 && f->after.data[dot - 1] != '.') {
        dot--;
    }
    f->stem = str_slice(f->after, 0, dot);
    vec_push(arena, &f->tails, str_slice(f->after, dot, f->after.len));
}

static void join_tails(Arena *arena, const FamilyList *all) {
    Map known = map_on(arena);
    for (size_t i = 0; i < all->len; i++) {
        Family *f = all->at[i];
        split_tail(arena, f);
        if (!f->numbers.len || !f->stem.len || !f->tails.at[0].len) {
            continue;
        }
        Buf key = buf_on(arena);
        buf_printf(&key, "%.*s\n", STR_ARG(f->before));
        put_numbers(f, &key);
        buf_printf(&key, "\n%.*s", STR_ARG(f->stem));
        Family *first = map_get(&known, buf_view(&key));
        if (first) {
            vec_push(arena, &first->tails, f->tails.at[0]);
            f->joined = true;
        } else {
            map_put(&known, buf_view(&key), f);
        }
    }
}

void names_braces(Arena *arena, const StrList *paths, size_t limit, Buf *out) {
    FamilyList all = families_of(arena, paths);
    join_tails(arena, &all);
    size_t shown = 0;
    for (size_t i = 0; i < all.len; i++) {
        Family *f = all.at[i];
        if (f->joined) {
            continue;
        }
        if (shown++ == limit) {
            buf_printf(out, ", ...");
            return;
        }
        buf_printf(out, "%s%.*s", shown > 1 ? ", " : "", STR_ARG(f->before));
        put_numbers(f, out);
        buf_str(out, f->stem);
        for (size_t t = 0; t < f->tails.len; t++) {
            buf_printf(out, "%s%.*s",
                       f->tails.len == 1 ? ""
                       : t               ? ","
                                         : "{",
                       STR_ARG(f->tails.at[t]));
        }
        buf_printf(out, "%s", f->tails.len > 1 ? "}" : "");
    }
}
