/* Recipe x layers -> plan. In: a resolved recipe and the index of the model. Out: for each layer
 * who owns which phase, and what is done to its weight. Every error of the moment "bind" is
 * reported in one run; nothing of the model is changed, no weight is read.
 *
 *     selectors -> of each stage: owners (language.md 2.6), steps and formats
 *               -> shared weights -> totals
 *
 * Stages change weights and not the graph, so one index serves the selectors of all of them. */
#include "compiler/bind_parts.h"
#include "compiler/placement.h"

static const Phase phases[PHASES] = {PHASE_EDIT, PHASE_ENCODE, PHASE_TUNE};

static int *number_each(Bind *b) {
    return arena_many(b->s->arena, int, b->layers->all.len + 1);
}

static void nobody(const Bind *b, int *array) {
    for (size_t i = 0; i < b->layers->all.len; i++) {
        array[i] = -1;
    }
}

/* ---- rules */

static void read_steps(BindRule *r) {
    for (size_t i = 0; i < r->rule->steps.len; i++) {
        Phase phase = r->rule->steps.at[i]->schema->phase;
        if (phase == PHASE_SKIP) {
            r->skips = true;
            r->phases = (1u << PHASES) - 1;
        }
        for (int p = 0; p < PHASES; p++) {
            r->phases |= phase == phases[p] ? 1u << p : 0;
        }
    }
}

/* Formats of inputs, outputs and kv alone: they act on attention and residual sums as well, and on
 * whatever else has no weight when nothing of the set has one. A name finds a product and its bias
 * Add, and means the product. */
static void act_weightless(Bind *b, BindRule *r) {
    bool all = r->phases != 0;
    for (size_t i = 0; i < r->rule->steps.len; i++) {
        all = all && bind_weightless_step(r->rule->steps.at[i]);
    }
    const bool none = r->acted.count == 0;
    for (size_t i = 0; all && i < b->layers->all.len; i++) {
        const Layer *layer = &b->layers->all.at[i];
        if (r->selected.has[i] && !layer->weight &&
            (none || layer->roles & (ROLE_ATTENTION | ROLE_RESIDUAL))) {
            set_add(&r->acted, (int)i);
        }
    }
}

static void bind_rule(Bind *b, const Rule *rule, int stage) {
    BindRule r = {.rule = rule, .stage = stage};
    read_steps(&r);
    r.poisoned = !select_rule(b->s, b->layers, rule, &r.selected);
    b->failed = b->failed || r.poisoned;
    r.counted = set_counted(b->s, b->layers, &r.selected);
    r.acted = r.skips ? r.selected : set_none(b->s, b->layers);
    for (size_t i = 0; !r.skips && r.phases && i < b->layers->all.len; i++) {
        if (r.selected.has[i] && b->layers->all.at[i].weight) {
            set_add(&r.acted, (int)i);
        }
    }
    if (!r.skips) {
        act_weightless(b, &r);
    }
    if (!r.poisoned && r.phases && r.selected.count && !r.acted.count) {
        report_weightless(b, &r);
        b->failed = true;
    }
    vec_push(b->s->arena, &b->rules, r);
}

/* ---- owners */

typedef struct Overlap {
    int first, second;
    unsigned phases;
    LayerSet layers;
} Overlap;

typedef Vec(Overlap) OverlapList;

static void note_overlap(Bind *b, OverlapList *all, int first, int second, int phase, int layer) {
    Overlap *found = NULL;
    for (size_t i = 0; i < all->len && !found; i++) {
        bool same = all->at[i].first == first && all->at[i].second == second;
        found = same ? &all->at[i] : NULL;
    }
    if (!found) {
        Overlap fresh = {first, second, 0, set_none(b->s, b->layers)};
        vec_push(b->s->arena, all, fresh);
        found = &vec_last(all);
    }
    found->phases |= 1u << phase;
    set_add(&found->layers, layer);
}

