/* E0401, E0402, E0405, E0408 and E0502: rules that contradict each other or the model. Each message
 * shows both places and the layers, and offers the text that would say what was meant. */
#include "compiler/bind_parts.h"
#include "runtime/base/sanitize.h"

/* ---- selectors as text */

static Str one_line(Session *s, Str text) {
    Buf out = buf_on(s->arena);
    bool gap = false;
    for (size_t i = 0; i < text.len; i++) {
        bool space = text.data[i] == ' ' || text.data[i] == '\n' || text.data[i] == '\t' ||
                     text.data[i] == '\r';
        if (!space) {
            buf_printf(&out, "%s", gap && out.len ? " " : "");
            buf_char(&out, text.data[i]);
        }
        gap = space;
    }
    return str_safe(s->arena, buf_view(&out));
}

Str selector_text(Session *s, const Selector *selector) {
    Buf out = buf_on(s->arena);
    selector_print(selector, &out);
    return one_line(s, buf_view(&out));
}

static bool is_binary(const Selector *selector) {
    return selector->kind == SELECT_UNION || selector->kind == SELECT_INTERSECT ||
           selector->kind == SELECT_DIFFERENCE;
}

Str selector_operand(Session *s, const Selector *selector) {
    Str text = selector_text(s, selector);
    return is_binary(selector) ? str_format(s->arena, "(%.*s)", STR_ARG(text)) : text;
}

/* What the rule's author wrote, or the selector printed when that is not in one place. */
static Str rule_text(Session *s, const Rule *rule) {
    Str text = span_text(rule->selector_span);
    return text.len ? one_line(s, text) : selector_text(s, rule->selector);
}

static Str rule_operand(Session *s, const Rule *rule) {
    Str text = rule_text(s, rule);
    return is_binary(rule->selector) ? str_format(s->arena, "(%.*s)", STR_ARG(text)) : text;
}

/* first without second: `linear - head` and "x" give `linear - (head | "x")`. */
static Str without(Session *s, const Rule *first, const Rule *second) {
    const Selector *sel = first->selector;
    Str minus = rule_operand(s, second);
    if (sel->kind != SELECT_DIFFERENCE) {
        return str_format(s->arena, "%.*s - %.*s", STR_ARG(rule_operand(s, first)), STR_ARG(minus));
    }
    Str a = selector_operand(s, sel->a), b = selector_text(s, sel->b);
    bool flat = sel->b->kind == SELECT_UNION || !is_binary(sel->b);
    b = flat ? b : str_format(s->arena, "(%.*s)", STR_ARG(b));
    return str_format(s->arena, "%.*s - (%.*s | %.*s)", STR_ARG(a), STR_ARG(b), STR_ARG(minus));
}

static Str layers_text(Bind *b, size_t n) {
    return plural(b->s->arena, n, "layer");
}

static void few_layers(Bind *b, Diag *d, const LayerSet *set) {
    StrList names = names_of(b->s, b->layers, set);
    Buf text = buf_on(b->s->arena);
    names_few(b->s->arena, &names, &text);
    diag_line(d, "%.*s", STR_ARG(buf_view(&text)));
}

static const PlanLayer *planned_of(const Bind *b, size_t layer) {
    return &b->plan->layers_planned.at[b->planned[layer]];
}

/* ---- E0401 */

void report_overlap(Bind *b, const BindRule *first, const BindRule *second, const LayerSet *layers,
                    unsigned phases) {
    Session *s = b->s;
    LayerSet shared = set_counted(s, b->layers, layers);
    Span at = second->rule->selector_span;
    Str count = layers_text(b, shared.count);
    const char *get = shared.count == 1 ? "gets" : "get";
    static const char *const words[] = {"`edit`", "`encode`", "`edit` and two `encode`", "`tune`"};
    Diag *d;
    if (first->skips != second->skips) {
        d = diag_error(s, "E0401", at, "%.*s %s skipped by one rule and changed by another",
                       STR_ARG(count), shared.count == 1 ? "is" : "are");
    } else if (first->skips) {
        d = diag_error(s, "E0401", at, "%.*s %s skipped by two rules", STR_ARG(count),
                       shared.count == 1 ? "is" : "are");
    } else {
        unsigned word = phases & 4 ? 3 : phases - 1;
        d = diag_error(s, "E0401", at, "%.*s %s two %s stacks", STR_ARG(count), get, words[word]);
    }
    bool all = shared.count == second->counted.count;
    if (all) {
        diag_label(d, "second rule: %.*s, all of them taken above",
                   STR_ARG(layers_text(b, second->counted.count)));
    } else {
        diag_label(d, "second rule: %.*s, %zu of them taken above",
                   STR_ARG(layers_text(b, second->counted.count)), shared.count);
    }
    diag_span(d, first->rule->selector_span, "first rule: %.*s",
              STR_ARG(layers_text(b, first->counted.count)));
    few_layers(b, d, &shared);
    diag_help(d, "the second rule is an exception?      override on %.*s {",
              STR_ARG(rule_text(s, second->rule)));
    diag_help(d, "the first rule is too wide?           on %.*s {",
              STR_ARG(without(s, first->rule, second->rule)));
}

