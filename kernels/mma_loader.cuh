/*
 * Operand tiles for the tensor cores, copied 16 bytes at a time whatever the alignment.
 *
 * A row of shared memory holds what is contiguous in memory: mn for operands contiguous along mn (one row per k), k for
 * those contiguous along k (one row per mn). A row that starts off a 16-byte boundary is copied from the boundary
 * before it on, one chunk more than it has, and its first element lies `phase` floats into the row, 0 to 3. Rows that
 * are a multiple of four apart have one phase, and a lane's fragments come from such rows alone: to a lane the phase is
 * a constant in its address.
 *
 * What lies beyond a row, up to its last 16-byte boundary, is read with it and not used. It is memory of the matrix but
 * for the matrix's end, so the last k tiles of a slice, which CTAs take first, are copied by bytes counted out.
 */
#ifndef FASTGEMM_MMA_LOADER_CUH
#define FASTGEMM_MMA_LOADER_CUH

#include "ptx_mma.cuh"
#include "variants.h"

DEVICE int phase_of(const float *address) {
    return (int)((uintptr_t)address / 4 % 4);
}

/* Where row `mn` of an operand contiguous along k lies: rows four apart beside each other, 32 by 32. */
DEVICE constexpr int mma_row(int mn) {
    return (mn & ~31) | (mn & 3) << 3 | (mn >> 2 & 7);
}
DEVICE constexpr int mma_mn(int row) {
    return (row & ~31) | (row & 7) << 2 | (row >> 3 & 3);
}

/* One thread's part in copying an EXTENT x BK tile; PAD is of rows along mn. */
template <int LOAD, int EXTENT, int BK, int THREADS, int PAD> struct mma_loader {
    static const bool ALONG_K = LOAD == LOAD_K4, ALIGNED = LOAD == LOAD_MN16;
    static const int WIDTH = ALONG_K ? BK : EXTENT, ROWS = ALONG_K ? EXTENT : BK;
    static const int LD = WIDTH + (ALONG_K ? 4 : PAD);
    static const int STAGE_BYTES = 4 * ROWS * LD;
    static const int CHUNKS = WIDTH / 4, STEP = THREADS / CHUNKS, WHOLE = ROWS / STEP;
    static const int COUNT = WHOLE + (ALIGNED ? 0 : (ROWS + THREADS - 1) / THREADS); /* the rest: chunks too many */
    static_assert(STEP * CHUNKS == THREADS && WHOLE * STEP == ROWS && (!ALONG_K || EXTENT % 32 == 0),
                  "the tile divides among threads");

    const char *tile;   /* the boundary before the first element of the k tile that is copied next */
    uint32_t step;      /* bytes from one k tile to the next */
    uint32_t at[COUNT]; /* this thread's copies: bytes from `tile` */
    uint32_t to;        /* where the first goes: address in the operand's first stage */
    uint32_t to_last;   /* the chunk after a row */
    int first_row;      /* of the first copy, and its chunk */
    int chunk;
    bool last[COUNT - WHOLE + 1]; /* whether the thread has a row with a chunk too many */

    DEVICE_MEMBER static int row_of_last(int i, int thread) {
        const int row = thread + (i - WHOLE) * THREADS;
        return ALONG_K ? mma_mn(row) : row;
    }

    DEVICE_MEMBER int row_of(int i, int thread) const {
        return i < WHOLE ? first_row + i * STEP : row_of_last(i, thread);
    }

    /* The first element of a row and how many there are; rows outside the matrix are those at its edge. */
    DEVICE_MEMBER static const float *row_start(const float *matrix, int64_t ld, int row, int extent) {
        return matrix + (ALONG_K ? min(row, extent - 1) : row) * ld;
    }

    /* `matrix`: the tile's first element at k_begin; extent: of the matrix from there on along mn. */
    DEVICE_MEMBER void init(const float *matrix, int64_t ld, int extent, int thread, uint32_t stage) {
        /* With rows of 64 bytes, lanes of a quarter-warp that copy two rows take two in different banks. */
        const int index = thread / CHUNKS;
        first_row = ALONG_K && CHUNKS == 4 ? (index & ~31) | (index & 1) << 4 | (index >> 1 & 15) : index;
        chunk = thread % CHUNKS;
        to = kept(stage + 4 * ((ALONG_K ? mma_row(first_row) : first_row) * LD + 4 * chunk));
        to_last = stage + 4 * (thread * LD + WIDTH);
        tile = (const char *)((uintptr_t)matrix & ~(uintptr_t)15);
        step = 4 * BK * (ALONG_K ? 1 : (uint32_t)ld);
#pragma unroll
        for (int i = 0; i < COUNT; i++) {
            const float *start = row_start(matrix, ld, row_of(i, thread), extent);
            int which = i < WHOLE ? chunk : CHUNKS;
            if (!ALONG_K) which = min(which, (extent - 1 + phase_of(start)) / 4);
            at[i] = (uint32_t)((const char *)(start - phase_of(start) + 4 * which) - tile);
            if (i >= WHOLE) last[i - WHOLE] = thread + (i - WHOLE) * THREADS < ROWS && phase_of(start) != 0;
        }
    }

    DEVICE_MEMBER uint32_t destination(uint32_t stage, int i) const {
        if (i >= WHOLE) return to_last + stage + 4 * (i - WHOLE) * THREADS * LD;
        return to + stage + 4 * (ALONG_K ? mma_row(i * STEP) : i * STEP) * LD;
    }

    /* One tile by itself, k_count of BK, into `stage`: what is missing along k becomes zeros, nothing else is read. */
    DEVICE_MEMBER void copy_exactly(const float *matrix, int64_t ld, int extent, int thread, int k_count,
                                    uint32_t stage) const {
#pragma unroll
        for (int i = 0; i < COUNT; i++) {
            if (i >= WHOLE && !last[i - WHOLE]) continue;
            const int row = row_of(i, thread);
            const float *start = row_start(matrix, ld, row, extent);
            int which = i < WHOLE ? chunk : CHUNKS;
            if (!ALONG_K) which = min(which, (extent - 1 + phase_of(start)) / 4);
            const int before = 4 * which - phase_of(start), count = ALONG_K ? k_count : extent;
            const int floats = ALONG_K || row < k_count ? max(0, min(count - before, 4)) : 0;
            const uint32_t to_chunk = destination(stage, i);
            if (floats % 4 == 0)
                cp_async_16_fill(to_chunk, start + before, floats > 0);
            else
                for (int e = 0; e < 4; e++) cp_async_4_fill(to_chunk + 4 * e, start + before + e, e < floats);
        }
    }

    /* The part of a whole tile's copies that goes with step `kk` of STEPS; none of it where not `yes`. */
    template <int STEPS> DEVICE_MEMBER void copy_step(uint32_t stage, int kk, bool yes) {
#pragma unroll
        for (int i = 0; i < COUNT; i++)
            if (i * STEPS / COUNT == kk)
                cp_async_16_to(destination(stage, i), tile + at[i], yes && (i < WHOLE || last[i - WHOLE]));
        if (kk == STEPS - 1) tile += step;
    }
};

