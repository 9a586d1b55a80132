/* From recipe, command line and model to what runtime/calib reads: which file, how much of it, in
 * which order, for which inputs. */
#ifndef COMPILER_DATA_WISH_H
#define COMPILER_DATA_WISH_H
#include "compiler/args.h"
#include "lang/recipe.h"
#include "runtime/calib/data.h"
#include "runtime/model/model.h"

/* The graph inputs that are no initializers, and, as optional ones, those that are; integers that
 * Gathers look up rows with are bounded by them. On the session's arena. */
const DataInput *data_inputs_of_model(Session *s, const Model *model, size_t *count);

/* `data` as a recipe declares it. override: another path (--data), as the user types it; empty:
 * the recipe's, which is relative to the file that says so. False after an error. `scratch` is left
 * to the caller (data_scratch). */
bool data_of_recipe(Session *s, const Recipe *recipe, const Data *data, Str override,
                    DataWish *out);

/* The data of a setting (`calibrate`, `evaluate`), as it, the recipe and the command line say. */
bool data_of_step(Session *s, const Recipe *recipe, const Step *step, const Args *args,
                  const char *(*get)(const char *variable), DataWish *out);

/* --data NAME=PATH: each name must be declared by the recipe (E0201), and be given once. */
bool data_overrides_check(Session *s, const Args *args, const Recipe *recipe);
Str data_override(const Args *args, Str name); /* empty: none */

/* TMPDIR if it is set, else /var/tmp, which like no other folder is for large files. */
Str data_scratch(const char *(*get)(const char *variable));

#endif
