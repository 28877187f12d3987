/*
 * The one-pass product's converters: from fp32 in global memory to scaled planes in a stage (sgemm_fused.cuh).
 */
#ifndef FASTGEMM_FUSED_CONVERT_CUH
#define FASTGEMM_FUSED_CONVERT_CUH

#include "fused_ring.cuh"
#include "split_rows.cuh"

enum fused_loader { FUSED_MN, FUSED_K, FUSED_LOADERS };

/* Copies four neighbours, of which `count` are there; the others become zeros. */
DEVICE void copy_four(uint32_t to, const float *at, int count) {
#pragma unroll
    for (int i = 0; i < 4; i++) cp_async_4_fill(to + 4 * i, at + i, i < count);
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
 * One thread of the converter of A or B (SIDE). A warp has 32 rows. FUSED_K: eight threads to a row, a piece each; rows
 * 4 apart. FUSED_MN: four neighbouring rows, 16 k: two pieces of each. A thread's 64 elements are eight portions: a
 * piece of a row, or k = i and 32 more of four rows.
 *
 * In shared memory a warp's box of a block lies as the copy engine writes it: lines of 128 bytes, swizzled, which hold
 * 32 k of a row (FUSED_K; the next 32 after all rows), or 32 rows of a k.
 */
template <int LOADER, int SIDE> struct converter {
    static const int ROWS = LOADER == FUSED_K ? 8 : 4;  /* of which a thread has a part */
    static const int LANES = LOADER == FUSED_K ? 1 : 8; /* from one that has another part of them to the next */
    static const int ROW_STEP = LOADER == FUSED_K ? 4 : 1;
    int row, k, batch; /* what it reads next: its first row, and k, of the operand */
    int index, blocks; /* piece of work, and what is left of it */
    bool counts;       /* this tile's rows are noted here and nowhere else */

    static DEVICE_MEMBER int thread(void) { return threadIdx.x % WARPGROUP; }
    static DEVICE_MEMBER int first_row(void) { /* the thread's, of a tile's */
        return thread() / 32 * 32 + (LOADER == FUSED_K ? thread() % 32 / 8 : thread() % 8 * 4);
    }
    static DEVICE_MEMBER int first_k(void) { /* of a block's */
        return LOADER == FUSED_K ? thread() % 8 * 4 : thread() % 32 / 8 * 8;
    }
    static DEVICE_MEMBER int own(void) { /* which of the rows that it shares with other lanes it has to itself */
        return LOADER == FUSED_K ? thread() % 8 : thread() % 32 / 8;
    }
    static DEVICE_MEMBER bool boxes(const struct fused_args &args) { return SIDE ? args.b_boxes : args.a_boxes; }
    static DEVICE_MEMBER int rows(const struct fused_args &args) { return SIDE ? args.gemm.n : args.gemm.m; }

    /* Where a portion's first half lies, from the box's start; the other is 4096 bytes further. */
    static DEVICE_MEMBER uint32_t portion(int i) {
        const int line = LOADER == FUSED_K ? thread() % 32 / 8 + 4 * i : first_k() + i;
        return line * 128 + (thread() % 8 ^ line % 8) * 16;
    }

    DEVICE_MEMBER void aim(const struct fused_args &args) {
        const struct fused_work w = fused_work_item(args, index);
        counts = (SIDE ? w.tile_m : w.tile_n) == 0;
        blocks = w.blocks;
        batch = w.batch;
        row = (SIDE ? w.tile_n : w.tile_m) * FUSED_TILE + first_row();
        k = w.first_block * FUSED_TILE_K + first_k();
    }

    /* To the next block, of the next tile if need be; false: there is none. */
    DEVICE_MEMBER bool next(const struct fused_args &args) {
        if (--blocks > 0) {
            k += FUSED_TILE_K;
            return true;
        }
        index += (int)gridDim.x;
        if (index >= fused_work_count(args)) return false;
        aim(args);
        return true;
    }

    /* Has the copy engine bring a warp's box of a block. One lane's work. */
    DEVICE_MEMBER void copy_box(const struct fused_args &args, uint32_t box, uint32_t barrier) const {
        const CUtensorMap *map = SIDE ? &args.b : &args.a;
        const int matrix = batch * (SIDE ? args.b_step : args.a_step);
        mbarrier_arrive_expect_tx(barrier, FUSED_BOX_BYTES);
        if (LOADER == FUSED_K) {
            cp_async_bulk_tensor(box, map, k, row, 0, matrix, barrier);
            cp_async_bulk_tensor(box + FUSED_BOX_BYTES / 2, map, k + FUSED_TILE_K / 2, row, 0, matrix, barrier);
        } else {
            cp_async_bulk_tensor(box, map, row, k, 0, matrix, barrier);
        }
    }

    /* Copies what this thread itself will read of the box. */
    DEVICE_MEMBER void copy_own(const struct fused_args &args, uint32_t box) const {
        const struct gemm_args &g = args.gemm;
        const int64_t ld = SIDE ? g.ldb : g.lda;
        const float *from = (SIDE ? g.b : g.a) + batch * (SIDE ? g.stride_b : g.stride_a);
        from += LOADER == FUSED_K ? row * ld + k : k * ld + row;
#pragma unroll 1
        for (int i = 0; i < 8; i++) {
            const int rows_left = rows(args) - row, k_left = g.k - k;
            const int first = LOADER == FUSED_K ? (4 * i < rows_left ? k_left : 0) : i < k_left ? rows_left : 0;
            const int second = LOADER == FUSED_K ? first - 32 : 32 + i < k_left ? rows_left : 0;
            copy_four(box + portion(i), from, first);
            copy_four(box + portion(i) + FUSED_BOX_BYTES / 2, from + (LOADER == FUSED_K ? 32 : 32 * ld), second);
            from += ROW_STEP * ld;
        }
        cp_async_commit();
    }

    DEVICE_MEMBER void copy(const struct fused_args &args, uint32_t box, uint32_t barrier) const {
        if (!boxes(args))
            copy_own(args, box);
        else if (thread() % 32 == 0)
            copy_box(args, box, barrier);
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
     * Of the row that is this thread's own: the inverse of its scale into shared memory, as bf16, and a note of how
     * large it is, the square of its largest element and the fourth power.
     */
    DEVICE_MEMBER void note(float most, uint32_t inverse, bool counted, uint32_t shared) const {
        const int exponent = float_bits(most) >> 23, safe = min(max(exponent, LEAST_EXPONENT), MOST_EXPONENT);
        st_shared_16(inverse, (uint16_t)(float_bits(power_of_two(safe - 127 - SCALED_EXPONENT)) >> 16));
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
                to[j] = LOADER == FUSED_K ? (even ^ at * 16) + at * 128 : (at < 4 ? even : odd) + 1024 * (at % 4);
            }
            store_two_pieces(args, shared, SIDE, to, pieces, scales);
        }
    }

    DEVICE_MEMBER void run(const struct fused_args &args, struct fused_ring ring) {
        /* FUSED_MN: of one piece and the next. FUSED_K: a place is followed by that of the next portion. */
        const int piece = LOADER == FUSED_K ? thread() % 8 : thread() % 32 / 8 * 2;
        const uint32_t even = fused_piece_offset(fused_place(first_row()), piece);
        const uint32_t odd = fused_piece_offset(fused_place(first_row()), piece + 1);
        const uint32_t box = box_of(ring, SIDE, thread() / 32), copied = copied_barrier(ring, SIDE, thread() / 32);
        const int own_row = own() * ROW_STEP;
        index = blockIdx.x;
        if (index >= fused_work_count(args)) return;
        aim(args);
        copy(args, box, copied);
        for (bool more = true; more; ring.count++) {
            float x[8][8], scale[ROWS];
            if (boxes(args))
                mbarrier_wait(copied, ring.count & 1);
            else
                cp_async_wait<0>();
#pragma unroll
            for (int i = 0; i < 16; i++)
                load_shared_16(x[i / 2] + i % 2 * 4, box + portion(i / 2) + i % 2 * FUSED_BOX_BYTES / 2);
            const bool counted = counts && row + own_row < rows(args);
            const float mine = largest(x);
            more = next(args);
            fence_proxy_async();
            __syncwarp(); /* all have read the box */
            if (more) copy(args, box, copied);
            mbarrier_wait(empty_barrier<FUSED_DONE>(ring), parity_of<FUSED_DONE>(ring) ^ 1);
            note(mine, scales_of(ring, SIDE) + (first_row() + own_row) * 2, counted, ring.shared);
            spread(scale, scale_for(mine));
            const uint32_t stage = stage_of(ring, SIDE);
            store(args, ring.shared, x, scale, stage + even, stage + odd);
            fence_proxy_async();
            mbarrier_arrive(full_barrier<FUSED_DONE>(ring));
        }
    }
};

#endif
