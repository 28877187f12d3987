/*
 * The SIMT family: fp32 FFMA, contract ieee. One CTA computes a BM x BN tile of C over its slice of K.
 *
 *   CTA tile     BM x BN, k in steps of BK, STAGES of them in shared memory, filled by cp.async
 *   warp tile    (4 TM) x (8 TN): lanes stand 4 along m by 8 along n
 *   thread tile  TM x TN, in quads: quad q of a thread lies at 16 q + 4 lane_m along m, 32 q + 4 lane_n along n
 *
 * Two things are worth 10 % (measured, ../README.md): a thread walks its tile like a snake, so that one operand of
 * each FMA stays in the register reuse cache; and its accumulators leave as quads in the order (1, 0, 3, 2), which
 * makes the compiler put an accumulator and its operand of A into different register banks.
 */
#ifndef FASTGEMM_SGEMM_SIMT_CUH
#define FASTGEMM_SGEMM_SIMT_CUH

#include "epilogue.cuh"
#include "tile.cuh"

template <int TM> DEVICE void load_fragment_a(float *a, uint32_t from) {
#pragma unroll
    for (int q = 0; q < TM / 4; q++) load_shared_16(a + 4 * q, from + 64 * q);
}

template <int TN> DEVICE void load_fragment_b(float *b, uint32_t from) {
#pragma unroll
    for (int q = 0; q < TN / 4; q++) load_shared_16(b + 4 * q, from + 128 * q);
}

/* Columns FIRST to END of the thread tile. */
template <int FIRST, int END, int TM, int TN>
DEVICE void multiply_add(float (&acc)[TN][TM], const float *a, const float *b) {
#pragma unroll
    for (int j = FIRST; j < END; j++) {
#pragma unroll
        for (int step = 0; step < TM; step++) {
            const int i = j & 1 ? TM - 1 - step : step;
            acc[j][i] = fmaf(a[i], b[j], acc[j][i]);
        }
    }
}

template <int BM, int BN, int BK, int TM, int TN, int STAGES, int LOAD_A, int LOAD_B, int WIDE>
DEVICE void sgemm_simt(const struct gemm_args &args) {
    static const int WARPS_M = BM / (4 * TM), WARPS_N = BN / (8 * TN), THREADS = 32 * WARPS_M * WARPS_N;
    typedef operand_loader<LOAD_A, BM, BK, THREADS, WIDE> loader_a;
    typedef operand_loader<LOAD_B, BN, BK, THREADS, WIDE> loader_b;
    static const uint32_t STAGE_BYTES = loader_a::STAGE_BYTES + loader_b::STAGE_BYTES;

    SHARED_MEMORY(shared);
    const uint32_t stage_a = shared_at(shared), stage_b = stage_a + loader_a::STAGE_BYTES;
    const int thread = threadIdx.x, warp = thread / 32, lane = thread % 32;
    const int lane_m = lane_along_m(lane), lane_n = lane_along_n(lane);
    const int warp_m = warp % WARPS_M * 4 * TM, warp_n = warp / WARPS_M * 8 * TN;

    int tile_m, tile_n;
    raster_tile(args, blockIdx.x, &tile_m, &tile_n);
    const int m0 = tile_m * BM, n0 = tile_n * BN;
    const int split = blockIdx.y, batch = blockIdx.z;
    const int k_begin = split * args.k_per_split;
    const int k_count = min(args.k - k_begin, args.k_per_split);
    const int k_tiles = (k_count + BK - 1) / BK;

    loader_a load_a;
    loader_b load_b;
    load_a.init(matrix_a(args, batch), args.lda, m0, args.m, k_begin, k_count, thread, stage_a);
    load_b.init(matrix_b(args, batch), args.ldb, n0, args.n, k_begin, k_count, thread, stage_b);

    float acc[TN][TM];
#pragma unroll
    for (int j = 0; j < TN; j++)
#pragma unroll
        for (int i = 0; i < TM; i++) acc[j][i] = 0.0f;

    /* The short k tile, if there is one, comes first: the main loop then has no predicates. */
    if (k_tiles > 0) {
        const int first = k_count - (k_tiles - 1) * BK;
        load_a.copy_short(first);
        load_b.copy_short(first);
    }
    cp_async_commit();
    for (int stage = 1; stage < STAGES - 1; stage++) {
        load_a.copy(stage * STAGE_BYTES, stage < k_tiles);
        load_b.copy(stage * STAGE_BYTES, stage < k_tiles);
        cp_async_commit();
    }

    /* Stages count in bytes, the same for all threads; a tile's copies go where the tile before it was read. */
    uint32_t read = 0, write = (STAGES - 1) * STAGE_BYTES;
    float a[2][TM], b[2][TN];
    const uint32_t from_a = kept(stage_a + 4 * (warp_m + 4 * lane_m));
    const uint32_t from_b = kept(stage_b + 4 * (warp_n + 4 * lane_n));
    cp_async_wait<STAGES - 2>();
    __syncthreads();
    if (k_tiles > 0) {
        load_fragment_a<TM>(a[0], from_a);
        load_fragment_b<TN>(b[0], from_b);
    }

    for (int left = k_tiles; left > 0; left--) {
#pragma unroll
        for (int kk = 0; kk < BK; kk++) {
            load_a.copy_step(write, kk, left >= STAGES);
            load_b.copy_step(write, kk, left >= STAGES);
            if (kk == BK - 1) {
                /* The next tile has landed for this thread; the barrier says so for all, and that this one is read. */
                cp_async_commit();
                cp_async_wait<STAGES - 2>();
                __syncthreads();
                write = read;
                read = read == (STAGES - 1) * STAGE_BYTES ? 0 : read + STAGE_BYTES;
            }
            const int next = (kk + 1) % BK;
            load_fragment_a<TM>(a[(kk + 1) % 2], from_a + read + 4 * next * loader_a::LD);
            multiply_add<0, TN / 2>(acc, a[kk % 2], b[kk % 2]);
            load_fragment_b<TN>(b[(kk + 1) % 2], from_b + read + 4 * next * loader_b::LD);
            multiply_add<TN / 2, TN>(acc, a[kk % 2], b[kk % 2]);
        }
    }

    cp_async_wait<0>();
    __syncthreads();
    store_tile<TM, TN>(args, shared + warp * stage_floats<TM>(), acc, m0 + warp_m, n0 + warp_n, split, batch, lane);
}

#endif
