/* Models for tests, written as protobuf bytes by hand, so that wrong ones can be made as easily as
 * right ones. Everything is on the arena of the session that begin() opened; end() closes it. */
#ifndef TESTS_UNIT_ONNX_BUILD_H
#define TESTS_UNIT_ONNX_BUILD_H
#include <fcntl.h>
#include <sys/mman.h>
#include "runtime/model/model.h"
#include "unit.h"

static Session *S;
static char *DIR_;

static inline int begin(void **state) {
    (void)state;
    S = session_open(&sys_real);
    DIR_ = unit_directory();
    return 0;
}

static inline int end(void **state) {
    (void)state;
    session_close(S);
    unit_remove(DIR_);
    return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

static inline Str join_(const Str *parts, size_t count) {
    Buf b = buf_on(S->arena);
    for (size_t i = 0; i < count; i++) {
        buf_str(&b, parts[i]);
    }
    return buf_view(&b);
}
#define J(...) join_((Str[]){__VA_ARGS__}, sizeof((Str[]){__VA_ARGS__}) / sizeof(Str))

static inline Str F(uint32_t number, Str body) { /* bytes, string or message */
    Buf b = buf_on(S->arena);
    wire_put_bytes(&b, number, body);
    return buf_view(&b);
}

static inline Str I(uint32_t number, uint64_t value) {
    Buf b = buf_on(S->arena);
    wire_put_int(&b, number, value);
    return buf_view(&b);
}

static inline Str T(uint32_t number, const char *text) {
    return F(number, str_from(text));
}

static inline Str raw(const void *bytes, size_t size) {
    return (Str){bytes, size};
}

/* Fields `number`, one per word. */
static inline Str words(uint32_t number, const char *text) {
    Buf b = buf_on(S->arena);
    for (const char *p = text; *p;) {
        const size_t n = strcspn(p, " ");
        wire_put_bytes(&b, number, str_is((Str){p, n}, "-") ? STR("") : (Str){p, n});
        p += n + (p[n] == ' ');
    }
    return buf_view(&b);
}

static inline Str node_(uint32_t field, const char *op, const char *in, const char *out, Str more) {
    return F(field, J(words(1, in), words(2, out), T(4, op), more));
}
#define N(op, in, out, ...) node_(1, op, in, out, J(STR(""), __VA_ARGS__))

static inline Str value(uint32_t field, const char *name, int type) {
    return F(field, J(T(1, name), F(2, F(1, I(1, (uint64_t)type)))));
}

static inline Str attribute_int(const char *name, int64_t v) {
    return F(5, J(T(1, name), I(3, (uint64_t)v), I(20, 2)));
}

static inline Str attribute_graph(const char *name, Str graph) {
    return F(5, J(T(1, name), F(6, graph), I(20, 5)));
}

/* float tensor [n] with elements 0, 1, 2, ... as raw_data; the message without tag */
static inline Str tensor(const char *name, int n) {
    float *f = arena_many(S->arena, float, (size_t)n);
    for (int i = 0; i < n; i++) {
        f[i] = (float)i;
    }
    return J(I(1, (uint64_t)n), I(2, 1), T(8, name), F(9, raw(f, (size_t)n * 4)));
}

static inline Str opset(const char *domain, int64_t version) {
    return J(T(1, domain), I(2, (uint64_t)version));
}

static inline Str model_bytes(Str graph) {
    return J(I(1, 8), F(8, opset("", 17)), F(7, graph));
}

static inline Str path_of(const char *name) {
    return str_format(S->arena, "%s/%s", DIR_, name);
}

static inline Model *open_bytes(Str bytes) {
    static int count;
    const Str path = path_of(str_format(S->arena, "m%d.onnx", count++).data);
    unit_write(path.data, bytes.data, bytes.len);
    return model_open(S, path);
}

/* The model opens. */
static inline Model *good(Str bytes) {
    Model *m = open_bytes(bytes);
    if (!m) {
        fail_msg("%s", unit_diags(S));
    }
    return m;
}

/* The model is refused with this code and a text that contains `part`. */
static inline void refused(Str bytes, const char *code, const char *part) {
    const size_t before = S->diags.errors;
    assert_null(open_bytes(bytes));
    assert_int_equal(S->diags.errors, before + 1);
    const Diag *d = vec_last(&S->diags.all);
    assert_str(d->code, code);
    Buf b = buf_on(S->arena);
    diag_render(d, &b, false);
    if (!strstr(b.data, part)) {
        fail_msg("`%s` is not in: %s", part, b.data);
    }
    S->diags.all.len = 0;
    S->diags.errors = 0;
}

/* Bytes of one file of a layout; weights of tag i are filled with the byte 0xE0 + i. */
static inline Str assemble(const Layout *l, int file) {
    char *out = arena_alloc(S->arena, (size_t)l->size[file] + 1);
    uint64_t at = 0;
    for (size_t i = 0; i < l->pieces.len; i++) {
        const Piece *p = &l->pieces.at[i];
        if (p->file != file) {
            continue;
        }
        assert_int_equal(p->offset, at);
        assert_true(p->size > 0);
        if (p->kind == PIECE_TENSOR) {
            memset(out + at, 0xE0 + (int)p->tag, (size_t)p->size);
        } else {
            memcpy(out + at, p->kind == PIECE_MEMORY ? p->bytes
                                                     : p->input->data + p->input_offset,
                   (size_t)p->size);
        }
        at += p->size;
    }
    assert_int_equal(at, l->size[file]);
    return (Str){out, (size_t)at};
}

static inline Layout lay_out(Model *m) {
    Layout l;
    assert_true(model_layout(m, &(LayoutOptions){.data_name = STR("d.bin")}, &l));
    return l;
}

/* The model with its edits applied, opened again. */
static inline Model *rewritten(Model *m) {
    const Layout l = lay_out(m);
    return good(assemble(&l, 0));
}

#endif
