/*
 * The product of split operands (split.h) by Hopper's matrix instruction, contract fp32.
 *
 *   CTA tile    256 m x 128 n; wgmma's rows are BLAS's n, so that a thread's accumulators lie along m
 *   warpgroups  one producer, whose one thread fills the stages by bulk copies; two consumers of 64 n each
 *   stages      of 32 k: three with bf16 planes, four with fp16 planes
 *   grid        persistent: as many CTAs as there are SMs, or work items (tile, split, batch) if fewer
 *
 * The tensor core's sum rounds towards zero, so it is cut short: a chain of instructions sums 32 of K (64 for
 * the products with a low fp16 plane) in a temporary accumulator, which is then added to the tile's own in ordinary
 * fp32. While one warpgroup adds, the other multiplies.
 */
#ifndef FASTGEMM_SGEMM_WGMMA_CUH
#define FASTGEMM_SGEMM_WGMMA_CUH

#include "epilogue.cuh"
#include "ptx_sm90.cuh"
#include "split.cuh"
#include "tile.cuh"

static const int CONSUMERS = 2, WARPGROUP = 128, HALF = 128; /* m of one chain: half the tile */

template <int CHOICE> struct planes;
template <> struct planes<SPLIT_FP16X3> { static const int COUNT = 2, STAGES = 4; };
template <> struct planes<SPLIT_BF16X6> { static const int COUNT = 3, STAGES = 3; };

/* Barriers of the ring of stages: a full one is read by the consumers, an empty one filled by the producer. */
struct ring {
    uint64_t *full, *empty;
    int stage, parity;
};

template <int STAGES> DEVICE void advance(struct ring *ring) {
    if (++ring->stage == STAGES) {
        ring->stage = 0;
        ring->parity ^= 1;
    }
}

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

template <int CHOICE> DEVICE void produce(const struct split_args &args, uint8_t *stages, struct ring ring) {
    static const int UNIT = planes<CHOICE>::COUNT * SPLIT_PLANE_BYTES;
    const int count = work_count(args);
    for (int index = blockIdx.x; index < count; index += gridDim.x) {
        const struct work w = work_item(args, index);
        const uint8_t *matrix = args.planes + (int64_t)w.batch * (args.rows / SPLIT_UNIT_ROWS) * args.k_units * UNIT;
        const int64_t tile = (int64_t)args.k_units * UNIT;
        const uint8_t *a = matrix + 2 * w.tile_m * tile + (int64_t)w.first_unit * UNIT;
        const uint8_t *b = matrix + (args.rows_a / SPLIT_UNIT_ROWS + w.tile_n) * tile + (int64_t)w.first_unit * UNIT;
        for (int unit = 0; unit < w.units; unit++) {
            uint8_t *to = stages + ring.stage * 3 * UNIT;
            uint64_t *full = ring.full + ring.stage;
            mbarrier_wait(ring.empty + ring.stage, ring.parity ^ 1);
            mbarrier_arrive_expect_tx(full, 3 * UNIT);
            cp_async_bulk(to, b, UNIT, full);
            cp_async_bulk(to + UNIT, a, UNIT, full);
            cp_async_bulk(to + 2 * UNIT, a + tile, UNIT, full);
            a += UNIT;
            b += UNIT;
            advance<planes<CHOICE>::STAGES>(&ring);
        }
    }
}

/* Two wgmma: the 32 k of one plane of each operand. */
template <int CHOICE>
DEVICE void multiply_planes(float (&d)[64], const uint8_t *n_side, const uint8_t *m_side, int plane_n, int plane_m,
                            int accumulate) {
    const uint64_t a = wgmma_descriptor(n_side + plane_n * SPLIT_PLANE_BYTES);
    const uint64_t b = wgmma_descriptor(m_side + plane_m * SPLIT_PLANE_BYTES);
#pragma unroll
    for (int k = 0; k < 2; k++) {
        if (CHOICE == SPLIT_FP16X3)
            wgmma_m64n128k16_f16(d, a + 2 * k, b + 2 * k, accumulate | k);
        else
            wgmma_m64n128k16_bf16(d, a + 2 * k, b + 2 * k, accumulate | k);
    }
}

DEVICE void chain_begin(float (&d)[64]) {
    wgmma_pin(d);
    wgmma_fence();
}

