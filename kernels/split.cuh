/*
 * What the kernels of a split product share: numbers by their bits.
 */
#ifndef FASTGEMM_SPLIT_CUH
#define FASTGEMM_SPLIT_CUH

#include "device.cuh"
#include "split.h"

DEVICE uint32_t float_bits(float x) {
    return __float_as_uint(x);
}
DEVICE float bits_float(uint32_t bits) {
    return __uint_as_float(bits);
}

/* 2^exponent, for a normal result. */
DEVICE float power_of_two(int exponent) {
    return bits_float((uint32_t)(exponent + 127) << 23);
}

/* 1 / x for a power of two whose inverse is normal too; NaN for NaN. */
DEVICE float inverse_power_of_two(float x) {
    return x == x ? bits_float((254u << 23) - float_bits(x)) : x;
}

DEVICE float nan_float(void) {
    return bits_float(0x7fffffffu);
}

/*
 * Where the floats of k = 4 piece .. 4 piece + 3 lie in a unit of SPLIT_EXACT: neither 8 rows nor 2 x 4 pieces meet in
 * a bank.
 */
DEVICE int exact_offset(int row, int piece) {
    return row * 128 + (piece ^ (row % 2 * 4 | row / 2 % 4)) * 16;
}

#endif
