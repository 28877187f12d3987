/*
 * The streaming family: fp32 FFMA for a small K and a large C, where writing C is most of the work. Contract ieee.
 *
 * All of K lies in shared memory: BN columns of B for the whole CTA, and for each warp the 32 rows of A that it works
 * on, with the next 32 under way. Between two changes of B no warp waits for another, so that some store while others
 * multiply. CTAs are persistent and take runs of tiles down a column, of which those in flight lie side by side. Warp
 * and thread tiles are those of sgemm_simt.cuh; where BN is wider than a warp's tile, each warp works its rows off
 * against one part of the columns after the other.
 */
#ifndef FASTGEMM_SGEMM_STREAM_CUH
#define FASTGEMM_SGEMM_STREAM_CUH

#include "epilogue.cuh"
#include "sgemm_simt.cuh"

/*
 * EXTENT rows of A, or columns of B, with all of their k, on their way to [k][mn] in shared memory. Of copies that
 * transpose, eight k of four rows at a time, the banks are kept apart by a pad to each row of k, or, SWIZZLED, by the
 * order of its quads: number q lies at q ^ k % 8.
 */
template <int LOAD, int EXTENT, int BK, int THREADS, bool SWIZZLED> struct stream_copy {
    static const bool ALONG_K = LOAD == LOAD_K4;
    static const int LD = EXTENT + (ALONG_K && !SWIZZLED ? 4 : 0);
    static const uint32_t BYTES = 4 * BK * LD;
    static const int FAST = ALONG_K ? 8 : EXTENT / 4; /* copies along the contiguous side, in one round */
    static const int SLOW = THREADS / FAST;
    static_assert(THREADS % FAST == 0 && (ALONG_K ? EXTENT : BK) % SLOW == 0, "the copies divide among threads");
    static_assert(!SWIZZLED || (EXTENT == 32 && THREADS == 32), "a warp's rows");

    /* Where row `i`, a multiple of four, is in its row of k, in bytes. */
    static DEVICE_MEMBER uint32_t across(int i, int k) { return 4 * (SWIZZLED ? i ^ k << 2 : i); }

    /* Past the edge the last ones are read again, and never stored; past the end of k there are zeros. */
    static DEVICE_MEMBER void start(uint32_t to, const float *matrix, int64_t ld, int mn0, int mn_end, int k_count,
                                    int thread) {
        const int fast = thread % FAST, slow = thread / FAST;
        if (ALONG_K) {
            to += 4 * (fast * LD + slow);
#pragma unroll 4
            for (int i = 0; i < EXTENT; i += SLOW) {
                const float *row = matrix + min(mn0 + slow + i, mn_end - 1) * ld;
#pragma unroll
                for (int k = 0; k < BK; k += FAST)
                    cp_async_4_fill(to + 4 * k * LD + across(i, fast), row + min(k + fast, k_count - 1),
                                    k + fast < k_count);
            }
        } else {
            const float *column = matrix + min(mn0 + 4 * fast, mn_end - 4);
            to += 4 * (slow * LD + 4 * fast);
#pragma unroll
            for (int k = 0; k < BK; k += SLOW)
                cp_async_16_fill(to + 4 * k * LD, column + min(k + slow, k_count - 1) * ld, k + slow < k_count);
        }
    }
};

/* A run of tiles: `count` of them from tile_m on, down a column of tiles. */
struct stream_run {
    int64_t batch;
    int tile_m, tile_n, count;
};

/*
 * The tiles, counted down the columns of C, matrix by matrix, are shared out in rounds of `raster` or some more for
 * each CTA, as evenly as may be. A CTA's piece of a round is a run, or more where columns end.
 */
struct stream_walk {
    int64_t at, end; /* of the piece under way */
    int round, rounds;
};

DEVICE int64_t stream_tiles(const struct gemm_args &args) {
    return (int64_t)args.tiles_m * args.tiles_n * args.batch;
}

DEVICE struct stream_walk stream_begin(const struct gemm_args &args) {
    const int64_t rounds = stream_tiles(args) / ((int64_t)args.raster * gridDim.x);
    struct stream_walk w = {0, 0, -1, rounds < 1 ? 1 : (int)rounds};
    return w;
}

/* The next run, of no tiles where there are none left. */
DEVICE struct stream_run stream_next(const struct gemm_args &args, struct stream_walk &w) {
    const int64_t tiles = stream_tiles(args), pieces = (int64_t)w.rounds * gridDim.x;
    while (w.at == w.end && ++w.round < w.rounds) {
        const int64_t piece = (int64_t)w.round * gridDim.x + blockIdx.x;
        w.at = tiles * piece / pieces;
        w.end = tiles * (piece + 1) / pieces;
    }
    const int64_t column = w.at / args.tiles_m;
    struct stream_run r;
    r.tile_m = (int)(w.at - column * args.tiles_m);
    r.batch = column / args.tiles_n;
    r.tile_n = (int)(column - r.batch * args.tiles_n);
    r.count = (int)min(w.end - w.at, (int64_t)(args.tiles_m - r.tile_m));
    w.at += r.count;
    return r;
}

/* As load_quads of A; `kk`, of eight, is known to the compiler. */
template <bool SWIZZLED> DEVICE void load_rows(float (&a)[8], const uint32_t (&from)[4], int kk, int ld) {
#pragma unroll
    for (int q = 0; q < 2; q++)
        load_shared_16(a + 4 * q, from[kk % 4] + 4 * kk * ld + 64 * (SWIZZLED ? q ^ (kk / 4 & 1) : q));
}

