/*
 * The family TF32_BATCH: TF32 tensor cores by mma.sync, sm_80 and up, for batches of small products whose sizes are
 * just over a power of two and whose rows start anywhere. Contract tf32: operands rounded to nearest, sums in fp32. One
 * CTA computes a BM x BN tile of C over its slice of K.
 *
 *   CTA tile     BM x BN: BM = 64 WARPS_M + 8, so that m = 257 or 129 is one tile
 *   warp tile    64 x 32, and for the warps at the end of m eight rows more
 *   A            along m alone: along k its copies take more registers than there are
 *   operands     in stages of BK along k, by 16-byte cp.async whatever the alignment: as in mma_loader.cuh a row that
 *                starts off a boundary is copied from the boundary before it on
 *   results      through shared memory, a column of D at a time, in 16-byte stores whatever its alignment
 */
#ifndef FASTGEMM_SGEMM_TF32_BATCH_CUH
#define FASTGEMM_SGEMM_TF32_BATCH_CUH

#include "epilogue.cuh"
#include "mma_loader.cuh"
#include "tile.cuh"

/*
 * One thread's part in copying an EXTENT x BK tile. Along mn a warp copies a row of chunks at once; along k four
 * threads do, and others the chunk that a row has too many where it starts off a boundary. Either way a thread's rows
 * are a multiple of four apart, so that they start as far off.
 */
