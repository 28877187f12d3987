/*
 * One product of scaled fp16 planes (fp16x1 in split.h) by Hopper's matrix instruction, contract TF32: as many bits as
 * TF32 has, at twice its rate. Where the device finds that planes will not do, it leaves at once, and what is launched
 * behind it does the work (launch_one.c).
 *
 *   CTA tile    256 m x 128 n, stored as split_store.cuh has it, or by lines where only single floats can be stored
 *   warpgroups  one producer, whose one thread fills the stages by bulk copies; two consumers of 64 n each
 *   stages      eight of 32 k, and room for lines
 *   grid        persistent: as many CTAs as there are SMs, or work items (tile, split, batch) if fewer; the last tiles
 *               may be shared along K (tf32_works.h)
 *
 * Sums stay in the tensor cores over all of K, as those of TF32 do.
 */
#include "split_one.cuh"
#include "split_store.cuh"
#include "tf32_works.h"

static const int STAGES = 8, STAGE = 3 * SPLIT_PLANE_BYTES;
static const int LINES = 16, LINE_PITCH = 48; /* floats; neighbouring lines' quads are in different banks */
static_assert(STAGES * STAGE + CONSUMERS * WARPGROUP / 32 * LINES * LINE_PITCH * 4 + 1024 <= SPLIT_SHARED_BYTES,
              "room for the stages, each warp's lines, and a pad");

/* A CTA's pieces of work by turns. `share`: where a part of a tile along K goes, negative for a whole one. */
DEVICE struct work piece_of_work(const struct split_args &args, int turn, int *share) {
    const struct tf32_piece piece = tf32_piece_at(&args.gemm, blockIdx.x, gridDim.x, turn);
    struct work w = work_item(args, piece.unit);
    *share = piece.share;
    if (piece.share >= 0) {
        w.first_unit = piece.first;
        w.units = piece.last - piece.first;
    }
    return w;
}

DEVICE void produce(const struct split_args &args, uint8_t *stages, struct ring ring) {
    static const int UNIT = SPLIT_PLANE_BYTES;
    const int count = tf32_pieces(&args.gemm, blockIdx.x, gridDim.x);
    for (int turn = 0; turn < count; turn++) {
        int share;
        const struct work w = piece_of_work(args, turn, &share);
        const uint8_t *matrix = args.planes + (int64_t)w.batch * (args.rows / SPLIT_UNIT_ROWS) * args.k_units * UNIT;
        const int64_t tile = (int64_t)args.k_units * UNIT;
        const uint8_t *a = matrix + 2 * w.tile_m * tile + (int64_t)w.first_unit * UNIT;
        const uint8_t *b = matrix + (args.rows_a / SPLIT_UNIT_ROWS + w.tile_n) * tile + (int64_t)w.first_unit * UNIT;
        for (int unit = 0; unit < w.units; unit++) {
            const int64_t at = (int64_t)unit * UNIT;
            uint8_t *to = stages + ring.stage * STAGE;
            uint64_t *full = ring.full + ring.stage;
            mbarrier_wait(ring.empty + ring.stage, ring.parity ^ 1);
            mbarrier_arrive_expect_tx(full, STAGE);
            cp_async_bulk(to, b + at, UNIT, full);
            cp_async_bulk(to + UNIT, a + at, UNIT, full);
            cp_async_bulk(to + 2 * UNIT, a + at + tile, UNIT, full);
            advance<STAGES>(&ring);
        }
    }
}

