/*
 * The pass that brings operands into rows along k before a TF32 product (tf32.h): it turns round what lies along its
 * rows, and shifts what lies along k to addresses that the copy engine takes.
 */
#include "ptx_grid.cuh"
#include "tf32_pack.h"

static const int ROWS = TF32_PACK_ROWS, DEPTH = TF32_PACK_K, THREADS = TF32_PACK_THREADS;
static const int LOADS = ROWS * DEPTH / THREADS;

/* Neighbouring threads read and write along k. */
DEVICE void shift_tile(const struct tf32_copy &copy, const float *from, float *to, int rows, int depth) {
    const int k = threadIdx.x % DEPTH, row = threadIdx.x / DEPTH;
    float x[LOADS];
#pragma unroll
    for (int i = 0; i < LOADS; i++) {
        const int r = row + i * (THREADS / DEPTH);
        x[i] = r < rows && k < depth ? from[r * copy.ld + k] : 0.0f;
    }
#pragma unroll
    for (int i = 0; i < LOADS; i++) {
        const int r = row + i * (THREADS / DEPTH);
        if (r < rows && k < depth) to[r * copy.to_ld + k] = x[i];
    }
}

/* Neighbouring threads read along the rows' side and write along k, 16 bytes each; the pad keeps banks apart. */
DEVICE void turn_tile(const struct tf32_copy &copy, const float *from, float *to, int rows, int depth) {
    SHARED_MEMORY(tile);
    static const int LD = DEPTH + 1;
    const int r = threadIdx.x % ROWS, k = threadIdx.x / ROWS;
    float x[LOADS];
#pragma unroll
    for (int i = 0; i < LOADS; i++) {
        const int at = k + i * (THREADS / ROWS);
        x[i] = r < rows && at < depth ? from[at * copy.ld + r] : 0.0f;
    }
#pragma unroll
    for (int i = 0; i < LOADS; i++) tile[r * LD + k + i * (THREADS / ROWS)] = x[i];
    __syncthreads();
    const int quad = threadIdx.x % (DEPTH / 4) * 4;
#pragma unroll
    for (int row = threadIdx.x / (DEPTH / 4); row < ROWS; row += THREADS / (DEPTH / 4)) {
        const float *y = tile + row * LD + quad;
        /* Past the end of k the row is padded to whole quads. */
        if (row < rows && quad < depth) *(float4 *)(to + row * copy.to_ld + quad) = make_float4(y[0], y[1], y[2], y[3]);
    }
}

KERNEL_OF(struct tf32_pack_args, tf32_pack, THREADS, 6) {
    grid_launch_next();
    const bool second = (int)blockIdx.x >= args.a.tiles;
    const struct tf32_copy &copy = second ? args.b : args.a;
    const int index = blockIdx.x - (second ? args.a.tiles : 0), per_matrix = copy.row_tiles * copy.k_tiles;
    const int matrix = index / per_matrix, inside = index - matrix * per_matrix;
    /* Along the contiguous side first. */
    const int fast = copy.along_k ? copy.k_tiles : copy.row_tiles, slow = inside / fast;
    const int row = (copy.along_k ? slow : inside - slow * fast) * ROWS;
    const int k = (copy.along_k ? inside - slow * fast : slow) * DEPTH;
    const float *from = copy.from + matrix * copy.stride + (copy.along_k ? row * copy.ld + k : k * copy.ld + row);
    float *to = copy.to + matrix * copy.to_stride + row * copy.to_ld + k;
    if (copy.along_k)
        shift_tile(copy, from, to, copy.rows - row, copy.k - k);
    else
        turn_tile(copy, from, to, copy.rows - row, copy.k - k);
}
