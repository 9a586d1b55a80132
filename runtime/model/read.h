/* Inside of runtime/model: what the parts of the reader say to each other. */
#ifndef RUNTIME_MODEL_READ_H
#define RUNTIME_MODEL_READ_H
#include "runtime/model/model.h"
#include "runtime/model/onnx_skim.h"

/* model_open of an Input that is open already; owns it from here on, also on failure. `data`, if
 * given, is where all external data lies, whatever the locations say; owned likewise. */
Model *model_open_input(Session *s, Input *input, Input *data);

/* Reads the TensorProto at `record`, finds and checks its elements, appends it to m->tensors. The
 * one way in for all carriers: initializers, attributes, sparse tensors, functions, training.
 * NULL: E1002, E1003, E1004, E1008 or E1101 reported. */
Tensor *tensor_read(Model *m, SkimMessage *record);

/* One key of external_data, and its value. */
typedef struct ExternalData {
    Str location;
    uint64_t offset, length;
    bool has_offset, has_length;
    uint32_t keys_seen;
} ExternalData;

/* Adds the entry (a StringStringEntryProto) in `body`; E1004 for keys twice or bad numbers. */
bool external_add(Model *m, const Tensor *t, Range body, ExternalData *out);
/* Opens (once) the data file and points t->data at the checked range. */
bool external_open(Model *m, Tensor *t, const ExternalData *where);

/* Fills graphs, nodes and values of m from m->proto and m->record; E1002..E1008. */
bool graphs_read(Model *m);
/* Cycles within graphs and between local functions: E1007. */
bool graphs_check_order(Model *m);
const char *node_shown(const Node *node); /* name or "Op #index", printable */

#endif
