/*
 * Split products by warps (mma.sync, sm_80 and up), contract fp32: the families FP16X3_MMA and BF16X6_MMA. The same
 * sums as those of sgemm_wgmma.cuh, but operands reach shared memory as they are and are split in registers; all that
 * is known of them before is what the passes of split_extremes.cu saw.
 *
 *   CTA tile     128 m x 128 n, k in steps of 16, four stages filled by 16-byte cp.async (mma_loader.cuh)
 *   warp tile    32 m x 64 n; the instruction's 16 rows are columns of C, as in sgemm_tf32_mma.cuh. Of 16 k a lane
 *                takes c, c + 4, c + 8 and c + 12, which is not the instruction's order but the same for both operands
 *
 * The tensor core's sum rounds towards zero, so it is cut short: the products of 16 k are summed there, the small ones
 * first, and then added to the tile's own sums in ordinary fp32.
 *
 * Where that would lose accuracy (SPLIT_EXACT), and for tiles of which a row holds an infinity or a NaN, or lies so
 * near the ends of fp32's range that bf16 or a sum of products might not hold it, operands are not split, and fp64
 * tensor cores sum. On sm_80 they are as fast as ordinary FMAs in fp32.
 *
 * The low fp16 plane is not raised as that of split.h is, so that one sum takes all three products; it loses bits of
 * elements below 2^-16 of the largest of their row, which the spread that is allowed (split.c) takes into account. Of a
 * large matrix of normal numbers a few rows are wider: tiles with such rows take the six products.
 */
#ifndef FASTGEMM_SGEMM_SPLIT_MMA_CUH
#define FASTGEMM_SGEMM_SPLIT_MMA_CUH

#include "epilogue.cuh"
#include "mma_loader.cuh"
#include "ptx_grid.cuh"
#include "ptx_split.cuh"
#include "split.cuh"
#include "tile.cuh"

/* Scales between which all that is computed is far from both ends of the range of bf16, and of fp32. */
DEVICE bool moderate_inverse(float inverse) {
    return inverse >= 0x1p-100f && inverse <= 0x1p12f;
}

/* The planes of operands, and which of A are multiplied with which of B: small products first. */
template <int CHOICE> struct split_form;
template <> struct split_form<SPLIT_BF16X6> {
    static const int PLANES = 3, PRODUCTS = 6;
    static const bool F16 = false, SCALED = false;
    DEVICE_MEMBER static constexpr int plane_a(int product) { return 0x001102 >> 4 * product & 0xf; }
    DEVICE_MEMBER static constexpr int plane_b(int product) { return 0x010120 >> 4 * product & 0xf; }
};
template <> struct split_form<SPLIT_FP16X3> {
    static const int PLANES = 2, PRODUCTS = 3;
    static const bool F16 = true, SCALED = true;
    DEVICE_MEMBER static constexpr int plane_a(int product) { return 0x001 >> 4 * product & 0xf; }
    DEVICE_MEMBER static constexpr int plane_b(int product) { return 0x010 >> 4 * product & 0xf; }
};

/* Two floats to a pair of one plane, rounded to nearest; what is left over goes to the next. */
template <bool F16> DEVICE uint32_t split_pair(float *x, float *y) {
    const uint32_t pair = F16 ? cvt_f16x2(*x, *y) : cvt_bf16x2(*x, *y);
    *x -= F16 ? float_of_f16(pair) : bits_float(pair << 16);
    *y -= F16 ? float_of_f16(pair >> 16) : bits_float(pair & 0xffff0000u);
    return pair;
}