template <int LOAD, int EXTENT, int BK, int THREADS> struct batch_loader {
    static const bool ALONG_K = LOAD == LOAD_K4;
    static const int WIDTH = ALONG_K ? BK : EXTENT, ROWS = ALONG_K ? EXTENT : BK, LD = WIDTH + 4;
    static const int STAGE_BYTES = 4 * ROWS * LD;
    static const int SIDE = ALONG_K ? BK / 4 : 32;                      /* threads to a row */
    static const int ROUNDS = ALONG_K ? 1 : (WIDTH + 6) / 4 / SIDE + 1; /* of them along it: up to WIDTH + 3 floats */
    static const int STEP = THREADS / SIDE, TIMES = (ROWS + STEP - 1) / STEP; /* rows at a time, and how often */
    static const int LASTS = ALONG_K ? (ROWS + THREADS - 1) / THREADS : 0;
    static const int WHOLE = ROWS / 32 * 32; /* rows along k that lie by fours (mma_row) */
    static_assert(THREADS % SIDE == 0 && STEP % 4 == 0 && (!ALONG_K || STEP % 32 == 0), "rows have one phase");

    const char *tile;  /* the boundary before the first element of the k tile that is copied next */
    uint32_t at, last; /* this thread's first row, and its row with a chunk too many: bytes from `tile` */
    uint32_t to;       /* where the first goes: address in the operand's first stage */
    uint32_t first_stage;
    uint32_t low, ld; /* bytes from `tile` to the tile's first element, and the leading dimension */
    int phase;        /* of the first row, and so of all of the thread's */
    int extent;       /* of the matrix along mn, from the tile on */
    bool at_start;    /* whether the tile's first element is the matrix's */

    DEVICE_MEMBER static uint32_t placed(uint32_t row) {
        return ALONG_K && row < WHOLE ? (uint32_t)mma_row((int)row) : row;
    }

    /* Eight lanes that copy two rows along k take two in different banks. */
    DEVICE_MEMBER static uint32_t first_row(int thread) {
        const uint32_t row = (uint32_t)(thread / SIDE);
        return ALONG_K && SIDE == 4 ? (row & ~31u) | (row & 1) << 4 | (row >> 1 & 15) : row;
    }

    /* Of the row with a chunk too many: how far off a boundary it starts. */
    DEVICE_MEMBER int phase_last(void) const { return (int)((low / 4 + threadIdx.x * ld) % 4); }

    DEVICE_MEMBER void init(const float *first, int64_t leading, int extent_mn, bool start, int thread,
                            uint32_t stage) {
        low = (uint32_t)((uintptr_t)first % 16);
        ld = (uint32_t)leading;
        extent = extent_mn;
        at_start = start;
        tile = (const char *)first - low;
        first_stage = stage;
        const uint32_t row = first_row(thread), chunk = (uint32_t)(thread % SIDE);
        phase = (int)((low / 4 + row * ld) % 4);
        at = ((low + 4 * row * ld) & ~15u) + 16 * chunk;
        to = stage + 4 * (placed(row) * LD + 4 * chunk);
        last = ((low + 4 * (uint32_t)thread * ld) & ~15u) + 4 * BK;
    }

    DEVICE_MEMBER void next(void) { tile += 4 * BK * (ALONG_K ? (int64_t)1 : (int64_t)ld); }

    /* Where the chunk `j` of the thread's row `i` goes, and the one too many. */
    DEVICE_MEMBER uint32_t place(int i, int j) const {
        const uint32_t row = first_row(threadIdx.x), beyond = ALONG_K && i * STEP >= WHOLE ? row - placed(row) : 0;
        return to + 4 * LD * (i * STEP + beyond) + 16 * SIDE * j;
    }
    DEVICE_MEMBER uint32_t place_last(int i) const {
        const uint32_t row = i * THREADS >= WHOLE ? threadIdx.x : placed(threadIdx.x);
        return first_stage + 4 * (LD * (i * THREADS + row) + WIDTH);
    }

    /* A whole k tile in the middle of the matrix: what is copied beside the tile is the matrix's too. */
    DEVICE_MEMBER void copy(uint32_t stage) {
#pragma unroll
        for (int i = 0; i < TIMES; i++)
#pragma unroll
            for (int j = 0; j < ROUNDS; j++) {
                const bool there = ALONG_K ? (int)first_row(threadIdx.x) + i * STEP < extent
                                           : 4 * ((int)threadIdx.x % SIDE + SIDE * j) < extent + phase;
                cp_async_16_to(place(i, j) + stage, tile + at + 4 * (i * STEP) * ld + 16 * SIDE * j, there);
            }
#pragma unroll
        for (int i = 0; i < LASTS; i++)
            cp_async_16_to(place_last(i) + stage, tile + last + 4 * (i * THREADS) * ld,
                           phase_last() && (int)threadIdx.x + i * THREADS < extent);
        next();
    }

    /* A chunk with the floats from number `first`, -3 or more, up to `end` of a row. */
    DEVICE_MEMBER static void copy_part(uint32_t to, const char *from, int first, int end, bool before_matrix) {
        const int floats = end > max(first, 0) ? min(4, end - first) : 0;
        if (first < 0 && before_matrix)
            for (int e = -first; e < 4; e++) cp_async_4_fill(to + 4 * e, from + 4 * e, e < floats);
        else
            cp_async_16_part(to, from, 4 * floats);
    }

    /* The first k tile, and the last ones, `k_count` of it: nothing outside the matrix is read, k beyond it is zeros.
     */
    DEVICE_MEMBER void copy_exactly(uint32_t stage, int k_count, bool is_first) {
        const bool edge = is_first && at_start;
#pragma unroll
        for (int i = 0; i < TIMES; i++)
#pragma unroll
            for (int j = 0; j < ROUNDS; j++) {
                const int r = (int)first_row(threadIdx.x) + i * STEP,
                          first = 4 * ((int)threadIdx.x % SIDE + SIDE * j) - phase;
                const int end = ALONG_K ? (r < extent ? k_count : 0) : r < k_count ? extent : 0;
                if (r < ROWS && first < WIDTH)
                    copy_part(place(i, j) + stage, tile + at + 4 * (i * STEP) * ld + 16 * SIDE * j, first, end,
                              edge && r == 0);
            }
#pragma unroll
        for (int i = 0; i < LASTS; i++) {
            const int r = (int)threadIdx.x + i * THREADS;
            if (phase_last() && r < ROWS)
                copy_part(place_last(i) + stage, tile + last + 4 * (i * THREADS) * ld, WIDTH - phase_last(),
                          r < extent ? k_count : 0, false);
        }
        next();
    }
};

/* A quad of a column whose first element lies PHASE floats after a boundary, of the two quads that it is in. */
template <int PHASE> DEVICE float4 quad_across(float4 x, float4 y) {
    if (PHASE == 3) return make_float4(x.y, x.z, x.w, y.x);
    if (PHASE == 2) return make_float4(x.z, x.w, y.x, y.y);
    if (PHASE == 1) return make_float4(x.w, y.x, y.y, y.z);
    return x;
}

/*
 * A warp's columns of a D that is only written: every WARPS-th, all as far from a boundary. First all whole quads, then
 * what is beside them at either end.
 */
