/* Layer paths (language.md 2.5), in this order: the innermost module of torch's
 * "pkg.torch.onnx.name_scopes"; the node's name; the weight's name; the first output's name. Inside
 * subgraphs and local functions the owner's path comes first. Both of torch's exporters give the
 * same paths for one model. Text that does not parse exactly is passed over, never guessed at. */
#include "runtime/model/layers_parts.h"

/* Module stack of nodes that torch itself made, outside of any module: says nothing. */
#define NO_MODULE "_empty_nn_module_stack_from_metadata_hook"

typedef struct Reader {
    const char *at, *end;
    Arena *arena;
} Reader;

static void skip_space(Reader *r) {
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\n')) {
        r->at++;
    }
}

static bool take(Reader *r, char c) {
    skip_space(r);
    if (r->at < r->end && *r->at == c) {
        r->at++;
        return true;
    }
    return false;
}

/* A Python string as repr() writes it: '...' or "...", with \\ \' \" only; other escapes never
 * occur in module names, so they count as odd. */
static bool python_string(Reader *r, Str *out) {
    skip_space(r);
    if (r->at >= r->end || (*r->at != '\'' && *r->at != '"')) {
        return false;
    }
    char quote = *r->at++;
    Buf text = buf_on(r->arena);
    while (r->at < r->end && *r->at != quote) {
        if (*r->at == '\\') {
            r->at++;
            if (r->at >= r->end || (*r->at != '\\' && *r->at != '\'' && *r->at != '"')) {
                return false;
            }
        }
        buf_char(&text, *r->at++);
    }
    if (r->at >= r->end) {
        return false;
    }
    r->at++;
    *out = buf_view(&text);
    return true;
}

/* The last entry that names a module and is not the node's own, which stands last. */
static bool innermost_module(Arena *arena, Str list, Str *module) {
    Reader r = {list.data, list.data + list.len, arena};
    Str previous = {0}, last = {0}, found = {0};
    bool any = false;
    if (!take(&r, '[')) {
        return false;
    }
    while (!take(&r, ']')) {
        if ((any && !take(&r, ',')) || !python_string(&r, &last)) {
            return false;
        }
        if (previous.len && !str_is(previous, NO_MODULE)) {
            found = previous;
        }
        previous = last;
        any = true;
    }
    skip_space(&r);
    *module = found;
    return r.at == r.end && found.len > 0;
}

static bool from_scopes(Arena *arena, const Node *node, Str *path) {
    for (size_t i = 0; i < node->proto->n_metadata_props; i++) {
        const Onnx__StringStringEntryProto *entry = node->proto->metadata_props[i];
        if (entry->key && entry->value && !strcmp(entry->key, "pkg.torch.onnx.name_scopes")) {
            return innermost_module(arena, str_from(entry->value), path);
        }
    }
    return false;
}

/* Drops ".OP" or ".OP_7" at the end. */
static Str without_op(Str path, Str op) {
    size_t end = path.len;
    while (end > 0 && path.data[end - 1] >= '0' && path.data[end - 1] <= '9') {
        end--;
    }
    if (end < path.len && end > 0 && path.data[end - 1] == '_') {
        end--;
    } else {
        end = path.len;
    }
    for (int whole = 0; whole < 2; whole++) {
        Str head = str_slice(path, 0, whole ? path.len : end);
        if (head.len > op.len && str_ends(head, op) && head.data[head.len - op.len - 1] == '.') {
            return str_slice(head, 0, head.len - op.len - 1);
        }
    }
    return path;
}

static bool from_name(Arena *arena, const Node *node, Str *path) {
    Str name = str_from(node->proto->name);
    while (name.len && name.data[0] == '/') {
        name = str_slice(name, 1, name.len);
    }
    while (name.len && name.data[name.len - 1] == '/') {
        name = str_slice(name, 0, name.len - 1);
    }
    Buf dotted = buf_on(arena);
    for (size_t i = 0; i < name.len; i++) {
        buf_char(&dotted, name.data[i] == '/' ? '.' : name.data[i]);
    }
    *path = without_op(buf_view(&dotted), node->op);
    return path->len > 0;
}

