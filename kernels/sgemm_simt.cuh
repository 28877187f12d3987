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

template <int TM, int TN> DEVICE void load_fragments(float *a, float *b, const float *tile_a, const float *tile_b) {
#pragma unroll
    for (int q = 0; q < TM / 4; q++) *(float4 *)(a + 4 * q) = *(const float4 *)(tile_a + 16 * q);
#pragma unroll
    for (int q = 0; q < TN / 4; q++) *(float4 *)(b + 4 * q) = *(const float4 *)(tile_b + 32 * q);
}

template <int TM, int TN> DEVICE void multiply_add(float (&acc)[TN][TM], const float *a, const float *b) {
#pragma unroll
    for (int j = 0; j < TN; j++) {
#pragma unroll
        for (int step = 0; step < TM; step++) {
            int i = j & 1 ? TM - 1 - step : step;
            acc[j][i] = fmaf(a[i], b[j], acc[j][i]);
        }
    }
}

template <int BM, int BN, int BK, int TM, int TN, int STAGES, int LOAD_A, int LOAD_B, int WIDE>
DEVICE void sgemm_simt(const struct gemm_args &args) {
    static const int WARPS_M = BM / (4 * TM), WARPS_N = BN / (8 * TN), THREADS = 32 * WARPS_M * WARPS_N;
    typedef operand_loader<LOAD_A, BM, BK, THREADS, WIDE> loader_a;
    typedef operand_loader<LOAD_B, BN, BK, THREADS, WIDE> loader_b;
    static const int STAGE_FLOATS = loader_a::STAGE_FLOATS + loader_b::STAGE_FLOATS;

    SHARED_MEMORY(shared);
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
    load_a.init(args.a + batch * args.stride_a, args.lda, m0, args.m, k_begin, k_count, thread);
    load_b.init(args.b + batch * args.stride_b, args.ldb, n0, args.n, k_begin, k_count, thread);

    float acc[TN][TM];
#pragma unroll
    for (int j = 0; j < TN; j++)
#pragma unroll
        for (int i = 0; i < TM; i++) acc[j][i] = 0.0f;

    /* The short k tile, if there is one, comes first: the main loop then has no predicates. */
    float *write = shared;
    if (k_tiles > 0) {
        int first = k_count - (k_tiles - 1) * BK;
        load_a.copy_short(write, first, k_tiles > 1);
        load_b.copy_short(write + loader_a::STAGE_FLOATS, first, k_tiles > 1);
    }
    cp_async_commit();
    for (int stage = 1; stage < STAGES - 1; stage++) {
        write += STAGE_FLOATS;
        if (stage < k_tiles) {
            load_a.copy(write, stage + 1 < k_tiles);
            load_b.copy(write + loader_a::STAGE_FLOATS, stage + 1 < k_tiles);
        }
        cp_async_commit();
    }

    float a[2][TM], b[2][TN];
    const int from_a = warp_m + 4 * lane_m, from_b = loader_a::STAGE_FLOATS + warp_n + 4 * lane_n;
    float *const end = shared + STAGES * STAGE_FLOATS;
    const float *read = shared;
    cp_async_wait<STAGES - 2>();
    __syncthreads();
    if (k_tiles > 0) load_fragments<TM, TN>(a[0], b[0], read + from_a, read + from_b);

    for (int tile = 0; tile < k_tiles; tile++) {
        write += STAGE_FLOATS;
        if (write == end) write = shared;
#pragma unroll
        for (int kk = 0; kk < BK; kk++) {
            load_a.copy_step(write, kk);
            load_b.copy_step(write + loader_a::STAGE_FLOATS, kk);
            if (kk == BK - 1) {
                /* The next tile has landed for this thread; the barrier says so for all, and that this one is read. */
                load_a.next(tile + STAGES < k_tiles);
                load_b.next(tile + STAGES < k_tiles);
                cp_async_commit();
                cp_async_wait<STAGES - 2>();
                __syncthreads();
                read += STAGE_FLOATS;
                if (read == end) read = shared;
            }
            const int next = (kk + 1) % BK;
            load_fragments<TM, TN>(a[(kk + 1) % 2], b[(kk + 1) % 2], read + from_a + next * loader_a::LD,
                                   read + from_b + next * loader_b::LD);
            multiply_add<TM, TN>(acc, a[kk % 2], b[kk % 2]);
        }
    }

    cp_async_wait<0>();
    __syncthreads();
    store_tile<TM, TN>(args, shared + warp * stage_floats<TM>(), acc, m0 + warp_m, n0 + warp_n, split, batch, lane);
}

#endif
