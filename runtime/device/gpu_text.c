/* Chooses the text (gpu_text.h). In: a Kernel. Out: which header of kernels/gpu runs it, with what
 * constants. Sizes of blocks and registers a thread are those that were measured best. */
#include "runtime/device/gpu_text.h"
#include "kernels/gpu/args.h"
#include "kernels/scale.h"
#include "kernels/state.h"
#include <string.h>

enum { PIECE = 16, LONGEST_RUN = 512, TILE_DEPTH = 8, ACROSS = 16 };

int gpu_source(const Kernel *k) {
    return k->source == 11 ? K_FLOAT : k->source;
}

static const char *type_name(int type) {
    switch (type) {
    case K_FLOAT:
        return "K_FLOAT";
    case K_FLOAT16:
        return "K_FLOAT16";
    case K_BFLOAT16:
        return "K_BFLOAT16";
    case K_E4M3:
        return "K_E4M3";
    default:
        return "K_E8M0";
    }
}

static bool is_power_of_two(int64_t n) {
    return n > 0 && (n & (n - 1)) == 0;
}

static int64_t power_above(int64_t n) {
    int64_t p = 1;
    while (p < n) {
        p *= 2;
    }
    return p;
}

/* ---- which text */

typedef struct Choice {
    const Kernel *k;
    Shape s;
    GpuText about;
    int64_t block; /* 0: scales are given */
    bool flat;     /* rows: the box is one run */
    int resident;
} Choice;

static int vector_of(const Kernel *k) {
    return gpu_source(k) == K_FLOAT ? 4 : 8;
}

/* Do N:M groups lie whole in `n` neighbours of the unit's axis? */
static bool groups_fit(const Choice *c, int64_t n) {
    const Kernel *k = c->k;
    const KernelView u = c->s.unit, p = k->prune_view;
    const int64_t inner = u.inner > 1 ? u.inner : 1;
    return k->prune == PRUNE_NONE || (k->prune == PRUNE_NM && p.axis == u.axis &&
                                      p.inner == inner && n % k->group == 0);
}

static void take(Choice *c, const char *skeleton, GpuUnits units, int threads, int per_thread,
                 int resident) {
    c->about.skeleton = skeleton;
    c->about.threads = threads;
    c->about.per_thread = per_thread;
    c->about.steps = 1;
    c->about.step[0] = (GpuStep){"encode", units};
    c->resident = resident;
}

/* Heavy texts need registers more than company. */
static bool is_heavy(const Kernel *k) {
    return k->metrics || k->method == METHOD_MSE;
}

/* Threads that a multiprocessor should hold: 65,536 registers shared by so many. */
static int threads_held(const Kernel *k) {
    const bool wide = gpu_source(k) == K_FLOAT || k->format->asymmetric;
    return is_heavy(k) ? 512 : wide ? 1024 : 1536;
}

static void take_rows(Choice *c, int64_t block) {
    const KernelView u = c->s.unit;
    const int64_t align = block > K_STRIP ? block : K_STRIP;
    const bool small = block < 64;
    c->block = block;
    c->flat = u.outer == 1 || u.axis % align == 0;
    if (c->k->layout == LAYOUT_NBITS && c->k->format->asymmetric) {
        c->flat = false; /* rows of zero points end in whole bytes */
    }
    const bool few = is_heavy(c->k) || gpu_source(c->k) == K_FLOAT;
    take(c, "rows", GPU_PIECES, 256, few ? 1 : small ? 4 : 2,
         few ? 3 : small || c->k->format->asymmetric ? 4 : c->flat ? 6 : 5);
    c->about.align = c->flat ? 0 : align;
}

static int64_t round_up(int64_t n, int64_t multiple) {
    return (n + multiple - 1) / multiple * multiple;
}

/* Rows that a warp can hold, two pieces a lane, are done by warps; longer ones by a block each. */
static bool take_row(Choice *c, int64_t length) {
    const int64_t pieces = length / PIECE;
    const bool warps = pieces <= 64;
    const int64_t team = warps ? 32 : round_up((pieces + 1) / 2, 32);
    const int64_t threads = warps ? 256 : team;
    if (length % PIECE != 0 || threads > (is_heavy(c->k) ? 512 : 1024)) {
        return false;
    }
    const int held = threads_held(c->k);
    take(c, "row", GPU_ROWS, (int)threads, 2, held > threads ? held / (int)threads : 1);
    c->about.team = (int)team;
    c->block = length;
    return true;
}

