/*
 * The second half of split-K: adds the partial tiles of each element in the order of the splits, so that the same call
 * gives the same bits, and applies alpha and beta.
 */
#include "epilogue.cuh"

/* blockIdx.x walks m in steps of 128 rows, blockIdx.y the columns, blockIdx.z the batch; one thread per element. */
KERNEL(splitk_reduce, 128, 1) {
    const int m = blockIdx.x * 128 + threadIdx.x;
    if (m >= args.m) return;
    const struct scalars s = read_scalars(args);
    for (int batch = blockIdx.z; batch < args.batch; batch += gridDim.z) {
        for (int64_t n = blockIdx.y; n < args.n; n += gridDim.y) {
            const float *partial = args.partial + ((int64_t)batch * args.n + n) * args.ld_partial + m;
            const int64_t next = (int64_t)args.batch * args.n * args.ld_partial;
            float sum = 0.0f;
#pragma unroll 8
            for (int split = 0; split < args.splits; split++) sum += partial[split * next];
            args.d[batch * args.stride_d + n * args.ldd + m] =
                scale(s, sum, args.c + batch * args.stride_c + n * args.ldc + m);
        }
    }
}
