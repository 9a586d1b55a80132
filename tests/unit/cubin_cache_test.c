/* cubin_cache: what was stored is loaded, by the same key only; an entry changed in any byte, cut,
 * foreign or planted is not; a folder that others may write, or a link, is no cache; failing calls
 * and allocations, and eight processes at once, never give a wrong kernel, a leak or a leftover. */
#include "tests/unit/unit.h"
#include "tests/unit/faulty_sys.h"
#include "runtime/base/alloc.h"
#include "runtime/base/limits.h"
#include "runtime/device/cubin_cache.h"
#include "runtime/device/cubin_entry.h"
#include "runtime/device/cubin_tidy.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char *dir, above[4200], root[4210], kernels[4220], entry[4300];
static const CubinKey key = {90, false, 13000, {"--fmad=false", 12}, {"text of a kernel", 16}};
static const CubinKey other = {90, false, 13000, {"--fmad=false", 12}, {"text of another.", 16}};

static Str payload_of(Session *s, size_t size, char seed) {
    char *p = arena_alloc(s->arena, size + 1);
    for (size_t i = 0; i < size; i++) {
        p[i] = (char)(seed + (char)(i * 31u));
    }
    return (Str){p, size};
}

static void path_of(const CubinKey *k, char path[4300]) {
    Arena *arena = arena_open();
    Buf text = buf_on(arena);
    char name[CUBIN_NAME_SIZE];
    cubin_key_text(k, &text);
    cubin_key_name(buf_view(&text), name);
    snprintf(path, 4300, "%s/%s", kernels, name);
    arena_close(arena);
}

static int setup(void **state) {
    (void)state;
    dir = unit_memory_directory();
    assert_int_equal(chmod(dir, 0755), 0);
    snprintf(above, sizeof above, "%s/a", dir);
    snprintf(root, sizeof root, "%s/morc", above);
    snprintf(kernels, sizeof kernels, "%s/kernels", root);
    path_of(&key, entry);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    unit_remove(dir);
    return 0;
}

static CubinCache *opened(Session *s, const char *path) {
    Str why = {0};
    CubinCache *cache = cubin_cache_open(s, str_from(path), &why);
    if (!cache) {
        fail_msg("no cache: %.*s", STR_ARG(why));
    }
    return cache;
}

static void refused(const char *path, const char *because) {
    Session *s = session_open(&sys_real);
    Str why = {0};
    assert_null(cubin_cache_open(s, str_from(path), &why));
    if (!strstr(str_c(s->arena, why), because)) {
        fail_msg("'%.*s' does not say '%s'", STR_ARG(why), because);
    }
    session_close(s);
}

/* Makes the folder and the entry of `key`. */
static void stored(size_t size) {
    Session *s = session_open(&sys_real);
    cubin_cache_store(s, opened(s, root), &key, payload_of(s, size, 1));
    session_close(s);
    assert_int_equal(access(entry, R_OK), 0);
}

static bool loads(const CubinKey *k, size_t size) {
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
static int files(const char *suffix) {
    int count = 0;
    DIR *d = opendir(kernels);
    assert_non_null(d);
    for (const struct dirent *e = readdir(d); e; e = readdir(d)) {
        count += str_ends(str_from(e->d_name), str_from(suffix));
    }
    closedir(d);
    return count;
}

static unsigned mode_of(const char *path) {
    struct stat is;
    assert_int_equal(lstat(path, &is), 0);
    return is.st_mode & 07777u;
}

static void what_was_stored_is_loaded(void **state) {
    (void)state;
    const mode_t before = umask(0);
    assert_int_equal(access(root, F_OK), -1);
    stored(5000);
    umask(before);
    assert_int_equal(mode_of(root), 0700);
    assert_int_equal(mode_of(kernels), 0700);
    assert_int_equal(mode_of(entry), 0600);
    assert_true(loads(&key, 5000));
    assert_false(loads(&other, 0));
    stored(70000); /* replaces */
    assert_true(loads(&key, 70000));
    stored(0);
    assert_true(loads(&key, 0));
    assert_int_equal(files(".cubin"), 1);
    assert_int_equal(files(".tmp"), 0);
    Session *s = session_open(&sys_real);
    CubinCache *cache = opened(s, root);
    assert_str(cubin_cache_folder(cache), kernels);
    cubin_cache_store(s, cache, &other, payload_of(s, LIMIT_KERNEL_BYTES, 1));
    assert_int_equal(files(".cubin"), 1); /* an entry would be larger than the limit */
    session_close(s);
}

static void a_changed_entry_is_not_loaded(void **state) {
    (void)state;
    stored(1500);
    size_t size = 0;
    char *bytes = unit_read(entry, &size);
    Session *s = session_open(&sys_real);
    CubinCache *cache = opened(s, root);
    const ArenaMark mark = arena_mark(s->arena);
    Str got;
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (char)(bytes[i] ^ (1 << i % 8));
        unit_write(entry, bytes, size);
        assert_false(cubin_cache_load(s, cache, &key, &got));
        bytes[i] = (char)(bytes[i] ^ (1 << i % 8));
    }
    for (size_t cut = 0; cut < size; cut += cut < 100 || cut > size - 100 ? 1 : 17) {
        unit_write(entry, bytes, cut);
        assert_false(cubin_cache_load(s, cache, &key, &got));
    }
    char path[4300];
    path_of(&other, path); /* an entry of one key under the name of another */
    unit_write(path, bytes, size);
    assert_false(cubin_cache_load(s, cache, &other, &got));
    unit_write(entry, bytes, size);
    assert_true(cubin_cache_load(s, cache, &key, &got));
    bytes[40] ^= 1;
    unit_write(entry, bytes, size);
    assert_false(cubin_cache_load(s, cache, &key, &got));
    arena_reset(s->arena, mark);
    cubin_cache_store(s, cache, &key, payload_of(s, 1500, 1));
    assert_true(cubin_cache_load(s, cache, &key, &got)); /* a store mends it */
    session_close(s);
    free(bytes);
}

