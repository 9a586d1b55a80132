/* smooth: what makes activations hard to store moves into the weights. Channel j of the input is
 * divided by s_j = max|x_j|^alpha / max|w_j|^(1 - alpha), row j of the weight multiplied by it
 * (SmoothQuant, Xiao et al. 2023, equation 4); layers that read one value share s. 1 / s goes into
 * the norm or the layer before where only they read what it makes, else into a Mul. A Conv has one
 * s_j for each input channel, whatever its kernel. */
#include "compiler/rescale.h"

static const Param params[] = {
    {.name = "alpha",
     .type = PARAM_FLOAT,
     .range = "0.0..1.0",
     .choices = "auto",
     .initial = "auto",
     .doc = "how much difficulty moves into the weights; auto: least error, by the statistics"},
    {.name = "fold",
     .type = PARAM_CHOICE,
     .choices = "auto | never",
     .initial = "auto",
     .doc = "where the inverse scale goes: into the norm or layer before, or always a Mul"},
    {.name = NULL},
};

const Transform transform_smooth = {
    .schema = {.name = "smooth",
               .doc = "moves outliers of the input into the weights",
               .kind = SCHEMA_STEP,
               .phase = PHASE_EDIT,
               .params = params},
    .lower = rescale_lower,
};