static bool from_weight(const Layer *layer, Str *path) {
    const ValueInfo *value = layer->weight ? node_in(layer->weight_at, layer->weight_slot) : NULL;
    Str name = value ? value->name : (Str){0}; /* a Constant's tensor has no name of its own */
    *path = str_ends(name, STR(".weight")) ? str_slice(name, 0, name.len - 7) : name;
    return path->len > 0;
}

static void own_path(Arena *arena, Layer *layer, Str *path) {
    const Node *node = layer->node;
    *path = (Str){0};
    if (from_scopes(arena, node, path)) {
        layer->path_from = PATH_SCOPES;
    } else if (from_name(arena, node, path)) {
        layer->path_from = PATH_NODE;
    } else if (from_weight(layer, path)) {
        layer->path_from = PATH_WEIGHT;
    } else {
        layer->path_from = PATH_OUTPUT;
        *path = node->op; /* a node without any output name */
        for (int i = 0; i < node->output_count; i++) {
            if (node->outputs[i] && node->outputs[i]->name.len) {
                *path = node->outputs[i]->name;
                break;
            }
        }
    }
}

static Str op_key(Arena *arena, Str path, Str op) {
    return str_format(arena, "%.*s\n%.*s", STR_ARG(op), STR_ARG(path));
}

/* Appends #2, #3, ... when the op has this path already. counts: op and path -> nodes so far. */
static Str unique_path(Arena *arena, Map *counts, Str path, Str op) {
    int *count = map_get(counts, op_key(arena, path, op));
    if (!count) {
        count = arena_new(arena, int);
        *count = 1;
        map_put(counts, op_key(arena, path, op), count);
        return path;
    }
    Str numbered;
    do {
        numbered = str_format(arena, "%.*s#%d", STR_ARG(path), ++*count);
    } while (map_find(counts, op_key(arena, numbered, op)));
    int *one = arena_new(arena, int);
    *one = 1;
    map_put(counts, op_key(arena, numbered, op), one);
    return numbered;
}

/* Function -> the one layer that calls it, or `layers` itself when there are several. */
static Map function_callers(Layers *layers) {
    Arena *arena = layers->model->session->arena;
    Map callers = map_on(arena);
    for (size_t i = 0; i < layers->model->graphs.len; i++) {
        if (layers->model->graphs.at[i]->function.len) {
            map_put(&callers, layers->model->graphs.at[i]->function, NULL);
        }
    }
    for (size_t i = 0; callers.len && i < layers->all.len; i++) {
        Layer *layer = &layers->all.at[i];
        const Node *node = layer->node;
        MapEntry *entry = map_find(
            &callers, str_format(arena, "%.*s::%.*s", STR_ARG(node->domain), STR_ARG(node->op)));
        if (entry) {
            entry->value = entry->value ? (void *)layers : (void *)layer;
        }
    }
    return callers;
}

/* The path that stands before those of a graph's nodes; empty in the main graph. */
static Str prefix_of(const Layers *layers, const Map *callers, const Graph *graph) {
    if (graph->owner) {
        const Layer *owner = layer_of(layers, graph->owner);
        return owner ? owner->path : (Str){0};
    }
    const Layer *caller = map_get(callers, graph->function);
    if (caller && (const void *)caller != (const void *)layers && caller->path.len) {
        return caller->path;
    }
    int64_t colon = str_find(graph->function, ':');
    return colon < 0 ? graph->function
                     : str_slice(graph->function, (size_t)colon + 2, graph->function.len);
}

void layers_paths(Layers *layers) {
    Arena *arena = layers->model->session->arena;
    Map counts = map_on(arena), callers = function_callers(layers);
    for (size_t i = 0; i < layers->all.len; i++) {
        Layer *layer = &layers->all.at[i];
        Str path;
        own_path(arena, layer, &path);
        const Graph *graph = layer->node->graph;
        if (graph != layers->model->main) {
            Str prefix = prefix_of(layers, &callers, graph);
            path =
                prefix.len ? str_format(arena, "%.*s.%.*s", STR_ARG(prefix), STR_ARG(path)) : path;
        }
        layer->path = unique_path(arena, &counts, path, layer->node->op);
    }
    for (size_t i = 0; i < layers->all.len; i++) {
        Layer *layer = &layers->all.at[i];
        const Layer *held = map_get(&layers->by_path, layer->path);
        if (!held || (layer->weight && !held->weight)) {
            map_put(&layers->by_path, layer->path, layer);
        }
    }
}