static bool choose_run(Choice *c) {
    const Kernel *k = c->k;
    const KernelView u = c->s.unit;
    const int64_t block = c->s.block < u.axis ? c->s.block : u.axis;
    const bool padded = k->layout == LAYOUT_NBITS && u.axis % c->s.block != 0;
    if (u.axis % PIECE != 0 || padded || !groups_fit(c, PIECE)) {
        return false;
    }
    if (c->s.granule == GRANULE_TENSOR) {
        take_rows(c, PIECE);
        c->block = 0;
        return true;
    }
    if (c->s.granule == GRANULE_CHANNEL) {
        return false;
    }
    if (block == u.axis && power_above(block) <= LONGEST_RUN) {
        take_rows(c, power_above(block));
        return true;
    }
    if (block == u.axis) {
        return take_row(c, block);
    }
    if (is_power_of_two(block) && block >= PIECE && block <= LONGEST_RUN) {
        take_rows(c, block);
        return true;
    }
    if (u.axis % block == 0 && block % K_STRIP == 0 && take_row(c, block)) {
        c->about.cut = block;
        return k->layout == LAYOUT_ONNX || !k->format->asymmetric;
    }
    return false;
}

static bool choose_columns(Choice *c) {
    const KernelView u = c->s.unit;
    const int64_t block = c->s.granule == GRANULE_BLOCK ? c->s.block : 0;
    const int threads = block == 256 ? 512 : 256;
    const int rows = threads / ACROSS * TILE_DEPTH;
    if (u.inner % vector_of(c->k) != 0 || !groups_fit(c, TILE_DEPTH)) {
        return false;
    }
    if (block > 0 && (!is_power_of_two(block) || block < PIECE || block > rows)) {
        return false;
    }
    if (c->s.granule == GRANULE_CHANNEL && c->s.view.axis * c->s.view.inner != u.inner) {
        return false;
    }
    const bool small = block > 0 && block < 64; /* many scales to make: more warps hide it */
    take(c, "columns", GPU_TILES, threads, 0,
         is_heavy(c->k) || threads > 256 ? 1 : small ? 4 : 3);
    c->about.tile_rows = rows;
    c->about.tile_columns = ACROSS * vector_of(c->k);
    c->block = block;
    return true;
}

static void choose_plain(Choice *c) {
    take(c, "plain", GPU_STRIPS, 256, 0, 1);
    c->block = c->k->format != NULL && c->s.granule == GRANULE_BLOCK ? c->s.block : 0;
    if (c->block > 0) {
        c->about.steps = 2;
        c->about.step[1] = c->about.step[0];
        c->about.step[0] = (GpuStep){"scales", GPU_GRANULES};
    }
}

static void choose_encode(Choice *c) {
    const bool fast = c->k->format != NULL && c->k->prune != PRUNE_RATIO;
    if (!fast || !(c->s.unit.inner > 1 ? choose_columns(c) : choose_run(c))) {
        c->about = (GpuText){0};
        choose_plain(c);
    }
}

/* Ranges of symmetric formats; channels are columns or there is but one range. */
static bool choose_range(Choice *c) {
    const Kernel *k = c->k;
    const KernelView u = c->s.unit;
    const bool columns = c->s.granule == GRANULE_CHANNEL;
    if (k->format->asymmetric || k->prune == PRUNE_RATIO) {
        return false;
    }
    if (columns ? k->view.inner != 1 || k->view.axis != u.inner || u.inner % vector_of(k) != 0
                : u.axis * u.inner % vector_of(k) != 0) {
        return false;
    }
    take(c, "survey", columns ? GPU_TILES : GPU_VECTORS, 256, TILE_DEPTH, 4);
    c->about.step[0].entry = "ranges";
    c->about.tile_rows = 256 / ACROSS * TILE_DEPTH;
    c->about.tile_columns = columns ? ACROSS * vector_of(k) : 0;
    return true;
}

static void choose_survey(Choice *c, Pass pass) {
    if (pass == PASS_RANGE && choose_range(c)) {
        return;
    }
    choose_plain(c);
    c->block = 0;
    c->about.steps = 1;
    c->about.step[0] = (GpuStep){pass == PASS_RANGE ? "ranges" : "errors", GPU_STRIPS};
}

