/* A libcuda.so.1 that morc must refuse: it has three entries, and says that it is for CUDA 10.2,
 * or for what FAKE_CUDA_VERSION says. */
#include <stdlib.h>

#define EXPORT __attribute__((visibility("default")))

EXPORT int cuInit(unsigned flags) {
    return flags == 0 ? 0 : 1;
}

EXPORT int cuDriverGetVersion(int *version) {
    const char *said = getenv("FAKE_CUDA_VERSION");
    *version = said ? atoi(said) : 10020;
    return 0;
}

EXPORT int cuDeviceGetCount(int *count) {
    *count = 1;
    return 0;
}
