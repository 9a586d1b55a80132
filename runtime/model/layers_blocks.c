/* Repeated blocks, for `block(n)`. Two rules, the first that finds something:
 * 1. Paths: a prefix that is followed by different numbers ("model.layers.0...", ".1..."), where at
 *    least two numbers hold the same layers. Of several prefixes, the one whose alike blocks cover
 *    most layers with a weight. Blocks count in the order of their numbers.
 * 2. Structure: the longest stretch of layers with a weight (op, k, n) that repeats itself, at
 *    least twice and covers at least half of them; the layers between belong to the block they
 *    follow.
 * A layer without a weight belongs to a block by its path (1) or by its place (2). */
#include <stdlib.h>
#include "runtime/model/layers_parts.h"

enum { LONGEST_PERIOD = 256, MOST_LAYERS = 100000 };

typedef struct Member { /* a layer below PREFIX.NUMBER */
    int64_t number;
    int layer;
} Member;

typedef struct Prefix {
    Str text; /* "model.layers" */
    Vec(Member) members;
    int64_t score;
} Prefix;

/* ---- by path */

static bool segment_number(Str segment, int64_t *number) {
    *number = 0;
    for (size_t i = 0; i < segment.len; i++) {
        if (segment.data[i] < '0' || segment.data[i] > '9') {
            return false;
        }
        *number = *number * 10 + (segment.data[i] - '0');
    }
    return segment.len > 0 && segment.len <= 6;
}

/* The next numeric segment of the path at or after *at, and what stands before it. */
static bool next_number(Str path, size_t *at, Str *prefix, int64_t *number) {
    while (*at < path.len) {
        size_t begin = *at, stop = begin;
        while (stop < path.len && path.data[stop] != '.') {
            stop++;
        }
        *at = stop + 1;
        Str segment = str_slice(path, begin, stop);
        int64_t clash = stop == path.len ? str_find(segment, '#') : -1; /* "layers.0#2" */
        segment = clash < 0 ? segment : str_slice(segment, 0, (size_t)clash);
        if (segment_number(segment, number) && begin > 0) {
            *prefix = str_slice(path, 0, begin - 1);
            return true;
        }
    }
    return false;
}

static int member_cmp(const void *a, const void *b) {
    const Member *x = a, *y = b;
    if (x->number != y->number) {
        return x->number < y->number ? -1 : 1;
    }
    return (x->layer > y->layer) - (x->layer < y->layer);
}

static uint64_t mix(uint64_t hash, const void *bytes, size_t len) {
    const unsigned char *at = bytes;
    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ at[i]) * 1099511628211u;
    }
    return hash;
}

typedef struct Shape { /* of one block: what its layers with a weight are */
    uint64_t hash;
    int64_t weighted, nodes;
} Shape;

static Shape shape_of(const Layers *layers, const Prefix *prefix, size_t from, size_t to) {
    Shape shape = {.hash = 14695981039346656037u};
    for (size_t i = from; i < to; i++) {
        const Layer *layer = &layers->all.at[prefix->members.at[i].layer];
        shape.nodes++;
        if (layer->weight) {
            size_t digits = prefix->text.len + 1;
            while (digits < layer->path.len && layer->path.data[digits] != '.') {
                digits++;
            }
            shape.hash = mix(shape.hash, layer->node->op.data, layer->node->op.len);
            shape.hash = mix(shape.hash, layer->path.data + digits, layer->path.len - digits);
            shape.weighted++;
        }
    }
    return shape;
}

static int shape_cmp(const void *a, const void *b) {
    const Shape *x = a, *y = b;
    return (x->hash > y->hash) - (x->hash < y->hash);
}

/* Layers with a weight in the largest family of alike blocks; 0 if it has one block only, or if
 * the blocks are single nodes. */
