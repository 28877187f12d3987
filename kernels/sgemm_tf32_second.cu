/*
 * TF32 kernels for Hopper behind a product that may have been done already (launch_one.c): the same code, run or left
 * as the device chose. Kernels of their own, so that those of sgemm_tf32_wgmma.cu are asked nothing.
 */
#include "sgemm_tf32_wgmma.cuh"
#include "split.h"
#include "tf32_second.h"

#define KERNEL_FOR(name, way)                                                                                          \
    KERNEL_OF(struct tf32_second_args, name, 384, 1) {                                                                 \
        static __shared__ uint64_t barriers[2 * tile<SPLIT_TILE_M, SPLIT_TILE_N, way>::STAGES];                        \
        SHARED_MEMORY(shared);                                                                                         \
        grid_wait();                                                                                                   \
        if (*args.choice == SPLIT_TF32)                                                                                \
            sgemm_tf32_wgmma<SPLIT_TILE_M, SPLIT_TILE_N, way>(args.of_all, 0, (uint8_t *)shared, barriers);            \
    }
KERNEL_FOR(sgemm_tf32_second_m, TF32_A_ALONG_M)
KERNEL_FOR(sgemm_tf32_second_k, TF32_A_ALONG_K)