DEVICE void chain_end(float (&d)[64]) {
    wgmma_commit();
    wgmma_wait<0>();
    wgmma_pin(d);
}

/* One stage: six products of planes, the small ones first. */
DEVICE void multiply_bf16x6(float (&acc)[2][64], float (&sum)[64], const uint8_t *stage, int warpgroup) {
    static const int UNIT = 3 * SPLIT_PLANE_BYTES;
    const uint8_t *n_side = stage + warpgroup * 64 * 64;
#pragma unroll
    for (int half = 0; half < 2; half++) {
        const uint8_t *m_side = stage + (1 + half) * UNIT;
        chain_begin(sum);
        multiply_planes<SPLIT_BF16X6>(sum, n_side, m_side, 2, 0, 0);
        multiply_planes<SPLIT_BF16X6>(sum, n_side, m_side, 0, 2, 1);
        multiply_planes<SPLIT_BF16X6>(sum, n_side, m_side, 1, 1, 1);
        multiply_planes<SPLIT_BF16X6>(sum, n_side, m_side, 1, 0, 1);
        multiply_planes<SPLIT_BF16X6>(sum, n_side, m_side, 0, 1, 1);
        multiply_planes<SPLIT_BF16X6>(sum, n_side, m_side, 0, 0, 1);
        chain_end(sum);
#pragma unroll
        for (int i = 0; i < 64; i++) acc[half][i] += sum[i];
    }
}

/*
 * Two stages (or the last one alone): the products with a low plane, 2^11 too large, in one chain, and those of the
 * high planes in one for each stage.
 */
template <int PAIR>
DEVICE void multiply_fp16x3(float (&acc)[2][64], float (&sum)[64], const uint8_t *first, const uint8_t *second,
                            int warpgroup) {
    static const int UNIT = 2 * SPLIT_PLANE_BYTES;
    const int n_side = warpgroup * 64 * 64;
#pragma unroll
    for (int half = 0; half < 2; half++) {
        const int m_side = (1 + half) * UNIT;
        chain_begin(sum);
        multiply_planes<SPLIT_FP16X3>(sum, first + n_side, first + m_side, 1, 0, 0);
        multiply_planes<SPLIT_FP16X3>(sum, first + n_side, first + m_side, 0, 1, 1);
        if (PAIR) {
            multiply_planes<SPLIT_FP16X3>(sum, second + n_side, second + m_side, 1, 0, 1);
            multiply_planes<SPLIT_FP16X3>(sum, second + n_side, second + m_side, 0, 1, 1);
        }
        chain_end(sum);
#pragma unroll
        for (int i = 0; i < 64; i++) acc[half][i] = fmaf(sum[i], 1.0f / (1 << SPLIT_LO_SHIFT), acc[half][i]);
#pragma unroll
        for (int stage = 0; stage < 1 + PAIR; stage++) {
            const uint8_t *high = stage ? second : first;
            chain_begin(sum);
            multiply_planes<SPLIT_FP16X3>(sum, high + n_side, high + m_side, 0, 0, 0);
            chain_end(sum);
#pragma unroll
            for (int i = 0; i < 64; i++) acc[half][i] += sum[i];
        }
    }
}

/* What the infinities and NaNs of row m of op(A) and column n of op(B) make of their element: an infinity or NaN. */
static __device__ __noinline__ float nonfinite_sum(const struct split_args &args, int m, int n, int batch) {
    const struct gemm_args &g = args.gemm;
    const float *a = g.a + batch * g.stride_a + m * (args.a_along_k ? g.lda : 1);
    const float *b = g.b + batch * g.stride_b + n * (args.b_along_k ? g.ldb : 1);
    const int64_t step_a = args.a_along_k ? 1 : g.lda, step_b = args.b_along_k ? 1 : g.ldb;
    float sum = 0.0f;
    for (int k = 0; k < g.k && sum == sum; k++) {
        float x = a[k * step_a], y = b[k * step_b];
        if (!isfinite(x) || !isfinite(y)) sum = fmaf(x, y, sum);
    }
    return sum;
}

/*
 * Where a thread's sums go, and how. The planes of A have their rows in such an order (split_planes.cu) that a thread
 * holds quads of m, 16 apart; it holds them for two n, 8 apart.
 */
