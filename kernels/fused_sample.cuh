/*
 * A look at a few elements before all are converted for nothing: whether planes do not hold them, or some decide about
 * the whole (fused.h). It takes 2 us. Whatever it says, the results are right; as every CTA looks at the same elements,
 * so are their bits from run to run.
 */
#ifndef FASTGEMM_FUSED_SAMPLE_CUH
#define FASTGEMM_FUSED_SAMPLE_CUH

#include "fused_args.h"
#include "split_rows.cuh"

struct sample {
    double second, fourth; /* sums of powers */
    uint32_t most, least;  /* bits; but for zeros, less one */
};

/* One of 256 threads' share of 16 rows, 256 k, from the middle of op(A) or op(B). */
DEVICE struct sample look(const struct fused_args &args, int side) {
    const struct gemm_args &g = args.gemm;
    const int rows = side ? g.n : g.m;
    const int64_t ld = side ? g.ldb : g.lda, stride = side ? g.stride_b : g.stride_a;
    const bool along_k = side ? args.b_along_k : args.a_along_k;
    const float *at = (side ? g.b : g.a) + g.batch / 2 * stride;
    const int k = (g.k / 2 + threadIdx.x % 256) % g.k;
    struct sample s = {0, 0, 0, 0xffffffffu};
    float x[16];
#pragma unroll
    for (int i = 0; i < 16; i++) {
        const int row = (rows / 2 + i) % rows;
        x[i] = at[along_k ? row * ld + k : k * ld + row];
    }
#pragma unroll
    for (int i = 0; i < 16; i++) {
        const uint32_t bits = float_bits(x[i]) & 0x7fffffffu;
        const double square = (double)x[i] * x[i];
        s.second += square;
        s.fourth += square * square;
        s.most = max(s.most, bits);
        s.least = min(s.least, bits - 1);
    }
    return s;
}

DEVICE struct sample both(struct sample x, const struct sample &y) {
    x.second += y.second;
    x.fourth += y.fourth;
    x.most = max(x.most, y.most);
    x.least = min(x.least, y.least);
    return x;
}

DEVICE bool hopeless(const struct fused_args &args) {
    static const double FEW = 64; /* pairs of elements, where of normal ones there would be 2 million */
    static __shared__ struct sample of_warps[FUSED_THREADS / 32];
    struct sample s = look(args, threadIdx.x / 256);
    for (int far = 16; far; far /= 2) {
        struct sample other;
        other.second = __shfl_xor_sync(0xffffffffu, s.second, far);
        other.fourth = __shfl_xor_sync(0xffffffffu, s.fourth, far);
        other.most = __shfl_xor_sync(0xffffffffu, s.most, far);
        other.least = __shfl_xor_sync(0xffffffffu, s.least, far);
        s = both(s, other);
    }
    if (threadIdx.x % 32 == 0) of_warps[threadIdx.x / 32] = s;
    __syncthreads();
    double few = 1;
    bool wide = false;
#pragma unroll
    for (int side = 0; side < 2; side++) {
        s = of_warps[8 * side];
        for (int warp = 1; warp < 8; warp++) s = both(s, of_warps[8 * side + warp]);
        few *= s.second * s.second / s.fourth;
        wide |= s.most != 0 && (int)(s.most >> 23) - (int)((s.least + 1) >> 23) > args.spread;
    }
    return few < FEW || wide;
}

#endif
