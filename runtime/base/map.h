/* Map: byte strings -> pointers, insertion-ordered iteration, keys copied on the arena. The hash
 * (SipHash-1-3, Aumasson and Bernstein 2012) starts from a fixed seed so that every run behaves
 * alike; when a probe gets long, as only keys made for it achieve, the map takes the next seed.
 * Interner: equal strings become one pointer, so names compare with ==. */
#ifndef RUNTIME_BASE_MAP_H
#define RUNTIME_BASE_MAP_H
#include "runtime/base/str.h"

typedef struct MapEntry {
    Str key;
    void *value;
    uint64_t hash;
} MapEntry;

typedef struct Map {
    Arena *arena;
    MapEntry *entries; /* in insertion order */
    size_t len, cap;
    uint32_t *slots; /* index + 1 into entries; power of two */
    size_t slot_count;
    uint64_t seed;
} Map;

Map map_on(Arena *arena);
void *map_get(const Map *map, Str key);       /* NULL when absent */
MapEntry *map_find(const Map *map, Str key);  /* NULL when absent; valid until the next put */
bool map_put(Map *map, Str key, void *value); /* false: was there, value replaced */

typedef struct Interner {
    Map map;
} Interner;
Interner interner_on(Arena *arena);
Str intern(Interner *names, Str s); /* NUL-terminated */

#endif
