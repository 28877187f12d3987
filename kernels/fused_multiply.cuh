/*
 * The one-pass product's consumers: sums of products of planes, unscaled block by block (sgemm_fused.cuh).
 */
#ifndef FASTGEMM_FUSED_MULTIPLY_CUH
#define FASTGEMM_FUSED_MULTIPLY_CUH

#include "fused_ring.cuh"

/* COUNT wgmma of 16 k each: one plane of each operand, from k16 = FIRST on. */
template <int COUNT> DEVICE void multiply_f16(float (&d)[64], uint64_t a, uint64_t b, int first, int accumulate) {
#pragma unroll
    for (int k = 0; k < COUNT; k++) wgmma_m64n128k16_f16(d, a + 2 * (first + k), b + 2 * (first + k), accumulate | k);
}

static const int PLANE = FUSED_PLANE_BYTES / 16; /* in descriptors' units */

/* What a thread's sums are to be multiplied by, in pairs of bf16: of its two n; of eight m of a group of 32. */
struct unscaling {
    uint32_t n, m[4];
};
DEVICE void load_unscaling(uint32_t (&m)[4], const struct fused_ring &ring, int group, int thread) {
    ld_shared_v4(m, scales_of(ring, 0) + thread % 4 * 16 + group * 64);
}
DEVICE float bf16_of(uint32_t pair, int high) {
    return bits_float(high ? pair & 0xffff0000u : pair << 16);
}

/* Adds a block's sums, unscaled. Of each group the scales are loaded while the one before is added. */
DEVICE void add_unscaled(float (&acc)[64], const float (&sum)[64], struct unscaling u, const struct fused_ring &ring,
                         int thread) {
    const float scale_n[2] = {bf16_of(u.n, 0), bf16_of(u.n, 1)};
#pragma unroll
    for (int group = 0; group < 4; group++) {
        uint32_t next[4];
        if (group < 3) load_unscaling(next, ring, group + 1, thread);
#pragma unroll
        for (int i = 0; i < 16; i++) {
            const int at = 16 * group + i, m = i % 2 * 4 + i / 4; /* of four places, two n, two quads of m */
            acc[at] = fmaf(sum[at] * scale_n[i / 2 % 2], bf16_of(u.m[m / 2], m % 2), acc[at]);
        }
#pragma unroll
        for (int i = 0; i < 4 && group < 3; i++) u.m[i] = next[i];
    }
}

/* Ends a chain; the first scales are loaded meanwhile. `row`: the thread's first of the tile's n. */
DEVICE struct unscaling chain_end_with(float (&sum)[64], const struct fused_ring &ring, int thread, int row) {
    struct unscaling u;
    u.n = ld_shared(scales_of(ring, 1) + row * 2);
    load_unscaling(u.m, ring, 0, thread);
    chain_end(sum);
    return u;
}

/*
 * The products with a low plane are 2^11 too large; those of the high planes are added to them once they are not. FINE:
 * half of the high planes apart.
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
    struct unscaling u = chain_end_with(sum, ring, thread, row);
    if (FINE) {
        add_unscaled(acc, sum, u, ring, thread);
        chain_begin(sum);
        multiply_f16<2>(sum, n_side, m_side, 2, 0);
        u = chain_end_with(sum, ring, thread, row);
    }
    /* The stage is free before the sum is unscaled: scales have slots of their own; those of blocks before are read. */
    mbarrier_arrive(empty_barrier<FUSED_DONE>(ring));
    add_unscaled(acc, sum, u, ring, thread);
}

/* The main loop: the sums of one piece of work. */
template <int FINE>
DEVICE void consume_all(float (&acc)[64], const struct fused_work &w, struct fused_ring *ring, int warpgroup,
                        int thread, int row) {
    float sum[64];
#pragma unroll
    for (int i = 0; i < 64; i++) acc[i] = sum[i] = 0.0f;
    for (int block = 0; block < w.blocks; block++, ring->count++) {
        mbarrier_wait(full_barrier<FUSED_DONE>(*ring), parity_of<FUSED_DONE>(*ring));
        const uint64_t m_side = wgmma_descriptor_128(stage_of(*ring, 0), 1024);
        const uint64_t n_side = wgmma_descriptor_128(stage_of(*ring, 1) + warpgroup * 64 * 128, 1024);
        consume_fp16<FINE>(acc, sum, *ring, n_side, m_side, thread, row);
    }
}

#endif
