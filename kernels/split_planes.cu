/*
 * The passes over the operands before a split product: how large each row's elements are, how to scale it and whether
 * fp16 planes will do, and the planes. See split.h.
 */
#include "ptx_sm90.cuh"
#include "split.cuh"

/* One row of op(A) or column of op(B): element k is at [k * step]. */
struct row {
    const float *at;
    int64_t step;
    bool inside; /* false: padding */
};

DEVICE struct row row_of(const struct split_args &args, int index, int batch) {
    const struct gemm_args &g = args.gemm;
    struct row r;
    if (index < args.rows_a) {
        r.inside = index < g.m;
        r.step = args.a_along_k ? 1 : g.lda;
        r.at = g.a + batch * g.stride_a + index * (args.a_along_k ? g.lda : 1);
    } else {
        index -= args.rows_a;
        r.inside = index < g.n;
        r.step = args.b_along_k ? 1 : g.ldb;
        r.at = g.b + batch * g.stride_b + index * (args.b_along_k ? g.ldb : 1);
    }
    return r;
}

/* Bits of the largest |x|, and of the smallest but zero, less one: zero becomes the largest of all. */
struct extremes {
    uint32_t most, least;
};

DEVICE void look_at(struct extremes *e, float x) {
    uint32_t bits = float_bits(x) & 0x7fffffffu;
    e->most = max(e->most, bits);
    e->least = min(e->least, bits - 1);
}

/* Both exponents in one word that grows with the spread: 255 - least above, most below. */
DEVICE uint32_t packed(struct extremes e) {
    uint32_t least = e.least == 0xffffffffu ? 255 : (e.least + 1) >> 23;
    return (255 - least) << 16 | e.most >> 23;
}

DEVICE uint32_t wider(uint32_t a, uint32_t b) {
    return max(a & 0xffff0000u, b & 0xffff0000u) | max(a & 0xffffu, b & 0xffffu);
}

/* One thread's share of a row that is not contiguous along k: every `stride`-th element. */
DEVICE struct extremes look_along_row(struct row r, int k, int k_end, int stride) {
    static const int LOADS = 16; /* under way */
    struct extremes e = {0, 0xffffffffu};
    if (!r.inside) return e;
    for (; k + stride * (LOADS - 1) < k_end; k += stride * LOADS) {
        float x[LOADS];
#pragma unroll
        for (int i = 0; i < LOADS; i++) x[i] = r.at[(k + stride * i) * r.step];
#pragma unroll
        for (int i = 0; i < LOADS; i++) look_at(&e, x[i]);
    }
    for (; k < k_end; k += stride) look_at(&e, r.at[k * r.step]);
    return e;
}

/* A warp's look at four rows that are contiguous along k; each lane's share. */
static const int ROWS = 4;
DEVICE void look_at_rows(struct extremes (&e)[ROWS], const struct row (&r)[ROWS], int k, int k_end) {
    for (; k + 32 < k_end; k += 64) {
        float x[ROWS][2];
#pragma unroll
        for (int i = 0; i < ROWS; i++) {
            x[i][0] = r[i].inside ? r[i].at[k] : 0.0f;
            x[i][1] = r[i].inside ? r[i].at[k + 32] : 0.0f;
        }
#pragma unroll
        for (int i = 0; i < ROWS; i++) {
            look_at(&e[i], x[i][0]);
            look_at(&e[i], x[i][1]);
        }
    }
    if (k < k_end) {
#pragma unroll
        for (int i = 0; i < ROWS; i++) look_at(&e[i], r[i].inside ? r[i].at[k] : 0.0f);
    }
}

