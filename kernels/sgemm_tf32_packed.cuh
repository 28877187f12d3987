/*
 * The family TF32_PACKED: TF32 tensor cores by mma.sync, sm_80 and up, of operands that a pass has rounded and packed
 * into fragments (tf32_fragments.h). Contract tf32. One CTA computes a BM x BN tile of C over its slice of K.
 *
 *   CTA tile     BM x BN, k in steps of 32, STAGES of them in shared memory, filled by 16-byte cp.async
 *   warp tile    (4 TM) x (8 TN)
 *   lanes        hold of it what a thread of the SIMT family's would, so that the epilogue is the same: the
 *                instruction's 16 rows are columns of C and its 8 columns rows of C
 *
 * On Hopper an instruction of the tensor cores takes six issue slots, and each other one its own (measured): so there
 * is a 16-byte load for every four of them, a tenth of a copy, and next to nothing else.
 */
#ifndef FASTGEMM_SGEMM_TF32_PACKED_CUH
#define FASTGEMM_SGEMM_TF32_PACKED_CUH

#include "epilogue.cuh"
#include "ptx_mma.cuh"
#include "tf32_fragments.h"

/* Fragments of one step of eight k: quads of two blocks of eight rows of A, or of one of sixteen columns of B. */
template <int TM, int TN> struct packed_operands {
    static const int QUADS_A = TM / 4, QUADS_B = TN / 2;
    float a[QUADS_A][4], b[QUADS_B][4];

    /* Product `i` of the TM / 2 by TN / 2, along a row and back along the next. */
    DEVICE_MEMBER void multiply(float (&acc)[TN][TM], int i) const {
        const int j = i / (TM / 2), step = i % (TM / 2), m = j & 1 ? TM / 2 - 1 - step : step, quad = m / 4 * 8 + m % 4;
        const uint32_t columns[4] = {__float_as_uint(b[j][0]), __float_as_uint(b[j][1]), __float_as_uint(b[j][2]),
                                     __float_as_uint(b[j][3])};
        const uint32_t rows[2] = {__float_as_uint(a[m / 2][m % 2 * 2]), __float_as_uint(a[m / 2][m % 2 * 2 + 1])};
        mma_m16n8k8_tf32(acc[2 * j][quad], acc[2 * j][quad + 4], acc[2 * j + 1][quad], acc[2 * j + 1][quad + 4],
                         columns, rows);
    }
};

