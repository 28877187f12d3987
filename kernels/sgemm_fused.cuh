/*
 * The product of operands that are split on their way into shared memory (fused.h), contract fp32.
 *
 *   CTA tile    128 m x 128 n x 64 k; wgmma's rows are BLAS's n, so that a thread's accumulators lie along m
 *   warpgroups  two consumers of 64 n each; two converters, of A and of B
 *   converters  each thread copies what it will read itself (cp.async), a block ahead, so that no barrier is needed; a
 *               block goes from there through its registers into a stage of planes
 *   grid        persistent: as many CTAs as there are SMs, or work items (tile, split, batch) if fewer
 *
 * The order of k within a block is free as long as both operands share it. A piece, 16 bytes of a plane's row, holds k
 * = 4 p .. 4 p + 3 and 32 more: then eight threads read a row of 64 k in whole lines.
 *
 * What was tried on an H200: blocks read into registers while the one before is converted share a scoreboard with it,
 * and wait for memory twice a block; two pieces converted at a time instead of one: 3.2 to 2.6 us a block.
 */
#ifndef FASTGEMM_SGEMM_FUSED_CUH
#define FASTGEMM_SGEMM_FUSED_CUH

#include "epilogue.cuh"
#include "fused.h"
#include "ptx_tf32_sm90.cuh"
#include "split_rows.cuh"

static const int CONSUMERS = 2, WARPGROUP = 128;
static const int LEAST_EXPONENT = 127 - 70, MOST_EXPONENT = 127 + 100; /* of a block's row, biased */
static const float LEAST_ELEMENT = 0x1p-100f;

static const int SCALED_EXPONENT = 14; /* the largest element of a scaled row lies in [2^14, 2^15) */

/* How many planes an operand has, the stages there is room for, registers. EXACT: fp32, in two halves. */
template <int CHOICE> struct fused_planes;
template <> struct fused_planes<FUSED_DONE> { static const int COUNT = 2, STAGES = 2, PASSES = 1, REGISTERS = 144; };
template <> struct fused_planes<FUSED_WIDE> { static const int COUNT = 3, STAGES = 1, PASSES = 1, REGISTERS = 160; };
template <> struct fused_planes<FUSED_EXACT> { static const int COUNT = 2, STAGES = 2, PASSES = 2, REGISTERS = 160; };

/* One piece of work: a tile of one split of one matrix. */
struct fused_work {
    int tile_m, tile_n, split, batch, first_block, blocks;
};

template <int CHOICE> DEVICE int splits_of(const struct fused_args &args) {
    return CHOICE == FUSED_EXACT ? args.exact_splits : args.gemm.splits;
}

template <int CHOICE> DEVICE int fused_work_count(const struct fused_args &args) {
    return args.gemm.tiles_m * args.gemm.tiles_n * splits_of<CHOICE>(args) * args.gemm.batch;
}

template <int CHOICE> DEVICE struct fused_work fused_work_item(const struct fused_args &args, int index) {
    const int tiles = args.gemm.tiles_m * args.gemm.tiles_n, outer = index / tiles;
    const int blocks = CHOICE == FUSED_EXACT ? args.exact_blocks_per_split : args.blocks_per_split;
    struct fused_work w;
    raster_tile(args.gemm, index - outer * tiles, &w.tile_m, &w.tile_n);
    w.batch = outer / splits_of<CHOICE>(args);
    w.split = outer - w.batch * splits_of<CHOICE>(args);
    w.first_block = w.split * blocks;
    w.blocks = min(args.k_blocks - w.first_block, blocks);
    return w;
}

/* The rings of stages and of scales: shared memory, and how many blocks have gone round. */
struct fused_ring {
    uint32_t shared; /* address */
    uint32_t count;
};

template <int CHOICE> DEVICE uint32_t stage_of(const struct fused_ring &ring, int operand) {
    typedef fused_planes<CHOICE> planes;
    const uint32_t stage = planes::STAGES > 1 ? ring.count % planes::STAGES : 0;
    return ring.shared + FUSED_RAW_BYTES + (2 * stage + operand) * planes::COUNT * FUSED_PLANE_BYTES;
}

/* Barriers of a stage: a full one is read by the consumers, an empty one filled by the converters. */
template <int CHOICE> DEVICE uint32_t full_barrier(const struct fused_ring &ring) {
    return ring.shared + FUSED_BARRIERS_AT + ring.count % fused_planes<CHOICE>::STAGES * 8;
}
template <int CHOICE> DEVICE uint32_t empty_barrier(const struct fused_ring &ring) {
    return full_barrier<CHOICE>(ring) + FUSED_STAGES * 8;
}
template <int CHOICE> DEVICE int parity_of(const struct fused_ring &ring) {
    return ring.count / fused_planes<CHOICE>::STAGES & 1;
}

