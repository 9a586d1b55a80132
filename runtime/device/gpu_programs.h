/* The GPU programs of a set of Kernels: their texts, each once, and which act of which Kernel runs
 * which. Nothing is compiled here. */
#ifndef RUNTIME_DEVICE_GPU_PROGRAMS_H
#define RUNTIME_DEVICE_GPU_PROGRAMS_H
#include "runtime/base/vec.h"
#include "runtime/device/gpu_text.h"

typedef struct GpuProgram {
    Str text;
    const char *skeleton;
    size_t users; /* Kernels that run it */
} GpuProgram;

/* Act `pass` + 1: GPU_ENCODE is first. */
enum { GPU_ACTS = 8 };

typedef struct GpuActs {
    struct {
        int program; /* index; -1: the host does this act, or there is no such pass */
        GpuText about;
    } act[GPU_ACTS];
} GpuActs;

typedef struct GpuPrograms {
    Vec(GpuProgram) all;
    GpuActs *acts; /* one for each Kernel */
} GpuPrograms;

/* `kernels`: stride bytes apart. Texts lie on the arena. */
void gpu_programs_collect(Arena *arena, const Kernel *kernels, size_t stride, size_t count,
                          GpuPrograms *out);
#endif