template <int BM, int BN, int BK, int TM, int TN, int LOAD_A, int LOAD_B>
DEVICE void sgemm_stream(const struct gemm_args &args) {
    static const int WARPS = BM / (4 * TM), THREADS = 32 * WARPS, ROWS = 4 * TM, STEPS = 8;
    static_assert(TM == 8 && BN % (8 * TN) == 0, "a CTA's columns are those of warps' tiles");
    static const bool SWIZZLED = LOAD_A == LOAD_K4;
    typedef stream_copy<LOAD_A, ROWS, BK, 32, SWIZZLED> copy_a;
    typedef stream_copy<LOAD_B, BN, BK, THREADS, false> copy_b;

    SHARED_MEMORY(shared);
    const int thread = threadIdx.x, warp = thread / 32, lane = thread % 32;
    const uint32_t tile_b = shared_at(shared), tile_a = tile_b + 2 * copy_b::BYTES + warp * 2 * copy_a::BYTES;
    float *const strip = shared + (2 * copy_b::BYTES + 2 * WARPS * copy_a::BYTES) / 4 + warp * stage_floats<TM>();

    const struct output o = output_of(args, 0, 0);
    const bool plain = o.quads && o.past_l2 && o.s.beta == 0.0f && o.s.alpha != 0.0f && !finishes(args) &&
                       (args.batch == 1 || args.stride_d % 4 == 0);

    struct stream_walk walk = stream_begin(args);
    struct stream_run now = stream_next(args, walk);
    if (now.count == 0) return;
    uint32_t turn_a = 0, turn_b = 0;
    copy_b::start(tile_b, args.b + now.batch * args.stride_b, args.ldb, now.tile_n * BN, args.n, args.k, thread);
    copy_a::start(tile_a, args.a + now.batch * args.stride_a, args.lda, now.tile_m * BM + warp * ROWS, args.m, args.k,
                  lane);
    cp_async_commit();
    for (;;) {
        const struct stream_run then = stream_next(args, walk);
        cp_async_wait<0>();
        __syncthreads(); /* this run's B is there, and that before the last is read */
        if (then.count)
            copy_b::start(tile_b + (turn_b ^ copy_b::BYTES), args.b + then.batch * args.stride_b, args.ldb,
                          then.tile_n * BN, args.n, args.k, thread);
#pragma unroll 1
        for (int tile = 0; tile < now.count; tile++) {
            const bool more = tile + 1 < now.count;
            cp_async_wait<0>();
            __syncwarp();
            if (more || then.count) {
                const float *matrix = args.a + (more ? now.batch : then.batch) * args.stride_a;
                const int m0 = (more ? now.tile_m + tile + 1 : then.tile_m) * BM + warp * ROWS;
                copy_a::start(tile_a + (turn_a ^ copy_a::BYTES), matrix, args.lda, m0, args.m, args.k, lane);
            }
            cp_async_commit();
            const int m0 = (now.tile_m + tile) * BM;
            const int n_end = m0 + warp * ROWS < args.m ? min(now.tile_n * BN + BN, args.n) : 0;
            uint32_t columns = tile_b + turn_b + 16 * lane_along_n(lane);
#pragma unroll 1
            for (int n0 = now.tile_n * BN; n0 < n_end; n0 += 8 * TN, columns += 4 * 8 * TN) {
                float acc[TN][TM], a[2][TM], b[2][TN];
                uint32_t at_a[4], at_b = columns;
#pragma unroll
                for (int i = 0; i < 4; i++)
                    at_a[i] = tile_a + turn_a + 16 * (SWIZZLED ? lane_along_m(lane) ^ i : lane_along_m(lane));
#pragma unroll
                for (int j = 0; j < TN; j++)
#pragma unroll
                    for (int i = 0; i < TM; i++) acc[j][i] = 0.0f;
                load_quads<TN, 8>(b[0], at_b);
                load_rows<SWIZZLED>(a[0], at_a, 0, copy_a::LD);
#pragma unroll 1
                for (int k = 0; k < args.k; k += STEPS) {
#pragma unroll
                    for (int kk = 0; kk < STEPS; kk++) {
                        /* After the last step a row past the tile is read, which lies in shared memory, unused. */
                        const int next = (kk + 1) % STEPS;
                        if (next == 0) {
#pragma unroll
                            for (int i = 0; i < 4; i++) at_a[i] += 4 * STEPS * copy_a::LD;
                            at_b += 4 * STEPS * copy_b::LD;
                        }
                        load_quads<TN, 8>(b[(kk + 1) % 2], at_b + 4 * next * copy_b::LD);
                        multiply_add<0, TN / 2>(acc, a[kk % 2], b[kk % 2]);
                        load_rows<SWIZZLED>(a[(kk + 1) % 2], at_a, next, copy_a::LD);
                        multiply_add<TN / 2, TN>(acc, a[kk % 2], b[kk % 2]);
                    }
                }
                const int m = m0 + warp * ROWS;
                if (plain && m + ROWS <= args.m && n0 + 8 * TN <= args.n)
                    store_whole<TM, TN>(args.d + now.batch * args.stride_d + (n0 + 4 * lane_along_n(lane)) * args.ldd +
                                            m + 4 * lane_along_m(lane),
                                        args.ldd, o.s.alpha, true, acc);
                else
                    store_tile<TM, TN, 1>(args, strip, acc, m, n0, 0, (int)now.batch, lane);
            }
            turn_a ^= copy_a::BYTES;
        }
        if (then.count == 0) break;
        turn_b ^= copy_b::BYTES;
        now = then;
    }
}

#endif