DEVICE uint32_t scales_of(const struct fused_ring &ring, int operand) {
    return ring.shared + FUSED_SCALES_AT + (2 * (ring.count % FUSED_SCALE_SLOTS) + operand) * FUSED_TILE * 4;
}

/* What planes cannot hold, of A or B: elements too small beside others of their row; rows beyond the safe range. */
DEVICE uint32_t wide_flag(uint32_t shared, int side) {
    return shared + FUSED_FLAGS_AT + side * 8;
}
DEVICE uint32_t extreme_flag(uint32_t shared, int side) {
    return wide_flag(shared, side) + 4;
}

/*
 * Where a row stands among its 32: rows 4 apart are neighbours. So a thread that reads four neighbouring rows stores
 * without bank conflicts, and wgmma gives a thread eight neighbouring m.
 */
DEVICE int fused_place(int row) {
    return (row & ~31) | (row & 3) << 3 | (row >> 2 & 7);
}

/* Where a piece lies in a plane: rows of 128 bytes, 128-byte swizzle. */
DEVICE int fused_piece_offset(int place, int piece) {
    return place * 128 + (piece ^ (place & 7)) * 16;
}

/* ---- converters ---- */

enum fused_loader { FUSED_MN, FUSED_K, FUSED_LOADERS };

/* Copies four neighbours, of which `count` are there; the others become zeros. */
DEVICE void copy_four(uint32_t to, const float *at, int count, bool aligned) {
    count = min(max(count, 0), 4);
    if (aligned) {
        cp_async_16_part(to, at, 4 * count);
    } else {
#pragma unroll
        for (int i = 0; i < 4; i++) cp_async_4_fill(to + 4 * i, at + i, i < count);
    }
}

/* Element j of one of a thread's eight pieces. */
template <int LOADER> DEVICE float &element(float (&x)[8][8], int portion, int j) {
    if (LOADER == FUSED_K) return x[portion][j];
    return x[portion / 4 * 4 + j % 4][j / 4 * 4 + portion % 4];
}

/* Elements so small that fp16 cannot hold all of them, or not a number. Rare, but for zeros. */
DEVICE void look_at_small(const struct fused_args &args, uint32_t shared, int side, const float (&x)[8], float scale) {
    const float least = power_of_two(SCALED_EXPONENT - args.spread);
    bool wide = false, extreme = false;
#pragma unroll
    for (int i = 0; i < 8; i++) {
        const float scaled = fabsf(x[i]);
        wide |= scaled > 0.0f && scaled < least;
        extreme |= scaled != scaled || (scaled > 0.0f && scaled < LEAST_ELEMENT * scale);
    }
    if (wide) st_shared(wide_flag(shared, side), 1.0f);
    if (extreme) st_shared(extreme_flag(shared, side), 1.0f);
}

/* Whether one of eight fp16 is below the normal numbers, or none. */
DEVICE bool any_small(const uint32_t (&hi)[4]) {
    uint32_t yes;
    asm("{\n"
        ".reg .b32 a, b, c, d;\n"
        ".reg .pred p, q;\n"
        "abs.f16x2 a, %1;\n"
        "abs.f16x2 b, %2;\n"
        "abs.f16x2 c, %3;\n"
        "abs.f16x2 d, %4;\n"
        "min.NaN.f16x2 a, a, b;\n"
        "min.NaN.f16x2 c, c, d;\n"
        "min.NaN.f16x2 a, a, c;\n"
        "mov.b32 b, 0x04000400;\n"
        "setp.ltu.f16x2 p|q, a, b;\n"
        "or.pred p, p, q;\n"
        "selp.b32 %0, 1, 0, p;\n"
        "}"
        : "=r"(yes)
        : "r"(hi[0]), "r"(hi[1]), "r"(hi[2]), "r"(hi[3]));
    return yes;
}

/* The scale of a row with this largest element; of no use for those that are noted as extreme, but for zero. */
DEVICE float scale_for(float most) {
    return bits_float(((uint32_t)(2 * 127 + SCALED_EXPONENT) << 23) - (float_bits(most) & 0x7f800000u));
}

/* A piece of a row as fp32 in two halves, or as three bf16 planes. */
template <int CHOICE> DEVICE void store_piece(uint32_t at, float (&x)[8]) {
    if (CHOICE == FUSED_EXACT) {
        st_shared_v4(at, float_bits(x[0]), float_bits(x[1]), float_bits(x[2]), float_bits(x[3]));
        st_shared_v4(at + FUSED_PLANE_BYTES, float_bits(x[4]), float_bits(x[5]), float_bits(x[6]), float_bits(x[7]));
    } else {
#pragma unroll
        for (int plane = 0; plane < 3; plane++) {
            uint32_t word[4];
#pragma unroll
            for (int i = 0; i < 4; i++) word[i] = split_bf16(&x[2 * i], &x[2 * i + 1]);
            st_shared_v4(at + plane * FUSED_PLANE_BYTES, word[0], word[1], word[2], word[3]);
        }
    }
}