static int64_t prefix_score(const Layers *layers, Prefix *prefix) {
    if (prefix->members.len < 4) {
        return 0;
    }
    qsort(prefix->members.at, prefix->members.len, sizeof(Member), member_cmp);
    Arena *arena = layers->model->session->arena;
    Vec(Shape) shapes = {0};
    for (size_t i = 0, j; i < prefix->members.len; i = j) {
        for (j = i; j < prefix->members.len &&
                    prefix->members.at[j].number == prefix->members.at[i].number;) {
            j++;
        }
        vec_push(arena, &shapes, shape_of(layers, prefix, i, j));
    }
    qsort(shapes.at, shapes.len, sizeof(Shape), shape_cmp);
    int64_t best = 0;
    for (size_t i = 0, j; i < shapes.len; i = j) {
        int64_t weighted = 0, nodes = 0;
        for (j = i; j < shapes.len && shapes.at[j].hash == shapes.at[i].hash; j++) {
            weighted += shapes.at[j].weighted;
            nodes += shapes.at[j].nodes;
        }
        bool single = nodes == (int64_t)(j - i);
        best = j - i >= 2 && !single && weighted > best ? weighted : best;
    }
    return best;
}

static bool blocks_by_path(Layers *layers) {
    Arena *arena = layers->model->session->arena;
    Map prefixes = map_on(arena);
    for (size_t i = 0; i < layers->all.len; i++) {
        size_t at = 0;
        Str text;
        int64_t number;
        while (next_number(layers->all.at[i].path, &at, &text, &number)) {
            Prefix *prefix = map_get(&prefixes, text);
            if (!prefix) {
                prefix = arena_new(arena, Prefix);
                prefix->text = text;
                map_put(&prefixes, text, prefix);
            }
            vec_push(arena, &prefix->members, (Member){number, (int)i});
        }
    }
    Prefix *best = NULL;
    for (size_t i = 0; i < prefixes.len; i++) {
        Prefix *prefix = prefixes.entries[i].value;
        prefix->score = prefix_score(layers, prefix);
        if (prefix->score > 0 && (!best || prefix->score > best->score)) {
            best = prefix;
        }
    }
    if (!best) {
        return false;
    }
    int block = -1;
    int64_t previous = -1;
    for (size_t i = 0; i < best->members.len; i++) {
        const Member *member = &best->members.at[i];
        block += member->number != previous;
        previous = member->number;
        layers->all.at[member->layer].block = block;
    }
    layers->block_count = block + 1;
    layers->block_rule = str_format(arena, "%.*s.N", STR_ARG(best->text));
    return true;
}

/* ---- by structure */

static bool alike(const Layer *a, const Layer *b) {
    return a->k == b->k && a->n == b->n && a->kernel == b->kernel && a->groups == b->groups &&
           str_eq(a->node->op, b->node->op) && str_eq(a->node->domain, b->node->domain);
}

/* The run of at least two periods that covers most layers; among equals the shortest period. */
static void longest_run(const Layers *layers, const int *at, int count, int *first, int *period,
                        int *repeats) {
    int covered = 3;
    *repeats = 0;
    for (int p = 1; p <= LONGEST_PERIOD && 2 * p <= count; p++) {
        int run = 0;
        for (int i = 0; i + p < count; i++) {
            run = alike(&layers->all.at[at[i]], &layers->all.at[at[i + p]]) ? run + 1 : 0;
            int times = run / p + 1;
            if (times >= 2 && times * p > covered) {
                covered = times * p;
                *period = p;
                *repeats = times;
                *first = i + 1 - run;
            }
        }
    }
}

static void blocks_by_structure(Layers *layers) {
    Arena *arena = layers->model->session->arena;
    int *at = arena_many(arena, int, layers->all.len + 1), count = 0;
    for (size_t i = 0; i < layers->all.len; i++) {
        if (layers->all.at[i].weight) {
            at[count++] = (int)i;
        }
    }
    int first = 0, period = 0, repeats = 0;
    if (count <= MOST_LAYERS) {
        longest_run(layers, at, count, &first, &period, &repeats);
    }
    if (repeats < 2 || 2 * period * repeats < count) {
        return; /* a few layers alike by chance are no blocks */
    }
    int end = at[first + period * repeats - 1];
    for (int b = 0; b < repeats; b++) {
        int from = at[first + b * period];
        int to = b + 1 < repeats ? at[first + (b + 1) * period] : end + 1;
        for (int i = from; i < to; i++) {
            layers->all.at[i].block = b;
        }
    }
    layers->block_count = repeats;
    layers->block_rule = str_format(arena, "period of %d layers", period);
}

void layers_blocks(Layers *layers) {
    if (!blocks_by_path(layers)) {
        blocks_by_structure(layers);
    }
}
