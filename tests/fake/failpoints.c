/* See failpoints.h. */
#include "tests/fake/failpoints.h"
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { POINTS = 16, ENTRIES = 64, NAME = 64, HANG = -1, SPIN = -2, CRASH = -3 };

typedef struct Point {
    char entry[NAME];
    unsigned long call;
    int code;
    bool forever;
} Point;

static struct {
    Point points[POINTS];
    int point_count;
    struct {
        char name[NAME];
        unsigned long calls;
    } entries[ENTRIES];
    int entry_count;
} state; /* a library that is loaded once has one state */

static unsigned long *calls_of(const char *entry) {
    for (int i = 0; i < state.entry_count; i++) {
        if (strcmp(state.entries[i].name, entry) == 0) {
            return &state.entries[i].calls;
        }
    }
    if (state.entry_count == ENTRIES) {
        abort();
    }
    snprintf(state.entries[state.entry_count].name, NAME, "%s", entry);
    return &state.entries[state.entry_count++].calls;
}

static int code_from(const char *word) {
    if (strcmp(word, "hang") == 0) {
        return HANG;
    }
    if (strcmp(word, "spin") == 0) {
        return SPIN;
    }
    return strcmp(word, "crash") == 0 ? CRASH : atoi(word);
}

static bool parse(char *spec, Point *point) {
    char *rest = spec;
    const char *entry = strsep(&rest, ":"), *call = strsep(&rest, ":");
    const char *code = strsep(&rest, ":"), *forever = strsep(&rest, ":");
    if (!call || !code || (forever && strcmp(forever, "forever") != 0)) {
        return false;
    }
    snprintf(point->entry, NAME, "%s", entry);
    point->call = strtoul(call, NULL, 10);
    point->code = code_from(code);
    point->forever = forever != NULL;
    return point->call > 0 && point->code != 0;
}

void failpoints_set(const char *list) {
    memset(&state, 0, sizeof state);
    char *copy = strdup(list ? list : ""), *rest = copy;
    for (char *spec; (spec = strsep(&rest, ",")) != NULL;) {
        if (*spec &&
            (state.point_count == POINTS || !parse(spec, &state.points[state.point_count++]))) {
            fprintf(stderr, "failpoints: \"%s\" is not a list of ENTRY:N:CODE[:forever]\n", list);
            abort();
        }
    }
    free(copy);
}

static int act(int code) {
    volatile unsigned turns = 0;
    while (code == HANG) {
        pause();
    }
    while (code == SPIN) {
        turns = turns + 1u;
    }
    if (code == CRASH) {
        signal(SIGSEGV, SIG_DFL);
        raise(SIGSEGV);
    }
    return code;
}

int failpoint(const char *entry) {
    const unsigned long any = ++*calls_of("any"), own = ++*calls_of(entry);
    for (int i = 0; i < state.point_count; i++) {
        const Point *p = &state.points[i];
        const bool all = strcmp(p->entry, "any") == 0;
        const unsigned long call = all ? any : own;
        if ((all || strcmp(p->entry, entry) == 0) &&
            (call == p->call || (p->forever && call > p->call))) {
            return act(p->code);
        }
    }
    return 0;
}

unsigned long failpoints_calls(const char *entry) {
    return *calls_of(entry);
}