/* The sums of one piece of work. While a stage is multiplied the next is asked for, and the one before is free. */
DEVICE void multiply(float (&acc)[2][64], const struct work &w, const uint8_t *stages, struct ring *ring, int warpgroup,
                     int thread) {
    int before = -1;
#pragma unroll
    for (int i = 0; i < 64; i++) acc[0][i] = acc[1][i] = 0.0f;
    for (int unit = 0; unit < w.units; unit++) {
        const uint8_t *stage = stages + ring->stage * STAGE;
        mbarrier_wait(ring->full + ring->stage, ring->parity);
        const uint64_t n_side = wgmma_descriptor(stage + warpgroup * 64 * 64);
        const uint64_t m_side = wgmma_descriptor(stage + SPLIT_PLANE_BYTES); /* both units of A, one after the other */
        wgmma_pin(acc[0]);
        wgmma_pin(acc[1]);
        wgmma_fence();
        wgmma_m64n256k16_f16(acc, n_side, m_side, unit > 0);
        wgmma_m64n256k16_f16(acc, n_side + 2, m_side + 2, 1);
        wgmma_commit();
        wgmma_wait<1>();
        wgmma_pin(acc[0]);
        wgmma_pin(acc[1]);
        if (before >= 0 && thread % 32 == 0) mbarrier_arrive(ring->empty + before, 32);
        before = ring->stage;
        advance<STAGES>(ring);
    }
    wgmma_wait<0>();
    wgmma_pin(acc[0]);
    wgmma_pin(acc[1]);
    if (before >= 0 && thread % 32 == 0) mbarrier_arrive(ring->empty + before, 32);
}

/*
 * Plain results (split_store.cuh) whose columns begin anywhere in 16 bytes: a warp's 16 columns by 32 rows at a time go
 * by way of shared memory, so that its lanes store neighbours.
 */
template <int ADD_C>
DEVICE void store_lines(const struct gemm_args &g, const struct split_output &o, const float (&acc)[2][64],
                        float *lines, int lane) {
    float *to = lines + lane / 4 * LINE_PITCH + lane % 4 * 4;
    const int n0 = o.n - lane / 4, m0 = o.m - lane % 4 * 4 + lane;
#pragma unroll
    for (int first = 0; first < QUADS; first += 2) {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const int row = i / 2, quad = first + i % 2;
            *(float4 *)(to + row * 8 * LINE_PITCH + i % 2 * 16) =
                make_float4(sum_of(acc, row, quad, 0), sum_of(acc, row, quad, 1), sum_of(acc, row, quad, 2),
                            sum_of(acc, row, quad, 3));
        }
        __syncwarp();
        const int m = m0 + first * 16;
#pragma unroll
        for (int i = 0; i < LINES; i++) {
            float x = o.s.alpha * lines[i * LINE_PITCH + lane];
            if (m >= g.m || n0 + i >= g.n) continue;
            if (ADD_C) x = fmaf(o.s.beta, o.c[(n0 + i) * o.ldc + m], x);
            o.d[(n0 + i) * o.ldd + m] = x;
        }
        __syncwarp();
    }
}

/* Of work's tile, if only single floats can be stored and all is plain: else nothing is done. */
DEVICE bool store_by_lines(const struct split_args &args, float (&acc)[2][64], const struct work &w, float *lines,
                           int thread) {
    const struct split_output o = split_output_of(args, w, thread);
    const float *scales = args.inverse_scales + (int64_t)w.batch * args.rows;
    const float inverse_n[2] = {scales[args.rows_a + o.n], scales[args.rows_a + o.n + 8]};
    const bool add_c = o.s.beta != 0.0f;
    float inverse_m[QUADS][4];
    if (quads_aligned(o.d, o.ldd) && (!add_c || quads_aligned(o.c, o.ldc))) return false;
#pragma unroll
    for (int i = 0; i < QUADS; i++) *(float4 *)inverse_m[i] = *(const float4 *)(scales + o.m + i * 16);
    if (!__all_sync(0xffffffffu, plain_scales(o, inverse_m, inverse_n))) return false;
    unscale_plain(acc, inverse_m, inverse_n);
    if (add_c)
        store_lines<1>(args.gemm, o, acc, lines, thread % 32);
    else
        store_lines<0>(args.gemm, o, acc, lines, thread % 32);
    if (finishes(args.gemm))
        finish_stored(args.gemm, w.batch, w.tile_m * SPLIT_TILE_M, w.tile_n * SPLIT_TILE_N + thread / 32 * 16,
                      SPLIT_TILE_M, 16, thread % 32);
    return true;
}

