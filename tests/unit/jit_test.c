/* jit, with the real NVRTC: kernels of the tree's own headers compile for every architecture it
 * knows, to the same bytes each time; a broken text shows its line; nothing that a text says can
 * read a file or run on; the cache answers without the child. Without NVRTC all tests say that they
 * are skipped. */
#include "tests/unit/jit_world.h"
#include <dirent.h>
#include <sys/stat.h>

/* Sanitizers give a child without memory NULL, as malloc does, instead of a report. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) {
    return "allocator_may_return_null=1";
}

/* ---- compiling */

static void every_architecture_and_the_same_bytes(void **state) {
    (void)state;
    NEEDS_NVRTC();
    Session *s = session_open(&sys_real);
    Str why = {0};
    Jit *jit = opened(s, (JitOptions){.threads = 2});
    Jit *again = opened(s, (JitOptions){.threads = 2});
    assert_true(jit_ready(s, jit, &why));
    int count = 0;
    const int *archs = jit_architectures(jit, &count);
    assert_true(count >= 10);
    for (int i = 0; i < count; i++) {
        assert_true(jit_supports(jit, archs[i]));
        if (archs[i] < 75) {
            continue; /* __grid_constant__ */
        }
        JitProgram p[3] = {{.text = str_from(kernel)}, {.text = str_from(kernel)},
                           {.text = str_from(kernel), .specific = archs[i] >= 90}};
        JitProgram q = p[0];
        build(s, jit, archs[i], p, 3);
        build(s, again, archs[i], &q, 1);
        assert_true(p[0].cubin.len > 1000 && memcmp(p[0].cubin.data, "\x7f" "ELF", 4) == 0);
        assert_true(str_eq(p[0].cubin, p[1].cubin));
        assert_true(str_eq(p[0].cubin, q.cubin));
        assert_int_equal((uintptr_t)p[0].cubin.data % 16, 0);
        assert_int_equal(p[0].cubin.data[p[0].cubin.len], 0);
        assert_int_equal(p[0].ptx.len, 0);
        assert_true(p[0].registers >= 16 && p[0].registers <= 64);
        assert_int_equal(p[0].shared, 32);
        assert_int_equal(p[0].spills, 0);
        assert_int_equal(p[0].stack, 0);
        assert_false(p[0].cached);
        assert_true(p[0].seconds > 0 && p[0].seconds < 60);
        assert_int_equal(archs[i] >= 90, !str_eq(p[0].cubin, p[2].cubin));
    }
    assert_false(jit_supports(jit, 74));
    JitProgram p = {.text = str_from(kernel)};
    assert_false(jit_build(s, jit, 74, &p, 1, &why));
    assert_non_null(strstr(why.data, "does not know sm_74"));
    print_message("%d architectures of NVRTC %d\n", count, jit_version(jit));
    session_close(s);
}

static void ptx_is_text(void **state) {
    (void)state;
    NEEDS_NVRTC();
    Session *s = session_open(&sys_real);
    Jit *jit = opened(s, (JitOptions){.threads = 1, .ptx = true, .cache = cache_in(s)});
    JitProgram p = {.text = str_from(kernel)}, q = {.text = str_from(kernel), .specific = true};
    build(s, jit, 90, &p, 1);
    build(s, jit, 90, &q, 1);
    assert_int_equal(p.cubin.len, 0);
    assert_non_null(strstr(p.ptx.data, ".target sm_90\n"));
    assert_non_null(strstr(q.ptx.data, ".target sm_90a\n"));
    assert_non_null(strstr(p.ptx.data, ".entry quantize("));
    assert_non_null(strstr(p.ptx.data, "div.rn.f32")); /* true division */
    assert_null(strstr(p.ptx.data, "fma."));
    assert_int_equal(p.ptx.data[p.ptx.len - 1], '\n');
    assert_int_equal(p.registers, -1);
    session_close(s);
}

