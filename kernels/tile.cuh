/*
 * What tiled kernels share: which output tile a CTA owns (raster), and how a CTA copies one operand tile from global
 * to shared memory (loaders).
 */
#ifndef FASTGEMM_TILE_CUH
#define FASTGEMM_TILE_CUH

#include "ptx_shared.cuh"
#include "variants.h"

/* Apart, so that what few calls need before the main loop leaves all others' registers there as they are (measured). */
#ifndef LISTED_MATRIX
#define LISTED_MATRIX DEVICE_APART
#endif
LISTED_MATRIX const float *listed_matrix(const float *const *list, int64_t batch) {
    return list[batch];
}

/* The matrices of one product of the batch. */
DEVICE const float *matrix_a(const struct gemm_args &args, int64_t batch) {
    const float *matrix = args.a + batch * args.stride_a;
    if (args.a_list) matrix = listed_matrix(args.a_list, batch);
    return matrix;
}
DEVICE const float *matrix_b(const struct gemm_args &args, int64_t batch) {
    const float *matrix = args.b + batch * args.stride_b;
    if (args.b_list) matrix = listed_matrix(args.b_list, batch);
    return matrix;
}
DEVICE const float *matrix_c(const struct gemm_args &args, int64_t batch) {
    return args.c_list ? args.c_list[batch] : args.c + batch * args.stride_c;
}
DEVICE float *matrix_d(const struct gemm_args &args, int64_t batch) {
    return args.d_list ? args.d_list[batch] : args.d + batch * args.stride_d;
}

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
DEVICE int lane_along_m(int lane) {
    return lane >> 1 & 3;
}
DEVICE int lane_along_n(int lane) {
    return (lane & 1) | (lane >> 3 << 1);
}

/*
 * Which of a warp's rows or columns is a lane's i-th of T: quads of all lanes side by side, then pairs, then one each.
 */
template <int T, int LANES> DEVICE constexpr int place_along(int lane, int i) {
    return i < T / 4 * 4   ? i / 4 * 4 * LANES + 4 * lane + i % 4
           : i < T / 2 * 2 ? T / 4 * 4 * LANES + 2 * lane + i % 2
                           : T / 2 * 2 * LANES + lane;
}

DEVICE constexpr int power_of_two_from(int x) {
    int power = 1;
    while (power < x) power *= 2;
    return power;
}

/* Byte offsets inside an operand tile: 32 bits keep the main loop lean, 64 take any leading dimension. */
template <int WIDE> struct offset { typedef uint32_t type; };
template <> struct offset<1> { typedef int64_t type; };

/*
 * One thread's part in copying an EXTENT x BK tile into shared memory as [k][mn] with rows of LD floats: in the main
 * loop a part of the copies with each of its k steps, so that they do not clog the memory pipe. The pad of the
 * transposing form puts the 8 k x 4 mn of a warp's copies into 32 different banks.
 */