/* ---- E0402 */

/* How many layers two rules have in common, if they have a phase in common. */
static size_t shared_layers(const Bind *b, const BindRule *r, const BindRule *other) {
    size_t shared = 0;
    for (size_t k = 0; k < b->layers->all.len; k++) {
        shared += r->acted.has[k] && other->acted.has[k] && (r->phases & other->phases);
    }
    return shared;
}

void report_override(Bind *b, size_t rule) {
    const BindRule *r = &b->rules.at[rule];
    size_t n = r->counted.count;
    Diag *d =
        n == 1 ? diag_error(b->s, "E0402", r->rule->selector_span,
                            "this `override` overrides nothing: no rule above owns its layer")
               : diag_error(b->s, "E0402", r->rule->selector_span,
                            "this `override` overrides nothing: no rule above owns one of its %zu "
                            "layers",
                            n);
    diag_label(d, "0 of %.*s taken above", STR_ARG(layers_text(b, r->counted.count)));
    few_layers(b, d, &r->counted);
    const BindRule *other = NULL;
    for (size_t i = 0; i < b->rules.len; i++) {
        const BindRule *at = &b->rules.at[i];
        bool meets = i != rule && at->stage <= r->stage && shared_layers(b, r, at);
        bool nearer = !other || (other->stage != r->stage && at->stage == r->stage);
        other = meets && nearer ? at : other;
    }
    if (other) {
        size_t shared = shared_layers(b, r, other);
        const char *has = n == 1 ? "it" : shared == 1 ? "one of them" : "some of them";
        if (other->stage == r->stage) {
            diag_span(d, other->rule->selector_span, "this rule has %s, but stands below", has);
            diag_help(d, "put the `override` after that rule");
        } else {
            diag_span(d, other->rule->selector_span, "this rule has %s, but in another stage", has);
            diag_note(d, "`override` is about the rules of its own stage");
        }
        return;
    }
    diag_help(d, "not an exception to anything?   on %.*s {", STR_ARG(rule_text(b->s, r->rule)));
}

/* ---- E0502 */

void report_weightless(Bind *b, const BindRule *r) {
    const Step *step = r->rule->steps.at[0];
    size_t n = r->selected.count;
    Diag *d =
        diag_error(b->s, "E0502", step->name_span,
                   n == 1 ? "`%s` needs a weight, and %.*s has none"
                          : "`%s` needs a weight, and none of %.*s has one",
                   step->schema->name, STR_ARG(n == 1 ? STR("this layer") : layers_text(b, n)));
    diag_span(d, r->rule->selector_span, "%.*s", STR_ARG(layers_text(b, n)));
    for (size_t i = 0; i < b->layers->all.len; i++) {
        if (r->selected.has[i]) {
            const Layer *layer = &b->layers->all.at[i];
            diag_line(d, "%.*s is `%.*s`", STR_ARG(str_safe(b->s->arena, layer->path)),
                      STR_ARG(str_safe(b->s->arena, layer->node->op)));
            break;
        }
    }
    diag_note(d,
              "layers with a weight: linear, conv and embedding (morc inspect MODEL lists them)");
}

/* ---- E0405 */

