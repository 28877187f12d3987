/*
 * What the passes over the operands share: rows and what is seen of them, the choice of how to multiply, and planes.
 */
#ifndef FASTGEMM_SPLIT_ROWS_CUH
#define FASTGEMM_SPLIT_ROWS_CUH

#include "ptx_grid.cuh"
#include "ptx_split.cuh"
#include "split.cuh"
#include "tile.cuh"

/* One row of op(A) or column of op(B): element k is at [k * step]. */
struct row {
    const float *at;
    int64_t step;
    bool inside; /* false: padding */
};

DEVICE struct row row_of(const struct split_args &args, int index, int batch) {
    const struct gemm_args &g = args.gemm;
    struct row r;
    if (index < args.rows_a) {
        r.inside = index < g.m;
        r.step = args.a_along_k ? 1 : g.lda;
        r.at = matrix_a(g, batch) + index * (args.a_along_k ? g.lda : 1);
    } else {
        index -= args.rows_a;
        r.inside = index < g.n;
        r.step = args.b_along_k ? 1 : g.ldb;
        r.at = matrix_b(g, batch) + index * (args.b_along_k ? g.ldb : 1);
    }
    return r;
}

/* Bits of the largest |x|, and of the smallest but zero, less one: zero becomes the largest of all. Sum of all |x|. */
struct extremes {
    uint32_t most, least;
    float sum;
};

DEVICE struct extremes nothing_seen(void) {
    struct extremes e = {0, 0xffffffffu, 0.0f};
    return e;
}

DEVICE void look_at(struct extremes *e, float x) {
    uint32_t bits = float_bits(x) & 0x7fffffffu;
    e->most = max(e->most, bits);
    e->least = min(e->least, bits - 1);
    e->sum += fabsf(x);
}

DEVICE void see_also(struct extremes *e, const struct extremes &other) {
    e->most = max(e->most, other.most);
    e->least = min(e->least, other.least);
    e->sum += other.sum;
}

/* What is to be known of a row, in one word: 255 - the least exponent above, the most below; and a short row's flag. */
static const uint32_t ROW_DOMINATED = 256;
static const float DOMINATED = 4; /* least sum of magnitudes over the largest for a row that is not */
DEVICE uint32_t packed(const struct extremes &e, int k) {
    const uint32_t least = e.least == 0xffffffffu ? 255 : (e.least + 1) >> 23;
    const bool dominated = k < SPLIT_SHORT_K && e.sum < DOMINATED * bits_float(e.most);
    return (255 - least) << 16 | (dominated ? ROW_DOMINATED : 0) | e.most >> 23;
}

/* Of two parts of a long row. */
DEVICE uint32_t wider(uint32_t a, uint32_t b) {
    return max(a & 0xffff0000u, b & 0xffff0000u) | max(a & 0xffffu, b & 0xffffu);
}

/* Counts a part of a row of which the largest element has this exponent. */
DEVICE void count_part(struct split_moments *m, int exponent) {
    if (exponent == 255) return; /* not finite: its row becomes zeros */
    m->second += __hiloint2double((1023 + 2 * (exponent - 127)) << 20, 0);
    m->fourth += __hiloint2double((1023 + 4 * (exponent - 127)) << 20, 0);
}

/* Counts a row; returns the inverse of its scale. */
DEVICE float count_row(struct split_moments *m, uint32_t word, int spread) {
    const int most = word & 0xff, least = 255 - (int)(word >> 16);
    const bool wide = most != 255 && least != 255 && (least == 0 || most <= 15 || most - least > spread);
    m->rows += word != 0;
    m->wide += wide;
    m->dominated += (word & ROW_DOMINATED) != 0;
    /* Wide rows are raised far, for the sake of their smallest elements: bf16 has room for their sums. */
    const int target = wide ? 48 : 14;
    /* Subnormal rows are not raised all the way: the scale and its inverse have to be normal numbers. */
    const int scale = word == 0 ? 0 : min(target + 127 - most, 126);
    return most == 255 ? nan_float() : power_of_two(-scale);
}

DEVICE struct split_moments sum_of_moments(struct split_moments x, const struct split_moments &y) {
    x.second += y.second;
    x.fourth += y.fourth;
    x.rows += y.rows;
    x.dominated += y.dominated;
    x.wide += y.wide;
    return x;
}

DEVICE struct split_moments sum_over_lanes(struct split_moments m) {
    for (int far = 16; far; far /= 2) {
        struct split_moments other;
        other.second = __shfl_xor_sync(0xffffffffu, m.second, far);
        other.fourth = __shfl_xor_sync(0xffffffffu, m.fourth, far);
        other.rows = __shfl_xor_sync(0xffffffffu, m.rows, far);
        other.dominated = __shfl_xor_sync(0xffffffffu, m.dominated, far);
        other.wide = __shfl_xor_sync(0xffffffffu, m.wide, far);
        m = sum_of_moments(m, other);
    }
    return m;
}