static void a_broken_text_shows_its_line(void **state) {
    (void)state;
    NEEDS_NVRTC();
    Session *s = session_open(&sys_real);
    Jit *jit = opened(s, (JitOptions){.threads = 2});
    JitProgram p[3] = {{.text = str_from(kernel)},
                       {.text = STR("#include \"kernels/dialect.h\"\n"
                                    "K_FN float one(float x) {\n"
                                    "    return x + missing;\n"
                                    "}\n")},
                       {.text = STR("another broken one")}};
    Str why = {0};
    assert_false(jit_build(s, jit, 90, p, 3, &why));
    const char *text = str_c(s->arena, why);
    assert_non_null(strstr(text, "refuses a kernel for sm_90:\n"));
    assert_non_null(strstr(text, "kernel.cu(3): error: identifier \"missing\" is undefined"));
    assert_non_null(strstr(text, ">    3 |     return x + missing;\n"));
    assert_true(p[0].cubin.len > 0); /* the whole ones are built all the same */
    assert_int_equal(p[1].cubin.len + p[2].cubin.len, 0);
    build(s, jit, 90, p, 1); /* and the child lives */
    session_close(s);
}

/* ---- hostile texts (P17) */

/* The text names a file in a way that only the compiler sees. */
static Str including(Session *s, const char *path) {
    return str_format(s->arena, "#define HIDDEN \"%s\"\n#include HIDDEN\n", path);
}

static void no_file_can_be_read(void **state) {
    (void)state;
    NEEDS_NVRTC();
    char secret[4200], relative[64];
    Str why = {0};
    snprintf(secret, sizeof secret, "%s/secret.h", dir);
    unit_write(secret, "the_secret of_the file\n", 23);
    Session *s = session_open(&sys_real);
    Jit *jit = opened(s, (JitOptions){.threads = 1});
    assert_true(jit_ready(s, jit, &why));
    if (!jit_confined(jit)) {
        print_message("skip no_file_can_be_read: no Landlock here; only the limit on descriptors "
                      "was tested\n");
    }
    const char *paths[] = {secret, "/etc/passwd", "/proc/self/environ", "../../../etc/passwd",
                           "/proc/self/fd/3"};
    for (int i = 0; i < 5; i++) {
        JitProgram p = {.text = including(s, paths[i])};
        assert_false(jit_build(s, jit, 90, &p, 1, &why));
        const char *said = str_c(s->arena, why);
        if (strstr(said, "the_secret") || strstr(said, "root:") || strstr(said, "PATH=")) {
            fail_msg("leaks: %s", said);
        }
        assert_non_null(strstr(said, "error"));
    }
    /* a plain #include is refused before the compiler sees it */
    JitProgram plain = {.text = STR("#include \"/etc/passwd\"\n")};
    assert_false(jit_build(s, jit, 90, &plain, 1, &why));
    assert_str(why, "a kernel includes \"/etc/passwd\", which is not embedded");
    /* what lies in the current directory is not taken for ours */
    char before[4200];
    assert_non_null(getcwd(before, sizeof before));
    snprintf(relative, sizeof relative, "kernels");
    assert_int_equal(chdir(dir), 0);
    assert_int_equal(mkdir(relative, 0755), 0);
    unit_write("kernels/scale.h", "#error planted\n", 15);
    Jit *here = opened(s, (JitOptions){.threads = 1});
    JitProgram p = {.text = str_from(kernel)};
    build(s, here, 90, &p, 1);
    assert_int_equal(chdir(before), 0);
    session_close(s);
}

/* A build that must fail with such a reason, in so many seconds. */
static void bomb(Str text, int seconds, int64_t within, const char *const *reasons) {
    Session *s = session_open(&sys_real);
    Jit *jit = opened(s, (JitOptions){.threads = 2, .seconds = seconds});
    JitProgram p[2] = {{.text = str_from(kernel)}, {.text = text}};
    Str why = {0};
    const double begin = now();
    const bool built = jit_build(s, jit, 90, p, 2, &why);
    const double took = now() - begin;
    const char *said = str_c(s->arena, why);
    bool expected = false;
    for (int i = 0; reasons[i]; i++) {
        expected = expected || strstr(said, reasons[i]);
    }
    if (built || !expected || took > (double)within) {
        fail_msg("%s after %.1f s: %.300s", built ? "built" : "refused", took, said);
    }
    print_message("stopped after %.1f s: %.60s\n", took, said);
    Str again = {0};
    JitProgram q = {.text = str_from(kernel)};
    if (!strstr(said, "refuses")) { /* the child is gone, and stays so */
        assert_false(jit_build(s, jit, 90, &q, 1, &again));
        assert_true(str_eq(why, again));
    }
    session_close(s);
}