/* Does a layer of the rule have an owner already, in a phase that the rule mentions? */
static bool takes_over(const Bind *b, const BindRule *r) {
    for (size_t i = 0; i < b->layers->all.len; i++) {
        for (int p = 0; r->acted.has[i] && p < PHASES; p++) {
            if ((r->phases >> p & 1) && b->owner[p][i] >= 0) {
                return true;
            }
        }
    }
    return false;
}

static void own(Bind *b, int index, OverlapList *overlaps) {
    const BindRule *r = &b->rules.at[index];
    if (r->rule->override && r->acted.count && !takes_over(b, r)) {
        report_override(b, (size_t)index);
        b->failed = true;
        return; /* as if it were not there: the rules below are judged without it */
    }
    for (size_t i = 0; i < b->layers->all.len; i++) {
        for (int p = 0; r->acted.has[i] && p < PHASES; p++) {
            int before = b->owner[p][i];
            if (!(r->phases >> p & 1)) {
                continue;
            }
            if (before >= 0 && !r->rule->override) {
                note_overlap(b, overlaps, before, index, p, (int)i);
                continue;
            }
            b->owner[p][i] = index;
            b->overrode[p][i] = before;
        }
    }
}

static void bind_owners(Bind *b) {
    OverlapList overlaps = {0};
    for (int p = 0; p < PHASES; p++) {
        nobody(b, b->owner[p]);
        nobody(b, b->overrode[p]);
    }
    for (size_t r = b->from; r < b->to; r++) {
        own(b, (int)r, &overlaps);
    }
    for (size_t i = 0; i < overlaps.len; i++) {
        const Overlap *o = &overlaps.at[i];
        report_overlap(b, &b->rules.at[o->first], &b->rules.at[o->second], &o->layers, o->phases);
        b->failed = true;
    }
}

/* ---- planned layers */

/* One for each layer that a rule of any stage acts on. */
static void plan_layers(Bind *b) {
    LayerSet acted = set_none(b->s, b->layers);
    for (size_t r = 0; r < b->rules.len; r++) {
        for (size_t i = 0; i < b->layers->all.len; i++) {
            if (b->rules.at[r].acted.has[i]) {
                set_add(&acted, (int)i);
            }
        }
    }
    nobody(b, b->planned);
    for (size_t i = 0; i < b->layers->all.len; i++) {
        if (acted.has[i]) {
            b->planned[i] = (int)b->plan->layers_planned.len;
            vec_push(b->s->arena, &b->plan->layers_planned,
                     (PlanLayer){.layer = &b->layers->all.at[i], .tie = -1, .stream = -1,
                                 .tensor = -1});
        } else if (b->layers->all.at[i].roles & (ROLE_LINEAR | ROLE_CONV)) {
            b->plan->untouched++;
        }
    }
}

/* Joins the owners of this stage to those of earlier ones. `skip` speaks for its stage only: it is
 * the owner as long as no other stage has one. */
static void join_owners(Bind *b, PlanLayer *planned) {
    PlanOwner owners[PHASES] = {{0}};
    bool any = false, skip = true;
    for (int p = 0; p < PHASES; p++) {
        int layer = planned->layer->index, owner = b->owner[p][layer];
        int before = b->overrode[p][layer];
        if (owner >= 0) {
            const BindRule *r = &b->rules.at[owner];
            owners[p] = (PlanOwner){.rule = r->rule,
                                    .stage = r->stage,
                                    .rule_index = owner,
                                    .overrode = before < 0 ? NULL : b->rules.at[before].rule};
            any = true;
            skip = skip && r->skips;
        }
    }
    bool first = !planned->owner[0].rule && !planned->owner[1].rule && !planned->owner[2].rule;
    if (!any || (skip && !first)) {
        return;
    }
    for (int p = 0; p < PHASES; p++) {
        bool acts = owners[p].rule && !b->rules.at[owners[p].rule_index].skips;
        if (first || planned->skip || acts) {
            planned->owner[p] = owners[p];
        }
    }
    planned->skip = skip;
}

