/*
 * The streaming family: fp32 FFMA for a small K and a large C, where writing C is most of the work. Contract ieee.
 *
 * All of K lies in shared memory. CTAs are persistent and each walks a contiguous range of tiles, down a column of
 * tiles and on to the next, so that a tile of B is read once per column. The next tile's copies are under way while
 * this one's results are stored, straight from registers past the caches, and another CTA on the same SM computes
 * meanwhile. Warp and thread tiles are those of sgemm_simt.cuh.
 */
#ifndef FASTGEMM_SGEMM_STREAM_CUH
#define FASTGEMM_SGEMM_STREAM_CUH

#include "epilogue.cuh"
#include "sgemm_simt.cuh"

/* A tile in the middle of an aligned C that is only written: a multiplication and a quarter of a store per result. */
template <int TM, int TN> DEVICE void store_whole(float *d, int64_t ldd, float alpha, const float (&acc)[TN][TM]) {
#pragma unroll
    for (int j = 0; j < TN; j++)
#pragma unroll
        for (int q = 0; q < TM / 4; q++) {
            const float *sum = &acc[j][4 * q];
            store_global_16(d + (j / 4 * 32 + j % 4) * ldd + 16 * q,
                            make_float4(alpha * sum[0], alpha * sum[1], alpha * sum[2], alpha * sum[3]), true);
        }
}

/* Any tile: results one by one, those outside C left out. */
template <int TM, int TN>
DEVICE void store_edge(const struct gemm_args &args, struct scalars s, const float (&acc)[TN][TM], int64_t batch,
                       int m0, int n0) {
    const float *c = args.c + batch * args.stride_c;
    float *d = args.d + batch * args.stride_d;
#pragma unroll
    for (int j = 0; j < TN; j++) {
        const int64_t n = n0 + j / 4 * 32 + j % 4;
#pragma unroll
        for (int i = 0; i < TM; i++) {
            const int m = m0 + i / 4 * 16 + i % 4;
            if (m < args.m && n < args.n) d[n * args.ldd + m] = scale(s, acc[j][i], c + n * args.ldc + m);
        }
    }
}

/* Where a tile lies, in tiles: they are counted down the columns of C, matrix by matrix. */
struct stream_tile {
    int64_t batch;
    int m, n;
};

DEVICE struct stream_tile stream_tile_at(const struct gemm_args &args, int64_t index) {
    const int64_t column = index / args.tiles_m;
    struct stream_tile t;
    t.m = (int)(index - column * args.tiles_m);
    t.batch = column / args.tiles_n;
    t.n = (int)(column - t.batch * args.tiles_n);
    return t;
}

DEVICE struct stream_tile stream_tile_after(const struct gemm_args &args, struct stream_tile t) {
    if (++t.m < args.tiles_m) return t;
    t.m = 0;
    if (++t.n < args.tiles_n) return t;
    t.n = 0;
    t.batch++;
    return t;
}