static void foreign_entries_are_not_loaded(void **state) {
    (void)state;
    char aside[4400];
    snprintf(aside, sizeof aside, "%s/aside", dir);
    stored(100);
    assert_int_equal(chmod(entry, 0620), 0);
    assert_false(loads(&key, 100));
    assert_int_equal(chmod(entry, 0602), 0);
    assert_false(loads(&key, 100));
    assert_int_equal(chmod(entry, 0444), 0);
    assert_true(loads(&key, 100));
    if (geteuid() == 0) {
        assert_int_equal(chown(entry, 12345, 0), 0);
        assert_false(loads(&key, 100));
        assert_int_equal(chown(entry, 0, 0), 0);
        assert_true(loads(&key, 100));
    } else {
        print_message("skip foreign_entries_are_not_loaded: changing an owner needs root\n");
    }
    assert_int_equal(rename(entry, aside), 0);
    assert_int_equal(symlink(aside, entry), 0);
    assert_false(loads(&key, 100));
    assert_int_equal(unlink(entry), 0);
    assert_int_equal(mkfifo(entry, 0600), 0);
    assert_false(loads(&key, 100)); /* and returns */
    stored(200);                    /* takes its place */
    assert_true(loads(&key, 200));
    assert_int_equal(unlink(entry), 0);
    assert_int_equal(mkdir(entry, 0700), 0);
    assert_false(loads(&key, 100));
    Session *s = session_open(&sys_real);
    cubin_cache_store(s, opened(s, root), &key, STR("x")); /* cannot; no harm */
    session_close(s);
    assert_int_equal(files(".tmp"), 0);
}

static void a_folder_of_others_is_no_cache(void **state) {
    (void)state;
    char link[4400], slash[4500];
    stored(100);
    snprintf(link, sizeof link, "%s/link", dir);
    snprintf(slash, sizeof slash, "%s//", link);
    assert_int_equal(symlink(root, link), 0);
    refused(link, "links are not followed");
    refused(slash, "links are not followed");
    assert_int_equal(unlink(link), 0);
    assert_int_equal(mkdir(link, 0700), 0);
    snprintf(slash, sizeof slash, "%s/kernels", link);
    assert_int_equal(symlink(kernels, slash), 0);
    refused(link, "links are not followed");
    assert_int_equal(unlink(slash), 0);
    unit_write(slash, "", 0);
    refused(link, "is not a folder");
    const char *const folders[] = {root, kernels};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(chmod(folders[i], 0770), 0);
        refused(root, "others may write");
        assert_int_equal(chmod(folders[i], 01702), 0);
        refused(root, "others may write");
        assert_int_equal(chmod(folders[i], 0755), 0);
        assert_true(loads(&key, 100));
        if (geteuid() == 0) {
            assert_int_equal(chown(folders[i], 12345, 0), 0);
            refused(root, "another user");
            assert_int_equal(chown(folders[i], 0, 0), 0);
        } else {
            print_message("skip a_folder_of_others_is_no_cache: changing an owner needs root\n");
        }
    }
    refused("", "HOME is not set");
    Session *s = session_open(&sys_real);
    Str why = {0};
    assert_null(cubin_cache_open(s, (Str){"a\0b", 3}, &why));
    assert_str(why, "the name of its folder holds a NUL");
    session_close(s);
}