/* ---- its words */

static void define(Buf *out, const char *name, int64_t value) {
    buf_printf(out, "#define %s %lld\n", name, (long long)value);
}

static void print_title(const Choice *c, Buf *out) {
    const Kernel *k = c->k;
    const int source = gpu_source(k);
    static const char *const granules[] = {"tensor", "channel", "block"};
    buf_printf(out, "/* %s: %s", c->about.step[c->about.steps - 1].entry,
               source == K_FLOAT     ? "float32"
               : source == K_FLOAT16 ? "float16"
                                     : "bfloat16");
    if (k->prune == PRUNE_NM) {
        buf_printf(out, ", %d of %d kept", k->keep, k->group);
    } else if (k->prune == PRUNE_RATIO) {
        buf_str(out, STR(", the smallest to zero"));
    }
    if (k->format) {
        buf_printf(out, ", %s per %s%s", k->format->name, granules[k->granule],
                   k->method == METHOD_MSE ? ", least error" : "");
    }
    buf_str(out, STR(" */\n"));
}

/* What the text does with a weight. */
static void print_work(const Kernel *k, bool survey, Buf *out) {
    if (k->format) {
        buf_printf(out, "#define ELEMENT %s\n#define SCALE %s\n", k->format->name,
                   type_name(k->scale_type));
        define(out, "SEARCH", k->method == METHOD_MSE);
    }
    define(out, "METRICS", k->metrics && !survey);
    if (k->prune == PRUNE_NM) {
        define(out, "KEEP", k->keep);
        define(out, "GROUP", k->group);
    } else if (k->prune == PRUNE_RATIO) {
        define(out, "RATIO", 1);
    }
    if (k->layout == LAYOUT_NBITS && !survey) {
        define(out, "NBITS", 1);
    }
}

/* How its weights are shared out. */
static void print_shape(const Choice *c, Buf *out) {
    const GpuUnits units = c->about.step[0].units;
    const bool given = c->block == 0 && (units == GPU_PIECES || units == GPU_TILES);
    const int64_t block = !given ? c->block : units == GPU_TILES ? c->about.tile_rows : PIECE;
    if (units == GPU_GRANULES) {
        define(out, "BLOCKS", 1);
    } else if (block > 0 && units != GPU_ROWS) { /* a row says itself how long it is */
        define(out, "BLOCK", block);
    }
    if (given) {
        define(out, "GIVEN", c->s.granule == GRANULE_TENSOR ? 1 : c->s.view.inner == 1 ? 2 : 3);
    }
    if (c->about.per_thread > 0) {
        define(out, "UNITS", c->about.per_thread);
    }
    if (units == GPU_ROWS) {
        define(out, "TEAM", c->about.team);
    }
    if (units == GPU_PIECES) {
        define(out, "ALIGN", block > K_STRIP ? block : K_STRIP);
        if (c->flat) {
            define(out, "FLAT", 1);
        }
    }
}

static void print_text(const Choice *c, bool survey, Buf *out) {
    const bool ranges_alone = strcmp(c->about.skeleton, "survey") == 0;
    print_title(c, out);
    if (c->k->format) {
        buf_printf(out, "#include \"kernels/format/%s.h\"\n", c->k->format->name);
    }
    buf_printf(out, "#define SOURCE %s\n", type_name(gpu_source(c->k)));
    define(out, "THREADS", c->about.threads);
    define(out, "RESIDENT", c->resident);
    if (ranges_alone && c->about.tile_columns > 0) {
        define(out, "COLUMNS", 1);
    }
    if (!ranges_alone) {
        print_work(c->k, survey, out);
        print_shape(c, out);
    }
    buf_printf(out, "#include \"kernels/gpu/%s.h\"\n", c->about.skeleton);
}

bool gpu_text(const Kernel *k, int act, GpuText *about, Buf *out) {
    Choice c = {.k = k, .s = shape_of(k)};
    if (k->format == NULL && k->source != gpu_source(k)) {
        return false;
    }
    if (act == GPU_ENCODE) {
        choose_encode(&c);
    } else {
        const Pass pass = state_pass(k, act);
        if (pass != PASS_RANGE && pass != PASS_ERROR) {
            return false;
        }
        choose_survey(&c, pass);
    }
    *about = c.about;
    if (out != NULL) {
        print_text(&c, act != GPU_ENCODE, out);
    }
    return true;
}