static void bombs_are_stopped(void **state) {
    (void)state;
    NEEDS_NVRTC();
    static const char *const by_time[] = {"stopped: more than 2 s", NULL};
    static const char *const by_memory[] = {"out of memory", "crashed", NULL};
    static const char *const by_depth[] = {"crashed", "refuses", NULL};
    Arena *arena = arena_open();
    Buf b = buf_on(arena); /* 2^24 additions */
    buf_printf(&b, "#define A0 x+x\n");
    for (int i = 1; i < 24; i++) {
        buf_printf(&b, "#define A%d A%d+A%d\n", i, i - 1, i - 1);
    }
    buf_printf(&b, "__global__ void k(float *p, float x) { *p = A23; }\n");
    bomb(buf_view(&b), 2, 60, by_time);
    bomb(STR("__device__ char big[7ull << 30] = {1};\n"
             "__global__ void k(char *p) { *p = big[p[1]]; }\n"),
         60, 300, by_memory);
    b = buf_on(arena);
    for (int i = 0; i < 400000; i++) {
        buf_char(&b, '(');
    }
    bomb(buf_view(&b), 5, 120, by_depth);
    arena_close(arena);
}

/* ---- the cache */

static void the_cache_answers_without_the_child(void **state) {
    (void)state;
    NEEDS_NVRTC();
    Str first = {0};
    int version = 0;
    Arena *arena = arena_open();
    for (int run = 0; run < 4; run++) {
        Session *s = session_open(&sys_real);
        const double begin = now();
        Jit *jit = opened(s, (JitOptions){.threads = 2, .cache = cache_in(s)});
        JitProgram p[2] = {{.text = str_from(kernel)}, {.text = STR("__global__ void k() {}")}};
        const size_t count = run == 0 || run == 3 ? 2 : 1;
        build(s, jit, 90, p, count);
        const double took = now() - begin;
        print_message("run %d: %.4f s, %s\n", run, took, p[0].cached ? "cached" : "compiled");
        assert_int_equal(p[0].cached, run > 0);
        assert_int_equal(count < 2 || p[1].cached, run > 0);
        if (run == 0) {
            first = str_copy(arena, p[0].cubin);
            version = jit_version(jit);
        }
        assert_true(str_eq(p[0].cubin, first));
        assert_int_equal((uintptr_t)p[0].cubin.data % 16, 0);
        assert_int_equal(jit_version(jit), version);
        assert_int_equal(p[0].shared, 32);
        assert_int_equal(p[0].spills, 0);
        assert_true(p[0].registers > 15);
        /* other questions have other answers */
        JitProgram other = {.text = str_from(kernel), .specific = true};
        build(s, jit, 90, &other, 1);
        assert_int_equal(other.cached, run > 0);
        assert_false(str_eq(other.cubin, first));
        session_close(s);
    }
    arena_close(arena);
}

/* A kernel in the cache that was changed is compiled anew, and the entry mended. */
static void a_broken_entry_is_compiled_again(void **state) {
    (void)state;
    NEEDS_NVRTC();
    for (int run = 0; run < 3; run++) {
        Session *s = session_open(&sys_real);
        Jit *jit = opened(s, (JitOptions){.threads = 1, .cache = cache_in(s)});
        JitProgram p = {.text = str_from(kernel)};
        build(s, jit, 90, &p, 1);
        assert_int_equal(p.cached, run == 2);
        session_close(s);
        char path[4300];
        snprintf(path, sizeof path, "%s/kernels", dir);
        DIR *d = opendir(path);
        int broken = 0;
        for (const struct dirent *e = readdir(d); run == 0 && e; e = readdir(d)) {
            snprintf(path, sizeof path, "%s/kernels/%.100s", dir, e->d_name);
            size_t size = 0;
            char *bytes = e->d_name[0] == '.' ? NULL : unit_read(path, &size);
            if (bytes) {
                bytes[size / 2] ^= 1;
                unit_write(path, bytes, size);
                broken++;
            }
            free(bytes);
        }
        assert_int_equal(broken, run == 0 ? 2 : 0); /* the kernel, and the note on NVRTC */
        closedir(d);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_architecture_and_the_same_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(ptx_is_text, setup, teardown),
        cmocka_unit_test_setup_teardown(a_broken_text_shows_its_line, setup, teardown),
        cmocka_unit_test_setup_teardown(no_file_can_be_read, setup, teardown),
        cmocka_unit_test_setup_teardown(bombs_are_stopped, setup, teardown),
        cmocka_unit_test_setup_teardown(the_cache_answers_without_the_child, setup, teardown),
        cmocka_unit_test_setup_teardown(a_broken_entry_is_compiled_again, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