/* Two pieces as fp16 planes, at once: the instructions of one hide the latencies of the other. */
DEVICE void store_two_pieces(const struct fused_args &args, uint32_t shared, int side, const uint32_t (&at)[2],
                             float (&x)[2][8], const float (&scale)[2]) {
    uint32_t hi[2][4];
    bool small = false;
#pragma unroll
    for (int i = 0; i < 16; i++) x[i / 8][i % 8] *= scale[i / 8];
#pragma unroll
    for (int i = 0; i < 8; i++) hi[i / 4][i % 4] = cvt_f16x2(x[i / 4][i % 4 * 2], x[i / 4][i % 4 * 2 + 1]);
#pragma unroll
    for (int i = 0; i < 2; i++) small |= any_small(hi[i]);
    if (small) {
        look_at_small(args, shared, side, x[0], scale[0]);
        look_at_small(args, shared, side, x[1], scale[1]);
    }
#pragma unroll
    for (int i = 0; i < 16; i++) {
        const uint32_t word = hi[i / 8][i % 8 / 2];
        x[i / 8][i % 8] = (x[i / 8][i % 8] - float_of_f16(i % 2 ? word >> 16 : word)) * (1 << SPLIT_LO_SHIFT);
    }
#pragma unroll
    for (int i = 0; i < 2; i++) {
        uint32_t lo[4];
#pragma unroll
        for (int j = 0; j < 4; j++) lo[j] = cvt_f16x2(x[i][2 * j], x[i][2 * j + 1]);
        st_shared_v4(at[i], hi[i][0], hi[i][1], hi[i][2], hi[i][3]);
        st_shared_v4(at[i] + FUSED_PLANE_BYTES, lo[0], lo[1], lo[2], lo[3]);
    }
}

/*
 * One thread of the converter of A or B (SIDE). FUSED_K: eight threads to a row, a piece each; rows 16 apart. FUSED_MN:
 * four neighbouring rows, 16 k: two pieces of each. Its 64 elements are eight portions: a piece of a row, or k = i and
 * 32 more of four rows.
 */
