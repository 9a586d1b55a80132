/* Compiles kernel text with the host's C compiler into a shared object, which simt.h can run, and
 * loads it. Objects are kept in the build folder by a hash of all that decides them and appear
 * there by rename, so tests may run at the same time and the second run of one is fast. What C
 * leaves undefined, an index beyond an array too, traps (SIGILL); nothing is contracted.
 *
 * A library that is loaded twice shares its statics: run only one of its kernels at a time. */
#ifndef TESTS_FAKE_TEXT_LOAD_H
#define TESTS_FAKE_TEXT_LOAD_H
#include <stdint.h>
#include "tests/fake/includes.h"
#include "tests/fake/simt.h"

typedef struct TextLibrary TextLibrary;

/* `files` are all that the text includes. NULL: `why` holds what the compiler said. */
TextLibrary *text_load(const char *text, const TextFiles *files, char *why, size_t why_size);
/* The same with the files of the source tree. */
TextLibrary *text_load_tree(const char *text, char *why, size_t why_size);
void text_unload(TextLibrary *library);
/* NULL: there is no such kernel. threads (may be NULL): the block size it was written for. */
SimtKernel *text_kernel(TextLibrary *library, const char *name, unsigned *threads);
/* Shared memory holds rubbish before each block. */
void text_run(TextLibrary *library, SimtKernel *kernel, unsigned grid, unsigned threads,
              void **parameters, uint64_t seed);
#endif
