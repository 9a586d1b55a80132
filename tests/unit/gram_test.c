/* Losses against plain double loops, and what is not finite. */
#include "unit.h"
#include "random_layer.h"
#include "many_threads.h"
#include "runtime/calib/gram.h"

static void losses_are_the_errors_of_the_output(void **state) {
    (void)state;
    RandomLayer l = random_layer(70, 50, 80, true);
    float *q = arena_many(l.arena, float, 70 * 50), *d = arena_many(l.arena, float, 70 * 50);
    for (int i = 0; i < 70 * 50; i++) {
        q[i] = l.w[i] + random_bell() / 100;
        d[i] = q[i] - l.w[i];
    }
    const float *g = gram_narrow(l.arena, l.gram, 50);
    const Spread threads = many_threads(3);
    double losses[70], again[70], loss = 0;
    assert_true(gram_losses(g, d, 70, 50, losses, l.arena, &threads));
    assert_true(gram_losses(g, d, 70, 50, again, l.arena, NULL));
    for (int i = 0; i < 70; i++) {
        loss += losses[i];
    }
    assert_true(fabs(loss - plain_loss(&l, q)) < 1e-4 * loss);
    assert_memory_equal(losses, again, sizeof losses); /* with and without threads */
    arena_close(l.arena);
}

static void a_nan_is_the_worst_loss(void **state) {
    (void)state;
    Arena *arena = arena_open();
    const float g[4] = {1, 0, 0, 1}, d[6] = {NAN, 0, 0, 0, INFINITY, 1};
    double losses[3];
    assert_true(gram_losses(g, d, 3, 2, losses, arena, NULL));
    assert_true(losses[0] == INFINITY && losses[1] == 0 && losses[2] == INFINITY);
    arena_close(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(losses_are_the_errors_of_the_output),
                                       cmocka_unit_test(a_nan_is_the_worst_loss)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