void report_encoded(Bind *b, const BindRule *r, const Step *step, const LayerSet *of,
                    const LayerSet *encoded) {
    Str which = of->count == 1
                    ? STR("this layer")
                    : str_format(b->s->arena, "%zu of these %.*s", encoded->count,
                                 STR_ARG(layers_text(b, of->count)));
    Diag *d = diag_error(b->s, "E0405", step->name_span,
                         "`%s` needs float weights, but %.*s %s already packed",
                         step->schema->name, STR_ARG(which), encoded->count == 1 ? "is" : "are");
    diag_label(d, step->schema->phase == PHASE_EDIT ? "an edit step" : "an encode step");
    diag_span(d, r->rule->selector_span, "%.*s", STR_ARG(layers_text(b, r->counted.count)));
    for (size_t i = 0; i < b->layers->all.len; i++) {
        const Layer *layer = &b->layers->all.at[i];
        if (!encoded->has[i]) {
            continue;
        }
        int64_t space = str_find(layer->state, ' ');
        size_t cut = space < 0 ? layer->state.len : (size_t)space;
        diag_line(d, "%.*s is `%.*s`%.*s in %.*s", STR_ARG(str_safe(b->s->arena, layer->path)),
                  (int)cut, layer->state.data, (int)(layer->state.len - cut),
                  layer->state.data + cut, STR_ARG(model_file_name(b->layers->model)));
        break;
    }
    diag_line(d, "a stack runs  edit (prune, smooth, awq, map) -> encode (quantize) -> tune "
                 "(finetune) -> emit");
    if (step->schema->phase == PHASE_EDIT) {
        diag_note(d,
                  "zeros chosen on dequantized weights are not those that would be chosen on the "
                  "originals");
    } else {
        diag_note(d, "encoding codes again would add a second rounding error to the first");
    }
    diag_help(d, "run this recipe on the float export of the model");
    if (encoded->count < of->count) {
        StrList names = names_of(b->s, b->layers, encoded);
        Buf text = buf_on(b->s->arena);
        names_braces(b->s->arena, &names, 1, &text);
        bool one = !str_ends(buf_view(&text), STR(", ..."));
        diag_help(d, "or leave them as they are:  override on %s%.*s%s { skip }", one ? "\"" : "",
                  STR_ARG(one ? buf_view(&text) : STR("...")), one ? "\"" : "");
    }
}

/* ---- E0405 and E0001 over stages */

static void report_stage(Bind *b, const BindRule *r, const Step *step, const LayerSet *of,
                         const LayerSet *done, const Step *earlier, const PlanOwner *owner) {
    bool encoded = earlier->schema->phase == PHASE_ENCODE;
    Str stage = b->recipe->stages.at[owner->stage].name;
    Str own = b->recipe->stages.at[r->stage].name;
    Str layers = done->count < of->count
                     ? str_format(b->s->arena, "%zu of these %zu layers", done->count, of->count)
                 : of->count == 1 ? STR("this layer")
                                  : str_format(b->s->arena, "these %zu layers", of->count);
    const char *name = step->schema->name;
    Diag *d = encoded ? diag_error(b->s, "E0405", step->name_span,
                                   "`%s` needs float weights, but an earlier stage encodes %.*s",
                                   name, STR_ARG(layers))
                      : diag_error(b->s, "E0001", step->name_span,
                                   "`%s` in two stages is not in this build: an earlier stage "
                                   "prunes %.*s",
                                   name, STR_ARG(layers));
    bool late = step->schema->phase != PHASE_ENCODE && encoded;
    diag_label(d, late ? "... so stage `%.*s` is too late" : "... and again by stage `%.*s`",
               STR_ARG(own));
    diag_span(d, earlier->name_span, "%s by stage `%.*s` ...", encoded ? "encoded" : "pruned",
              STR_ARG(stage));
    few_layers(b, d, done);
    if (late) {
        diag_help(d, "put the stage `%.*s` above `%.*s`", STR_ARG(own), STR_ARG(stage));
    } else if (done->count < of->count) {
        diag_help(d, "leave them to that stage:   on %.*s {",
                  STR_ARG(without(b->s, r->rule, owner->rule)));
    } else {
        diag_help(d, "%s a layer in one stage only", encoded ? "encode" : "prune");
    }
}

static const Step *earlier_step(const PlanLayer *planned) {
    return planned->quantized ? planned->quantize_step : planned->prune_step;
}

void report_stages(Bind *b, const BindRule *r, const Step *step, const LayerSet *of,
                   const LayerSet *done) {
    LayerSet said = set_none(b->s, b->layers);
    for (size_t i = 0; i < b->layers->all.len; i++) {
        if (!done->has[i] || said.has[i]) {
            continue;
        }
        const PlanLayer *first = planned_of(b, i);
        const Step *earlier = earlier_step(first);
        LayerSet same = set_none(b->s, b->layers);
        for (size_t k = i; k < b->layers->all.len; k++) {
            if (done->has[k] && earlier_step(planned_of(b, k)) == earlier) {
                set_add(&same, (int)k);
                set_add(&said, (int)k);
            }
        }
        const PlanOwner *owner = &first->owner[earlier->schema->phase - PHASE_EDIT];
        report_stage(b, r, step, of, &same, earlier, owner);
    }
}

