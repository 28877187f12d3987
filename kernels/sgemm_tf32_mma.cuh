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

/* Fragments of one step of eight k, of the warp tile's TM / 2 blocks of rows and TN of columns. */
template <int TM, int TN, bool ALIGNED_A, bool ALIGNED_B> struct mma_operands {
    static const int COUNT = TM + 2 * TN;
    float a[2][TM / 2], b[2][TN];

    /* What a 16-byte load brought has to change places too, and ptxas has the single instruction work in place. */
    template <bool ALIGNED> DEVICE_MEMBER static void round(float &x) {
        x = __uint_as_float(ALIGNED ? round_to_tf32_by_fma(x) : round_to_tf32(x));
    }

    /* Number `i` of COUNT, in the order of the loads. */
    DEVICE_MEMBER void round(int i) {
        if (i < TM)
            round<ALIGNED_A>(a[i / (TM / 2)][i % (TM / 2)]);
        else
            round<ALIGNED_B>(b[(i - TM) / TN][(i - TM) % TN]);
    }

    /* Product `i` of the TM / 2 by TN / 2, along a row and back along the next. */
    DEVICE_MEMBER void multiply(float (&acc)[TN][TM], int i) const {
        const int j = i / (TM / 2), step = i % (TM / 2), m = j & 1 ? TM / 2 - 1 - step : step, quad = m / 4 * 8 + m % 4;
        const uint32_t columns[4] = {__float_as_uint(b[0][2 * j]), __float_as_uint(b[0][2 * j + 1]),
                                     __float_as_uint(b[1][2 * j]), __float_as_uint(b[1][2 * j + 1])};
        const uint32_t rows[2] = {__float_as_uint(a[0][m]), __float_as_uint(a[1][m])};
        mma_m16n8k8_tf32(acc[2 * j][quad], acc[2 * j][quad + 4], acc[2 * j + 1][quad], acc[2 * j + 1][quad + 4],
                         columns, rows);
    }
};

/*
 * A CTA's way along k. What feeds the tensor cores is issued between their instructions, each where it has time to
 * arrive: in the first half of a step of eight k the loads for the next step, in the second their rounding and copies
 * of a later tile. Stages count in bytes, the same for all threads; a tile's copies go where the tile before it was
 * read.
 */
template <int BM, int BN, int BK, int TM, int TN, int STAGES, int LOAD_A, int LOAD_B> struct mma_pipeline {
    static const int THREADS = 32 * (BM / (4 * TM)) * (BN / (8 * TN)), STEPS = BK / 8;
    typedef mma_loader<LOAD_A, BM, BK, THREADS, 4> loader_a;
    typedef mma_loader<LOAD_B, BN, BK, THREADS, 8> loader_b;
    typedef mma_fragments<loader_a, TM / 2> fragments_a;
    typedef mma_fragments<loader_b, TN> fragments_b;
    typedef mma_operands<TM, TN, loader_a::ALIGNED, loader_b::ALIGNED> operands;
    static const uint32_t STAGE_BYTES = loader_a::STAGE_BYTES + loader_b::STAGE_BYTES;
    static const int PRODUCTS = TM / 2 * TN / 2, HALF = PRODUCTS / 2, BARRIER_AT = PRODUCTS / 8;
    static const int LOADS = fragments_a::LOADS + fragments_b::LOADS;
    static const int COPIES = loader_a::COUNT + loader_b::COUNT, COPY_SLOTS = (STEPS - 1) * HALF;
    static_assert(STAGES >= 3, "the last two k tiles at least are copied exactly");
    static_assert(STEPS % 2 == 0, "operands take turns");

    loader_a load_a;
    loader_b load_b;
    fragments_a from_a;
    fragments_b from_b;
    uint32_t read, write;

    DEVICE_MEMBER void load(operands &to, int kk, int i) const {
        if (i < fragments_a::LOADS)
            from_a.load(to.a, read, kk, i);
        else
            from_b.load(to.b, read, kk, i - fragments_a::LOADS);
    }

    DEVICE_MEMBER void copy(int i, bool yes) { copy_one(load_a, load_b, write, i, yes); }

    DEVICE_MEMBER void start(int k_count, int thread) {
        copy_last_tiles<BK, STAGES>(load_a, load_b, k_count, thread);
        read = 0;
        write = (STAGES - 1) * STAGE_BYTES;
    }

    /* The next tile has landed for this thread; the barrier says so for all, and that this one is read. */
    DEVICE_MEMBER void next_tile(void) {
        cp_async_commit();
        cp_async_wait<STAGES - 2>();
        __syncthreads();
        write = read;
        read = read == (STAGES - 1) * STAGE_BYTES ? 0 : read + STAGE_BYTES;
    }

    template <int KK> DEVICE_MEMBER void step(float (&acc)[TN][TM], const operands &now, operands &next, bool copies) {
        static const bool LAST = KK == STEPS - 1;
        static const int FIRST = LAST ? BARRIER_AT : 0, NEXT = LAST ? 0 : KK + 1;
#pragma unroll
        for (int i = 0; i < PRODUCTS; i++) {
            now.multiply(acc, i);
            if (LAST && i == BARRIER_AT) next_tile();
#pragma unroll
            for (int l = 0; l < LOADS; l++)
                if (FIRST + l * HALF / LOADS == i) load(next, NEXT, l);
#pragma unroll
            for (int r = 0; r < operands::COUNT; r++)
                if (FIRST + HALF + r * (HALF - FIRST) / operands::COUNT == i) next.round(r);
#pragma unroll
            for (int c = 0; c < COPIES; c++)
                if (i >= HALF && KK * HALF + i - HALF == c * COPY_SLOTS / COPIES) copy(c, copies);
        }
    }

    DEVICE_MEMBER void run(float (&acc)[TN][TM], int k_tiles) {
        operands even, odd;
        cp_async_wait<STAGES - 2>();
        __syncthreads();
        if (k_tiles > 0) {
#pragma unroll
            for (int i = 0; i < LOADS; i++) load(even, 0, i);
#pragma unroll
            for (int i = 0; i < operands::COUNT; i++) even.round(i);
        }
#pragma unroll 1
        for (int left = k_tiles; left > 0; left--) {
            step<0>(acc, even, odd, left >= STAGES);
            step<1>(acc, odd, even, left >= STAGES);
            if (STEPS == 2) continue;
            step<STEPS == 2 ? 0 : 2>(acc, even, odd, left >= STAGES);
            step<STEPS == 2 ? 1 : 3>(acc, odd, even, left >= STAGES);
        }
        cp_async_wait<0>();
        __syncthreads();
    }
};