template <int CHOICE, int LOADER, int SIDE> struct converter {
    static const int PASSES = fused_planes<CHOICE>::PASSES;
    static const int ROWS = LOADER == FUSED_K ? 8 : 4;  /* of which a thread has a part */
    static const int LANES = LOADER == FUSED_K ? 1 : 8; /* from one that has another part of them to the next */
    const float *at;       /* what it reads next: its quad of its first row, or of its first k */
    int k_left, rows_left; /* from there on */
    int index, blocks;     /* piece of work, and what is left of it */
    bool counts;           /* this tile's rows are noted here and nowhere else */

    static DEVICE_MEMBER int thread(void) { return threadIdx.x % WARPGROUP; }
    static DEVICE_MEMBER int row(void) { /* the thread's first, of a tile's */
        return LOADER == FUSED_K ? thread() / 8 : thread() / 32 * 32 + thread() % 8 * 4;
    }
    static DEVICE_MEMBER int k(void) { /* of a block's */
        return LOADER == FUSED_K ? thread() % 8 * 4 : thread() % 32 / 8 * 8;
    }
    static DEVICE_MEMBER int own(void) { /* which of the rows that it shares with other lanes it has to itself */
        return LOADER == FUSED_K ? thread() % 8 : thread() % 32 / 8;
    }
    static DEVICE_MEMBER int64_t ld(const struct fused_args &args) { return SIDE ? args.gemm.ldb : args.gemm.lda; }

    DEVICE_MEMBER void aim(const struct fused_args &args) {
        const struct gemm_args &g = args.gemm;
        const struct fused_work w = fused_work_item<CHOICE>(args, index / PASSES);
        const int first_row = (SIDE ? w.tile_n : w.tile_m) * FUSED_TILE + row();
        const int first_k = w.first_block * FUSED_TILE_K + k();
        counts = (SIDE ? w.tile_m : w.tile_n) == 0;
        blocks = w.blocks;
        rows_left = (SIDE ? g.n : g.m) - first_row;
        k_left = g.k - first_k;
        at = (SIDE ? g.b : g.a) + w.batch * (SIDE ? g.stride_b : g.stride_a);
        at += LOADER == FUSED_K ? first_row * ld(args) + first_k : first_k * ld(args) + first_row;
    }

    /* To the next block, of the next tile if need be; false: there is none. */
    DEVICE_MEMBER bool next(const struct fused_args &args) {
        if (--blocks > 0) {
            at += LOADER == FUSED_K ? FUSED_TILE_K : FUSED_TILE_K * ld(args);
            k_left -= FUSED_TILE_K;
            return true;
        }
        index += PASSES > 1 && index % PASSES == 0 ? 1 : PASSES * (int)gridDim.x - (PASSES - 1);
        if (index >= fused_work_count<CHOICE>(args) * PASSES) {
            rows_left = k_left = 0; /* loads nothing */
            return false;
        }
        aim(args);
        return true;
    }

    /*
     * Copies a block to where this thread, and no other, reads it. The step from one portion to the next is hidden from
     * the compiler, which would keep all their offsets in registers that there are not.
     */
    DEVICE_MEMBER void copy(const struct fused_args &args, uint32_t to) const {
        const bool aligned = SIDE ? args.b_aligned : args.a_aligned;
        const bool rows = LOADER == FUSED_K ? rows_left > 112 : rows_left >= 4;
        int64_t step = (LOADER == FUSED_K ? 16 : 1) * ld(args);
        asm volatile("" : "+l"(step));
        const float *from = at;
        if (rows && aligned && k_left >= (LOADER == FUSED_K ? 36 : 40)) {
#pragma unroll
            for (int i = 0; i < 8; i++) {
                cp_async_16_line(to + i * 4096, from);
                cp_async_16_line(to + i * 4096 + 2048, from + (LOADER == FUSED_K ? 32 : 32 * step));
                from += step;
            }
        } else {
#pragma unroll 1
            for (int i = 0; i < 8; i++) {
                const int first = LOADER == FUSED_K ? (16 * i < rows_left ? k_left : 0) : i < k_left ? rows_left : 0;
                const int second = LOADER == FUSED_K ? first - 32 : 32 + i < k_left ? rows_left : 0;
                copy_four(to + i * 4096, from, first, aligned);
                copy_four(to + i * 4096 + 2048, from + (LOADER == FUSED_K ? 32 : 32 * step), second, aligned);
                from += step;
            }
        }
        cp_async_commit();
    }

    /*
     * The largest element of each row that this thread has a part of, shared out: of the ROWS lanes that have the same
     * rows each gets one.
     */
    DEVICE_MEMBER float largest(float (&x)[8][8]) const {
        float most[ROWS];
#pragma unroll
        for (int i = 0; i < ROWS; i++) {
            most[i] = 0.0f;
#pragma unroll
            for (int j = 0; j < 64 / ROWS; j++)
                most[i] = fmaxf(most[i], fabsf(element<LOADER>(x, j / 8 * 4 + i, j % 8)));
        }
#pragma unroll
        for (int half = ROWS / 2; half; half /= 2) {
            const bool upper = own() & half;
#pragma unroll
            for (int i = 0; i < half; i++) {
                const float sent = upper ? most[i] : most[i + half], kept = upper ? most[i + half] : most[i];
                most[i] = fmaxf(kept, __shfl_xor_sync(0xffffffffu, sent, half * LANES));
            }
        }
        return most[0];
    }

    /*
     * Of the row that is this thread's own: the inverse of its scale into shared memory, and a note of how large it is,
     * the square of its largest element and the fourth power.
     */
    DEVICE_MEMBER void note(float most, uint32_t inverse, bool counted, uint32_t shared) const {
        const int exponent = float_bits(most) >> 23, safe = min(max(exponent, LEAST_EXPONENT), MOST_EXPONENT);
        st_shared(inverse, power_of_two(safe - 127 - SCALED_EXPONENT));
        if (most == 0.0f) return;
        if (safe != exponent)
            st_shared(extreme_flag(shared, SIDE), 1.0f);
        else if (counted)
            add_shared_v2(shared + FUSED_MOMENTS_AT + (SIDE * WARPGROUP + thread()) * 16,
                          __hiloint2double((1023 + 2 * (exponent - 127)) << 20, 0),
                          __hiloint2double((1023 + 4 * (exponent - 127)) << 20, 0));
    }

    /* The scales of the rows, from the lanes that own them. */
    DEVICE_MEMBER void spread(float (&scale)[ROWS], float mine) const {
        const int first = threadIdx.x % 32 - own() * LANES;
#pragma unroll
        for (int i = 0; i < ROWS; i++) scale[i] = __shfl_sync(0xffffffffu, mine, first + i * LANES);
    }

    /* What was copied becomes planes in a stage. `even`, `odd`: where pieces go. */
    DEVICE_MEMBER void store(const struct fused_args &args, uint32_t shared, float (&x)[8][8],
                             const float (&scale)[ROWS], uint32_t even, uint32_t odd) const {
#pragma unroll
        for (int i = 0; i < 8; i += 2) {
            float pieces[2][8], scales[2];
            uint32_t to[2];
#pragma unroll
            for (int j = 0; j < 2; j++) {
                const int at = i + j;
#pragma unroll
                for (int of = 0; of < 8; of++) pieces[j][of] = element<LOADER>(x, at, of);
                scales[j] = scale[at % ROWS];
                to[j] = LOADER == FUSED_K ? (at % 2 ? odd : even) + 4096 * (at / 2)
                                          : (at < 4 ? even : odd) + 1024 * (at % 4);
                if (CHOICE != FUSED_DONE) store_piece<CHOICE>(to[j], pieces[j]);
            }
            if (CHOICE == FUSED_DONE) store_two_pieces(args, shared, SIDE, to, pieces, scales);
        }
    }

    DEVICE_MEMBER void run(const struct fused_args &args, struct fused_ring ring) {
        /* Of rows 16 or of pieces 1 further: the other half of eight rows, the next piece. */
        const int piece = LOADER == FUSED_K ? thread() % 8 : thread() % 32 / 8 * 2;
        const uint32_t even = fused_piece_offset(fused_place(row()), piece);
        const uint32_t odd = LOADER == FUSED_K ? fused_piece_offset(fused_place(row() + 16), piece)
                                               : fused_piece_offset(fused_place(row()), piece + 1);
        const uint32_t raw = ring.shared + SIDE * (FUSED_RAW_BYTES / 2) + thread() * 16;
        const int own_row = own() * (LOADER == FUSED_K ? 16 : 1);
        index = blockIdx.x * PASSES;
        if (index >= fused_work_count<CHOICE>(args) * PASSES) return;
        aim(args);
        copy(args, raw);
        for (bool more = true; more; ring.count++) {
            float x[8][8], scale[ROWS], mine = 0.0f;
            cp_async_wait<0>();
#pragma unroll
            for (int i = 0; i < 16; i++) load_shared_16(x[i / 2] + i % 2 * 4, raw + i * 2048);
            const bool counted = counts && own_row < rows_left;
            if (CHOICE == FUSED_DONE) mine = largest(x);
            more = next(args);
            if (more) copy(args, raw);
            mbarrier_wait(empty_barrier<CHOICE>(ring), parity_of<CHOICE>(ring) ^ 1);
            if (CHOICE == FUSED_DONE) {
                note(mine, scales_of(ring, SIDE) + (row() + own_row) * 4, counted, ring.shared);
                spread(scale, scale_for(mine));
            }
            const uint32_t stage = stage_of<CHOICE>(ring, SIDE);
            store(args, ring.shared, x, scale, stage + even, stage + odd);
            __syncwarp();
            if (thread() % 32 == 0) mbarrier_arrive(full_barrier<CHOICE>(ring));
        }
    }
};