struct output {
    struct scalars s;
    const float *c;
    float *d;
    int64_t ldc, ldd;
    int m, n; /* of the thread's first element */
};
static const int QUADS = SPLIT_TILE_M / 16;

DEVICE float sum_of(const float (&acc)[2][64], int row, int quad, int i) {
    return acc[quad / 8][quad % 8 * 8 + i / 2 * 4 + 2 * row + i % 2];
}

DEVICE struct output output_of(const struct split_args &args, const struct work &w, int warpgroup, int thread) {
    const struct gemm_args &g = args.gemm;
    const int lane = thread % 32;
    struct output o;
    o.n = w.tile_n * SPLIT_TILE_N + warpgroup * 64 + thread / 32 * 16 + lane / 4;
    o.m = w.tile_m * SPLIT_TILE_M + lane % 4 * 4;
    o.ldc = g.ldc;
    o.ldd = g.ldd;
    o.c = g.c + w.batch * g.stride_c;
    o.d = g.d + w.batch * g.stride_d;
    if (g.partial) {
        o.s.alpha = 1.0f;
        o.s.beta = 0.0f;
        o.ldd = g.ld_partial;
        o.d = g.partial + ((int64_t)w.split * g.batch + w.batch) * g.n * o.ldd;
    } else {
        o.s = read_scalars(g);
    }
    return o;
}

/* Plain: whole tiles of finite numbers, alpha not 0. */
template <int ADD_C, int ALIGNED>
DEVICE void store_plain(const struct output &o, const float (&acc)[2][64], const float (&inverse_m)[QUADS][4],
                        const float (&inverse_n)[2]) {
    static const int BATCH = 4; /* quads of C under way */
#pragma unroll
    for (int row = 0; row < 2; row++) {
        const float *c = o.c + (o.n + 8 * row) * o.ldc + o.m;
        float *d = o.d + (o.n + 8 * row) * o.ldd + o.m;
#pragma unroll
        for (int batch = 0; batch < QUADS; batch += BATCH) {
            float old[BATCH][4];
#pragma unroll
            for (int i = 0; i < 4 * BATCH; i++) old[i / 4][i % 4] = ADD_C ? c[(batch + i / 4) * 16 + i % 4] : 0.0f;
#pragma unroll
            for (int quad = batch; quad < batch + BATCH; quad++) {
                float x[4];
#pragma unroll
                for (int i = 0; i < 4; i++) {
                    x[i] = o.s.alpha * (sum_of(acc, row, quad, i) * inverse_n[row] * inverse_m[quad][i]);
                    if (ADD_C) x[i] = fmaf(o.s.beta, old[quad - batch][i], x[i]);
                }
                if (ALIGNED) {
                    st_global_cs((float4 *)(d + quad * 16), make_float4(x[0], x[1], x[2], x[3]));
                } else {
#pragma unroll
                    for (int i = 0; i < 4; i++) d[quad * 16 + i] = x[i];
                }
            }
        }
    }
}

/* The smaller factor first, so that nothing overflows on the way; NaN if a scale is NaN, else a number. */
DEVICE float unscale(float sum, float x, float y) {
    const bool less = x < y;
    return sum * (less ? x : y) * (less ? y : x);
}

/* The rest: edges, scales far from 1, and what an infinity or a NaN touches (the tensor cores saw zeros in its row). */
DEVICE void store_any(const struct split_args &args, const struct output &o, const float (&acc)[2][64],
                      const float (&inverse_m)[QUADS][4], const float (&inverse_n)[2], int batch) {
#pragma unroll
    for (int row = 0; row < 2; row++) {
        const int n = o.n + 8 * row;
        if (n >= args.gemm.n) continue;
#pragma unroll
        for (int at = 0; at < 4 * QUADS; at++) {
            const int m = o.m + at / 4 * 16 + at % 4;
            float x = unscale(sum_of(acc, row, at / 4, at % 4), inverse_m[at / 4][at % 4], inverse_n[row]);
            if (m >= args.gemm.m) continue;
            if (x != x) x = nonfinite_sum(args, m, n, batch);
            o.d[n * o.ldd + m] = scale(o.s, x, o.c + n * o.ldc + m);
        }
    }
}

/* A power of two so near to 1 that a sum times it neither overflows nor vanishes. NaN is not. */
DEVICE bool moderate(float x) {
    return x >= 0x1p-60f && x <= 0x1p60f;
}