/* A CTA's way along k; a tile's copies go where the tile before it was read, some at a time. */
template <int BM, int BN, int TM, int TN, int STAGES> struct packed_pipeline {
    typedef packed_operands<TM, TN> operands;
    static const int THREADS = 32 * (BM / (4 * TM)) * (BN / (8 * TN));
    static const int ROW_BYTES = 4 * TF32_FRAGMENT_K, STEP_BYTES = 4 * TF32_FRAGMENT_BLOCK,
                     BLOCK_BYTES = 16 * ROW_BYTES;
    static const uint32_t BYTES_A = BM * ROW_BYTES, BYTES_B = BN * ROW_BYTES, STAGE_BYTES = BYTES_A + BYTES_B;
    static const int WARP_BYTES = 512, COPIES_A = BYTES_A / (16 * THREADS), COPIES_B = BYTES_B / (16 * THREADS);
    static const int STEPS = TF32_FRAGMENT_K / 8, PRODUCTS = TM / 2 * TN / 2, BARRIER_AT = 1;
    static const int LOADS = operands::QUADS_A + operands::QUADS_B, COPIES = COPIES_A + COPIES_B;
    static const int COPY_SLOTS = (STEPS - 1) * PRODUCTS; /* copies go beside products, in all steps but the last */
    static_assert(COPIES_A * 16 * THREADS == BYTES_A && COPIES_B * 16 * THREADS == BYTES_B,
                  "threads divide the copies");
    static_assert(BM <= TF32_FRAGMENT_ROWS && BN <= TF32_FRAGMENT_ROWS, "rows are padded to whole tiles");

    const char *next_a, *next_b;         /* the middle one of this thread's chunks of the k tile that is copied next */
    int64_t step_a, step_b;              /* bytes from one k tile to the next */
    uint32_t to_a, to_b, from_a, from_b; /* this thread's places in the first stage */
    uint32_t read, write;

    DEVICE_MEMBER void init(const float *a, const float *b, int64_t rows_a, int64_t rows_b, int warp_m, int warp_n,
                            uint32_t shared) {
        const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
        const int first_a = warp * COPIES_A * WARP_BYTES + 16 * lane,
                  first_b = warp * COPIES_B * WARP_BYTES + 16 * lane;
        next_a = (const char *)a + first_a - from_middle<COPIES_A>(0);
        next_b = (const char *)b + first_b - from_middle<COPIES_B>(0);
        step_a = rows_a * ROW_BYTES;
        step_b = rows_b * ROW_BYTES;
        to_a = shared + first_a;
        to_b = shared + BYTES_A + first_b;
        from_a = shared + warp_m * ROW_BYTES + 16 * lane;
        from_b = shared + BYTES_A + warp_n * ROW_BYTES + 16 * lane;
        read = 0;
        write = (STAGES - 1) * STAGE_BYTES;
    }

    /*
     * Bytes from the middle of a thread's COUNT copies to number `i`: an instruction takes offsets in global memory
     * from -2048 to 2047.
     */
    template <int COUNT> DEVICE_MEMBER static int from_middle(int i) { return (i - COUNT / 2) * WARP_BYTES; }

    /* Number `i` of the COPIES of the next k tile. */
    DEVICE_MEMBER void copy(uint32_t stage, int i, bool yes) {
        const int j = i - COPIES_A;
        if (i < COPIES_A)
            cp_async_16_to(to_a + stage + i * WARP_BYTES, next_a + from_middle<COPIES_A>(i), yes);
        else
            cp_async_16_to(to_b + stage + j * WARP_BYTES, next_b + from_middle<COPIES_B>(j), yes);
        if (i < COPIES - 1) return;
        cp_async_commit();
        next_a += step_a;
        next_b += step_b;
    }

    DEVICE_MEMBER void load(operands &x, int step, int i) const {
        if (i < operands::QUADS_A)
            load_shared_16(x.a[i], from_a + read + i * BLOCK_BYTES + step * STEP_BYTES);
        else
            load_shared_16(x.b[i - operands::QUADS_A],
                           from_b + read + (i - operands::QUADS_A) * BLOCK_BYTES + step * STEP_BYTES);
    }

    /* The next k tile has landed for this thread; the barrier says so for all, and that this one is read. */
    DEVICE_MEMBER void next_tile(void) {
        cp_async_wait<STAGES - 2>();
        __syncthreads();
        write = read;
        read = read == (STAGES - 1) * STAGE_BYTES ? 0 : read + STAGE_BYTES;
    }

    template <int STEP>
    DEVICE_MEMBER void step(float (&acc)[TN][TM], const operands &now, operands &next, bool copies) {
        static const bool LAST = STEP == STEPS - 1;
        static const int FIRST = LAST ? BARRIER_AT + 1 : 0, HALF = PRODUCTS / 2;
#pragma unroll
        for (int i = 0; i < PRODUCTS; i++) {
            now.multiply(acc, i);
            if (LAST && i == BARRIER_AT) next_tile();
#pragma unroll
            for (int l = 0; l < LOADS; l++)
                if (FIRST + l * HALF / LOADS == i) load(next, LAST ? 0 : STEP + 1, l);
#pragma unroll
            for (int c = 0; c < COPIES; c++)
                if (STEP * PRODUCTS + i == c * COPY_SLOTS / COPIES) copy(write, c, copies);
        }
    }

    DEVICE_MEMBER void run(float (&acc)[TN][TM], int k_tiles) {
        operands even, odd;
#pragma unroll 1
        for (int stage = 0; stage < STAGES - 1; stage++) {
#pragma unroll
            for (int i = 0; i < COPIES; i++) copy(stage * STAGE_BYTES, i, stage < k_tiles);
        }
        cp_async_wait<STAGES - 2>();
        __syncthreads();
        if (k_tiles > 0) {
#pragma unroll
            for (int i = 0; i < LOADS; i++) load(even, 0, i);
        }
#pragma unroll 1
        for (int left = k_tiles; left > 0; left--) {
            step<0>(acc, even, odd, left >= STAGES);
            step<1>(acc, odd, even, left >= STAGES);
            step<2>(acc, even, odd, left >= STAGES);
            step<3>(acc, odd, even, left >= STAGES);
        }
        cp_async_wait<0>();
        __syncthreads();
    }
};

template <int BM, int BN, int TM, int TN, int STAGES> DEVICE void sgemm_tf32_packed(const struct gemm_args &args) {
    static const int WARPS_M = BM / (4 * TM);
    SHARED_MEMORY(shared);
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, c = lane % 4;
    const int warp_m = warp % WARPS_M * 4 * TM, warp_n = warp / WARPS_M * 8 * TN;

    int tile_m, tile_n;
    raster_tile(args, blockIdx.x, &tile_m, &tile_n);
    const int m0 = tile_m * BM, n0 = tile_n * BN;
    const int split = blockIdx.y, batch = blockIdx.z;
    const int64_t k_begin = (int64_t)split * args.k_per_split;
    const int k_count = min(args.k - (int)k_begin, args.k_per_split);

    packed_pipeline<BM, BN, TM, TN, STAGES> p;
    p.init(args.a + batch * args.stride_a + k_begin * args.lda + m0 * TF32_FRAGMENT_K,
           args.b + batch * args.stride_b + k_begin * args.ldb + n0 * TF32_FRAGMENT_K, args.lda, args.ldb, warp_m,
           warp_n, shared_at(shared));
    float acc[TN][TM];
#pragma unroll
    for (int j = 0; j < TN; j++)
#pragma unroll
        for (int i = 0; i < TM; i++) acc[j][i] = 0.0f;
    p.run(acc, (k_count + TF32_FRAGMENT_K - 1) / TF32_FRAGMENT_K);
    /* The lane of the SIMT family's order that stands at row c and column g of the lanes. */
    const int stands = c << 1 | (g & 1) | g >> 1 << 3;
    store_tile<TM, TN>(args, shared + warp * stage_floats<TM>(), acc, m0 + warp_m, n0 + warp_n, split, batch, stands);
}

#endif
