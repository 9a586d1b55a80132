/* model_layout's promises about pieces and files, and model_check_written's about what is on disk.
 */
#include "onnx_build.h"

static Model *big(void) {
    return good(model_bytes(J(N("MatMul", "x w", "y"), F(5, tensor("w", 5000)),
                              F(5, tensor("small", 10)), value(11, "x", 1))));
}

static void pieces(void **state) {
    (void)state;
    Model *m = big();
    Layout l = lay_out(m);
    assert_int_equal(l.pieces.len, 1); /* untouched: one copy */
    assert_int_equal(l.pieces.at[0].kind, PIECE_INPUT);
    edit_metadata(m, STR("k"), STR("v"));
    l = lay_out(m);
    assert_int_equal(l.pieces.len, 2); /* the graph as it is, and the tail */
    assert_int_equal(l.pieces.at[0].kind, PIECE_INPUT);
    assert_true(l.pieces.at[0].size >= 20000);
    edit_replace_payload(m->tensors.at[0], 9);
    l = lay_out(m);
    assert_int_equal(l.pieces.at[1].kind, PIECE_TENSOR);
    assert_int_equal(l.pieces.at[1].tag, 9);
    assert_int_equal(l.pieces.at[1].size, 20000);
    assemble(&l, 0);
}

static void data_file(void **state) {
    (void)state;
    Model *m = big();
    edit_add_initializer(m->main, &(NewTensor){.name = STR("q"), .type = 2, .rank = 1,
                                               .dims = (int64_t[]){2000}, .size = 2000, .tag = 4});
    Layout l;
    assert_true(model_layout(m, &(LayoutOptions){.external = true, .data_name = STR("m.data")}, &l));
    assert_int_equal(l.size[1], 20480 + 2000);
    const Str data = assemble(&l, 1);
    assert_memory_equal(data.data, m->tensors.at[0]->data, 20000);
    assert_int_equal((uint8_t)data.data[20480], 0xe4);
    unit_write(path_of("m.data").data, data.data, data.len);
    Model *n = good(assemble(&l, 0));
    assert_int_equal(n->main->initializers.len, 3);
    assert_int_equal(n->main->initializers.at[2]->input_offset, 20480);
}

/* 3 x 1 GiB that exist only as a plan: nothing of that size is touched. */
static void over_the_limit(void **state) {
    (void)state;
    Model *m = good(model_bytes(value(11, "x", 1)));
    for (int i = 0; i < 3; i++) {
        const Str name = str_format(S->arena, "t%d", i);
        edit_add_initializer(m->main, &(NewTensor){.name = name, .type = 2, .rank = 1, .tag = i,
                                                   .dims = (int64_t[]){1 << 30}, .size = 1u << 30});
        const Layout l = lay_out(m);
        assert_int_equal(l.size[1], i == 0 ? 0 : ((uint64_t)i + 1) << 30);
        assert_true(l.size[0] < (i == 0 ? (1ull << 30) + 100 : 400));
    }
}

/* A file of almost 2 GiB, a hole but for its ends: an unknown field that must be kept. */
static void nothing_can_leave(void **state) {
    (void)state;
    const Str head = model_bytes(value(11, "x", 1));
    Buf tag = buf_on(S->arena);
    wire_put_tag(&tag, 99, WIRE_BYTES);
    wire_put_varint(&tag, INT32_MAX - head.len - 7);
    const Str path = path_of("huge.onnx"), bytes = J(head, buf_view(&tag));
    unit_write(path.data, bytes.data, bytes.len);
    assert_int_equal(truncate(path.data, INT32_MAX), 0);
    Model *m = model_open(S, path);
    assert_non_null(m);
    assert_int_equal(lay_out(m).size[0], INT32_MAX);
    edit_metadata(m, STR("k"), STR("v"));
    Layout l;
    assert_false(model_layout(m, &(LayoutOptions){.data_name = STR("d")}, &l));
    assert_str(S->diags.all.at[0]->code, "E1012");
    assert_int_equal(truncate(path.data, (off_t)INT32_MAX + 1), 0);
    assert_null(model_open(S, path));
    assert_non_null(strstr(unit_diags(S), "larger than 2 GiB"));
}

static int file_of(Str bytes) {
    const int fd = memfd_create("out", MFD_CLOEXEC);
    assert_int_equal(write(fd, bytes.data, bytes.len), bytes.len);
    return fd;
}

static void check(const Layout *l, Str model, Str data, const char *complaint) {
    const int fd = file_of(model), data_fd = file_of(data);
    const bool good = model_check_written(S, fd, STR("out.onnx"), data_fd, l);
    assert_int_equal(good, complaint == NULL);
    if (complaint) {
        assert_int_equal(S->diags.errors, 1);
        assert_str(S->diags.all.at[0]->code, "E1011");
        assert_non_null(strstr(unit_diags(S), complaint));
        S->diags.all.len = S->diags.errors = 0;
    }
    close(fd);
    close(data_fd);
}

static Str damaged(Str bytes, size_t at) {
    const Str copy = str_copy(S->arena, bytes);
    ((char *)copy.data)[at] ^= 1;
    return copy;
}

static void reading_back(void **state) {
    (void)state;
    Model *m = big();
    edit_replace_payload(m->tensors.at[0], 1);
    edit_add_initializer(m->main, &(NewTensor){.name = STR("q"), .type = 2, .rank = 1,
                                               .dims = (int64_t[]){2000}, .size = 2000, .tag = 4});
    Layout l = lay_out(m);
    Str bytes = assemble(&l, 0);
    check(&l, bytes, STR(""), NULL);
    check(&l, damaged(bytes, 0), STR(""), "other bytes");
    check(&l, damaged(bytes, bytes.len - 2010), STR(""), "other bytes");
    check(&l, str_slice(bytes, 0, bytes.len - 1), STR(""), "another size");
    check(&l, damaged(bytes, bytes.len - 1), STR(""), NULL); /* a weight: exec's business */
    assert_true(model_layout(m, &(LayoutOptions){.external = true, .data_name = STR("d")}, &l));
    bytes = assemble(&l, 0);
    const Str data = assemble(&l, 1);
    check(&l, bytes, data, NULL);
    check(&l, bytes, str_slice(data, 0, data.len - 1), "another size");
    check(&l, bytes, damaged(data, 20001), "other bytes"); /* padding */
    /* a weight planned where no tensor is */
    for (size_t i = 0; i < l.pieces.len; i++) {
        if (l.pieces.at[i].kind == PIECE_TENSOR) {
            l.pieces.at[i].size--;
            break;
        }
    }
    check(&l, bytes, data, "belongs to no tensor");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(pieces),       TEST(data_file), TEST(over_the_limit), TEST(nothing_can_leave),
        TEST(reading_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