template <int PHASE, int BM, int BN, int WARPS, int LD>
DEVICE void store_shifted(const struct output &o, const float *from, float *d, int rows, int columns, int warp,
                          int lane) {
    static const int HEAD = (4 - PHASE) % 4, EACH = BN / WARPS;
    const int tail = rows < HEAD ? HEAD : HEAD + (rows - HEAD) / 4 * 4;
#pragma unroll 4
    for (int i = 0; i < EACH; i++) {
        const int n = warp + i * WARPS;
        const float *const column = from + n * LD;
        float *const to = d + n * o.ldd;
#pragma unroll
        for (int q = 0; q < (BM + 127) / 128; q++) {
            const int m = 128 * q + 4 * lane + HEAD;
            if (n >= columns || m >= tail) continue;
            const float4 x = *(const float4 *)(column + m - HEAD);
            const float4 sum = HEAD ? quad_across<PHASE>(x, *(const float4 *)(column + m - HEAD + 4)) : x;
            store_global_16(
                to + m,
                make_float4(scale(o.s, sum.x, 0), scale(o.s, sum.y, 0), scale(o.s, sum.z, 0), scale(o.s, sum.w, 0)),
                o.past_l2);
        }
    }
    for (int i = lane / 4; i < EACH; i += 8) {
        const int n = warp + i * WARPS, e = lane % 4;
        if (n >= columns) continue;
        if (e < HEAD && e < rows) d[n * o.ldd + e] = scale(o.s, from[n * LD + e], 0);
        if (tail + e < rows) d[n * o.ldd + tail + e] = scale(o.s, from[n * LD + tail + e], 0);
    }
}

/* What looks at C or has a bias: element by element. */
template <int WARPS, int LD>
DEVICE void store_scaled(const struct gemm_args &args, const struct output &o, const float *from, int m0, int n0,
                         int rows, int columns, int batch, int warp, int lane) {
#pragma unroll 1
    for (int n = warp; n < columns; n += WARPS) {
        const float *const c = o.c + (n0 + n) * o.ldc + m0;
        float *const d = o.d + (n0 + n) * o.ldd + m0;
#pragma unroll 1
        for (int m = lane; m < rows; m += 32) {
            const float value = scale(o.s, from[n * LD + m], c + m);
            d[m] = args.partial ? value : finish(args, value, bias_of(args, batch, m0 + m));
        }
    }
}

/* Sums of a warp's 64 x 32, as a lane has them of four columns of D: quads of rows; and of the eight rows more. */
struct batch_sums {
    float of[4][16], extra[4][2];

    DEVICE_MEMBER void clear(void) {
#pragma unroll
        for (int i = 0; i < 4 * 16; i++) of[i / 16][i % 16] = 0.0f;
#pragma unroll
        for (int i = 0; i < 4 * 2; i++) extra[i / 2][i % 2] = 0.0f;
    }

    /* To shared memory, the columns LD floats apart; `to`: the warp's first. */
    template <int LD> DEVICE_MEMBER void stage(float *to, bool has_extra, int g, int c) const {
#pragma unroll
        for (int j = 0; j < 4; j++) {
            float *const column = to + (4 * g + j) * LD;
#pragma unroll
            for (int i = 0; i < 16; i += 4)
                *(float4 *)(column + 4 * i + 4 * c) = make_float4(of[j][i], of[j][i + 1], of[j][i + 2], of[j][i + 3]);
            if (!has_extra) continue;
            column[64 + 2 * c] = extra[j][0];
            column[64 + 2 * c + 1] = extra[j][1];
        }
    }
};

/*
 * Where a lane's fragments are in the first stage. Of each 32 rows it holds number 4 place + i along m, place being g
 * in an order that gives it four neighbours in the results, and 4 g + j along n; of each eight k, c and c + 4.
 */