/* As a user whom permissions bind: with a folder that may be read only, and with none. 0: well. */
static int without_permission(void) {
    if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0) {
        return 1;
    }
    Session *s = session_open(&sys_real);
    Str why = {0}, got = {0};
    CubinCache *cache = cubin_cache_open(s, str_from(root), &why);
    if (!cache || !cubin_cache_load(s, cache, &key, &got) || got.len != 100) {
        return 2;
    }
    cubin_cache_store(s, cache, &other, STR("cannot be stored"));
    if (cubin_cache_load(s, cache, &other, &got) || files(".tmp") != 0) {
        return 3;
    }
    const Str below = str_format(s->arena, "%s/x/y", root);
    if (cubin_cache_open(s, below, &why) || str_find(why, ':') < 0) {
        return 4;
    }
    session_close(s);
    return 0;
}

static void a_folder_that_cannot_be_written_is_read(void **state) {
    (void)state;
    stored(100);
    assert_int_equal(chmod(above, 0755), 0);
    const char *const mine[] = {root, kernels, entry};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(chmod(mine[i], i < 2 ? 0500 : 0400), 0);
        assert_int_equal(geteuid() == 0 ? chown(mine[i], 65534, 65534) : 0, 0);
    }
    const pid_t child = fork();
    if (child == 0) {
        _exit(without_permission());
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(files(".cubin"), 1);
    assert_int_equal(chmod(root, 0700) | chmod(kernels, 0700), 0);
}

static const char *variables[4]; /* MORC_CACHE, XDG_CACHE_HOME, HOME */

static const char *variable(const char *name) {
    static const char *const names[] = {"MORC_CACHE", "XDG_CACHE_HOME", "HOME"};
    for (int i = 0; i < 3; i++) {
        if (strcmp(name, names[i]) == 0) {
            return variables[i];
        }
    }
    fail_msg("asks for %s", name);
    return NULL;
}

static void the_root_is_chosen_in_order(void **state) {
    (void)state;
    Session *s = session_open(&sys_real);
    variables[0] = "own";
    variables[1] = "/xdg";
    variables[2] = "/home/u";
    assert_str(cubin_cache_root(s, STR("flag"), variable), "flag");
    assert_str(cubin_cache_root(s, STR(""), variable), "own");
    variables[0] = "";
    assert_str(cubin_cache_root(s, STR(""), variable), "/xdg/morc");
    variables[0] = NULL;
    variables[1] = "not/absolute";
    assert_str(cubin_cache_root(s, STR(""), variable), "/home/u/.cache/morc");
    variables[1] = NULL;
    variables[2] = "";
    assert_int_equal(cubin_cache_root(s, STR(""), variable).len, 0);
    variables[2] = NULL;
    assert_int_equal(cubin_cache_root(s, STR(""), variable).len, 0);
    session_close(s);
}

/* Sparse files of 16 MiB, each a second younger than the one before. */
static void the_oldest_entries_go(void **state) {
    (void)state;
    stored(100);
    for (int i = 0; i < 20; i++) {
        char path[4400];
        snprintf(path, sizeof path, "%s/%064d.cubin", kernels, i);
        const int fd = open(path, O_CREAT | O_WRONLY, 0600);
        const struct timespec when[2] = {{1000000 + i, 0}, {1000000 + i, 0}};
        assert_int_equal(ftruncate(fd, 16 << 20), 0);
        assert_int_equal(futimens(fd, when), 0);
        close(fd);
    }
    const char *const temps[] = {".1-1.tmp", ".1-2.tmp"};
    for (int i = 0; i < 2; i++) {
        char path[4400];
        snprintf(path, sizeof path, "%s/%s", kernels, temps[i]);
        unit_write(path, "left behind", 11);
        const struct timespec when[2] = {{1000000, 0}, {1000000, 0}};
        assert_int_equal(i == 0 ? utimensat(AT_FDCWD, path, when, 0) : 0, 0);
    }
    stored(100); /* 320 MiB are over the limit: 192 stay */
    assert_int_equal(files(".cubin"), 12);
    assert_int_equal(files(".tmp"), 1); /* the young one may be at work */
    for (int i = 0; i < 20; i++) {
        char path[4400];
        snprintf(path, sizeof path, "%s/%064d.cubin", kernels, i);
        assert_int_equal(access(path, F_OK), i < 9 ? -1 : 0);
    }
    assert_true(loads(&key, 100));
}

/* ---- faults */

/* One life of a cache; whatever fails, a kernel that is given is the right one. */
static void life(const Sys *sys) {
    Session *s = session_open(sys);
    Str why = {0}, got = {0};
    const Str payload = payload_of(s, 3000, 1);
    CubinCache *cache = cubin_cache_open(s, str_from(root), &why);
    if (!cache) {
        assert_true(why.len > 0);
    } else {
        for (int i = 0; i < 2; i++) {
            if (cubin_cache_load(s, cache, &key, &got)) {
                assert_true(str_eq(got, payload));
            }
            cubin_cache_store(s, cache, &key, payload);
        }
    }
    session_close(s);
}