/* From the sums of scaled operands to memory: to D, or raw into scratch when K is split. */
DEVICE void store(const struct split_args &args, const float (&acc)[2][64], const struct work &w, int warpgroup,
                  int thread) {
    const struct output o = output_of(args, w, warpgroup, thread);
    const float *scales = args.inverse_scales + (int64_t)w.batch * args.rows; /* padded like the tiles */
    const float inverse_n[2] = {scales[args.rows_a + o.n], scales[args.rows_a + o.n + 8]};
    float inverse_m[QUADS][4], total = 0.0f; /* total: NaN if one of them is */
#pragma unroll
    for (int i = 0; i < QUADS; i++) *(float4 *)inverse_m[i] = *(const float4 *)(scales + o.m + i * 16);
#pragma unroll
    for (int i = 0; i < 4 * QUADS; i++) total += inverse_m[i / 4][i % 4];
    const bool inside = (w.tile_m + 1) * SPLIT_TILE_M <= args.gemm.m && (w.tile_n + 1) * SPLIT_TILE_N <= args.gemm.n;
    const bool aligned = o.ldd % 4 == 0 && (uintptr_t)o.d % 16 == 0;
    if (!inside || total != total || !moderate(inverse_n[0]) || !moderate(inverse_n[1]) || o.s.alpha == 0.0f)
        store_any(args, o, acc, inverse_m, inverse_n, w.batch);
    else if (o.s.beta != 0.0f)
        store_plain<1, 0>(o, acc, inverse_m, inverse_n);
    else if (aligned)
        store_plain<0, 1>(o, acc, inverse_m, inverse_n);
    else
        store_plain<0, 0>(o, acc, inverse_m, inverse_n);
}

/* The main loop: the sums of one piece of work. */
template <int CHOICE>
DEVICE void multiply(float (&acc)[2][64], const struct work &w, const uint8_t *stages, struct ring *ring, int warpgroup,
                     int thread) {
    static const int STAGE = 3 * planes<CHOICE>::COUNT * SPLIT_PLANE_BYTES;
    float sum[64];
#pragma unroll
    for (int i = 0; i < 64; i++) acc[0][i] = acc[1][i] = sum[i] = 0.0f;
    for (int unit = 0; unit < w.units; unit++) {
        const int first = ring->stage;
        mbarrier_wait(ring->full + first, ring->parity);
        if (CHOICE == SPLIT_BF16X6) {
            multiply_bf16x6(acc, sum, stages + first * STAGE, warpgroup);
        } else if (++unit < w.units) {
            advance<planes<CHOICE>::STAGES>(ring);
            mbarrier_wait(ring->full + ring->stage, ring->parity);
            multiply_fp16x3<1>(acc, sum, stages + first * STAGE, stages + ring->stage * STAGE, warpgroup);
            if (thread % 32 == 0) mbarrier_arrive(ring->empty + ring->stage);
        } else {
            multiply_fp16x3<0>(acc, sum, stages + first * STAGE, 0, warpgroup);
        }
        if (thread % 32 == 0) mbarrier_arrive(ring->empty + first);
        advance<planes<CHOICE>::STAGES>(ring);
    }
}

template <int CHOICE>
DEVICE void consume(const struct split_args &args, const uint8_t *stages, struct ring ring, int warpgroup, int thread) {
    const int count = work_count(args);
    float acc[2][64];
    for (int index = blockIdx.x; index < count; index += gridDim.x) {
        const struct work w = work_item(args, index);
        multiply<CHOICE>(acc, w, stages, &ring, warpgroup, thread);
        store(args, acc, w, warpgroup, thread);
    }
}

template <int CHOICE> DEVICE void sgemm_wgmma(const struct split_args &args, uint8_t *stages, struct ring ring) {
    const int warpgroup = threadIdx.x / WARPGROUP;
    if (warpgroup == CONSUMERS) {
        setmaxnreg_dec<40>();
        if (threadIdx.x == CONSUMERS * WARPGROUP) produce<CHOICE>(args, stages, ring);
    } else {
        setmaxnreg_inc<232>();
        consume<CHOICE>(args, stages, ring, warpgroup, threadIdx.x % WARPGROUP);
    }
}

#endif
