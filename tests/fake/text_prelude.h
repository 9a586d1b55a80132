/* Read before every kernel text that text_load.c compiles: what the text shares between the threads
 * of a block goes to a section of its own, so that simt can fill it with rubbish before each block,
 * and each kernel leaves word of the block size it was written for. */
#include "kernels/gpu/threads.h"

#undef K_SHARED
#define K_SHARED(type, name, count)                                                                \
    static type name[count] __attribute__((aligned(16), section("k_shared")))

#undef K_KERNEL
#define K_KERNEL(name)                                                                             \
    static void body_##name(const GpuArgs a);                                                      \
    extern const unsigned threads_of_##name;                                                       \
    const unsigned threads_of_##name = THREADS;                                                    \
    void name(void **parameters);                                                                  \
    void name(void **parameters) {                                                                 \
        body_##name(*(const GpuArgs *)parameters[0]);                                              \
    }                                                                                              \
    static void body_##name(const GpuArgs a)

/* The linker makes these for a section whose name is an identifier, if there is one. */
extern char __start_k_shared[] __attribute__((weak, visibility("hidden")));
extern char __stop_k_shared[] __attribute__((weak, visibility("hidden")));
extern char *const text_shared[2];
char *const text_shared[2] = {__start_k_shared, __stop_k_shared};
