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

/* The inverse scales of `count` rows, of which a tile's first lies at `inverse`. */
struct tile_scales {
    const float *inverse;
    int count;

    /* The square root of a scale, or where that is no power of two, one of two numbers of which it is the product. */
    DEVICE_MEMBER float half_of(int row, int second) const {
        const int exponent = row < count ? (int)(float_bits(inverse[row]) >> 23) - 127 : 0, half = exponent >> 1;
        return power_of_two(second ? exponent - half : half);
    }
};

DEVICE struct tile_scales scales_of_tile(const struct fp16_fragments_args &args, bool is_a, int batch, int first) {
    const int64_t matrix = (is_a ? args.product.stride_a : args.product.stride_b) ? batch : 0;
    const struct tile_scales scales = {args.inverse_scales + matrix * args.rows + (is_a ? 0 : args.rows_a) + first,
                                       (is_a ? args.product.m : args.product.n) - first};
    return scales;
}

/*
 * A lane's sums of scaled operands, the first at m, n of the tile, as they would have been without. Scales are undone
 * in halves, by turns, so that nothing overflows on the way that does not in the end.
 */
template <int TM, int TN>
DEVICE void unscale(float (&acc)[TN][TM], const struct tile_scales &a, const struct tile_scales &b, int m, int n) {
#pragma unroll
    for (int second = 0; second < 2; second++) {
#pragma unroll
        for (int i = 0; i < TM; i++) {
            const float factor = a.half_of(m + i / 4 * 16 + i % 4, second);
#pragma unroll
            for (int j = 0; j < TN; j++) acc[j][i] *= factor;
        }
#pragma unroll
        for (int j = 0; j < TN; j++) {
            const float factor = b.half_of(n + j / 4 * 32 + j % 4, second);
#pragma unroll
            for (int i = 0; i < TM; i++) acc[j][i] *= factor;
        }
    }
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
