/* See cubin_tidy.h. Listing calls back with the directory stream open, so nothing is allocated
 * there: the folder is read once to count, and again to remember. */
#include "runtime/device/cubin_tidy.h"
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "runtime/device/cubin_entry.h"

typedef struct Kept {
    char name[CUBIN_NAME_SIZE];
    struct timespec stored;
    uint64_t size;
} Kept;

typedef struct Listing {
    const Sys *sys;
    int dir;
    time_t now;
    uint64_t bytes;
    size_t count, room; /* entries seen; kept in at[] */
    Kept *at;           /* NULL at the first reading */
} Listing;

void cubin_temp_name(char name[CUBIN_TEMP_SIZE], pid_t pid, unsigned number) {
    snprintf(name, CUBIN_TEMP_SIZE, ".%ld-%u.tmp", (long)pid, number);
}

static bool status_of(const Listing *l, const char *name, struct stat *is) {
    const int fd = l->sys->openat(l->dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);
    if (fd < 0) {
        return false;
    }
    const bool known = l->sys->fstat(fd, is) == 0;
    l->sys->close(fd);
    return known;
}

static void look_at(void *user, const char *name) {
    Listing *l = user;
    const Str word = str_from(name);
    const bool entry = word.len == CUBIN_NAME_SIZE - 1 && str_ends(word, STR(".cubin"));
    const bool temp = !l->at && str_starts(word, STR(".")) && str_ends(word, STR(".tmp"));
    struct stat is;
    if ((!entry && !temp) || !status_of(l, name, &is)) {
        return;
    }
    if (temp) {
        if (is.st_mtime < l->now - CUBIN_TEMP_SECONDS) {
            l->sys->unlinkat(l->dir, name);
        }
        return;
    }
    if (l->at && l->count < l->room) {
        Kept *k = &l->at[l->count];
        memcpy(k->name, name, CUBIN_NAME_SIZE);
        k->stored = is.st_mtim;
        k->size = (uint64_t)is.st_size;
    }
    l->bytes += (uint64_t)is.st_size;
    l->count++;
}

static int older_first(const void *a, const void *b) {
    const Kept *x = a, *y = b;
    if (x->stored.tv_sec != y->stored.tv_sec) {
        return x->stored.tv_sec < y->stored.tv_sec ? -1 : 1;
    }
    if (x->stored.tv_nsec != y->stored.tv_nsec) {
        return x->stored.tv_nsec < y->stored.tv_nsec ? -1 : 1;
    }
    return strcmp(x->name, y->name);
}

void cubin_tidy(const Sys *sys, int dir, const char *path, uint64_t limit, time_t now,
                Arena *scratch) {
    Listing first = {.sys = sys, .dir = dir, .now = now};
    if (sys->list(path, look_at, &first) != 0 || first.bytes <= limit || first.count == 0) {
        return;
    }
    Listing all = first;
    all.bytes = all.count = 0;
    all.room = first.count;
    all.at = arena_many(scratch, Kept, first.count);
    sys->list(path, look_at, &all);
    const size_t known = all.count < all.room ? all.count : all.room;
    qsort(all.at, known, sizeof *all.at, older_first);
    for (size_t i = 0; i < known && all.bytes > limit / 4 * 3; i++) {
        sys->unlinkat(dir, all.at[i].name);
        all.bytes -= all.at[i].size;
    }
}
