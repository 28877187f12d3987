/*
 * Division by a number that a launch knows beforehand, as a multiplication: a few instructions where the device has no
 * single one, for the index arithmetic between tiles. Granlund and Montgomery, "Division by invariant integers using
 * multiplication" (1994): exact for every dividend below 2^31. Plain C, and device code.
 */
#ifndef FASTGEMM_FAST_DIVISION_H
#define FASTGEMM_FAST_DIVISION_H

#include <stdint.h>

#ifdef __CUDACC__
#define FAST_DIVISION_INLINE __device__ __forceinline__
#else
#define FAST_DIVISION_INLINE static inline
#endif

struct fast_divisor {
    int value;
    uint32_t multiplier, shift;
};

/* By 1 <= value < 2^31. */
static inline struct fast_divisor fast_divisor_of(int value) {
    struct fast_divisor d = {.value = value, .multiplier = 0, .shift = 0};
    while ((int64_t)1 << d.shift < value) d.shift++;
    d.multiplier = (uint32_t)(((uint64_t)((((int64_t)1 << d.shift) - value)) << 32) / (uint64_t)value + 1);
    return d;
}

FAST_DIVISION_INLINE int fast_quotient(int dividend, struct fast_divisor d) {
#ifdef __CUDA_ARCH__
    const uint32_t high = __umulhi((uint32_t)dividend, d.multiplier);
#else
    const uint32_t high = (uint32_t)((uint64_t)(uint32_t)dividend * d.multiplier >> 32);
#endif
    return (int)((high + (uint32_t)dividend) >> d.shift);
}

#endif