template <int BM, int BN, int BK, int TM, int TN, int STAGES, int LOAD_A, int LOAD_B> struct split_mma {
    static const int THREADS = 32 * (BM / (4 * TM)) * (BN / (8 * TN)), STEPS = BK / 16;
    typedef mma_loader<LOAD_A, BM, BK, THREADS, 4> loader_a;
    typedef mma_loader<LOAD_B, BN, BK, THREADS, 4> loader_b;
    typedef mma_fragments<loader_a, TM / 2, true> fragments_a;
    typedef mma_fragments<loader_b, TN, true> fragments_b;
    static const uint32_t STAGE_BYTES = loader_a::STAGE_BYTES + loader_b::STAGE_BYTES;
    static const int COPIES = loader_a::COUNT + loader_b::COUNT;
    static_assert(!loader_a::ALIGNED && !loader_b::ALIGNED, "elements are read one at a time");
    static_assert(STAGES >= 3 && BM <= SPLIT_TILE_M && BN <= SPLIT_TILE_N, "scales are padded to whole tiles");

    loader_a load_a;
    loader_b load_b;
    fragments_a from_a;
    fragments_b from_b;
    uint32_t read, write;
    float scale_a[TM / 2], scale_b[TN]; /* of the rows of this lane's fragments */

    DEVICE_MEMBER void start(int k_count, int thread) {
        copy_last_tiles<BK, STAGES>(load_a, load_b, k_count, thread);
        read = 0;
        write = (STAGES - 1) * STAGE_BYTES;
    }

    /* The tile after `read` has landed, and all are done with the one before it: its place is filled. */
    DEVICE_MEMBER void next_tile(bool copies) {
        cp_async_wait<STAGES - 3>();
        __syncthreads();
#pragma unroll
        for (int i = 0; i < COPIES; i++) copy_one(load_a, load_b, write, i, copies);
        cp_async_commit();
    }

    DEVICE_MEMBER void done_with_tile(void) {
        write = read;
        read = read == (STAGES - 1) * STAGE_BYTES ? 0 : read + STAGE_BYTES;
    }

    /* ---- on tensor cores ---- */

    /* `inverse_a` and `inverse_b` are of the warp's first row and column. */
    DEVICE_MEMBER void init_scales(const struct gemm_args &gemm, const float *inverse_a, const float *inverse_b,
                                   int place_a, int place_b) {
        const int turn_a = fragments_a::turn_of(gemm.lda, place_a), turn_b = fragments_b::turn_of(gemm.ldb, place_b);
#pragma unroll
        for (int i = 0; i < TM / 2; i++)
            scale_a[i] = inverse_power_of_two(inverse_a[fragments_a::row_of(place_a, turn_a, i)]);
#pragma unroll
        for (int i = 0; i < TN; i++)
            scale_b[i] = inverse_power_of_two(inverse_b[fragments_b::row_of(place_b, turn_b, i)]);
    }

    /*
     * Operands in a lane's registers. While one slice of 16 columns is multiplied, the next is loaded and split, and in
     * the last two slices of a step the next step's rows are, half of them with each.
     */
    template <class FORM> struct slice {
        static const int PAIRS = 8; /* four of columns, and four of rows */
        float raw[4][4];            /* two blocks of columns, two of rows */
        uint32_t b[FORM::PLANES][4];
    };
    template <class FORM> struct rows { uint32_t a[FORM::PLANES][TM]; };

    /* Load `i` of the eight of two blocks. */
    template <class FRAGMENTS>
    DEVICE_MEMBER static void load(float (&raw)[4], const FRAGMENTS &from, uint32_t at, int k4, int block) {
        raw[k4 % 4] = load_shared_4(from.address(at, k4, block));
    }

    /* Splits two of a block's four k, pair `i` of them, of the row whose words lie `second` apart. */
    template <class FORM, int COUNT>
    DEVICE_MEMBER static void split(uint32_t (&words)[FORM::PLANES][COUNT], float (&raw)[4], float scale, int i,
                                    int at) {
        if (FORM::SCALED) raw[2 * i] *= scale, raw[2 * i + 1] *= scale;
#pragma unroll
        for (int plane = 0; plane < FORM::PLANES; plane++)
            words[plane][at] = split_pair<FORM::F16>(&raw[2 * i], &raw[2 * i + 1]);
    }

    /* Loads what the slice after this one needs: columns from `at_b`, rows from `at_a` where WITH_ROWS. */
    template <class FORM>
    DEVICE_MEMBER void load_next(slice<FORM> &next, int i, uint32_t at_b, int column, bool with_rows, uint32_t at_a,
                                 int row) const {
        load(next.raw[i / 4], from_b, at_b, i % 4, column + i / 4);
        if (with_rows) load(next.raw[2 + i / 4], from_a, at_a, i % 4, row + i / 4);
    }

    template <class FORM>
    DEVICE_MEMBER void split_next(slice<FORM> &next, rows<FORM> &next_rows, int i, int column, bool with_rows,
                                  int row) const {
        if (i < 4)
            split<FORM>(next.b, next.raw[i / 2], scale_b[column + i / 2], i % 2, i / 2 + i % 2 * 2);
        else if (with_rows)
            split<FORM>(next_rows.a, next.raw[i / 2], scale_a[row + i / 2 - 2], i % 2, 2 * (row + i / 2 - 2) + i % 2);
    }

    DEVICE_MEMBER static void add(float (&acc)[TN][TM], const float (&sum)[TM / 2][4], int of, int block) {
#pragma unroll
        for (int i = 0; i < 4; i++) acc[2 * of + i / 2][block / 4 * 8 + block % 4 + i % 2 * 4] += sum[block][i];
    }

    /* All products of 16 columns of C with the warp's rows, and what is done meanwhile. */
    template <class FORM, int SLICE>
    DEVICE_MEMBER void multiply(float (&acc)[TN][TM], float (&sums)[2][TM / 2][4], const rows<FORM> &now_rows,
                                rows<FORM> &next_rows, const slice<FORM> &now, slice<FORM> &next, uint32_t after) {
        static const int COUNT = FORM::PRODUCTS * TM / 2, NEXT = (SLICE + 1) % (TN / 2),
                         ROW = SLICE == TN / 2 - 1 ? 2 : 0;
        static const bool WITH_ROWS = SLICE >= TN / 2 - 2;
        static const int LOADS_FROM = 0, SPLITS_FROM = COUNT / 2;
        float(&sum)[TM / 2][4] = sums[SLICE % 2];
#pragma unroll
        for (int i = 0; i < 2 * TM; i++) sum[i / 4][i % 4] = 0.0f;
#pragma unroll
        for (int i = 0; i < COUNT; i++) {
            const int product = i / (TM / 2), block = i % (TM / 2), plane = FORM::plane_a(product);
            const uint32_t words[2] = {now_rows.a[plane][2 * block], now_rows.a[plane][2 * block + 1]};
            mma_m16n8k16<FORM::F16>(sum[block], now.b[FORM::plane_b(product)], words);
#pragma unroll
            for (int l = 0; l < 8; l++)
                if (LOADS_FROM + l * (COUNT / 3) / 8 == i)
                    load_next<FORM>(next, l, SLICE == TN / 2 - 1 ? after : read, 2 * NEXT, WITH_ROWS, after, ROW);
#pragma unroll
            for (int j = 0; j < TM / 2; j++)
                if (j * (COUNT / 2) / (TM / 2) == i)
                    add(acc, sums[(SLICE + 1) % 2], (SLICE + TN / 2 - 1) % (TN / 2), j);
#pragma unroll
            for (int j = 0; j < slice<FORM>::PAIRS; j++)
                if (SPLITS_FROM + j * (COUNT - SPLITS_FROM) / slice<FORM>::PAIRS == i)
                    split_next<FORM>(next, next_rows, j, 2 * NEXT, WITH_ROWS, ROW);
        }
    }

    /* A step of 16 k: a k tile. The next one's rows are looked at from its second half on. */
    template <class FORM>
    DEVICE_MEMBER void step(float (&acc)[TN][TM], float (&sums)[2][TM / 2][4], const rows<FORM> &now, rows<FORM> &next,
                            slice<FORM> &even, slice<FORM> &odd, bool copies) {
        const uint32_t after = read == (STAGES - 1) * STAGE_BYTES ? 0 : read + STAGE_BYTES;
        multiply<FORM, 0>(acc, sums, now, next, even, odd, after);
        next_tile(copies);
        multiply<FORM, 1>(acc, sums, now, next, odd, even, after);
        multiply<FORM, 2>(acc, sums, now, next, even, odd, after);
        multiply<FORM, 3>(acc, sums, now, next, odd, even, after);
        write = read;
        read = after;
    }

    template <int CHOICE> DEVICE_MEMBER void run(float (&acc)[TN][TM], int k_tiles) {
        typedef split_form<CHOICE> form;
        static_assert(TM == 8 && TN == 8 && STEPS == 1, "four slices, four blocks of rows");
        rows<form> first, second;
        slice<form> even, odd;
        float sums[2][TM / 2][4];
        if (k_tiles <= 0) return;
        cp_async_wait<STAGES - 2>();
        __syncthreads();
#pragma unroll
        for (int i = 0; i < 2 * TM; i++) sums[1][i / 4][i % 4] = 0.0f;
#pragma unroll
        for (int half = 1; half >= 0; half--) {
#pragma unroll
            for (int i = 0; i < 8; i++) load_next<form>(even, i, read, 0, true, read, 2 * half);
#pragma unroll
            for (int i = 0; i < slice<form>::PAIRS; i++) split_next<form>(even, first, i, 0, true, 2 * half);
        }
#pragma unroll 1
        for (int left = k_tiles; left > 0; left--) {
            step<form>(acc, sums, first, second, even, odd, left >= STAGES);
            first = second;
        }
#pragma unroll
        for (int block = 0; block < TM / 2; block++) add(acc, sums[1], TN / 2 - 1, block);
    }

    /* ---- where fp32 is not enough: the same layout, sums in fp64, rounded once ---- */

    DEVICE_MEMBER void exact_step(double (&sum)[TN][TM / 2][2], int k4) const {
        double b[TN];
#pragma unroll
        for (int j = 0; j < TN; j++) b[j] = load_shared_4(from_b.address(read, k4, j));
#pragma unroll
        for (int block = 0; block < TM / 2; block++) {
            const double a = load_shared_4(from_a.address(read, k4, block));
#pragma unroll
            for (int j = 0; j < TN; j++) mma_m8n8k4_f64(sum[j][block], b[j], a);
        }
    }

    DEVICE_MEMBER void run_exact(float (&acc)[TN][TM], int k_tiles) {
        double sum[TN][TM / 2][2];
#pragma unroll
        for (int i = 0; i < TN * TM; i++) sum[i / TM][i % TM / 2][i % 2] = 0;
#pragma unroll 1
        for (int left = k_tiles; left > 0; left--) {
            next_tile(left >= STAGES);
#pragma unroll
            for (int k4 = 0; k4 < BK / 4; k4++) exact_step(sum, k4);
            done_with_tile();
        }
#pragma unroll
        for (int j = 0; j < TN; j++)
#pragma unroll
            for (int block = 0; block < TM / 2; block++)
#pragma unroll
                for (int i = 0; i < 2; i++) acc[j][block / 4 * 8 + block % 4 + 4 * i] = (float)sum[j][block][i];
    }
};

