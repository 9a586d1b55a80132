/* dedupe: layers that read one weight and do the same to it share one group, so that a tied weight
 * is encoded once; and `rest` says how many other readers keep the float weight.
 *
 *     group "w": layer a, scale, encode        ->   group "w": rest=0, layer a, layer b,
 *     group "w": layer b, scale, encode                        scale, encode
 *
 * Groups of one weight that differ (another axis, another format) stay apart: each but the last
 * counts the others as readers, so that only the last may let the weight go.
 * In: typed IR with a `uses` on each weight. Out: every weight has its `rest`. */
#include "compiler/ir_text.h"
#include "compiler/passes.h"

/* What is done to the weight, as text: everything but the layers. */
static Str steps_key(Ir *ir, const IrGroup *group) {
    Buf key = buf_on(ir->arena);
    buf_printf(&key, "%zu:", group->name.len);
    buf_str(&key, group->name);
    for (size_t i = 0; i < group->ops.len; i++) {
        if (group->ops.at[i]->info != IR_OP(layer)) {
            ir_print_op(group->ops.at[i], &key);
            buf_char(&key, '\n');
        }
    }
    return buf_view(&key);
}

/* Moves the layers of `from` behind those of `into`. */
static void join(Ir *ir, IrGroup *into, const IrGroup *from) {
    IrGroup joined = *into;
    joined.ops.len = joined.ops.cap = 0;
    joined.ops.at = NULL;
    size_t i = 0;
    for (; i < into->ops.len && (i == 0 || into->ops.at[i]->info == IR_OP(layer)); i++) {
        vec_push(ir->arena, &joined.ops, into->ops.at[i]);
    }
    for (size_t k = 0; k < from->ops.len; k++) {
        IrOp *op = from->ops.at[k];
        if (op->info == IR_OP(layer)) {
            op->args.at[0] = ir_value_of(into->ops.at[0]);
            vec_push(ir->arena, &joined.ops, op);
        }
    }
    for (; i < into->ops.len; i++) {
        vec_push(ir->arena, &joined.ops, into->ops.at[i]);
    }
    *into = joined;
}

static Str weight_key(Ir *ir, const IrGroup *group) {
    long long graph = (long long)ir_int(group->ops.at[0], "graph", 0);
    return str_format(ir->arena, "%lld %.*s", graph, STR_ARG(group->name));
}

/* Walks backwards, so that the first group seen of a weight is the last one in order. */
static void count_rest(Ir *ir) {
    Map covered = map_on(ir->arena); /* weight -> readers in any group, as a boxed number */
    Map seen = map_on(ir->arena);
    for (size_t i = 0; i < ir->groups.len; i++) {
        Str key = weight_key(ir, ir->groups.at[i]);
        int64_t *count = map_get(&covered, key);
        if (count == NULL) {
            count = arena_new(ir->arena, int64_t);
            map_put(&covered, key, count);
        }
        *count += (int64_t)ir_count(ir->groups.at[i], IR_OP(layer));
    }
    for (size_t i = ir->groups.len; i-- > 0;) {
        IrGroup *group = ir->groups.at[i];
        IrOp *weight = group->ops.at[0];
        if (weight->info != IR_OP(weight)) {
            continue; /* edits of the graph alone */
        }
        Str key = weight_key(ir, group);
        bool last = map_put(&seen, key, ir);
        int64_t own = (int64_t)ir_count(group, IR_OP(layer));
        int64_t readers = last ? *(int64_t *)map_get(&covered, key) : own;
        int64_t rest = ir_int(weight, "uses", readers) - readers;
        ir_set_int(ir, weight, "rest", rest > 0 ? rest : 0);
    }
}

bool pass_dedupe(Session *s, Ir *ir) {
    (void)s;
    Map groups = map_on(ir->arena);
    size_t kept = 0;
    for (size_t i = 0; i < ir->groups.len; i++) {
        IrGroup *group = ir->groups.at[i];
        Str key = steps_key(ir, group);
        IrGroup *same = map_get(&groups, key);
        if (same) {
            join(ir, same, group);
        } else {
            map_put(&groups, key, group);
            ir->groups.at[kept++] = group;
        }
    }
    ir->groups.len = kept;
    count_rest(ir);
    return true;
}