static void bind_stage(Bind *b, size_t rules) {
    b->from = b->to;
    b->to += rules;
    if (rules == 0) {
        return;
    }
    bind_owners(b);
    bind_steps(b); /* PlanLayer.owner: still what earlier stages made of it */
    for (size_t i = 0; i < b->plan->layers_planned.len; i++) {
        join_owners(b, &b->plan->layers_planned.at[i]);
    }
}

/* ---- shared weights */

static ValueInfo *weight_value(const Layer *layer) {
    return layer->weight_at->inputs[layer->weight_slot];
}

static PlanTensor *tensor_of(Bind *b, Map *known, PlanLayer *planned) {
    const Tensor *tensor = planned->layer->weight;
    Str key = {(const char *)&tensor, sizeof tensor};
    MapEntry *entry = map_find(known, key);
    planned->tensor = (int)(entry ? (size_t)(entry - known->entries) : b->plan->tensors.len);
    if (!entry) {
        map_put(known, key, b->plan);
        vec_push(b->s->arena, &b->plan->tensors, (PlanTensor){.tensor = tensor});
    }
    return &b->plan->tensors.at[planned->tensor];
}

static bool same_treatment(const PlanLayer *a, const PlanLayer *z) {
    const PlanFormat *f = &a->format, *g = &z->format;
    bool prune = a->prune == z->prune && a->keep == z->keep && a->group == z->group &&
                 !(a->fraction < z->fraction || a->fraction > z->fraction) &&
                 (a->prune != PRUNE_NM || a->layer->reduce_axis == z->layer->reduce_axis);
    bool same = f->element == g->element && f->granule == g->granule && f->axis == g->axis &&
                f->block == g->block && f->tail_short == g->tail_short && f->scale == g->scale &&
                f->super == g->super && f->method == g->method;
    return prune && a->norm == z->norm && a->tie == z->tie && a->round == z->round &&
           a->quantized == z->quantized && (!a->quantized || same) &&
           a->owner[0].rule == z->owner[0].rule && a->owner[1].rule == z->owner[1].rule;
}

/* One entry for each tensor that something is done to; E0408 where its readers disagree. */
static void bind_tensors(Bind *b) {
    Map known = map_on(b->s->arena);
    for (size_t i = 0; i < b->plan->layers_planned.len; i++) {
        PlanLayer *planned = &b->plan->layers_planned.at[i];
        if (!planned->quantized && planned->prune == PRUNE_NONE) {
            continue;
        }
        PlanTensor *tensor = tensor_of(b, &known, planned);
        vec_push(b->s->arena, &tensor->layers, (int)i);
        const PlanLayer *first = &b->plan->layers_planned.at[tensor->layers.at[0]];
        if (!same_treatment(first, planned)) {
            report_shared(b, first, planned);
            b->failed = true;
        }
    }
    for (size_t i = 0; i < b->plan->tensors.len; i++) {
        PlanTensor *tensor = &b->plan->tensors.at[i];
        const PlanLayer *first = &b->plan->layers_planned.at[tensor->layers.at[0]];
        const ValueInfo *value = weight_value(first->layer);
        tensor->kept_float = value->graph_output || value->uses.len > tensor->layers.len;
        if (tensor->kept_float && !first->quantized) {
            report_shared_prune(b, tensor, first, value->uses.len - tensor->layers.len);
            b->failed = true;
        }
    }
}

/* ---- siblings */

static bool same_format(const PlanLayer *a, const PlanLayer *z) {
    const PlanFormat *f = &a->format, *g = &z->format;
    return f->element == g->element && f->granule == g->granule && f->block == g->block &&
           f->scale == g->scale;
}

