/* Walks every node of the default domain through the changes between two opsets. */
#include "runtime/model/upgrade.h"
#include <stdlib.h>
#include <string.h>
#include "runtime/base/sanitize.h"
#include "runtime/model/read.h"
#include "runtime/model/upgrade_node.h"

const OnnxOp onnx_ops[] = {
#define OP(name, versions) {#name, versions},
#include "runtime/model/ops.list"
#undef OP
};
const size_t onnx_op_count = sizeof onnx_ops / sizeof *onnx_ops;

const OnnxOp *onnx_op_find(Str name) {
    size_t low = 0, high = onnx_op_count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const int order = str_cmp(name, str_from(onnx_ops[middle].name));
        if (order == 0) {
            return &onnx_ops[middle];
        }
        *(order < 0 ? &high : &low) = order < 0 ? middle : middle + 1;
    }
    return NULL;
}

int64_t onnx_ir_for(int64_t opset) {
    static const struct {
        int64_t opset, ir;
    } rows[] = {{28, 14}, {25, 13}, {24, 12}, {23, 11}, {21, 10}, {19, 9}, {15, 8},
                {12, 7},  {11, 6},  {10, 5},  {9, 4},   {1, 3}};
    size_t i = 0;
    while (i + 1 < sizeof rows / sizeof *rows && rows[i].opset > opset) {
        i++;
    }
    return rows[i].ir;
}

/* The first change of `op` after opset `from` that needs an adapter; 0 if there is none up to
 * `target`. Reads "7 9* 14*" as ops.list explains it. */
static int next_change(const OnnxOp *op, int64_t from, int64_t target) {
    for (const char *p = op->versions; *p;) {
        char *end;
        const long version = strtol(p, &end, 10);
        const bool marked = *end == '*' || *end == '-';
        if (version > from && version <= target && marked) {
            return (int)version;
        }
        p = end + marked;
        p += *p == ' ';
    }
    return 0;
}

static bool adapt(Upgrade *u, int version) {
    for (size_t i = 0; i < upgrade_adapter_count; i++) {
        const Adapter *a = &upgrade_adapters[i];
        if (a->version == version && strcmp(a->op, u->now->op_type) == 0) {
            return a->adapt ? a->adapt(u) : upgrade_refuse(u, a->why);
        }
    }
    return upgrade_refuse(u, "it changed, and morc does not know how to follow");
}

/* Opset of domain "" that the graph's nodes are written in. */
static int64_t opset_of(const Graph *g) {
    while (g->owner) {
        g = g->owner->graph;
    }
    const Onnx__FunctionProto *f = g->function_proto;
    for (size_t i = 0; f && i < f->n_opset_import; i++) {
        const Str domain = str_from(f->opset_import[i]->domain);
        if (domain.len == 0 || str_is(domain, "ai.onnx")) {
            return f->opset_import[i]->version;
        }
    }
    return g->model->opset;
}

static bool upgrade_node(Upgrade *u, Node *node) {
    const OnnxOp *op = onnx_op_find(node->op);
    u->node = node;
    if (!op) {
        return upgrade_refuse(u, "ONNX has no such op");
    }
    Onnx__NodeProto copy = *node->proto;
    u->now = &copy;
    u->changed = false;
    for (int64_t at = u->from; (at = next_change(op, at, u->target)) > 0;) {
        TRY(adapt(u, (int)at));
        op = onnx_op_find(str_from(u->now->op_type)); /* it may have become another */
    }
    if (u->changed && (node->bodies.len > 0 || node->tensors.len > 0)) {
        return upgrade_refuse(u, "it holds graphs or tensors that its op does not know");
    }
    if (u->changed) {
        Onnx__NodeProto *now = arena_new(u->arena, Onnx__NodeProto);
        *now = copy;
        edit_replace_node(node, now);
        node->proto = now;
        node->op = str_from(now->op_type);
    }
    return true;
}

static bool upgrade_graph(Upgrade *u, const Graph *g) {
    bool good = true;
    u->from = opset_of(g);
    if (u->from > u->target) {
        model_error_at(u->session, u->m->input, g->field.begin, "E1010",
                       "function `%s` is written in opset %lld, newer than %lld",
                       str_safe_c(u->arena, g->function), (long long)u->from,
                       (long long)u->target);
        return false;
    }
    for (size_t i = 0; i < g->nodes.len; i++) {
        if (g->nodes.at[i]->domain.len == 0) {
            good &= upgrade_node(u, g->nodes.at[i]);
        }
    }
    return good;
}

static bool refuse_model(const Upgrade *u, const char *why) {
    model_error_at(u->session, u->m->input, 0, "E1010",
                   "the model cannot be raised from opset %lld to %lld: %s", (long long)u->m->opset,
                   (long long)u->target, why);
    return false;
}

bool model_upgrade(Session *s, Model *m, int64_t opset) {
    if (opset <= m->opset) {
        return true;
    }
    Upgrade u = {.session = s, .m = m, .arena = s->arena, .target = opset,
                 .refused = map_on(s->arena)};
    if (m->opset < UPGRADE_OLDEST) {
        return refuse_model(&u, "morc raises from opset 7 on");
    }
    if (opset > UPGRADE_NEWEST) {
        return refuse_model(&u, "morc knows the opsets up to 28");
    }
    if (m->proto->n_training_info > 0) {
        return refuse_model(&u, "it holds training graphs");
    }
    bool good = true;
    for (size_t i = 0; i < m->graphs.len; i++) {
        good &= upgrade_graph(&u, m->graphs.at[i]);
    }
    TRY(good);
    const int64_t ir = onnx_ir_for(opset);
    edit_opset(m, "", opset);
    edit_ir_version(m, ir > m->ir_version ? ir : m->ir_version);
    return true;
}
