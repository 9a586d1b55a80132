/* See gpu_programs.h. Texts are few, so they are compared one by one. */
#include "runtime/device/gpu_programs.h"
#include <assert.h>

static int program_of(Arena *arena, GpuPrograms *programs, Str text, const char *skeleton) {
    for (size_t i = 0; i < programs->all.len; i++) {
        if (str_eq(programs->all.at[i].text, text)) {
            return (int)i;
        }
    }
    vec_push(arena, &programs->all, (GpuProgram){text, skeleton, 0});
    return (int)programs->all.len - 1;
}

void gpu_programs_collect(Arena *arena, const Kernel *kernels, size_t stride, size_t count,
                          GpuPrograms *out) {
    *out = (GpuPrograms){0};
    out->acts = arena_many(arena, GpuActs, count + 1);
    for (size_t i = 0; i < count; i++) {
        const Kernel *k = (const Kernel *)((const char *)kernels + i * stride);
        const int surveys = kernel_surveys(k);
        assert(surveys < GPU_ACTS);
        for (int a = 0; a < GPU_ACTS; a++) {
            Buf text = buf_on(arena);
            GpuText *about = &out->acts[i].act[a].about;
            out->acts[i].act[a].program = -1;
            if (a - 1 < surveys && k->count > 0 && gpu_text(k, a - 1, about, &text)) {
                const int program = program_of(arena, out, buf_view(&text), about->skeleton);
                out->acts[i].act[a].program = program;
                out->all.at[program].users++;
            }
        }
    }
}
