/* See fake_memory.h. */
#include "tests/fake/fake_memory.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { PAGE = 4096, ALIGNMENT = 256, ZONE = 0xfb, RUBBISH = 0xd5 };
static const size_t range_size = (size_t)1 << 40; /* of addresses; memory only where blocks live */

typedef struct Block {
    unsigned char *pages; /* between two that cannot be touched */
    size_t pages_size;
    unsigned char *data;
    size_t size;
    bool live;
} Block;

static struct {
    unsigned char *range;
    size_t used_addresses, total, used;
    Block *blocks;
    size_t count;
    struct {
        unsigned char *data;
        size_t size;
    } * pinned;
    size_t pinned_count;
} memory; /* a GPU has one memory, whoever asks */

static _Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
static _Noreturn void fail(const char *format, ...) {
    va_list args;
    va_start(args, format);
    fputs("fake GPU: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    abort();
}

static size_t round_up(size_t n, size_t to) {
    return (n + to - 1) / to * to;
}

void fake_memory_reset(size_t total) {
    for (size_t i = 0; i < memory.count; i++) {
        if (memory.blocks[i].live) {
            fake_memory_free((uint64_t)(uintptr_t)memory.blocks[i].data);
        }
    }
    while (memory.pinned_count > 0) {
        fake_pinned_free(memory.pinned[0].data);
    }
    free(memory.blocks);
    free(memory.pinned);
    memory.blocks = NULL;
    memory.pinned = NULL;
    memory.count = 0;
    memory.total = total;
}

size_t fake_memory_total(void) {
    return memory.total;
}

size_t fake_memory_unused(void) {
    return memory.total - memory.used;
}

unsigned fake_memory_blocks(void) {
    size_t live = memory.pinned_count;
    for (size_t i = 0; i < memory.count; i++) {
        live += memory.blocks[i].live ? 1 : 0;
    }
    return (unsigned)live;
}

bool fake_memory_alloc(uint64_t *address, size_t size) {
    const size_t padded = round_up(size, ALIGNMENT), pages = round_up(padded, PAGE);
    if (padded < size || padded > memory.total - memory.used) {
        return false;
    }
    if (!memory.range) {
        memory.range =
            mmap(NULL, range_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    }
    unsigned char *start = memory.range + memory.used_addresses + PAGE;
    if (memory.range == MAP_FAILED || pages + 2 * PAGE > range_size - memory.used_addresses ||
        mprotect(start, pages, PROT_READ | PROT_WRITE) != 0) {
        fail("no addresses for %zu bytes", size);
    }
    memory.used_addresses += pages + PAGE; /* the page behind it is the one before the next */
    memory.blocks = realloc(memory.blocks, (memory.count + 1) * sizeof *memory.blocks);
    Block *b = &memory.blocks[memory.count++];
    *b = (Block){start, pages, start + pages - padded, size, true};
    memset(b->pages, ZONE, b->pages_size);
    memset(b->data, RUBBISH, size);
    memory.used += padded;
    *address = (uint64_t)(uintptr_t)b->data;
    return true;
}

static Block *block_around(uint64_t address) {
    for (size_t i = memory.count; i-- > 0;) { /* the newest are asked for most */
        const uint64_t start = (uint64_t)(uintptr_t)memory.blocks[i].pages;
        if (address >= start && address - start < memory.blocks[i].pages_size) {
            return &memory.blocks[i];
        }
    }
    return NULL;
}

static void check_zones(const Block *b, const char *act) {
    /* Kernels may write whole groups of 16 bytes (kernels/gpu/args.h). */
    const unsigned char *end = b->data + round_up(b->size, 16);
    for (const unsigned char *p = b->pages; p < b->pages + b->pages_size; p++) {
        if (p == b->data) {
            p = end;
            if (p == b->pages + b->pages_size) {
                break;
            }
        }
        if (*p != ZONE) {
            fail("%s: byte %td of a block of %zu bytes was overwritten", act, p - b->data, b->size);
        }
    }
}

void fake_memory_check(const char *act) {
    for (size_t i = 0; i < memory.count; i++) {
        if (memory.blocks[i].live) {
            check_zones(&memory.blocks[i], act);
        }
    }
}

void fake_memory_free(uint64_t address) {
    Block *b = block_around(address);
    if (!b || (uint64_t)(uintptr_t)b->data != address || !b->live) {
        fail("free of %#llx, which is %s", (unsigned long long)address,
             b && !b->live ? "free already" : "not the start of a block");
    }
    check_zones(b, "free");
    b->live = false;
    memory.used -= round_up(b->size, ALIGNMENT);
    madvise(b->pages, b->pages_size, MADV_DONTNEED);
    mprotect(b->pages, b->pages_size, PROT_NONE);
}

void *fake_memory_at(uint64_t address, size_t size, const char *act) {
    const Block *b = block_around(address);
    if (!b || !b->live) {
        fail("%s: %#llx is %s", act, (unsigned long long)address,
             b ? "in a block that was freed" : "no address of the GPU");
    }
    const uint64_t start = (uint64_t)(uintptr_t)b->data;
    if (address < start || address - start > b->size || size > b->size - (address - start)) {
        fail("%s: bytes %lld to %lld of a block of %zu", act, (long long)(address - start),
             (long long)(address - start + size), b->size);
    }
    return b->data + (address - start);
}

void *fake_pinned_alloc(size_t size) {
    void *data; /* of this size exactly, so that AddressSanitizer sees who goes beyond it */
    const bool got = posix_memalign(&data, PAGE, size) == 0;
    memory.pinned = realloc(memory.pinned, (memory.pinned_count + 1) * sizeof *memory.pinned);
    if (!got || !memory.pinned) {
        fail("no memory for %zu pinned bytes", size);
    }
    memset(data, RUBBISH, size);
    memory.pinned[memory.pinned_count].data = data;
    memory.pinned[memory.pinned_count++].size = size;
    return data;
}

void fake_pinned_free(void *data) {
    for (size_t i = 0; i < memory.pinned_count; i++) {
        if (memory.pinned[i].data == data) {
            memory.pinned[i] = memory.pinned[--memory.pinned_count];
            free(data);
            return;
        }
    }
    fail("free of %p, which is no pinned memory", data);
}

bool fake_pinned_at(const void *data, size_t size, const char *act) {
    const uintptr_t from = (uintptr_t)data, to = from + size;
    for (size_t i = 0; i < memory.pinned_count; i++) {
        const uintptr_t start = (uintptr_t)memory.pinned[i].data;
        const uintptr_t end = start + memory.pinned[i].size;
        if (from < end && to > start) {
            if (from < start || to > end) {
                fail("%s: bytes %lld to %lld of %zu pinned bytes", act, (long long)(from - start),
                     (long long)(to - start), memory.pinned[i].size);
            }
            return true;
        }
    }
    return false;
}