/*
 * One lane's part in an operand's fragments: BLOCKS of eight rows, of which lane group g holds row 4 * place + j of
 * each 32, j being the block's number of four. A block's k are c and c + 4 of each eight.
 */
template <class LOADER, int BLOCKS> struct mma_fragments {
    uint32_t from[LOADER::ALONG_K ? 4 : 1];

    DEVICE_MEMBER void init(const float *matrix, int64_t ld, int first, int place, int c, uint32_t stage) {
        if (LOADER::ALONG_K) {
#pragma unroll
            for (int j = 0; j < 4; j++)
                from[j] = stage + 4 * ((first + 8 * j + place) * LOADER::LD + c + phase_of(matrix + j * ld));
        } else {
            const int phase = LOADER::ALIGNED ? 0 : phase_of(matrix + c * ld);
            from[0] = kept(stage + 4 * (c * LOADER::LD + first + 4 * place + phase));
        }
    }

    /* Step `kk` of the k tile at `read`, as it is in memory. */
    DEVICE_MEMBER void load(float (&to)[2][BLOCKS], uint32_t read, int kk) const {
#pragma unroll
        for (int half = 0; half < 2; half++) {
            const int k = 8 * kk + 4 * half;
#pragma unroll
            for (int block = 0; block < BLOCKS; block += LOADER::ALIGNED ? 4 : 1) {
                const int j = block % 4, rows = block / 4 * 32;
                if (LOADER::ALIGNED)
                    load_shared_16(&to[half][block], from[0] + read + 4 * (rows + k * LOADER::LD));
                else if (LOADER::ALONG_K)
                    to[half][block] = load_shared_4(from[LOADER::ALONG_K ? j : 0] + read + 4 * (rows * LOADER::LD + k));
                else
                    to[half][block] = load_shared_4(from[0] + read + 4 * (rows + j + k * LOADER::LD));
            }
        }
    }
};

#endif
