/*
 * The product of split operands (split.h) by Hopper's matrix instruction, contract fp32.
 *
 *   CTA tile    256 m x 128 n; wgmma's rows are BLAS's n, so that a thread's accumulators are pairs along m
 *   warpgroups  one producer, whose one thread fills the stages by bulk copies; two consumers of 64 n each
 *   stages      of 32 k: three with bf16 planes, four with fp16 planes
 *   grid        persistent: as many CTAs as there are SMs, or work items (tile, split, batch) if fewer
 *
 * The tensor core's sum rounds towards zero, so it is cut short: a chain of instructions sums 32 (bf16) or 64 (fp16) of
 * K in a temporary accumulator, which is then added to the tile's own in ordinary fp32. While one warpgroup adds, the
 * other multiplies.
 */
#ifndef FASTGEMM_SGEMM_WGMMA_CUH
#define FASTGEMM_SGEMM_WGMMA_CUH

#include "epilogue.cuh"
#include "ptx_sm90.cuh"
#include "split.cuh"
#include "tile.cuh"

static const int CONSUMERS = 2, WARPGROUP = 128, HALF = 128; /* m of one chain: half the tile */

template <int CHOICE> struct planes;
template <> struct planes<SPLIT_FP16X3> {
    static const int COUNT = 2, STAGES = 4;
};
template <> struct planes<SPLIT_BF16X6> {
    static const int COUNT = 3, STAGES = 3;
};

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
    const int tiles = args.gemm.tiles_m * args.gemm.tiles_n, outer = index / tiles;
    struct work w;
    raster_tile(args.gemm, index - outer * tiles, &w.tile_m, &w.tile_n);
    w.batch = outer / args.gemm.splits;
    w.split = outer - w.batch * args.gemm.splits;
    const int per_split = (args.gemm.k_per_split + SPLIT_TILE_K - 1) / SPLIT_TILE_K * (SPLIT_TILE_K / SPLIT_UNIT_K);
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

/* Two stages: the products with a low plane, 2^11 too large, and then that of the high planes. */
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
        multiply_planes<SPLIT_FP16X3>(sum, second + n_side, second + m_side, 1, 0, 1);
        multiply_planes<SPLIT_FP16X3>(sum, second + n_side, second + m_side, 0, 1, 1);
        chain_end(sum);
#pragma unroll
        for (int i = 0; i < 64; i++) acc[half][i] = fmaf(sum[i], 1.0f / (1 << SPLIT_LO_SHIFT), acc[half][i]);
        chain_begin(sum);
        multiply_planes<SPLIT_FP16X3>(sum, first + n_side, first + m_side, 0, 0, 0);
        multiply_planes<SPLIT_FP16X3>(sum, second + n_side, second + m_side, 0, 0, 1);
        chain_end(sum);
#pragma unroll
        for (int i = 0; i < 64; i++) acc[half][i] += sum[i];
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

/* From the sums of scaled operands to memory: to D, or raw into scratch when K is split. */
DEVICE void store(const struct split_args &args, const float (&acc)[2][64], const struct work &w, int warpgroup,
                  int thread) {
    const struct gemm_args &g = args.gemm;
    const int lane = thread % 32, n0 = w.tile_n * SPLIT_TILE_N + warpgroup * 64 + thread / 32 * 16 + lane / 4;
    const int m0 = w.tile_m * SPLIT_TILE_M + lane % 4 * 2;
    const bool partial = g.partial != 0;
    const int32_t *scale_m = args.scales + (int64_t)w.batch * args.rows, *scale_n = scale_m + args.rows_a;
    struct scalars s = {1.0f, 0.0f};
    const float *c = 0;
    float *d;
    int64_t ldd = g.ldd;
    if (partial) {
        ldd = g.ld_partial;
        d = g.partial + ((int64_t)w.split * g.batch + w.batch) * g.n * ldd;
    } else {
        s = read_scalars(g);
        c = g.c + w.batch * g.stride_c;
        d = g.d + w.batch * g.stride_d;
    }
    const bool pairs = ldd % 2 == 0 && (uintptr_t)d % 8 == 0;
#pragma unroll
    for (int row = 0; row < 2; row++) {
        const int n = n0 + 8 * row;
        if (n >= g.n) continue;
        const int exponent_n = scale_n[n];
#pragma unroll
        for (int quad = 0; quad < 32; quad++) {
            const int m = m0 + quad * 8;
            float value[2] = {acc[quad / 16][quad % 16 * 4 + 2 * row], acc[quad / 16][quad % 16 * 4 + 2 * row + 1]};
            if (m >= g.m) continue;
#pragma unroll
            for (int i = 0; i < 2; i++) {
                const int exponent_m = scale_m[m + i]; /* padded: always there */
                if (exponent_m == SPLIT_NONFINITE || exponent_n == SPLIT_NONFINITE)
                    value[i] = m + i < g.m ? nonfinite_sum(args, m + i, n, w.batch) : 0.0f;
                else
                    value[i] = times_power_of_two(value[i], -(exponent_m + exponent_n));
                if (m + i < g.m) value[i] = scale(s, value[i], c + n * g.ldc + m + i);
            }
            float *to = d + n * ldd + m;
            if (pairs && m + 1 < g.m) {
                *(float2 *)to = make_float2(value[0], value[1]);
            } else {
                to[0] = value[0];
                if (m + 1 < g.m) to[1] = value[1];
            }
        }
    }
}

template <int CHOICE>
DEVICE void consume(const struct split_args &args, const uint8_t *stages, struct ring ring, int warpgroup, int thread) {
    static const int STAGE = 3 * planes<CHOICE>::COUNT * SPLIT_PLANE_BYTES;
    const int count = work_count(args);
    for (int index = blockIdx.x; index < count; index += gridDim.x) {
        const struct work w = work_item(args, index);
        float acc[2][64], sum[64];
#pragma unroll
        for (int i = 0; i < 64; i++) acc[0][i] = acc[1][i] = sum[i] = 0.0f;
        for (int unit = 0; unit < w.units; unit += CHOICE == SPLIT_FP16X3 ? 2 : 1) {
            const int first = ring.stage;
            mbarrier_wait(ring.full + first, ring.parity);
            if (CHOICE == SPLIT_FP16X3) {
                advance<planes<CHOICE>::STAGES>(&ring);
                mbarrier_wait(ring.full + ring.stage, ring.parity);
                multiply_fp16x3(acc, sum, stages + first * STAGE, stages + ring.stage * STAGE, warpgroup);
                if (thread % 32 == 0) mbarrier_arrive(ring.empty + ring.stage);
            } else {
                multiply_bf16x6(acc, sum, stages + first * STAGE, warpgroup);
            }
            if (thread % 32 == 0) mbarrier_arrive(ring.empty + first);
            advance<planes<CHOICE>::STAGES>(&ring);
        }
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