/* blockIdx: x the unit of 128 rows, y the chunk of K, z the batch. */
KERNEL_OF(struct split_args, split_extremes, 256, 4) {
    grid_wait();
    grid_launch_next();
    SHARED_MEMORY(shared);
    uint32_t *words = (uint32_t *)shared; /* 256 */
    const int thread = threadIdx.x, lane = thread % 32, first_row = blockIdx.x * SPLIT_UNIT_ROWS, batch = blockIdx.z;
    const int k0 = blockIdx.y * args.chunk, k1 = k0 + min(args.chunk, args.gemm.k - k0);
    const bool along_k = first_row < args.rows_a ? args.a_along_k : args.b_along_k;
    if (blockIdx.x + blockIdx.y + blockIdx.z + thread == 0) *args.choice = args.first_choice;
    uint32_t *out = args.extremes + ((int64_t)batch * args.chunks + blockIdx.y) * args.rows + first_row;
    if (!along_k) {
        words[thread] = packed(look_along_row(row_of(args, first_row + thread % 128, batch), k0 + thread / 128, k1, 2));
        __syncthreads();
        if (thread < 128) out[thread] = wider(words[thread], words[thread + 128]);
        return;
    }
    for (int first = thread / 32 * ROWS; first < SPLIT_UNIT_ROWS; first += 8 * ROWS) {
        struct row r[ROWS];
        struct extremes e[ROWS];
#pragma unroll
        for (int i = 0; i < ROWS; i++) {
            r[i] = row_of(args, first_row + first + i, batch);
            e[i].most = 0;
            e[i].least = 0xffffffffu;
        }
        look_at_rows(e, r, k0 + lane, k1);
#pragma unroll
        for (int i = 0; i < ROWS; i++) {
            uint32_t word = packed(e[i]);
            for (int far = 16; far; far /= 2) word = wider(word, __shfl_xor_sync(0xffffffffu, word, far));
            if (lane == 0) out[first + i] = word;
        }
    }
}

/* One thread per row; blockIdx.y is the batch. */
KERNEL_OF(struct split_args, split_choose, 128, 8) {
    grid_wait();
    grid_launch_next();
    const int index = blockIdx.x * 128 + threadIdx.x, batch = blockIdx.y;
    const uint32_t *word = args.extremes + (int64_t)batch * args.chunks * args.rows + index;
    uint32_t both = 0;
#pragma unroll 16
    for (int chunk = 0; chunk < args.chunks; chunk++) both = wider(both, word[(int64_t)chunk * args.rows]);
    const int most = both & 0xffff, least = 255 - (both >> 16);
    /* Subnormal rows are not raised all the way: the scale and its inverse have to be normal numbers. */
    const int scale = both == 0 ? 0 : min(14 + 127 - most, 126);
    args.inverse_scales[(int64_t)batch * args.rows + index] = most == 255 ? nan_float() : power_of_two(-scale);
    bool narrow = most == 255 || least == 255 || (least > 0 && most > 15 && most - least <= args.spread);
    if (!narrow) *args.choice = SPLIT_BF16X6; /* several may: all write the same */
}

/* Two floats to two fp16 or bf16 of one plane; what is left over goes to the next plane. */
DEVICE uint32_t split_fp16(float *x, float *y) {
    uint32_t pair = cvt_f16x2(*x, *y);
    *x = (*x - float_of_f16(pair)) * (1 << SPLIT_LO_SHIFT);
    *y = (*y - float_of_f16(pair >> 16)) * (1 << SPLIT_LO_SHIFT);
    return pair;
}

DEVICE uint32_t split_bf16(float *x, float *y) {
    uint32_t pair = cvt_bf16x2(*x, *y);
    *x -= bits_float(pair << 16);
    *y -= bits_float(pair & 0xffff0000u);
    return pair;
}

/* Eight elements along k as one 16-byte piece of each plane. */
template <int PLANES> DEVICE void store_pieces(uint8_t *at, float (&x)[8]) {
#pragma unroll
    for (int plane = 0; plane < PLANES; plane++) {
        uint32_t word[4];
#pragma unroll
        for (int i = 0; i < 4; i++)
            word[i] = PLANES == 2 ? split_fp16(&x[2 * i], &x[2 * i + 1]) : split_bf16(&x[2 * i], &x[2 * i + 1]);
        *(uint4 *)(at + plane * SPLIT_PLANE_BYTES) = make_uint4(word[0], word[1], word[2], word[3]);
    }
}

