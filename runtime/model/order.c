/* Cycles: among the nodes of a graph (a body counts as part of its owner) and among local
 * functions that call each other. Both by depth-first search with an explicit stack, linear.
 * A graph whose nodes are merely out of order is legal to ONNX Runtime and accepted. */
#include "runtime/base/sanitize.h"
#include "runtime/model/read.h"

typedef Vec(uint32_t) Edges;

/* The node of graph `g` that `node` is or lies in. */
static Node *ancestor_in(Node *node, const Graph *g) {
    while (node->graph != g) {
        node = node->graph->owner;
    }
    return node;
}

static bool is_sorted(const Graph *g) {
    for (size_t i = 0; i < g->values.len; i++) {
        const ValueInfo *v = g->values.entries[i].value;
        for (size_t k = 0; v->producer && k < v->uses.len; k++) {
            if (ancestor_in(v->uses.at[k].node, g)->index <= v->producer->index) {
                return false;
            }
        }
    }
    return true;
}

/* Finds a cycle among `count` things with these edges; its members in order, or len 0. */
static Edges find_cycle(Arena *arena, const Edges *edges, size_t count) {
    enum { NEW, OPEN, DONE };
    typedef struct Step {
        uint32_t at;
        size_t next; /* edge to follow next */
    } Step;
    uint8_t *state = arena_many(arena, uint8_t, count);
    Step *stack = arena_many(arena, Step, count + 1);
    Edges cycle = {0};
    for (size_t start = 0; start < count; start++) {
        size_t depth = 0;
        if (state[start] == NEW) {
            state[start] = OPEN;
            stack[depth++] = (Step){(uint32_t)start, 0};
        }
        while (depth > 0) {
            Step *top = &stack[depth - 1];
            if (top->next == edges[top->at].len) {
                state[top->at] = DONE;
                depth--;
                continue;
            }
            const uint32_t to = edges[top->at].at[top->next++];
            if (state[to] == OPEN) {
                size_t from = depth - 1;
                while (stack[from].at != to) {
                    from--;
                }
                for (; from < depth; from++) {
                    vec_push(arena, &cycle, stack[from].at);
                }
                return cycle;
            }
            if (state[to] == NEW) {
                state[to] = OPEN;
                stack[depth++] = (Step){to, 0};
            }
        }
    }
    return cycle;
}

enum { SHOWN = 8 };

static bool report(const Model *m, Range at, const char *what, const char *const *names,
                   size_t count) {
    Diag *d = model_error_at(m->session, m->input, at.begin, "E1007", "%s", what);
    Buf text = buf_on(m->session->arena);
    for (size_t i = 0; i < count && i < SHOWN; i++) {
        buf_printf(&text, "`%s` -> ", names[i]);
    }
    buf_printf(&text, "%s`%s`", count > SHOWN ? "... -> " : "", names[0]);
    diag_note(d, "the cycle is %s", text.data);
    return false;
}

static bool check_graph(const Graph *g) {
    if (is_sorted(g)) {
        return true;
    }
    Arena *arena = g->model->session->arena;
    Edges *edges = arena_many(arena, Edges, g->nodes.len);
    for (size_t i = 0; i < g->values.len; i++) {
        const ValueInfo *v = g->values.entries[i].value;
        for (size_t k = 0; v->producer && k < v->uses.len; k++) {
            vec_push(arena, &edges[v->producer->index],
                     (uint32_t)ancestor_in(v->uses.at[k].node, g)->index);
        }
    }
    const Edges cycle = find_cycle(arena, edges, g->nodes.len);
    if (cycle.len == 0) {
        return true;
    }
    const char **names = arena_many(arena, const char *, cycle.len);
    for (size_t i = 0; i < cycle.len; i++) {
        names[i] = node_shown(g->nodes.at[cycle.at[i]]);
    }
    return report(g->model, g->nodes.at[cycle.at[0]]->field, "the graph has a cycle", names,
                  cycle.len);
}

static Graph *root_of(Graph *g) {
    while (g->owner) {
        g = g->owner->graph;
    }
    return g;
}

static bool check_functions(const Model *m) {
    Arena *arena = m->session->arena;
    Map numbers = map_on(arena); /* function -> its position in `functions` + 1 */
    Vec(Graph *) functions = {0};
    for (size_t i = 0; i < m->graphs.len; i++) {
        if (m->graphs.at[i]->function_proto) {
            vec_push(arena, &functions, m->graphs.at[i]);
            map_put(&numbers, m->graphs.at[i]->function, (void *)(uintptr_t)functions.len);
        }
    }
    if (functions.len == 0) {
        return true;
    }
    Edges *edges = arena_many(arena, Edges, functions.len);
    for (size_t i = 0; i < m->graphs.len; i++) {
        Graph *g = m->graphs.at[i];
        const Graph *root = root_of(g);
        for (size_t k = 0; root->function_proto && k < g->nodes.len; k++) {
            const Node *n = g->nodes.at[k];
            const Str overload = str_from(n->proto->overload);
            const Str name = str_format(arena, "%.*s::%.*s%s%.*s", STR_ARG(n->domain),
                                        STR_ARG(n->op), overload.len ? ":" : "",
                                        STR_ARG(overload));
            const uintptr_t to = (uintptr_t)map_get(&numbers, name);
            if (to) {
                const uintptr_t from = (uintptr_t)map_get(&numbers, root->function);
                vec_push(arena, &edges[from - 1], (uint32_t)(to - 1));
            }
        }
    }
    const Edges cycle = find_cycle(arena, edges, functions.len);
    if (cycle.len == 0) {
        return true;
    }
    const char **names = arena_many(arena, const char *, cycle.len);
    for (size_t i = 0; i < cycle.len; i++) {
        names[i] = str_safe_c(arena, functions.at[cycle.at[i]]->function);
    }
    return report(m, functions.at[cycle.at[0]]->field, "local functions call each other in a cycle",
                  names, cycle.len);
}

bool graphs_check_order(Model *m) {
    for (size_t i = 0; i < m->graphs.len; i++) {
        TRY(check_graph(m->graphs.at[i]));
    }
    return check_functions(m);
}
