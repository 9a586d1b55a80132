/* simt: small kernels give what a GPU would give, in any order of threads; what a GPU would hang on
 * or leave undefined aborts with a line that says where. */
#include "tests/unit/unit.h"
#include <pthread.h>
#include <sys/wait.h>
#include "kernels/gpu/threads.h"
#include "tests/fake/simt.h"

enum { THREADS = 128, BLOCKS = 5, WARPS = THREADS / 32, SEEDS = 40 };

static void run(SimtKernel *kernel, uint64_t seed, void *result) {
    simt_run_as(kernel, BLOCKS, THREADS, &result, &(SimtOptions){.seed = seed});
}

/* ---- who runs */

static void count_kernel(void **parameters) {
    uint32_t *counts = parameters[0];
    counts[k_block() * THREADS + k_thread()] += 1u + k_blocks();
}

static void every_thread_runs_once(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        uint32_t counts[BLOCKS * THREADS] = {0};
        run(count_kernel, seed, counts);
        for (int i = 0; i < BLOCKS * THREADS; i++) {
            assert_int_equal(counts[i], 1 + BLOCKS);
        }
    }
}

static void order_kernel(void **parameters) {
    uint32_t *order = parameters[0];
    order[1 + order[0]++] = k_block() * THREADS + k_thread();
}

static void order_is_ascending_unless_a_seed_is_given(void **state) {
    (void)state;
    uint32_t orders[3][1 + BLOCKS * THREADS] = {{0}};
    for (uint64_t seed = 0; seed < 3; seed++) {
        run(order_kernel, seed, orders[seed]);
    }
    for (uint32_t i = 0; i < BLOCKS * THREADS; i++) {
        assert_int_equal(orders[0][1 + i], i);
    }
    assert_memory_not_equal(orders[0], orders[1], sizeof orders[0]);
    assert_memory_not_equal(orders[1], orders[2], sizeof orders[0]);
}

/* ---- calls of a warp */

static void warp_kernel(void **parameters) {
    uint32_t *out = (uint32_t *)parameters[0] + 4u * (k_block() * THREADS + k_thread());
    const uint32_t v = k_thread() * 7u % 32u + 100u * (k_thread() / 32u);
    uint32_t sum = v;
    for (uint32_t m = 16u; m > 0u; m >>= 1) {
        sum += k_xor(sum, m);
    }
    out[0] = sum;
    out[1] = k_warp_max(v);
    out[2] = k_lane(v, 5u);
    out[3] = k_lane(v, (k_thread() + 1u) % 32u); /* each lane may ask for another */
}

static void lanes_exchange_values(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        static uint32_t out[BLOCKS * THREADS][4];
        memset(out, 0, sizeof out);
        run(warp_kernel, seed, out);
        for (uint32_t i = 0; i < BLOCKS * THREADS; i++) {
            const uint32_t thread = i % THREADS, base = 100u * (thread / 32u);
            assert_int_equal(out[i][0], 32u * base + 31u * 32u / 2u);
            assert_int_equal(out[i][1], base + 31u);
            assert_int_equal(out[i][2], base + 5u * 7u % 32u);
            assert_int_equal(out[i][3], base + (thread + 1u) * 7u % 32u);
        }
    }
}

/* ---- calls of a block */

static uint32_t shared[THREADS], partial[WARPS];

static void block_kernel(void **parameters) {
    shared[k_thread()] = k_thread() * k_thread() + k_block();
    k_sync();
    /* the neighbour in the next warp; then a sum over warps */
    const uint32_t other = shared[(k_thread() + 32u) % THREADS];
    const uint32_t largest = k_warp_max(other);
    if (k_thread() % 32u == 0u) {
        partial[k_thread() / 32u] = largest;
    }
    k_sync();
    uint32_t sum = 0;
    for (uint32_t w = 0; w < WARPS; w++) {
        sum += partial[w];
    }
    ((uint32_t *)parameters[0])[k_block() * THREADS + k_thread()] = sum;
}