/* A part of a tile that CTAs share, for tf32_shares to add up. */
DEVICE void store_share(const struct split_args &args, const float (&acc)[2][64], const struct work &w, int share,
                        int thread) {
    const int n = thread / 32 * 16 + thread % 32 / 4, m = thread % 4 * 4; /* in the tile */
    const float *scales = args.inverse_scales + (int64_t)w.batch * args.rows;
    const float *scales_n = scales + args.rows_a + w.tile_n * SPLIT_TILE_N + n;
    const float *scales_m = scales + w.tile_m * SPLIT_TILE_M + m;
    float *to = args.gemm.shares + (int64_t)share * SPLIT_TILE_M * SPLIT_TILE_N + n * SPLIT_TILE_M + m;
#pragma unroll
    for (int quad = 0; quad < QUADS; quad++) {
        const float4 inverse_m = *(const float4 *)(scales_m + quad * 16);
#pragma unroll
        for (int row = 0; row < 2; row++) {
            const float inverse_n = scales_n[8 * row];
            *(float4 *)(to + row * 8 * SPLIT_TILE_M + quad * 16) =
                make_float4(unscale(sum_of(acc, row, quad, 0), inverse_m.x, inverse_n),
                            unscale(sum_of(acc, row, quad, 1), inverse_m.y, inverse_n),
                            unscale(sum_of(acc, row, quad, 2), inverse_m.z, inverse_n),
                            unscale(sum_of(acc, row, quad, 3), inverse_m.w, inverse_n));
        }
    }
}

DEVICE void consume(const struct split_args &args, const uint8_t *stages, struct ring ring, int warpgroup, int thread) {
    const int count = tf32_pieces(&args.gemm, blockIdx.x, gridDim.x);
    float acc[2][64];
    for (int turn = 0; turn < count; turn++) {
        int share;
        struct work w = piece_of_work(args, turn, &share);
        multiply(acc, w, stages, &ring, warpgroup, thread);
        int place = warpgroup * WARPGROUP + thread;
        keep_below(&place, &w);
        float *lines = (float *)(stages + STAGES * STAGE) + place / 32 * LINES * LINE_PITCH;
        if (share >= 0)
            store_share(args, acc, w, share, place);
        else if (!store_by_lines(args, acc, w, lines, place))
            store(args, acc, w, place);
    }
}

KERNEL_OF(struct split_args, sgemm_fp16x1_256x128, 384, 1) {
    static __shared__ uint64_t barriers[2 * STAGES];
    SHARED_MEMORY(shared);
    uint8_t *stages = (uint8_t *)shared + (-shared_address(shared) & 1023);
    const struct ring ring = {barriers, barriers + STAGES, 0, 0};
    if (threadIdx.x == 0) {
        for (int i = 0; i < STAGES; i++) {
            mbarrier_init(ring.full + i, 1);
            mbarrier_init(ring.empty + i, CONSUMERS * WARPGROUP);
        }
        fence_barrier_init();
    }
    __syncthreads();
    grid_wait();
    grid_launch_next();
    const uint32_t choice = args.band_ctas ? choice_after_bands<384>(args) : *args.choice;
    if (args.band_ctas && blockIdx.x + threadIdx.x == 0) *args.choice = choice;
    if (choice != SPLIT_FP16X1) return;
    const int warpgroup = threadIdx.x / WARPGROUP;
    if (warpgroup == CONSUMERS) {
        setmaxnreg_dec<40>();
        if (threadIdx.x == CONSUMERS * WARPGROUP) produce(args, stages, ring);
    } else {
        setmaxnreg_inc<232>();
        consume(args, stages, ring, warpgroup, threadIdx.x % WARPGROUP);
    }
}
