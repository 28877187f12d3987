/*
 * The end of split-K for split products: adds the partial tiles in the order of the splits, then alpha and beta. What a
 * sum loses to rounding is kept and added at the end, so that many splits cost no accuracy (Neumaier 1974). It may be
 * launched before the product is done.
 */
#include "epilogue.cuh"
#include "ptx_sm90.cuh"
#include "split.cuh"

/* A sum and what it lost. An infinity or a NaN would spoil the loss: then the sum alone is right. */
struct careful {
    float sum, lost;
};

DEVICE void add(struct careful *c, float x) {
    const float sum = c->sum + x, part = sum - c->sum;
    c->lost += (c->sum - (sum - part)) + (x - part); /* two-sum: exact (Knuth) */
    c->sum = sum;
}

DEVICE float total(struct careful c) {
    return isfinite(c.lost) ? c.sum + c.lost : c.sum;
}

/* blockIdx: x walks the quads of rows, column by column; y the batch. */
KERNEL_OF(struct gemm_args, split_sum, 256, 4) {
    static const int UNDER_WAY = 4;
    grid_wait();
    const int quads = (int)(args.ld_partial / 4), batch = blockIdx.y;
    const int64_t index = (int64_t)blockIdx.x * 256 + threadIdx.x, n = index / quads;
    const int m = (int)(index - n * quads) * 4;
    if (n >= args.n) return;
    const struct scalars s = read_scalars(args);
    const float *partial = args.partial + ((int64_t)batch * args.n + n) * args.ld_partial + m;
    const int64_t next = (int64_t)args.batch * args.n * args.ld_partial;
    struct careful sum[4] = {{0, 0}, {0, 0}, {0, 0}, {0, 0}};
    for (int split = 0; split < args.splits; split += UNDER_WAY) {
        float4 term[UNDER_WAY];
#pragma unroll
        for (int i = 0; i < UNDER_WAY; i++) {
            term[i] = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
            if (split + i < args.splits) term[i] = *(const float4 *)(partial + (split + i) * next);
        }
#pragma unroll
        for (int i = 0; i < UNDER_WAY; i++) {
            add(&sum[0], term[i].x);
            add(&sum[1], term[i].y);
            add(&sum[2], term[i].z);
            add(&sum[3], term[i].w);
        }
    }
    store_rows(args, s, batch, m, n, make_float4(total(sum[0]), total(sum[1]), total(sum[2]), total(sum[3])));
}