static void blocks_synchronize(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        uint32_t out[BLOCKS * THREADS] = {0};
        run(block_kernel, seed, out);
        for (uint32_t i = 0; i < BLOCKS * THREADS; i++) {
            uint32_t sum = 0;
            for (uint32_t w = 0; w < WARPS; w++) {
                sum += (w * 32u + 31u) * (w * 32u + 31u) + i / THREADS;
            }
            assert_int_equal(out[i], sum);
        }
    }
}

/* Without the barrier some threads read what was not written yet. */
static void race_kernel(void **parameters) {
    shared[k_thread()] = k_block() * THREADS + k_thread();
    k_warp_max(0);
    ((uint32_t *)parameters[0])[k_block() * THREADS + k_thread()] =
        shared[(k_thread() + 32u) % THREADS];
}

/* ... nor may lanes of a warp rely on their number. */
static void lane_race_kernel(void **parameters) {
    shared[k_thread()] = k_block() * THREADS + k_thread();
    ((uint32_t *)parameters[0])[k_block() * THREADS + k_thread()] = shared[k_thread() ^ 1u];
}

static int wrong_seeds(SimtKernel *kernel) {
    uint32_t outs[SEEDS][BLOCKS * THREADS];
    int wrong = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        memset(shared, 0, sizeof shared);
        run(kernel, seed, outs[seed]);
        wrong += memcmp(outs[seed], outs[0], sizeof outs[0]) != 0;
    }
    return wrong;
}

static void races_show(void **state) {
    (void)state;
    assert_int_equal(wrong_seeds(block_kernel), 0);
    assert_true(wrong_seeds(race_kernel) > SEEDS / 2);
    assert_true(wrong_seeds(lane_race_kernel) > SEEDS / 2);
}

static void reads_shared_kernel(void **parameters) {
    ((uint32_t *)parameters[0])[k_block() * THREADS + k_thread()] = shared[k_thread()];
    k_sync();
    shared[k_thread()] = 0;
}

static void shared_memory_begins_as_rubbish(void **state) {
    (void)state;
    uint32_t out[BLOCKS * THREADS];
    void *parameters[] = {out};
    SimtOptions options = {.shared = shared, .shared_size = sizeof shared};
    simt_run_as(reads_shared_kernel, BLOCKS, THREADS, parameters, &options);
    for (uint32_t i = 0; i < BLOCKS * THREADS; i++) {
        assert_int_equal(out[i], 0xa5a5a5a5u);
    }
    options.seed = 3;
    simt_run_as(reads_shared_kernel, BLOCKS, THREADS, parameters, &options);
    assert_int_not_equal(out[0], out[THREADS]);
}

/* ---- stacks, host threads */

static void deep_kernel(void **parameters) {
    volatile unsigned char local[SIMT_STACK - 8192];
    for (size_t i = 0; i < sizeof local; i++) {
        local[i] = (unsigned char)(k_thread() + i);
    }
    const uint32_t most = k_warp_max(local[sizeof local - 1]);
    uint32_t *wrong = parameters[0];
    for (size_t i = 0; i < sizeof local; i++) {
        *wrong += local[i] != (unsigned char)(k_thread() + i);
    }
    *wrong += most < local[sizeof local - 1];
}

static void threads_keep_their_locals(void **state) {
    (void)state;
    uint32_t wrong = 0;
    void *parameters[] = {&wrong};
    simt_run(deep_kernel, 1, 64, parameters);
    assert_int_equal(wrong, 0);
}

static void *host_thread(void *user) {
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        run(warp_kernel, seed, user);
    }
    return NULL;
}

static void host_threads_run_side_by_side(void **state) {
    (void)state;
    static uint32_t outs[4][BLOCKS * THREADS][4];
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, host_thread, outs[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_memory_equal(outs[i], outs[0], sizeof outs[0]);
    }
    assert_int_equal(outs[0][1][1], 31);
}

/* ---- what aborts */

