/*
 * The end of split-K for split products: adds the partial tiles in the order of the splits, then alpha and beta. The
 * same sums as splitk_reduce, four rows to a thread, and it may be launched before the product is done.
 */
#include "epilogue.cuh"
#include "ptx_sm90.cuh"
#include "split.cuh"

/* blockIdx: x walks the quads of rows, column by column; y the batch. */
KERNEL_OF(struct gemm_args, split_sum, 256, 4) {
    grid_wait();
    const int quads = (int)(args.ld_partial / 4), batch = blockIdx.y;
    const int64_t index = (int64_t)blockIdx.x * 256 + threadIdx.x, n = index / quads;
    const int m = (int)(index - n * quads) * 4;
    if (n >= args.n) return;
    const struct scalars s = read_scalars(args);
    const float *partial = args.partial + ((int64_t)batch * args.n + n) * args.ld_partial + m;
    const int64_t next = (int64_t)args.batch * args.n * args.ld_partial;
    float4 sum = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
#pragma unroll 8
    for (int split = 0; split < args.splits; split++) {
        const float4 term = *(const float4 *)(partial + split * next);
        sum.x += term.x;
        sum.y += term.y;
        sum.z += term.z;
        sum.w += term.w;
    }
    store_rows(args, s, batch, m, n, sum);
}
