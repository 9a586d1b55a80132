/* Open addressing with linear probing over indices into a dense array of entries. */
#include "runtime/base/map.h"
#include <assert.h>
#include <string.h>

enum { FIRST_SLOTS = 16, LONG_PROBE = 128, MOST_SEEDS = 16 };

static uint64_t rotate(uint64_t x, int n) {
    return x << n | x >> (64 - n);
}

static void sip_round(uint64_t v[4]) {
    v[0] += v[1];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[0] = rotate(v[0], 32);
    v[2] += v[3];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[2] = rotate(v[2], 32);
}

/* Bytes are taken in the machine's order: hashes never leave the process. */
static uint64_t sip_hash(uint64_t seed, Str s) {
    uint64_t v[4] = {0x736f6d6570736575u ^ seed, 0x646f72616e646f6du, 0x6c7967656e657261u ^ seed,
                     0x7465646279746573u};
    size_t at = 0;
    for (; at + 8 <= s.len; at += 8) {
        uint64_t word;
        memcpy(&word, s.data + at, 8);
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    uint64_t tail = (uint64_t)s.len << 56;
    if (at < s.len) {
        uint64_t rest = 0;
        memcpy(&rest, s.data + at, s.len - at);
        tail |= rest;
    }
    v[3] ^= tail;
    sip_round(v);
    v[0] ^= tail;
    v[2] ^= 0xff;
    sip_round(v);
    sip_round(v);
    sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

Map map_on(Arena *arena) {
    return (Map){.arena = arena};
}

MapEntry *map_find(const Map *map, Str key) {
    if (map->slot_count == 0) {
        return NULL;
    }
    uint64_t hash = sip_hash(map->seed, key);
    for (size_t at = hash & (map->slot_count - 1); map->slots[at];
         at = (at + 1) & (map->slot_count - 1)) {
        MapEntry *entry = &map->entries[map->slots[at] - 1];
        if (entry->hash == hash && str_eq(entry->key, key)) {
            return entry;
        }
    }
    return NULL;
}

void *map_get(const Map *map, Str key) {
    const MapEntry *entry = map_find(map, key);
    return entry ? entry->value : NULL;
}

/* Enters entry `index` into the slots; returns the number of slots looked at. */
static size_t place(Map *map, size_t index) {
    size_t probes = 1;
    size_t at = map->entries[index].hash & (map->slot_count - 1);
    while (map->slots[at]) {
        at = (at + 1) & (map->slot_count - 1);
        probes++;
    }
    map->slots[at] = (uint32_t)(index + 1);
    return probes;
}

static void place_all(Map *map) {
    memset(map->slots, 0, map->slot_count * sizeof *map->slots);
    for (size_t i = 0; i < map->len; i++) {
        place(map, i);
    }
}

static void grow(Map *map) {
    map->cap = map->cap ? map->cap * 2 : FIRST_SLOTS / 2;
    MapEntry *entries = arena_many(map->arena, MapEntry, map->cap);
    if (map->len) {
        memcpy(entries, map->entries, map->len * sizeof *entries);
    }
    map->entries = entries;
    map->slot_count = map->cap * 2; /* at most half full */
    map->slots = arena_many(map->arena, uint32_t, map->slot_count);
    place_all(map);
}

static void take_next_seed(Map *map) {
    map->seed++;
    for (size_t i = 0; i < map->len; i++) {
        map->entries[i].hash = sip_hash(map->seed, map->entries[i].key);
    }
    place_all(map);
}

bool map_put(Map *map, Str key, void *value) {
    MapEntry *old = map_find(map, key);
    if (old) {
        old->value = value;
        return false;
    }
    if (map->len == map->cap) {
        grow(map);
    }
    assert(map->len < UINT32_MAX);
    map->entries[map->len] = (MapEntry){str_copy(map->arena, key), value, sip_hash(map->seed, key)};
    map->len++;
    if (place(map, map->len - 1) > LONG_PROBE && map->seed < MOST_SEEDS) {
        take_next_seed(map);
    }
    return true;
}

Interner interner_on(Arena *arena) {
    return (Interner){map_on(arena)};
}

Str intern(Interner *names, Str s) {
    const MapEntry *entry = map_find(&names->map, s);
    if (!entry) {
        map_put(&names->map, s, NULL);
        entry = &names->map.entries[names->map.len - 1];
    }
    return entry->key;
}
