/*
 * The one-pass product's consumers: sums of products of planes, unscaled block by block; or fp64 (sgemm_fused.cuh).
 */
#ifndef FASTGEMM_FUSED_MULTIPLY_CUH
#define FASTGEMM_FUSED_MULTIPLY_CUH

#include "fused_ring.cuh"

/* COUNT wgmma of 16 k each: one plane of each operand, from k16 = FIRST on. */
template <int COUNT> DEVICE void multiply_f16(float (&d)[64], uint64_t a, uint64_t b, int first, int accumulate) {
#pragma unroll
    for (int k = 0; k < COUNT; k++) wgmma_m64n128k16_f16(d, a + 2 * (first + k), b + 2 * (first + k), accumulate | k);
}
DEVICE void multiply_bf16(float (&d)[64], uint64_t a, uint64_t b, int first, int accumulate) {
#pragma unroll
    for (int k = 0; k < 2; k++) wgmma_m64n128k16_bf16(d, a + 2 * (first + k), b + 2 * (first + k), accumulate | k);
}

static const int PLANE = FUSED_PLANE_BYTES / 16; /* in descriptors' units */

/* Adds a block's sums, unscaled. `row`: the thread's first of the tile's n. */
DEVICE void add_unscaled(float (&acc)[64], const float (&sum)[64], const struct fused_ring &ring, int thread, int row) {
    const uint32_t scales = scales_of(ring, 0) + thread % 4 * 32;
    float scale_n[4]; /* of four neighbours, two of which are this thread's: the first or the last */
    load_shared_16(scale_n, scales_of(ring, 1) + (row & ~3) * 4);
    const float scale_0 = row & 2 ? scale_n[2] : scale_n[0], scale_1 = row & 2 ? scale_n[3] : scale_n[1];
#pragma unroll
    for (int group = 0; group < 4; group++) {
        float scale_m[8];
        load_shared_16(scale_m, scales + 128 * group);
        load_shared_16(scale_m + 4, scales + 128 * group + 16);
#pragma unroll
        for (int i = 0; i < 16; i++) {
            const int at = 16 * group + i; /* of four places, two n, two quads of m */
            acc[at] = fmaf(sum[at] * (i & 2 ? scale_1 : scale_0), scale_m[i % 2 * 4 + i / 4], acc[at]);
        }
    }
}

/*
 * The products with a low plane are 2^11 too large; those of the high planes are added to them once they are not. The
 * stage is free before the sum is unscaled: the scales have slots of their own. FINE: half of the high planes apart.
 */
template <int FINE>
DEVICE void consume_fp16(float (&acc)[64], float (&sum)[64], const struct fused_ring &ring, uint64_t n_side,
                         uint64_t m_side, int thread, int row) {
    chain_begin(sum);
    multiply_f16<4>(sum, n_side + PLANE, m_side, 0, 0);
    multiply_f16<4>(sum, n_side, m_side + PLANE, 0, 1);
    chain_end(sum);
#pragma unroll
    for (int i = 0; i < 64; i++) sum[i] *= 1.0f / (1 << SPLIT_LO_SHIFT);
    chain_begin(sum);
    multiply_f16<FINE ? 2 : 4>(sum, n_side, m_side, 0, 1);
    chain_end(sum);
    if (FINE) {
        add_unscaled(acc, sum, ring, thread, row);
        chain_begin(sum);
        multiply_f16<2>(sum, n_side, m_side, 2, 0);
        chain_end(sum);
    }
    mbarrier_arrive(empty_barrier<FUSED_DONE>(ring)); /* its scales of blocks before have been read, too */
    add_unscaled(acc, sum, ring, thread, row);
}