/* A lane's sums of scaled operands as they would have been without; both scales are moderate. */
template <int TM, int TN> DEVICE void unscale(float (&acc)[TN][TM], const float *inverse_m, const float *inverse_n) {
#pragma unroll
    for (int j = 0; j < TN; j++)
#pragma unroll
        for (int i = 0; i < TM; i++)
            acc[j][i] = acc[j][i] * inverse_m[i / 4 * 16 + i % 4] * inverse_n[j / 4 * 32 + j % 4];
}

/* How a tile is multiplied, by what was seen of all and of its rows; to be asked by the whole CTA. */
template <int BM, int BN, int THREADS>
DEVICE uint32_t choice_of_tile(uint32_t of_all, const float *inverse_m, const float *inverse_n, uint32_t *notes) {
    const int thread = threadIdx.x;
    bool wide = false, moderate = true;
    for (int i = thread; i < BM + BN; i += THREADS) {
        const float inverse = i < BM ? inverse_m[i] : inverse_n[i - BM];
        wide = wide || inverse < 0.0f;
        moderate = moderate && moderate_inverse(fabsf(inverse));
    }
    if (thread < 2) notes[thread] = 0;
    __syncthreads();
    if (wide) notes[0] = 1;
    if (!moderate) notes[1] = 1;
    __syncthreads();
    const uint32_t split = notes[0] && of_all == SPLIT_FP16X3 ? (uint32_t)SPLIT_BF16X6 : of_all;
    return notes[1] ? (uint32_t)SPLIT_EXACT : split;
}

