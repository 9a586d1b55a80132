/* One bias after the other (solve_bias.h); in double, rounded once. */
#include "compiler/solve_bias.h"
#include "compiler/batchnorm.h"
#include "runtime/calib/array_type.h"
#include <assert.h>
#include <math.h>
#include <string.h>

static bool plain_bias(Solve *solve, const PlanLayer *planned, Arena *arena, double **out) {
    double *gain;
    if (planned->norm) {
        return batchnorm_factors(solve->s, planned->layer, planned->norm, arena, &gain, out);
    }
    const Tensor *t = planned->layer->node->inputs[2]->constant;
    const uint8_t *bytes = tensor_bytes(solve->s, t, solve->s->arena);
    TRY(bytes);
    const size_t size = array_type(t->type)->bytes;
    *out = arena_many(arena, double, (size_t)t->count);
    for (int64_t i = 0; i < t->count; i++) {
        (*out)[i] = array_value(t->type, bytes + (size_t)i * size);
    }
    return true;
}

/* Scales of the codes of a layer's weight, as they are stored; float32. */
static const float *weight_scales(const Solve *solve, const PlanLayer *planned) {
    const Str name = planned->layer->weight_at->inputs[planned->layer->weight_slot]->name;
    for (size_t i = 0; i < solve->solved->len; i++) {
        const Solved *one = &solve->solved->at[i];
        if (one->kernel.format && str_eq(one->name, name)) {
            return one->outs[OUT_SCALES];
        }
    }
    assert(false && "the IR asks for the scales of a bias");
    return NULL;
}

/* int32 of the nearest multiple of the scale, ties to even; a bias past its range is as far as the
 * sums of the kernel reach. */
static int32_t code_of(double bias, float scale) {
    const double x = nearbyint(bias / (double)scale);
    return x >= INT32_MAX ? INT32_MAX : x <= INT32_MIN ? INT32_MIN : (int32_t)x;
}

/* What the layer adds, for each of its output channels. */
static bool bias_of(Solve *solve, const PlanLayer *planned, Arena *arena, double **out) {
    TRY(plain_bias(solve, planned, arena, out));
    const PlanTie *tie = planned->absorbs;
    const float *s = tie ? solve->ties[tie - solve->plan->ties.at].s : NULL;
    const int64_t count = planned->layer->weight->dims[planned->layer->channel_axis];
    for (int64_t i = 0; s && i < count; i++) {
        (*out)[i] /= (double)s[i];
    }
    return true;
}

static bool fill(Solve *solve, const Fact *fact) {
    const PlanLayer *planned = &solve->plan->layers_planned.at[fact->index];
    double *bias = NULL;
    const ArenaMark mark = arena_mark(solve->s->arena);
    TRY(bias_of(solve, planned, solve->s->arena, &bias));
    const float *scales = fact->kind == FACT_BIAS ? NULL : weight_scales(solve, planned);
    const float input = scales ? solve->scales[planned->stream] : 0.0f;
    const bool each = planned->format.granule == GRANULE_CHANNEL;
    const size_t size = fact->size / (uint64_t)(fact->count > 0 ? fact->count : 1);
    for (int64_t i = 0; i < fact->count; i++) {
        char *to = (char *)fact->bytes + (size_t)i * size;
        const float scale = scales ? input * scales[each ? i : 0] : 0.0f;
        const int32_t code = scales ? code_of(bias[i], scale) : 0;
        if (fact->kind == FACT_BIAS) {
            array_put_float(fact->type, bias[i], to);
        } else {
            memcpy(to, fact->kind == FACT_BIAS_SCALE ? (const void *)&scale : (const void *)&code,
                   4);
        }
    }
    arena_reset(solve->s->arena, mark);
    return true;
}

bool solve_biases(Solve *solve, const Facts *facts) {
    for (size_t i = 0; i < facts->all.len; i++) {
        const Fact *fact = &facts->all.at[i];
        if (fact->kind == FACT_BIAS || fact->kind == FACT_BIAS_CODES ||
            fact->kind == FACT_BIAS_SCALE) {
            TRY(fill(solve, fact));
        }
    }
    return true;
}
