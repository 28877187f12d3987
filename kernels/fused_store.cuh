/*
 * The one-pass product's sums, from registers to D or to scratch (sgemm_fused.cuh).
 */
#ifndef FASTGEMM_FUSED_STORE_CUH
#define FASTGEMM_FUSED_STORE_CUH

#include "fused_ring.cuh"

/*
 * A thread holds eight neighbouring m of each of so many groups of 32, for two neighbouring n; m, n: its first, and how
 * many m there are of partial sums, whose columns have room for whole quads, or of D.
 */
template <int ADD_C, int GROUPS>
DEVICE void store_sums(const struct gemm_args &g, const struct output &o, const float (&acc)[16 * GROUPS], int m, int n,
                       bool partial) {
    const int left = (partial ? (int)g.ld_partial : g.m) - m;
    const bool aligned = o.ldd % 4 == 0 && (uintptr_t)o.d % 16 == 0;
    const bool aligned_c = o.ldc % 4 == 0 && (uintptr_t)o.c % 16 == 0;
#pragma unroll
    for (int row = 0; row < 2; row++) {
        if (n + row >= g.n) continue;
        const float *c = o.c + (n + row) * o.ldc + m;
        float *d = o.d + (n + row) * o.ldd + m;
#pragma unroll
        for (int at = 0; at < 2 * GROUPS; at++) {
            const int offset = at / 2 * 32 + at % 2 * 4, count = left - offset;
            float x[4], old[4];
            if (ADD_C) load_quad(old, c + offset, count, aligned_c);
#pragma unroll
            for (int i = 0; i < 4; i++) {
                x[i] = o.s.alpha == 0.0f ? 0.0f : o.s.alpha * acc[(at / 2 * 4 + i) * 4 + row * 2 + at % 2];
                if (ADD_C) x[i] = fmaf(o.s.beta, old[i], x[i]);
            }
            store_quad(d + offset, x, count, aligned);
        }
    }
}

/* A call, so that it takes no registers from those who do without. */
static __device__ __noinline__ void finish_stored(const struct gemm_args &g, int batch, int m, int n, int thread) {
    finish_tile(g, batch, m, n + thread / 32 * 16, FUSED_TILE, 16, thread % 32);
}

/* A bias and an activation, if there are, when a warpgroup has stored its 64 n: 16 to a warp. */
DEVICE void finish_half(const struct gemm_args &g, const struct fused_work &w, int warpgroup, int thread) {
    if (!finishes(g)) return;
    if (warpgroup)
        barrier_sync<4>(WARPGROUP);
    else
        barrier_sync<5>(WARPGROUP);
    finish_stored(g, w.batch, w.tile_m * FUSED_TILE, w.tile_n * FUSED_TILE + warpgroup * 64, thread);
}

/* Where sums go: to D, or raw into a plane of scratch. */
DEVICE struct output output_in(const struct gemm_args &g, bool partial, int plane, int batch) {
    struct output o = {{1.0f, 0.0f}, NULL, NULL, 0, g.ld_partial, false, false};
    if (partial) {
        o.d = g.partial + ((int64_t)plane * g.batch + batch) * g.n * g.ld_partial;
    } else {
        o.s = read_scalars(g);
        o.c = matrix_c(g, batch);
        o.d = matrix_d(g, batch);
        o.ldc = g.ldc;
        o.ldd = g.ldd;
    }
    return o;
}

#endif
