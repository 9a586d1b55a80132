/* Lookup and description of what a recipe may say. Tables are const; nothing is kept. */
#include "runtime/base/schema.h"

const Schema *vocabulary_find(const Vocabulary *v, SchemaKind kind, Str name) {
    for (const Schema *const *row = v->rows; *row; row++) {
        if ((*row)->kind == kind && str_is(name, (*row)->name)) {
            return *row;
        }
    }
    return NULL;
}

const Param *schema_param(const Schema *schema, Str name) {
    for (const Param *p = schema->params; p && p->name; p++) {
        if (str_is(name, p->name)) {
            return p;
        }
    }
    return NULL;
}

/* Keeps the nearer of two candidates; the earlier one when they are equally near. */
typedef struct Nearest {
    Str wrong, best;
    size_t distance; /* of best; a third of the length, plus one, to begin with */
} Nearest;

static Nearest nearest_to(Str wrong) {
    return (Nearest){wrong, STR(""), wrong.len / 3 + 1};
}

static void consider(Nearest *n, Str candidate) {
    if (n->distance == 0) {
        return;
    }
    size_t distance = str_distance(n->wrong, candidate, n->distance - 1);
    if (distance < n->distance) {
        n->distance = distance;
        n->best = candidate;
    }
}

Str vocabulary_nearest(const Vocabulary *v, SchemaKind kind, Str wrong) {
    Nearest n = nearest_to(wrong);
    for (const Schema *const *row = v->rows; *row; row++) {
        if ((*row)->kind == kind) {
            consider(&n, str_from((*row)->name));
        }
    }
    return n.best;
}

Str schema_nearest(const Schema *schema, Str wrong) {
    Nearest n = nearest_to(wrong);
    for (const Param *p = schema->params; p && p->name; p++) {
        consider(&n, str_from(p->name));
    }
    return n.best;
}

Str nearest_of(Str wrong, const Str *candidates, size_t count) {
    Nearest n = nearest_to(wrong);
    for (size_t i = 0; i < count; i++) {
        consider(&n, candidates[i]);
    }
    return n.best;
}

static Str param_type(Arena *arena, const Param *p) {
    static const char *const words[] = {
        [PARAM_INT] = "int",
        [PARAM_FLOAT] = "float",
        [PARAM_BOOL] = "bool",
        [PARAM_STRING] = "string",
        [PARAM_RATIO] = "ratio",
        [PARAM_RANGE] = "range",
        [PARAM_LIST] = "list",
        [PARAM_SELECTOR] = "selector",
        [PARAM_FORMAT] = "format",
        [PARAM_DATA] = "data",
        [PARAM_FN] = "function",
        [PARAM_CHOICE] = "choice",
        [PARAM_PATTERN] = "N:M or fraction",
        [PARAM_POSITION] = "int or range",
    };
    Buf b = buf_on(arena);
    if (p->type != PARAM_CHOICE || !p->choices) {
        const char *in = p->range ? " in " : "", *either = p->choices ? " | " : "";
        buf_printf(&b, "%s%s%s%s", words[p->type], in, p->range ? p->range : "", either);
    } /* the '*' of a choice that is for later is not shown */
    for (const char *c = p->choices; c && *c; c++) {
        if (*c != '*') {
            buf_char(&b, *c);
        }
    }
    return buf_view(&b);
}

static Str param_value(Arena *arena, const Param *p) {
    return p->initial ? str_format(arena, "= %s", p->initial)
                      : str_from(p->required ? "required" : "");
}

static void column(Buf *out, Str text, size_t width) {
    buf_str(out, text);
    buf_repeat(out, ' ', text.len < width ? width - text.len : 0);
}

static size_t wider(size_t width, Str text) {
    return text.len > width ? text.len : width;
}

void schema_describe(const Schema *schema, Buf *out) {
    size_t name_width = 0, type_width = 0, value_width = 0;
    for (const Param *p = schema->params; p && p->name; p++) {
        name_width = wider(name_width, str_from(p->name));
        type_width = wider(type_width, param_type(out->arena, p));
        value_width = wider(value_width, param_value(out->arena, p));
    }
    for (const Param *p = schema->params; p && p->name; p++) {
        if (p != schema->params) {
            buf_char(out, '\n');
        }
        column(out, str_from(p->name), name_width + 2);
        column(out, param_type(out->arena, p), type_width + 1);
        column(out, param_value(out->arena, p), value_width + 4);
        buf_printf(out, "%s%s", p->doc ? p->doc : "", p->later ? " (not in this build)" : "");
    }
}
