/* The list of facts (facts.h). */
#include "compiler/facts.h"
#include "runtime/model/model.h"
#include <assert.h>

Facts *facts_make(Arena *arena) {
    Facts *facts = arena_new(arena, Facts);
    facts->arena = arena;
    facts->by_name = map_on(arena);
    return facts;
}

const Fact *facts_add(Facts *facts, const Fact *fact) {
    Fact made = *fact;
    const int64_t bits = type_bits(made.type);
    assert(bits > 0 && bits % 8 == 0);
    made.size = (uint64_t)made.count * (uint64_t)bits / 8;
    made.bytes = arena_alloc(facts->arena, (size_t)made.size);
    memset(made.bytes, 0, (size_t)made.size);
    const bool fresh = map_put(&facts->by_name, made.name, facts);
    assert(fresh);
    (void)fresh;
    vec_push(facts->arena, &facts->all, made);
    return &vec_last(&facts->all);
}

int facts_find(const Facts *facts, Str name) {
    const MapEntry *entry = facts ? map_find(&facts->by_name, name) : NULL;
    return entry ? (int)(entry - facts->by_name.entries) : -1;
}
