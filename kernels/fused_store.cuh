/*
 * The one-pass product's sums, from registers to D or to scratch, and added up again (sgemm_fused.cuh).
 */
#ifndef FASTGEMM_FUSED_STORE_CUH
#define FASTGEMM_FUSED_STORE_CUH

#include "fused_ring.cuh"

/* A thread holds eight neighbouring m of each 32, for two neighbouring n; m, n: its first. */
template <int ADD_C>
DEVICE void store_sums(const struct gemm_args &g, const struct output &o, const float (&acc)[64], int m, int n) {
    const bool aligned = o.ldd % 4 == 0 && (uintptr_t)o.d % 16 == 0;
    const bool aligned_c = o.ldc % 4 == 0 && (uintptr_t)o.c % 16 == 0;
#pragma unroll
    for (int row = 0; row < 2; row++) {
        if (n + row >= g.n) continue;
        const float *c = o.c + (n + row) * o.ldc + m;
        float *d = o.d + (n + row) * o.ldd + m;
#pragma unroll
        for (int at = 0; at < 8; at++) {
            const int offset = at / 2 * 32 + at % 2 * 4, count = g.m - m - offset;
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

/*
 * A bias and an activation, when a warpgroup has stored its 64 columns: 16 to a warp. A call, so that it takes no
 * registers from those who do without.
 */
static __device__ __noinline__ void finish_stored(const struct gemm_args &g, int batch, int m, int n, int thread) {
    finish_tile(g, batch, m, n + thread / 32 * 16, FUSED_TILE, 16, thread % 32);
}

DEVICE float4 added(float4 x, float4 y) {
    return make_float4(x.x + y.x, x.y + y.y, x.z + y.z, x.w + y.w);
}

/* Partial sums of a quad, in fp64 or fp32. */
template <typename FLOAT> DEVICE float4 sum_of_planes(const struct gemm_args &g, int batch, int n, int m, int planes) {
    const float *partial = g.partial + ((int64_t)batch * g.n + n) * g.ld_partial + m;
    const int64_t next = (int64_t)g.batch * g.n * g.ld_partial;
    FLOAT sum[4] = {0, 0, 0, 0};
#pragma unroll 4
    for (int plane = 0; plane < planes; plane++) {
        const float4 x = *(const float4 *)(partial + plane * next);
        sum[0] += x.x, sum[1] += x.y, sum[2] += x.z, sum[3] += x.w;
    }
    return make_float4((float)sum[0], (float)sum[1], (float)sum[2], (float)sum[3]);
}

/* When a tile has been multiplied again: the consumers of the split that comes last add them all up. */
template <int CHOICE>
static __device__ __noinline__ void add_again(const struct fused_args &args, const struct fused_work &w, int thread) {
    static __shared__ bool last;
    const struct gemm_args &g = args.gemm;
    uint32_t *done = args.done + (w.batch * g.tiles_n + w.tile_n) * g.tiles_m + w.tile_m;
    __threadfence();
    barrier_sync<3>(CONSUMERS * WARPGROUP);
    if (thread == 0) last = atomicAdd(done, 1) == (uint32_t)splits_of<CHOICE>(args) - 1;
    barrier_sync<3>(CONSUMERS * WARPGROUP);
    if (!last) return;
    __threadfence();
    const struct scalars s = read_scalars(g);
    const int m = w.tile_m * FUSED_TILE + thread % 32 * 4, n = w.tile_n * FUSED_TILE + thread / 32;
    for (int i = 0; i < FUSED_TILE; i += CONSUMERS * WARPGROUP / 32) {
        if (m >= g.m || n + i >= g.n) continue;
        const float4 sum = CHOICE == FUSED_EXACT ? sum_of_planes<double>(g, w.batch, n + i, m, 2 * args.exact_splits)
                                                 : sum_of_planes<float>(g, w.batch, n + i, m, g.splits);
        store_rows(g, s, w.batch, m, n + i, sum);
    }
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
