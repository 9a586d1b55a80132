/* Ranks and extents: declared, by a constant shape, by a Concat, through Transpose and products. */
#include "compiler/known_shape.h"
#include "tests/unit/world.h"

static const char model[] =
    "opset 21\ninput x float 2 6 32\ninput n int64 2\noutput y float 1\nweight w float 32 48\n"
    "weight v float 24 48\nweight s int64 4\nweight t int64 2\nMatMul x w -> a\nGemm a v -> b "
    "transB=1\n"
    "Reshape b s -> c\nTranspose c -> d perm=0,2,3,1\nRelu d -> e\nConcat n t -> f axis=0\n"
    "Reshape e f -> g\nIdentity g -> h\nTanh h -> i\nRelu i -> y\n";

static const int64_t s_is[] = {0, -1, 4, 6}, t_is[] = {3, 8};

static void what_is_known(void **state) {
    (void)state;
    static const struct {
        const char *value;
        int rank, from_end;
        int64_t extent;
    } rows[] = {
        {"x", 3, 1, 32}, {"x", 3, 3, 2},  {"x", 3, 4, -1},  {"x", 3, 0, -1},  {"a", -1, 1, 48},
        {"a", -1, 2, 6}, {"a", -1, 3, 2}, {"b", -1, 1, 24}, {"c", 4, 1, 6},   {"c", 4, 2, 4},
        {"c", 4, 3, -1}, {"c", 4, 4, -1}, {"d", 4, 1, -1},  {"d", 4, 2, 6},   {"d", 4, 3, 4},
        {"e", 4, 3, 4},  {"h", -1, 1, 8}, {"h", -1, 2, 3},  {"h", -1, 3, -1}, {"i", -1, 1, -1},
    };
    World w = world_text(model);
    ((Tensor *)(uintptr_t)graph_value(w.model->main, STR("s"))->constant)->data =
        (const uint8_t *)s_is;
    ((Tensor *)(uintptr_t)graph_value(w.model->main, STR("t"))->constant)->data =
        (const uint8_t *)t_is;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const ValueInfo *value = graph_value(w.model->main, str_from(rows[i].value));
        const int rank = known_rank(value);
        const int64_t extent = known_dim(w.s, value, rows[i].from_end);
        if (rank != rows[i].rank || extent != rows[i].extent) {
            fail_msg("%s: rank %d, %lld at %d", rows[i].value, rank, (long long)extent,
                     rows[i].from_end);
        }
    }
    world_close(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_is_known)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
