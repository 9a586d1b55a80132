/* device_choice: what is asked for, what is not worth a GPU, the rule of thumb. Runs on a GPU are
 * in gpu_exec_test, what --device cuda says without one in tests/golden/command. */
#include "compiler/device_choice.h"
#include "kernels/scale.h"
#include "tests/unit/one_session.h"

static const char *unset(const char *name) {
    (void)name;
    return NULL;
}

static DeviceChoice chosen(const char *device, const Schedule *schedule) {
    const Args args = {.device = str_from(device), .gpu = -1};
    DeviceChoice choice;
    assert_true(device_choose(s, &args, schedule, unset, false, NULL, &choice));
    assert_null(choice.gpu);
    assert_str(choice.name, "host");
    return choice;
}

static void add(Schedule *schedule, int64_t count, KernelMethod method) {
    ScheduleJob job = {0};
    job.kernel = (Kernel){.source = K_FLOAT,
                          .count = count,
                          .format = format_find("int8", 4),
                          .granule = GRANULE_CHANNEL,
                          .view = {1, count, 1},
                          .method = method};
    vec_push(s->arena, &schedule->jobs, job);
}

static void reasons(void **state) {
    (void)state;
    Schedule schedule = {0};
    assert_str(chosen("auto", &schedule).why, "there is nothing to compute");
    assert_str(chosen("host", &schedule).why, "as asked");
    add(&schedule, 1 << 20, METHOD_MAX);
    assert_str(chosen("host", &schedule).why, "as asked");
    s->threads = 2;
    assert_str(chosen("auto", &schedule).why,
               "4.0 MiB of weights take less time than a GPU takes to start");
}

static void the_rule_of_thumb(void **state) {
    (void)state;
    Schedule schedule = {0};
    assert_true(device_host_seconds(&schedule, 1) == 0);
    add(&schedule, 1 << 20, METHOD_MAX);
    const double one = device_host_seconds(&schedule, 1);
    assert_true(one > 0);
    assert_true(device_host_seconds(&schedule, 4) == one / 4);
    assert_true(device_host_seconds(&schedule, 0) == one);
    add(&schedule, 1 << 20, METHOD_MSE); /* a search takes some twenty times as long */
    const double both = device_host_seconds(&schedule, 1);
    assert_true(both > 10 * one && both < 50 * one);
    add(&schedule, 1 << 20, METHOD_MSE);
    const double three = device_host_seconds(&schedule, 1);
    assert_true(three - both > 0.999 * (both - one) && three - both < 1.001 * (both - one));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reasons, setup, teardown),
        cmocka_unit_test_setup_teardown(the_rule_of_thumb, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
