/* Plans as text: for people (plan_print), for goldens (plan_dump: stable, complete), for programs
 * (plan_json). Reads the plan only. */
#include "compiler/plan.h"
#include "compiler/names.h"
#include "compiler/placement.h"
#include "runtime/base/sanitize.h"

PlanLayer *plan_layer(const Plan *plan, const Layer *layer) {
    size_t low = 0, high = plan->layers_planned.len;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (plan->layers_planned.at[middle].layer->index < layer->index) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    bool found = low < plan->layers_planned.len && plan->layers_planned.at[low].layer == layer;
    return found ? &plan->layers_planned.at[low] : NULL;
}

Str plan_stage(const Plan *plan, const PlanOwner *owner) {
    bool named = owner->rule && plan->recipe->stages.len > 1;
    return named ? plan->recipe->stages.at[owner->stage].name : (Str){0};
}

typedef void PrintRule(Arena *arena, const Plan *plan, size_t rule, Buf *out);

/* The rules, below the names of their stages if there is more than one. */
static void each_rule(const Plan *plan, PrintRule *print, Buf *out) {
    size_t rule = 0;
    for (size_t i = 0; i < plan->recipe->stages.len; i++) {
        const Stage *stage = &plan->recipe->stages.at[i];
        if (plan->recipe->stages.len > 1) {
            buf_printf(out, "stage %.*s\n", STR_ARG(stage->name));
        }
        for (size_t k = 0; k < stage->rules.len; k++) {
            print(out->arena, plan, rule++, out);
        }
    }
}

static void put_prune(const PlanLayer *planned, Buf *out) {
    if (planned->prune == PRUNE_NM) {
        buf_printf(out, "%d:%d", planned->keep, planned->group);
    } else if (planned->prune == PRUNE_RATIO) {
        buf_printf(out, "%g%% zero", planned->fraction * 100.0);
    }
}

void plan_format_print(const PlanLayer *planned, Buf *out) {
    put_prune(planned, out);
    if (planned->prune != PRUNE_NONE) {
        buf_char(out, ' ');
    }
    if (!planned->quantized) {
        const Tensor *w = planned->layer->weight;
        buf_printf(out, "%s", w ? type_name(w->type) : "as it is");
        return;
    }
    FormatValue f = *planned->format.written;
    if (f.block_max) { /* what it came to, for this layer */
        f.block = planned->format.block;
        f.block_max = 0;
    }
    format_print(&f, out);
    if (planned->format.method == METHOD_MSE) {
        buf_printf(out, ", mse");
    }
    if (planned->round != ROUND_NEAREST) {
        buf_printf(out, ", %s", plan_round_name(planned->round));
    }
}

/* ---- for people */

static Str one_line(Arena *arena, Str text) {
    Buf out = buf_on(arena);
    for (size_t i = 0; i < text.len; i++) {
        bool space = text.data[i] == ' ' || text.data[i] == '\n' || text.data[i] == '\r';
        if (!space || (out.len && out.data[out.len - 1] != ' ')) {
            buf_char(&out, space ? ' ' : text.data[i]);
        }
    }
    return str_safe(arena, buf_view(&out));
}

static Str rule_place(Arena *arena, const Rule *rule) {
    if (!rule->span.source) {
        return STR("rule");
    }
    Place place = source_place(rule->span.source, rule->span.offset);
    return rule->span.source->is_file ? str_format(arena, "line %u", place.line)
                                      : str_safe(arena, rule->span.source->name);
}

static void put_steps(Arena *arena, const Rule *rule, Buf *out) {
    for (size_t i = 0; i < rule->steps.len; i++) {
        Str text = one_line(arena, span_text(rule->steps.at[i]->span));
        buf_printf(out, "%s%.*s", i ? "; " : "", STR_ARG(text));
    }
}

/* The rule that had these layers before, for "overrides line 16". */
static const Rule *overridden(const Plan *plan, const Rule *rule) {
    for (size_t i = 0; i < plan->layers_planned.len; i++) {
        for (int p = 0; p < 3; p++) {
            const PlanOwner *owner = &plan->layers_planned.at[i].owner[p];
            if (owner->rule == rule && owner->overrode) {
                return owner->overrode;
            }
        }
    }
    return NULL;
}