template <class LOADER_A, class LOADER_B> struct batch_reader {
    static const int STEP_A = 4 * 4 * (LOADER_A::ALONG_K ? 1 : LOADER_A::LD); /* bytes of four k */
    static const int STEP_B = 4 * 4 * (LOADER_B::ALONG_K ? 1 : LOADER_B::LD);
    static const int BLOCK_A = 4 * 32 * (LOADER_A::ALONG_K ? LOADER_A::LD : 1); /* of 32 rows */
    uint32_t a[4], b[4], extra;

    /* Row `i` of those with one phase, which is `at` rows on in shared memory, at the lane's first k. */
    template <class LOADER>
    DEVICE_MEMBER static uint32_t address(const float *matrix, int64_t ld, int at, int i, int c, uint32_t stage) {
        return stage + 4 * (LOADER::ALONG_K ? at * LOADER::LD + c + phase_of(matrix + i * ld)
                                            : c * LOADER::LD + at + phase_of(matrix + c * ld));
    }

    DEVICE_MEMBER void init(const struct gemm_args &args, const float *a_at, const float *b_at, int warp_m, int warp_n,
                            int last_m, int g, int c, uint32_t stage_a, uint32_t stage_b) {
        const int place = g >> 1 | (g & 1) << 2;
#pragma unroll
        for (int i = 0; i < 4; i++) {
            a[i] = address<LOADER_A>(a_at, args.lda, warp_m + (LOADER_A::ALONG_K ? 8 * i + place : 4 * place + i), i, c,
                                     stage_a);
            b[i] =
                address<LOADER_B>(b_at, args.ldb, warp_n + (LOADER_B::ALONG_K ? 8 * i + g : 4 * g + i), i, c, stage_b);
        }
        extra = address<LOADER_A>(a_at, args.lda, last_m + g, g, c, stage_a);
    }

    /* One step of eight k of the stage at `read`. */
    DEVICE_MEMBER void multiply(struct batch_sums &sums, uint32_t read, int step, bool has_extra) const {
        uint32_t x[2][8], y[2][4];
#pragma unroll
        for (int half = 0; half < 2; half++) {
            const uint32_t at_a = read + (2 * step + half) * STEP_A, at_b = read + (2 * step + half) * STEP_B;
#pragma unroll
            for (int j = 0; j < 4; j++) y[half][j] = round_to_tf32(load_shared_4(b[j] + at_b));
#pragma unroll
            for (int i = 0; i < 8; i++) x[half][i] = round_to_tf32(load_shared_4(a[i % 4] + at_a + i / 4 * BLOCK_A));
        }
#pragma unroll
        for (int j = 0; j < 4; j += 2) {
            const uint32_t columns[4] = {y[0][j], y[0][j + 1], y[1][j], y[1][j + 1]};
#pragma unroll
            for (int i = 0; i < 8; i++) {
                const int quad = i / 4 * 8 + i % 4;
                const uint32_t rows[2] = {x[0][i], x[1][i]};
                mma_m16n8k8_tf32(sums.of[j][quad], sums.of[j][quad + 4], sums.of[j + 1][quad], sums.of[j + 1][quad + 4],
                                 columns, rows);
            }
        }
        if (!has_extra) return;
        const uint32_t rows[2] = {round_to_tf32(load_shared_4(extra + read + 2 * step * STEP_A)),
                                  round_to_tf32(load_shared_4(extra + read + (2 * step + 1) * STEP_A))};
#pragma unroll
        for (int j = 0; j < 4; j += 2) {
            const uint32_t columns[4] = {y[0][j], y[0][j + 1], y[1][j], y[1][j + 1]};
            mma_m16n8k8_tf32(sums.extra[j][0], sums.extra[j][1], sums.extra[j + 1][0], sums.extra[j + 1][1], columns,
                             rows);
        }
    }
};

/* The tile that lies in shared memory, column by column, to D. */
template <int BM, int BN, int WARPS, int LD>
DEVICE void store_staged(const struct gemm_args &args, const float *from, int m0, int n0, int split, int batch,
                         int warp, int lane) {
    const struct output o = output_of(args, split, batch);
    const int rows = min(BM, args.m - m0), columns = min(BN, args.n - n0);
    float *const d = o.d + n0 * o.ldd + m0;
    const int phase = phase_of(d + warp * o.ldd);
    if (!args.partial && (o.s.beta != 0.0f || finishes(args)))
        store_scaled<WARPS, LD>(args, o, from, m0, n0, rows, columns, batch, warp, lane);
    else if (phase == 0)
        store_shifted<0, BM, BN, WARPS, LD>(o, from, d, rows, columns, warp, lane);
    else if (phase == 1)
        store_shifted<1, BM, BN, WARPS, LD>(o, from, d, rows, columns, warp, lane);
    else if (phase == 2)
        store_shifted<2, BM, BN, WARPS, LD>(o, from, d, rows, columns, warp, lane);
    else
        store_shifted<3, BM, BN, WARPS, LD>(o, from, d, rows, columns, warp, lane);
}

