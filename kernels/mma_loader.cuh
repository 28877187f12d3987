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
    uint32_t low, ld;             /* bytes from `tile` to the tile's first element, and the leading dimension */
    int extent;                   /* of the matrix along mn, from the tile on */
    bool last[COUNT - WHOLE + 1]; /* whether the thread has a row with a chunk too many */

    DEVICE_MEMBER static int row_of_last(int i, int thread) {
        const int row = thread + (i - WHOLE) * THREADS;
        return ALONG_K ? mma_mn(row) : row;
    }

    DEVICE_MEMBER int row_of(int i, int thread) const {
        return i < WHOLE ? first_row + i * STEP : row_of_last(i, thread);
    }

    /* Copy `i`: the floats before its chunk in its row (from -3 on), and where that is in bytes from `tile`. */
    DEVICE_MEMBER uint32_t offset_of(int i, int thread, int *before) const {
        const int row = row_of(i, thread);
        const uint32_t start = low + 4 * (uint32_t)(ALONG_K ? min(row, extent - 1) : row) * ld;
        const int phase = (int)(start / 4 % 4);
        /* Chunks and rows outside the matrix are those at its edge: their results are never stored. */
        int which = i < WHOLE ? chunk : CHUNKS;
        if (!ALONG_K) which = min(which, (extent - 1 + phase) / 4);
        *before = 4 * which - phase;
        return start + 4 * *before;
    }

    /* `matrix`: the tile's first element at k_begin; extent: of the matrix from there on along mn. */
    DEVICE_MEMBER void init(const float *matrix, int64_t leading, int extent_mn, int thread, uint32_t stage) {
        /* With rows of 64 bytes, lanes of a quarter-warp that copy two rows take two in different banks. */
        const int index = thread / CHUNKS;
        first_row = ALONG_K && CHUNKS == 4 ? (index & ~31) | (index & 1) << 4 | (index >> 1 & 15) : index;
        chunk = thread % CHUNKS;
        to = kept(stage + 4 * ((ALONG_K ? mma_row(first_row) : first_row) * LD + 4 * chunk));
        to_last = stage + 4 * (thread * LD + WIDTH);
        low = (uint32_t)((uintptr_t)matrix % 16);
        ld = (uint32_t)leading;
        extent = extent_mn;
        tile = (const char *)matrix - low;
        step = 4 * BK * (ALONG_K ? 1 : ld);
#pragma unroll
        for (int i = 0; i < COUNT; i++) {
            int before;
            at[i] = offset_of(i, thread, &before);
            if (i >= WHOLE) last[i - WHOLE] = thread + (i - WHOLE) * THREADS < ROWS && before % 4 != 0;
        }
    }

    DEVICE_MEMBER uint32_t destination(uint32_t stage, int i) const {
        if (i >= WHOLE) return to_last + stage + 4 * (i - WHOLE) * THREADS * LD;
        return to + stage + 4 * (ALONG_K ? mma_row(i * STEP) : i * STEP) * LD;
    }

    /* Tile number k_tile by itself, k_count of BK: what is missing along k becomes zeros, nothing else is read. */
    DEVICE_MEMBER void copy_exactly(int k_tile, int k_count, int thread, uint32_t stage) const {
        const char *const from = tile + (int64_t)k_tile * step;
#pragma unroll
        for (int i = 0; i < COUNT; i++) {
            int before;
            const char *const chunk_at = from + offset_of(i, thread, &before);
            const uint32_t to_chunk = destination(stage, i);
            const int floats = ALONG_K                       ? max(0, min(k_count - before, 4))
                               : row_of(i, thread) < k_count ? min(extent - before, 4)
                                                             : 0;
            if (i >= WHOLE && !last[i - WHOLE]) continue;
            if (floats % 4 == 0)
                cp_async_16_fill(to_chunk, chunk_at, floats > 0);
            else
                for (int e = 0; e < 4; e++) cp_async_4_fill(to_chunk + 4 * e, chunk_at + 4 * e, e < floats);
        }
    }

    /* Copy `i` of a whole tile's COUNT; none where not `yes`. */
    DEVICE_MEMBER void copy(uint32_t stage, int i, bool yes) {
        if (i >= COUNT) return;
        cp_async_16_to(destination(stage, i), tile + at[i], yes && (i < WHOLE || last[i < WHOLE ? 0 : i - WHOLE]));
        if (i == COUNT - 1) tile += step;
    }
};

/*
 * One lane's part in an operand's fragments: BLOCKS of eight rows, of which lane group g holds row 4 * place + j of
 * each 32, j being the block's number of four. A block's k are c and c + 4 of each eight.
 *
 * Single elements of rows along mn lie in all 32 banks if the rows of four k have four phases, as with an odd leading
 * dimension; where they have one, in a quarter of the banks. A lane that may TURN then takes its blocks from another j
 * on, by its place, which brings all banks back, and puts their results in order at the end (in_order).
 */
