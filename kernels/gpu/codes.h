/* Codes of quotients, packed. What a format's encode and a packing loop say, for formats where
 * there is a shorter way to the same bits; everything else takes the plain way. */
#ifndef KERNELS_GPU_CODES_H
#define KERNELS_GPU_CODES_H
#include "kernels/gpu/granule.h"

/* Words that n codes fill; the last may be filled in part. */
#define WORDS_OF(n) (((n) * BITS + 31) / 32)

#if INTEGER
/* A code is a digit: clamped and rounded by one addition, it stands in the low bits of a float; the
 * float's other bits are the same for all and are taken off at once, after Horner's rule has put
 * the digits side by side. Signed codes are made positive by 2^(BITS - 1) on the way, which the
 * last exclusive or undoes. */
#define DIGIT_BIAS (ASYMMETRIC ? 0.0f : (float)(1 << (BITS - 1)))
#define DIGIT_LOW (ASYMMETRIC ? -0.0f : -DIGIT_BIAS)
#define DIGIT_ONES (BITS == 8 ? 0x01010101u : BITS == 4 ? 0x11111111u : 0x55555555u)
#define DIGIT_FLIP (ASYMMETRIC ? 0u : DIGIT_ONES << (BITS - 1))

K_FN void encode_codes(const float *x, int32_t n, uint32_t *out) {
    const int32_t in_word = 32 / BITS;
    K_UNROLL
    for (int32_t i = 0; i < n; i += in_word) {
        const int32_t last = n - i < in_word ? n - i : in_word;
        uint32_t word = 0u;
        K_UNROLL
        for (int32_t j = last - 1; j >= 0; j--) {
            float digit = k_clamp(x[i + j], DIGIT_LOW, SCALE_MAX) + (K_ROUND + DIGIT_BIAS);
            word = (word << BITS) + k_bits(digit);
        }
        uint32_t ones = last == in_word ? DIGIT_ONES : DIGIT_ONES & ((1u << last * BITS) - 1u);
        uint32_t flip = last == in_word ? DIGIT_FLIP : DIGIT_FLIP & ((1u << last * BITS) - 1u);
        out[i / in_word] = (word - k_bits(K_ROUND) * ones) ^ flip;
    }
}

#elif JOIN(ELEMENT, _HAS_DIGIT)
/* The same for magnitudes in digits of four bits; a sign is or-ed to its digit. */
K_FN void encode_codes(const float *x, int32_t n, uint32_t *out) {
    K_UNROLL
    for (int32_t i = 0; i < n; i += 8) {
        const int32_t last = n - i < 8 ? n - i : 8;
        uint32_t word = 0u;
        K_UNROLL
        for (int32_t j = last - 1; j >= 0; j--) {
            word = (word << 4) + (JOIN(ELEMENT, _digit)(x[i + j]) | (k_bits(x[i + j]) >> 28 & 8u));
        }
        uint32_t ones = last == 8 ? 0x11111111u : 0x11111111u & ((1u << last * 4) - 1u);
        out[i / 8] = word - k_bits(K_ROUND) * ones;
    }
}

#elif defined __CUDACC_RTC__ && JOIN(ELEMENT, _CVT_ARCH) > 0 && K_ARCH >= JOIN(ELEMENT, _CVT_ARCH)
/* Two conversions at a time, by the instruction that is called like the format. They saturate, and
 * for finite quotients they are the format's encode. */
#define FP8_TEXT_OF(name) #name
#define FP8_TEXT(name) FP8_TEXT_OF(name)
K_FN void encode_codes(const float *x, int32_t n, uint32_t *out) {
    K_UNROLL
    for (int32_t i = 0; i < n; i += 4) {
        uint16_t low, high;
        asm("cvt.rn.satfinite." FP8_TEXT(ELEMENT) "x2.f32 %0, %1, %2;"
            : "=h"(low) : "f"(x[i + 1]), "f"(x[i]));
        asm("cvt.rn.satfinite." FP8_TEXT(ELEMENT) "x2.f32 %0, %1, %2;"
            : "=h"(high) : "f"(x[i + 3]), "f"(x[i + 2]));
        out[i / 4] = (uint32_t)low | (uint32_t)high << 16;
    }
}

#else
K_FN void encode_codes(const float *x, int32_t n, uint32_t *out) {
    K_UNROLL
    for (int32_t i = 0; i < WORDS_OF(n); i++) {
        out[i] = 0u;
    }
    K_UNROLL
    for (int32_t i = 0; i < n; i++) {
        uint32_t code = JOIN(ELEMENT, _encode)(x[i]);
        int32_t bit = i * BITS;
        out[bit / 32] |= code << bit % 32;
        if (bit % 32 + BITS > 32) {
            out[bit / 32 + 1] |= code >> (32 - bit % 32);
        }
    }
}
#endif

/* n weights to packed codes; x is used up. */
K_FN void encode_weights(float *x, int32_t n, Divisor d, uint32_t *out) {
    bring_near(x, n, d);
    K_UNROLL
    for (int32_t i = 0; i < n; i++) {
        x[i] = divide(x[i], d);
        if (ASYMMETRIC) {
            x[i] = k_rint(x[i]) + d.z;
        }
    }
    encode_codes(x, n, out);
}

K_FN uint32_t code_at(const uint32_t *words, int32_t i) {
    int32_t bit = i * BITS;
    uint32_t code = words[bit / 32] >> bit % 32;
    if (bit % 32 + BITS > 32) {
        code |= words[bit / 32 + 1] << (32 - bit % 32);
    }
    return code & ((1u << BITS) - 1u);
}
K_FN float decode_code(uint32_t code, float s, float z) {
    float x = JOIN(ELEMENT, _decode)(code);
    return (ASYMMETRIC ? x - z : x) * s;
}

/* The n codes' values. */
K_FN void decode_codes(const uint32_t *words, int32_t n, Divisor d, float *q) {
    K_UNROLL
    for (int32_t i = 0; i < n; i++) {
        q[i] = decode_code(code_at(words, i), d.s, d.z);
    }
}

/* MatMulNBits stores unsigned codes. */
#define NBITS_FLIP (ASYMMETRIC ? 0u : 1u << (BITS - 1))
K_FN uint32_t nbits_flips(void) {
    uint32_t flips = 0u;
    K_UNROLL
    for (int32_t i = 0; i < 32; i += BITS) {
        flips |= NBITS_FLIP << i;
    }
    return flips;
}

/* n codes to `to`, which is aligned to their whole size: a power of two of bytes, or bytes. */
K_FN void store_codes(uint8_t *to, const uint32_t *words, int32_t n) {
    const int32_t bytes = n * BITS / 8;
    if (bytes % 16 == 0) {
        K_UNROLL
        for (int32_t i = 0; i < bytes / 16; i++) {
            k_store16(to + 16 * i, words + 4 * i);
        }
    } else if (bytes == 8) {
        k_store8(to, words);
    } else if (bytes % 4 == 0) {
        K_UNROLL
        for (int32_t i = 0; i < bytes / 4; i++) {
            k_store4(to + 4 * i, words[i]);
        }
    } else if (bytes % 2 == 0) {
        K_UNROLL
        for (int32_t i = 0; i < bytes / 2; i++) {
            ((uint16_t *)to)[i] = (uint16_t)(words[i / 2] >> 16 * (i % 2));
        }
    } else {
        K_UNROLL
        for (int32_t i = 0; i < bytes; i++) {
            to[i] = (uint8_t)(words[i / 4] >> 8 * (i % 4));
        }
    }
}
#endif