/*
 * Where a row of A stands among its 16: wgmma gives a thread two neighbours of each 8, so that four neighbouring rows
 * are brought into its hands by taking two from each 8.
 */
DEVICE int place_of(int row) {
    return (row & ~14) | (row & 12) >> 1 | (row & 2) << 2;
}

/* Where the piece of k = 8 piece .. 8 piece + 7 lies in a unit's plane: rows of 64 bytes, swizzled by pairs of rows. */
DEVICE int piece_offset(int row, int piece) {
    return row * 64 + (piece ^ (row / 2 & 3)) * 16;
}

DEVICE void load_eight(float (&x)[8], const struct row &r, int k, int k_end, bool vector) {
    if (!r.inside || k >= k_end) {
#pragma unroll
        for (int i = 0; i < 8; i++) x[i] = 0.0f;
    } else if (k + 8 <= k_end && vector) {
        *(float4 *)x = *(const float4 *)(r.at + k);
        *(float4 *)(x + 4) = *(const float4 *)(r.at + k + 4);
    } else if (k + 8 <= k_end) {
#pragma unroll
        for (int i = 0; i < 8; i++) x[i] = r.at[(k + i) * r.step];
    } else {
#pragma unroll
        for (int i = 0; i < 8; i++) x[i] = k + i < k_end ? r.at[(k + i) * r.step] : 0.0f;
    }
}

/* One CTA per unit; blockIdx.y is the batch. */
KERNEL_OF(struct split_args, split_planes, 256, 8) {
    grid_wait();
    grid_launch_next();
    SHARED_MEMORY(shared);
    uint8_t *image = (uint8_t *)shared;
    const int thread = threadIdx.x, batch = gridDim.y - 1 - blockIdx.y;
    /* The first pass ended with the last k and batch: begin there, where L2 still holds the operands. */
    const int tiles = args.rows / SPLIT_UNIT_ROWS, column = blockIdx.x / tiles;
    const int tile = blockIdx.x - column * tiles, unit = args.k_units - 1 - column;
    const int first_row = tile * SPLIT_UNIT_ROWS;
    const bool is_a = first_row < args.rows_a, along_k = is_a ? args.a_along_k : args.b_along_k;
    const bool wide = *args.choice == SPLIT_BF16X6;
    const int64_t ld = is_a ? args.gemm.lda : args.gemm.ldb;
    const float *inverse = args.inverse_scales + (int64_t)batch * args.rows + first_row;
#pragma unroll
    for (int i = 0; i < 2; i++) {
        /* Neighbouring threads read along the operand's contiguous side. */
        const int row = along_k ? thread / 4 + 64 * i : thread % 128;
        const int piece = along_k ? thread % 4 : thread / 128 + 2 * i;
        const struct row r = row_of(args, first_row + row, batch);
        const bool vector = along_k && ld % 4 == 0 && (uintptr_t)r.at % 16 == 0;
        const float factor = inverse_power_of_two(inverse[row]);
        float x[8];
        load_eight(x, r, unit * SPLIT_UNIT_K + 8 * piece, args.gemm.k, vector);
#pragma unroll
        for (int j = 0; j < 8; j++) x[j] = factor == factor ? x[j] * factor : 0.0f;
        uint8_t *at = image + piece_offset(is_a ? place_of(row) : row, piece);
        if (wide)
            store_pieces<3>(at, x);
        else
            store_pieces<2>(at, x);
    }
    __syncthreads();
    const int bytes = (wide ? 3 : 2) * SPLIT_PLANE_BYTES;
    uint8_t *out = args.planes + (((int64_t)batch * tiles + tile) * args.k_units + unit) * bytes;
    for (int at = thread * 16; at < bytes; at += 256 * 16) *(uint4 *)(out + at) = *(const uint4 *)(image + at);
}