/* Of each pair of rules that encode siblings differently: one warning. */
static void compare_siblings(Bind *b) {
    Map first_of = map_on(b->s->arena), pairs = map_on(b->s->arena);
    for (size_t i = 0; i < b->plan->layers_planned.len; i++) {
        PlanLayer *z = &b->plan->layers_planned.at[i];
        Str key = {(const char *)&z->layer->input, sizeof z->layer->input};
        if (!z->quantized || !z->layer->input || !(z->layer->roles & ROLE_LINEAR)) {
            continue;
        }
        const PlanLayer *a = map_get(&first_of, key);
        if (!a) {
            map_put(&first_of, key, z);
        } else if (a->owner[1].rule != z->owner[1].rule && !same_format(a, z)) {
            Str pair =
                str_format(b->s->arena, "%d %d", a->owner[1].rule_index, z->owner[1].rule_index);
            LayerSet *layers = map_get(&pairs, pair);
            if (!layers) {
                layers = arena_new(b->s->arena, LayerSet);
                *layers = set_none(b->s, b->layers);
                map_put(&pairs, pair, layers);
            }
            set_add(layers, a->layer->index);
            set_add(layers, z->layer->index);
        }
    }
    for (size_t i = 0; i < pairs.len; i++) {
        report_siblings(b, pairs.entries[i].value);
    }
}

/* ---- totals */

static uint64_t input_size(const Model *model) {
    uint64_t size = model->input->size;
    for (size_t i = 0; i < model->data_files.len; i++) {
        size += model->data_files.at[i]->size;
    }
    return size;
}

static void add_up(Bind *b) {
    Plan *plan = b->plan;
    double stored = 0, weights = 0;
    for (size_t i = 0; i < plan->tensors.len; i++) {
        const PlanTensor *tensor = &plan->tensors.at[i];
        const PlanLayer *first = &plan->layers_planned.at[tensor->layers.at[0]];
        plan->size_before += tensor->tensor->size;
        plan->size_after += first->stored + (tensor->kept_float ? tensor->tensor->size : 0);
        if (first->quantized) {
            stored += (double)first->stored * 8.0;
            weights += (double)tensor->tensor->count;
        }
    }
    plan->bits = weights > 0 ? stored / weights : 0;
    uint64_t input = input_size(b->layers->model);
    plan->size = input + plan->size_after;
    plan->size -= plan->size_before < plan->size ? plan->size_before : plan->size;
}

static void publish_rules(Bind *b) {
    for (size_t i = 0; i < b->rules.len; i++) {
        const BindRule *r = &b->rules.at[i];
        vec_push(b->s->arena, &b->plan->rules, r->rule);
        vec_push(b->s->arena, &b->plan->matched, r->counted);
        vec_push(b->s->arena, &b->plan->passed_over,
                 r->phases ? r->selected.count - r->acted.count : 0);
    }
}

bool bind_plan(Session *s, const Recipe *recipe, const Layers *layers, Plan **out) {
    Bind b = {.s = s, .recipe = recipe, .layers = layers};
    b.plan = *out = arena_new(s->arena, Plan);
    b.plan->recipe = recipe;
    b.plan->layers = layers;
    for (int p = 0; p < PHASES; p++) {
        b.owner[p] = number_each(&b);
        b.overrode[p] = number_each(&b);
    }
    b.planned = number_each(&b);
    for (size_t i = 0; i < recipe->stages.len; i++) {
        for (size_t k = 0; k < recipe->stages.at[i].rules.len; k++) {
            bind_rule(&b, &recipe->stages.at[i].rules.at[k], (int)i);
        }
    }
    plan_layers(&b);
    publish_rules(&b);
    for (size_t i = 0; i < recipe->stages.len; i++) {
        bind_stage(&b, recipe->stages.at[i].rules.len);
    }
    placement_weights(&b);
    bind_sizes(&b);
    bind_targets(&b);
    if (!b.failed) {
        bind_inputs(&b);
    }
    if (!b.failed) {
        bind_tensors(&b);
        bind_opset(&b);
        compare_siblings(&b);
        add_up(&b);
    }
    bind_evaluation(&b);
    bind_expects(&b);
    return !b.failed;
}