/* The rule that a layer is listed under: who encodes it, else who edits or tunes it. */
static bool listed_under(const PlanLayer *planned, const Rule *rule) {
    const Rule *owner = planned->owner[1].rule   ? planned->owner[1].rule
                        : planned->owner[0].rule ? planned->owner[0].rule
                                                 : planned->owner[2].rule;
    return owner == rule;
}

typedef struct Group { /* layers of a rule that look and end up alike */
    const PlanLayer *first;
    Str format;
    StrList paths;
} Group;

/* "    model.layers.{0..3}.mlp.up_proj   128 x 384   int4 per block(128)   4.25 bits" */
static void print_groups(Arena *arena, const Plan *plan, const Rule *rule, Buf *out) {
    Map known = map_on(arena);
    for (size_t i = 0; i < plan->layers_planned.len; i++) {
        const PlanLayer *planned = &plan->layers_planned.at[i];
        if (!listed_under(planned, rule) || !planned->layer->weight || planned->skip) {
            continue;
        }
        Buf format = buf_on(arena);
        plan_format_print(planned, &format);
        Str key = str_format(arena, "%lld %lld %.*s %.*s", (long long)planned->layer->k,
                             (long long)planned->layer->n, STR_ARG(planned->layer->node->op),
                             STR_ARG(buf_view(&format)));
        Group *group = map_get(&known, key);
        if (!group) {
            group = arena_new(arena, Group);
            group->first = planned;
            group->format = buf_view(&format);
            map_put(&known, key, group);
        }
        vec_push(arena, &group->paths, str_safe(arena, planned->layer->path));
    }
    for (size_t i = 0; i < known.len; i++) {
        const Group *group = known.entries[i].value;
        Buf names = buf_on(arena);
        names_braces(arena, &group->paths, 4, &names);
        buf_printf(out, "      %-58.*s  %5lld x %-6lld %-28.*s %6.2f bits\n",
                   STR_ARG(buf_view(&names)), (long long)group->first->layer->k,
                   (long long)group->first->layer->n, STR_ARG(group->format), group->first->bits);
    }
}

static void print_rule(Arena *arena, const Plan *plan, size_t index, Buf *out) {
    const Rule *rule = plan->rules.at[index];
    size_t matched = plan->matched.at[index].count;
    Str place = rule_place(arena, rule), on = one_line(arena, span_text(rule->selector_span));
    if (matched == 0) {
        buf_printf(out, "  %-10.*s %.*s   matches nothing in this model\n", STR_ARG(place),
                   STR_ARG(on));
        return;
    }
    Buf steps = buf_on(arena);
    put_steps(arena, rule, &steps);
    buf_printf(out, "  %-10.*s %-36.*s %10.*s  %.*s", STR_ARG(place), STR_ARG(on),
               STR_ARG(plural(arena, matched, "layer")), STR_ARG(buf_view(&steps)));
    const Rule *before = overridden(plan, rule);
    if (before) {
        buf_printf(out, "   overrides %.*s", STR_ARG(rule_place(arena, before)));
    }
    if (plan->passed_over.at[index]) {
        buf_printf(out, "   (and %.*s without a weight)",
                   STR_ARG(plural(arena, plan->passed_over.at[index], "node")));
    }
    buf_char(out, '\n');
    print_groups(arena, plan, rule, out);
}

static void print_untouched(Arena *arena, const Plan *plan, Buf *out) {
    StrList names = {0};
    double left = 0, all = 0;
    for (size_t i = 0; i < plan->layers->all.len; i++) {
        const Layer *layer = &plan->layers->all.at[i];
        if (layer->roles & (ROLE_LINEAR | ROLE_CONV)) {
            all += (double)layer->params;
            if (!plan_layer(plan, layer)) {
                left += (double)layer->params;
                vec_push(arena, &names, str_safe(arena, layer->path));
            }
        }
    }
    if (names.len) {
        Buf text = buf_on(arena);
        names_braces(arena, &names, 2, &text);
        buf_printf(out,
                   "  untouched  %-36.*s %10.*s  %.0f%% of the weights of linear and conv layers\n",
                   STR_ARG(buf_view(&text)), STR_ARG(plural(arena, names.len, "layer")),
                   all > 0 ? 100.0 * left / all : 0.0);
    }
}

