/*
 * The product of fp16 planes when K is one unit: hardly anything to multiply, and a result to be written as fast as
 * memory takes it. The scales of a tile are fetched while the one before is multiplied and stored, since with memory
 * busy they take as long as all the rest.
 *
 * Tiles that are not plain (at the edges, with infinities) are stored as after any K, and so is everything where C is
 * added or a second step is to follow (plain_results).
 */
#ifndef FASTGEMM_SPLIT_SHORT_CUH
#define FASTGEMM_SPLIT_SHORT_CUH

#include "sgemm_wgmma.cuh"

static const int SHORT_STAGES = 4, SHORT_UNIT = 2 * SPLIT_PLANE_BYTES, SHORT_STAGE = 3 * SHORT_UNIT;

/* After the stages: each warpgroup's scales along m, for two tiles by turns. */
DEVICE float *short_scales_of(uint8_t *shared, int warpgroup) {
    return (float *)(shared + SHORT_STAGES * SHORT_STAGE) + warpgroup * 2 * SPLIT_TILE_M;
}

DEVICE void produce_short(const struct split_args &args, uint8_t *stages, struct ring ring) {
    const int count = work_count(args), tiles = args.rows / SPLIT_UNIT_ROWS, tiles_a = args.rows_a / SPLIT_UNIT_ROWS;
    for (int index = blockIdx.x; index < count; index += gridDim.x) {
        const struct work w = work_item(args, index);
        const uint8_t *matrix = args.planes + (int64_t)w.batch * tiles * SHORT_UNIT;
        uint8_t *to = stages + ring.stage * SHORT_STAGE;
        uint64_t *full = ring.full + ring.stage;
        mbarrier_wait(ring.empty + ring.stage, ring.parity ^ 1);
        mbarrier_arrive_expect_tx(full, SHORT_STAGE);
        cp_async_bulk(to, matrix + (int64_t)(tiles_a + w.tile_n) * SHORT_UNIT, SHORT_UNIT, full);
        cp_async_bulk(to + SHORT_UNIT, matrix + (int64_t)2 * w.tile_m * SHORT_UNIT, 2 * SHORT_UNIT, full);
        advance<SHORT_STAGES>(&ring);
    }
}

/* What a thread looks up for a tile: two of its scales along m, for its warpgroup, and its own two along n. */
struct short_scales {
    float2 m;
    float n[2];
};

DEVICE struct short_scales look_up_scales(const struct split_args &args, const struct work &w, int warpgroup,
                                          int thread) {
    const float *scales = args.inverse_scales + (int64_t)w.batch * args.rows;
    const int n = w.tile_n * SPLIT_TILE_N + warpgroup * 64 + thread / 32 * 16 + thread % 32 / 4;
    struct short_scales s;
    s.m = *(const float2 *)(scales + w.tile_m * SPLIT_TILE_M + 2 * thread);
    s.n[0] = scales[args.rows_a + n];
    s.n[1] = scales[args.rows_a + n + 8];
    return s;
}

/* Whether results are written without a look at C or a second step. All CTAs agree. */
DEVICE bool plain_results(const struct split_args &args) {
    const struct scalars s = read_scalars(args.gemm);
    return s.alpha != 0.0f && s.beta == 0.0f && quads_aligned(args.gemm.d, args.gemm.ldd) &&
           (args.gemm.batch == 1 || args.gemm.stride_d % 4 == 0) && !args.gemm.partial && !finishes(args.gemm);
}

/* Whether the tile is whole and its scales moderate, as far as this thread sees. A NaN is of no size. */
DEVICE bool plain_tile(const struct split_args &args, const struct work &w, const struct short_scales &s) {
    const bool inside = (w.tile_m + 1) * SPLIT_TILE_M <= args.gemm.m && (w.tile_n + 1) * SPLIT_TILE_N <= args.gemm.n;
    return inside && s.m.x == s.m.x && s.m.y == s.m.y && moderate(s.n[0]) && moderate(s.n[1]);
}

/* The other tiles. A call, and sums in memory: the plain ones need the registers. */
struct tile_sums {
    float acc[2][64];
};
static __device__ __noinline__ void store_apart(const struct split_args &args, struct tile_sums *sums,
                                                const struct work &w, int thread) {
    store(args, sums->acc, w, thread);
}

/* A thread's results, unscaled on their way. */
DEVICE void store_short(const struct split_output &o, const float (&acc)[2][64], const float *scales_m,
                        const float (&inverse_n)[2]) {
#pragma unroll
    for (int row = 0; row < 2; row++) {
        float *d = o.d + (o.n + 8 * row) * o.ldd + o.m;
#pragma unroll
        for (int quad = 0; quad < QUADS; quad++) {
            const float4 inverse_m = *(const float4 *)(scales_m + quad * 16);
            const float factors[4] = {inverse_m.x, inverse_m.y, inverse_m.z, inverse_m.w};
            store_unscaled(o, d, acc, row, quad, inverse_n[row], factors);
        }
    }
}

DEVICE void consume_short(const struct split_args &args, uint8_t *shared, struct ring ring, int warpgroup, int thread) {
    const int count = work_count(args), lane = thread % 32;
    float *scales_m = short_scales_of(shared, warpgroup);
    int turn = 0;
    struct work w = work_item(args, blockIdx.x);
    struct short_scales scales = look_up_scales(args, w, warpgroup, thread);
    for (int index = blockIdx.x; index < count; index += gridDim.x) {
        float acc[2][64], sum[64];
        mbarrier_wait(ring.full + ring.stage, ring.parity);
#pragma unroll
        for (int i = 0; i < 64; i++) acc[0][i] = acc[1][i] = sum[i] = 0.0f;
        multiply_fp16x3<0>(acc, sum, shared + ring.stage * SHORT_STAGE, 0, warpgroup);
        if (lane == 0) mbarrier_arrive(ring.empty + ring.stage, 32);
        advance<SHORT_STAGES>(&ring);

        const struct work now = w;
        const struct short_scales s = scales;
        if (index + gridDim.x < count) { /* a whole tile ahead: memory is busy with results */
            w = work_item(args, index + gridDim.x);
            scales = look_up_scales(args, w, warpgroup, thread);
        }
        float *scales_now = scales_m + turn * SPLIT_TILE_M; /* no warp is further ahead than the barrier */
        turn ^= 1;
        *(float2 *)(scales_now + 2 * thread) = s.m;
        if (barrier_or(1 + warpgroup, WARPGROUP, !plain_tile(args, now, s))) {
            struct tile_sums sums;
#pragma unroll
            for (int i = 0; i < 128; i++) sums.acc[i / 64][i % 64] = acc[i / 64][i % 64];
            store_apart(args, &sums, now, warpgroup * WARPGROUP + thread);
        } else {
            const struct split_output o = split_output_of(args, now, warpgroup * WARPGROUP + thread);
            store_short(o, acc, scales_now + lane % 4 * 4, s.n);
        }
    }
}

DEVICE void sgemm_short(const struct split_args &args, uint8_t *shared, struct ring ring) {
    const int warpgroup = threadIdx.x / WARPGROUP;
    if (warpgroup == CONSUMERS) {
        setmaxnreg_dec<40>();
        if (threadIdx.x == CONSUMERS * WARPGROUP) produce_short(args, shared, ring);
    } else {
        setmaxnreg_inc<232>();
        consume_short(args, shared, ring, warpgroup, threadIdx.x % WARPGROUP);
    }
}

#endif