static void failing_calls_do_no_harm(void **state) {
    (void)state;
    static const int errors[] = {EIO, ENOSPC, EACCES, EINTR, EMFILE};
    int runs = 0;
    for (int e = 0; e < 5; e++) {
        for (int n = 1; n < 1000; n++, runs++) {
            const int64_t live = alloc_live();
            faulty_short_writes(n % 3 == 0);
            faulty_set(n, errors[e], n % 2);
            life(&sys_faulty);
            const bool all_ran = faulty_calls() < n;
            faulty_set(0, 0, false);
            faulty_short_writes(false);
            assert_int_equal(alloc_live(), live);
            assert_int_equal(faulty_open_files(), 0);
            assert_true(access(kernels, F_OK) != 0 || files(".tmp") == 0);
            if (all_ran) {
                assert_true(loads(&key, 3000));
                break;
            }
            if (n % 5 == 0) {
                unlink(entry);
            }
        }
    }
    print_message("%d lives with a failing call\n", runs);
    assert_true(runs > 100);
}

static void failing_allocations_unwind(void **state) {
    (void)state;
    for (volatile int n = 1;; n++) {
        const int64_t live = alloc_live();
        Session *volatile s = session_open(&sys_faulty);
        volatile bool failed = false;
        static const Str payload = {"0123456789abcdef", 16};
        AllocGuard guard;
        alloc_guard_push(&guard);
        if (setjmp(guard.jump) == 0) {
            Str why, got;
            alloc_fail_at(n, false);
            CubinCache *cache = cubin_cache_open(s, str_from(root), &why);
            cubin_cache_store(s, cache, &key, payload);
            cubin_cache_load(s, cache, &key, &got);
        } else {
            failed = true;
        }
        alloc_fail_at(0, false);
        alloc_guard_pop(&guard);
        session_close(s);
        assert_int_equal(alloc_live(), live);
        assert_int_equal(faulty_open_files(), 0);
        if (!failed) {
            assert_true(n > 2); /* debug builds: one for each object */
            return;
        }
    }
}

/* ---- many at once */

enum { PROCESSES = 8, ROUNDS = 200, KEYS = 5 };

/* Every entry says in its first byte how long it is and how it goes on. 0: well. */
static int stores_and_loads(unsigned seed) {
    for (int round = 0; round < ROUNDS; round++) {
        Session *s = session_open(&sys_real);
        Str why = {0};
        CubinCache *cache = cubin_cache_open(s, str_from(root), &why);
        if (!cache) {
            return 1;
        }
        for (int i = 0; i < KEYS; i++) {
            const CubinKey k = {90 + i, false, 13000, STR("options"), STR("text")};
            seed = seed * 1664525u + 1013904223u;
            const char first = (char)(seed >> 25);
            if (seed >> 24 & 1) {
                cubin_cache_store(s, cache, &k, payload_of(s, 1u + (size_t)first * 300, first));
            }
            Str got = {0};
            if (!cubin_cache_load(s, cache, &k, &got)) {
                if (seed >> 24 & 1) {
                    return 2; /* what is stored cannot be missing */
                }
            } else if (!str_eq(got, payload_of(s, 1u + (size_t)got.data[0] * 300, got.data[0]))) {
                return 3;
            }
        }
        session_close(s);
    }
    return 0;
}

static void many_processes_share_a_cache(void **state) {
    (void)state;
    pid_t children[PROCESSES];
    for (int i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0) {
            _exit(stores_and_loads((unsigned)i * 7919u + 1u));
        }
    }
    for (int i = 0; i < PROCESSES; i++) {
        int status = -1;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    assert_int_equal(files(".cubin"), KEYS);
    assert_int_equal(files(".tmp"), 0);
    assert_int_equal(files(""), KEYS + 2); /* . and .. : no lock, nothing else */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_stored_is_loaded, setup, teardown),
        cmocka_unit_test_setup_teardown(a_changed_entry_is_not_loaded, setup, teardown),
        cmocka_unit_test_setup_teardown(foreign_entries_are_not_loaded, setup, teardown),
        cmocka_unit_test_setup_teardown(a_folder_of_others_is_no_cache, setup, teardown),
        cmocka_unit_test_setup_teardown(a_folder_that_cannot_be_written_is_read, setup, teardown),
        cmocka_unit_test_setup_teardown(the_root_is_chosen_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(the_oldest_entries_go, setup, teardown),
        cmocka_unit_test_setup_teardown(failing_calls_do_no_harm, setup, teardown),
        cmocka_unit_test_setup_teardown(failing_allocations_unwind, setup, teardown),
        cmocka_unit_test_setup_teardown(many_processes_share_a_cache, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