static void half_kernel(void **parameters) {
    (void)parameters;
    if (k_thread() % 32u < 16u) {
        k_xor(0, 1u);
    }
}
static void mixed_kernel(void **parameters) {
    (void)parameters;
    if (k_thread() == 70u) {
        k_lane(0, 0);
    } else {
        k_xor(0, 1u);
    }
}
static void sync_or_xor_kernel(void **parameters) {
    (void)parameters;
    if (k_thread() == 3u) {
        k_sync();
    } else {
        k_warp_max(0);
    }
}
static void early_end_kernel(void **parameters) {
    (void)parameters;
    if (k_thread() != 97u) {
        k_sync();
    }
}
static void far_lane_kernel(void **parameters) {
    (void)parameters;
    k_lane(0, k_thread());
}
static void overflow_kernel(void **parameters) {
    (void)parameters;
    volatile unsigned char local[SIMT_STACK + 512];
    for (size_t i = 0; i < sizeof local; i++) {
        local[i] = 0;
    }
}
static void nested_kernel(void **parameters) {
    simt_run(count_kernel, 1, 32, parameters);
}

/* Runs `kernel` in a child: it must abort, and say `message`. */
static void expect_abort(SimtKernel *kernel, unsigned threads, uint64_t seed, const char *message) {
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(fds[1], 2);
        uint32_t result[BLOCKS * THREADS] = {0};
        void *parameters[] = {result};
        signal(SIGABRT, SIG_DFL); /* cmocka would go on with the next test */
        simt_run_as(kernel, 1, threads, parameters, &(SimtOptions){.seed = seed});
        _exit(0);
    }
    close(fds[1]);
    char text[512] = {0};
    size_t size = 0;
    for (ssize_t n; (n = read(fds[0], text + size, sizeof text - 1 - size)) > 0;) {
        size += (size_t)n;
    }
    close(fds[0]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_string_equal(text, message);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void what_a_gpu_would_hang_on_aborts(void **state) {
    (void)state;
    expect_abort(half_kernel, 64, 0,
                 "simt: block 0 of 1, seed 0: divergent warp: thread 0 is at k_xor(), thread 16 at "
                 "its end\n");
    expect_abort(
        mixed_kernel, 96, 0,
        "simt: block 0 of 1, seed 0: divergent warp: thread 64 is at k_xor(), thread 70 at "
        "k_lane()\n");
    expect_abort(
        sync_or_xor_kernel, 32, 9,
        "simt: block 0 of 1, seed 9: divergent warp: thread 0 is at k_warp_max(), thread 3 "
        "at k_sync()\n");
    expect_abort(early_end_kernel, 128, 0,
                 "simt: block 0 of 1, seed 0: deadlock: thread 0 waits at k_sync(), thread 97 has "
                 "ended\n");
}

static void what_is_undefined_aborts(void **state) {
    (void)state;
    expect_abort(far_lane_kernel, 64, 0,
                 "simt: block 0 of 1, seed 0: thread 32 asks k_lane() for lane 32\n");
    expect_abort(overflow_kernel, 32, 0,
                 "simt: block 0 of 1, seed 0: thread 0 needs more than 65536 bytes of stack\n");
    expect_abort(nested_kernel, 32, 0,
                 "simt: block 0 of 1, seed 0: a kernel is launched by a kernel\n");
    expect_abort(count_kernel, 48, 0, "simt: a launch of 1 blocks of 48 threads\n");
    expect_abort(count_kernel, 2048, 0, "simt: a launch of 1 blocks of 2048 threads\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_thread_runs_once),
        cmocka_unit_test(order_is_ascending_unless_a_seed_is_given),
        cmocka_unit_test(lanes_exchange_values),
        cmocka_unit_test(blocks_synchronize),
        cmocka_unit_test(races_show),
        cmocka_unit_test(shared_memory_begins_as_rubbish),
        cmocka_unit_test(threads_keep_their_locals),
        cmocka_unit_test(host_threads_run_side_by_side),
        cmocka_unit_test(what_a_gpu_would_hang_on_aborts),
        cmocka_unit_test(what_is_undefined_aborts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
