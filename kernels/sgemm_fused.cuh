/*
 * The product of operands that are split on their way into shared memory (fused.h), contract fp32.
 *
 *   CTA tile    128 m x 128 n x 64 k; wgmma's rows are BLAS's n, so that a thread's accumulators lie along m
 *   warpgroups  two consumers of 64 n each; two converters, of A and of B
 *   converters  each thread copies what it will read itself (cp.async), a block ahead, so that no barrier is needed; a
 *               block goes from there through its registers into a stage of planes
 *   grid        persistent: as many CTAs as there are SMs, or work items (tile, split, batch) if fewer
 *
 * The order of k within a block is free as long as both operands share it. A piece, 16 bytes of a plane's row, holds k
 * = 4 p .. 4 p + 3 and 32 more: then eight threads read a row of 64 k in whole lines.
 *
 * What was tried on an H200: blocks read into registers while the one before is converted share a scoreboard with it,
 * and wait for memory twice a block; two pieces converted at a time instead of one: 3.2 to 2.6 us a block.
 */
#ifndef FASTGEMM_SGEMM_FUSED_CUH
#define FASTGEMM_SGEMM_FUSED_CUH

#include "fused_convert.cuh"
#include "fused_multiply.cuh"
#include "fused_store.cuh"

template <int CHOICE>
DEVICE void consume(const struct fused_args &args, struct fused_ring ring, int warpgroup, int thread) {
    const int count = fused_work_count<CHOICE>(args), lane = thread % 32, warp = warpgroup * 4 + thread / 32;
    const int row = warp / 2 * 32 + lane / 4 * 4 + warp % 2 * 2; /* whose place is warp * 16 + lane / 4 */
    /* The sums of EXACT are rounded but once. */
    const bool partial = args.gemm.partial && (CHOICE != FUSED_EXACT || args.exact_splits > 1);
    float acc[64];
    for (int index = blockIdx.x; index < count; index += gridDim.x) {
        const struct fused_work w = fused_work_item<CHOICE>(args, index);
        const int m = w.tile_m * FUSED_TILE + lane % 4 * 8, n = w.tile_n * FUSED_TILE + row;
        if (CHOICE == FUSED_EXACT) {
            float low[64];
            consume_exact(acc, low, w, &ring, warpgroup, thread);
            if (partial) store_sums<0>(args.gemm, output_in(args.gemm, true, 2 * w.split + 1, w.batch), low, m, n);
        } else if (CHOICE == FUSED_DONE && args.gemm.k <= FUSED_FINE_K) {
            consume_all<FUSED_DONE, 1>(acc, w, &ring, warpgroup, thread, row);
        } else {
            consume_all<CHOICE == FUSED_EXACT ? FUSED_DONE : CHOICE, 0>(acc, w, &ring, warpgroup, thread, row);
        }
        const struct output o = output_in(args.gemm, partial, CHOICE == FUSED_EXACT ? 2 * w.split : w.split, w.batch);
        if (CHOICE != FUSED_DONE && o.s.beta != 0.0f) /* the product leaves C as it is until all is well */
            store_sums<1>(args.gemm, o, acc, m, n);
        else
            store_sums<0>(args.gemm, o, acc, m, n);
        if (partial && CHOICE != FUSED_DONE) add_again<CHOICE>(args, w, warpgroup * WARPGROUP + thread);
        if (finishes(args.gemm) && !partial) {
            if (warpgroup)
                barrier_sync<4>(WARPGROUP);
            else
                barrier_sync<5>(WARPGROUP);
            finish_stored(args.gemm, w.batch, w.tile_m * FUSED_TILE, w.tile_n * FUSED_TILE + warpgroup * 64, thread);
        }
    }
}

#endif
