/*
 * The family TF32_MMA: TF32 tensor cores by mma.sync, sm_80 and up. Contract tf32: operands rounded to nearest, sums in
 * fp32. One CTA computes a BM x BN tile of C over its slice of K.
 *
 *   CTA tile     BM x BN, k in steps of BK, STAGES of them in shared memory, filled by 16-byte cp.async
 * (mma_loader.cuh) warp tile    (4 TM) x (8 TN) lanes        hold of it what a thread of the SIMT family's would
 * (sgemm_simt.cuh), so that the epilogue is the same: the instruction's 16 rows are columns of C and its 8 columns rows
 * of C, in an order that gives each lane four neighbours along m
 */
#ifndef FASTGEMM_SGEMM_TF32_MMA_CUH
#define FASTGEMM_SGEMM_TF32_MMA_CUH

#include "epilogue.cuh"
#include "mma_loader.cuh"
#include "tile.cuh"

/* The warp tile's products of one step of eight k. */
template <int TM, int TN>
DEVICE void multiply_step(float (&acc)[TN][TM], const float (&raw_a)[2][TM / 2], const float (&raw_b)[2][TN]) {
    uint32_t a[TM / 2][2], b[TN / 2][4];
#pragma unroll
    for (int half = 0; half < 2; half++) {
#pragma unroll
        for (int j = 0; j < TN; j++) b[j / 2][2 * half + j % 2] = round_to_tf32(raw_b[half][j]);
#pragma unroll
        for (int i = 0; i < TM / 2; i++) a[i][half] = round_to_tf32(raw_a[half][i]);
    }
#pragma unroll
    for (int j = 0; j < TN / 2; j++)
#pragma unroll
        for (int step = 0; step < TM / 2; step++) {
            const int i = j & 1 ? TM / 2 - 1 - step : step, quad = i / 4 * 8 + i % 4;
            mma_m16n8k8_tf32(acc[2 * j][quad], acc[2 * j][quad + 4], acc[2 * j + 1][quad], acc[2 * j + 1][quad + 4],
                             b[j], a[i]);
        }
}

template <int BM, int BN, int BK, int TM, int TN, int STAGES, int LOAD_A, int LOAD_B>
DEVICE void sgemm_tf32_mma(const struct gemm_args &args) {
    static const int WARPS_M = BM / (4 * TM), WARPS_N = BN / (8 * TN), THREADS = 32 * WARPS_M * WARPS_N;
    static const int STEPS = BK / 8;
    typedef mma_loader<LOAD_A, BM, BK, THREADS, 4> loader_a;
    typedef mma_loader<LOAD_B, BN, BK, THREADS, 8> loader_b;
    static const uint32_t STAGE_BYTES = loader_a::STAGE_BYTES + loader_b::STAGE_BYTES;
    static_assert(STAGES >= 3, "the last two k tiles at least are copied exactly");

    SHARED_MEMORY(shared);
    const uint32_t stage_a = shared_at(shared), stage_b = stage_a + loader_a::STAGE_BYTES;
    const int thread = threadIdx.x, warp = thread / 32, lane = thread % 32, g = lane / 4, c = lane % 4;
    const int warp_m = warp % WARPS_M * 4 * TM, warp_n = warp / WARPS_M * 8 * TN;

    int tile_m, tile_n;
    raster_tile(args, blockIdx.x, &tile_m, &tile_n);
    const int m0 = tile_m * BM, n0 = tile_n * BN;
    const int split = blockIdx.y, batch = blockIdx.z;
    const int64_t k_begin = (int64_t)split * args.k_per_split;
    const int k_count = min(args.k - (int)k_begin, args.k_per_split);
    const int k_tiles = (k_count + BK - 1) / BK;
    const float *const a0 =
        matrix_a(args, batch) + (loader_a::ALONG_K ? m0 * args.lda + k_begin : m0 + k_begin * args.lda);
    const float *const b0 =
        matrix_b(args, batch) + (loader_b::ALONG_K ? n0 * args.ldb + k_begin : n0 + k_begin * args.ldb);

    loader_a load_a;
    loader_b load_b;
    load_a.init(a0, args.lda, args.m - m0, thread, stage_a);
    load_b.init(b0, args.ldb, args.n - n0, thread, stage_b);
    mma_fragments<loader_a, TM / 2> fragments_a;
    mma_fragments<loader_b, TN> fragments_b;
    fragments_a.init(a0, args.lda, warp_m, g >> 1 | (g & 1) << 2, c, stage_a);
    fragments_b.init(b0, args.ldb, warp_n, g, c, stage_b);

    /* The slice's last k tiles come first: the main loop then has whole ones, well inside the operands. */
    for (int stage = 0; stage < STAGES - 1; stage++) {
        const int k_tile = k_tiles - 1 - stage, count = min(BK, k_count - k_tile * BK);
        if (k_tile >= 0) {
            const int64_t k = (int64_t)k_tile * BK;
            load_a.copy_exactly(a0 + k * (loader_a::ALONG_K ? 1 : args.lda), args.lda, args.m - m0, thread, count,
                                stage * STAGE_BYTES);
            load_b.copy_exactly(b0 + k * (loader_b::ALONG_K ? 1 : args.ldb), args.ldb, args.n - n0, thread, count,
                                stage * STAGE_BYTES);
        }
        cp_async_commit();
    }

    float acc[TN][TM];
#pragma unroll
    for (int j = 0; j < TN; j++)
#pragma unroll
        for (int i = 0; i < TM; i++) acc[j][i] = 0.0f;

    /* Stages count in bytes, the same for all threads; a tile's copies go where the tile before it was read. */
    uint32_t read = 0, write = (STAGES - 1) * STAGE_BYTES;
    float a[2][2][TM / 2], b[2][2][TN];
    cp_async_wait<STAGES - 2>();
    __syncthreads();
    if (k_tiles > 0) {
        fragments_a.load(a[0], read, 0);
        fragments_b.load(b[0], read, 0);
    }
    for (int left = k_tiles; left > 0; left--) {
#pragma unroll
        for (int kk = 0; kk < STEPS; kk++) {
            load_a.template copy_step<STEPS>(write, kk, left >= STAGES);
            load_b.template copy_step<STEPS>(write, kk, left >= STAGES);
            if (kk == STEPS - 1) {
                /* The next tile has landed for this thread; the barrier says so for all, and that this one is read. */
                cp_async_commit();
                cp_async_wait<STAGES - 2>();
                __syncthreads();
                write = read;
                read = read == (STAGES - 1) * STAGE_BYTES ? 0 : read + STAGE_BYTES;
            }
            fragments_a.load(a[(kk + 1) % 2], read, (kk + 1) % STEPS);
            fragments_b.load(b[(kk + 1) % 2], read, (kk + 1) % STEPS);
            multiply_step<TM, TN>(acc, a[kk % 2], b[kk % 2]);
        }
    }

    cp_async_wait<0>();
    __syncthreads();
    /* The lane of the SIMT family's order that stands at row c and column g of the lanes. */
    const int stands = c << 1 | (g & 1) | g >> 1 << 3;
    store_tile<TM, TN>(args, shared + warp * stage_floats<TM>(), acc, m0 + warp_m, n0 + warp_n, split, batch, stands);
}

#endif
