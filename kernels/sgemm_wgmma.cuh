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
 *
 * Products that have to be exact (SPLIT_EXACT) are summed in fp64: split_exact.cuh.
 */
#ifndef FASTGEMM_SGEMM_WGMMA_CUH
#define FASTGEMM_SGEMM_WGMMA_CUH

#include "split_ring.cuh"
#include "split_store.cuh"

template <int CHOICE> struct planes;
template <> struct planes<SPLIT_FP16X3> { static const int COUNT = 2, STAGES = 4; };
template <> struct planes<SPLIT_BF16X6> { static const int COUNT = 3, STAGES = 3; };

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
            const int64_t at = (int64_t)unit * UNIT;
            uint8_t *to = stages + ring.stage * 3 * UNIT;
            uint64_t *full = ring.full + ring.stage;
            mbarrier_wait(ring.empty + ring.stage, ring.parity ^ 1);
            mbarrier_arrive_expect_tx(full, 3 * UNIT);
            cp_async_bulk(to, b + at, UNIT, full);
            cp_async_bulk(to + UNIT, a + at, UNIT, full);
            cp_async_bulk(to + 2 * UNIT, a + at + tile, UNIT, full);
            advance<planes<CHOICE>::STAGES>(&ring);
        }
    }
}

/*
 * ---- the same for a kernel that begins before it knows the choice ----
 * Apart from the loop above on purpose: with this one in its place, products from 2048^3 on took 5 to 12 % longer.
 */

/* The planes of a piece of work: of its first unit of A and of B, and from one tile of A to the next. */
struct operands {
    const uint8_t *a, *b;
    int64_t tile;
};

template <int CHOICE> DEVICE struct operands operands_of(const struct split_args &args, const struct work &w) {
    static const int UNIT = planes<CHOICE>::COUNT * SPLIT_PLANE_BYTES;
    const uint8_t *matrix = args.planes + (int64_t)w.batch * (args.rows / SPLIT_UNIT_ROWS) * args.k_units * UNIT;
    struct operands o;
    o.tile = (int64_t)args.k_units * UNIT;
    o.a = matrix + 2 * w.tile_m * o.tile + (int64_t)w.first_unit * UNIT;
    o.b = matrix + (args.rows_a / SPLIT_UNIT_ROWS + w.tile_n) * o.tile + (int64_t)w.first_unit * UNIT;
    return o;
}

/* Fills the next stage. */
template <int CHOICE> DEVICE void copy_unit(const struct operands &o, int unit, uint8_t *stages, struct ring *ring) {
    static const int UNIT = planes<CHOICE>::COUNT * SPLIT_PLANE_BYTES;
    const int64_t at = (int64_t)unit * UNIT;
    uint8_t *to = stages + ring->stage * 3 * UNIT;
    uint64_t *full = ring->full + ring->stage;
    mbarrier_wait(ring->empty + ring->stage, ring->parity ^ 1);
    mbarrier_arrive_expect_tx(full, 3 * UNIT);
    cp_async_bulk(to, o.b + at, UNIT, full);
    cp_async_bulk(to + UNIT, o.a + at, UNIT, full);
    cp_async_bulk(to + 2 * UNIT, o.a + at + o.tile, UNIT, full);
    advance<planes<CHOICE>::STAGES>(ring);
}

/*
 * Units of the first piece of work that are copied before the choice is known: as many as there are stages. Worked out
 * anew where it is asked for, from what all threads have: a number that one thread had counted would make the
 * producer's addresses its own, and each copy would take a detour past the uniform registers.
 */
template <int CHOICE> DEVICE int units_ahead(const struct split_args &args) {
    if (!args.band_ctas || args.first_choice != CHOICE) return 0;
    return min(work_item(args, blockIdx.x).units, planes<CHOICE>::STAGES);
}

template <int CHOICE> DEVICE void produce_ahead(const struct split_args &args, uint8_t *stages, struct ring ring) {
    const struct operands o = operands_of<CHOICE>(args, work_item(args, blockIdx.x));
    const int ahead = units_ahead<CHOICE>(args);
    for (int unit = 0; unit < ahead; unit++) copy_unit<CHOICE>(o, unit, stages, &ring);
}

/* What produce_ahead left. */
template <int CHOICE> DEVICE void produce_rest(const struct split_args &args, uint8_t *stages, struct ring ring) {
    const int count = work_count(args);
    int ahead = units_ahead<CHOICE>(args);
    for (int index = blockIdx.x; index < count; index += gridDim.x) {
        const struct work w = work_item(args, index);
        const struct operands o = operands_of<CHOICE>(args, w);
        for (int unit = 0; unit < w.units; unit++, ahead--)
            if (ahead > 0)
                advance<planes<CHOICE>::STAGES>(&ring);
            else
                copy_unit<CHOICE>(o, unit, stages, &ring);
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
            if (thread % 32 == 0) mbarrier_arrive(ring->empty + ring->stage, 32);
        } else {
            multiply_fp16x3<0>(acc, sum, stages + first * STAGE, 0, warpgroup);
        }
        if (thread % 32 == 0) mbarrier_arrive(ring->empty + first, 32);
        advance<planes<CHOICE>::STAGES>(ring);
    }
}

template <int CHOICE>
DEVICE void consume(const struct split_args &args, const uint8_t *stages, struct ring ring, int warpgroup, int thread) {
    const int count = work_count(args);
    float acc[2][64];
    for (int index = blockIdx.x; index < count; index += gridDim.x) {
        struct work w = work_item(args, index);
        multiply<CHOICE>(acc, w, stages, &ring, warpgroup, thread);
        int place = warpgroup * WARPGROUP + thread;
        keep_below(&place, &w);
        store(args, acc, w, place);
    }
}

/* AHEAD: after produce_ahead. */
template <int CHOICE, bool AHEAD>
DEVICE void sgemm_wgmma(const struct split_args &args, uint8_t *stages, struct ring ring) {
    const int warpgroup = threadIdx.x / WARPGROUP;
    if (warpgroup == CONSUMERS) {
        setmaxnreg_dec<40>();
        if (threadIdx.x == CONSUMERS * WARPGROUP) {
            if (AHEAD)
                produce_rest<CHOICE>(args, stages, ring);
            else
                produce<CHOICE>(args, stages, ring);
        }
    } else {
        setmaxnreg_inc<232>();
        consume<CHOICE>(args, stages, ring, warpgroup, threadIdx.x % WARPGROUP);
    }
}

#endif
