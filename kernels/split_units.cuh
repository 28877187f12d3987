/*
 * Planes (or floats as they are) unit by unit, once it is known how to multiply. By the pass after the looks at long
 * rows; and by the kernel after bands, where these wrote planes that turn out not to do.
 */
#ifndef FASTGEMM_SPLIT_UNITS_CUH
#define FASTGEMM_SPLIT_UNITS_CUH

#include "split_rows.cuh"

static const int UNIT_THREADS = 256; /* the first of a CTA work on units */

/* Among these. */
DEVICE void sync_unit_threads(void) {
#ifdef FASTGEMM_SIM /* kernels of 256 threads alone */
    __syncthreads();
#else
    asm volatile("barrier.sync 1, 256;" ::: "memory");
#endif
}

/* 128 rows of 32 k, and whose they are. */
struct unit {
    int batch, tile, k_unit, first_row;
    bool is_a, along_k;
};

DEVICE struct unit unit_of(const struct split_args &args, int index) {
    const int tiles = args.rows / SPLIT_UNIT_ROWS;
    /* The first pass ended with the last k and batch: begin there, where L2 still holds the operands. */
    const int columns = index / tiles;
    struct unit u;
    u.batch = args.gemm.batch - 1 - columns / args.k_units;
    u.tile = index - columns * tiles;
    u.k_unit = args.k_units - 1 - columns % args.k_units;
    u.first_row = u.tile * SPLIT_UNIT_ROWS;
    u.is_a = u.first_row < args.rows_a;
    u.along_k = u.is_a ? args.a_along_k : args.b_along_k;
    return u;
}

/* Where it goes, of units of so many bytes. */
DEVICE uint8_t *place_of_unit(const struct split_args &args, const struct unit &u, int bytes) {
    return args.planes +
           (((int64_t)u.batch * (args.rows / SPLIT_UNIT_ROWS) + u.tile) * args.k_units + u.k_unit) * bytes;
}

/* The row and the eight k of a thread's first and second piece. Neighbours read along the operand's contiguous side. */
DEVICE int row_in_unit(const struct unit &u, int i) {
    return u.along_k ? threadIdx.x / 4 + 64 * i : threadIdx.x % 128;
}
DEVICE int piece_in_unit(const struct unit &u, int i) {
    return u.along_k ? threadIdx.x % 4 : threadIdx.x / 128 + 2 * i;
}

DEVICE void load_piece_of(float (&x)[8], const struct split_args &args, const struct unit &u, int i) {
    const int64_t ld = u.is_a ? args.gemm.lda : args.gemm.ldb;
    const struct row r = row_of(args, u.first_row + row_in_unit(u, i), u.batch);
    const bool vector = u.along_k && ld % 4 == 0 && (uintptr_t)r.at % 16 == 0;
    load_eight(x, r, u.k_unit * SPLIT_UNIT_K + 8 * piece_in_unit(u, i), args.gemm.k, vector);
}

/* A unit's planes, two or three if it is wide, or else ONE, by way of shared memory. */
template <bool ONE = false>
DEVICE void write_unit(const struct split_args &args, uint8_t *image, int index, bool wide) {
    const struct unit u = unit_of(args, index);
    const float *inverse = args.inverse_scales + (int64_t)u.batch * args.rows + u.first_row;
#pragma unroll
    for (int i = 0; i < 2; i++) {
        const int row = row_in_unit(u, i);
        const float factor = inverse_power_of_two(inverse[row]);
        float x[8];
        load_piece_of(x, args, u, i);
#pragma unroll
        for (int j = 0; j < 8; j++) x[j] = factor == factor ? x[j] * factor : 0.0f;
        uint8_t *at = image + piece_offset(u.is_a ? place_of(row) : row, piece_in_unit(u, i));
        if (wide)
            store_pieces<3>(at, x);
        else
            store_pieces<ONE ? 1 : 2>(at, x);
    }
    sync_unit_threads();
    const int bytes = (wide ? 3 : ONE ? 1 : 2) * SPLIT_PLANE_BYTES;
    uint8_t *out = place_of_unit(args, u, bytes);
    for (int at = threadIdx.x * 16; at < bytes; at += UNIT_THREADS * 16)
        *(uint4 *)(out + at) = *(const uint4 *)(image + at);
}

/* Two units' floats as they are, all loads under way at once. */
DEVICE void copy_units(const struct split_args &args, uint8_t *images, int first, int second) {
    const struct unit u[2] = {unit_of(args, first), unit_of(args, second)};
    float x[4][8];
#pragma unroll
    for (int i = 0; i < 4; i++) load_piece_of(x[i], args, u[i / 2], i % 2);
#pragma unroll
    for (int i = 0; i < 4; i++) {
        const struct unit &one = u[i / 2];
        const int row = row_in_unit(one, i % 2), place = one.is_a ? place_of(row) : row;
        const int piece = 2 * piece_in_unit(one, i % 2);
        uint8_t *image = images + i / 2 * SPLIT_EXACT_BYTES;
        *(float4 *)(image + exact_offset(place, piece)) = make_float4(x[i][0], x[i][1], x[i][2], x[i][3]);
        *(float4 *)(image + exact_offset(place, piece + 1)) = make_float4(x[i][4], x[i][5], x[i][6], x[i][7]);
    }
    sync_unit_threads();
#pragma unroll
    for (int i = 0; i < 2; i++) {
        uint8_t *out = place_of_unit(args, u[i], SPLIT_EXACT_BYTES);
        for (int at = threadIdx.x * 16; at < SPLIT_EXACT_BYTES; at += UNIT_THREADS * 16)
            *(uint4 *)(out + at) = *(const uint4 *)(images + i * SPLIT_EXACT_BYTES + at);
    }
}

#endif
