/* schedule: its text, and what schedule_check refuses. */
#include "tests/unit/unit.h"
#include "runtime/exec/schedule.h"

static Session *s;
static Input input;

static int open_session(void **state) {
    (void)state;
    s = session_open(&sys_real);
    input = (Input){.path = STR("model.onnx"), .size = 100};
    return 0;
}

static int close_session(void **state) {
    (void)state;
    session_close(s);
    return 0;
}

/* 10 bytes of memory, 20 of input, codes and scales of int4 per block(32) on [64, 4]; 5 in a
 * second file. */
static Schedule small(void) {
    Schedule c = {0};
    vec_push(s->arena, &c.files, (ScheduleFile){STR("out.onnx"), 10 + 20 + 128 + 16});
    vec_push(s->arena, &c.files, (ScheduleFile){STR("out.data"), 5});
    vec_push(s->arena, &c.jobs,
             (ScheduleJob){.kernel = {.source = 10, .count = 256, .format = format_find("int4", 4),
                                      .granule = GRANULE_BLOCK, .view = {1, 64, 4}, .block = 32,
                                      .scale_type = 10, .metrics = true, .prune = PRUNE_NM,
                                      .keep = 2, .group = 4, .prune_view = {1, 64, 4}},
                           .source = "", .name = STR("w\x1b")});
    vec_push(s->arena, &c.segments, (ScheduleSegment){SEGMENT_MEMORY, 0, 0, 10, {.data = "0123456789"}});
    vec_push(s->arena, &c.segments, (ScheduleSegment){SEGMENT_INPUT, 0, 10, 20, {.data = NULL}});
    vec_last(&c.segments).input = &input;
    vec_last(&c.segments).input_offset = 80;
    vec_push(s->arena, &c.segments, (ScheduleSegment){SEGMENT_KERNEL, 0, 30, 128, {.data = NULL}});
    vec_last(&c.segments).job = 0;
    vec_last(&c.segments).out = OUT_CODES;
    vec_push(s->arena, &c.segments, (ScheduleSegment){SEGMENT_KERNEL, 0, 158, 16, {.data = NULL}});
    vec_last(&c.segments).job = 0;
    vec_last(&c.segments).out = OUT_SCALES;
    vec_push(s->arena, &c.segments, (ScheduleSegment){SEGMENT_MEMORY, 1, 0, 5, {.data = "01234"}});
    return c;
}

static void text_is_stable(void **state) {
    (void)state;
    Schedule c = small();
    Buf b = buf_on(s->arena);
    schedule_print(&c, &b);
    assert_string_equal(b.data,
                        "job 0 \"w\\x1b\" f16 x 256 prune 2:4 [1, 64, 4] -> int4 per block(32) "
                        "[1, 64, 4] scale f16 metrics\n"
                        "file 0 out.onnx 174 bytes\n"
                        "  0 +10 memory\n"
                        "  10 +20 input model.onnx at 80\n"
                        "  30 +128 job 0 codes\n"
                        "  158 +16 job 0 scales\n"
                        "file 1 out.data 5 bytes\n"
                        "  0 +5 memory\n");
}

static void broken_rules_are_named(void **state) {
    (void)state;
    Schedule c = small();
    assert_null(schedule_check(&c));
    c.segments.at[1].offset = 11;
    assert_string_equal(schedule_check(&c), "segments leave a hole or overlap");
    c = small();
    c.segments.at[1].input_offset = 81;
    assert_string_equal(schedule_check(&c), "an input segment lies outside its file");
    c = small();
    c.segments.at[1].input_offset = UINT64_MAX;
    assert_string_equal(schedule_check(&c), "an input segment lies outside its file");
    c = small();
    c.segments.at[2].job = 1;
    assert_string_equal(schedule_check(&c), "a kernel segment names no job");
    c = small();
    c.segments.at[2].out = OUT_SCALES;
    assert_string_equal(schedule_check(&c), "a kernel segment has not the size of its output");
    c = small();
    c.files.at[0].size++;
    assert_string_equal(schedule_check(&c), "segments do not fill their file");
    c = small();
    c.segments.at[4].file = 2;
    assert_string_equal(schedule_check(&c), "segments do not fill their file");
    c = small();
    c.files.len = 1;
    assert_string_equal(schedule_check(&c), "segments are not in the order of their files");
    c = small();
    vec_push(s->arena, &c.jobs, c.jobs.at[0]);
    assert_string_equal(schedule_check(&c), "nothing of a job is stored");
    c = small();
    c.segments.at[0].data = NULL;
    assert_string_equal(schedule_check(&c), "a memory segment has no bytes");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_stable),
        cmocka_unit_test(broken_rules_are_named),
    };
    return cmocka_run_group_tests(tests, open_session, close_session);
}
