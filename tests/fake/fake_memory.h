/* The memory of the fake GPU: host memory in an address range of its own, so that a pointer of one
 * side is never one of the other. Every block lies between red zones and pages that cannot be
 * touched, begins on a multiple of 256 and holds rubbish; addresses are used once. What no program
 * may do - a copy beyond a block, a block freed twice, a red zone overwritten - aborts with a line
 * that says what.
 *
 * The same for pinned memory, which lies on the host's heap. Callers hold the library's lock. */
#ifndef TESTS_FAKE_FAKE_MEMORY_H
#define TESTS_FAKE_FAKE_MEMORY_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void fake_memory_reset(size_t total); /* frees all; then there are `total` bytes */
size_t fake_memory_total(void);
size_t fake_memory_unused(void);
unsigned fake_memory_blocks(void); /* live ones, of both kinds */

bool fake_memory_alloc(uint64_t *address, size_t size); /* false: not so much is left */
void fake_memory_free(uint64_t address);
/* The host's pointer to `size` bytes that must lie in one live block. */
void *fake_memory_at(uint64_t address, size_t size, const char *act);
void fake_memory_check(const char *act); /* all red zones */

void *fake_pinned_alloc(size_t size);
void fake_pinned_free(void *memory);
/* Whether the host's memory is pinned; aborts if only a part of it is. */
bool fake_pinned_at(const void *memory, size_t size, const char *act);
#endif
