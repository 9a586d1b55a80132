/* awq: channels of the weight that meet large inputs are scaled up before they are rounded, and
 * scales are clipped where that helps: by a search for the least error of the layer's output,
 * tr(dW^T G dW) with the Gram matrix G of its input (AWQ, Lin et al. 2023). Layers that read one
 * value share the factors; 1 / s goes where smooth puts it. */
#include "compiler/rescale.h"

static const Param params[] = {
    {.name = "grid", .type = PARAM_INT, .range = "1..1000", .initial = "20", .doc = "scales tried"},
    {.name = "clip", .type = PARAM_BOOL, .initial = "true", .doc = "search for clipping, too"},
    {.name = "fold",
     .type = PARAM_CHOICE,
     .choices = "auto | never",
     .initial = "auto",
     .doc = "where the inverse scale goes: into the norm or layer before, or always a Mul"},
    {.name = NULL},
};

const Transform transform_awq = {
    .schema = {.name = "awq",
               .doc = "protects weights that matter",
               .kind = SCHEMA_STEP,
               .phase = PHASE_EDIT,
               .params = params},
    .lower = rescale_lower,
};
