/*
 * From a thread's sums of scaled operands to memory: the scales undone, alpha and beta applied, infinities and NaNs put
 * where fp32 would have them.
 */
#ifndef FASTGEMM_SPLIT_STORE_CUH
#define FASTGEMM_SPLIT_STORE_CUH

#include "epilogue.cuh"
#include "split_ring.cuh"

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
struct split_output {
    struct scalars s;
    const float *c;
    float *d;
    int64_t ldc, ldd;
    int m, n;     /* of the thread's first element */
    int m_end;    /* whole quads of partial sums, so that their sum reads nothing that was not written */
    bool past_l2; /* what is stored is not soon read */
};
static const int QUADS = SPLIT_TILE_M / 16;

DEVICE float sum_of(const float (&acc)[2][64], int row, int quad, int i) {
    return acc[quad / 8][quad % 8 * 8 + i / 2 * 4 + 2 * row + i % 2];
}

/* `thread` of the 256 that multiply: each 16 n to a warp. */
DEVICE struct split_output split_output_of(const struct split_args &args, const struct work &w, int thread) {
    const struct gemm_args &g = args.gemm;
    const int lane = thread % 32;
    struct split_output o;
    o.n = w.tile_n * SPLIT_TILE_N + thread / 32 * 16 + lane / 4;
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
    o.m_end = g.partial ? (int)o.ldd : g.m;
    o.past_l2 = !g.partial;
    return o;
}

/* Four neighbours along m, or those of the first `count` that there are. */
template <int ALIGNED> DEVICE void store_quad(float *to, const float (&x)[4], int count, bool past_l2) {
    if (ALIGNED && count >= 4 && past_l2)
        st_global_cs((float4 *)to, make_float4(x[0], x[1], x[2], x[3]));
    else
        store_quad(to, x, count, ALIGNED != 0);
}

/* Undoes scales that lie near 1, or near each other: in place, so that the registers of the scales are free again. */
DEVICE void unscale_plain(float (&acc)[2][64], const float (&inverse_m)[QUADS][4], const float (&inverse_n)[2]) {
#pragma unroll
    for (int i = 0; i < 128; i++) {
        const int j = i % 64, row = j / 2 % 2, quad = i / 64 * 8 + j / 8;
        acc[i / 64][j] *= inverse_n[row];
        acc[i / 64][j] *= inverse_m[quad][j / 4 % 2 * 2 + j % 2];
    }
}

/*
 * Plain: finite numbers, their scales undone, alpha not 0. ALIGNED: quads of D, and of C if it is added, can be moved
 * as one. `m` and `n` are how many there are from the thread's first element on.
 */
template <int ADD_C, int ALIGNED>
DEVICE void store_plain(const struct split_output &o, const float (&acc)[2][64], int m, int n) {
    static const int BATCH = 4; /* quads of C under way */
#pragma unroll
    for (int row = 0; row < 2; row++) {
        const float *c = o.c + (o.n + 8 * row) * o.ldc + o.m;
        float *d = o.d + (o.n + 8 * row) * o.ldd + o.m;
        const bool there = 8 * row < n;
#pragma unroll
        for (int batch = 0; batch < QUADS; batch += BATCH) {
            float x[BATCH][4];
#pragma unroll
            for (int i = 0; i < BATCH; i++)
                if (ADD_C) load_quad(x[i], c + (batch + i) * 16, there ? m - (batch + i) * 16 : 0, ALIGNED != 0);
#pragma unroll
            for (int i = 0; i < 4 * BATCH; i++) {
                const float value = o.s.alpha * sum_of(acc, row, batch + i / 4, i % 4);
                x[i / 4][i % 4] = ADD_C ? fmaf(o.s.beta, x[i / 4][i % 4], value) : value;
            }
#pragma unroll
            for (int i = 0; i < BATCH; i++) {
                const int at = (batch + i) * 16;
                if (there) store_quad<ALIGNED>(d + at, x[i], m - at, o.past_l2);
            }
        }
    }
}

/* A whole quad that replaces C, unscaled on its way. `d`: of the row. */
DEVICE void store_unscaled(const struct split_output &o, float *d, const float (&acc)[2][64], int row, int quad,
                           float inverse_n, const float (&inverse_m)[4]) {
    float x[4];
#pragma unroll
    for (int i = 0; i < 4; i++) x[i] = o.s.alpha * (sum_of(acc, row, quad, i) * inverse_n * inverse_m[i]);
    store_quad<1>(d + quad * 16, x, 4, o.past_l2);
}

/* Whole tiles of them: the stores begin at once. */
DEVICE void store_inside(const struct split_output &o, const float (&acc)[2][64], const float (&inverse_m)[QUADS][4],
                         const float (&inverse_n)[2]) {
#pragma unroll
    for (int row = 0; row < 2; row++) {
        float *d = o.d + (o.n + 8 * row) * o.ldd + o.m;
#pragma unroll
        for (int quad = 0; quad < QUADS; quad++) {
            store_unscaled(o, d, acc, row, quad, inverse_n[row], inverse_m[quad]);
        }
    }
}

