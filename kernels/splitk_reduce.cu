/*
 * The second half of split-K: adds the partial tiles of each element in a fixed order, so that the same call gives the
 * same bits, and finishes it as a kernel without a split would.
 */
#include "epilogue.cuh"
#include "ptx_grid.cuh"

enum { LANES = 32, WARPS = 8 };

DEVICE float4 add(float4 x, float4 y) {
    return make_float4(x.x + y.x, x.y + y.y, x.z + y.z, x.w + y.w);
}

/* Splits FIRST, FIRST + STEP and so on of four rows of a column. */
DEVICE float4 sum_of_splits(const struct gemm_args &args, int batch, int64_t n, int m, int first, int step) {
    const float *partial = args.partial + ((int64_t)batch * args.n + n) * args.ld_partial + m;
    const int64_t next = (int64_t)args.batch * args.n * args.ld_partial;
    float4 sum = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
#pragma unroll 4
    for (int split = first; split < args.splits; split += step)
        sum = add(sum, *(const float4 *)(partial + split * next));
    return sum;
}

/*
 * blockIdx.x walks m in steps of 128 rows, four to a lane, blockIdx.y the columns, blockIdx.z the batch. Few splits: a
 * warp to a column. Many: all warps share one, each takes every eighth split, and the first adds up what they have.
 */
KERNEL(splitk_reduce, 256, 1) {
    SHARED_MEMORY(shared);
    float4 *const sums = (float4 *)shared;
    const int lane = threadIdx.x % LANES, warp = threadIdx.x / LANES, m = blockIdx.x * 4 * LANES + 4 * lane;
    const bool sharing = args.splits > WARPS;
    grid_wait();
    const struct scalars s = read_scalars(args);
    for (int batch = blockIdx.z; batch < args.batch; batch += gridDim.z) {
        for (int64_t column = blockIdx.y; column * (sharing ? 1 : WARPS) < args.n; column += gridDim.y) {
            const int64_t n = sharing ? column : column * WARPS + warp;
            const bool inside = m < args.m && n < args.n;
            float4 sum = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
            if (inside) sum = sum_of_splits(args, batch, n, m, sharing ? warp : 0, sharing ? WARPS : 1);
            if (sharing) {
                sums[threadIdx.x] = sum;
                __syncthreads();
                for (int i = 1; i < WARPS && warp == 0; i++) sum = add(sum, sums[i * LANES + lane]);
                __syncthreads();
            }
            if (inside && (!sharing || warp == 0)) store_rows(args, s, batch, m, n, sum);
        }
    }
}
