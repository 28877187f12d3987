/*
 * The pass that packs the operands of a TF32 product into fragments (tf32_fragments.h): a CTA takes 128 rows of one k
 * tile by way of shared memory, which it reads and writes along the operand's contiguous side.
 */
#include "tf32_fragments.h"

#include "ptx_mma.cuh"

static const int ROWS = TF32_FRAGMENT_UNIT, DEPTH = TF32_FRAGMENT_K, THREADS = TF32_FRAGMENT_THREADS;
static const int LD = DEPTH + 1; /* of the tile: rows beside each other start in banks beside each other */
static const int LOADS = ROWS * DEPTH / THREADS;

DEVICE float rounded(float x) {
    return __uint_as_float(round_to_tf32(x));
}

/* All loads are under way before the first is stored. VECTOR: four at a time. */
template <int ALONG_K, int VECTOR>
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
        tile[ALONG_K ? across * LD + along : along * LD + across] = rounded(x[i]);
    }
}

/* Which of its group of 32 rows a lane has first in a block: see the product's epilogue (sgemm_tf32_packed.cuh). */
DEVICE int row_of_lane(bool is_a, int lane) {
    const int g = lane / 4;
    return 4 * (is_a ? g >> 1 | (g & 1) << 2 : g);
}

/* Four values of a lane: of A rows come first, of B k, as the instruction has its operands. */
DEVICE void store_unit(float *to, const float *tile, bool is_a) {
#pragma unroll
    for (int i = 0; i < LOADS / 4; i++) {
        const int quad = threadIdx.x + i * THREADS, lane = quad % 32, step = quad / 32 % 4, block = quad / 128;
        const float *at = tile + (block / 2 * 32 + row_of_lane(is_a, lane) + block % 2 * 2) * LD + 8 * step + lane % 4;
        *(float4 *)(to + 4 * quad) =
            is_a ? make_float4(at[0], at[4], at[LD], at[LD + 4]) : make_float4(at[0], at[LD], at[4], at[LD + 4]);
    }
}

KERNEL_OF(struct tf32_fragments_args, tf32_fragments, TF32_FRAGMENT_THREADS, 6) {
    SHARED_MEMORY(tile);
    const bool is_a = (int)blockIdx.x < args.a.units;
    const struct tf32_fragments &o = is_a ? args.a : args.b;
    const int index = blockIdx.x - (is_a ? 0 : args.a.units), per_matrix = o.row_units * o.k_tiles;
    const int matrix = index / per_matrix, inside = index - matrix * per_matrix;
    /* Along the contiguous side first. */
    const int fast = o.along_k ? o.k_tiles : o.row_units, slow = inside / fast;
    const int row = (o.along_k ? slow : inside - slow * fast) * ROWS;
    const int k_tile = o.along_k ? inside - slow * fast : slow, k = k_tile * DEPTH;
    const float *from = o.list ? o.list[matrix] : o.from + matrix * o.stride;
    from += o.along_k ? row * o.ld + k : k * o.ld + row;
    const bool vector = (uintptr_t)from % 16 == 0 && o.ld % 4 == 0 && (o.along_k ? o.k : o.rows) % 4 == 0;
    const int rows = o.rows - row, depth = o.k - k;
    if (o.along_k && vector)
        load_unit<1, 4>(tile, from, o.ld, rows, depth);
    else if (o.along_k)
        load_unit<1, 1>(tile, from, o.ld, rows, depth);
    else if (vector)
        load_unit<0, 4>(tile, from, o.ld, rows, depth);
    else
        load_unit<0, 1>(tile, from, o.ld, rows, depth);
    __syncthreads();
    const int64_t rows_padded = (o.rows + TF32_FRAGMENT_ROWS - 1) / TF32_FRAGMENT_ROWS * TF32_FRAGMENT_ROWS;
    store_unit(o.to + matrix * o.to_stride + (k_tile * rows_padded + row) * DEPTH, tile, is_a);
}