/* ---- E0408 */

static const PlanOwner *acting(const PlanLayer *planned) {
    return planned->owner[1].rule ? &planned->owner[1] : &planned->owner[0];
}

void report_shared(Bind *b, const PlanLayer *a, const PlanLayer *z) {
    Arena *arena = b->s->arena;
    const Rule *first = acting(a)->rule, *second = acting(z)->rule;
    Str name = weight_name(arena, a->layer);
    bool one = first == second && a->owner[0].rule == z->owner[0].rule;
    Diag *d =
        one ? diag_error(b->s, "E0408", second->selector_span,
                         "two layers share the weight %.*s and need it in different forms",
                         STR_ARG(name))
            : diag_error(b->s, "E0408", second->selector_span,
                         "two layers share the weight %.*s, and two rules own it", STR_ARG(name));
    diag_label(d, "%.*s", STR_ARG(str_safe(arena, z->layer->path)));
    if (!one) {
        diag_span(d, first->selector_span, "%.*s", STR_ARG(str_safe(arena, a->layer->path)));
    }
    diag_line(d, "%.*s is `%.*s`, %.*s is `%.*s`", STR_ARG(str_safe(arena, a->layer->path)),
              STR_ARG(a->layer->node->op), STR_ARG(str_safe(arena, z->layer->path)),
              STR_ARG(z->layer->node->op));
    if (one) {
        diag_note(d, "they read it along different axes, so blocks and channels lie differently");
        diag_help(d, "`per tensor` is the same for both; or leave one of them out of the rule");
    } else {
        diag_help(d, "give both to one rule:  on %.*s | %.*s {", STR_ARG(rule_operand(b->s, first)),
                  STR_ARG(rule_operand(b->s, second)));
        diag_help(d, "or leave one of them in float: it then keeps a copy of its own");
    }
}

void report_shared_prune(Bind *b, const PlanTensor *tensor, const PlanLayer *layer, size_t others) {
    Arena *arena = b->s->arena;
    Diag *d = diag_error(b->s, "E0408", layer->owner[0].rule->selector_span,
                         "pruning %.*s would also change %s that %s its weight",
                         STR_ARG(str_safe(arena, layer->layer->path)),
                         others == 1 ? "a node" : "nodes", others == 1 ? "shares" : "share");
    diag_line(d, "%.*s is read by %.*s that this recipe does not prune",
              STR_ARG(weight_name(arena, layer->layer)),
              STR_ARG(plural(arena, others, "other node")));
    for (size_t i = 0; i < b->layers->all.len; i++) {
        const Layer *other = &b->layers->all.at[i];
        if (other->weight == tensor->tensor && other != layer->layer) {
            diag_line(d, "one of them: %.*s (%.*s)", STR_ARG(str_safe(arena, other->path)),
                      STR_ARG(str_safe(arena, other->node->op)));
            break;
        }
    }
    diag_help(d,
              "let the rule have all of them, or quantize this layer too: it then gets a weight of "
              "its own");
}

/* ---- W0409 */

void report_siblings(Bind *b, const LayerSet *layers) {
    const PlanLayer *a = NULL, *z = NULL;
    for (size_t i = 0; i < b->layers->all.len; i++) {
        const PlanLayer *planned = layers->has[i] ? planned_of(b, i) : NULL;
        if (planned && !a) {
            a = planned;
        } else if (planned && !z && planned->owner[1].rule != a->owner[1].rule) {
            z = planned;
        }
    }
    if (a->owner[1].rule_index > z->owner[1].rule_index) {
        const PlanLayer *swap = a;
        a = z;
        z = swap;
    }
    Buf first = buf_on(b->s->arena), second = buf_on(b->s->arena);
    plan_format_print(a, &first);
    plan_format_print(z, &second);
    Diag *d = diag_warning(b->s, "W0409", z->owner[1].rule->selector_span,
                           "%.*s that read the same inputs are encoded differently",
                           STR_ARG(layers_text(b, layers->count)));
    diag_label(d, "%.*s", STR_ARG(buf_view(&second)));
    diag_span(d, a->owner[1].rule->selector_span, "%.*s", STR_ARG(buf_view(&first)));
    few_layers(b, d, layers);
    diag_note(d, "runtimes fuse such layers (q, k, v; gate, up) and then want one scheme for all");
    diag_help(d, "take the siblings along:   on siblings(%.*s) {",
              STR_ARG(rule_text(b->s, z->owner[1].rule)));
}
