/* What the target GPU and the opset of the output allow. Weights alone run anywhere (kernels decode
 * them to 16 bits); arithmetic on codes and skipped zeros need hardware (targets.list). */
#include <string.h>
#include "compiler/bind_parts.h"
#include "compiler/targets.h"

/* The `target` line of the one that was picked; NO_SPAN if it came from --target or this machine.
 */
static Span target_span(const Bind *b) {
    for (size_t i = 0; i < b->recipe->targets.len; i++) {
        if (b->recipe->targets.at[i].sm == b->recipe->target) {
            return b->recipe->targets.at[i].span;
        }
    }
    return NO_SPAN;
}

static void point_at_target(const Bind *b, Diag *d, const TargetInfo *info) {
    Span span = target_span(b);
    if (span.source) {
        diag_span(d, span, "%s: %s", info->generation, info->has);
    } else {
        diag_line(d, "sm_%d is %s: %s", info->sm, info->generation, info->has);
    }
}

static void refuse_input(Bind *b, const Step *step, const FormatValue *f, Span span,
                         const TargetInfo *info) {
    Session *s = b->s;
    int first = target_first_for_input(f->element);
    const char *family = target_family(f->element);
    Diag *d = diag_error(s, "E0503", span, "sm_%d has no %s tensor cores", info->sm, family);
    Buf weight = buf_on(s->arena), input = buf_on(s->arena);
    format_print(f, &input);
    const BoundArg *arg = step_arg(step, "weight");
    if (arg && arg->value && arg->value->type == VALUE_FORMAT) {
        format_print(arg->value->format, &weight);
    }
    if (first) {
        diag_label(d, "needs sm_%d or later", first);
    } else {
        diag_label(d, "no GPU multiplies these");
    }
    point_at_target(b, d, info);
    if (weight.len) {
        diag_help(d, "keep the weights, drop the activations:  quantize(weight = %.*s)",
                  STR_ARG(buf_view(&weight)));
    }
    if (first) {
        diag_help(d, "or choose per target:  input = if target >= sm_%d then %.*s else %s", first,
                  STR_ARG(buf_view(&input)), info->sm >= 89 ? "fp8" : "int8");
    }
    diag_note(d,
              "morc can still build this file here (the kernels that quantize run anywhere); it "
              "could not run fast on sm_%d",
              info->sm);
}

static void refuse_pattern(Bind *b, const Value *ratio, Span span, const TargetInfo *info) {
    int first = target_first_for_pattern(ratio->integer, ratio->integer2);
    Diag *d = diag_error(b->s, "E0503", span, "sm_%d has no %lld:%lld sparse tensor cores",
                         info->sm, (long long)ratio->integer, (long long)ratio->integer2);
    if (first) {
        diag_label(d, "needs sm_%d or later", first);
    } else {
        diag_label(d, "no GPU skips these zeros");
    }
    point_at_target(b, d, info);
    if (!first && info->sm >= target_first_for_pattern(2, 4)) {
        diag_help(d, "the pattern that it has:  prune(2:4)");
    }
    diag_help(d, "for a smaller file only, say so by leaving `target` out");
}

static void check_step(Bind *b, const Step *step, const TargetInfo *info) {
    static const char *const roles[] = {"input", "output", "kv"};
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++) {
        const BoundArg *arg =
            strcmp(step->schema->name, "quantize") ? NULL : step_arg(step, roles[i]);
        bool format = arg && arg->value && arg->value->type == VALUE_FORMAT;
        if (!format || arg->value->format->none) {
            continue;
        }
        int first = target_first_for_input(arg->value->format->element);
        if (!first || info->sm < first) {
            refuse_input(b, step, arg->value->format, arg->span, info);
            b->failed = true;
        }
    }
    const BoundArg *pattern =
        strcmp(step->schema->name, "prune") ? NULL : step_arg(step, "pattern");
    if (pattern && pattern->value && pattern->value->type == VALUE_RATIO) {
        int first = target_first_for_pattern(pattern->value->integer, pattern->value->integer2);
        if (!first || info->sm < first) {
            refuse_pattern(b, pattern->value, pattern->span, info);
            b->failed = true;
        }
    }
}

void bind_targets(Bind *b) {
    if (!b->recipe->target) {
        return; /* nobody said where the model will run */
    }
    const TargetInfo *info = target_info(b->recipe->target);
    if (!info) {
        return; /* this machine's GPU is newer than the table (what a recipe names was checked) */
    }
    for (size_t r = 0; r < b->rules.len; r++) {
        const StepList *steps = &b->rules.at[r].rule->steps;
        for (size_t i = 0; b->rules.at[r].acted.count && i < steps->len; i++) {
            check_step(b, steps->at[i], info);
        }
    }
}

/* ---- opset */

void bind_opset(Bind *b) {
    const Step *emit = b->recipe->emit;
    const BoundArg *arg = emit ? step_arg(emit, "opset") : NULL;
    bool given = arg && arg->given && arg->value && arg->value->type == VALUE_INT;
    int64_t model = b->layers->model->opset, needed = model;
    const PlanLayer *who = NULL;
    const FormatValue *written = NULL; /* of a stream */
    for (size_t i = 0; i < b->plan->layers_planned.len; i++) {
        const PlanLayer *planned = &b->plan->layers_planned.at[i];
        int64_t opset = planned->quantized ? needed_opset(planned) : 0;
        if (opset > needed) {
            needed = opset;
            who = planned;
        }
    }
    for (size_t i = 0; i < b->plan->streams.len; i++) {
        const PlanStream *stream = &b->plan->streams.at[i];
        if (stream_opset(stream) > needed) {
            needed = stream_opset(stream);
            who = &b->plan->layers_planned.at[stream->layers.at[0]];
            written = stream->written;
        }
    }
    b->plan->opset = needed;
    if (!given) {
        return;
    }
    int64_t asked = arg->value->integer;
    bool qdq = strcmp(emit->schema->name, "qdq") == 0;
    if (asked < model) {
        Diag *d = diag_error(b->s, "E0504", arg->span, "this model is at opset %lld already",
                             (long long)model);
        diag_label(d, "an output cannot be older than its input");
        diag_help(d, "leave `opset` out: it is raised only as far as the formats need");
        b->failed = true;
    } else if (qdq && who && asked < needed) {
        Buf format = buf_on(b->s->arena);
        const bool weight = who->quantized && needed_opset(who) == needed;
        format_print(weight ? who->format.written : written, &format);
        Diag *d = diag_error(b->s, "E0504", arg->span, "opset %lld is too old for `%.*s`",
                             (long long)asked, STR_ARG(buf_view(&format)));
        diag_label(d, "needs opset %lld or later", (long long)needed);
        diag_span(d, who->quantize_step->span, "asked for here");
        diag_help(d, "emit qdq(opset = %lld), or leave it out", (long long)needed);
        b->failed = true;
    } else if (asked > needed) {
        b->plan->opset = asked;
    }
}
