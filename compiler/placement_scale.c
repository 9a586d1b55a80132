/* Rules about values that ops only move or join: one scale on both sides, one pair where one does.
 */
#include "compiler/placement.h"

enum { MAX_MOVES = 16 };

/* Every element of the result is one of the first input, and which one depends on order alone:
 * rounding before and after is the same. */
static bool moves(const Node *node) {
    static const char *const names[] = {
        "Identity", "Reshape", "Transpose", "Squeeze",      "Slice",        "Flatten", "Unsqueeze",
        "MaxPool",  "Expand",  "Tile",      "DepthToSpace", "SpaceToDepth", NULL};
    bool found = false;
    for (int i = 0; names[i] && !found && node->domain.len == 0; i++) {
        found = str_is(node->op, names[i]);
    }
    return found && node->output_count == 1;
}

static const ValueInfo *before(const ValueInfo *value, const Graph *graph) {
    const Node *node = value->producer;
    const bool moved = node && node->graph == graph && moves(node);
    return moved && can_stream(node->inputs[0]) ? node->inputs[0] : NULL;
}

/* What the value is but for its order. */
static const ValueInfo *source(const ValueInfo *value, const Graph *graph) {
    for (int i = 0; i < MAX_MOVES && before(value, graph); i++) {
        value = before(value, graph);
    }
    return value;
}

static int root(const Plan *plan, int stream) {
    while (plan->streams.at[stream].scale != stream) {
        stream = plan->streams.at[stream].scale;
    }
    return stream;
}

static bool share(Bind *b, int first, int second) {
    const int a = root(b->plan, first), z = root(b->plan, second);
    b->plan->streams.at[a > z ? a : z].scale = a > z ? z : a;
    return a != z;
}

/* Of data, placed by rules, of one element. */
static bool may_share(const Bind *b, const PlanStream *stream) {
    return stream_measured(stream) && stream->tie < 0 && stream->uses.len &&
           placement_holds(&b->plan->layers_planned.at[stream->layers.at[0]]);
}

static bool alike(const Bind *b, const PlanStream *a, const PlanStream *z) {
    return may_share(b, a) && may_share(b, z) && a->element == z->element && a->graph == z->graph;
}

static void flatten(Bind *b) {
    for (size_t i = 0; i < b->plan->streams.len; i++) {
        b->plan->streams.at[i].scale = root(b->plan, (int)i);
    }
}

/* Streams of one source, as a list that is threaded through `next`. */
typedef struct Sources {
    Map first; /* value -> stream + 1 */
    int *next; /* stream + 1; 0: the last */
} Sources;

static Str key_of(const ValueInfo *const *value) {
    return (Str){(const char *)value, sizeof *value};
}

static Sources sources(Bind *b) {
    Plan *plan = b->plan;
    Sources out = {map_on(b->s->arena), arena_many(b->s->arena, int, plan->streams.len + 1)};
    for (size_t i = 0; i < plan->streams.len; i++) {
        const PlanStream *stream = &plan->streams.at[i];
        const ValueInfo *value = source(stream->value, stream->graph);
        out.next[i] = (int)(uintptr_t)map_get(&out.first, key_of(&value));
        map_put(&out.first, key_of(&value), (void *)((uintptr_t)i + 1));
    }
    return out;
}

void place_shared_scales(Bind *b, int rule) {
    Plan *plan = b->plan;
    const Sources all = sources(b);
    for (size_t i = 0; i < plan->streams.len; i++) {
        const PlanStream *stream = &plan->streams.at[i];
        const ValueInfo *joined = source(stream->value, stream->graph);
        const Node *node = joined->producer;
        bool any = false;
        if (!node || node->domain.len || !str_is(node->op, "Concat") ||
            node->graph != stream->graph) {
            continue;
        }
        for (int k = 0; k < node->input_count; k++) {
            const ValueInfo *part = node->inputs[k] ? source(node->inputs[k], node->graph) : NULL;
            int other = part ? (int)(uintptr_t)map_get(&all.first, key_of(&part)) : 0;
            for (; other; other = all.next[other - 1]) {
                if (alike(b, stream, &plan->streams.at[other - 1])) {
                    any = share(b, (int)i, other - 1) || any;
                }
            }
        }
        if (any) {
            placement_note(b, rule, layer_of(b->layers, node));
        }
    }
    flatten(b);
}

/* ---- one pair for both sides */

/* Do all readers between `from` and the stream's value belong to the stream? Then they may read
 * rounded values. */
static bool only_leads_to(const Bind *b, const ValueInfo *from, int stream) {
    const PlanStream *to = &b->plan->streams.at[stream];
    for (size_t i = 0; i < to->value->uses.len; i++) {
        const Use use = to->value->uses.at[i];
        if (stream_at(b, use.node, use.slot) != stream) {
            return false;
        }
    }
    bool only = !to->value->graph_output;
    for (const ValueInfo *at = before(to->value, to->graph); only && at != from;
         at = before(at, to->graph)) {
        only = at->uses.len == 1 && !at->graph_output;
    }
    return only;
}

/* Readers of the second stream are served by the pair of the first. */
static void serve(Bind *b, int first, int second, Node *entry) {
    Plan *plan = b->plan;
    PlanStream *stream = &plan->streams.at[first], *served = &plan->streams.at[second];
    stream_add_use(b, first, entry, 0);
    for (size_t i = 0; i < served->layers.len; i++) {
        const int layer = served->layers.at[i];
        vec_push(b->s->arena, &stream->layers, layer);
        if (plan->layers_planned.at[layer].stream == second) {
            plan->layers_planned.at[layer].stream = first;
        }
    }
    share(b, first, second); /* with whoever shares the second one's */
    served->uses.len = 0;
    served->element = NULL;
    served->written = NULL;
}

/* The nearest value in front of the stream's that a stream like it is about, and its reader. */
static int stream_in_front(const Bind *b, int index, const Sources *all, Node **entry) {
    const PlanStream *stream = &b->plan->streams.at[index];
    const ValueInfo *from = source(stream->value, stream->graph), *at = stream->value;
    const int first = (int)(uintptr_t)map_get(&all->first, key_of(&from));
    for (; at != from; at = before(at, stream->graph)) {
        *entry = at->producer;
        const ValueInfo *value = before(at, stream->graph);
        for (int other = first; other; other = all->next[other - 1]) {
            const PlanStream *found = &b->plan->streams.at[other - 1];
            if (found->value == value && alike(b, stream, found)) {
                return other - 1;
            }
        }
    }
    return -1;
}

void place_commuting(Bind *b, int rule) {
    const Sources all = sources(b);
    for (size_t i = 0; i < b->plan->streams.len; i++) {
        Node *entry = NULL;
        const int front = stream_in_front(b, (int)i, &all, &entry);
        if (front < 0) {
            continue;
        }
        const PlanStream *stream = &b->plan->streams.at[front];
        const bool alone = stream_at(b, entry, 0) < 0 && only_leads_to(b, stream->value, (int)i);
        if (alone) {
            serve(b, front, (int)i, entry);
        }
        if (alone || share(b, front, (int)i)) {
            placement_note(b, rule, layer_of(b->layers, entry));
        }
    }
    flatten(b);
}