/* A CTA's way along k: stages are filled ahead, one barrier a k tile. */
template <int BK, int STAGES, class LOADER_A, class LOADER_B>
DEVICE void batch_main_loop(struct batch_sums &sums, LOADER_A &load_a, LOADER_B &load_b,
                            const batch_reader<LOADER_A, LOADER_B> &reader, int k_count, bool has_extra) {
    static const uint32_t STAGE_BYTES = LOADER_A::STAGE_BYTES + LOADER_B::STAGE_BYTES;
    static const int INSIDE = BK + 4; /* k from a tile on, all of whose chunks are then in the matrix */
    const int k_tiles = (k_count + BK - 1) / BK;
    uint32_t write = 0, read = 0;
#pragma unroll 1
    for (int t = 0; t < STAGES - 1; t++) {
        if (t > 0 && k_count - t * BK >= INSIDE) {
            load_a.copy(write);
            load_b.copy(write);
        } else if (t < k_tiles) {
            load_a.copy_exactly(write, min(BK, k_count - t * BK), t == 0);
            load_b.copy_exactly(write, min(BK, k_count - t * BK), t == 0);
        }
        cp_async_commit();
        write += STAGE_BYTES;
    }
#pragma unroll 1
    for (int t = 0; t < k_tiles; t++) {
        const int next = t + STAGES - 1;
        cp_async_wait<STAGES - 2>();
        __syncthreads();
        if (k_count - next * BK >= INSIDE) {
            load_a.copy(write);
            load_b.copy(write);
        } else if (next < k_tiles) {
            load_a.copy_exactly(write, min(BK, k_count - next * BK), false);
            load_b.copy_exactly(write, min(BK, k_count - next * BK), false);
        }
        cp_async_commit();
        write = write == (STAGES - 1) * STAGE_BYTES ? 0 : write + STAGE_BYTES;
#pragma unroll
        for (int step = 0; step < BK / 8; step++) reader.multiply(sums, read, step, has_extra);
        read = read == (STAGES - 1) * STAGE_BYTES ? 0 : read + STAGE_BYTES;
    }
    cp_async_wait<0>();
    __syncthreads();
}

template <int BM, int BN, int BK, int STAGES, int LOAD_A, int LOAD_B>
DEVICE void sgemm_tf32_batch(const struct gemm_args &args) {
    static const int WARPS_M = BM / 64, WARPS_N = BN / 32, WARPS = WARPS_M * WARPS_N;
    static const int LD = BM + 4; /* of results: 16 bytes of columns four apart lie in different banks */
    typedef batch_loader<LOAD_A, BM, BK, 32 * WARPS> loader_a;
    typedef batch_loader<LOAD_B, BN, BK, 32 * WARPS> loader_b;
    static_assert(WARPS % 4 == 0 && BM % 64 == 8 && BN % 32 == 0, "a warp's columns have one phase");

    SHARED_MEMORY(shared);
    const uint32_t stage_a = shared_at(shared), stage_b = stage_a + loader_a::STAGE_BYTES;
    const int thread = threadIdx.x, warp = thread / 32, lane = thread % 32, g = lane / 4, c = lane % 4;
    const int warp_m = 64 * (warp / WARPS_N), warp_n = 32 * (warp % WARPS_N);
    const bool has_extra = warp_m == 64 * (WARPS_M - 1);

    int tile_m = 0, tile_n = blockIdx.x;
    if (args.tiles_m > 1) raster_tile(args, blockIdx.x, &tile_m, &tile_n);
    const int m0 = tile_m * BM, n0 = tile_n * BN, split = blockIdx.y, batch = blockIdx.z;
    const int64_t k_begin = (int64_t)split * args.k_per_split;
    const float *const a =
        matrix_a(args, batch) + (loader_a::ALONG_K ? m0 * args.lda + k_begin : m0 + k_begin * args.lda);
    const float *const b =
        matrix_b(args, batch) + (loader_b::ALONG_K ? n0 * args.ldb + k_begin : n0 + k_begin * args.ldb);
    loader_a load_a;
    loader_b load_b;
    load_a.init(a, args.lda, min(BM, args.m - m0), m0 == 0 && k_begin == 0, thread, stage_a);
    load_b.init(b, args.ldb, min(BN, args.n - n0), n0 == 0 && k_begin == 0, thread, stage_b);
    batch_reader<loader_a, loader_b> reader;
    reader.init(args, a, b, warp_m, warp_n, 64 * WARPS_M, g, c, stage_a, stage_b);
    struct batch_sums sums;
    sums.clear();
    batch_main_loop<BK, STAGES>(sums, load_a, load_b, reader, min(args.k - (int)k_begin, args.k_per_split), has_extra);
    sums.stage<LD>(shared + warp_n * LD + warp_m, has_extra, g, c);
    __syncthreads();
    store_staged<BM, BN, WARPS, LD>(args, shared, m0, n0, split, batch, warp, lane);
}

#endif