/* ---- consumers ---- */

/* COUNT wgmma of 16 k each: one plane of each operand, from k16 = FIRST on. */
template <int COUNT> DEVICE void multiply_f16(float (&d)[64], uint64_t a, uint64_t b, int first, int accumulate) {
#pragma unroll
    for (int k = 0; k < COUNT; k++) wgmma_m64n128k16_f16(d, a + 2 * (first + k), b + 2 * (first + k), accumulate | k);
}
DEVICE void multiply_bf16(float (&d)[64], uint64_t a, uint64_t b, int first, int accumulate) {
#pragma unroll
    for (int k = 0; k < 2; k++) wgmma_m64n128k16_bf16(d, a + 2 * (first + k), b + 2 * (first + k), accumulate | k);
}

static const int PLANE = FUSED_PLANE_BYTES / 16; /* in descriptors' units */

/* Adds a block's sums, unscaled. `row`: the thread's first of the tile's n. */
DEVICE void add_unscaled(float (&acc)[64], const float (&sum)[64], const struct fused_ring &ring, int thread, int row) {
    const uint32_t scales = scales_of(ring, 0) + thread % 4 * 32;
    float scale_n[4]; /* of four neighbours, two of which are this thread's: the first or the last */
    load_shared_16(scale_n, scales_of(ring, 1) + (row & ~3) * 4);
    const float scale_0 = row & 2 ? scale_n[2] : scale_n[0], scale_1 = row & 2 ? scale_n[3] : scale_n[1];
#pragma unroll
    for (int group = 0; group < 4; group++) {
        float scale_m[8];
        load_shared_16(scale_m, scales + 128 * group);
        load_shared_16(scale_m + 4, scales + 128 * group + 16);
#pragma unroll
        for (int i = 0; i < 16; i++) {
            const int at = 16 * group + i; /* of four places, two n, two quads of m */
            acc[at] = fmaf(sum[at] * (i & 2 ? scale_1 : scale_0), scale_m[i % 2 * 4 + i / 4], acc[at]);
        }
    }
}

