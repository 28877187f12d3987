/*
 * TF32 products by Hopper's matrix instruction, operands as tf32.h has them.
 *
 *   CTA tile    a consumer warpgroup has 128 m x N n, and two of them share a tile, side by side along m or n. Of 128 x
 *               128 each takes a tile of its own, in turns: one stores while the other multiplies. Of 128 x 64 both
 * have the whole tile, each every other stage, and add up their sums in the end: fewer bytes to read for each
 *   warpgroups  one producer, whose one thread has the copy engine fill the stages of 32 k; two consumers
 *   A           along k: from shared memory. Along m: from registers, loaded half a stage ahead
 *   grid        persistent: as many CTAs as there are SMs, or work items (tile, split, batch) if fewer
 *
 * A warpgroup beyond the edge of D multiplies nothing, and one with at most 32 of 72 or more columns inside no more
 * than these.
 */
#ifndef FASTGEMM_SGEMM_TF32_WGMMA_CUH
#define FASTGEMM_SGEMM_TF32_WGMMA_CUH

#include "epilogue.cuh"
#include "ptx_tf32_sm90.cuh"
#include "ring.cuh"
#include "tf32.h"
#include "tf32_args.h"
#include "tf32_place.h"

static const int CONSUMERS = 2, WARPGROUP = 128, ROWS = 128, NARROW = 32;
static const int STEPS = TF32_TILE_K / 8, BATCH = STEPS / 2; /* of 8 k: in a stage, in half of one */

/* How two warpgroups share the work. */
enum sharing { SIDE_BY_SIDE, TILES_IN_TURNS, STAGES_IN_TURNS };

template <int BM, int BN> struct tile {
    static const enum sharing SHARING = BM != ROWS  ? SIDE_BY_SIDE
                                        : BN == 128 ? TILES_IN_TURNS
                                        : BN <= 64  ? STAGES_IN_TURNS
                                                    : SIDE_BY_SIDE;
    static const bool TOGETHER = SHARING == SIDE_BY_SIDE; /* both read every stage */
    static const int ALONG_M = BM / ROWS;                 /* warpgroups along m */
    static const int N = TOGETHER ? BN * ALONG_M / CONSUMERS : BN;
    static const int READERS = TOGETHER ? CONSUMERS : 1, EVERY = SHARING == STAGES_IN_TURNS ? CONSUMERS : 1;
    static const int SUM_BYTES = SHARING == STAGES_IN_TURNS ? ROWS * BN * 4 : 0; /* of one, for the other */
    static const int A_BYTES = BM * TF32_ROW_BYTES, BYTES = A_BYTES + BN * TF32_ROW_BYTES;
    static const int STAGES = (TF32_STAGE_BUDGET - SUM_BYTES) / BYTES;
    /* Between two sums a warpgroup keeps to its own barriers: one two phases behind would look as if it were ready. */
    static_assert(STAGES % EVERY == 0, "every stage's barrier is of one warpgroup");
};

/* One piece of work: a tile of one split of one matrix. */
struct work {
    int tile_m, tile_n, split, batch, k0, stages;
};

DEVICE int work_count(const struct gemm_args &g) {
    return g.tiles_m * g.tiles_n * g.splits * g.batch;
}

DEVICE struct work work_item(const struct gemm_args &g, int index) {
    const int tiles = g.tiles_m * g.tiles_n, outer = index / tiles;
    struct work w;
    raster_tile(g, index - outer * tiles, &w.tile_m, &w.tile_n);
    w.batch = outer / g.splits;
    w.split = outer - w.batch * g.splits;
    w.k0 = w.split * g.k_per_split;
    w.stages = (min(g.k - w.k0, g.k_per_split) + TF32_TILE_K - 1) / TF32_TILE_K;
    return w;
}

