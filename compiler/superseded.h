/* The data file of a model that is about to be replaced. Its name is not that of the new one
 * (data_name.h), so it stays when the model goes. It is not removed: a copy of the old model, or
 * its rejected twin, may read the same file. But whoever replaces the model is told. */
#ifndef COMPILER_SUPERSEDED_H
#define COMPILER_SUPERSEDED_H
#include "runtime/model/model.h"

/* Path of the file beside `out_path` that the model there, written by morc, keeps its weights in;
 * empty if there is none, if it is called `data_name` like the new one, or if `model`, the input,
 * reads it. Ask before the model is replaced. What is no model has none: nothing is reported. */
Str superseded_data(Session *s, Str out_path, const Model *model, Str data_name);

#endif