/* Nothing overflows or vanishes on the way that the result does not; NaN if a scale is NaN, else a number. */
DEVICE float unscale(float sum, float x, float y) {
    const float both = x * y;
    if (both >= 0x1p-126f && both <= 0x1p127f) return sum * both;
    const bool less = x < y;
    return sum * (less ? y : x) * (less ? x : y);
}

/* The rest: scales far from 1, and what an infinity or a NaN touches (the tensor cores saw zeros in its row). */
DEVICE void store_any(const struct split_args &args, const struct split_output &o, const float (&acc)[2][64],
                      const float (&inverse_m)[QUADS][4], const float (&inverse_n)[2], int batch) {
#pragma unroll
    for (int row = 0; row < 2; row++) {
        const int n = o.n + 8 * row;
        if (n >= args.gemm.n) continue;
#pragma unroll
        for (int at = 0; at < 4 * QUADS; at++) {
            const int m = o.m + at / 4 * 16 + at % 4;
            float x = unscale(sum_of(acc, row, at / 4, at % 4), inverse_m[at / 4][at % 4], inverse_n[row]);
            if (m >= o.m_end) continue;
            if (x != x && m < args.gemm.m) x = nonfinite_sum(args, m, n, batch);
            o.d[n * o.ldd + m] = scale(o.s, x, o.c + n * o.ldc + m);
        }
    }
}

DEVICE bool quads_aligned(const float *matrix, int64_t ld) {
    return ld % 4 == 0 && (uintptr_t)matrix % 16 == 0;
}

/* A power of two that a sum may be multiplied by first: wide rows' sums reach 2^106. NaN is not. */
DEVICE bool moderate(float x) {
    return x >= 0x1p-60f && x <= 0x1p20f;
}

/* Whether no infinity, NaN or zero alpha is near, and nothing overflows or vanishes on the way. */
DEVICE bool plain_scales(const struct split_output &o, const float (&inverse_m)[QUADS][4],
                         const float (&inverse_n)[2]) {
    float total = 0.0f; /* NaN if one of them is */
#pragma unroll
    for (int i = 0; i < 4 * QUADS; i++) total += inverse_m[i / 4][i % 4];
    return total == total && moderate(inverse_n[0]) && moderate(inverse_n[1]) && o.s.alpha != 0.0f;
}

/* A call, so that it takes no registers from those who do without. */
static __device__ __noinline__ void finish_stored(const struct gemm_args &args, int batch, int m0, int n0, int rows,
                                                  int columns, int lane) {
    finish_tile(args, batch, m0, n0, rows, columns, lane);
}

/* From the sums of scaled operands to memory: to D, or raw into scratch when K is split. */
DEVICE void store(const struct split_args &args, float (&acc)[2][64], const struct work &w, int thread) {
    const struct split_output o = split_output_of(args, w, thread);
    const float *scales = args.inverse_scales + (int64_t)w.batch * args.rows; /* padded like the tiles */
    const float inverse_n[2] = {scales[args.rows_a + o.n], scales[args.rows_a + o.n + 8]};
    float inverse_m[QUADS][4];
#pragma unroll
    for (int i = 0; i < QUADS; i++) *(float4 *)inverse_m[i] = *(const float4 *)(scales + o.m + i * 16);
    const bool inside = (w.tile_m + 1) * SPLIT_TILE_M <= args.gemm.m && (w.tile_n + 1) * SPLIT_TILE_N <= args.gemm.n;
    const bool add_c = o.s.beta != 0.0f;
    const bool aligned = quads_aligned(o.d, o.ldd) && (!add_c || quads_aligned(o.c, o.ldc));
    const int m = o.m_end - o.m, n = args.gemm.n - o.n;
    if (!plain_scales(o, inverse_m, inverse_n)) {
        store_any(args, o, acc, inverse_m, inverse_n, w.batch);
    } else if (inside && aligned && !add_c) {
        store_inside(o, acc, inverse_m, inverse_n);
    } else {
        unscale_plain(acc, inverse_m, inverse_n);
        if (add_c && aligned)
            store_plain<1, 1>(o, acc, m, n);
        else if (add_c)
            store_plain<1, 0>(o, acc, m, n);
        else if (aligned)
            store_plain<0, 1>(o, acc, m, n);
        else
            store_plain<0, 0>(o, acc, m, n);
    }
    const int warp_n = w.tile_n * SPLIT_TILE_N + thread / 32 * 16;
    if (finishes(args.gemm) && !args.gemm.partial)
        finish_stored(args.gemm, w.batch, w.tile_m * SPLIT_TILE_M, warp_n, SPLIT_TILE_M, 16, thread % 32);
}

#endif
