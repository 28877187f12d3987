/*
 * The second half of split-K: adds the partial tiles of each element in a fixed order, so that the same call gives the
 * same bits, and applies alpha and beta.
 */
#include "epilogue.cuh"

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

DEVICE void store_rows(const struct gemm_args &args, struct scalars s, int batch, int64_t n, int m, float4 sum) {
    const float *c = args.c + batch * args.stride_c + n * args.ldc + m;
    float *d = args.d + batch * args.stride_d + n * args.ldd + m;
    if ((uintptr_t)d % 16 == 0 && m + 3 < args.m) {
        *(float4 *)d =
            make_float4(scale(s, sum.x, c), scale(s, sum.y, c + 1), scale(s, sum.z, c + 2), scale(s, sum.w, c + 3));
        return;
    }
    d[0] = scale(s, sum.x, c);
    if (m + 1 < args.m) d[1] = scale(s, sum.y, c + 1);
    if (m + 2 < args.m) d[2] = scale(s, sum.z, c + 2);
    if (m + 3 < args.m) d[3] = scale(s, sum.w, c + 3);
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
            if (inside && (!sharing || warp == 0)) store_rows(args, s, batch, n, m, sum);
        }
    }
}
