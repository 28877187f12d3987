/*
 * From accumulators to memory: D = alpha acc + beta C, or raw sums into scratch when K is split.
 *
 * A warp turns its tile round in its own strip of shared memory, eight columns at a time, so that global memory sees
 * full 128-byte lines whatever the alignment of D.
 */
#ifndef FASTGEMM_EPILOGUE_CUH
#define FASTGEMM_EPILOGUE_CUH

#include "tile.cuh"

struct scalars {
    float alpha, beta;
};

DEVICE struct scalars read_scalars(const struct gemm_args &args) {
    struct scalars s;
    s.alpha = args.alpha_ptr ? *args.alpha_ptr : args.alpha;
    s.beta = args.beta_ptr ? *args.beta_ptr : args.beta;
    return s;
}

/* BLAS: alpha = 0 means that A and B are not looked at (NaN there stays there), beta = 0 that C is not. */
DEVICE float scale(struct scalars s, float sum, const float *c) {
    float value = s.alpha == 0.0f ? 0.0f : s.alpha * sum;
    return s.beta == 0.0f ? value : fmaf(s.beta, *c, value);
}

/* Shared floats per warp: 8 columns of 4 TM rows; the pad puts two neighbouring columns on different banks. */
template <int TM> DEVICE constexpr int stage_floats(void) { return 8 * (4 * TM + 16); }

template <int TM, int TN>
DEVICE void store_tile(const struct gemm_args &args, float *strip, const float (&acc)[TN][TM], int m0, int n0, int split,
                       int batch, int lane) {
    static const int LD = 4 * TM + 16;
    const int lane_m = lane_along_m(lane), lane_n = lane_along_n(lane);
    const bool partial = args.partial != 0;
    struct scalars s = {1.0f, 0.0f};
    const float *c = 0;
    float *d;
    int64_t ldd = args.ldd;
    if (partial) {
        ldd = args.ld_partial;
        d = args.partial + ((int64_t)split * args.batch + batch) * args.n * ldd;
    } else {
        s = read_scalars(args);
        c = args.c + batch * args.stride_c;
        d = args.d + batch * args.stride_d;
    }
#pragma unroll
    for (int j = 0; j < TN; j++) {
        __syncwarp();
#pragma unroll
        for (int q = 0; q < TM / 4; q++) {
            const float *quad = &acc[j][4 * q];
            *(float4 *)(strip + lane_n * LD + 16 * q + 4 * lane_m) = make_float4(quad[1], quad[0], quad[3], quad[2]);
        }
        __syncwarp();
#pragma unroll
        for (int column = 0; column < 8; column++) {
            int n = n0 + j / 4 * 32 + column * 4 + j % 4;
            if (n >= args.n) continue;
#pragma unroll
            for (int row = 0; row < 4 * TM; row += 32) {
                int m = m0 + row + lane;
                if (m < args.m) d[n * ldd + m] = scale(s, strip[column * LD + ((row + lane) ^ 1)], c + n * args.ldc + m);
            }
        }
    }
}

#endif
