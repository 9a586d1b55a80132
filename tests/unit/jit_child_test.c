/* jit_child, spoken to frame by frame: it introduces itself, compiles what it is sent in as many
 * threads as it may and answers each program once; a parent that talks nonsense or hangs up ends
 * it. Needs NVRTC, and says so. */
#include "tests/unit/unit.h"
#include "runtime/device/jit_link.h"
#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

typedef struct World {
    Session *s;
    JitLink link;
    WireLoaded loaded;
} World;

/* False: NVRTC is missing, and that was said. */
static bool begin(World *w, const char *test, int threads) {
    WireKind kind;
    Str body, path, why = {0};
    WireReady ready;
    w->s = session_open(&sys_real);
    assert_true(jit_link_open(w->s, &w->link, jit_child_run, threads, 20, &why));
    if (!jit_link_next(w->s, &w->link, 60, &kind, &body)) {
        print_message("skip %s: %.*s\n", test, STR_ARG(w->link.failure));
        jit_link_close(&w->link);
        session_close(w->s);
        return false;
    }
    assert_int_equal(kind, WIRE_LOADED);
    assert_true(wire_loaded(body, &w->loaded, &path));
    struct stat is;
    assert_int_equal(stat(str_c(w->s->arena, path), &is), 0);
    assert_int_equal(w->loaded.file.size, is.st_size);
    assert_int_equal(w->loaded.file.inode, is.st_ino);
    assert_true(jit_link_next(w->s, &w->link, 60, &kind, &body));
    assert_int_equal(kind, WIRE_READY);
    assert_true(wire_ready(body, &ready));
    return true;
}

static void end(World *w) {
    jit_link_close(&w->link);
    session_close(w->s);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

#define BEGIN(world, threads)                                                                      \
    World world;                                                                                   \
    if (!begin(&world, __func__, threads)) {                                                       \
        skip();                                                                                    \
    }

static void send_text(World *w, uint32_t index, bool ptx, Str text) {
    const WireProgram head = {index, 90, 0, ptx};
    jit_link_send(&w->link, WIRE_PROGRAM, &head, sizeof head, text);
}

enum { PROGRAMS = 30 };

static void compiles_with(int threads) {
    World w;
    if (!begin(&w, "each_program_is_answered_once", threads)) {
        skip();
    }
    for (uint32_t i = 0; i < PROGRAMS; i++) {
        send_text(&w, i, i % 3 == 0,
                  i % 5 == 4 ? STR("this is no program")
                             : str_format(w.s->arena,
                                          "#include \"kernels/dialect.h\"\n"
                                          "extern \"C\" __global__ void k%u(float *p) "
                                          "{ *p = k_rint(*p); }\n",
                                          i));
    }
    bool answered[PROGRAMS] = {false};
    for (int n = 0; n < PROGRAMS; n++) {
        WireKind kind;
        WireResult r;
        Str body, log, output;
        if (!jit_link_next(w.s, &w.link, 60, &kind, &body)) {
            fail_msg("%.*s", STR_ARG(w.link.failure));
        }
        assert_int_equal(kind, WIRE_RESULT);
        assert_true(wire_result(body, &r, &log, &output));
        assert_true(r.index < PROGRAMS && !answered[r.index]);
        answered[r.index] = true;
        const bool broken = r.index % 5 == 4;
        assert_int_equal(r.status != 0, broken);
        char name[16];
        snprintf(name, sizeof name, broken ? "error" : "k%u", r.index);
        const Str where = broken ? log : output;
        assert_non_null(memmem(where.data, where.len, name, strlen(name)));
        assert_int_equal(r.use.registers > 0, !broken && r.index % 3 != 0);
    }
    end(&w);
}

static void each_program_is_answered_once(void **state) {
    (void)state;
    compiles_with(1);
    compiles_with(4);
}

static int threads_of(pid_t process) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/status", (int)process);
    FILE *f = fopen(path, "r");
    char line[256];
    int threads = -1;
    while (f && fgets(line, sizeof line, f)) {
        sscanf(line, "Threads: %d", &threads);
    }
    if (f) {
        fclose(f);
    }
    return threads;
}

static void no_more_threads_than_allowed(void **state) {
    (void)state;
    BEGIN(w, 3);
    WireKind kind;
    Str body;
    for (uint32_t i = 0; i < 12; i++) {
        send_text(&w, i, false, STR("__global__ void k() {}"));
    }
    for (int n = 0; n < 12; n++) {
        assert_true(jit_link_next(w.s, &w.link, 60, &kind, &body));
        const int threads = threads_of(w.link.child);
        assert_true(threads >= 1 && threads <= 4); /* three, and the reader */
    }
    assert_int_equal(threads_of(w.link.child), 4);
    end(&w);
}

/* How the child ends when it is sent this. */
static void ends_with(const void *bytes, size_t size, int code) {
    World w;
    if (!begin(&w, "nonsense_ends_it", 2)) {
        skip();
    }
    assert_int_equal(send(w.link.fd, bytes, size, MSG_NOSIGNAL), size);
    assert_int_equal(shutdown(w.link.fd, SHUT_WR), 0);
    int status = -1;
    assert_int_equal(waitpid(w.link.child, &status, 0), w.link.child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), code);
    w.link.child = 0;
    end(&w);
}

static void nonsense_ends_it(void **state) {
    (void)state;
    const WireHead kind = {WIRE_RESULT, 64}, small = {WIRE_PROGRAM, 3},
                   large = {WIRE_PROGRAM, LIMIT_KERNEL_TEXT + sizeof(WireProgram) + 1},
                   plain = {WIRE_PROGRAM, sizeof(WireProgram) + 100};
    struct {
        WireHead head;
        WireProgram program;
    } wrong = {{WIRE_PROGRAM, sizeof(WireProgram)}, {0, 90, 2, 0}};
    ends_with(&kind, sizeof kind, JIT_CHILD_BROKEN);
    ends_with(&small, sizeof small, JIT_CHILD_BROKEN);
    ends_with(&large, sizeof large, JIT_CHILD_BROKEN);
    ends_with(&wrong, sizeof wrong, JIT_CHILD_BROKEN);
    ends_with(&plain, sizeof plain, JIT_CHILD_DONE); /* hangs up within a frame */
    ends_with("\4\0", 2, JIT_CHILD_DONE);
    ends_with("", 0, JIT_CHILD_DONE);
}

/* What the child has open and where it is, as the system sees it. */
static void it_holds_nothing(void **state) {
    (void)state;
    BEGIN(w, 1);
    char path[64], where[256] = {0};
    snprintf(path, sizeof path, "/proc/%d/cwd", (int)w.link.child);
    assert_true(readlink(path, where, sizeof where - 1) > 0);
    assert_string_equal(where, "/");
    for (int fd = 0; fd < 256; fd++) {
        snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)w.link.child, fd);
        memset(where, 0, sizeof where);
        const bool open = readlink(path, where, sizeof where - 1) > 0;
        assert_int_equal(open, fd <= 3);
        if (fd < 2) {
            assert_string_equal(where, "/dev/null");
        } else if (fd == 3) {
            assert_int_equal(strncmp(where, "socket:", 7), 0);
        }
    }
    end(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_program_is_answered_once),
        cmocka_unit_test(no_more_threads_than_allowed),
        cmocka_unit_test(nonsense_ends_it),
        cmocka_unit_test(it_holds_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
