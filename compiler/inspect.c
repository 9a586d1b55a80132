/* Tables about layers: `morc inspect MODEL [SELECTOR]` and `morc explain RECIPE MODEL LAYER`. */
#include "compiler/names.h"
#include "compiler/plan.h"
#include "runtime/base/sanitize.h"

/* ---- inspect */

static const char *role_name(unsigned roles) {
    return roles & ROLE_HEAD        ? "head"
           : roles & ROLE_LINEAR    ? "linear"
           : roles & ROLE_CONV      ? "conv"
           : roles & ROLE_EMBEDDING ? "embedding"
           : roles & ROLE_ATTENTION ? "attention"
           : roles & ROLE_NORM      ? "norm"
           : roles & ROLE_RESIDUAL  ? "residual"
                                    : "-";
}

static bool wanted(const Layers *layers, const LayerSet *only, size_t i) {
    const Layer *layer = &layers->all.at[i];
    return only ? only->has[i] : layer->roles || layer->weight;
}

static Str dash(Arena *arena, int64_t n) {
    return n ? str_format(arena, "%lld", (long long)n) : STR("-");
}

typedef struct Widths {
    int path, op, name;
} Widths;

static int wider(int width, Str text) {
    size_t wide = utf8_width(text);
    return wide > (size_t)width ? (int)(wide > 200 ? 200 : wide) : width;
}

/* Left-aligned, by characters. */
static void cell(Buf *out, Str text, int width) {
    size_t wide = utf8_width(text);
    buf_str(out, text);
    buf_repeat(out, ' ', (wide < (size_t)width ? (size_t)width - wide : 0) + 2);
}

static void print_layer(const Layer *layer, const Widths *w, Buf *out) {
    Arena *arena = out->arena;
    Str k = dash(arena, layer->k), n = dash(arena, layer->n);
    Str weights = layer->params ? str_si(arena, (double)layer->params) : STR("-");
    cell(out, str_safe(arena, layer->path), w->path);
    cell(out, str_safe(arena, layer->node->op), w->op);
    buf_printf(out, "%-9s  %6.*s  %6.*s  %8.*s  %-8s  %-11s  ", role_name(layer->roles), STR_ARG(k),
               STR_ARG(n), STR_ARG(weights), layer->weight ? type_name(layer->weight->type) : "-",
               path_from_name(layer->path_from));
    cell(out, str_safe(arena, str_from(layer->node->proto->name)), w->name);
    buf_printf(out, "%.*s\n", STR_ARG(layer->state));
}

static void print_summary(const Layers *layers, size_t shown, double weights, bool all, Buf *out) {
    Arena *arena = out->arena;
    buf_printf(out, "%.*s, %.*s weights", STR_ARG(plural(arena, shown, "layer")),
               STR_ARG(str_si(arena, weights)));
    if (!all && shown < layers->all.len) {
        buf_printf(out, "; not shown: %.*s without a weight or a role (morc inspect MODEL all)",
                   STR_ARG(plural(arena, layers->all.len - shown, "node")));
    }
    if (layers->block_count) {
        buf_printf(out, "; %d blocks (%.*s)", layers->block_count,
                   STR_ARG(str_safe(arena, layers->block_rule)));
    }
    buf_char(out, '\n');
}

void layers_print(const Layers *layers, const LayerSet *only, Buf *out) {
    Arena *arena = out->arena;
    Widths w = {4, 2, 4};
    size_t shown = 0;
    double weights = 0;
    for (size_t i = 0; i < layers->all.len; i++) {
        const Layer *layer = &layers->all.at[i];
        if (wanted(layers, only, i)) {
            w.path = wider(w.path, str_safe(arena, layer->path));
            w.op = wider(w.op, str_safe(arena, layer->node->op));
            w.name = wider(w.name, str_safe(arena, str_from(layer->node->proto->name)));
            weights += (double)layer->params;
            shown++;
        }
    }
    if (shown) {
        buf_printf(out, "%-*s  %-*s  %-9s  %6s  %6s  %8s  %-8s  %-11s  %-*s  state\n", w.path,
                   "path", w.op, "op", "role", "k", "n", "weights", "dtype", "found by", w.name,
                   "node");
    }
    for (size_t i = 0; i < layers->all.len; i++) {
        if (wanted(layers, only, i)) {
            print_layer(&layers->all.at[i], &w, out);
        }
    }
    print_summary(layers, shown, weights, only != NULL, out);
}

/* ---- explain */

static bool unknown_layer(Session *s, const Plan *plan, Str path) {
    const Layers *layers = plan->layers;
    Diag *d =
        diag_error(s, "E0303", NO_SPAN, "%.*s has no layer `%.*s`",
                   STR_ARG(model_file_name(layers->model)), STR_ARG(str_safe(s->arena, path)));
    StrList paths = {0};
    for (size_t i = 0; i < layers->all.len; i++) {
        const Layer *layer = &layers->all.at[i];
        if (layer->weight) {
            vec_push(s->arena, &paths, layer->path);
            if (str_is(path, layer->node->proto->name ? layer->node->proto->name : "")) {
                diag_help(d, "the node of that name is the layer `%.*s`",
                          STR_ARG(str_safe(s->arena, layer->path)));
                return false;
            }
        }
    }
    Str near = nearest_of(path, paths.at, paths.len);
    Str tail = str_format(s->arena, ".%.*s", STR_ARG(path));
    for (size_t i = 0; i < paths.len && near.len == 0; i++) {
        near = str_ends(paths.at[i], tail) ? paths.at[i] : near; /* lm_head for model.lm_head */
    }
    if (near.len) {
        diag_help(d, "did you mean `%.*s`?", STR_ARG(str_safe(s->arena, near)));
    } else {
        diag_help(d, "morc inspect MODEL lists the layers");
    }
    return false;
}