/* A's part of a stage in one box, or, where its rows are no whole boxes of 32, in boxes that end with them. */
template <int BM, int A_ALONG_K>
DEVICE void copy_a(const struct tf32_args &args, uint8_t *to, int m, int k, int matrix, uint64_t *full) {
    const int whole = args.whole_boxes ? m / TF32_BOX_ROWS : 0, row = args.whole_boxes ? 0 : m;
    if (A_ALONG_K && args.order == TF32_QUADS && !args.whole_boxes) {
#pragma unroll
        for (int box = 0; box < BM / TF32_BOX_ROWS; box++)
            cp_async_bulk_tensor(to + box * TF32_BOX_BYTES, &args.a, k, (m + TF32_BOX_ROWS * box) / TF32_GROUPS, 0,
                                 matrix, full);
    } else if (A_ALONG_K) {
        cp_async_bulk_tensor(to, &args.a, k, row, whole, matrix, full);
    } else if (args.whole_boxes) {
        cp_async_bulk_tensor(to, &args.a, 0, k, whole, matrix, full);
    } else {
#pragma unroll
        for (int box = 0; box < BM / TF32_BOX_ROWS; box++)
            cp_async_bulk_tensor(to + box * TF32_BOX_BYTES, &args.a, m + TF32_BOX_ROWS * box, k, 0, matrix, full);
    }
}

template <int BM, int BN, int A_ALONG_K>
DEVICE void produce(const struct tf32_args &args, uint8_t *stages, struct ring ring) {
    typedef tile<BM, BN> tile;
    const int count = work_count(args.gemm);
    for (int index = blockIdx.x; index < count; index += gridDim.x) {
        const struct work w = work_item(args.gemm, index);
        for (int stage = 0; stage < w.stages; stage++) {
            const int k = w.k0 + stage * TF32_TILE_K;
            uint8_t *to = stages + ring.stage * tile::BYTES;
            uint64_t *full = ring.full + ring.stage;
            mbarrier_wait(ring.empty + ring.stage, ring.parity ^ 1);
            mbarrier_arrive_expect_tx(full, tile::BYTES);
            copy_a<BM, A_ALONG_K>(args, to, w.tile_m * BM, k, w.batch * args.a_step, full);
            cp_async_bulk_tensor(to + tile::A_BYTES, &args.b, k, w.tile_n * BN, 0, w.batch * args.b_step, full);
            advance<tile::STAGES>(&ring);
        }
    }
}

/* Where a thread's part of the stages is: addresses in the first. */
struct reader {
    uint32_t a, near, far, b; /* near, far: as tf32_load_offset has it */
};

template <int BM, int BN> DEVICE struct reader reader_of(const uint8_t *stages, int warpgroup, int thread) {
    typedef tile<BM, BN> tile;
    const int place = tile::TOGETHER ? warpgroup : 0, m = tile::ALONG_M > 1 ? place : 0;
    const int n = tile::ALONG_M > 1 ? 0 : place;
    struct reader r;
    r.a = shared_address(stages) + m * ROWS * TF32_ROW_BYTES;
    r.near = r.a + thread / 32 * TF32_BOX_BYTES + tf32_load_offset(thread, 0);
    r.far = r.a + thread / 32 * TF32_BOX_BYTES + tf32_load_offset(thread, 1);
    r.b = shared_address(stages) + tile::A_BYTES + n * tile::N * TF32_ROW_BYTES;
    return r;
}

/* Half a stage of A in registers: for each step of 8 k and each half of the rows, as the instruction wants it. */
struct fragments {
    uint32_t a[BATCH][2][4];
};

DEVICE void load_fragments(struct fragments *f, uint32_t near, uint32_t far) {
#pragma unroll
    for (int step = 0; step < BATCH; step++) {
#pragma unroll
        for (int i = 0; i < 2; i++) {
            uint32_t rows[4];
            ld_shared_v4(rows, (i ? far : near) + step * 8 * TF32_ROW_BYTES);
#pragma unroll
            for (int r = 0; r < 4; r++) f->a[step][r / 2][r % 2 + 2 * i] = rows[r];
        }
    }
}

/* Hands back a stage, or none (-1). */
DEVICE void release(const struct ring &ring, int stage, int thread) {
    if (stage >= 0 && thread % 32 == 0) mbarrier_arrive(ring.empty + stage);
}

/* A along k: a stage is issued, and the one before it waited for. */
template <int N, int FLOATS>
DEVICE void multiply_stage(float (&acc)[2][FLOATS], uint32_t a_at, uint64_t b, int accumulate) {
    const uint64_t a = wgmma_descriptor_128(a_at, 2 * TF32_GROUP_BYTES);
    wgmma_fence();
#pragma unroll
    for (int step = 0; step < STEPS; step++) {
#pragma unroll
        for (int half = 0; half < 2; half++)
            wgmma_tf32<N>::multiply(acc[half], a + half * (TF32_GROUP_BYTES >> 4) + 2 * step, b + 2 * step,
                                    accumulate | step);
    }
    wgmma_commit();
    wgmma_wait<1>();
}

