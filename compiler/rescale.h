/* What smooth and awq share: the weight is multiplied by factors of its tie, its input divided. */
#ifndef COMPILER_RESCALE_H
#define COMPILER_RESCALE_H
#include "compiler/transform.h"

bool rescale_lower(Lowering *l, const Step *step);

#endif
