/* Values in the order of their levels, taken while they fit (data_passes.h). */
#include "compiler/data_passes.h"
#include <stdlib.h>
#include "runtime/base/free_memory.h"

/* Observations that stay together (observations.h). */
typedef struct Unit {
    int level, first; /* the deepest, the first of its observations */
    uint64_t bytes;
} Unit;
typedef Vec(Unit) Units;

enum { DEFAULT_BUDGET = 1 << 30 }; /* where the system does not say what is free */

uint64_t data_passes_budget(Session *s, uint64_t asked) {
    if (asked) {
        return asked;
    }
    const uint64_t free_bytes = free_memory(s->sys);
    return free_bytes ? free_bytes / 2 : DEFAULT_BUDGET;
}

static Units find_units(const ObservationList *seen, Arena *arena) {
    Units units = {0};
    for (size_t i = 0; i < seen->len; i++) {
        const Observation *one = &seen->at[i];
        size_t k = 0;
        while (k < units.len && seen->at[units.at[k].first].unit != one->unit) {
            k++;
        }
        if (one->pass >= 0) {
            continue;
        }
        if (k == units.len) {
            vec_push(arena, &units, ((Unit){one->level, (int)i, 0}));
        }
        units.at[k].bytes += one->bytes;
        units.at[k].level = one->level > units.at[k].level ? one->level : units.at[k].level;
    }
    return units;
}

static int by_level(const void *left, const void *right) {
    const Unit *a = left, *b = right;
    return a->level != b->level ? (a->level < b->level ? -1 : 1) : a->first - b->first;
}

static void put(DataPass *pass, ObservationList *seen, const Unit *unit, int number) {
    pass->level = unit->level > pass->level ? unit->level : pass->level;
    pass->bytes += unit->bytes;
    for (size_t i = (size_t)unit->first; i < seen->len; i++) {
        Observation *one = &seen->at[i];
        if (one->pass < 0 && one->unit == seen->at[unit->first].unit) {
            one->pass = number;
            pass->values++;
        }
    }
}

/* The first of the new passes that comes as far as `level`, else the last. */
static size_t reaching(const DataPasses *passes, size_t first, int level) {
    while (first + 1 < passes->all.len && passes->all.at[first].level < level) {
        first++;
    }
    return first;
}

void data_passes(DataPasses *passes, ObservationList *seen, bool encoded, Arena *arena) {
    Units units = find_units(seen, arena);
    const size_t first = passes->all.len;
    if (units.len > 1) {
        qsort(units.at, units.len, sizeof units.at[0], by_level);
    }
    for (size_t i = 0; i < units.len; i++) {
        const Unit *unit = &units.at[i];
        const DataPass *last = passes->all.len > first ? &vec_last(&passes->all) : NULL;
        const bool full = last && last->bytes > 0 && last->bytes + unit->bytes > passes->budget;
        const bool behind = encoded && last && unit->level > last->level;
        if ((encoded || unit->bytes) && (!last || (full && unit->bytes) || behind)) {
            vec_push(arena, &passes->all, (DataPass){0});
        }
        if (encoded || unit->bytes) {
            put(&vec_last(&passes->all), seen, unit, (int)passes->all.len - 1);
        }
    }
    for (size_t i = 0; i < units.len; i++) {
        const Unit *unit = &units.at[i];
        if (seen->at[unit->first].pass >= 0) {
            continue;
        }
        if (passes->all.len == first) {
            vec_push(arena, &passes->all, (DataPass){0});
        }
        const size_t at = reaching(passes, first, unit->level);
        put(&passes->all.at[at], seen, unit, (int)at);
    }
}

void data_passes_print(const DataPasses *passes, bool encoded, Buf *out) {
    uint64_t bytes = 0, most = 0;
    for (size_t i = 0; i < passes->all.len; i++) {
        const DataPass *pass = &passes->all.at[i];
        bytes += pass->bytes;
        most = pass->bytes > most ? pass->bytes : most;
    }
    if (passes->all.len <= 1) {
        buf_printf(out, "one pass over the data");
        return;
    }
    buf_printf(out, "%zu passes over the data", passes->all.len);
    if (encoded) {
        buf_printf(out, ", each behind the layers that are encoded by then");
    } else {
        buf_printf(out, ": Gram matrices of %.*s, at most %.*s at a time",
                   STR_ARG(str_bytes(out->arena, bytes)), STR_ARG(str_bytes(out->arena, most)));
    }
}

Str data_passes_words(Session *s, const Plan *plan, uint64_t asked) {
    if (!plan->data) {
        return (Str){0};
    }
    ObservationList seen = observations(plan, s->arena);
    DataPasses passes = {.budget = data_passes_budget(s, asked)};
    for (size_t i = 0; i < seen.len; i++) {
        seen.at[i].pass = -1;
    }
    data_passes(&passes, &seen, plan->encoded, s->arena);
    Buf words = buf_on(s->arena);
    data_passes_print(&passes, plan->encoded, &words);
    return buf_view(&words);
}
