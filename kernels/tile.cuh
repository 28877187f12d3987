/*
 * What tiled kernels share: which output tile a CTA owns (raster), and how a CTA copies one operand tile from global
 * to shared memory (loaders).
 */
#ifndef FASTGEMM_TILE_CUH
#define FASTGEMM_TILE_CUH

#include "ptx.cuh"
#include "variants.h"

/*
 * Grouped raster: CTAs in launch order walk `raster` tile rows column by column before they move to the next rows, so
 * that the CTAs in flight share operand tiles in L2.
 */
DEVICE void raster_tile(const struct gemm_args &args, int index, int *tile_m, int *tile_n) {
    int per_group = args.raster * args.tiles_n;
    int group = index / per_group, inside = index - group * per_group;
    int first = group * args.raster;
    int rows = min(args.raster, args.tiles_m - first);
    *tile_n = inside / rows;
    *tile_m = first + inside - *tile_n * rows;
}

/*
 * A warp's lanes stand 4 along m by 8 along n. In this order lanes x and x^1 read the same of A, and x and x^2 the
 * same of B, which lets 16-byte shared loads run two quarter-warps at a time.
 */
DEVICE int lane_along_m(int lane) { return lane >> 1 & 3; }
DEVICE int lane_along_n(int lane) { return (lane & 1) | (lane >> 3 << 1); }

/* Offsets inside an operand tile: 32 bits keep the main loop lean, 64 take any leading dimension. */
template <int WIDE> struct offset { typedef uint32_t type; };
template <> struct offset<1> { typedef int64_t type; };

/*
 * One thread's part in copying an EXTENT x BK tile into shared memory as [k][mn] with rows of LD floats. The pad of
 * the transposing form puts the 8 k x 4 mn of a warp's copies into 32 different banks.
 */
template <int LOAD, int EXTENT, int BK, int THREADS, int WIDE> struct operand_loader {
    static const int VECTOR = LOAD == LOAD_MN16 ? 4 : 1;
    static const int LD = EXTENT + (LOAD == LOAD_K4 ? 4 : 0);
    static const int STAGE_FLOATS = BK * LD;
    static const int FAST = LOAD == LOAD_K4 ? BK : EXTENT / VECTOR; /* copies along the contiguous side */
    static const int STEP = THREADS / FAST;                         /* rows of the other side per round */
    static const int COUNT = EXTENT * BK / VECTOR / THREADS;
    static const int BURSTS = COUNT < 4 ? COUNT : 4; /* the copies of a tile, spread over its k steps */
    static_assert(THREADS % FAST == 0 && COUNT * VECTOR * THREADS == EXTENT * BK, "the tile divides among threads");

    const float *tile;                      /* first element of the k tile that is copied next */
    int64_t advance;                        /* elements from one k tile to the next, per k */
    typename offset<WIDE>::type at[COUNT];  /* this thread's elements, relative to `tile` */
    int fast, slow;                         /* this thread's first element */

    /* mn0: first row (A) or column (B) of the tile; mn_end: their number in the matrix; k_count: from k0 on. */
    DEVICE_MEMBER void init(const float *matrix, int64_t ld, int mn0, int mn_end, int k0, int k_count, int thread) {
        fast = thread % FAST;
        slow = thread / FAST;
        /* Rows past the edge read the last valid one: their results are never stored, so no predicate is needed. */
        int last = mn_end - mn0 - VECTOR;
        int last_k = k_count - 1; /* matters when all there is of k is one short tile */
        if (LOAD == LOAD_K4) {
            tile = matrix + (int64_t)mn0 * ld + k0;
            advance = 1;
            for (int i = 0; i < COUNT; i++)
                at[i] = (typename offset<WIDE>::type)min(slow + i * STEP, last) * ld + min(fast, last_k);
        } else {
            tile = matrix + mn0 + (int64_t)k0 * ld;
            advance = ld;
            for (int i = 0; i < COUNT; i++)
                at[i] = (typename offset<WIDE>::type)min(slow + i * STEP, last_k) * ld + min(fast * VECTOR, last);
        }
    }

    DEVICE_MEMBER float *destination(float *stage, int i) const {
        if (LOAD == LOAD_K4) return stage + fast * LD + slow + i * STEP;
        return stage + (slow + i * STEP) * LD + fast * VECTOR;
    }

    /* The first k tile may be short (`k_count` < BK): what is missing becomes zeros. `more`: another one follows. */
    DEVICE_MEMBER void copy_short(float *stage, int k_count, bool more) {
#pragma unroll
        for (int i = 0; i < COUNT; i++) {
            bool inside = (LOAD == LOAD_K4 ? fast : slow + i * STEP) < k_count;
            if (LOAD == LOAD_MN16)
                cp_async_16(destination(stage, i), tile + at[i], inside ? 16 : 0);
            else
                cp_async_4(destination(stage, i), tile + at[i], inside ? 4 : 0);
        }
        tile += more ? k_count * advance : 0;
    }

    /* The part of a whole tile's copies that goes with step `kk` of BK: spread out, they do not clog the memory pipe. */
    DEVICE_MEMBER void copy_step(float *stage, int kk) {
#pragma unroll
        for (int i = 0; i < COUNT; i++) {
            if (i * BURSTS / COUNT * (BK / BURSTS) != kk) continue;
            if (LOAD == LOAD_MN16)
                cp_async_16(destination(stage, i), tile + at[i]);
            else
                cp_async_4(destination(stage, i), tile + at[i]);
        }
    }

    /* On to the next k tile, or stay: the copies after the last tile read it again, and nobody reads them. */
    DEVICE_MEMBER void next(bool more) { tile += more ? BK * advance : 0; }

    DEVICE_MEMBER void copy(float *stage, bool more) {
#pragma unroll
        for (int kk = 0; kk < BK; kk++) copy_step(stage, kk);
        next(more);
    }
};

#endif
