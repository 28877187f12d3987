/*
 * From accumulators to memory: D = alpha acc + beta C, or raw sums into scratch when K is split.
 *
 * Where D is aligned, 16-byte stores. Elsewhere a warp turns its tile round in its own strip of shared memory, eight
 * columns at a time, so that global memory sees full 128-byte lines whatever the alignment of D.
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
template <int TM> DEVICE constexpr int stage_floats(void) {
    return 8 * (4 * TM + 16);
}

/* Where a CTA's results go, and how they are scaled. */
struct output {
    struct scalars s;
    const float *c;
    float *d;
    int64_t ldc, ldd;
    bool quads;   /* four neighbours along m can be stored as one */
    bool past_l2; /* more than the L2 cache of any chip holds */
};

DEVICE struct output output_of(const struct gemm_args &args, int split, int batch) {
    struct output o = {{1.0f, 0.0f}, 0, 0, 0, args.ld_partial, false, false};
    if (args.partial) {
        o.d = args.partial + ((int64_t)split * args.batch + batch) * args.n * o.ldd;
    } else {
        o.s = read_scalars(args);
        o.c = args.c + batch * args.stride_c;
        o.d = args.d + batch * args.stride_d;
        o.ldc = args.ldc;
        o.ldd = args.ldd;
        o.past_l2 = (int64_t)args.m * args.n * args.batch > 1 << 25;
    }
    o.quads = (args.m | o.ldc | o.ldd) % 4 == 0 && ((uintptr_t)o.c | (uintptr_t)o.d) % 16 == 0;
    return o;
}

/* Straight from the registers, 64 bytes of a column at a time. */
template <int TM, int TN>
DEVICE void store_quads(const struct gemm_args &args, const struct output &o, const float (&acc)[TN][TM], int m0,
                        int n0, int lane) {
    m0 += 4 * lane_along_m(lane);
    n0 += 4 * lane_along_n(lane);
#pragma unroll
    for (int j = 0; j < TN; j++) {
        const int n = n0 + j / 4 * 32 + j % 4;
#pragma unroll
        for (int q = 0; q < TM / 4; q++) {
            const int m = m0 + 16 * q;
            if (n >= args.n || m >= args.m) continue;
            const float *sum = &acc[j][4 * q], *c = o.c + n * o.ldc + m;
            store_global_16(o.d + n * o.ldd + m,
                            make_float4(scale(o.s, sum[0], c), scale(o.s, sum[1], c + 1), scale(o.s, sum[2], c + 2),
                                        scale(o.s, sum[3], c + 3)),
                            o.past_l2);
        }
    }
}

template <int TM, int TN>
DEVICE void store_tile(const struct gemm_args &args, float *strip, const float (&acc)[TN][TM], int m0, int n0,
                       int split, int batch, int lane) {
    static const int LD = 4 * TM + 16;
    const int lane_m = lane_along_m(lane), lane_n = lane_along_n(lane);
    const struct output o = output_of(args, split, batch);
    if (o.quads) return store_quads<TM, TN>(args, o, acc, m0, n0, lane);
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
                if (m < args.m)
                    o.d[n * o.ldd + m] = scale(o.s, strip[column * LD + ((row + lane) ^ 1)], o.c + n * o.ldc + m);
            }
        }
    }
}

#endif
