/*
 * TF32 products of a short K and a large D by Hopper's matrix instruction: writing D is nearly all of the work, and
 * the order of the stores decides how fast it is. Operands are as tf32.h has them, all of K at once.
 *
 *   CTA        a tile, and no more: those that start as others end keep to the raster, where persistent ones drift
 *              apart. Three share an SM: one loads while others store
 *   A          in registers, or, along k, in shared memory, for all of the tile's columns
 *   D          a few columns at a time, straight from registers
 *
 * 32768 x 32768, K = 32 (4.3 GB) on an H200: 1.04 ms, with A along k 1.09; persistent CTAs with larger tiles take 1.07
 * to 1.10. Nothing was gained by warps in step (1.06) or by stores of longer pieces by way of shared memory.
 */
#include "sgemm_tf32_wgmma.cuh"
#include "variants.h"

/*
 * Columns that are multiplied at a time: few where A is in registers, which D shares; more where each time all of A is
 * read from shared memory.
 */
template <int A> DEVICE constexpr int columns_of(void) {
    return A == TF32_A_ALONG_K ? 32 : 8;
}

/* By one thread: the tile's operands, on their way. */
template <int BM, int BN, int A>
DEVICE void load(const struct tf32_args &args, const struct work &w, uint8_t *stage, uint64_t *there) {
    mbarrier_arrive_expect_tx(there, tile<BM, BN, A>::BYTES);
    copy_a<BM, A>(args, stage, w.tile_m * BM, 0, w.batch * args.a_step, there);
    cp_async_bulk_tensor(stage + tile<BM, BN, A>::A_BYTES, &args.b, 0, w.tile_n * BN, 0, w.batch * args.b_step, there);
}

/* The sums of some columns, of which `b` describes B. */
template <int A, int FLOATS>
DEVICE void multiply_columns(float (&acc)[2][FLOATS], const struct fragments (&f)[STEPS / BATCH], uint64_t a,
                             uint64_t b) {
    pin(acc);
    wgmma_fence();
#pragma unroll
    for (int step = 0; step < STEPS; step++) {
#pragma unroll
        for (int half = 0; half < 2; half++) {
            if (A == TF32_A_ALONG_K)
                wgmma_tf32<2 * FLOATS>::multiply(acc[half], a + half * (TF32_GROUP_BYTES >> 4) + 2 * step, b + 2 * step,
                                                 step);
            else
                wgmma_tf32<2 * FLOATS>::multiply(acc[half], f[step / BATCH].a[step % BATCH][half], b + 2 * step, step);
        }
    }
    wgmma_commit();
    wgmma_wait<0>();
    pin(acc);
}

/* Where this thread stores, should the tile be whole and D only written: then there is nothing to ask. Else NULL. */
template <int BM, int BN, int A>
DEVICE float *place_of_plain(const struct tf32_args &args, const struct work &w, int m, int thread) {
    const struct gemm_args &g = args.gemm;
    const struct output o = output_of(g, 0, w.batch);
    const bool whole = (w.tile_m + 1) * BM <= g.m && (w.tile_n + 1) * BN <= g.n;
    const bool quads = o.quads && (A != TF32_A_ALONG_K || args.order == TF32_QUADS);
    if (!whole || !quads || o.s.beta != 0.0f || o.s.alpha == 0.0f || finishes(g)) return 0;
    const int row = m + tf32_row_of(A == TF32_A_ALONG_K, TF32_QUADS, thread, 0, 0);
    return o.d + (int64_t)(w.tile_n * BN + thread % 4 * 2) * o.ldd + row;
}

/* The columns, two neighbours of every eight, four rows in one store, from `d` on. */
template <int A_ALONG_K, int FLOATS>
DEVICE void store_plain(float *d, int64_t ldd, float alpha, const float (&acc)[2][FLOATS]) {
#pragma unroll
    for (int j = 0; j < FLOATS / 4; j++) {
#pragma unroll
        for (int i = 0; i < 2; i++) {
            float x[4];
#pragma unroll
            for (int at = 0; at < 4; at++) x[at] = alpha * sum_of<A_ALONG_K>(acc, j, i, at);
            *(float4 *)(d + (8 * j + i) * ldd) = make_float4(x[0], x[1], x[2], x[3]);
        }
    }
}

template <int BM, int BN, int A>
DEVICE void sgemm_tf32_outer(const struct tf32_args &args, uint8_t *shared, uint64_t *there) {
    static const int COLUMNS = columns_of<A>(), ALONG_K = A == TF32_A_ALONG_K;
    static_assert(tile<BM, BN, A>::ALONG_M == CONSUMERS, "the warpgroups have rows of their own");
    uint8_t *const stage = shared + (-shared_address(shared) & (TF32_ALIGN - 1));
    const int warpgroup = threadIdx.x / WARPGROUP, thread = threadIdx.x % WARPGROUP;
    const struct work w = work_item(args, 0);
    if (threadIdx.x == 0) {
        mbarrier_init(there, 1);
        fence_barrier_init();
    }
    __syncthreads();
    grid_wait();
    grid_launch_next();
    if (threadIdx.x == 0) load<BM, BN, A>(args, w, stage, there);
    const struct reader r = reader_of<BM, BN, A>(stage, warpgroup, thread);
    const uint64_t a = wgmma_descriptor_128(r.a, 2 * TF32_GROUP_BYTES);
    const uint64_t b = wgmma_descriptor_128(r.b, TF32_GROUP_BYTES);
    const int m = w.tile_m * BM + threadIdx.x / 32 * TF32_BOX_ROWS, n = w.tile_n * BN;
    const float alpha = read_scalars(args.gemm).alpha;
    float *const d = place_of_plain<BM, BN, A>(args, w, m, thread);
    struct fragments f[STEPS / BATCH];
    mbarrier_wait(there, 0);
#pragma unroll
    for (int part = 0; part < STEPS / BATCH && !ALONG_K; part++)
        load_fragments<A>(&f[part], r.near + part * BATCH * step_bytes<A>(), r.far + part * BATCH * step_bytes<A>());
#pragma unroll 1
    for (int column = 0; column < BN && n + column < args.gemm.n; column += COLUMNS) {
        float acc[2][COLUMNS / 2];
        multiply_columns<A>(acc, f, a, b + (column * TF32_ROW_BYTES >> 4));
        if (d)
            store_plain<ALONG_K>(d + column * args.gemm.ldd, args.gemm.ldd, alpha, acc);
        else
            store<ROWS, BN, 0, ALONG_K>(args, acc, w, m, n + column, warpgroup, thread);
    }
}

#define KERNEL_FOR(name, bm, bn, threads, ctas, way)                                                                   \
    KERNEL_OF(struct tf32_args, name, threads, ctas) {                                                                 \
        static __shared__ uint64_t there;                                                                              \
        SHARED_MEMORY(shared);                                                                                         \
        sgemm_tf32_outer<bm, bn, way>(args, (uint8_t *)shared, &there);                                                \
    }
#define VARIANT(name, family, contract, arch, bm, bn, bk, tm, tn, stages, threads, ctas, wide)                         \
    KERNEL_FOR(name##_m, bm, bn, threads, ctas, TF32_A_ALONG_M)                                                        \
    KERNEL_FOR(name##_k, bm, bn, threads, ctas, TF32_A_ALONG_K)
GEMM_TF32_OUTER_VARIANTS(VARIANT)