static void put_rule(const Rule *rule, Buf *out) {
    Span span = rule->selector_span;
    if (span.source) {
        Place place = source_place(span.source, span.offset);
        buf_printf(out, "%.*s:%u  %son %.*s", STR_ARG(str_safe(out->arena, span.source->name)),
                   place.line, rule->override ? "override " : "",
                   STR_ARG(str_safe(out->arena, span_text(span))));
    } else {
        buf_printf(out, "on ");
        selector_print(rule->selector, out);
    }
}

static void put_owner(const Plan *plan, const PlanOwner *owner, Buf *out) {
    Str stage = plan_stage(plan, owner);
    put_rule(owner->rule, out);
    if (stage.len) {
        buf_printf(out, ", in stage %.*s", STR_ARG(stage));
    }
}

static void put_step(const Plan *plan, const char *phase, const Step *step, const PlanOwner *owner,
                     Buf *out) {
    if (!owner->rule) {
        buf_printf(out, "%-8s nobody: no rule gives this layer such a step\n", phase);
        return;
    }
    Str text = step ? span_text(step->span) : STR("nothing");
    buf_printf(out, "%-8s %.*s\n         ", phase, STR_ARG(str_safe(out->arena, text)));
    put_owner(plan, owner, out);
    if (owner->overrode) {
        buf_printf(out, "\n         instead of ");
        put_rule(owner->overrode, out);
    }
    buf_char(out, '\n');
}

/* "4.25 = 4 + 32/128": where the bits go. */
static void put_bits(const PlanLayer *planned, Buf *out) {
    const PlanFormat *f = &planned->format;
    const Tensor *w = planned->layer->weight;
    static const char *const granules[] = {"one scale for all", "one scale for each output channel",
                                           "one scale for each block of"};
    buf_printf(out, "         %s, %s", f->element->name, granules[f->granule]);
    if (f->granule == GRANULE_BLOCK) {
        buf_printf(out, " %lld along axis %d%s", (long long)f->block, f->axis,
                   f->tail_short ? ", the last may be shorter" : "");
    }
    int own = w->type == 11 ? 1 : w->type;
    buf_printf(out, ", scales %s%s, found by %s\n", f->scale ? f->scale->name : type_name(own),
               f->super ? " under one float32" : "", f->method == METHOD_MSE ? "mse" : "max");
    buf_printf(out, "         %.3f bits a weight, %.*s -> %.*s\n", planned->bits,
               STR_ARG(str_bytes(out->arena, w->size)),
               STR_ARG(str_bytes(out->arena, planned->stored)));
}

/* What it reads, and who else reads that. */
static void put_input(const Plan *plan, const PlanLayer *planned, Buf *out) {
    if (planned->stream < 0 && planned->tie < 0) {
        return;
    }
    Buf text = buf_on(out->arena);
    plan_input_print(plan, planned, &text);
    const PlanStream *stream = planned->stream >= 0 ? &plan->streams.at[planned->stream] : NULL;
    const PlanTie *tie = planned->tie >= 0 ? &plan->ties.at[planned->tie] : NULL;
    buf_printf(out, "input    %.*s of %.*s", STR_ARG(buf_view(&text)),
               STR_ARG(str_safe(out->arena, planned->layer->input->name)));
    const size_t others = (stream ? stream->layers.len : tie->layers.len) - 1;
    if (others) {
        buf_printf(out, ", shared with %.*s", STR_ARG(plural(out->arena, others, "layer")));
    }
    if (tie) {
        buf_printf(out, ", factors ");
        plan_tie_print(tie, out);
    }
    buf_char(out, '\n');
}

bool plan_explain(Session *s, const Plan *plan, Str path, Buf *out) {
    const Layer *layer = map_get(&plan->layers->by_path, path);
    if (!layer) {
        return unknown_layer(s, plan, path);
    }
    buf_printf(out, "%.*s   %.*s", STR_ARG(str_safe(s->arena, layer->path)),
               STR_ARG(str_safe(s->arena, layer->node->op)));
    if (layer->weight) {
        buf_printf(out, "   k %lld   n %lld   %.*s weights of %s, %.*s", (long long)layer->k,
                   (long long)layer->n, STR_ARG(str_grouped(s->arena, (uint64_t)layer->params)),
                   type_name(layer->weight->type), STR_ARG(layer->state));
    }
    buf_char(out, '\n');
    const PlanLayer *planned = plan_layer(plan, layer);
    if (!planned) {
        buf_printf(out, layer->weight ? "left as it is: no rule selects it\n"
                                      : "left as it is: it has no weight\n");
        return true;
    }
    if (planned->skip) {
        buf_printf(out, "left as it is: ");
        put_owner(plan, &planned->owner[1], out);
        buf_printf(out, " { skip }\n");
        return true;
    }
    const Step *edits[] = {planned->prune_step, planned->smooth_step, planned->awq_step};
    bool edited = false;
    for (int i = 0; i < 3; i++) {
        if (edits[i]) {
            put_step(plan, "edit", edits[i], &planned->owner[0], out);
            edited = true;
        }
    }
    if (!edited) {
        put_step(plan, "edit", NULL, &planned->owner[0], out);
    }
    put_input(plan, planned, out);
    put_step(plan, "encode", planned->quantize_step, &planned->owner[1], out);
    if (planned->quantized) {
        put_bits(planned, out);
    }
    if (planned->tensor >= 0 && plan->tensors.at[planned->tensor].kept_float) {
        buf_printf(out, "the float weight stays too: others read it\n");
    }
    return true;
}