/*
 * The products with a low plane are 2^11 too large; those of the high planes are added to them once they are not. The
 * stage is free before the sum is unscaled: the scales have slots of their own. FINE: half of the high planes apart.
 */
template <int FINE>
DEVICE void consume_fp16(float (&acc)[64], float (&sum)[64], const struct fused_ring &ring, uint64_t n_side,
                         uint64_t m_side, int thread, int row) {
    chain_begin(sum);
    multiply_f16<4>(sum, n_side + PLANE, m_side, 0, 0);
    multiply_f16<4>(sum, n_side, m_side + PLANE, 0, 1);
    chain_end(sum);
#pragma unroll
    for (int i = 0; i < 64; i++) sum[i] *= 1.0f / (1 << SPLIT_LO_SHIFT);
    chain_begin(sum);
    multiply_f16<FINE ? 2 : 4>(sum, n_side, m_side, 0, 1);
    chain_end(sum);
    if (FINE) {
        add_unscaled(acc, sum, ring, thread, row);
        chain_begin(sum);
        multiply_f16<2>(sum, n_side, m_side, 2, 0);
        chain_end(sum);
    }
    __syncwarp(); /* its scales of blocks before have been read, too */
    if (thread % 32 == 0) mbarrier_arrive(empty_barrier<FUSED_DONE>(ring));
    add_unscaled(acc, sum, ring, thread, row);
}

DEVICE void consume_bf16(float (&acc)[64], float (&sum)[64], const struct fused_ring &ring, uint64_t n_side,
                         uint64_t m_side, int thread) {
#pragma unroll
    for (int half = 0; half < 2; half++) {
        chain_begin(sum);
        multiply_bf16(sum, n_side + 2 * PLANE, m_side, 2 * half, 0);
        multiply_bf16(sum, n_side, m_side + 2 * PLANE, 2 * half, 1);
        multiply_bf16(sum, n_side + PLANE, m_side + PLANE, 2 * half, 1);
        multiply_bf16(sum, n_side + PLANE, m_side, 2 * half, 1);
        multiply_bf16(sum, n_side, m_side + PLANE, 2 * half, 1);
        multiply_bf16(sum, n_side, m_side, 2 * half, 1);
        chain_end(sum);
        if (half == 1 && thread % 32 == 0) mbarrier_arrive(empty_barrier<FUSED_WIDE>(ring));
#pragma unroll
        for (int i = 0; i < 64; i++) acc[i] += sum[i];
    }
}

/* Four k of a row, as fp64. */
DEVICE void load_exact(double *to, int step, uint32_t operand, int place, int k16, int lane) {
    float x[4];
    load_shared_16(x, operand + k16 / 2 * FUSED_PLANE_BYTES + fused_piece_offset(place, k16 % 2 * 4 + lane % 4));
#pragma unroll
    for (int i = 0; i < 4; i++) to[i * step] = x[i];
}

/* A block, for half of the tile's m; results lie as those of wgmma do. */
DEVICE void multiply_exact(double (&sum)[32], uint32_t n_side, uint32_t m_side, int place, int lane) {
#pragma unroll 1
    for (int k16 = 0; k16 < 4; k16++) {
        double a[8];
        load_exact(a, 2, n_side, place, k16, lane);
        load_exact(a + 1, 2, n_side, place + 8, k16, lane);
#pragma unroll
        for (int m8 = 0; m8 < 8; m8++) {
            double b[4];
            load_exact(b, 1, m_side, 8 * m8 + lane / 4, k16, lane);
            mma_m16n8k16_f64(sum + 4 * m8, a, b);
        }
    }
}

/* `low` is what `acc` leaves of the sums. */
DEVICE void consume_exact(float (&acc)[64], float (&low)[64], const struct fused_work &w, struct fused_ring *ring,
                          int warpgroup, int thread) {
    const int lane = thread % 32, place = warpgroup * 64 + thread / 32 * 16 + lane / 4;
#pragma unroll
    for (int half = 0; half < 2; half++) {
        double sum[32];
#pragma unroll
        for (int i = 0; i < 32; i++) sum[i] = 0;
        for (int block = 0; block < w.blocks; block++) {
            mbarrier_wait(full_barrier<FUSED_EXACT>(*ring), parity_of<FUSED_EXACT>(*ring));
            multiply_exact(sum, stage_of<FUSED_EXACT>(*ring, 1), stage_of<FUSED_EXACT>(*ring, 0) + half * 64 * 128,
                           place, lane);
            __syncwarp();
            if (lane == 0) mbarrier_arrive(empty_barrier<FUSED_EXACT>(*ring));
            ring->count++;
        }
#pragma unroll
        for (int i = 0; i < 32; i++) {
            acc[half * 32 + i] = (float)sum[i];
            low[half * 32 + i] = (float)(sum[i] - acc[half * 32 + i]);
        }
    }
}

