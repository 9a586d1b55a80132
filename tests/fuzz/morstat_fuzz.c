/* Fuzz target: any bytes as a .morstat file, as they are and with its size and hash made right. A
 * set that is taken is written as the bytes that it came from, and serves every calibrator. */
#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include "runtime/calib/calibrator.h"
#include "runtime/calib/morstat.h"
#include "runtime/calib/stat_magnitudes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool gather(void *user, const void *bytes, size_t size) {
    buf_add(user, bytes, size);
    return true;
}

static void use(Stat *stat) {
    static const CalibArgs args = CALIB_ARGS_DEFAULT;
    for (int64_t g = 0; g < stat->groups; g++) {
        assert(stat_gram(stat, g) != NULL);
    }
    if (stat->magnitudes && stat->channels <= 64) {
        float s[64];
        double squares[64];
        for (int64_t c = 0; c < stat->channels; c++) {
            s[c] = c % 3 ? 0.25f + (float)c : 1e-4f;
            squares[c] = (double)(c * c);
        }
        Arena *arena = arena_open();
        const Stat *scaled = magnitudes_scaled(arena, stat, s, squares);
        assert(scaled->min <= 0.0f && scaled->max >= 0.0f);
        arena_close(arena);
    }
    /* the two that search, on large histograms, take as long as a thousand other inputs */
    const int count = stat->bins > 4096 ? 2 : calibrator_count;
    for (int i = 0; i < 2 * count; i++) {
        const CalibTarget target = {format_find(i % 2 ? "uint8" : "e4m3", i % 2 ? 5 : 4)};
        CalibRange r;
        if (!calibrator_range(calibrators[i / 2], stat, &target, &args, &r)) {
            assert(isfinite(r.lo) && isfinite(r.hi) && r.lo <= 0.0f && r.hi >= 0.0f);
        }
    }
}

static void check(Str bytes) {
    Session *s = session_open(&sys_real);
    const char *why = NULL;
    Stats *set = morstat_read(s, bytes, NULL, &why);
    assert((set == NULL) == (why != NULL));
    if (set) {
        Buf again = buf_on(s->arena);
        morstat_pieces(set, gather, &again);
        assert(str_eq(buf_view(&again), bytes));
        for (size_t i = 0; i < set->by_name.len; i++) {
            use(stats_at(set, i));
        }
        assert(stats_merge(set, set) == NULL);
    }
    session_close(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    check((Str){(const char *)data, size});
    const size_t hash = crypto_hash_sha256_BYTES, body = size > hash ? size - hash : 0;
    if (body >= 24) { /* signed, whatever it says */
        uint8_t *copy = malloc(size);
        const uint64_t whole = size;
        memcpy(copy, data, size);
        memcpy(copy + 16, &whole, sizeof whole);
        crypto_hash_sha256(copy + body, copy, body);
        check((Str){(const char *)copy, size});
        free(copy);
    }
    return 0;
}
