/*
 * What a CTA of the TF32 kernels for Hopper works on: which tiles, which part of K, and how its two consumer warpgroups
 * share them.
 */
#ifndef FASTGEMM_TF32_WORK_CUH
#define FASTGEMM_TF32_WORK_CUH

#include "ptx_tf32_sm90.cuh"
#include "ring.cuh"
#include "tf32.h"
#include "tf32_args.h"
#include "tf32_place.h"
#include "tf32_works.h"

static const int CONSUMERS = 2, WARPGROUP = 128, ROWS = 128, NARROW = 32;
static const int SHORT_K = 384;                              /* up to here storing takes longer than multiplying */
static const int STEPS = TF32_TILE_K / 8, BATCH = STEPS / 2; /* of 8 k: in a stage, in half of one */

/* How two warpgroups share the work. */
enum sharing { SIDE_BY_SIDE, TILES_IN_TURNS, STAGES_IN_TURNS };

template <int BM, int BN, int A> struct tile {
    static const enum sharing SHARING = BM != ROWS  ? SIDE_BY_SIDE
                                        : BN == 128 ? TILES_IN_TURNS
                                        : BN <= 64  ? STAGES_IN_TURNS
                                                    : SIDE_BY_SIDE;
    static const bool TOGETHER = SHARING == SIDE_BY_SIDE; /* both read every stage */
    static const int ALONG_M = BM / ROWS;                 /* warpgroups along m */
    static const int N = TOGETHER ? BN * ALONG_M / CONSUMERS : BN;
    static const int READERS = TOGETHER ? CONSUMERS : 1, EVERY = SHARING == STAGES_IN_TURNS ? CONSUMERS : 1;
    static const int SUM_BYTES = SHARING == STAGES_IN_TURNS ? ROWS * BN * 4 : 0; /* of one, for the other */
    static const int A_COPIED = A == TF32_A_SHIFTED ? BM / ROWS * TF32_SLOTS_BYTES : BM * TF32_ROW_BYTES;
    static const int A_BYTES = (A_COPIED + 1023) / 1024 * 1024, B_BYTES = BN * TF32_ROW_BYTES;
    static const int BYTES = A_BYTES + B_BYTES;
    static const int STAGES = (TF32_STAGE_BUDGET - SUM_BYTES) / BYTES;
    /* Between two sums a warpgroup keeps to its own barriers: one two phases behind would look as if it were ready. */
    static_assert(STAGES % EVERY == 0, "every stage's barrier is of one warpgroup");
};

/* A piece of work: a tile of one matrix, of one split, or of a part of K as CTAs share it. */
struct work {
    int tile_m, tile_n, split, batch, k0, stages, share;
};

DEVICE struct work work_item(const struct tf32_args &args, int index) {
    const struct gemm_args &g = args.gemm;
    const struct tf32_walk &walk = args.walk;
    const struct tf32_piece piece = tf32_piece_at(&g, blockIdx.x, gridDim.x, index);
    struct work w;
    const int outer = fast_quotient(piece.unit, walk.tiles), tile = piece.unit - outer * walk.tiles.value;
    tf32_tile_at(&g, &walk, tile, &w.tile_m, &w.tile_n);
    w.batch = fast_quotient(outer, walk.splits);
    w.split = outer - w.batch * walk.splits.value;
    w.k0 = w.split * g.k_per_split + piece.first * TF32_TILE_K;
    w.stages =
        piece.last > 0 ? piece.last - piece.first : (min(g.k - w.k0, g.k_per_split) + TF32_TILE_K - 1) / TF32_TILE_K;
    w.share = piece.share;
    return w;
}

#endif
