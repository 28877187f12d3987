/*
 * The family FP16X1_MMA: TF32 products by mma.sync on fp16 tensor cores, sm_80 and up, of operands that passes have
 * scaled and packed into fragments (fp16_fragments.h); or, where fp16 does not hold them, of the same in TF32. Contract
 * tf32. One CTA computes a BM x BN tile of C over its slice of K; tiles and lanes as in sgemm_tf32_packed.cuh.
 */
#ifndef FASTGEMM_SGEMM_FP16X1_MMA_CUH
#define FASTGEMM_SGEMM_FP16X1_MMA_CUH

#include "epilogue.cuh"
#include "fp16_fragments.h"
#include "packed_pipeline.cuh"
#include "split_notes.cuh"

template <int TM, int TN> DEVICE void clear(float (&acc)[TN][TM]) {
#pragma unroll
    for (int i = 0; i < TN * TM; i++) acc[i / TM][i % TM] = 0.0f;
}

/* The exponents of the inverse scales of `count` rows, of which a tile's first lies at `inverse`. */
struct tile_scales {
    const float *inverse;
    int count;

    DEVICE_MEMBER int of(int row) const { return row < count ? (int)(float_bits(inverse[row]) >> 23) - 127 : 0; }
};

DEVICE struct tile_scales scales_of_tile(const struct fp16_fragments_args &args, bool is_a, int batch, int first) {
    const int64_t matrix = (is_a ? args.product.stride_a : args.product.stride_b) ? batch : 0;
    const struct tile_scales scales = {args.inverse_scales + matrix * args.rows + (is_a ? 0 : args.rows_a) + first,
                                       (is_a ? args.product.m : args.product.n) - first};
    return scales;
}

/*
 * A scale at once, or half of it, and then what is left of those below 1 before what is left of those above: so nothing
 * overflows or vanishes on the way that does not in the end.
 */
enum scale_part { SCALE_WHOLE, SCALE_HALF, SCALE_LOWER, SCALE_UPPER };
template <int PART> DEVICE float part_of_scale(int exponent) {
    const int half = exponent >> 1, left = exponent - half;
    return power_of_two(PART == SCALE_WHOLE   ? exponent
                        : PART == SCALE_HALF  ? half
                        : PART == SCALE_LOWER ? min(left, 0)
                                              : max(left, 0));
}

/* Where a lane's element `i` along m, and `j` along n, lies from its first. */
DEVICE constexpr int along_m(int i) {
    return i / 4 * 16 + i % 4;
}
DEVICE constexpr int along_n(int j) {
    return j / 4 * 32 + j % 4;
}

template <int PART, int TM, int TN>
DEVICE void unscale_part(float (&acc)[TN][TM], const struct tile_scales &a, const struct tile_scales &b, int m, int n) {
#pragma unroll
    for (int i = 0; i < TM; i++) {
        const float factor = part_of_scale<PART>(a.of(m + along_m(i)));
#pragma unroll
        for (int j = 0; j < TN; j++) acc[j][i] *= factor;
    }
#pragma unroll
    for (int j = 0; j < TN; j++) {
        const float factor = part_of_scale<PART>(b.of(n + along_n(j)));
#pragma unroll
        for (int i = 0; i < TM; i++) acc[j][i] *= factor;
    }
}

/* A lane's sums of scaled operands, the first at m, n of the tile, as they would have been without. */
template <int TM, int TN>
DEVICE void unscale(float (&acc)[TN][TM], const struct tile_scales &a, const struct tile_scales &b, int m, int n) {
    static const int MODERATE = 60; /* sums of K products of less than 2^30, times both, stay in range */
    int most = 0;
#pragma unroll
    for (int i = 0; i < TM; i++) most = max(most, abs(a.of(m + along_m(i))));
#pragma unroll
    for (int j = 0; j < TN; j++) most = max(most, abs(b.of(n + along_n(j))));
    if (most <= MODERATE) {
        unscale_part<SCALE_WHOLE, TM, TN>(acc, a, b, m, n);
        return;
    }
    unscale_part<SCALE_HALF, TM, TN>(acc, a, b, m, n);
    unscale_part<SCALE_LOWER, TM, TN>(acc, a, b, m, n);
    unscale_part<SCALE_UPPER, TM, TN>(acc, a, b, m, n);
}

template <int BM, int BN, int TM, int TN, int STAGES>
DEVICE void sgemm_fp16x1_mma(const struct fp16_fragments_args &args) {
    static const int WARPS_M = BM / (4 * TM), BYTES = FP16_FRAGMENT_BYTES;
    typedef packed_pipeline<BM, BN, TM, TN, STAGES, BYTES, 1> fp16;
    typedef packed_pipeline<BM, BN, TM, TN, STAGES, BYTES, 0> tf32;
    SHARED_MEMORY(shared);
    const struct gemm_args &g = args.product;
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, row = lane / 4, c = lane % 4;
    const int warp_m = warp % WARPS_M * 4 * TM, warp_n = warp / WARPS_M * 8 * TN;

    int tile_m, tile_n;
    raster_tile(g, blockIdx.x, &tile_m, &tile_n);
    const int m0 = tile_m * BM, n0 = tile_n * BN;
    const int split = blockIdx.y, batch = blockIdx.z;
    const int64_t k_begin = (int64_t)split * g.k_per_split;
    const int k_count = min(g.k - (int)k_begin, g.k_per_split);
    const bool does = choice_by_notes(*args.notes, g.k) == SPLIT_FP16X1;
    const int64_t k_bytes = (does ? 2 : 4) * k_begin; /* of all k before, in a row */
    const char *a = (const char *)(g.a + batch * g.stride_a) + k_bytes * g.lda + m0 * BYTES;
    const char *b = (const char *)(g.b + batch * g.stride_b) + k_bytes * g.ldb + n0 * BYTES;

    float acc[TN][TM];
    clear<TM, TN>(acc);
    if (does) {
        fp16 p;
        p.init(a, b, g.lda, g.ldb, warp_m, warp_n, shared_at(shared));
        p.run(acc, (k_count + BYTES / 2 - 1) / (BYTES / 2));
        unscale<TM, TN>(acc, scales_of_tile(args, true, batch, m0 + warp_m),
                        scales_of_tile(args, false, batch, n0 + warp_n), 4 * c, 4 * row);
    } else {
        tf32 p;
        p.init(a, b, g.lda, g.ldb, warp_m, warp_n, shared_at(shared));
        p.run(acc, (k_count + BYTES / 4 - 1) / (BYTES / 4));
    }
    /* The lane of the SIMT family's order that stands at row c and column `row` of the lanes. */
    const int stands = c << 1 | (row & 1) | row >> 1 << 3;
    store_tile<TM, TN>(g, shared + warp * stage_floats<TM>(), acc, m0 + warp_m, n0 + warp_n, split, batch, stands);
}

#endif