template <int LOAD, int EXTENT, int BK, int THREADS, int WIDE, bool LEAN = false> struct operand_loader {
    typedef typename offset<WIDE>::type offset_type;
    static const bool ALONG_K = LOAD == LOAD_K4;
    static const int VECTOR = LOAD == LOAD_MN16 ? 4 : 1;
    /* Along mn, copies are a power of two to a row, else whole rounds: some of them past the tile, where nobody reads.
     */
    static const int ROUND = THREADS > BK ? THREADS / BK : 1;
    static const int WIDTH = ALONG_K ? (EXTENT + ROUND - 1) / ROUND * ROUND : power_of_two_from(EXTENT);
    static const int LD = WIDTH + (ALONG_K ? 4 : 0);
    static const int STAGE_BYTES = 4 * BK * LD;
    static const int SIDE = (ALONG_K ? BK : WIDTH) / VECTOR; /* copies along the contiguous side */
    static const int FAST = SIDE < THREADS ? SIDE : THREADS; /* of them, in one round */
    static const int ROUNDS = SIDE / FAST;
    static const int STEP = THREADS / FAST; /* rows of the other side per round */
    static const int COUNT = WIDTH * BK / VECTOR / THREADS;
    static const int NOTED_BYTES = LEAN ? (COUNT + 3) / 4 * 16 * THREADS : 0;
    static_assert(THREADS % FAST == 0 && SIDE % FAST == 0 && COUNT * VECTOR * THREADS == WIDTH * BK,
                  "the tile divides among threads");

    const char *tile;      /* first element of the k tile that is copied next */
    offset_type step;      /* bytes from one k tile to the next */
    offset_type at[COUNT]; /* this thread's copies: bytes from `tile`; not used where LEAN */
    uint32_t noted;        /* LEAN: address of the first four of them; the others follow THREADS places apart */
    int fast, slow;        /* this thread's first copy */
    uint32_t to;           /* where it goes: address in the operand's first stage */

    DEVICE_MEMBER void place(int thread, uint32_t stage, uint32_t notes = 0) {
        if (LEAN) noted = kept(notes + 16 * thread);
        fast = thread % FAST * VECTOR;
        slow = thread / FAST;
        to = kept(stage + 4 * (ALONG_K ? fast * LD + slow : slow * LD + fast));
    }

    /* mn0: first row (A) or column (B) of the tile; mn_end: their number in the matrix; k_count: from k0 on. */
    DEVICE_MEMBER void aim(const float *matrix, int64_t ld, int mn0, int mn_end, int k0, int k_count) {
        /* Rows past the edge read the last valid one: their results are never stored, so no predicate is needed. */
        const int last = mn_end - mn0 - (ALONG_K ? 1 : VECTOR);
        const int last_k = k_count - (ALONG_K ? VECTOR : 1); /* matters when all there is of k is one short tile */
        tile = (const char *)(ALONG_K ? matrix + mn0 * ld + k0 : matrix + mn0 + k0 * ld);
        step = 4 * BK * (ALONG_K ? 1 : (offset_type)ld);
        if (LEAN) {
#pragma unroll
            for (int i = 0; i < COUNT; i++)
                store_shared_4(noted + i / 4 * 16 * THREADS + i % 4 * 4, offset_of(i, ld, last, last_k));
        } else {
            for (int i = 0; i < COUNT; i++) at[i] = offset_of(i, ld, last, last_k);
        }
    }

    DEVICE_MEMBER offset_type offset_of(int i, int64_t ld, int last, int last_k) const {
        const int row = slow + i / ROUNDS * STEP, along = fast + i % ROUNDS * FAST * VECTOR;
        if (ALONG_K) return 4 * ((offset_type)min(row, last) * (offset_type)ld + min(along, last_k));
        return 4 * ((offset_type)min(row, last_k) * (offset_type)ld + min(along, last));
    }

    DEVICE_MEMBER uint32_t destination(uint32_t stage, int i) const {
        const int row = i / ROUNDS * STEP, along = i % ROUNDS * FAST * VECTOR;
        return to + stage + 4 * (ALONG_K ? along * LD + row : row * LD + along);
    }

    /* LEAN: registers are for accumulators, so four offsets at a time come from where they were noted. */
    DEVICE_MEMBER void recall(int first) {
        uint32_t x[4];
        if (LEAN && first % 4 == 0) {
            load_shared_16_again(x, noted + first / 4 * 16 * THREADS);
#pragma unroll
            for (int i = first; i < first + 4 && i < COUNT; i++) at[i] = x[i - first];
        }
    }

    DEVICE_MEMBER void init(const float *matrix, int64_t ld, int mn0, int mn_end, int k0, int k_count, int thread,
                            uint32_t stage) {
        place(thread, stage);
        aim(matrix, ld, mn0, mn_end, k0, k_count);
    }

    /* The first k tile may be short (`k_count` < BK): what is missing becomes zeros. */
    DEVICE_MEMBER void copy_short(uint32_t stage, int k_count) {
#pragma unroll
        for (int i = 0; i < COUNT; i++) {
            recall(i);
            const bool inside = (ALONG_K ? fast + i % ROUNDS * FAST * VECTOR : slow + i / ROUNDS * STEP) < k_count;
            if (VECTOR == 4)
                cp_async_16_fill(destination(stage, i), tile + at[i], inside);
            else
                cp_async_4_fill(destination(stage, i), tile + at[i], inside);
        }
        tile += (int64_t)k_count * (step / BK);
    }

    /* Before copy_steps that copy nothing: they go on by a tile all the same. */
    DEVICE_MEMBER void back(void) {
        tile -= step;
    }

    /* The part of a whole tile's copies that goes with step `kk` of STEPS; none of it where not `yes`. */
    template <int STEPS> DEVICE_MEMBER void copy_step(uint32_t stage, int kk, bool yes) {
#pragma unroll
        for (int i = 0; i < COUNT; i++) {
            if ((LEAN ? i / 4 * STEPS / ((COUNT + 3) / 4) : i * STEPS / COUNT) != kk) continue;
            recall(i);
            if (VECTOR == 4)
                cp_async_16_to(destination(stage, i), tile + at[i], yes);
            else
                cp_async_4_to(destination(stage, i), tile + at[i], yes);
        }
        if (kk == STEPS - 1) tile += step;
    }

    DEVICE_MEMBER void copy(uint32_t stage) {
        copy_step<1>(stage, 0, true);
    }
};

#endif
