/*
 * What the passes that pack operands into fragments share: a unit of 128 rows by 32 k on its way into shared memory,
 * read along the operand's contiguous side.
 */
#ifndef FASTGEMM_FRAGMENTS_UNIT_CUH
#define FASTGEMM_FRAGMENTS_UNIT_CUH

#include "ptx_mma.cuh"
#include "tf32_fragments.h"

static const int ROWS = TF32_FRAGMENT_UNIT, DEPTH = TF32_FRAGMENT_K, THREADS = TF32_FRAGMENT_THREADS;
static const int LD = DEPTH + 1; /* of the tile: rows beside each other start in banks beside each other */
static const int LOADS = ROWS * DEPTH / THREADS;

DEVICE float rounded(float x) {
    return __uint_as_float(round_to_tf32(x));
}

/* All loads are under way before the first is stored. VECTOR: four at a time. ROUND: to TF32. */
template <int ALONG_K, int VECTOR, int ROUND>
DEVICE void load_unit(float *tile, const float *from, int64_t ld, int rows, int depth) {
    static const int FAST = (ALONG_K ? DEPTH : ROWS) / VECTOR,
                     STEP = THREADS / FAST; /* loads along the contiguous side */
    const int fast = threadIdx.x % FAST * VECTOR, slow = threadIdx.x / FAST;
    const int fast_end = ALONG_K ? depth : rows, slow_end = ALONG_K ? rows : depth;
    float x[LOADS];
#pragma unroll
    for (int i = 0; i < LOADS / VECTOR; i++) {
        const int at = slow + i * STEP;
        const bool inside = at < slow_end && fast < fast_end;
        const float *element = from + at * ld + fast;
        if (VECTOR == 4)
            *(float4 *)&x[4 * i] = inside ? *(const float4 *)element : make_float4(0, 0, 0, 0);
        else
            x[i] = inside ? *element : 0.0f;
    }
#pragma unroll
    for (int i = 0; i < LOADS; i++) {
        const int along = fast + i % VECTOR, across = slow + i / VECTOR * STEP;
        tile[ALONG_K ? across * LD + along : along * LD + across] = ROUND ? rounded(x[i]) : x[i];
    }
}

/* Which of its group of 32 rows a lane has first in a block: see the products' epilogues. */
DEVICE int row_of_lane(bool is_a, int lane) {
    const int g = lane / 4;
    return 4 * (is_a ? g >> 1 | (g & 1) << 2 : g);
}

/* A unit: from this row of that matrix on. */
struct packed_unit {
    int matrix, row, k_tile;
};

/* Brings unit `index` of an operand into shared memory, for all to read. Along the contiguous side first. */
template <int ROUND>
DEVICE struct packed_unit load_packed_unit(float *tile, const struct tf32_fragments &o, int index) {
    const int per_matrix = o.row_units * o.k_tiles;
    const int matrix = index / per_matrix, inside = index - matrix * per_matrix;
    const int fast = o.along_k ? o.k_tiles : o.row_units, slow = inside / fast;
    const int row = (o.along_k ? slow : inside - slow * fast) * ROWS;
    const int k_tile = o.along_k ? inside - slow * fast : slow, k = k_tile * DEPTH;
    const float *from = o.list ? o.list[matrix] : o.from + matrix * o.stride;
    from += o.along_k ? row * o.ld + k : k * o.ld + row;
    const bool vector = (uintptr_t)from % 16 == 0 && o.ld % 4 == 0 && (o.along_k ? o.k : o.rows) % 4 == 0;
    const int rows = o.rows - row, depth = o.k - k;
    if (o.along_k && vector)
        load_unit<1, 4, ROUND>(tile, from, o.ld, rows, depth);
    else if (o.along_k)
        load_unit<1, 1, ROUND>(tile, from, o.ld, rows, depth);
    else if (vector)
        load_unit<0, 4, ROUND>(tile, from, o.ld, rows, depth);
    else
        load_unit<0, 1, ROUND>(tile, from, o.ld, rows, depth);
    __syncthreads();
    const struct packed_unit unit = {matrix, row, k_tile};
    return unit;
}

DEVICE int64_t rows_padded(const struct tf32_fragments &o) {
    return (o.rows + TF32_FRAGMENT_ROWS - 1) / TF32_FRAGMENT_ROWS * TF32_FRAGMENT_ROWS;
}

#endif