void plan_print(const Plan *plan, Buf *out) {
    Arena *arena = out->arena;
    buf_printf(out, "%.*s: %.*s, opset %lld\n", STR_ARG(model_file_name(plan->layers->model)),
               STR_ARG(plural(arena, plan->layers->all.len, "node")),
               (long long)plan->layers->model->opset);
    each_rule(plan, print_rule, out);
    print_untouched(arena, plan, out);
    plan_inputs_print(plan, out);
    placement_print(plan, out);
    size_t kept = 0;
    for (size_t i = 0; i < plan->tensors.len; i++) {
        kept += plan->tensors.at[i].kept_float;
    }
    if (kept) {
        buf_printf(
            out, "  shared     %.*s also read elsewhere: the float weight stays beside the codes\n",
            STR_ARG(plural(arena, kept, "weight")));
    }
    if (plan->bits > 0) {
        buf_printf(out, "%.2f bits over ", plan->bits);
    }
    buf_printf(out, "%.*s · %.*s -> %.*s · opset %lld\n",
               STR_ARG(plural(arena, plan->tensors.len, "weight tensor")),
               STR_ARG(str_bytes(arena, plan->size_before)),
               STR_ARG(str_bytes(arena, plan->size_after)), (long long)plan->opset);
}

/* ---- for goldens */

static void dump_format(const PlanFormat *f, Buf *out) {
    static const char *const granules[] = {"tensor", "channel", "block"};
    buf_printf(out, "%s per %s", f->element->name, granules[f->granule]);
    if (f->granule == GRANULE_BLOCK) {
        buf_printf(out, " %lld%s", (long long)f->block, f->tail_short ? " short" : "");
    }
    if (f->granule != GRANULE_TENSOR) {
        buf_printf(out, " axis %d", f->axis);
    }
    if (f->scale) {
        buf_printf(out, " scale %s%s", f->scale->name, f->super ? " over float32" : "");
    }
    buf_printf(out, " method %s", f->method == METHOD_MSE ? "mse" : "max");
}

static void dump_owner(const Plan *plan, const PlanOwner *owner, const char *phase, Buf *out) {
    if (!owner->rule) {
        return;
    }
    Str stage = plan_stage(plan, owner);
    buf_printf(out, "  %s by rule %d", phase, owner->rule_index + 1);
    for (size_t i = 0; owner->overrode && i < plan->rules.len; i++) {
        if (plan->rules.at[i] == owner->overrode) {
            buf_printf(out, " over rule %zu", i + 1);
        }
    }
    buf_printf(out, "%s%.*s\n", stage.len ? " in stage " : "", STR_ARG(stage));
}

static void dump_layer(const Plan *plan, const PlanLayer *planned, Buf *out) {
    const Layer *layer = planned->layer;
    buf_printf(out, "layer %.*s\n", STR_ARG(str_safe(out->arena, layer->path)));
    buf_printf(out, "  op %.*s k %lld n %lld\n", STR_ARG(str_safe(out->arena, layer->node->op)),
               (long long)layer->k, (long long)layer->n);
    static const char *const names[] = {"edit", "encode", "tune"};
    for (int p = 0; p < 3 && !planned->skip; p++) {
        dump_owner(plan, &planned->owner[p], names[p], out);
    }
    if (planned->skip) {
        dump_owner(plan, &planned->owner[1], "skip", out);
    }
    if (planned->prune != PRUNE_NONE) {
        buf_printf(out, "  prune ");
        put_prune(planned, out);
        buf_printf(out, " axis %d\n", layer->reduce_axis);
    }
    if (planned->quantized) {
        buf_printf(out, "  quantize ");
        dump_format(&planned->format, out);
        if (planned->round != ROUND_NEAREST) {
            buf_printf(out, " round %s", plan_round_name(planned->round));
        }
        buf_char(out, '\n');
    }
    if (planned->tensor >= 0) {
        buf_printf(out, "  tensor %d bits %.4f stored %llu\n", planned->tensor, planned->bits,
                   (unsigned long long)planned->stored);
    }
    placement_json(plan, out);
}

