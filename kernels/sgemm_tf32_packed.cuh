/*
 * The family TF32_PACKED: TF32 tensor cores by mma.sync, sm_80 and up, of operands that a pass has rounded and packed
 * into fragments (tf32_fragments.h). Contract tf32. One CTA computes a BM x BN tile of C over its slice of K.
 *
 *   CTA tile     BM x BN, k in steps of 32, STAGES of them in shared memory, filled by 16-byte cp.async
 *   warp tile    (4 TM) x (8 TN)
 *   lanes        hold of it what a thread of the SIMT family's would, so that the epilogue is the same: the
 *                instruction's 16 rows are columns of C and its 8 columns rows of C
 */
#ifndef FASTGEMM_SGEMM_TF32_PACKED_CUH
#define FASTGEMM_SGEMM_TF32_PACKED_CUH

#include "epilogue.cuh"
#include "packed_pipeline.cuh"
#include "tf32_fragments.h"

template <int BM, int BN, int TM, int TN, int STAGES> DEVICE void sgemm_tf32_packed(const struct gemm_args &args) {
    static const int WARPS_M = BM / (4 * TM);
    SHARED_MEMORY(shared);
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, c = lane % 4;
    const int warp_m = warp % WARPS_M * 4 * TM, warp_n = warp / WARPS_M * 8 * TN;

    int tile_m, tile_n;
    raster_tile(args, blockIdx.x, &tile_m, &tile_n);
    const int m0 = tile_m * BM, n0 = tile_n * BN;
    const int split = blockIdx.y, batch = blockIdx.z;
    const int64_t k_begin = (int64_t)split * args.k_per_split;
    const int k_count = min(args.k - (int)k_begin, args.k_per_split);

    packed_pipeline<BM, BN, TM, TN, STAGES, 4 * TF32_FRAGMENT_K, 0> p;
    p.init((const char *)(args.a + batch * args.stride_a + k_begin * args.lda + m0 * TF32_FRAGMENT_K),
           (const char *)(args.b + batch * args.stride_b + k_begin * args.ldb + n0 * TF32_FRAGMENT_K), args.lda,
           args.ldb, warp_m, warp_n, shared_at(shared));
    float acc[TN][TM];
#pragma unroll
    for (int j = 0; j < TN; j++)
#pragma unroll
        for (int i = 0; i < TM; i++) acc[j][i] = 0.0f;
    p.run(acc, (k_count + TF32_FRAGMENT_K - 1) / TF32_FRAGMENT_K);
    /* The lane of the SIMT family's order that stands at row c and column g of the lanes. */
    const int stands = c << 1 | (g & 1) | g >> 1 << 3;
    store_tile<TM, TN>(args, shared + warp * stage_floats<TM>(), acc, m0 + warp_m, n0 + warp_n, split, batch, stands);
}

#endif