template <class LOADER, int BLOCKS, bool TURN = false> struct mma_fragments {
    static const bool SINGLE = !LOADER::ALONG_K && !LOADER::ALIGNED, TURNS = TURN && SINGLE;
    uint32_t from[LOADER::ALONG_K || TURNS ? 4 : 1];

    /* By how much the lanes at a place turn. */
    DEVICE_MEMBER static int turn_of(int64_t ld, int place) { return TURNS && ld % 4 == 0 ? place % 4 : 0; }

    /* Which row a lane has of a block, counted from `first` on. */
    DEVICE_MEMBER static int row_of(int place, int turn, int block) {
        return block / 4 * 32 + 4 * place + (block + turn) % 4;
    }

    DEVICE_MEMBER void init(const float *matrix, int64_t ld, int first, int place, int c, uint32_t stage) {
        if (LOADER::ALONG_K) {
#pragma unroll
            for (int j = 0; j < 4; j++)
                from[LOADER::ALONG_K ? j : 0] =
                    stage + 4 * ((first + 8 * j + place) * LOADER::LD + c + phase_of(matrix + j * ld));
        } else {
            const int phase = LOADER::ALIGNED ? 0 : phase_of(matrix + c * ld), turn = turn_of(ld, place);
#pragma unroll
            for (int j = 0; j < (TURNS ? 4 : 1); j++)
                from[TURNS ? j : 0] = kept(stage + 4 * (c * LOADER::LD + first + row_of(place, turn, j) + phase));
        }
    }

    static const int LOADS = 2 * BLOCKS / (LOADER::ALIGNED ? 4 : 1);

    /* Where the lane's element of a block lies, at the k tile at `read`, k steps of four into it. */
    DEVICE_MEMBER uint32_t address(uint32_t read, int k4, int block) const {
        const int j = block % 4, rows = block / 4 * 32;
        if (LOADER::ALONG_K) return from[LOADER::ALONG_K ? j : 0] + read + 4 * (rows * LOADER::LD + 4 * k4);
        return from[TURNS ? j : 0] + read + 4 * (rows + (TURNS ? 0 : j) + 4 * k4 * LOADER::LD);
    }

    /* Load `i` of the LOADS of step `kk` of the k tile at `read`. */
    DEVICE_MEMBER void load(float (&to)[2][BLOCKS], uint32_t read, int kk, int i) const {
        const int half = i / (LOADS / 2), block = i % (LOADS / 2) * (LOADER::ALIGNED ? 4 : 1);
        if (LOADER::ALIGNED)
            load_shared_16(&to[half][block], address(read, 2 * kk + half, block));
        else
            to[half][block] = load_shared_4(address(read, 2 * kk + half, block));
    }
};

/* Fills all stages but one. A slice's last k tiles come first: the main loop then has whole ones, well inside. */
template <int BK, int STAGES, class LOADER_A, class LOADER_B>
DEVICE void copy_last_tiles(LOADER_A &load_a, LOADER_B &load_b, int k_count, int thread) {
    static const uint32_t STAGE_BYTES = LOADER_A::STAGE_BYTES + LOADER_B::STAGE_BYTES;
    const int k_tiles = (k_count + BK - 1) / BK;
#pragma unroll 1
    for (int stage = 0; stage < STAGES - 1; stage++) {
        const int k_tile = k_tiles - 1 - stage, count = min(BK, k_count - k_tile * BK);
        if (k_tile >= 0) {
            load_a.copy_exactly(k_tile, count, thread, stage * STAGE_BYTES);
            load_b.copy_exactly(k_tile, count, thread, stage * STAGE_BYTES);
        }
        cp_async_commit();
    }
}

/* Copy `i` of both operands' next k tile. */
template <class LOADER_A, class LOADER_B>
DEVICE void copy_one(LOADER_A &load_a, LOADER_B &load_b, uint32_t write, int i, bool yes) {
    if (i < LOADER_A::COUNT)
        load_a.copy(write, i, yes);
    else
        load_b.copy(write, i - LOADER_A::COUNT, yes);
}

/* The results of four blocks that were taken from the `turn`-th on. */
DEVICE void four_in_order(float &x0, float &x1, float &x2, float &x3, int turn) {
    const float x[4] = {x0, x1, x2, x3};
    float y[4];
#pragma unroll
    for (int i = 0; i < 4; i++) y[i] = turn & 1 ? x[(i + 3) % 4] : x[i];
    x0 = turn & 2 ? y[2] : y[0];
    x1 = turn & 2 ? y[3] : y[1];
    x2 = turn & 2 ? y[0] : y[2];
    x3 = turn & 2 ? y[1] : y[3];
}

/* A lane's sums as the epilogue wants them; the turns of the lanes that had its rows of A, and its columns of B. */
template <bool TURNS_A, bool TURNS_B, int TM, int TN>
DEVICE void in_order(float (&acc)[TN][TM], int turn_a, int turn_b) {
#pragma unroll
    for (int i = 0; i < TN * TM && TURNS_A; i += 4) {
        float *const x = &acc[i / TM][i % TM];
        four_in_order(x[0], x[1], x[2], x[3], turn_a);
    }
#pragma unroll
    for (int i = 0; i < TN / 4 * TM && TURNS_B; i++) {
        const int j = i / TM * 4, at = i % TM;
        four_in_order(acc[j][at], acc[j + 1][at], acc[j + 2][at], acc[j + 3][at], turn_b);
    }
}

#endif
