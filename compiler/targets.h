/* Which GPU has arithmetic for which format and sparsity pattern (targets.list). Facts only; bind
 * turns them into E0503. */
#ifndef COMPILER_TARGETS_H
#define COMPILER_TARGETS_H
#include "runtime/base/str.h"

typedef struct TargetInfo {
    int sm;
    const char *generation, *has; /* "Hopper", "FP8, INT8, 2:4" */
} TargetInfo;

const TargetInfo *target_info(int sm);    /* NULL if the table does not know it */
int target_first_for_input(Str element);  /* first sm with products of this element; 0: none */
int target_first_for_pattern(int64_t keep, int64_t group);
const char *target_family(Str element);   /* "FP4", "FP8", "INT8": what tensor cores call it */
void targets_print(Buf *out);             /* the table as Markdown, for docs/formats.md */

#endif
