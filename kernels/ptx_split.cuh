/*
 * PTX for operands that are split into planes in registers and multiplied by warps (sm_80 and up), each with its
 * plain-C twin. PTX ISA, "Warp Level Matrix Instructions: mma.m16n8k16" and "Data Movement: cvt".
 *
 * With g = lane / 4 and c = lane % 4 a lane holds, of a 16 x 16 by 16 x 8 product, in each word a pair along k:
 *   a   (g, 2c), (g + 8, 2c), (g, 2c + 8), (g + 8, 2c + 8)
 *   b   (2c, g), (2c + 8, g)
 *   d   (g, 2c), (g, 2c + 1), (g + 8, 2c), (g + 8, 2c + 1)
 */
#ifndef FASTGEMM_PTX_SPLIT_CUH
#define FASTGEMM_PTX_SPLIT_CUH

#include "ptx_mma.cuh"

#ifdef FASTGEMM_SIM

/* Two floats, rounded to the nearest of 8 bits; the first in the low half. */
DEVICE uint32_t sim_bf16(float x) {
    const uint32_t bits = __float_as_uint(x), up = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    return x == x ? up : 0x7fff;
}
DEVICE uint32_t cvt_bf16x2(float low, float high) {
    return sim_bf16(low) | sim_bf16(high) << 16;
}
DEVICE uint32_t cvt_f16x2(float low, float high) {
    const _Float16 pair[2] = {(_Float16)low, (_Float16)high};
    uint32_t word;
    memcpy(&word, pair, sizeof word);
    return word;
}
DEVICE float float_of_f16(uint32_t low_half) {
    return sim_float_of_half((uint16_t)low_half);
}

template <bool F16> DEVICE void mma_m16n8k16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    sim_mma(F16 ? SIM_MMA_F16 : SIM_MMA_BF16, a, b, d);
}

/* a: (g, c); b: (c, g); d: (g, 2c), (g, 2c + 1). */
DEVICE void mma_m8n8k4_f64(double (&d)[2], double a, double b) {
    const int g = sim_lane() / 4, c = sim_lane() % 4;
    double row[4];
    const uint64_t mine[2] = {sim_bits<uint64_t>(a), sim_bits<uint64_t>(b)};
    sim_warp_meet("mma", 0xffffffffu, mine, 2);
    for (int k = 0; k < 4; k++) row[k] = sim_bits<double>(sim_warp_values(4 * g + k)[0]);
    for (int j = 0; j < 2; j++)
        for (int k = 0; k < 4; k++) d[j] = fma(row[k], sim_bits<double>(sim_warp_values(4 * (2 * c + j) + k)[1]), d[j]);
}

#else

DEVICE void mma_m8n8k4_f64(double (&d)[2], double a, double b) {
    asm volatile("mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64 {%0, %1}, {%2}, {%3}, {%0, %1};"
                 : "+d"(d[0]), "+d"(d[1])
                 : "d"(a), "d"(b));
}

DEVICE uint32_t cvt_bf16x2(float low, float high) {
    uint32_t pair;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    return pair;
}
DEVICE uint32_t cvt_f16x2(float low, float high) {
    uint32_t pair;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    return pair;
}
DEVICE float float_of_f16(uint32_t low_half) {
    float x;
    asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"((uint16_t)low_half));
    return x;
}

/* d += a b. */
template <bool F16> DEVICE void mma_m16n8k16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    if (F16)
        asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
                     "{%0, %1, %2, %3};"
                     : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
    else
        asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
                     "{%8, %9}, {%0, %1, %2, %3};"
                     : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

#endif
#endif
