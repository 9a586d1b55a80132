/* The text of the GPU kernels for one act on a Kernel: a few #defines and the header of kernels/gpu
 * that they specialise. A text depends on what the Kernel does and on its class of shape, not on
 * its size, so a model needs few; equal texts are one program. The plain text takes what the fast
 * ones do not, so there is a text for every Kernel whose weights are not doubles that stay doubles.
 *
 * Passes of PRUNE_RATIO's histogram have no text: the host does them. */
#ifndef RUNTIME_DEVICE_GPU_TEXT_H
#define RUNTIME_DEVICE_GPU_TEXT_H
#include "kernels/kernels.h"
#include "kernels/shape.h"
#include "runtime/base/str.h"

enum { GPU_ENCODE = -1 /* an act; 0, 1, ...: that survey pass */ };

/* What the blocks of an entry share out; each header of kernels/gpu says it at its top. */
typedef enum GpuUnits {
    GPU_PIECES,  /* 16 weights of a row: `threads * per_thread` of them a block */
    GPU_ROWS,    /* a row a team of threads */
    GPU_TILES,   /* tile_rows x tile_columns a block */
    GPU_VECTORS, /* 16 bytes: `threads * per_thread` of them a block */
    GPU_GRANULES, /* of scales: a thread each, a warp each where they are runs */
    GPU_STRIPS   /* 64 weights of a row: eight threads each */
} GpuUnits;

typedef struct GpuStep {
    const char *entry; /* name of the function */
    GpuUnits units;
} GpuStep;

enum { GPU_STEPS = 2 };

typedef struct GpuText {
    const char *skeleton; /* the header, for people: "rows" */
    int threads;          /* of a block */
    int per_thread;
    int team; /* GPU_ROWS: threads of a row */
    int tile_rows, tile_columns;
    int64_t align; /* GPU_PIECES: rows get pieces up to a multiple of this many weights; 0: one run */
    int64_t cut;   /* GPU_ROWS: granules of this many weights are the rows of the box; 0: its rows */
    int steps;
    GpuStep step[GPU_STEPS];
} GpuText;

/* The type that weights have on the device: doubles are float32 there. */
int gpu_source(const Kernel *k);

/* False: there is no text for this act. `out` NULL: only says so. */
bool gpu_text(const Kernel *k, int act, GpuText *about, Buf *out);
#endif
