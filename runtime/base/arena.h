/* Memory by lifetime: everything a compile makes lives in one arena and dies with it. Nothing is
 * freed alone. Scratch use: `mark = arena_mark(a)` ... `arena_reset(a, mark)`.
 * In debug builds each allocation is a block of its own, so that ASan sees overruns, and a reset
 * fills what it drops with 0xA5. Returned memory is zeroed, aligned to 16. */
#ifndef RUNTIME_BASE_ARENA_H
#define RUNTIME_BASE_ARENA_H
#include <stddef.h>
#include <stdint.h>

typedef struct Arena Arena;
typedef struct ArenaMark {
    void *block;
    size_t used;
} ArenaMark;

Arena *arena_open(void);
void arena_close(Arena *arena); /* NULL is fine */
void *arena_alloc(Arena *arena, size_t size);
ArenaMark arena_mark(Arena *arena);
void arena_reset(Arena *arena, ArenaMark mark);
size_t arena_bytes(const Arena *arena); /* given out and still alive */

/* count * size with an overflow check (an overflow counts as running out of memory) */
void *arena_array(Arena *arena, size_t count, size_t size);
#define arena_new(arena, Type) ((Type *)arena_alloc((arena), sizeof(Type)))
#define arena_many(arena, Type, count) ((Type *)arena_array((arena), (count), sizeof(Type)))

#endif