/* A along m: half a stage is loaded while the half before it is multiplied. */
template <int N, int FLOATS>
DEVICE void multiply_half_stage(float (&acc)[2][FLOATS], struct fragments *f, uint32_t near, uint32_t far, uint64_t b,
                                int accumulate) {
    load_fragments(f, near, far);
    wgmma_fence();
#pragma unroll
    for (int step = 0; step < BATCH; step++) {
#pragma unroll
        for (int half = 0; half < 2; half++)
            wgmma_tf32<N>::multiply(acc[half], f->a[step][half], b + 2 * step, accumulate | step);
    }
    wgmma_commit();
    wgmma_wait<1>();
}

template <int FLOATS> DEVICE void pin(float (&acc)[2][FLOATS]) {
#pragma unroll
    for (int i = 0; i < 2 * FLOATS; i++) asm volatile("" : "+f"(acc[i / FLOATS][i % FLOATS])::"memory");
}

/* Goes on by so many stages. */
template <int STAGES> DEVICE void skip(struct ring *ring, int count) {
    const int stage = ring->stage + count, rounds = stage / STAGES;
    ring->stage = stage - rounds * STAGES;
    ring->parity ^= rounds & 1;
}

/* The main loop: the sums of one piece of work, of N columns, over every EVERY-th stage from the `first` on. */
template <int STAGES, int BYTES, int EVERY, int N, int A_ALONG_K, int FLOATS>
DEVICE void multiply(float (&acc)[2][FLOATS], const struct work &w, const struct reader &reader, struct ring ring,
                     int first, int thread) {
    struct fragments f[2];
    int before = -1;
    pin(acc);
    skip<STAGES>(&ring, first);
    for (int stage = first; stage < w.stages; stage += EVERY) {
        const uint32_t offset = ring.stage * BYTES, half = BATCH * 8 * TF32_ROW_BYTES;
        const uint64_t b = wgmma_descriptor_128(reader.b + offset, TF32_GROUP_BYTES);
        mbarrier_wait(ring.full + ring.stage, ring.parity);
        if (A_ALONG_K)
            multiply_stage<N>(acc, reader.a + offset, b, before >= 0);
        else
            multiply_half_stage<N>(acc, &f[0], reader.near + offset, reader.far + offset, b, before >= 0);
        release(ring, before, thread);
        if (!A_ALONG_K)
            multiply_half_stage<N>(acc, &f[1], reader.near + offset + half, reader.far + offset + half, b + 2 * BATCH,
                                   1);
        before = ring.stage;
        for (int i = 0; i < EVERY; i++) advance<STAGES>(&ring);
    }
    wgmma_wait<0>();
    pin(acc);
    release(ring, before, thread);
}

/* The stages of a piece of work without anything to do in it. */
template <int STAGES> DEVICE void pass_by(const struct work &w, struct ring ring, int thread) {
    for (int stage = 0; stage < w.stages; stage++) {
        mbarrier_wait(ring.full + ring.stage, ring.parity);
        release(ring, ring.stage, thread);
        advance<STAGES>(&ring);
    }
}

/* The second warpgroup's sums are added to the first's. */
template <int FLOATS> DEVICE void add_up(float (&acc)[2][FLOATS], float *sums, bool two, int warpgroup, int thread) {
    if (warpgroup == 1) {
#pragma unroll
        for (int i = 0; i < 2 * FLOATS; i++) sums[i * WARPGROUP + thread] = acc[i / FLOATS][i % FLOATS];
    }
    barrier_sync<1>(CONSUMERS * WARPGROUP);
    if (warpgroup == 0 && two) {
#pragma unroll
        for (int i = 0; i < 2 * FLOATS; i++) acc[i / FLOATS][i % FLOATS] += sums[i * WARPGROUP + thread];
    }
    barrier_sync<2>(CONSUMERS * WARPGROUP);
    pin(acc);
}

/* A thread's sums of a column, in the order of their rows. */
template <int A_ALONG_K, int FLOATS>
DEVICE void scaled_sums(float (&x)[4], const struct output &o, const float (&acc)[2][FLOATS], int j, int i) {
#pragma unroll
    for (int at = 0; at < 4; at++) {
        const int half = A_ALONG_K ? at % 2 : at / 2, row = A_ALONG_K ? at / 2 : at % 2;
        x[at] = o.s.alpha == 0.0f ? 0.0f : o.s.alpha * acc[half][4 * j + 2 * row + i];
    }
}

