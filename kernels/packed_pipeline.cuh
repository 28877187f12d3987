/*
 * The main loop of products by mma.sync whose operands a pass has packed into fragments (tf32_fragments.h): stages in
 * shared memory, filled by 16-byte cp.async, from which each lane reads its operands 16 bytes at a time.
 *
 * On Hopper an instruction of the tensor cores takes six issue slots, of TF32 and of fp16, and each other one its own
 * (measured): so there is a 16-byte load for every four of them, a tenth of a copy, and next to nothing else.
 */
#ifndef FASTGEMM_PACKED_PIPELINE_CUH
#define FASTGEMM_PACKED_PIPELINE_CUH

#include "ptx_split.cuh"
#include "tf32_fragments.h"

/*
 * Fragments of one step, of eight k in TF32 or sixteen in fp16: quads of two blocks of eight rows of A, or of one of
 * sixteen columns of B.
 */
template <int TM, int TN, int F16> struct packed_operands {
    static const int QUADS_A = TM / 4, QUADS_B = TN / 2;
    float a[QUADS_A][4], b[QUADS_B][4];

    /* Product `i` of the TM / 2 by TN / 2, along a row and back along the next. */
    DEVICE_MEMBER void multiply(float (&acc)[TN][TM], int i) const {
        const int j = i / (TM / 2), step = i % (TM / 2), m = j & 1 ? TM / 2 - 1 - step : step, quad = m / 4 * 8 + m % 4;
        const uint32_t columns[4] = {__float_as_uint(b[j][0]), __float_as_uint(b[j][1]), __float_as_uint(b[j][2]),
                                     __float_as_uint(b[j][3])};
        const uint32_t rows[2] = {__float_as_uint(a[m / 2][m % 2 * 2]), __float_as_uint(a[m / 2][m % 2 * 2 + 1])};
        float &x = acc[2 * j][quad], &y = acc[2 * j][quad + 4];
        float &z = acc[2 * j + 1][quad], &w = acc[2 * j + 1][quad + 4];
        if (F16) {
            float d[4] = {x, y, z, w};
            mma_m16n8k16<true>(d, columns, rows);
            x = d[0], y = d[1], z = d[2], w = d[3];
        } else {
            mma_m16n8k8_tf32(x, y, z, w, columns, rows);
        }
    }
};

/*
 * A CTA's way along k; a tile's copies go where the tile before it was read, some at a time. BYTES: of a k tile in a
 * row, 32 for each step.
 */
template <int BM, int BN, int TM, int TN, int STAGES, int BYTES, int F16> struct packed_pipeline {
    typedef packed_operands<TM, TN, F16> operands;
    static const int THREADS = 32 * (BM / (4 * TM)) * (BN / (8 * TN));
    static const int ROW_BYTES = BYTES, STEP_BYTES = 512, BLOCK_BYTES = 16 * ROW_BYTES;
    static const uint32_t BYTES_A = BM * ROW_BYTES, BYTES_B = BN * ROW_BYTES, STAGE_BYTES = BYTES_A + BYTES_B;
    static const int WARP_BYTES = 512, COPIES_A = BYTES_A / (16 * THREADS), COPIES_B = BYTES_B / (16 * THREADS);
    static const int STEPS = ROW_BYTES / 32, PRODUCTS = TM / 2 * TN / 2, BARRIER_AT = 1;
    static const int LOADS = operands::QUADS_A + operands::QUADS_B, COPIES = COPIES_A + COPIES_B;
    static const int COPY_SLOTS = (STEPS - 1) * PRODUCTS; /* copies go beside products, in all steps but the last */
    static_assert(COPIES_A * 16 * THREADS == BYTES_A && COPIES_B * 16 * THREADS == BYTES_B,
                  "threads divide the copies");
    static_assert(BM <= TF32_FRAGMENT_ROWS && BN <= TF32_FRAGMENT_ROWS, "rows are padded to whole tiles");
    static_assert(STEPS == 2 || STEPS == 4, "registers of steps take turns");

    const char *next_a, *next_b;         /* the middle one of this thread's chunks of the k tile that is copied next */
    int64_t step_a, step_b;              /* bytes from one k tile to the next */
    uint32_t to_a, to_b, from_a, from_b; /* this thread's places in the first stage */
    uint32_t read, write;

    DEVICE_MEMBER void init(const char *a, const char *b, int64_t rows_a, int64_t rows_b, int warp_m, int warp_n,
                            uint32_t shared) {
        const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
        const int first_a = warp * COPIES_A * WARP_BYTES + 16 * lane,
                  first_b = warp * COPIES_B * WARP_BYTES + 16 * lane;
        next_a = a + first_a - from_middle<COPIES_A>(0);
        next_b = b + first_b - from_middle<COPIES_B>(0);
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
            if (STEPS == 2) continue;
            step<2>(acc, even, odd, left >= STAGES);
            step<3>(acc, odd, even, left >= STAGES);
        }
        cp_async_wait<0>();
        __syncthreads();
    }
};

#endif
