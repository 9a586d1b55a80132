/* npy: headers of every kind that numpy writes, and those that it does not. */
#include "runtime/calib/npy.h"
#include "tests/unit/arrays_build.h"
#include "tests/unit/one_session.h"

/* A header of format `major` around a literal. */
static Str header(int major, const char *literal) {
    Buf b = buf_on(s->arena);
    buf_add(&b, "\x93NUMPY", 6);
    buf_char(&b, (char)major);
    buf_char(&b, 0);
    put_number(&b, strlen(literal), major == 1 ? 2 : 4);
    buf_add(&b, literal, strlen(literal));
    return buf_view(&b);
}

static NpyHeader good(Str bytes) {
    NpyHeader h;
    Str why = {0};
    if (!npy_header(s->arena, bytes, &h, &why)) {
        fail_msg("%.*s", STR_ARG(why));
    }
    return h;
}

static void wrong(Str bytes, const char *part, bool pickled) {
    NpyHeader h;
    Str why = {0};
    assert_false(npy_header(s->arena, bytes, &h, &why));
    if (!strstr(str_c(s->arena, why), part)) {
        fail_msg("\"%.*s\" does not say \"%s\"", STR_ARG(why), part);
    }
    assert_int_equal(h.pickled, pickled);
}

#define ITEMS(descr, order, shape)                                                                 \
    "{'descr': " descr ", 'fortran_order': " order ", 'shape': " shape ", }    \n"

static void shapes_and_types(void **state) {
    (void)state;
    NpyHeader h = good(npy_bytes(s->arena, "<i8", false, "(3, 4)", "", 0));
    assert_int_equal(h.begin, 128);
    assert_true(h.type == 7 && h.rank == 2 && h.dims[1] == 4 && h.count == 12 && h.bytes == 96);
    assert_false(h.fortran || h.swapped);
    h = good(npy_bytes(s->arena, ">f2", true, "(2, 3)", "", 0));
    assert_true(h.type == 10 && h.swapped && h.fortran && h.bytes == 12);
    h = good(npy_bytes(s->arena, "|b1", true, "(7,)", "", 0));
    assert_true(h.type == 9 && !h.fortran && h.count == 7); /* one row has one order */
    h = good(npy_bytes(s->arena, "<f8", false, "()", "", 0));
    assert_true(h.rank == 0 && h.count == 1 && h.bytes == 8);
    h = good(npy_bytes(s->arena, "<f4", false, "(0, 999999999999999999, 5)", "", 0));
    assert_true(h.count == 0 && h.bytes == 0);
    h = good(header(2, ITEMS("'>u1'", "False", "(3L, 4L)")));
    assert_true(!h.swapped && h.rank == 2 && h.dims[0] == 3);
    h = good(header(3, "{\"shape\":(1,),\"fortran_order\":True,\"descr\":\"=i4\"}"));
    assert_true(h.type == 6 && h.rank == 1);
}

static void what_is_refused(void **state) {
    (void)state;
    wrong(header(1, ITEMS("'|O'", "False", "(3,)")), "Python objects", true);
    wrong((Str){"\x80\4\x95"
                "abc",
                6},
          "it is a pickle", true);
    wrong(header(1, ITEMS("'<c8'", "False", "(3,)")), "complex", false);
    wrong(header(1, ITEMS("'<U5'", "False", "(3,)")), "strings", false);
    wrong(header(1, ITEMS("'<M8[ns]'", "False", "(3,)")), "dates", false);
    wrong(header(1, ITEMS("'|V2'", "False", "(3,)")), "bfloat16", false);
    wrong(header(1, ITEMS("'<f3'", "False", "(3,)")), "not known", false);
    wrong(header(1, ITEMS("'|f4'", "False", "(3,)")), "not known", false);
    wrong(header(1, ITEMS("''", "False", "(3,)")), "not known", false);
    wrong(header(1, ITEMS("[('a', '<f4')]", "False", "(3,)")), "structure", false);
    wrong(header(4, ITEMS("'<f4'", "False", "(3,)")), "format 4.0", false);
    wrong((Str){"\x93NUMPX", 6}, "does not begin", false);
    wrong((Str){"", 0}, "does not begin", false);
    wrong((Str){"\x93NUMPY\1\0\xff", 9}, "ends in", false);
    wrong((Str){"\x93NUMPY\2\0\0\0\0\x7f", 12}, "longer than", false);
    wrong((Str){"\x93NUMPY\1\0\x10\0ab", 12}, "ends in", false);
}

static void what_is_malformed(void **state) {
    (void)state;
    static const char *const literals[] = {
        "",
        "{",
        "{}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3 4)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-3,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3,",
        "{'descr': '<f4', 'fortran_order': 0, 'shape': (3,)}",
        "{'descr': '<f4', 'fortran_order': False}",
        "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (3,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), 'x': 1}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3,)} + exit()",
        "{'descr': '<f\\x34', 'fortran_order': False, 'shape': (3,)}",
        "{'descr' '<f4', 'fortran_order': False, 'shape': (3,)}",
        "{'descr: '<f4'}",
    };
    for (size_t i = 0; i < sizeof literals / sizeof *literals; i++) {
        wrong(header(2, literals[i]), "malformed", false);
    }
    wrong(header(1, ITEMS("'<f4'", "False", "(9999999999999999999,)")), "too large", false);
    wrong(header(1, ITEMS("'<f8'", "False", "(99999999999, 99999999999)")), "too large", false);
    wrong(header(1, ITEMS("'<f8'", "False", "(999999999999999999, 9)")), "too large", false);
    Buf shape = buf_on(s->arena);
    for (int i = 0; i < 33; i++) {
        buf_printf(&shape, "1,");
    }
    wrong(npy_bytes(s->arena, "<f4", false, str_format(s->arena, "(%s)", shape.data).data, "", 0),
          "32 dimensions", false);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(shapes_and_types, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_malformed, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
