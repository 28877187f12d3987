/*
 * The skinny family: fp32 FFMA where one side of C is short, so that reading the operand of the long side is most of
 * the work. Contract ieee.
 *
 * A CTA computes LONG x SHORT of C. Each of its warps takes ROWS of the long side and every WARPS_K-th chunk of k, and
 * copies what it needs of both operands into stages of its own: no warp waits for another before the end, when their
 * sums are added in a fixed order. A lane has TL of the long side by TS of the short one.
 *
 * What of the long side lies along k does so in shared memory too, as [mn][k] with rows a quad apart: a lane reads four
 * k of a row at a time. Everything else lies there as [k][mn], the short side turned by 4-byte copies where it has to
 * be (kept along k and copied in quads it was slower). Copies are of 16 bytes where an operand's alignment allows it.
 */
#ifndef FASTGEMM_SGEMM_SKINNY_CUH
#define FASTGEMM_SGEMM_SKINNY_CUH

#include "epilogue.cuh"

/* Which of the mn side a lane's number i is, of lanes side by side: every LANES-th, or quads or all that it has. */
template <int COUNT, int LANES, bool ALONG_K> DEVICE int mn_of(int i, int lane) {
    static const int TOGETHER = ALONG_K ? 1 : COUNT < 4 ? COUNT : 4;
    return i / TOGETHER * TOGETHER * LANES + lane * TOGETHER + i % TOGETHER;
}

/* Four k of a lane's rows. */
template <int LD, int LANES, int COUNT> DEVICE void load_rows(float (&x)[COUNT][4], const float *from, int lane) {
#pragma unroll
    for (int i = 0; i < COUNT; i++) *(float4 *)x[i] = *(const float4 *)(from + mn_of<COUNT, LANES, true>(i, lane) * LD);
}

/* One k of what is a lane's. */
template <int LANES, int COUNT> DEVICE void load_step(float (&x)[COUNT][4], int k, const float *from, int lane) {
#pragma unroll
    for (int i = 0; i < COUNT; i += COUNT < 4 ? COUNT : 4) {
        const float *const at = from + mn_of<COUNT, LANES, false>(i, lane);
        if (COUNT >= 4) {
            const float4 quad = *(const float4 *)at;
            x[i][k] = quad.x, x[i + 1][k] = quad.y, x[i + 2][k] = quad.z, x[i + 3][k] = quad.w;
        } else if (COUNT == 2) {
            const float2 pair = *(const float2 *)at;
            x[i][k] = pair.x, x[i + 1][k] = pair.y;
        } else {
            x[i][k] = at[0];
        }
    }
}

/* A lane's part in copying EXTENT of the mn side by CHUNK of k to rows of LD floats, TURNED or not; zeros past the
 * ends. */
template <int EXTENT, int CHUNK, int LD, bool ALONG_K, bool TURNED> struct skinny_copy {
    static const int SIDE = ALONG_K ? CHUNK : EXTENT, OTHER = ALONG_K ? EXTENT : CHUNK;
    static const int FLOATS = (ALONG_K == TURNED ? CHUNK : EXTENT) * LD;
    static const int FAST_STEP = TURNED ? LD : 1, SLOW_STEP = TURNED ? 1 : LD; /* in shared memory */

    /* Copies of WIDTH floats: so many along the contiguous side, and rows of it, in one request of a warp. */
    template <int WIDTH> struct requests {
        static const int FAST = SIDE / WIDTH < 32 ? SIDE / WIDTH : 32, SLOW = 32 / FAST;
        static const int ROUNDS = SIDE / WIDTH / FAST, COUNT = (OTHER + SLOW - 1) / SLOW * ROUNDS;
        static_assert(32 % FAST == 0 && SIDE % (WIDTH * FAST) == 0 && (OTHER % SLOW == 0 || OTHER < SLOW),
                      "a chunk divides among lanes");
    };

    const float *from; /* this lane's first element of the chunk that is copied next */
    int64_t ld, step;  /* step: from one of this warp's chunks to its next */
    int fast, slow;    /* its first element's place */
    int mn_count;
    bool quads; /* whether copies can be of four */

    /* The first chunk is at k; `end`: of the mn side. */
    DEVICE_MEMBER void aim(const float *matrix, int64_t ld_of_matrix, int mn, int end, int k, int chunks_apart,
                           int lane) {
        ld = ld_of_matrix;
        quads = !TURNED && ((uintptr_t)matrix | (uintptr_t)(4 * ld)) % 16 == 0; /* mn and k are multiples of four */
        fast = quads ? lane % requests<4>::FAST * 4 : lane % requests<1>::FAST;
        slow = lane / (quads ? requests<4>::FAST : requests<1>::FAST);
        from = matrix + (ALONG_K ? mn * ld + k : mn + k * ld) + slow * ld + fast;
        step = (int64_t)chunks_apart * CHUNK * (ALONG_K ? 1 : ld);
        mn_count = end - mn;
    }

    template <int WIDTH> DEVICE_MEMBER void copy(float *to, int k_count) {
        typedef requests<WIDTH> r;
        to += fast * FAST_STEP + slow * SLOW_STEP;
        if (OTHER < r::SLOW && slow >= OTHER) return;
#pragma unroll
        for (int i = 0; i < r::COUNT; i++) {
            const int along = i % r::ROUNDS * r::FAST * WIDTH, row = i / r::ROUNDS * r::SLOW;
            const int left = (ALONG_K ? k_count : mn_count) - fast - along;
            const bool inside = slow + row < (ALONG_K ? mn_count : k_count);
            const int bytes = inside ? 4 * max(min(left, WIDTH), 0) : 0;
            float *const there = to + along * FAST_STEP + row * SLOW_STEP;
            if (WIDTH == 4)
                cp_async_16(there, from + row * ld + along, bytes);
            else
                cp_async_4(there, from + row * ld + along, bytes);
        }
    }

    /* Of the chunk there are `k_count` k. */
    DEVICE_MEMBER void start(float *to, int k_count) {
        if (!TURNED && quads)
            copy<4>(to, k_count);
        else
            copy<1>(to, k_count);
        from += step;
    }
};

