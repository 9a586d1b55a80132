/* Arena: a list of blocks, newest first; memory is handed out from the newest. In release builds
 * a block serves many allocations and what lies above `used` is always zero; in debug builds each
 * allocation has a block of its own, exactly as long as asked for. */
#include "runtime/base/arena.h"
#include "runtime/base/alloc.h"
#include <assert.h>
#include <stdbool.h>
#include <string.h>

#ifdef MORC_DEBUG
static const bool one_block_each = true;
#else
static const bool one_block_each = false;
#endif

enum { ALIGN = 16, FIRST_BLOCK = 16 << 10, LARGEST_BLOCK = 1 << 20 };

typedef struct Block {
    struct Block *older;
    size_t used, size; /* of the bytes that follow this header */
} Block;
_Static_assert(sizeof(Block) <= 2 * ALIGN, "Block's header must fit its room");
enum { HEADER = 2 * ALIGN };

struct Arena {
    Block *newest;
    size_t bytes;
};

static char *block_data(Block *b) {
    return (char *)b + HEADER;
}

Arena *arena_open(void) {
    return mem_alloc(sizeof(Arena));
}

static void drop_newest(Arena *arena) {
    Block *b = arena->newest;
    arena->newest = b->older;
    arena->bytes -= b->used;
    if (one_block_each) {
        memset(block_data(b), 0xA5, b->size);
    }
    mem_free(b);
}

void arena_close(Arena *arena) {
    if (arena) {
        while (arena->newest) {
            drop_newest(arena);
        }
        mem_free(arena);
    }
}

static Block *add_block(Arena *arena, size_t size) {
    if (!one_block_each) {
        size_t usual = arena->newest ? arena->newest->size * 2 : FIRST_BLOCK;
        usual = usual > LARGEST_BLOCK ? LARGEST_BLOCK : usual;
        size = size > usual ? size : usual;
    }
    size_t total;
    if (__builtin_add_overflow(size, (size_t)HEADER, &total)) {
        alloc_failed(size);
    }
    Block *b = mem_alloc(total);
    *b = (Block){arena->newest, 0, size};
    arena->newest = b;
    return b;
}

void *arena_alloc(Arena *arena, size_t size) {
    size_t rounded;
    if (__builtin_add_overflow(size, (size_t)ALIGN - 1, &rounded)) {
        alloc_failed(size);
    }
    rounded = one_block_each ? size : rounded & ~(size_t)(ALIGN - 1);
    Block *b = arena->newest;
    if (one_block_each || !b || b->size - b->used < rounded) {
        b = add_block(arena, rounded);
    }
    void *p = block_data(b) + b->used;
    b->used += rounded;
    arena->bytes += rounded;
    return p;
}

void *arena_array(Arena *arena, size_t count, size_t size) {
    size_t total;
    if (__builtin_mul_overflow(count, size, &total)) {
        alloc_failed(SIZE_MAX);
    }
    return arena_alloc(arena, total);
}

ArenaMark arena_mark(Arena *arena) {
    return (ArenaMark){arena->newest, arena->newest ? arena->newest->used : 0};
}

void arena_reset(Arena *arena, ArenaMark mark) {
    while (arena->newest != mark.block) {
        assert(arena->newest); /* else the mark is of another arena, or was reset already */
        drop_newest(arena);
    }
    Block *b = arena->newest;
    if (b) {
        memset(block_data(b) + mark.used, 0, b->used - mark.used);
        arena->bytes -= b->used - mark.used;
        b->used = mark.used;
    }
}

size_t arena_bytes(const Arena *arena) {
    return arena->bytes;
}
