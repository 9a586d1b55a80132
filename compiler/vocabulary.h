/* Every word a recipe may use for a step, a setting, an output, a data source or a method, with its
 * arguments; the element formats; the ONNX op types. What resolve() checks recipes against. */
#ifndef COMPILER_VOCABULARY_H
#define COMPILER_VOCABULARY_H
#include "lang/recipe.h"

extern const Vocabulary morc_vocabulary;
extern const ElementInfo morc_elements[];

#endif