/* The sum over a warp, into its place; then there for all to see. */
DEVICE void sum_over_warps(struct split_moments m, struct split_moments *of_warps) {
    m = sum_over_lanes(m);
    if (threadIdx.x % 32 == 0) of_warps[threadIdx.x / 32] = m;
    __syncthreads();
}

DEVICE struct split_moments sum_of_warps(const struct split_moments *of_warps, int count) {
    struct split_moments m = of_warps[0];
    for (int warp = 1; warp < count; warp++) m = sum_of_moments(m, of_warps[warp]);
    return m;
}

/* As many elements of one size would have these moments. */
DEVICE double elements_that_count(const struct split_moments &m) {
    return m.second * m.second / m.fourth;
}

/* See choice_for: the squares of the product lie in a few of its elements. */
DEVICE bool few_elements(const struct split_moments &a, const struct split_moments &b, int k, int matrices) {
    static const double FEW_ELEMENTS = 4;
    return elements_that_count(a) * elements_that_count(b) < FEW_ELEMENTS * k * matrices;
}

/*
 * What the moments of A and B say of the product's error; either way only inputs that no tensor core's sum suits.
 *
 * Concentrated: the squares of the product lie in a few of its elements. Were A and B independent, the elements that
 * count in it would be about those of A times those of B over K. Then the error of the whole is that of a few
 * roundings, and only one that is nowhere larger than fp32's is sure not to be twice as large.
 *
 * Dominated: most sums are short and owe all they are to one product, which fp32 rounds but once.
 */
DEVICE uint32_t choice_for(const struct split_args &args, const struct split_moments &a, const struct split_moments &b,
                           int matrices) {
    if (few_elements(a, b, args.gemm.k, matrices)) return SPLIT_EXACT;
    const bool dominated = 2 * a.dominated > a.rows || 2 * b.dominated > b.rows;
    if (dominated && args.gemm.k <= 64) return SPLIT_EXACT;
    return dominated || a.wide || b.wide ? SPLIT_BF16X6 : args.first_choice;
}

/* Two floats to two fp16 or bf16 of one plane; what is left over goes to the next plane. */
DEVICE uint32_t split_fp16(float *x, float *y) {
    uint32_t pair = cvt_f16x2(*x, *y);
    *x = (*x - float_of_f16(pair)) * (1 << SPLIT_LO_SHIFT);
    *y = (*y - float_of_f16(pair >> 16)) * (1 << SPLIT_LO_SHIFT);
    return pair;
}

DEVICE uint32_t split_bf16(float *x, float *y) {
    uint32_t pair = cvt_bf16x2(*x, *y);
    *x -= bits_float(pair << 16);
    *y -= bits_float(pair & 0xffff0000u);
    return pair;
}

/* Eight elements along k as one 16-byte piece of each plane. */
template <int PLANES> DEVICE void store_pieces(uint8_t *at, float (&x)[8]) {
#pragma unroll
    for (int plane = 0; plane < PLANES; plane++) {
        uint32_t word[4];
#pragma unroll
        for (int i = 0; i < 4; i++)
            word[i] = PLANES <= 2 ? split_fp16(&x[2 * i], &x[2 * i + 1]) : split_bf16(&x[2 * i], &x[2 * i + 1]);
        *(uint4 *)(at + plane * SPLIT_PLANE_BYTES) = make_uint4(word[0], word[1], word[2], word[3]);
    }
}

/*
 * Where a row of A stands among its 16: wgmma gives a thread two neighbours of each 8, so that four neighbouring rows
 * are brought into its hands by taking two from each 8.
 */
DEVICE int place_of(int row) {
    return (row & ~14) | (row & 12) >> 1 | (row & 2) << 2;
}

/* Where the piece of k = 8 piece .. 8 piece + 7 lies in a unit's plane: rows of 64 bytes, swizzled by pairs of rows. */
DEVICE int piece_offset(int row, int piece) {
    return row * 64 + (piece ^ (row / 2 & 3)) * 16;
}

DEVICE void load_eight(float (&x)[8], const struct row &r, int k, int k_end, bool vector) {
    if (!r.inside || k >= k_end) {
#pragma unroll
        for (int i = 0; i < 8; i++) x[i] = 0.0f;
    } else if (k + 8 <= k_end && vector) {
        *(float4 *)x = *(const float4 *)(r.at + k);
        *(float4 *)(x + 4) = *(const float4 *)(r.at + k + 4);
    } else if (k + 8 <= k_end) {
#pragma unroll
        for (int i = 0; i < 8; i++) x[i] = r.at[(k + i) * r.step];
    } else {
#pragma unroll
        for (int i = 0; i < 8; i++) x[i] = k + i < k_end ? r.at[(k + i) * r.step] : 0.0f;
    }
}

#endif
