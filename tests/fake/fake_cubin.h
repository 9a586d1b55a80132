/* What the fake NVRTC makes of a program and the fake driver loads: the text itself, with all its
 * headers, so that what runs in a test is what was given to NVRTC. Readable:
 *
 *     fake cubin 1
 *     sm_90a
 *     1 option
 *     --fmad=false
 *     2 files
 *     NAME SIZE
 *     ...bytes...
 */
#ifndef TESTS_FAKE_FAKE_CUBIN_H
#define TESTS_FAKE_FAKE_CUBIN_H
#include "tests/fake/includes.h"

#define FAKE_CUBIN_MAGIC "fake cubin 1\n"

typedef struct FakeCubin {
    int arch;        /* 90 */
    bool specific;   /* sm_90a */
    TextFiles files; /* the first is the program */
} FakeCubin;

/* malloc'ed */
char *fake_cubin_write(const FakeCubin *cubin, int options, const char *const *option,
                       size_t *size);
/* False: it is none. */
bool fake_cubin_read(const char *image, FakeCubin *cubin);
#endif
