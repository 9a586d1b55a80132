/* jit_wire: whole bodies are read back; every cut, every length more, every number out of range and
 * any noise is refused, and nothing outside the body is read (sanitizers watch). */
#include "tests/unit/unit.h"
#include "runtime/device/jit_wire.h"
#include <math.h>

static char *body; /* malloc'ed to its exact size, so that a byte too far is seen */
static size_t size;

static int teardown(void **state) {
    (void)state;
    free(body);
    body = NULL;
    return 0;
}

static Str make(const void *head, size_t head_size, const char *tail) {
    free(body);
    size = head_size + strlen(tail);
    body = malloc(size);
    memcpy(body, head, head_size);
    memcpy(body + head_size, tail, strlen(tail));
    return (Str){body, size};
}

static Str cut(size_t length) {
    char *shorter = malloc(length ? length : 1);
    memcpy(shorter, body, length);
    free(body);
    body = shorter;
    return (Str){body, length};
}

static const WireLoaded loaded = {
    .version = 13000, .architectures = 3, .at = {75, 80, 90}, .file = {1, 2, 3, 4, 5}, .path = 5};
static const WireResult result = {7, 0, {28, 0, 128, 0}, 0.25, 3, 6};
static const WireProgram program = {7, 90, 1, 0};

static void whole_bodies_are_read(void **state) {
    (void)state;
    WireLoaded l;
    WireResult r;
    WireProgram p;
    WireReady ready = {.landlock = 1, .seconds = 0.5};
    Str a, b;
    assert_true(wire_loaded(make(&loaded, sizeof loaded, "/path"), &l, &a));
    assert_memory_equal(&l, &loaded, sizeof l);
    assert_str(a, "/path");
    assert_true(wire_result(make(&result, sizeof result, "logoutput"), &r, &a, &b));
    assert_int_equal(r.index, 7);
    assert_int_equal(r.use.registers, 28);
    assert_str(a, "log");
    assert_str(b, "output");
    assert_true(wire_program(make(&program, sizeof program, "text"), &p, &a));
    assert_int_equal(p.arch, 90);
    assert_str(a, "text");
    assert_true(wire_program(make(&program, sizeof program, ""), &p, &a));
    assert_true(wire_ready(make(&ready, sizeof ready, ""), &ready));
}

static void other_lengths_are_refused(void **state) {
    (void)state;
    WireLoaded l;
    WireResult r;
    WireProgram p;
    WireReady ready = {.landlock = 1, .seconds = 0.5};
    Str a, b;
    for (size_t n = 0; n < sizeof loaded + 5; n++) {
        make(&loaded, sizeof loaded, "/path");
        assert_false(wire_loaded(cut(n), &l, &a));
    }
    for (size_t n = 0; n < sizeof result + 9; n++) {
        make(&result, sizeof result, "logoutput");
        assert_false(wire_result(cut(n), &r, &a, &b));
    }
    for (size_t n = 0; n < sizeof program; n++) {
        make(&program, sizeof program, "");
        assert_false(wire_program(cut(n), &p, &a));
    }
    assert_false(wire_loaded(make(&loaded, sizeof loaded, "/path1"), &l, &a));
    assert_false(wire_result(make(&result, sizeof result, "logoutput1"), &r, &a, &b));
    assert_false(wire_ready(make(&ready, sizeof ready, "1"), &ready));
    assert_false(wire_ready(make(&ready, 3, ""), &ready));
}

#define REFUSED_LOADED(change)                                                                     \
    do {                                                                                           \
        WireLoaded x = loaded, got;                                                                \
        Str path;                                                                                  \
        change;                                                                                    \
        assert_false(wire_loaded(make(&x, sizeof x, "/path"), &got, &path));                       \
    } while (0)
#define REFUSED_RESULT(change)                                                                     \
    do {                                                                                           \
        WireResult x = result, got;                                                                \
        Str log, output;                                                                           \
        change;                                                                                    \
        assert_false(wire_result(make(&x, sizeof x, "logoutput"), &got, &log, &output));           \
    } while (0)
