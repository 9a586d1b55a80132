/* A cache below an empty folder, its keys and payloads: what the tests of cubin_cache share. */
#ifndef TESTS_UNIT_CUBIN_WORLD_H
#define TESTS_UNIT_CUBIN_WORLD_H
#include "tests/unit/unit.h"
#include "runtime/device/cubin_cache.h"
#include "runtime/device/cubin_entry.h"
#include <dirent.h>
#include <sys/stat.h>

static char *dir, above[4200], root[4210], kernels[4220], entry[4300];
static const CubinKey key = {90, false, 13000, {"--fmad=false", 12}, {"text of a kernel", 16}};
static const CubinKey other = {90, false, 13000, {"--fmad=false", 12}, {"text of another.", 16}};

static inline Str payload_of(Session *s, size_t size, char seed) {
    char *p = arena_alloc(s->arena, size + 1);
    for (size_t i = 0; i < size; i++) {
        p[i] = (char)(seed + (char)(i * 31u));
    }
    return (Str){p, size};
}

static inline void path_of(const CubinKey *k, char path[4300]) {
    Arena *arena = arena_open();
    Buf text = buf_on(arena);
    char name[CUBIN_NAME_SIZE];
    cubin_key_text(k, &text);
    cubin_key_name(buf_view(&text), name);
    snprintf(path, 4300, "%s/%s", kernels, name);
    arena_close(arena);
}

static inline int setup(void **state) {
    (void)state;
    dir = unit_memory_directory();
    assert_int_equal(chmod(dir, 0755), 0);
    snprintf(above, sizeof above, "%s/a", dir);
    snprintf(root, sizeof root, "%s/morc", above);
    snprintf(kernels, sizeof kernels, "%s/kernels", root);
    path_of(&key, entry);
    return 0;
}

static inline int teardown(void **state) {
    (void)state;
    unit_remove(dir);
    return 0;
}

static inline CubinCache *opened(Session *s, const char *path) {
    Str why = {0};
    CubinCache *cache = cubin_cache_open(s, str_from(path), &why);
    if (!cache) {
        fail_msg("no cache: %.*s", STR_ARG(why));
    }
    return cache;
}

/* Makes the folder and the entry of `key`. */
static inline void stored(size_t size) {
    Session *s = session_open(&sys_real);
    cubin_cache_store(s, opened(s, root), &key, payload_of(s, size, 1));
    session_close(s);
    assert_int_equal(access(entry, R_OK), 0);
}

static inline bool loads(const CubinKey *k, size_t size) {
    Session *s = session_open(&sys_real);
    CubinCache *cache = opened(s, root);
    Str got = {0};
    const bool there = cubin_cache_load(s, cache, k, &got);
    if (there) {
        assert_int_equal(got.len, size);
        assert_memory_equal(got.data, payload_of(s, size, 1).data, size);
        assert_int_equal((uintptr_t)got.data % 16, 0);
    }
    session_close(s);
    return there;
}

/* Files in the folder whose name ends so. */
static inline int files(const char *suffix) {
    int count = 0;
    DIR *d = opendir(kernels);
    assert_non_null(d);
    for (const struct dirent *e = readdir(d); e; e = readdir(d)) {
        count += str_ends(str_from(e->d_name), str_from(suffix));
    }
    closedir(d);
    return count;
}

#endif
