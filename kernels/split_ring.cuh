/*
 * The product kernel's work and how its warpgroups hand stages to each other: one fills them by bulk copies, the others
 * multiply.
 */
#ifndef FASTGEMM_SPLIT_RING_CUH
#define FASTGEMM_SPLIT_RING_CUH

#include "ptx_sm90.cuh"
#include "ring.cuh"
#include "split.cuh"
#include "tile.cuh"

static const int CONSUMERS = 2, WARPGROUP = 128;
static const int MOST_STAGES = 6;

/* One piece of work: a tile of one split of one matrix. */
struct work {
    int tile_m, tile_n, split, batch, first_unit, units;
};

DEVICE int work_count(const struct split_args &args) {
    return args.gemm.tiles_m * args.gemm.tiles_n * args.gemm.splits * args.gemm.batch;
}

DEVICE struct work work_item(const struct split_args &args, int index) {
    const int tiles = args.gemm.tiles_m * args.gemm.tiles_n, splits = args.gemm.splits;
    const int per_split = (args.gemm.k_per_split + SPLIT_TILE_K - 1) / SPLIT_TILE_K * (SPLIT_TILE_K / SPLIT_UNIT_K);
    const int outer = index / tiles;
    struct work w;
    raster_tile(args.gemm, index - outer * tiles, &w.tile_m, &w.tile_n);
    w.batch = outer / splits;
    w.split = outer - w.batch * splits;
    w.first_unit = w.split * per_split;
    w.units = min(args.k_units - w.first_unit, per_split);
    return w;
}

/* Nothing that follows from these is worked out before here: the main loop has no registers to keep it in. */
DEVICE void keep_below(int *place, struct work *w) {
    asm volatile("" : "+r"(*place), "+r"(w->tile_m), "+r"(w->tile_n), "+r"(w->split), "+r"(w->batch));
}

DEVICE void init_ring(const struct ring &ring) {
    for (int i = 0; i < MOST_STAGES; i++) {
        mbarrier_init(ring.full + i, 1);
        mbarrier_init(ring.empty + i, CONSUMERS * WARPGROUP);
    }
    fence_barrier_init();
}

#endif