/* The columns, two neighbours of every eight, four neighbouring rows in one store; `m`, `n`: the thread's first. */
template <int A_ALONG_K, int FLOATS>
DEVICE void store_in_quads(const struct gemm_args &g, const struct output &o, const float (&acc)[2][FLOATS], int m,
                           int n) {
    float *d = o.d + (int64_t)n * o.ldd + m;
#pragma unroll
    for (int j = 0; j < FLOATS / 4; j++) {
#pragma unroll
        for (int i = 0; i < 2; i++) {
            float x[4];
            scaled_sums<A_ALONG_K>(x, o, acc, j, i);
            if (m < g.m && n + 8 * j + i < g.n)
                store_global_16(d + (8 * j + i) * o.ldd, make_float4(x[0], x[1], x[2], x[3]), o.past_l2);
        }
    }
}

/* Four lanes turn their 4 x 4 round: lane `t` of them gets the element t of each. */
DEVICE void turn_four(float (&x)[4], int t) {
#pragma unroll
    for (int far = 1; far <= 2; far *= 2) {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            if (i & far) continue;
            const float got = __shfl_xor_sync(0xffffffffu, t & far ? x[i] : x[i + far], far);
            x[i] = t & far ? got : x[i];
            x[i + far] = t & far ? x[i + far] : got;
        }
    }
}

/*
 * The same where single floats are stored, or C is read. LINES: a warp's 32 rows of a column at a time, `m` this
 * lane's; that costs shuffles, which do not pay where another warpgroup multiplies meanwhile. Else four rows of the
 * lane's own columns, `step` apart.
 */
template <int LINES, int ADD_C, int A_ALONG_K, int FLOATS>
DEVICE void store_singles(const struct gemm_args &g, const struct output &o, const float (&acc)[2][FLOATS], int m,
                          int n, int step, int thread) {
    const float *c = o.c + (int64_t)n * o.ldc + m;
    float *d = o.d + (int64_t)n * o.ldd + m;
#pragma unroll
    for (int j = 0; j < FLOATS / 4; j++) {
#pragma unroll
        for (int i = 0; i < 2; i++) {
            float x[4];
            scaled_sums<A_ALONG_K>(x, o, acc, j, i);
            if (LINES) turn_four(x, thread % 4);
#pragma unroll
            for (int of = 0; of < 4; of++) {
                const int column = 8 * j + i + (LINES ? 2 * of : 0), row = LINES ? 0 : step * of;
                if (m + row >= g.m || n + column >= g.n) continue;
                if (ADD_C) x[of] = fmaf(o.s.beta, c[column * o.ldc + row], x[of]);
                d[column * o.ldd + row] = x[of];
            }
        }
    }
}

/* A call, so that it takes no registers from those who do without. */
static __device__ __noinline__ void finish_stored(const struct gemm_args &g, int batch, int m, int n, int columns,
                                                  int lane) {
    finish_tile(g, batch, m, n, TF32_BOX_ROWS, columns, lane);
}

/* A thread's sums, four of a column; `m`, `n`: the warp's first. */
template <int LINES, int A_ALONG_K, int FLOATS>
DEVICE void store(const struct tf32_args &args, const float (&acc)[2][FLOATS], const struct work &w, int m, int n,
                  int thread) {
    const struct output o = output_of(args.gemm, w.split, w.batch);
    const enum tf32_order order = (enum tf32_order)args.order;
    const int first = m + tf32_row_of(A_ALONG_K, order, thread, 0, 0), own_n = n + thread % 4 * 2;
    const int step = A_ALONG_K && order == TF32_PLAIN ? TF32_GROUP_ROWS : 1;
    const int row = LINES ? first + step * (thread % 4) : first, column = LINES ? n : own_n;
    if (o.s.beta != 0.0f)
        store_singles<LINES, 1, A_ALONG_K>(args.gemm, o, acc, row, column, step, thread);
    else if (o.quads && step == 1)
        store_in_quads<A_ALONG_K>(args.gemm, o, acc, first, own_n);
    else
        store_singles<LINES, 0, A_ALONG_K>(args.gemm, o, acc, row, column, step, thread);
    if (finishes(args.gemm) && !args.gemm.partial) finish_stored(args.gemm, w.batch, m, n, 2 * FLOATS, thread % 32);
}