/* FINISH: with a bias or an activation; its second step wants the registers that offsets would hold meanwhile. */
template <int BM, int BN, int BK, int TM, int TN, int LOAD_A, int LOAD_B, int WIDE, int FINISH>
DEVICE void sgemm_stream(const struct gemm_args &args) {
    static const int WARPS_M = BM / (4 * TM), WARPS_N = BN / (8 * TN), THREADS = 32 * WARPS_M * WARPS_N, STEPS = 8;
    typedef operand_loader<LOAD_A, BM, BK, THREADS, WIDE> loader_a;
    typedef operand_loader<LOAD_B, BN, BK, THREADS, WIDE> loader_b;

    SHARED_MEMORY(shared);
    const uint32_t tile_a = shared_at(shared), tile_b = tile_a + loader_a::STAGE_BYTES;
    const int thread = threadIdx.x, warp = thread / 32, lane = thread % 32;
    const int warp_m = warp % WARPS_M * 4 * TM, warp_n = warp / WARPS_M * 8 * TN;
    const int in_m = warp_m + 4 * lane_along_m(lane), in_n = warp_n + 4 * lane_along_n(lane);
    const uint32_t from_a = tile_a + 4 * in_m, from_b = tile_b + 4 * in_n;
    const struct scalars s = read_scalars(args);
    const bool aligned = ((uintptr_t)args.d | (uint64_t)args.ldd * 4 | (uint64_t)args.stride_d * 4) % 16 == 0;
    const bool only_written = aligned && s.beta == 0.0f && s.alpha != 0.0f;

    const int64_t tiles = (int64_t)args.tiles_m * args.tiles_n * args.batch;
    const int64_t first = tiles * blockIdx.x / gridDim.x, last = tiles * (blockIdx.x + 1) / gridDim.x;
    if (first == last) return;
    loader_a load_a;
    loader_b load_b;
    struct stream_tile now = stream_tile_at(args, first), then = now;
    load_a.init(args.a + then.batch * args.stride_a, args.lda, then.m * BM, args.m, 0, args.k, thread, tile_a);
    bool was_edge = false; /* offsets hold for all tiles of A but the last of a column */
    for (int64_t index = first - 1; index < last; index++) {
        float acc[TN][TM];
        if (index >= first) {
            cp_async_wait<0>();
            __syncthreads();
            float a[2][TM], b[2][TN];
#pragma unroll
            for (int j = 0; j < TN; j++)
#pragma unroll
                for (int i = 0; i < TM; i++) acc[j][i] = 0.0f;
            uint32_t at_a = from_a, at_b = from_b;
            load_fragment_a<TM>(a[0], at_a);
            load_fragment_b<TN>(b[0], at_b);
#pragma unroll 1
            for (int k = 0; k < args.k; k += STEPS) {
#pragma unroll
                for (int kk = 0; kk < STEPS; kk++) {
                    /* After the last step a row past the tile is read, which lies in shared memory, and not used. */
                    load_fragment_a<TM>(a[(kk + 1) % 2], at_a + 4 * (kk + 1) * loader_a::LD);
                    load_fragment_b<TN>(b[(kk + 1) % 2], at_b + 4 * (kk + 1) * loader_b::LD);
                    multiply_add<0, TN>(acc, a[kk % 2], b[kk % 2]);
                }
                at_a += 4 * STEPS * loader_a::LD;
                at_b += 4 * STEPS * loader_b::LD;
            }
            __syncthreads();
        }
        /* The next tile's copies are under way while this one's results are stored. */
        if (index + 1 < last) {
            const float *matrix = args.a + then.batch * args.stride_a;
            const bool edge = then.m == args.tiles_m - 1;
            if (FINISH || edge || was_edge)
                load_a.init(matrix, args.lda, then.m * BM, args.m, 0, args.k, thread, tile_a);
            else
                load_a.tile = (const char *)(matrix + then.m * BM * (loader_a::ALONG_K ? args.lda : 1));
            load_a.copy_short(0, args.k);
            if (then.m == 0 || index < first) {
                load_b.init(args.b + then.batch * args.stride_b, args.ldb, then.n * BN, args.n, 0, args.k, thread,
                            tile_b);
                load_b.copy_short(0, args.k);
            }
            cp_async_commit();
            was_edge = edge;
        }
        if (index >= first) {
            const int m0 = now.m * BM, n0 = now.n * BN;
            if (only_written && m0 + BM <= args.m && n0 + BN <= args.n)
                store_whole<TM, TN>(args.d + now.batch * args.stride_d + (n0 + in_n) * args.ldd + m0 + in_m, args.ldd,
                                    s.alpha, acc);
            else
                store_edge<TM, TN>(args, s, acc, now.batch, m0 + in_m, n0 + in_n);
            if (FINISH) finish_tile(args, now.batch, m0 + warp_m, n0 + warp_n, 4 * TM, 8 * TN, lane);
        }
        now = then;
        then = stream_tile_after(args, then);
    }
}

#endif
