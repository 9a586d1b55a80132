/* The table of targets.list as data and as text. */
#include "compiler/targets.h"
#include <string.h>

static const TargetInfo targets[] = {
#define TARGET(sm, generation, has) {sm, generation, has},
#include "compiler/targets.list"
#undef TARGET
};

static const struct {
    const char *element;
    int sm;
} inputs[] = {
#define FORMAT(element, sm) {#element, sm},
#include "compiler/targets.list"
#undef FORMAT
};

static const struct {
    int64_t keep, group;
    int sm;
} patterns[] = {
#define PATTERN(keep, group, sm) {keep, group, sm},
#include "compiler/targets.list"
#undef PATTERN
};

#define COUNT(rows) (sizeof(rows) / sizeof *(rows))

const TargetInfo *target_info(int sm) {
    for (size_t i = 0; i < COUNT(targets); i++) {
        if (targets[i].sm == sm) {
            return &targets[i];
        }
    }
    return NULL;
}

int target_first_for_input(Str element) {
    for (size_t i = 0; i < COUNT(inputs); i++) {
        if (str_is(element, inputs[i].element)) {
            return inputs[i].sm;
        }
    }
    return 0;
}

int target_first_for_pattern(int64_t keep, int64_t group) {
    for (size_t i = 0; i < COUNT(patterns); i++) {
        if (patterns[i].keep == keep && patterns[i].group == group) {
            return patterns[i].sm;
        }
    }
    return 0;
}

const char *target_family(Str element) {
    static const char *const rows[][2] = {{"e4m3", "FP8"},  {"e5m2", "FP8"}, {"e3m2", "FP6"},
                                          {"e2m3", "FP6"},  {"e2m1", "FP4"}, {"int8", "INT8"},
                                          {"int4", "INT4"}, {"int2", "INT2"}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        bool is_unsigned = element.len && element.data[0] == 'u' &&
                           str_is(str_slice(element, 1, element.len), rows[i][0]);
        if (is_unsigned || str_is(element, rows[i][0])) {
            return rows[i][1];
        }
    }
    return "such";
}

void targets_print(Buf *out) {
    buf_printf(out, "| format or pattern |");
    for (size_t t = 0; t < COUNT(targets); t++) {
        buf_printf(out, " sm_%d |", targets[t].sm);
    }
    buf_printf(out, "\n| --- |");
    for (size_t t = 0; t < COUNT(targets); t++) {
        buf_printf(out, " --- |");
    }
    for (size_t i = 0; i < COUNT(inputs); i++) {
        buf_printf(out, "\n| `%s` as weight and input |", inputs[i].element);
        for (size_t t = 0; t < COUNT(targets); t++) {
            buf_printf(out, " %s |", inputs[i].sm && targets[t].sm >= inputs[i].sm ? "yes" : "no");
        }
    }
    for (size_t i = 0; i < COUNT(patterns); i++) {
        buf_printf(out, "\n| `prune(%d:%d)` |", (int)patterns[i].keep, (int)patterns[i].group);
        for (size_t t = 0; t < COUNT(targets); t++) {
            buf_printf(out, " %s |", targets[t].sm >= patterns[i].sm ? "yes" : "no");
        }
    }
    buf_printf(out, "\n");
}
