/* skip: leave a layer alone and let no other rule touch it. It owns all phases and lowers to
 * nothing; bind does the rest. */
#include "compiler/transform.h"

static const Param params[] = {{.name = NULL}};

const Transform transform_skip = {
    .schema = {.name = "skip",
               .doc = "leave these layers alone, and let nobody else touch them",
               .kind = SCHEMA_STEP,
               .phase = PHASE_SKIP,
               .params = params},
};