template <int BM, int BN, int BK, int TM, int TN, int STAGES, int LOAD_A, int LOAD_B>
DEVICE void sgemm_split_mma(const struct split_args &args) {
    static const int WARPS_M = BM / (4 * TM);
    typedef split_mma<BM, BN, BK, TM, TN, STAGES, LOAD_A, LOAD_B> product;

    SHARED_MEMORY(shared);
    const struct gemm_args &gemm = args.gemm;
    const uint32_t stage_a = shared_at(shared), stage_b = stage_a + product::loader_a::STAGE_BYTES;
    const int thread = threadIdx.x, warp = thread / 32, lane = thread % 32, g = lane / 4, c = lane % 4;
    const int place_a = g >> 1 | (g & 1) << 2;
    const int warp_m = warp % WARPS_M * 4 * TM, warp_n = warp / WARPS_M * 8 * TN;

    int tile_m, tile_n;
    raster_tile(gemm, blockIdx.x, &tile_m, &tile_n);
    const int m0 = tile_m * BM, n0 = tile_n * BN;
    const int split = blockIdx.y, batch = blockIdx.z;
    const int64_t k_begin = (int64_t)split * gemm.k_per_split;
    const int k_count = min(gemm.k - (int)k_begin, gemm.k_per_split);
    int k_tiles = (k_count + BK - 1) / BK;
    const float *const a =
        matrix_a(gemm, batch) + (product::loader_a::ALONG_K ? m0 * gemm.lda + k_begin : m0 + k_begin * gemm.lda);
    const float *const b =
        matrix_b(gemm, batch) + (product::loader_b::ALONG_K ? n0 * gemm.ldb + k_begin : n0 + k_begin * gemm.ldb);

    product p;
    p.load_a.init(a, gemm.lda, gemm.m - m0, thread, stage_a);
    p.load_b.init(b, gemm.ldb, gemm.n - n0, thread, stage_b);
    p.start(k_count, thread);
    p.from_a.init(a, gemm.lda, warp_m, place_a, c, stage_a);
    p.from_b.init(b, gemm.ldb, warp_n, g, c, stage_b);
    float acc[TN][TM];
#pragma unroll
    for (int i = 0; i < TN * TM; i++) acc[i / TM][i % TM] = 0.0f;

    /* Padded to whole tiles. */
    const float *const inverse_m = args.inverse_scales + (int64_t)batch * args.rows + m0;
    const float *const inverse_n = args.inverse_scales + (int64_t)batch * args.rows + args.rows_a + n0;
    uint32_t *const notes = (uint32_t *)shared + STAGES * product::STAGE_BYTES / 4;
    const uint32_t choice = choice_of_tile<BM, BN, product::THREADS>(*args.choice, inverse_m, inverse_n, notes);
    if (choice == SPLIT_FP16X3) {
        p.init_scales(gemm, inverse_m + warp_m, inverse_n + warp_n, place_a, g);
        p.template run<SPLIT_FP16X3>(acc, k_tiles);
    } else if (choice == SPLIT_BF16X6) {
        p.template run<SPLIT_BF16X6>(acc, k_tiles);
    } else {
        if (gemm.splits > 1) {
            /* The first split's CTA takes all of K, for a sum of rounded sums would not be exact; the others none. */
            cp_async_wait<0>();
            __syncthreads();
            k_tiles = split ? 0 : (gemm.k + BK - 1) / BK;
            if (split == 0) p.start(gemm.k, thread);
        }
        p.run_exact(acc, k_tiles);
    }
    cp_async_wait<0>();
    __syncthreads();
    /* Column 2c of the instruction's is of the lanes at place c, and 2c + 1 of those at c + 4. */
    in_order<product::fragments_a::TURNS, product::fragments_b::TURNS>(acc, product::fragments_a::turn_of(gemm.lda, c),
                                                                       product::fragments_b::turn_of(gemm.ldb, g));
    if (choice == SPLIT_FP16X3) unscale<TM, TN>(acc, inverse_m + warp_m + 4 * c, inverse_n + warp_n + 4 * g);
    /* The lane of the SIMT family's order that stands at row c and column g of the lanes. */
    const int stands = c << 1 | (g & 1) | g >> 1 << 3;
    store_tile<TM, TN>(gemm, shared + warp * stage_floats<TM>(), acc, m0 + warp_m, n0 + warp_n, split, batch, stands);
}

#endif
