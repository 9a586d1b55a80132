/* kernel_headers: the table holds the files of the tree byte for byte, under the names that texts
 * include, and every header's own includes are in it; closures are complete, strangers refused. */
#include "tests/unit/unit.h"
#include "runtime/device/kernel_headers.h"

static const KernelHeader *find(const char *name) {
    for (const KernelHeader *h = kernel_headers; h->name; h++) {
        if (strcmp(h->name, name) == 0) {
            return h;
        }
    }
    return NULL;
}

static void the_table_is_the_tree(void **state) {
    (void)state;
    int count = 0;
    for (const KernelHeader *h = kernel_headers; h->name; h++, count++) {
        char path[4200];
        snprintf(path, sizeof path, "%s/%s", MORC_SOURCE_DIR, h->name);
        size_t size = 0;
        char *text = unit_read(path, &size);
        assert_non_null(text);
        assert_int_equal(h->size, size);
        assert_memory_equal(h->data, text, size);
        assert_int_equal(h->data[size], 0);
        free(text);
    }
    assert_true(count >= 17 && count <= KERNEL_HEADERS_MAX);
    static const char *const expected[] = {"kernels/dialect.h",     "kernels/compare.h",
                                           "kernels/scale.h",       "kernels/format/e2m1.h",
                                           "kernels/format/int4.h", "kernels/gpu/threads.h"};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        assert_non_null(find(expected[i]));
    }
    assert_null(find("kernels/kernels.h")); /* the host's */
}

static void every_header_is_closed(void **state) {
    (void)state;
    for (const KernelHeader *h = kernel_headers; h->name; h++) {
        KernelIncludes got;
        Str unknown = {0};
        const Str text = {(const char *)h->data, h->size};
        if (!kernel_includes(text, &got, &unknown)) {
            fail_msg("%s includes %.*s, which is not embedded", h->name, STR_ARG(unknown));
        }
    }
}

static void a_closure_is_complete_and_in_order(void **state) {
    (void)state;
    KernelIncludes got;
    Str unknown = {0};
    assert_true(kernel_includes(STR("int x;\n  # include \"kernels/scale.h\"\n#include <limits>\n"
                                    "#include \"kernels/dialect.h\"\n"
                                    "#include \"kernels/scale.h\"\n#include MACRO\n# pragma once"),
                                &got, &unknown));
    static const char *const expected[] = {"kernels/scale.h", "kernels/dialect.h",
                                           "kernels/format/e4m3.h", "kernels/format/e8m0.h",
                                           "kernels/format/small.h"};
    assert_int_equal(got.count, 5);
    for (int i = 0; i < 5; i++) {
        assert_string_equal(got.at[i]->name, expected[i]);
    }
    assert_true(kernel_includes(STR(""), &got, &unknown));
    assert_int_equal(got.count, 0);
    assert_true(kernel_includes(STR("#include \"kernels/dialect.h\""), &got, &unknown));
    assert_int_equal(got.count, 1);
    assert_true(kernel_includes(STR("#define BODY \"kernels/compare.h\"\n#define WORD \"x.h\"\n"
                                    "#include BODY\n"),
                                &got, &unknown));
    assert_int_equal(got.count, 2);
    assert_string_equal(got.at[0]->name, "kernels/compare.h");
}

static void strangers_are_refused(void **state) {
    (void)state;
    static const char *const texts[] = {"#include \"/etc/passwd\"", "#include\"kernels/../x.h\"\n",
                                        "\n\n\t#\tinclude\t\"kernels/kernels.h\"\n"};
    static const char *const names[] = {"/etc/passwd", "kernels/../x.h", "kernels/kernels.h"};
    for (int i = 0; i < 3; i++) {
        KernelIncludes got;
        Str unknown = {0};
        assert_false(kernel_includes(str_from(texts[i]), &got, &unknown));
        assert_str(unknown, names[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_is_the_tree),
        cmocka_unit_test(every_header_is_closed),
        cmocka_unit_test(a_closure_is_complete_and_in_order),
        cmocka_unit_test(strangers_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
