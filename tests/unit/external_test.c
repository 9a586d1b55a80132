/* External data: keys, numbers, ranges, paths; embedding and moving it on writing. */
#include <sys/stat.h>
#include "onnx_build.h"

static Str entry(const char *key, const char *text) {
    return F(13, J(T(1, key), T(2, text)));
}

static Str outside(const char *name, int n, Str entries) {
    return F(5, J(I(1, (uint64_t)n), I(2, 1), T(8, name), entries, I(14, 1)));
}

static void data_file(const char *name, size_t size) {
    char *bytes = malloc(size + 1);
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (char)(i % 251);
    }
    unit_write(path_of(name).data, bytes, size);
    free(bytes);
}

static void places(void **state) {
    (void)state;
    data_file("w.bin", 64);
    Model *m = good(model_bytes(J(
        outside("a", 4, J(entry("location", "w.bin"), entry("offset", "3"), entry("length", "16"))),
        outside("b", 4, J(entry("offset", "48"), entry("location", "w.bin"),
                          entry("checksum", "who cares"))),
        outside("c", 16, entry("location", "w.bin")))));
    assert_int_equal(m->data_files.len, 1); /* mapped once */
    const Tensor *a = m->tensors.at[0];
    assert_int_equal(a->carrier, CARRIER_EXTERNAL);
    assert_int_equal(a->data[0], 3);
    assert_int_equal(a->input_offset, 3);
    assert_int_equal(m->tensors.at[1]->data[0], 48);
    assert_true(m->has_external);
    assert_int_equal(mkdir(path_of("sub").data, 0700), 0);
    data_file("sub/v.bin", 8);
    good(model_bytes(outside("d", 2, entry("location", "sub/v.bin"))));
    good(model_bytes(outside("d", 2, entry("location", "./sub/v.bin"))));
    data_file("empty", 0);
    good(model_bytes(outside("e", 0, entry("location", "empty"))));
}

static void wrong(void **state) {
    (void)state;
    data_file("w.bin", 16);
    const Str at = entry("location", "w.bin");
#define REFUSE(code, part, ...) refused(model_bytes(outside("w", 4, J(__VA_ARGS__))), code, part)
    REFUSE("E1004", "no location", entry("offset", "0"));
    REFUSE("E1004", "twice", at, at);
    REFUSE("E1004", "unknown key", at, entry("offs", "0"));
    REFUSE("E1004", "not a number", at, entry("offset", "-1"));
    REFUSE("E1004", "not a number", at, entry("offset", ""));
    REFUSE("E1004", "not a number", at, entry("length", "0x10"));
    REFUSE("E1004", "not a number", at, entry("length", "99999999999999999999"));
    REFUSE("E1004", "file of 16 bytes", at, entry("offset", "17"));
    REFUSE("E1004", "16 bytes at 4", at, entry("offset", "4"));
    REFUSE("E1004", "shape needs 16", at, entry("length", "15"));
    REFUSE("E1004", "begins at 18446744073709551615", at, entry("offset", "18446744073709551615"));
    REFUSE("E1101", "`w`", entry("location", "absent.bin"));
    REFUSE("E1101", "`w`", entry("location", "*/_ORT_MEM_ADDR_/*"), entry("offset", "4096"));
    REFUSE("E1003", "`w`", entry("location", "../w.bin"));
    REFUSE("E1003", "`w`", entry("location", "a/../../w.bin"));
    REFUSE("E1003", "`w`", entry("location", "/etc/passwd"));
    REFUSE("E1003", "`w`", entry("location", ""));
    REFUSE("E1003", "NUL", F(13, J(T(1, "location"), F(2, STR("w.bin\0x")))));
    assert_int_equal(symlink("/etc", path_of("out").data), 0);
    REFUSE("E1003", "`w`", entry("location", "out/passwd"));
    assert_int_equal(link(path_of("w.bin").data, path_of("hard.bin").data), 0);
    REFUSE("E1003", "hard link", entry("location", "hard.bin"));
#undef REFUSE
    refused(model_bytes(F(5, J(I(1, 1), I(2, 1), T(8, "w"), F(9, STR("1234")), at, I(14, 1)))),
            "E1002", "both");
    refused(model_bytes(F(5, J(I(1, 1), I(2, 8), T(8, "w"), at, I(14, 1)))), "E1002", "strings");
}

static void moves(void **state) {
    (void)state;
    data_file("w.bin", 20000);
    Model *m = good(model_bytes(J(
        outside("a", 4000, J(entry("location", "w.bin"), entry("offset", "4000"))),
        F(5, tensor("inline", 3)), F(5, tensor("large", 300)),
        outside("z", 1, J(entry("location", "w.bin"), entry("length", "4"))))));
    Layout l = lay_out(m);
    assert_int_equal(l.size[1], 0);
    Model *in = good(assemble(&l, 0));
    assert_false(in->has_external);
    assert_int_equal(in->tensors.len, 4);
    for (size_t i = 0; i < 4; i++) {
        const Tensor *then = m->tensors.at[i], *now = in->tensors.at[i];
        assert_int_equal(now->carrier, CARRIER_RAW);
        assert_int_equal(now->size, then->size);
        assert_memory_equal(now->data, then->data, then->size);
    }
    /* and out again: large ones aligned in one file, small ones inside */
    assert_true(model_layout(m, &(LayoutOptions){.external = true, .data_name = STR("out.bin")}, &l));
    const Str data = assemble(&l, 1);
    unit_write(path_of("out.bin").data, data.data, data.len);
    Model *out = good(assemble(&l, 0));
    assert_int_equal(out->tensors.at[0]->carrier, CARRIER_EXTERNAL);
    assert_int_equal(out->tensors.at[0]->input_offset % 4096, 0);
    assert_int_equal(out->tensors.at[1]->carrier, CARRIER_RAW);
    assert_int_equal(out->tensors.at[2]->carrier, CARRIER_EXTERNAL);
    assert_int_equal(out->tensors.at[2]->input_offset % 4096, 0);
    assert_int_equal(out->tensors.at[3]->carrier, CARRIER_RAW);
    for (size_t i = 0; i < 4; i++) {
        assert_memory_equal(out->tensors.at[i]->data, m->tensors.at[i]->data,
                            m->tensors.at[i]->size);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {TEST(places), TEST(wrong), TEST(moves)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