template <int BM, int BN, int BK, int TM, int TN, int STAGES, int THREADS, int LOAD_A, int LOAD_B>
DEVICE void sgemm_skinny(const struct gemm_args &args) {
    static const bool LONG_M = BM > BN, LONG_ALONG_K = (LONG_M ? LOAD_A : LOAD_B) == LOAD_K4;
    static const bool SHORT_ALONG_K = (LONG_M ? LOAD_B : LOAD_A) == LOAD_K4;
    static const int LONG = LONG_M ? BM : BN, SHORT = LONG_M ? BN : BM, TL = LONG_M ? TM : TN, TS = LONG_M ? TN : TM;
    static const int LANES_S = SHORT / TS, LANES_L = 32 / LANES_S, ROWS = LANES_L * TL;
    static const int WARPS_L = LONG / ROWS, WARPS_K = THREADS / 32 / WARPS_L, CHUNK = BK / WARPS_K;
    static const int STEPS = 4;    /* of k that are read at once of a row along k */
    static const int TOGETHER = 2; /* chunks that are summed up before they are added: as exact as cuBLAS's sums */
    static_assert(WARPS_L * WARPS_K * 32 == THREADS && CHUNK % STEPS == 0, "the tile divides among warps");
    static const int LONG_LD = LONG_ALONG_K ? CHUNK + 4 : ROWS,
                     SHORT_LD = SHORT_ALONG_K && SHORT >= 8 ? SHORT + 4 : SHORT;
    typedef skinny_copy<ROWS, CHUNK, LONG_LD, LONG_ALONG_K, false> copy_long;
    typedef skinny_copy<SHORT, CHUNK, SHORT_LD, SHORT_ALONG_K, SHORT_ALONG_K> copy_short;
    static const int STAGE_FLOATS = copy_long::FLOATS + copy_short::FLOATS, SUM_LD = LONG + 4;

    SHARED_MEMORY(shared);
    const int thread = threadIdx.x, warp = thread / 32, lane = thread % 32;
    const int warp_l = warp % WARPS_L, warp_k = warp / WARPS_L, lane_l = lane % LANES_L, lane_s = lane / LANES_L;
    const int split = blockIdx.y, batch = blockIdx.z;
    int tile_m, tile_n;
    raster_tile(args, blockIdx.x, &tile_m, &tile_n);
    const int long_0 = (LONG_M ? tile_m : tile_n) * LONG, short_0 = (LONG_M ? tile_n : tile_m) * SHORT;
    const int k_begin = split * args.k_per_split, k_count = min(args.k - k_begin, args.k_per_split);
    const int chunks = (k_count + CHUNK - 1) / CHUNK, mine = max((chunks - warp_k + WARPS_K - 1) / WARPS_K, 0);

    const float *const a = matrix_a(args, batch), *const b = matrix_b(args, batch);
    copy_long of_long;
    copy_short of_short;
    of_long.aim(LONG_M ? a : b, LONG_M ? args.lda : args.ldb, long_0 + warp_l * ROWS, LONG_M ? args.m : args.n,
                k_begin + warp_k * CHUNK, WARPS_K, lane);
    of_short.aim(LONG_M ? b : a, LONG_M ? args.ldb : args.lda, short_0, LONG_M ? args.n : args.m,
                 k_begin + warp_k * CHUNK, WARPS_K, lane);

    float *const ring = shared + warp * STAGES * STAGE_FLOATS;
    int left = mine, k_left = k_count - warp_k * CHUNK; /* to be copied */
    float acc[TS][TL];
#pragma unroll
    for (int j = 0; j < TS; j++)
#pragma unroll
        for (int i = 0; i < TL; i++) acc[j][i] = 0.0f;

#define COPY_CHUNK(stage)                                                                                              \
    do {                                                                                                               \
        if (left-- > 0) {                                                                                              \
            of_long.start(stage, k_left);                                                                              \
            of_short.start((stage) + copy_long::FLOATS, k_left);                                                       \
            k_left -= WARPS_K * CHUNK;                                                                                 \
        }                                                                                                              \
        cp_async_commit();                                                                                             \
    } while (0)

#pragma unroll 1
    for (int stage = 0; stage < STAGES - 1; stage++) COPY_CHUNK(ring + stage * STAGE_FLOATS);
    int read = 0, write = (STAGES - 1) * STAGE_FLOATS;
#pragma unroll 1
    for (int chunk = 0; chunk < mine;) {
        float part[TS][TL];
#pragma unroll
        for (int j = 0; j < TS; j++)
#pragma unroll
            for (int i = 0; i < TL; i++) part[j][i] = 0.0f;
        const int end = min(chunk + TOGETHER, mine);
#pragma unroll 1
        for (; chunk < end; chunk++) {
            cp_async_wait<STAGES - 2>();
            __syncwarp(); /* the chunk is there, and the one before it is read */
            COPY_CHUNK(ring + write);
            const float *const at = ring + read, *const at_short = at + copy_long::FLOATS;
            write = read;
            read = read == (STAGES - 1) * STAGE_FLOATS ? 0 : read + STAGE_FLOATS;
#pragma unroll
            for (int k = 0; k < CHUNK; k += STEPS) {
                float x[TL][STEPS], y[TS][STEPS];
                if (LONG_ALONG_K) load_rows<LONG_LD, LANES_L>(x, at + k, lane_l);
#pragma unroll
                for (int kk = 0; kk < STEPS; kk++) {
                    if (!LONG_ALONG_K) load_step<LANES_L>(x, kk, at + (k + kk) * LONG_LD, lane_l);
                    load_step<LANES_S>(y, kk, at_short + (k + kk) * SHORT_LD, lane_s);
#pragma unroll
                    for (int j = 0; j < TS; j++)
#pragma unroll
                        for (int step = 0; step < TL; step++) {
                            const int i = j & 1 ? TL - 1 - step : step;
                            part[j][i] = fmaf(x[i][kk], y[j][kk], part[j][i]);
                        }
                }
            }
        }
#pragma unroll
        for (int j = 0; j < TS; j++)
#pragma unroll
            for (int i = 0; i < TL; i++) acc[j][i] += part[j][i];
    }
#undef COPY_CHUNK
    cp_async_wait<0>();
    __syncthreads();

    /* The sums of all warps as [warp_k][short][long]. */
#pragma unroll
    for (int j = 0; j < TS; j++) {
        const int column = mn_of<TS, LANES_S, false>(j, lane_s);
        float *const sums = shared + (warp_k * SHORT + column) * SUM_LD + warp_l * ROWS;
#pragma unroll
        for (int i = 0; i < TL; i++) sums[mn_of<TL, LANES_L, LONG_ALONG_K>(i, lane_l)] = acc[j][i];
    }
    __syncthreads();
    const struct output o = output_of(args, split, batch);
#pragma unroll 1
    for (int i = thread; i < LONG * SHORT; i += THREADS) {
        const int row = LONG_M ? i % LONG : i / SHORT, column = LONG_M ? i / LONG : i % SHORT; /* of the sums */
        float sum = 0.0f;
#pragma unroll
        for (int k = 0; k < WARPS_K; k++) sum += shared[(k * SHORT + column) * SUM_LD + row];
        const int m = LONG_M ? long_0 + row : short_0 + column, n = LONG_M ? short_0 + column : long_0 + row;
        if (m >= args.m || n >= args.n) continue;
        float value = scale(o.s, sum, o.c + n * o.ldc + m);
        if (!args.partial && finishes(args)) value = finish(args, value, bias_of(args, batch, m));
        o.d[n * o.ldd + m] = value;
    }
}

#endif
