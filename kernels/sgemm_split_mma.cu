/* The kernels of the families FP16X3_MMA and BF16X6_MMA: one for each pair of orders that operands may lie in. */
#include "sgemm_split_mma.cuh"

#define KERNEL_FOR(name, suffix, load_a, load_b)                                                                       \
    KERNEL_OF(struct split_args, name##_##suffix, 256, 1) {                                                            \
        sgemm_split_mma<128, 128, 16, 8, 8, 4, load_a, load_b>(args);                                                  \
    }
GEMM_UNALIGNED_PAIRS(KERNEL_FOR, sgemm_split_mma_128x128x16)
