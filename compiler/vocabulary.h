/* What a recipe may say in this build: every step, setting, form of output, data loader and method
 * of the language with its arguments, the element formats, and the ONNX ops. Rows that are in the
 * language but not in this build are marked `later`: they are checked like all others and then
 * answered with E0001. */
#ifndef COMPILER_VOCABULARY_H
#define COMPILER_VOCABULARY_H
#include "lang/recipe.h"

extern const Vocabulary morc_vocabulary;
extern const ElementInfo
    morc_elements[];                 /* ends in a NULL name; agrees with kernels/formats.list */
extern const int morc_targets[];     /* sm numbers, ends in 0 */
extern const char *const morc_ops[]; /* op types of domain "", sorted, ends in NULL */

#endif
