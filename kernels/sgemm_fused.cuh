/*
 * The product of operands that are split on their way into shared memory (fused.h), contract fp32.
 *
 *   CTA tile    128 m x 128 n x 64 k; wgmma's rows are BLAS's n, so that a thread's accumulators lie along m
 *   warpgroups  two consumers of 64 n each; two converters, of A and of B
 *   converters  a warp takes 32 rows: the copy engine brings their block, where rows are multiples of 16 bytes, else
 *               each thread what it will read itself (cp.async), while the block before goes through the registers into
 *               a stage of planes
 *   grid        persistent: as many CTAs as there are SMs, or work items (tile, split, batch) if fewer
 *
 * The order of k within a block is free as long as both operands share it. A piece, 16 bytes of a plane's row, holds k
 * = 4 p .. 4 p + 3 and 32 more: then eight threads read a row of 64 k in whole lines.
 *
 * What was tried on an H200: blocks read into registers while the one before is converted share a scoreboard with it,
 * and wait for memory twice a block; two pieces converted at a time instead of one: 3.2 to 2.6 us a block.
 *
 * Whoever has read or written shared memory arrives at the barrier itself. One lane for its warp, after __syncwarp,
 * would be in order too, and no faster, but compute-sanitizer's racecheck does not follow it.
 */
#ifndef FASTGEMM_SGEMM_FUSED_CUH
#define FASTGEMM_SGEMM_FUSED_CUH

#include "fused_convert.cuh"
#include "fused_exact.cuh"
#include "fused_multiply.cuh"
#include "fused_store.cuh"

DEVICE void consume(const struct fused_args &args, struct fused_ring ring, int warpgroup, int thread) {
    const int count = fused_work_count(args), lane = thread % 32, warp = warpgroup * 4 + thread / 32;
    const int row = warp / 2 * 32 + lane / 4 * 4 + warp % 2 * 2; /* whose place is warp * 16 + lane / 4 */
    float acc[64];
    for (int index = blockIdx.x; index < count; index += gridDim.x) {
        const struct fused_work w = fused_work_item(args, index);
        const int m = w.tile_m * FUSED_TILE + lane % 4 * 8, n = w.tile_n * FUSED_TILE + row;
        if (args.gemm.k <= FUSED_FINE_K)
            consume_all<1>(acc, w, &ring, warpgroup, thread, row);
        else
            consume_all<0>(acc, w, &ring, warpgroup, thread, row);
        /* C is left as it is until all is well. */
        const bool partial = args.gemm.partial;
        store_sums<0, 4>(args.gemm, output_in(args.gemm, partial, w.split, w.batch), acc, m, n, partial);
        if (!partial) finish_half(args.gemm, w, warpgroup, thread);
    }
}

#endif