template <int BM, int BN, int BK, int TM, int TN, int STAGES, int LOAD_A, int LOAD_B>
DEVICE void sgemm_tf32_mma(const struct gemm_args &args) {
    static const int WARPS_M = BM / (4 * TM);
    typedef mma_pipeline<BM, BN, BK, TM, TN, STAGES, LOAD_A, LOAD_B> pipeline;
    static_assert(BK == 16 || BK == 32, "two or four steps");

    SHARED_MEMORY(shared);
    const uint32_t stage_a = shared_at(shared), stage_b = stage_a + pipeline::loader_a::STAGE_BYTES;
    const int thread = threadIdx.x, warp = thread / 32, lane = thread % 32, g = lane / 4, c = lane % 4;
    const int warp_m = warp % WARPS_M * 4 * TM, warp_n = warp / WARPS_M * 8 * TN;

    int tile_m, tile_n;
    raster_tile(args, blockIdx.x, &tile_m, &tile_n);
    const int m0 = tile_m * BM, n0 = tile_n * BN;
    const int split = blockIdx.y, batch = blockIdx.z;
    const int64_t k_begin = (int64_t)split * args.k_per_split;
    const int k_count = min(args.k - (int)k_begin, args.k_per_split);
    const float *const a =
        matrix_a(args, batch) + (pipeline::loader_a::ALONG_K ? m0 * args.lda + k_begin : m0 + k_begin * args.lda);
    const float *const b =
        matrix_b(args, batch) + (pipeline::loader_b::ALONG_K ? n0 * args.ldb + k_begin : n0 + k_begin * args.ldb);

    pipeline p;
    p.load_a.init(a, args.lda, args.m - m0, thread, stage_a);
    p.load_b.init(b, args.ldb, args.n - n0, thread, stage_b);
    p.start(k_count, thread);
    p.from_a.init(a, args.lda, warp_m, g >> 1 | (g & 1) << 2, c, stage_a);
    p.from_b.init(b, args.ldb, warp_n, g, c, stage_b);
    float acc[TN][TM];
#pragma unroll
    for (int j = 0; j < TN; j++)
#pragma unroll
        for (int i = 0; i < TM; i++) acc[j][i] = 0.0f;
    p.run(acc, (k_count + BK - 1) / BK);
    /* The lane of the SIMT family's order that stands at row c and column g of the lanes. */
    const int stands = c << 1 | (g & 1) | g >> 1 << 3;
    store_tile<TM, TN>(args, shared + warp * stage_floats<TM>(), acc, m0 + warp_m, n0 + warp_n, split, batch, stands);
}

#endif
