/* cubin_cache: what was stored is loaded, by the same key only; an entry changed in any byte, cut,
 * foreign or planted is not; a folder that others may write, or a link, is no cache; the oldest
 * entries go. */
#include "tests/unit/cubin_world.h"
#include "runtime/base/limits.h"
#include <fcntl.h>
#include <sys/wait.h>

static void refused(const char *path, const char *because) {
    Session *s = session_open(&sys_real);
    Str why = {0};
    assert_null(cubin_cache_open(s, str_from(path), &why));
    if (!strstr(str_c(s->arena, why), because)) {
        fail_msg("'%.*s' does not say '%s'", STR_ARG(why), because);
    }
    session_close(s);
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_stored_is_loaded, setup, teardown),
        cmocka_unit_test_setup_teardown(a_changed_entry_is_not_loaded, setup, teardown),
        cmocka_unit_test_setup_teardown(foreign_entries_are_not_loaded, setup, teardown),
        cmocka_unit_test_setup_teardown(a_folder_of_others_is_no_cache, setup, teardown),
        cmocka_unit_test_setup_teardown(a_folder_that_cannot_be_written_is_read, setup, teardown),
        cmocka_unit_test_setup_teardown(the_root_is_chosen_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(the_oldest_entries_go, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