#define REFUSED_PROGRAM(change)                                                                    \
    do {                                                                                           \
        WireProgram x = program, got;                                                              \
        Str text;                                                                                  \
        change;                                                                                    \
        assert_false(wire_program(make(&x, sizeof x, "text"), &got, &text));                       \
    } while (0)

static void numbers_out_of_range_are_refused(void **state) {
    (void)state;
    REFUSED_LOADED(x.version = 11080);
    REFUSED_LOADED(x.version = 1000000);
    REFUSED_LOADED(x.architectures = 0);
    REFUSED_LOADED(x.architectures = -1);
    REFUSED_LOADED(x.architectures = NVRTC_ARCHITECTURES + 1);
    REFUSED_LOADED(x.architectures = 4); /* a 0 after the 90 */
    REFUSED_LOADED(x.at[1] = 75);
    REFUSED_LOADED(x.at[0] = -75);
    REFUSED_LOADED(x.path = 4);
    REFUSED_LOADED(x.path = UINT32_MAX);
    WireLoaded l;
    Str path;
    make(&loaded, sizeof loaded, "/path");
    body[size - 2] = 0;
    assert_false(wire_loaded((Str){body, size}, &l, &path));
    REFUSED_RESULT(x.log = 10);
    REFUSED_RESULT(x.log = UINT32_MAX);
    REFUSED_RESULT(x.output = 5);
    REFUSED_RESULT(x.output = UINT32_MAX);
    REFUSED_RESULT((x.log = 4, x.output = UINT32_MAX - 3));
    REFUSED_RESULT(x.status = 6);              /* failed, with an output */
    REFUSED_RESULT((x.log = 9, x.output = 0)); /* done, without one */
    REFUSED_RESULT(x.use.registers = -2);
    REFUSED_RESULT(x.use.stack = INT32_MIN);
    REFUSED_RESULT(x.use.shared = -2);
    REFUSED_RESULT(x.use.spills = -2);
    REFUSED_RESULT(x.seconds = (double)NAN);
    REFUSED_RESULT(x.seconds = (double)INFINITY);
    REFUSED_PROGRAM(x.arch = 0);
    REFUSED_PROGRAM(x.arch = 10000);
    REFUSED_PROGRAM(x.specific = 2);
    REFUSED_PROGRAM(x.ptx = UINT32_MAX);
    WireReady ready = {.landlock = 2};
    assert_false(wire_ready(make(&ready, sizeof ready, ""), &ready));
    ready = (WireReady){.seconds = (double)NAN};
    assert_false(wire_ready(make(&ready, sizeof ready, ""), &ready));
    assert_true(wire_head((WireHead){WIRE_FAILED, 0}));
    assert_true(wire_head((WireHead){WIRE_RESULT, WIRE_BODY}));
    assert_false(wire_head((WireHead){0, 0}));
    assert_false(wire_head((WireHead){WIRE_RESULT + 1, 0}));
    assert_false(wire_head((WireHead){WIRE_RESULT, WIRE_BODY + 1}));
    assert_false(wire_head((WireHead){WIRE_RESULT, UINT32_MAX}));
}

static void noise_is_refused_or_whole(void **state) {
    (void)state;
    unsigned seed = 1;
    int accepted = 0;
    for (int round = 0; round < 200000; round++) {
        seed = seed * 1664525u + 1013904223u;
        WireResult r = result;
        ((unsigned char *)&r)[(seed >> 8) % sizeof r] = (unsigned char)(seed >> 24);
        Str log = {0}, output = {0};
        const Str whole = make(&r, sizeof r, "logoutput");
        if (wire_result(whole, &r, &log, &output)) {
            accepted++;
            assert_ptr_equal(log.data, whole.data + sizeof r);
            assert_ptr_equal(output.data + output.len, whole.data + whole.len);
        }
    }
    assert_true(accepted > 1000 && accepted < 199000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(whole_bodies_are_read, teardown),
        cmocka_unit_test_teardown(other_lengths_are_refused, teardown),
        cmocka_unit_test_teardown(numbers_out_of_range_are_refused, teardown),
        cmocka_unit_test_teardown(noise_is_refused_or_whole, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
