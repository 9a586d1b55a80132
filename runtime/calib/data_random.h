/* Values from a seed alone, the same on every machine: each is a function of seed, stream (an input
 * of the model) and index, so any one can be had without those before it.
 *
 * bits(seed, stream, index) = mix(mix(seed + (stream + 1) * G) + (index + 1) * G) with
 * G = 0x9e3779b97f4a7c15 and mix the finalizer of SplitMix64 (Steele, Lea, Flood 2014). Uniform
 * integers below n are the high half of bits * n. Normal values are Acklam's rational approximation
 * of the inverse normal distribution (relative error below 1.2e-9) at ((bits >> 11) + 0.5) / 2^53;
 * its logarithm is our own, so that no libm decides a bit. */
#ifndef RUNTIME_CALIB_DATA_RANDOM_H
#define RUNTIME_CALIB_DATA_RANDOM_H
#include <stdint.h>

uint64_t data_random_mix(uint64_t value);
uint64_t data_random_bits(uint64_t seed, uint64_t stream, uint64_t index);
uint64_t data_random_below(uint64_t bits, uint64_t limit); /* limit >= 1 */
double data_random_normal(uint64_t bits);                  /* mean 0, deviation 1 */

/* A permutation of 0 .. count - 1 that needs no memory: Feistel rounds over the next even power of
 * two, repeated until the result is below count (cycle walking: Black and Rogaway 2002). */
uint64_t data_random_place(uint64_t seed, uint64_t count, uint64_t index);

#endif
