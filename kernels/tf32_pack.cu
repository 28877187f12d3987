/*
 * The pass that brings operands into rows along k before a TF32 product (tf32.h): it turns round what lies along its
 * rows, and shifts what lies along k to addresses that the copy engine takes.
 */
#include "ptx_grid.cuh"
#include "split.h"
#include "tf32_pack.h"

static const int ROWS = TF32_PACK_ROWS, DEPTH = TF32_PACK_K, THREADS = TF32_PACK_THREADS;
static const int LOADS = ROWS * DEPTH / THREADS;

/* Four floats from `from` on, of which `ahead` lie in the 16 bytes before the next ones. */
DEVICE float4 shifted_quad(const float *from, int ahead) {
    const float4 *quads = (const float4 *)(from - (4 - ahead) % 4);
    const float4 x = quads[0];
    if (ahead == 4) return x;
    const float4 y = quads[1];
    return ahead == 3   ? make_float4(x.y, x.z, x.w, y.x)
           : ahead == 2 ? make_float4(x.z, x.w, y.x, y.y)
                        : make_float4(x.w, y.x, y.y, y.z);
}

/*
 * Neighbouring threads read and write along k, 16 bytes each: what a quad lacks is in the next, which its neighbour
 * reads too. At the end of a row nothing is read past it.
 */
DEVICE void shift_tile(const struct tf32_copy &copy, const float *from, float *to, int rows, int depth) {
    const int quad = threadIdx.x % (DEPTH / 4) * 4;
    float4 x[LOADS / 4];
#pragma unroll
    for (int i = 0; i < LOADS / 4; i++) {
        const int r = threadIdx.x / (DEPTH / 4) + i * (THREADS / (DEPTH / 4));
        const float *at = from + r * copy.ld + quad;
        const int ahead = 4 - (int)((uintptr_t)at / 4 % 4);
        x[i] = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
        if (r < rows && quad + 4 + ahead % 4 <= depth) {
            x[i] = shifted_quad(at, ahead);
        } else if (r < rows) {
            if (quad < depth) x[i].x = at[0];
            if (quad + 1 < depth) x[i].y = at[1];
            if (quad + 2 < depth) x[i].z = at[2];
            if (quad + 3 < depth) x[i].w = at[3];
        }
    }
#pragma unroll
    for (int i = 0; i < LOADS / 4; i++) {
        const int r = threadIdx.x / (DEPTH / 4) + i * (THREADS / (DEPTH / 4));
        if (r < rows && quad < depth) *(float4 *)(to + r * copy.to_ld + quad) = x[i];
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

/* A tile of A, or of B, which are counted behind those of A. */
DEVICE void pack_tile(const struct tf32_pack_args &args, int of_both) {
    const bool second = of_both >= args.a.tiles;
    const struct tf32_copy &copy = second ? args.b : args.a;
    const int index = of_both - (second ? args.a.tiles : 0), per_matrix = copy.row_tiles * copy.k_tiles;
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

KERNEL_OF(struct tf32_pack_args, tf32_pack, THREADS, 6) {
    grid_wait();
    grid_launch_next();
    pack_tile(args, blockIdx.x);
}

/* The same if the device chose TF32, and then by CTAs that stay. */
KERNEL_OF(struct tf32_pack_second_args, tf32_pack_second, THREADS, 4) {
    grid_wait();
    grid_launch_next();
    if (*args.choice != SPLIT_TF32) return;
    for (int tile = blockIdx.x; tile < args.of_all.a.tiles + args.of_all.b.tiles; tile += gridDim.x) {
        pack_tile(args.of_all, tile);
        __syncthreads();
    }
}
