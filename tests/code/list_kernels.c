/*
 * Prints the list of kernels as the compiled-code check wants it: kernel, oldest architecture, threads, CTAs per SM,
 * shared memory.
 */
#include <stdio.h>

#include "../../kernels/variants.h"

#define ROW(name, suffix, load_a, load_b)                                                                              \
    printf(#name "_" #suffix " %d %d %d %d\n", gemm_variants[VARIANT_##name].min_arch,                                 \
           gemm_variants[VARIANT_##name].threads, gemm_variants[VARIANT_##name].ctas_per_sm,                           \
           gemm_variant_shared_bytes(&gemm_variants[VARIANT_##name], load_a, load_b));
#define ALL_PAIRS(name, ...)       GEMM_LOADER_PAIRS(ROW, name)
#define FEW_PAIRS(name, ...)       GEMM_FEW_LOADER_PAIRS(ROW, name)
#define STREAM_PAIRS(name, ...)    GEMM_STREAM_PAIRS(ROW, name)
#define UNALIGNED_PAIRS(name, ...) GEMM_UNALIGNED_PAIRS(ROW, name)
#define A_ALONG_M_PAIRS(name, ...) GEMM_A_ALONG_M_PAIRS(ROW, name)

/* One kernel, whatever the loaders. */
#define ONE_ROW(name, ...)                                                                                             \
    printf(#name " %d %d %d %d\n", gemm_variants[VARIANT_##name].min_arch, gemm_variants[VARIANT_##name].threads,      \
           gemm_variants[VARIANT_##name].ctas_per_sm,                                                                  \
           gemm_variant_shared_bytes(&gemm_variants[VARIANT_##name], LOAD_MN4, LOAD_MN4));

/* Kernels that several variants share. */
#define SHARED_ROW(variant, suffix, load_a, load_b)                                                                    \
    printf("sgemm_split_mma_128x128x16_" #suffix " %d %d %d %d\n", gemm_variants[variant].min_arch,                    \
           gemm_variants[variant].threads, gemm_variants[variant].ctas_per_sm,                                         \
           gemm_variant_shared_bytes(&gemm_variants[variant], load_a, load_b));

int main(void) {
    GEMM_SIMT_VARIANTS(ALL_PAIRS)
    GEMM_SLICED_VARIANTS(ALL_PAIRS)
    GEMM_SIMT_FEW_VARIANTS(FEW_PAIRS)
    GEMM_SIMT_FITTED_VARIANTS(ALL_PAIRS)
    GEMM_SIMT_ROWS_VARIANTS(ONE_ROW)
    GEMM_STREAM_VARIANTS(STREAM_PAIRS)
    GEMM_SKINNY_VARIANTS(UNALIGNED_PAIRS)
    GEMM_TF32_MMA_VARIANTS(ALL_PAIRS)
    GEMM_TF32_BATCH_VARIANTS(A_ALONG_M_PAIRS)
    GEMM_TF32_KEPT_VARIANTS(A_ALONG_M_PAIRS)
    GEMM_TF32_PACKED_VARIANTS(ONE_ROW)
    GEMM_FP16X1_MMA_VARIANTS(ONE_ROW)
    GEMM_UNALIGNED_PAIRS(SHARED_ROW, VARIANT_sgemm_fp16x3_mma_128x128x16)
    return 0;
}
