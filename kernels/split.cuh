/*
 * What the kernels of a split product share: how they are declared, and numbers by their bits.
 */
#ifndef FASTGEMM_SPLIT_CUH
#define FASTGEMM_SPLIT_CUH

#include "device.cuh"
#include "split.h"

#define KERNEL_OF(type, name, threads, ctas_per_sm)                                                                    \
    extern "C" __global__ void __launch_bounds__(threads, ctas_per_sm) name(const __grid_constant__ type args)

DEVICE uint32_t float_bits(float x) { return __float_as_uint(x); }
DEVICE float bits_float(uint32_t bits) { return __uint_as_float(bits); }

/* 2^exponent, for a normal result. */
DEVICE float power_of_two(int exponent) { return bits_float((uint32_t)(exponent + 127) << 23); }

/* x 2^exponent, rounded once, |exponent| up to 252: two steps, since no factor may leave the range of fp32. */
DEVICE float times_power_of_two(float x, int exponent) {
    int half = exponent / 2;
    return x * power_of_two(half) * power_of_two(exponent - half);
}

#endif
