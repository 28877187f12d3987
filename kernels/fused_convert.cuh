/*
 * The one-pass product's converters: from fp32 in global memory to scaled planes in a stage (sgemm_fused.cuh).
 */
#ifndef FASTGEMM_FUSED_CONVERT_CUH
#define FASTGEMM_FUSED_CONVERT_CUH

#include "fused_ring.cuh"
#include "split_rows.cuh"

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
            mbarrier_arrive(full_barrier<CHOICE>(ring));
        }
    }
};

#endif