/* The main loop: the sums of one piece of work. */
template <int CHOICE, int FINE>
DEVICE void consume_all(float (&acc)[64], const struct fused_work &w, struct fused_ring *ring, int warpgroup,
                        int thread, int row) {
    float sum[64];
#pragma unroll
    for (int i = 0; i < 64; i++) acc[i] = sum[i] = 0.0f;
    for (int block = 0; block < w.blocks; block++, ring->count++) {
        mbarrier_wait(full_barrier<CHOICE>(*ring), parity_of<CHOICE>(*ring));
        fence_proxy_async(); /* not in the converters: it would wait for all that they have under way */
        const uint64_t m_side = wgmma_descriptor_128(stage_of<CHOICE>(*ring, 0), 1024);
        const uint64_t n_side = wgmma_descriptor_128(stage_of<CHOICE>(*ring, 1) + warpgroup * 64 * 128, 1024);
        if (CHOICE == FUSED_WIDE)
            consume_bf16(acc, sum, *ring, n_side, m_side, thread);
        else
            consume_fp16<FINE>(acc, sum, *ring, n_side, m_side, thread, row);
    }
}

/* ---- from sums to memory ---- */

DEVICE void load_quad(float (&x)[4], const float *from, int count, bool aligned) {
    if (aligned && count >= 4) {
        *(float4 *)x = *(const float4 *)from;
    } else {
#pragma unroll
        for (int i = 0; i < 4; i++) x[i] = i < count ? from[i] : 0.0f;
    }
}

DEVICE void store_quad(float *to, const float (&x)[4], int count, bool aligned) {
    if (aligned && count >= 4) {
        *(float4 *)to = make_float4(x[0], x[1], x[2], x[3]);
    } else {
#pragma unroll
        for (int i = 0; i < 4; i++)
            if (i < count) to[i] = x[i];
    }
}

/* A thread holds eight neighbouring m of each 32, for two neighbouring n; m, n: its first. */
template <int ADD_C>
DEVICE void store_sums(const struct gemm_args &g, const struct output &o, const float (&acc)[64], int m, int n) {
    const bool aligned = o.ldd % 4 == 0 && (uintptr_t)o.d % 16 == 0;
    const bool aligned_c = o.ldc % 4 == 0 && (uintptr_t)o.c % 16 == 0;
#pragma unroll
    for (int row = 0; row < 2; row++) {
        if (n + row >= g.n) continue;
        const float *c = o.c + (n + row) * o.ldc + m;
        float *d = o.d + (n + row) * o.ldd + m;
#pragma unroll
        for (int at = 0; at < 8; at++) {
            const int offset = at / 2 * 32 + at % 2 * 4, count = g.m - m - offset;
            float x[4], old[4];
            if (ADD_C) load_quad(old, c + offset, count, aligned_c);
#pragma unroll
            for (int i = 0; i < 4; i++) {
                x[i] = o.s.alpha == 0.0f ? 0.0f : o.s.alpha * acc[(at / 2 * 4 + i) * 4 + row * 2 + at % 2];
                if (ADD_C) x[i] = fmaf(o.s.beta, old[i], x[i]);
            }
            store_quad(d + offset, x, count, aligned);
        }
    }
}

/*
 * A bias and an activation, when a warpgroup has stored its 64 columns: 16 to a warp. A call, so that it takes no
 * registers from those who do without.
 */
static __device__ __noinline__ void finish_stored(const struct gemm_args &g, int batch, int m, int n, int thread) {
    finish_tile(g, batch, m, n + thread / 32 * 16, FUSED_TILE, 16, thread % 32);
}

DEVICE float4 added(float4 x, float4 y) {
    return make_float4(x.x + y.x, x.y + y.y, x.z + y.z, x.w + y.w);
}

/* Partial sums of a quad, in fp64 or fp32. */
template <typename FLOAT> DEVICE float4 sum_of_planes(const struct gemm_args &g, int batch, int n, int m, int planes) {
    const float *partial = g.partial + ((int64_t)batch * g.n + n) * g.ld_partial + m;
    const int64_t next = (int64_t)g.batch * g.n * g.ld_partial;
    FLOAT sum[4] = {0, 0, 0, 0};
#pragma unroll 4
    for (int plane = 0; plane < planes; plane++) {
        const float4 x = *(const float4 *)(partial + plane * next);
        sum[0] += x.x, sum[1] += x.y, sum[2] += x.z, sum[3] += x.w;
    }
    return make_float4((float)sum[0], (float)sum[1], (float)sum[2], (float)sum[3]);
}