DEVICE void consume_bf16(float (&acc)[64], float (&sum)[64], const struct fused_ring &ring, uint64_t n_side,
                         uint64_t m_side) {
#pragma unroll
    for (int half = 0; half < 2; half++) {
        chain_begin(sum);
        multiply_bf16(sum, n_side + 2 * PLANE, m_side, 2 * half, 0);
        multiply_bf16(sum, n_side, m_side + 2 * PLANE, 2 * half, 1);
        multiply_bf16(sum, n_side + PLANE, m_side + PLANE, 2 * half, 1);
        multiply_bf16(sum, n_side + PLANE, m_side, 2 * half, 1);
        multiply_bf16(sum, n_side, m_side + PLANE, 2 * half, 1);
        multiply_bf16(sum, n_side, m_side, 2 * half, 1);
        chain_end(sum);
        if (half == 1) mbarrier_arrive(empty_barrier<FUSED_WIDE>(ring));
#pragma unroll
        for (int i = 0; i < 64; i++) acc[i] += sum[i];
    }
}

/* Four k of a row, as fp64. */
DEVICE void load_exact(double *to, int step, uint32_t operand, int place, int k16, int lane) {
    float x[4];
    load_shared_16(x, operand + k16 / 2 * FUSED_PLANE_BYTES + fused_piece_offset(place, k16 % 2 * 4 + lane % 4));
#pragma unroll
    for (int i = 0; i < 4; i++) to[i * step] = x[i];
}

/* A block, for half of the tile's m; results lie as those of wgmma do. */
DEVICE void multiply_exact(double (&sum)[32], uint32_t n_side, uint32_t m_side, int place, int lane) {
#pragma unroll 1
    for (int k16 = 0; k16 < 4; k16++) {
        double a[8];
        load_exact(a, 2, n_side, place, k16, lane);
        load_exact(a + 1, 2, n_side, place + 8, k16, lane);
#pragma unroll
        for (int m8 = 0; m8 < 8; m8++) {
            double b[4];
            load_exact(b, 1, m_side, 8 * m8 + lane / 4, k16, lane);
            mma_m16n8k16_f64(sum + 4 * m8, a, b);
        }
    }
}

/* `low` is what `acc` leaves of the sums. */
DEVICE void consume_exact(float (&acc)[64], float (&low)[64], const struct fused_work &w, struct fused_ring *ring,
                          int warpgroup, int thread) {
    const int lane = thread % 32, place = warpgroup * 64 + thread / 32 * 16 + lane / 4;
#pragma unroll
    for (int half = 0; half < 2; half++) {
        double sum[32];
#pragma unroll
        for (int i = 0; i < 32; i++) sum[i] = 0;
        for (int block = 0; block < w.blocks; block++) {
            mbarrier_wait(full_barrier<FUSED_EXACT>(*ring), parity_of<FUSED_EXACT>(*ring));
            multiply_exact(sum, stage_of<FUSED_EXACT>(*ring, 1), stage_of<FUSED_EXACT>(*ring, 0) + half * 64 * 128,
                           place, lane);
            mbarrier_arrive(empty_barrier<FUSED_EXACT>(*ring));
            ring->count++;
        }
#pragma unroll
        for (int i = 0; i < 32; i++) {
            acc[half * 32 + i] = (float)sum[i];
            low[half * 32 + i] = (float)(sum[i] - acc[half * 32 + i]);
        }
    }
}

/* The main loop: the sums of one piece of work. */
template <int CHOICE, int FINE>
DEVICE void consume_all(float (&acc)[64], const struct fused_work &w, struct fused_ring *ring, int warpgroup,
                        int thread, int row) {
    float sum[64];
#pragma unroll
    for (int i = 0; i < 64; i++) acc[i] = sum[i] = 0.0f;
    for (int block = 0; block < w.blocks; block++, ring->count++) {
        mbarrier_wait(full_barrier<CHOICE>(*ring), parity_of<CHOICE>(*ring));
        fence_proxy_async(); /* not in the converters: it would wait for all that they have under way */
        const uint64_t m_side = wgmma_descriptor_128(stage_of<CHOICE>(*ring, 0), 1024);
        const uint64_t n_side = wgmma_descriptor_128(stage_of<CHOICE>(*ring, 1) + warpgroup * 64 * 128, 1024);
        if (CHOICE == FUSED_WIDE)
            consume_bf16(acc, sum, *ring, n_side, m_side);
        else
            consume_fp16<FINE>(acc, sum, *ring, n_side, m_side, thread, row);
    }
}

#endif
