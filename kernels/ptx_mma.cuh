/*
 * PTX for matrix products on tensor cores by warps (mma.sync, sm_80 and up), each with its plain-C twin. PTX ISA,
 * "Warp Level Matrix Instructions: mma.m16n8k8", and "Data Movement: cvt".
 *
 * With g = lane / 4 and c = lane % 4 a lane holds, of a 16 x 8 by 8 x 8 product:
 *   a   (g, c), (g + 8, c), (g, c + 4), (g + 8, c + 4)
 *   b   (c, g), (c + 4, g)
 *   d   (g, 2c), (g, 2c + 1), (g + 8, 2c), (g + 8, 2c + 1)
 */
#ifndef FASTGEMM_PTX_MMA_CUH
#define FASTGEMM_PTX_MMA_CUH

#include "ptx_shared.cuh"

/*
 * To the nearest of 11 significant bits: half a unit of the last place is added, and what is left of the lower bits is
 * not looked at by the tensor core. In floats, infinities and NaNs stay what they are. Two instructions, which sm_80
 * and sm_89 have no single one for.
 */
DEVICE uint32_t round_to_tf32_by_fma(float x) {
    const float power = __uint_as_float(__float_as_uint(x) & 0xff800000u);
    return __float_as_uint(fmaf(power, 0x1p-11f, x));
}

#ifdef FASTGEMM_SIM

DEVICE float load_shared_4(uint32_t address) {
    return *(const float *)sim_shared_at(address);
}

DEVICE uint32_t round_to_tf32(float x) {
    return round_to_tf32_by_fma(x);
}

DEVICE void mma_m16n8k8_tf32(float &d0, float &d1, float &d2, float &d3, const uint32_t (&a)[4],
                             const uint32_t (&b)[2]) {
    float d[4] = {d0, d1, d2, d3};
    sim_mma(SIM_MMA_TF32, a, b, d);
    d0 = d[0], d1 = d[1], d2 = d[2], d3 = d[3];
}

#else

DEVICE float load_shared_4(uint32_t address) {
    float value;
    asm volatile("ld.shared.f32 %0, [%1];" : "=f"(value) : "r"(address));
    return value;
}

DEVICE uint32_t round_to_tf32(float x) {
#if __CUDA_ARCH__ >= 900
    uint32_t rounded;
    asm volatile("cvt.rn.tf32.f32 %0, %1;" : "=r"(rounded) : "f"(x));
    return rounded;
#else
    return round_to_tf32_by_fma(x);
#endif
}

DEVICE void mma_m16n8k8_tf32(float &d0, float &d1, float &d2, float &d3, const uint32_t (&a)[4],
                             const uint32_t (&b)[2]) {
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
                 "{%0, %1, %2, %3};"
                 : "+f"(d0), "+f"(d1), "+f"(d2), "+f"(d3)
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

#endif
#endif
