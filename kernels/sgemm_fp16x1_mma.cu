/* The kernels of family FP16X1_MMA: each variant of variants.h. */
#include "sgemm_fp16x1_mma.cuh"
#include "variants.h"

#define VARIANT(name, family, contract, arch, bm, bn, bk, tm, tn, stages, threads, ctas, wide)                         \
    KERNEL_OF(struct fp16_fragments_args, name, threads, ctas) {                                                       \
        sgemm_fp16x1_mma<bm, bn, tm, tn, stages>(args);                                                                \
    }
GEMM_FP16X1_MMA_VARIANTS(VARIANT)
