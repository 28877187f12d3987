/*
 * From accumulators of the TF32 kernels for Hopper to D, to the partial sums of a split, or to what a CTA leaves of a
 * tile that it shares.
 */
#ifndef FASTGEMM_TF32_STORE_CUH
#define FASTGEMM_TF32_STORE_CUH

#include "epilogue.cuh"
#include "tf32_work.cuh"

/* A thread's sum of its `at`-th row in column `i` of the j-th eight. */
template <int A_ALONG_K, int FLOATS> DEVICE float sum_of(const float (&acc)[2][FLOATS], int j, int i, int at) {
    const int half = A_ALONG_K ? at % 2 : at / 2, row = A_ALONG_K ? at / 2 : at % 2;
    return acc[half][4 * j + 2 * row + i];
}

/* A thread's sums of a column, in the order of their rows. */
template <int A_ALONG_K, int FLOATS>
DEVICE void scaled_sums(float (&x)[4], const struct output &o, const float (&acc)[2][FLOATS], int j, int i) {
#pragma unroll
    for (int at = 0; at < 4; at++) x[at] = o.s.alpha == 0.0f ? 0.0f : o.s.alpha * sum_of<A_ALONG_K>(acc, j, i, at);
}

/*
 * The columns, two neighbours of every eight, four neighbouring rows in one store; `m`, `n`: the thread's first.
 * IN_STEP: where memory is the limit, the warps go from column to column together, which it rewards, unless another
 * tile is multiplied meanwhile (measured).
 */
template <int IN_STEP, int A_ALONG_K, int FLOATS>
DEVICE void store_in_quads(const struct gemm_args &g, const struct output &o, const float (&acc)[2][FLOATS], int m,
                           int n, int warpgroup) {
    float *d = o.d + (int64_t)n * o.ldd + m;
#pragma unroll
    for (int j = 0; j < FLOATS / 4; j++) {
        if (IN_STEP && o.past_l2) barrier_of(5 + warpgroup, WARPGROUP);
#pragma unroll
        for (int i = 0; i < 2; i++) {
            float x[4];
            scaled_sums<A_ALONG_K>(x, o, acc, j, i);
            if (m < g.m && n + 8 * j + i < g.n)
                store_global_16(d + (8 * j + i) * o.ldd, make_float4(x[0], x[1], x[2], x[3]), o.past_l2);
        }
    }
}

/* Four lanes turn their 4 x 4 round: lane `t` of them gets the element t of each. */
DEVICE void turn_four(float (&x)[4], int t) {
#pragma unroll
    for (int far = 1; far <= 2; far *= 2) {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            if (i & far) continue;
            const float got = __shfl_xor_sync(0xffffffffu, t & far ? x[i] : x[i + far], far);
            x[i] = t & far ? got : x[i];
            x[i + far] = t & far ? x[i + far] : got;
        }
    }
}

/*
 * The same where single floats are stored, or C is read. LINES: a warp's 32 rows of a column at a time, `m` this
 * lane's; that costs shuffles, which do not pay where another warpgroup multiplies as long meanwhile. Else four rows of
 * the lane's own columns, `step` apart.
 */
template <int LINES, int ADD_C, int A_ALONG_K, int FLOATS>
DEVICE void store_singles(const struct gemm_args &g, const struct output &o, const float (&acc)[2][FLOATS], int m,
                          int n, int step, int thread) {
    const float *c = o.c + (int64_t)n * o.ldc + m;
    float *d = o.d + (int64_t)n * o.ldd + m;
#pragma unroll
    for (int j = 0; j < FLOATS / 4; j++) {
#pragma unroll
        for (int i = 0; i < 2; i++) {
            float x[4];
            scaled_sums<A_ALONG_K>(x, o, acc, j, i);
            if (LINES) turn_four(x, thread % 4);
#pragma unroll
            for (int of = 0; of < 4; of++) {
                const int column = 8 * j + i + (LINES ? 2 * of : 0), row = LINES ? 0 : step * of;
                if (m + row >= g.m || n + column >= g.n) continue;
                if (ADD_C) x[of] = fmaf(o.s.beta, c[column * o.ldc + row], x[of]);
                d[column * o.ldd + row] = x[of];
            }
        }
    }
}

/* A call, so that it takes no registers from those who do without. */
static __device__ __noinline__ void finish_stored(const struct gemm_args &g, int batch, int m, int n, int columns,
                                                  int lane) {
    finish_tile(g, batch, m, n, TF32_BOX_ROWS, columns, lane);
}

/* What a CTA leaves of a tile: BN columns of BM, as if D were there. */
template <int BM, int BN> DEVICE struct output share_of(const struct gemm_args &g, const struct work &w) {
    struct output o = {{1.0f, 0.0f}, 0, 0, 0, BM, true, false};
    o.d = g.shares + (int64_t)w.share * (BM * BN) - w.tile_n * BN * (int64_t)BM - w.tile_m * BM;
    return o;
}

/* A thread's sums, four of a column; `m`, `n`: the warp's first. */
template <int BM, int BN, int LINES, int A_ALONG_K, int FLOATS>
DEVICE void store(const struct tf32_args &args, const float (&acc)[2][FLOATS], const struct work &w, int m, int n,
                  int warpgroup, int thread) {
    const struct output o = w.share < 0 ? output_of(args.gemm, w.split, w.batch) : share_of<BM, BN>(args.gemm, w);
    const enum tf32_order order = (enum tf32_order)args.order;
    const int first = m + tf32_row_of(A_ALONG_K, order, thread, 0, 0), own_n = n + thread % 4 * 2;
    const int step = A_ALONG_K && order == TF32_PLAIN ? TF32_GROUP_ROWS : 1;
    const int row = LINES ? first + step * (thread % 4) : first, column = LINES ? n : own_n;
    if (o.s.beta != 0.0f)
        store_singles<LINES, 1, A_ALONG_K>(args.gemm, o, acc, row, column, step, thread);
    else if (o.quads && step == 1)
        store_in_quads<(BM > ROWS), A_ALONG_K>(args.gemm, o, acc, first, own_n, warpgroup);
    else
        store_singles<LINES, 0, A_ALONG_K>(args.gemm, o, acc, row, column, step, thread);
    if (finishes(args.gemm) && !args.gemm.partial && w.share < 0)
        finish_stored(args.gemm, w.batch, m, n, 2 * FLOATS, thread % 32);
}

#endif
