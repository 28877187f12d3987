/* The TF32 wgmma family's kernels: for each variant of variants.h, A along k and A along m. */
#include "sgemm_tf32_wgmma.cuh"
#include "variants.h"

#define KERNEL_FOR(name, bm, bn, along_k)                                                                              \
    extern "C" __global__ void __launch_bounds__(384, 1) name(const __grid_constant__ struct tf32_args args) {         \
        static __shared__ uint64_t barriers[2 * tile<bm, bn>::STAGES];                                                 \
        SHARED_MEMORY(shared);                                                                                         \
        sgemm_tf32_wgmma<bm, bn, along_k>(args, (uint8_t *)shared, barriers);                                          \
    }

#define VARIANT(name, family, contract, arch, bm, bn, ...)                                                             \
    KERNEL_FOR(name##_k, bm, bn, 1)                                                                                    \
    KERNEL_FOR(name##_m, bm, bn, 0)
GEMM_TF32_WGMMA_VARIANTS(VARIANT)