static void dump_rule(Arena *arena, const Plan *plan, size_t index, Buf *out) {
    const Rule *rule = plan->rules.at[index];
    Buf selector = buf_on(arena);
    selector_print(rule->selector, &selector);
    buf_printf(out, "rule %zu %s%.*s\n", index + 1, rule->override ? "override on " : "on ",
               STR_ARG(str_safe(arena, buf_view(&selector))));
    buf_printf(out, "  matches %zu passed over %zu\n", plan->matched.at[index].count,
               plan->passed_over.at[index]);
}

void plan_dump(const Plan *plan, Buf *out) {
    each_rule(plan, dump_rule, out);
    for (size_t i = 0; i < plan->layers_planned.len; i++) {
        dump_layer(plan, &plan->layers_planned.at[i], out);
    }
    plan_inputs_dump(plan, out);
    for (size_t i = 0; i < plan->tensors.len; i++) {
        const Tensor *t = plan->tensors.at[i].tensor;
        const Layer *layer = plan->layers_planned.at[plan->tensors.at[i].layers.at[0]].layer;
        buf_printf(out, "tensor %zu %.*s %s", i, STR_ARG(weight_name(out->arena, layer)),
                   type_name(t->type));
        for (int d = 0; d < t->rank; d++) {
            buf_printf(out, "%s%lld", d ? "x" : " ", (long long)t->dims[d]);
        }
        buf_printf(out, "%s\n", plan->tensors.at[i].kept_float ? " kept" : "");
    }
    placement_dump(plan, out);
    buf_printf(out, "total bits %.4f before %llu after %llu untouched %zu opset %lld\n", plan->bits,
               (unsigned long long)plan->size_before, (unsigned long long)plan->size_after,
               plan->untouched, (long long)plan->opset);
}

/* ---- for programs */

static void json_text(Buf *out, const char *key, Str text) {
    buf_printf(out, ",\"%s\":", key);
    buf_json(out, text);
}

void plan_json(const Plan *plan, Buf *out) {
    static const char *const names[] = {"edit", "encode", "tune"};
    static const char *const stages[] = {"edit_stage", "encode_stage", "tune_stage"};
    for (size_t i = 0; i < plan->layers_planned.len; i++) {
        const PlanLayer *planned = &plan->layers_planned.at[i];
        const Layer *layer = planned->layer;
        buf_printf(out, "{\"type\":\"plan\"");
        json_text(out, "path", layer->path);
        json_text(out, "op", layer->node->op);
        buf_printf(out, ",\"k\":%lld,\"n\":%lld,\"weights\":%lld", (long long)layer->k,
                   (long long)layer->n, (long long)layer->params);
        for (int p = 0; p < 3; p++) {
            const Rule *rule = planned->owner[p].rule;
            if (rule && rule->span.source) {
                Place place = source_place(rule->span.source, rule->span.offset);
                json_text(out, names[p],
                          str_format(out->arena, "%.*s:%u", STR_ARG(rule->span.source->name),
                                     place.line));
            }
            Str stage = plan_stage(plan, &planned->owner[p]);
            if (stage.len) {
                json_text(out, stages[p], stage);
            }
        }
        Buf format = buf_on(out->arena);
        plan_format_print(planned, &format);
        json_text(out, "weight", planned->skip ? STR("skip") : buf_view(&format));
        Buf input = buf_on(out->arena);
        plan_input_print(plan, planned, &input);
        json_text(out, "input", input.len ? buf_view(&input) : STR("none"));
        buf_printf(out, ",\"bits\":%.6g,\"stored\":%llu}\n", planned->bits,
                   (unsigned long long)planned->stored);
    }
    placement_json(plan, out);
}
