/* assemble: what kernel ops say becomes the Kernel that exec runs. */
#include "tests/unit/unit.h"
#include "compiler/assemble.h"
#include "compiler/ir_text.h"

static Kernel kernel_of(Session *s, const char *weight, const char *attrs) {
    Str text = str_format(s->arena,
                          "mor.ir 1\nopset 1 -> 1\nemit qdq\ngroup \"w\"\n"
                          "%%0 = weight graph=0 uses=1 : %s\n%%1 = kernel %%0 %s\n",
                          weight, attrs);
    Ir *ir;
    if (!ir_parse(s, source_make(s->arena, STR("x.ir"), text, true), &ir)) {
        fail_msg("%s", unit_diags(s));
    }
    return assemble_kernel(ir->groups.at[0]->ops.at[1], true);
}

static void assert_view(KernelView v, int64_t outer, int64_t axis, int64_t inner) {
    assert_int_equal(v.outer, outer);
    assert_int_equal(v.axis, axis);
    assert_int_equal(v.inner, inner);
}

static void blocks_and_masks_run_along_their_axes(void **state) {
    (void)state;
    Session *s = session_open(&sys_real);
    Kernel k = kernel_of(s, "f16[8, 32, 3, 5]",
                         "out=\"codes\" prune=nm keep=2 group=4 prune_axis=1 format=int4 "
                         "granule=block axis=1 block=16 scale=f16 method=mse layout=nbits");
    assert_int_equal(k.source, 10);
    assert_int_equal(k.count, 8 * 32 * 15);
    assert_int_equal(k.prune, PRUNE_NM);
    assert_int_equal(k.keep, 2);
    assert_int_equal(k.group, 4);
    assert_view(k.prune_view, 8, 32, 15);
    assert_string_equal(k.format->name, "int4");
    assert_int_equal(k.granule, GRANULE_BLOCK);
    assert_int_equal(k.block, 16);
    assert_view(k.view, 8, 32, 15);
    assert_int_equal(k.scale_type, 10);
    assert_int_equal(k.method, METHOD_MSE);
    assert_int_equal(k.layout, LAYOUT_NBITS);
    assert_true(k.metrics);
    session_close(s);
}

static void channels_tensors_and_fractions(void **state) {
    (void)state;
    Session *s = session_open(&sys_real);
    Kernel k = kernel_of(s, "f64[7, 3]", "out=\"codes\" prune=ratio fraction=0.5 format=e4m3 "
                                         "granule=channel axis=1 scale=e8m0 method=max");
    assert_int_equal(k.prune, PRUNE_RATIO);
    assert_int_equal(k.zeros, 11); /* 10.5 rounds up */
    assert_int_equal(k.granule, GRANULE_CHANNEL);
    assert_view(k.view, 7, 3, 1);
    assert_int_equal(k.scale_type, 24);
    assert_int_equal(k.layout, LAYOUT_ONNX);
    k = kernel_of(s, "f32[]", "out=\"codes\" format=int8 granule=tensor scale=f32 method=max");
    assert_int_equal(k.granule, GRANULE_TENSOR);
    assert_view(k.view, 1, 1, 1);
    k = kernel_of(s, "f32[4, 6]", "out=\"codes\" prune=nm keep=1 group=2 prune_axis=0");
    assert_null(k.format);
    assert_view(k.prune_view, 1, 4, 6);
    session_close(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_and_masks_run_along_their_axes),
        cmocka_unit_test(channels_tensors_and_fractions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
