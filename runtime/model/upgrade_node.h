/* Inside of the upgrade: one node on its way, and what adapters do to it. */
#ifndef RUNTIME_MODEL_UPGRADE_NODE_H
#define RUNTIME_MODEL_UPGRADE_NODE_H
#include "runtime/model/upgrade.h"

typedef struct Upgrade {
    Session *session;
    Model *m;
    Arena *arena;
    Node *node;             /* as the file has it */
    Onnx__NodeProto *now;   /* a copy that adapters change; arrays may be replaced, never written */
    int64_t from, target;   /* opsets */
    bool changed;
    Map refused;            /* ops that were reported */
} Upgrade;

/* Brings `now` from the form before `version` to the form at it. False: refused. */
typedef struct Adapter {
    const char *op;
    int version;
    bool (*adapt)(Upgrade *u); /* NULL: there is no way */
    const char *why;           /* of NULL */
} Adapter;

extern const Adapter upgrade_adapters[];
extern const size_t upgrade_adapter_count;

bool upgrade_refuse(Upgrade *u, const char *why); /* E1010, returns false */

/* ---- attributes; those that refer to an attribute of a function are refused by upgrade_take */
Onnx__AttributeProto *upgrade_attribute(const Upgrade *u, const char *name);
/* Takes an attribute away and gives it, or NULL if it is absent. False: refused. */
bool upgrade_take(Upgrade *u, const char *name, Onnx__AttributeProto **out);
void upgrade_set_int(Upgrade *u, const char *name, int64_t value);
void upgrade_set_text(Upgrade *u, const char *name, const char *text);
Str upgrade_text(const Upgrade *u, const char *name, const char *otherwise);

/* ---- inputs */
Str upgrade_input(const Upgrade *u, size_t slot); /* "" if absent */
void upgrade_set_input(Upgrade *u, size_t slot, Str name);
/* New constants in the node's graph; `what` becomes part of the name. */
Str upgrade_ints(Upgrade *u, const char *what, const int64_t *values, size_t count, bool scalar);
Str upgrade_floats(Upgrade *u, const char *what, const float *values, size_t count, bool scalar);
/* A scalar of the type that input `slot` has, in an empty Str if that cannot be said (refused). */
Str upgrade_like(Upgrade *u, const char *what, float value, size_t slot);
/* A node before this one with one output, whose name it returns. */
Str upgrade_insert(Upgrade *u, const char *op, const Str *inputs, size_t count,
                   const Onnx__AttributeProto *attribute);
const Onnx__AttributeProto *upgrade_int_attribute(Upgrade *u, const char *name, int64_t value);

#endif
