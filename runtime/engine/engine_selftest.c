/* A slot that is not what it is taken for would be called as something else, so each is asked for
 * something whose answer is known: a model of one mor.Observe node is loaded and run with the same
 * functions as any other. It costs a few milliseconds. */
#include <stdatomic.h>
#include "runtime/engine/engine_parts.h"

enum { SLOT = 5, ROWS = 2, COLUMNS = 3, TASKS = 7 };

/* x float [n, 3] -> mor.Observe "look" (slot = 5) -> y float [n, 3] */
static const uint8_t model[] = {
    0x08, 8,                                                     /* ir_version */
    0x42, 2,    0x10, 17,                                        /* opset_import: version 17 */
    0x42, 7,    0x0A, 3,    'm',  'o',  'r', 0x10, 1,            /* opset_import: mor, 1 */
    0x3A, 88,                                                    /* graph */
    0x0A, 39,   0x0A, 1,    'x',  0x12, 1,   'y',                /* node: input, output */
    0x1A, 4,    'l',  'o',  'o',  'k',                           /* name */
    0x22, 7,    'O',  'b',  's',  'e',  'r', 'v',  'e',          /* op_type */
    0x2A, 11,   0x0A, 4,    's',  'l',  'o', 't',                /* attribute: name */
    0x18, SLOT, 0xA0, 0x01, 2,                                   /* i; type: INT */
    0x3A, 3,    'm',  'o',  'r',                                 /* domain */
    0x12, 1,    'g',                                             /* name of the graph */
    0x5A, 20,   0x0A, 1,    'x',  0x12, 15,  0x0A, 13,  0x08, 1, /* input: name, float */
    0x12, 9,    0x0A, 3,    0x12, 1,    'n', 0x0A, 2,   0x08, COLUMNS, /* its shape */
    0x62, 20,   0x0A, 1,    'y',  0x12, 15,  0x0A, 13,  0x08, 1,       /* output: the same */
    0x12, 9,    0x0A, 3,    0x12, 1,    'n', 0x0A, 2,   0x08, COLUMNS,
};

typedef struct Seen {
    float values[ROWS * COLUMNS];
    atomic_int tasks[TASKS];
    int times;
    bool right;
} Seen;

static void count_task(void *user, size_t i) {
    Seen *seen = user;
    atomic_fetch_add(&seen->tasks[i], 1);
}

static const char *see(void *user, int64_t slot, const EngineTensor *x, const Spread *spread) {
    Seen *seen = user;
    seen->times++;
    seen->right = slot == SLOT && x->type == 1 && x->rank == 2 && x->dims[0] == ROWS &&
                  x->dims[1] == COLUMNS && x->size == sizeof seen->values &&
                  memcmp(x->data, seen->values, x->size) == 0 &&
                  spread_run(spread, count_task, seen, TASKS);
    for (int i = 0; i < TASKS; i++) {
        seen->right = seen->right && atomic_load(&seen->tasks[i]) == 1;
    }
    return NULL;
}

static bool ports_are_right(const EngineModel *m) {
    const EnginePort *in, *out;
    if (engine_inputs(m, &in) != 1 || engine_outputs(m, &out) != 1) {
        return false;
    }
    return str_is(in->name, "x") && str_is(out->name, "y") && in->type == 1 && out->type == 1 &&
           in->rank == 2 && out->rank == 2 && in->dims[0] == -1 && out->dims[1] == COLUMNS &&
           str_is(in->symbols[0], "n") && in->symbols[1].len == 0;
}

static bool status_is_right(const Engine *e) {
    OrtStatus *status = e->call.CreateStatus(ORT_NO_MODEL, "probe");
    if (!status) {
        return false;
    }
    const char *text = e->call.GetErrorMessage(status);
    const bool right =
        e->call.GetErrorCode(status) == ORT_NO_MODEL && text && strcmp(text, "probe") == 0;
    e->call.ReleaseStatus(status);
    return right;
}

static bool run_is_right(EngineModel *m, Seen *seen, bool *right, Str *why) {
    static const int64_t dims[] = {ROWS, COLUMNS};
    for (int i = 0; i < ROWS * COLUMNS; i++) {
        seen->values[i] = (float)i - 0.5F;
    }
    const EngineTensor x = {STR("x"), 1, 2, dims, seen->values, sizeof seen->values};
    const Str name = STR("y");
    EngineTensor y;
    TRY(engine_run(m, &x, 1, &name, 1, &y, why));
    const EngineCounts counts = engine_counts(m);
    *right = seen->times == 1 && seen->right && y.type == 1 && y.rank == 2 && y.size == x.size &&
             memcmp(y.data, seen->values, x.size) == 0 && counts.calls == 1 &&
             counts.aliased + counts.copied == x.size;
    return engine_run_stops(m, &x, name, why);
}

bool engine_selftest(Session *s, Engine *e, Str *why) {
    bool right = status_is_right(e) && strstr(e->providers.data, "CPU");
    Seen *seen = arena_new(s->arena, Seen);
    const EngineObserver observer = {seen, see};
    const EngineLoad load = {.bytes = model,
                             .size = sizeof model,
                             .folder = STR("."), /* never looked at */
                             .threads = 2,
                             .observer = &observer,
                             .no_arena = true,
                             .no_pattern = true};
    EngineModel *m = right ? engine_load(s, e, &load, why) : NULL;
    TRY(!right || m);
    const bool ran = !right || run_is_right(m, seen, &right, why);
    right = right && ran && ports_are_right(m);
    engine_unload(s, m);
    if (ran && !right) {
        *why = STR("it does not do what its interface says");
    }
    return right;
}