/* When a tile has been multiplied again: the consumers of the split that comes last add them all up. */
template <int CHOICE>
static __device__ __noinline__ void add_again(const struct fused_args &args, const struct fused_work &w, int thread) {
    static __shared__ bool last;
    const struct gemm_args &g = args.gemm;
    uint32_t *done = args.done + (w.batch * g.tiles_n + w.tile_n) * g.tiles_m + w.tile_m;
    __threadfence();
    barrier_sync<3>(CONSUMERS * WARPGROUP);
    if (thread == 0) last = atomicAdd(done, 1) == (uint32_t)splits_of<CHOICE>(args) - 1;
    barrier_sync<3>(CONSUMERS * WARPGROUP);
    if (!last) return;
    __threadfence();
    const struct scalars s = read_scalars(g);
    const int m = w.tile_m * FUSED_TILE + thread % 32 * 4, n = w.tile_n * FUSED_TILE + thread / 32;
    for (int i = 0; i < FUSED_TILE; i += CONSUMERS * WARPGROUP / 32) {
        if (m >= g.m || n + i >= g.n) continue;
        const float4 sum = CHOICE == FUSED_EXACT ? sum_of_planes<double>(g, w.batch, n + i, m, 2 * args.exact_splits)
                                                 : sum_of_planes<float>(g, w.batch, n + i, m, g.splits);
        store_rows(g, s, w.batch, m, n + i, sum);
    }
}

/* Where sums go: to D, or raw into a plane of scratch. */
DEVICE struct output output_in(const struct gemm_args &g, bool partial, int plane, int batch) {
    struct output o = {{1.0f, 0.0f}, NULL, NULL, 0, g.ld_partial, false, false};
    if (partial) {
        o.d = g.partial + ((int64_t)plane * g.batch + batch) * g.n * g.ld_partial;
    } else {
        o.s = read_scalars(g);
        o.c = matrix_c(g, batch);
        o.d = matrix_d(g, batch);
        o.ldc = g.ldc;
        o.ldd = g.ldd;
    }
    return o;
}

template <int CHOICE>
DEVICE void consume(const struct fused_args &args, struct fused_ring ring, int warpgroup, int thread) {
    const int count = fused_work_count<CHOICE>(args), lane = thread % 32, warp = warpgroup * 4 + thread / 32;
    const int row = warp / 2 * 32 + lane / 4 * 4 + warp % 2 * 2; /* whose place is warp * 16 + lane / 4 */
    /* The sums of EXACT are rounded but once. */
    const bool partial = args.gemm.partial && (CHOICE != FUSED_EXACT || args.exact_splits > 1);
    float acc[64];
    for (int index = blockIdx.x; index < count; index += gridDim.x) {
        const struct fused_work w = fused_work_item<CHOICE>(args, index);
        const int m = w.tile_m * FUSED_TILE + lane % 4 * 8, n = w.tile_n * FUSED_TILE + row;
        if (CHOICE == FUSED_EXACT) {
            float low[64];
            consume_exact(acc, low, w, &ring, warpgroup, thread);
            if (partial) store_sums<0>(args.gemm, output_in(args.gemm, true, 2 * w.split + 1, w.batch), low, m, n);
        } else if (CHOICE == FUSED_DONE && args.gemm.k <= FUSED_FINE_K) {
            consume_all<FUSED_DONE, 1>(acc, w, &ring, warpgroup, thread, row);
        } else {
            consume_all<CHOICE == FUSED_EXACT ? FUSED_DONE : CHOICE, 0>(acc, w, &ring, warpgroup, thread, row);
        }
        const struct output o = output_in(args.gemm, partial, CHOICE == FUSED_EXACT ? 2 * w.split : w.split, w.batch);
        if (CHOICE != FUSED_DONE && o.s.beta != 0.0f) /* the product leaves C as it is until all is well */
            store_sums<1>(args.gemm, o, acc, m, n);
        else
            store_sums<0>(args.gemm, o, acc, m, n);
        if (partial && CHOICE != FUSED_DONE) add_again<CHOICE>(args, w, warpgroup * WARPGROUP + thread);
        if (finishes(args.gemm) && !partial) {
            if (warpgroup)
                barrier_sync<4>(WARPGROUP);
            else
                barrier_sync<5>(WARPGROUP);
            finish_stored(args.gemm, w.batch, w.tile_m * FUSED_TILE, w.tile_n * FUSED_TILE + warpgroup * 64, thread);
        }
    }
}

#endif