/* The turns of two warpgroups, by a barrier for each. */
DEVICE void turn_wait(int warpgroup) {
    if (warpgroup == 0)
        barrier_sync<3>(CONSUMERS * WARPGROUP);
    else
        barrier_sync<4>(CONSUMERS * WARPGROUP);
}
DEVICE void turn_pass(int warpgroup) {
    if (warpgroup == 0)
        barrier_arrive<4>(CONSUMERS * WARPGROUP);
    else
        barrier_arrive<3>(CONSUMERS * WARPGROUP);
}

template <int BM, int BN, int A_ALONG_K>
DEVICE void consume(const struct tf32_args &args, const uint8_t *stages, struct ring ring, int warpgroup, int thread) {
    typedef tile<BM, BN> tile;
    const struct reader reader = reader_of<BM, BN>(stages, warpgroup, thread);
    const int count = work_count(args.gemm);
    float acc[2][tile::N / 2];
#pragma unroll
    for (int i = 0; i < tile::N; i++) acc[i / (tile::N / 2)][i % (tile::N / 2)] = 0.0f;
    float *sums = (float *)(stages + tile::STAGES * tile::BYTES);
    int turn = 0;
    for (int index = blockIdx.x; index < count; index += gridDim.x, turn++) {
        const struct work w = work_item(args.gemm, index);
        const struct ring now = ring;
        const int place = tile::TOGETHER ? warpgroup : 0, first = tile::EVERY > 1 ? warpgroup : 0;
        const int m = w.tile_m * BM + (tile::ALONG_M > 1 ? place * ROWS : 0);
        const int n = w.tile_n * BN + (tile::ALONG_M > 1 ? 0 : place * tile::N);
        skip<tile::STAGES>(&ring, w.stages);
        if (tile::SHARING == TILES_IN_TURNS && turn % CONSUMERS != warpgroup) continue;
        /* Not before the other's stages: a barrier two phases behind looks as if it were where it is waited for. */
        if (tile::SHARING == TILES_IN_TURNS && turn > 0) turn_wait(warpgroup);
        if (m >= args.gemm.m || n >= args.gemm.n) {
            pass_by<tile::STAGES>(w, now, thread);
            continue;
        }
        if (tile::N > 2 * NARROW && args.gemm.n - n <= NARROW)
            multiply<tile::STAGES, tile::BYTES, tile::EVERY, NARROW, A_ALONG_K>(acc, w, reader, now, first, thread);
        else
            multiply<tile::STAGES, tile::BYTES, tile::EVERY, tile::N, A_ALONG_K>(acc, w, reader, now, first, thread);
        if (tile::SHARING == TILES_IN_TURNS && index + (int)gridDim.x < count) turn_pass(warpgroup);
        if (tile::SHARING == STAGES_IN_TURNS) {
            add_up(acc, sums, w.stages > 1, warpgroup, thread);
            if (warpgroup > 0) continue;
        }
        store<tile::TOGETHER, A_ALONG_K>(args, acc, w, m + thread / 32 * TF32_BOX_ROWS, n, thread);
    }
}

template <int BM, int BN, int A_ALONG_K>
DEVICE void sgemm_tf32_wgmma(const struct tf32_args &args, uint8_t *shared, uint64_t *barriers) {
    typedef tile<BM, BN> tile;
    static const int STAGES = tile::STAGES;
    uint8_t *stages = shared + (-shared_address(shared) & 1023);
    struct ring ring = {barriers, barriers + STAGES, 0, 0};
    if (threadIdx.x == 0) {
        prefetch_tensormap(&args.a);
        prefetch_tensormap(&args.b);
        for (int i = 0; i < STAGES; i++) {
            mbarrier_init(ring.full + i, 1);
            mbarrier_init(ring.empty + i, tile::READERS * WARPGROUP / 32); /* a warp each */
        }
        fence_barrier_init();
    }
    __syncthreads();
    grid_wait();
    const int warpgroup = threadIdx.x / WARPGROUP;
    if (warpgroup == CONSUMERS) {
        setmaxnreg_dec<40>();
        if (threadIdx.x == CONSUMERS * WARPGROUP) produce<BM, BN, A_ALONG_K>(args, stages, ring);
    } else {
        setmaxnreg_inc<232>();
        consume<BM, BN, A_ALONG_K>(args, stages, ring, warpgroup, threadIdx.x % WARPGROUP);
    }
}

#endif
