/*
 * The one-pass product's partial sums, added up by all CTAs (sgemm_fused.cu).
 */
#ifndef FASTGEMM_FUSED_SUM_CUH
#define FASTGEMM_FUSED_SUM_CUH

#include "epilogue.cuh"
#include "fused_args.h"

/* Partial sums are added as floats, or, where two floats each came of fp64, in it. */
template <int CHOICE> struct fused_sum;
template <> struct fused_sum<FUSED_DONE> {
    typedef float type;
    static const int PLANES = 1;
};
template <> struct fused_sum<FUSED_EXACT> {
    typedef double type;
    static const int PLANES = 2;
};

/*
 * A warp takes 32 / SHARES quads of a column at a time, SHARES lanes to a quad, each with every SHARES-th plane;
 * several at once, for the way to the L2 cache and back.
 */
template <int CHOICE, int SHARES> DEVICE void add_planes(const struct gemm_args &g) {
    static const int AT_ONCE = 4, QUADS = 32 / SHARES;
    typedef typename fused_sum<CHOICE>::type number;
    const struct scalars s = read_scalars(g);
    const uint32_t per_column = (uint32_t)((g.ld_partial / 4 + QUADS - 1) / QUADS), columns = (uint32_t)g.n * g.batch;
    const uint32_t count = per_column * columns, warps = gridDim.x * (FUSED_THREADS / 32);
    const int64_t next = (int64_t)columns * g.ld_partial;
    const int lane = threadIdx.x % 32, share = lane % SHARES;
    for (uint32_t first = blockIdx.x * (FUSED_THREADS / 32) + threadIdx.x / 32; first < count;
         first += AT_ONCE * warps) {
        number sum[AT_ONCE][4];
        const float *from[AT_ONCE];
        int m[AT_ONCE], n[AT_ONCE], batch[AT_ONCE];
#pragma unroll
        for (int i = 0; i < AT_ONCE; i++) {
            const uint32_t item = first + i * warps, column = item / per_column;
            m[i] = item < count ? 4 * (int)((item - column * per_column) * QUADS + lane / SHARES) : g.m;
            batch[i] = (int)(column / g.n);
            n[i] = (int)(column - (uint32_t)batch[i] * g.n);
            from[i] = g.partial + (int64_t)column * g.ld_partial + m[i];
            sum[i][0] = sum[i][1] = sum[i][2] = sum[i][3] = 0;
        }
#pragma unroll 2
        for (int plane = share; plane < g.splits * fused_sum<CHOICE>::PLANES; plane += SHARES) {
#pragma unroll
            for (int i = 0; i < AT_ONCE; i++) {
                if (m[i] >= g.m) continue;
                const float4 x = *(const float4 *)(from[i] + plane * next);
                sum[i][0] += x.x, sum[i][1] += x.y, sum[i][2] += x.z, sum[i][3] += x.w;
            }
        }
#pragma unroll
        for (int i = 0; i < AT_ONCE; i++) {
#pragma unroll
            for (int far = 1; far < SHARES; far *= 2) {
#pragma unroll
                for (int j = 0; j < 4; j++) sum[i][j] += __shfl_xor_sync(0xffffffffu, sum[i][j], far);
            }
            if (share || m[i] >= g.m) continue;
            store_rows(g, s, batch[i], m[i], n[i],
                       make_float4((float)sum[i][0], (float)sum[i][1], (float)sum[i][2], (float)sum[i][3]));
        }
    }
}

template <int CHOICE> DEVICE void add_splits(const struct gemm_args &g) {
    if (g.splits > 8)
        add_planes<CHOICE, 8>(g);
    else
        add_planes<CHOICE, 1>(g);
}

#endif
