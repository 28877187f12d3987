/* The TF32 wgmma family's kernels: for each variant of variants.h one for each way in which A may lie. */
#include "one_variant.h"
#include "sgemm_tf32_wgmma.cuh"
#include "variants.h"

#define KERNEL_FOR(name, bm, bn, way, type, of_all, shifted)                                                           \
    extern "C" __global__ void __launch_bounds__(384, 1) name(const __grid_constant__ struct type args) {              \
        static __shared__ uint64_t barriers[2 * tile<bm, bn, way>::STAGES];                                            \
        SHARED_MEMORY(shared);                                                                                         \
        sgemm_tf32_wgmma<bm, bn, way>(of_all, shifted, (uint8_t *)shared, barriers);                                   \
    }

#define EACH(name, bm, bn)                                                                                             \
    KERNEL_FOR(name##_m, bm, bn, TF32_A_ALONG_M, tf32_args, args, 0)                                                   \
    KERNEL_FOR(name##_k, bm, bn, TF32_A_ALONG_K, tf32_args, args, 0)                                                   \
    KERNEL_FOR(name##_s, bm, bn, TF32_A_SHIFTED, tf32_shifted_args, args.of_all, &args)
#define VARIANT(name, family, contract, arch, bm, bn, ...) GEMM_WANTED(name, EACH)(name, bm, bn)
GEMM_TF32_WGMMA_VARIANTS(VARIANT)
