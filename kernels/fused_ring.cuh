/*
 * The one-pass product's work, and how its warpgroups hand stages and scales to each other (sgemm_fused.cuh).
 */
#ifndef FASTGEMM_FUSED_RING_CUH
#define FASTGEMM_FUSED_RING_CUH

#include "epilogue.cuh"
#include "fused_args.h"
#include "ptx_tf32_sm90.cuh"

static const int CONSUMERS = 2, WARPGROUP = 128;
static const int LEAST_EXPONENT = 127 - 70, MOST_EXPONENT = 127 + 100; /* of a block's row, biased */
static const float LEAST_ELEMENT = 0x1p-100f;

static const int SCALED_EXPONENT = 14; /* the largest element of a scaled row lies in [2^14, 2^15) */

/* Stages that there is room for, and registers of a consumer's thread. */
template <int CHOICE> struct fused_stages;
template <> struct fused_stages<FUSED_DONE> { static const int COUNT = FUSED_STAGES, REGISTERS = 144; };
template <> struct fused_stages<FUSED_EXACT> { static const int COUNT = FUSED_MOST_STAGES, REGISTERS = 208; };

/* One piece of work: a tile of one split of one matrix. */
struct fused_work {
    int tile_m, tile_n, split, batch, first_block, blocks;
};

DEVICE int fused_work_count(const struct fused_args &args) {
    return args.gemm.tiles_m * args.gemm.tiles_n * args.gemm.splits * args.gemm.batch;
}

DEVICE struct fused_work fused_work_item(const struct fused_args &args, int index) {
    const int tiles = args.gemm.tiles_m * args.gemm.tiles_n, outer = index / tiles;
    struct fused_work w;
    raster_tile(args.gemm, index - outer * tiles, &w.tile_m, &w.tile_n);
    w.batch = outer / args.gemm.splits;
    w.split = outer - w.batch * args.gemm.splits;
    w.first_block = w.split * args.blocks_per_split;
    w.blocks = min(args.k_blocks - w.first_block, args.blocks_per_split);
    return w;
}

/* The rings of stages and of scales: shared memory, and how many blocks have gone round. */
struct fused_ring {
    uint32_t shared; /* address */
    uint32_t count;
};

DEVICE uint32_t stage_of(const struct fused_ring &ring, int operand) {
    return ring.shared + FUSED_RAW_BYTES + (2 * (ring.count % FUSED_STAGES) + operand) * 2 * FUSED_PLANE_BYTES;
}

/* Barriers of a stage: a full one is read by the consumers, an empty one filled by the converters. */
template <int CHOICE> DEVICE uint32_t full_barrier(const struct fused_ring &ring) {
    return ring.shared + FUSED_BARRIERS_AT + ring.count % fused_stages<CHOICE>::COUNT * 8;
}
template <int CHOICE> DEVICE uint32_t empty_barrier(const struct fused_ring &ring) {
    return full_barrier<CHOICE>(ring) + FUSED_MOST_STAGES * 8;
}
template <int CHOICE> DEVICE int parity_of(const struct fused_ring &ring) {
    return ring.count / fused_stages<CHOICE>::COUNT & 1;
}

/* A warp's box of a block as it was copied, and the barrier that the copy engine arrives at. `warp`: of the operand's.
 */
DEVICE uint32_t box_of(const struct fused_ring &ring, int operand, int warp) {
    return ring.shared + (4 * operand + warp) * FUSED_BOX_BYTES;
}
DEVICE uint32_t exact_box(const struct fused_ring &ring, int operand, int warp) { /* in a stage of EXACT */
    return box_of(ring, operand, warp) + ring.count % fused_stages<FUSED_EXACT>::COUNT * FUSED_RAW_BYTES;
}
DEVICE uint32_t copied_barrier(const struct fused_ring &ring, int operand, int warp) {
    return ring.shared + FUSED_COPIED_AT + (4 * operand + warp) * 8;
}

DEVICE uint32_t scales_of(const struct fused_ring &ring, int operand) {
    return ring.shared + FUSED_SCALES_AT + (2 * (ring.count % FUSED_SCALE_SLOTS) + operand) * FUSED_TILE * 2;
}

/* What planes cannot hold, of A or B: elements too small beside others of their row; rows beyond the safe range. */
DEVICE uint32_t wide_flag(uint32_t shared, int side) {
    return shared + FUSED_FLAGS_AT + side * 8;
}
DEVICE uint32_t extreme_flag(uint32_t shared, int side) {
    return wide_flag(shared, side) + 4;
}

/*
 * Where a row stands among its 32: rows 4 apart are neighbours. So a thread that reads four neighbouring rows stores
 * without bank conflicts, and wgmma gives a thread eight neighbouring m.
 */
DEVICE int fused_place(int row) {
    return (row & ~31) | (row & 3) << 3 | (row >> 2 & 7);
}

/* Where a piece lies in a plane: rows of 128 bytes, 128-byte swizzle. */
DEVICE int fused_piece_offset(int place, int piece) {
    return place * 128 + (piece ^ (place & 7)) * 16;
}

#endif
