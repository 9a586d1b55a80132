/* The loops of lanes_body.h that depend on the element format, made from the rows of formats.list:
 * quotients to codes, without and with what the codes decode to; and, for METHOD_MSE, the error
 * with divisors of each weight or of a run, and about how large it is with every ratio. Included
 * there and nowhere else. */

#undef FORMAT
#define FORMAT(name, doc)                                                                          \
    static void encode_##name(const float *restrict x, int64_t n, uint8_t *restrict codes) {       \
        for (int64_t i = 0; i < n; i++) {                                                          \
            codes[i] = (uint8_t)name##_encode(x[i]);                                               \
        }                                                                                          \
    }                                                                                              \
    static void encode_values_##name(const float *restrict x, int64_t n, uint8_t *restrict codes,  \
                                     float *restrict v) {                                          \
        for (int64_t i = 0; i < n; i++) {                                                          \
            codes[i] = (uint8_t)name##_encode(x[i]);                                               \
            v[i] = name##_nearest(x[i]);                                                           \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    INLINE uint32_t error_of_##name(float w, float s, float r, float z, float unit) {              \
        const float x = quotient_of(name##_ASYMMETRIC, w, s, r, z);                                \
        return k_error(w, restored(name##_ASYMMETRIC, name##_nearest(x), s, z), unit);             \
    }                                                                                              \
    static void error_each_##name(                                                                 \
        const Single *restrict w, const float *restrict s, const float *restrict r,                \
        const float *restrict z, const float *restrict unit, int64_t n, uint64_t *restrict sums) { \
        for (int64_t i = 0; i < n; i++) {                                                          \
            sums[i] += error_of_##name(w[i], s[i], r[i], z[i], unit[i]);                           \
        }                                                                                          \
    }                                                                                              \
    static uint64_t error_run_##name(const Single *restrict w, float s, float r, float z,          \
                                     float unit, int64_t n) {                                      \
        uint64_t sum = 0;                                                                          \
        for (int64_t i = 0; i < n; i++) {                                                          \
            sum += error_of_##name(w[i], s, r, z, unit);                                           \
        }                                                                                          \
        return sum;                                                                                \
    }                                                                                              \
    static void measure_##name(const Single *restrict w, int64_t n, Tries *restrict t) {           \
        float s[TRIES];                                                                            \
        for (int64_t j = 0; j < TRIES; j++) {                                                      \
            s[j] = t->s[j] * t->unit;                                                              \
        }                                                                                          \
        for (int64_t at = 0, end; at < n; at = end) {                                              \
            float first[TRIES] = {0}, second[TRIES] = {0};                                         \
            end = n - at < MEASURED ? n : at + MEASURED;                                           \
            for (int64_t i = at; i < end; i++) {                                                   \
                const float part = w[i] * t->unit;                                                 \
                for (int64_t j = 0; j < TRIES; j++) {                                              \
                    const float z = name##_ASYMMETRIC ? t->z[j] : 0.0f;                            \
                    const float x = w[i] * t->r[j];                                                \
                    const float v = name##_nearest(name##_ASYMMETRIC ? k_rint(x) + z : x);         \
                    const float e = k_abs(part - (name##_ASYMMETRIC ? v - z : v) * s[j]);          \
                    first[j] += e;                                                                 \
                    second[j] += e * e;                                                            \
                }                                                                                  \
            }                                                                                      \
            for (int64_t j = 0; j < TRIES; j++) {                                                  \
                t->first[j] += (double)first[j];                                                   \
                t->second[j] += (double)second[j];                                                 \
            }                                                                                      \
        }                                                                                          \
    }                                                                                              \
    static void error_##name(const Single *w, Divisors d, const float *unit, int64_t n,            \
                             int64_t length, uint64_t *sums) {                                     \
        if (length == 1) {                                                                         \
            error_each_##name(w, d.s, d.r, d.z, unit, n, sums);                                    \
            return;                                                                                \
        }                                                                                          \
        for (int64_t at = 0, run = 0; at < n; at += length, run++) {                               \
            sums[run] += error_run_##name(w + at, d.s[run], d.r[run], d.z[run], unit[run],         \
                                          n - at < length ? n - at : length);                      \
        }                                                                                          \
    }
#include "kernels/formats.list"
#undef FORMAT
#define FORMAT(name, doc) {encode_##name, encode_values_##name, error_##name, measure_##name},
static const FormatLanes format_lanes[] = {
#include "kernels/formats.list"
};
