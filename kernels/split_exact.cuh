/*
 * The product kernel's third way (SPLIT_EXACT): floats as they are, multiplied and summed in fp64 on tensor cores,
 * which on Hopper costs about what fp32 does outside. Products of two floats are exact there and sums as good as; a
 * result is rounded once. Infinities, NaNs and any exponents need no care.
 *
 * Half of the kernel's tile of C at a time: 128 m x 128 n, of which a warp takes 64 m x 32 n. The producers copy,
 * element by element, whatever the layout; the consumers widen what they load: a warp's 96 rows for 64 x 32 results.
 */
#ifndef FASTGEMM_SPLIT_EXACT_CUH
#define FASTGEMM_SPLIT_EXACT_CUH

#include "split_ring.cuh"
#include "split_store.cuh"

static const int EXACT_STAGES = MOST_STAGES;

DEVICE void produce_exact(const struct split_args &args, uint8_t *stages, struct ring ring) {
    const int count = work_count(args);
    for (int index = blockIdx.x; index < count; index += gridDim.x) {
        const struct work w = work_item(args, index);
        const int64_t tile = (int64_t)args.k_units * SPLIT_EXACT_BYTES, tiles = args.rows / SPLIT_UNIT_ROWS;
        const uint8_t *first = args.planes + w.batch * tiles * tile + (int64_t)w.first_unit * SPLIT_EXACT_BYTES;
        const uint8_t *b = first + (args.rows_a / SPLIT_UNIT_ROWS + w.tile_n) * tile;
        for (int half = 0; half < 2; half++) {
            const uint8_t *a = first + (2 * w.tile_m + half) * tile;
            for (int unit = 0; unit < w.units; unit++) {
                uint8_t *to = stages + ring.stage * 2 * SPLIT_EXACT_BYTES;
                uint64_t *full = ring.full + ring.stage;
                mbarrier_wait(ring.empty + ring.stage, ring.parity ^ 1);
                mbarrier_arrive_expect_tx(full, 2 * SPLIT_EXACT_BYTES);
                cp_async_bulk(to, b + (int64_t)unit * SPLIT_EXACT_BYTES, SPLIT_EXACT_BYTES, full);
                cp_async_bulk(to + SPLIT_EXACT_BYTES, a + (int64_t)unit * SPLIT_EXACT_BYTES, SPLIT_EXACT_BYTES, full);
                advance<EXACT_STAGES>(&ring);
            }
        }
    }
}

/*
 * Of 16 k of a row, four neighbours to each of four lanes. That is not the order of the matrix instruction, but it is
 * the same for both operands.
 */
template <int STEP> DEVICE void load_exact(double *to, const uint8_t *unit, int row, int k16, int lane) {
    const float4 x = *(const float4 *)(unit + exact_offset(row, 4 * k16 + lane % 4));
    to[0] = x.x;
    to[STEP] = x.y;
    to[2 * STEP] = x.z;
    to[3 * STEP] = x.w;
}

/* A warp's share of one stage. Results lie as those of wgmma do. */
DEVICE void multiply_exact(double (&sum)[2][32], const uint8_t *stage, int m, int n, int lane) {
#pragma unroll
    for (int k16 = 0; k16 < 2; k16++) {
        double b[2][8];
#pragma unroll
        for (int n8 = 0; n8 < 4; n8++) load_exact<2>(b[n8 / 2] + n8 % 2, stage, n + 8 * n8 + lane / 4, k16, lane);
#pragma unroll
        for (int m8 = 0; m8 < 8; m8++) {
            double a[4];
            load_exact<1>(a, stage + SPLIT_EXACT_BYTES, m + 8 * m8 + lane / 4, k16, lane);
            mma_m16n8k16_f64(sum[0] + 4 * m8, b[0], a);
            mma_m16n8k16_f64(sum[1] + 4 * m8, b[1], a);
        }
    }
}

/* What a warp summed, from m, n of the product on. */
DEVICE void store_exact(const struct split_args &args, const struct split_output &o, const double (&sum)[2][32], int m,
                        int n, int lane) {
    const bool aligned = quads_aligned(o.d, o.ldd);
    m += lane % 4 * 4;
    n += lane / 4;
#pragma unroll
    for (int row = 0; row < 4; row++, n += 8) {
#pragma unroll
        for (int quad = 0; quad < 4; quad++) {
            const int at = m + 16 * quad, count = n < args.gemm.n ? o.m_end - at : 0;
            float x[4];
#pragma unroll
            for (int i = 0; i < 4; i++) {
                const double exact = sum[row / 2][8 * quad + i / 2 * 4 + row % 2 * 2 + i % 2];
                x[i] = i < count ? scale(o.s, (float)exact, o.c + n * o.ldc + at + i) : 0.0f;
            }
            if (aligned)
                store_quad<1>(o.d + n * o.ldd + at, x, count, o.past_l2);
            else
                store_quad<0>(o.d + n * o.ldd + at, x, count, o.past_l2);
        }
    }
}

/* `warp` of the eight that multiply. */
DEVICE void consume_exact(const struct split_args &args, const uint8_t *stages, struct ring ring, int warp, int lane) {
    const int count = work_count(args), warp_m = warp % 2 * 64, warp_n = warp / 2 * 32;
    for (int index = blockIdx.x; index < count; index += gridDim.x) {
        const struct work w = work_item(args, index);
#pragma unroll 1
        for (int half = 0; half < 2; half++) {
            double sum[2][32];
#pragma unroll
            for (int i = 0; i < 64; i++) sum[i / 32][i % 32] = 0;
            for (int unit = 0; unit < w.units; unit++) {
                mbarrier_wait(ring.full + ring.stage, ring.parity);
                multiply_exact(sum, stages + ring.stage * 2 * SPLIT_EXACT_BYTES, warp_m, warp_n, lane);
                mbarrier_arrive(ring.empty + ring.stage);
                advance<EXACT_STAGES>(&ring);
            }
            const int m = w.tile_m * SPLIT_TILE_M + half * 128 + warp_m, n = w.tile_n * SPLIT_TILE_N + warp_n;
            store_exact(args, split_output_of(args, w, 0), sum, m, n, lane);
            if (finishes(args.gemm) && !args.gemm.partial) finish_stored(args.gemm, w.batch, m, n, 64, 32, lane);
        }
    }
}

DEVICE void sgemm_exact(const struct split_args &args, uint8_t *stages, struct ring ring) {
    if (threadIdx.x / WARPGROUP == CONSUMERS) {
        setmaxnreg_dec<40>();
        if (threadIdx.x == CONSUMERS * WARPGROUP) produce_exact(args, stages, ring);
    } else {
        setmaxnreg_inc<232>();
        consume_exact(args, stages, ring, threadIdx.x / 32, threadIdx.x % 32);
    }
}

#endif
