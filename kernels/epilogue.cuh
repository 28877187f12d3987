/*
 * From accumulators to memory: D = alpha acc + beta C, or raw sums into scratch when K is split.
 *
 * Where D is aligned, 16-byte stores. Elsewhere a warp turns its tile round in its own strip of shared memory, eight
 * columns at a time, so that global memory sees full 128-byte lines whatever the alignment of D.
 *
 * A bias and an activation are a second step, for the few calls that ask for them: a warp reads back what it has just
 * stored. In registers they would cost the main loop of all calls: the accumulators then lie in other register banks
 * (three times the conflicts, counted in the compiled code).
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

/* ---- bias and activation ---- */

/*
 * The form with tanh, as cuBLAS has it: x (1 + tanh(u)) / 2 = x / (1 + e^(-2u)), u = sqrt(2 / pi) (x + 0.044715 x^3),
 * which loses nothing where tanh is near -1. The error is at most 2^-22 |x|; infinities and NaNs become what they do
 * there.
 */
DEVICE float gelu(float x) {
    const float c1 = -2.3022082f, c3 = -0.10294324f; /* -2 log2(e) sqrt(2 / pi), and that times 0.044715 */
    return x * rcp_approx(1.0f + ex2_approx(x * fmaf(c3 * x, x, c1)));
}

/* A NaN stays one. */
DEVICE float relu(float x) {
    return x < 0.0f ? 0.0f : x;
}

DEVICE bool finishes(const struct gemm_args &args) {
    return args.bias || args.activation != ACTIVATION_none;
}

DEVICE float bias_of(const struct gemm_args &args, int64_t batch, int m) {
    return args.bias ? args.bias[batch * args.stride_bias + m] : 0.0f;
}

/* What alpha op(A) op(B) + beta C becomes, the bias of its row at hand. */
DEVICE float finish(const struct gemm_args &args, float value, float bias) {
    value += bias;
    if (args.activation == ACTIVATION_relu) value = relu(value);
    if (args.activation == ACTIVATION_gelu) value = gelu(value);
    return value;
}

/*
 * A warp's rectangle of D, from m0, n0 on, which its lanes have stored, read back and finished; what lies outside D is
 * left out here. To be called by all 32 lanes, unless what they stored are partial sums. UNDER_WAY, which divides
 * `columns`, hides the way to the L2 cache and back.
 */
template <int UNDER_WAY = 8>
DEVICE void finish_tile(const struct gemm_args &args, int64_t batch, int m0, int n0, int rows, int columns, int lane) {
    float *d = args.d + batch * args.stride_d; /* only cublasLt asks for it, and batches there lie a stride apart */
    __syncwarp();
#pragma unroll 1
    for (int at = 0; at < (rows + 31) / 32 * columns; at += UNDER_WAY) {
        const int row = at / columns * 32 + lane, m = m0 + row, n = n0 + at % columns;
        const bool inside = row < rows && m < args.m;
        const float bias = inside ? bias_of(args, batch, m) : 0.0f;
        float value[UNDER_WAY];
#pragma unroll
        for (int i = 0; i < UNDER_WAY; i++)
            value[i] = inside && n + i < args.n ? d[(int64_t)(n + i) * args.ldd + m] : 0.0f;
#pragma unroll
        for (int i = 0; i < UNDER_WAY; i++)
            if (inside && n + i < args.n) d[(int64_t)(n + i) * args.ldd + m] = finish(args, value[i], bias);
    }
}

/* ---- from a sum of partial sums ---- */

/* Four rows of a column, or those of them that there are. */
DEVICE void store_rows(const struct gemm_args &args, struct scalars s, int64_t batch, int m, int64_t n, float4 sum) {
    const float sums[4] = {sum.x, sum.y, sum.z, sum.w};
    const float *c = matrix_c(args, batch) + n * args.ldc + m;
    float *d = matrix_d(args, batch) + n * args.ldd + m;
    float x[4];
#pragma unroll
    for (int i = 0; i < 4; i++) {
        x[i] = 0.0f;
        if (m + i < args.m) x[i] = scale(s, sums[i], c + i);
        if (m + i < args.m && finishes(args)) x[i] = finish(args, x[i], bias_of(args, batch, m + i));
    }
    if ((uintptr_t)d % 16 == 0 && m + 3 < args.m) {
        *(float4 *)d = make_float4(x[0], x[1], x[2], x[3]);
        return;
    }
#pragma unroll
    for (int i = 0; i < 4; i++)
        if (m + i < args.m) d[i] = x[i];
}

/* ---- from accumulators ---- */

/* Shared floats per warp: 8 columns of 4 TM rows; the pad puts two neighbouring columns on different banks. */
template <int TM> DEVICE constexpr int strip_ld(void) {
    return GEMM_STRIP_LD(TM);
}
template <int TM> DEVICE constexpr int stage_floats(void) {
    return 8 * strip_ld<TM>();
}
/* Where a column begins. Those of tiles without quads, written float by float, begin on banks 0 to 3 and 16 to 19. */
template <int TM> DEVICE constexpr int strip_at(int column) {
    return column * strip_ld<TM>() + (TM % 4 ? column / 2 : 0);
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
        o.c = matrix_c(args, batch);
        o.d = matrix_d(args, batch);
        o.ldc = args.ldc;
        o.ldd = args.ldd;
        o.past_l2 = (int64_t)args.m * args.n * args.batch > 1 << 25;
    }
    o.quads = (args.m | o.ldc | o.ldd) % 4 == 0 && ((uintptr_t)o.c | (uintptr_t)o.d) % 16 == 0;
    return o;
}

/* Four neighbours, of which `count` are there; aligned ones at once. */
DEVICE void load_quad(float (&x)[4], const float *from, int count, bool aligned) {
    if (aligned && count >= 4) {
        *(float4 *)x = *(const float4 *)from;
    } else {
#pragma unroll
        for (int i = 0; i < 4; i++) x[i] = i < count ? from[i] : 0.0f;
    }
}

DEVICE void store_quad(float *to, const float (&x)[4], int count, bool aligned) {
    if (aligned && count >= 4) {
        *(float4 *)to = make_float4(x[0], x[1], x[2], x[3]);
    } else {
#pragma unroll
        for (int i = 0; i < 4; i++)
            if (i < count) to[i] = x[i];
    }
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

/* A tile in the middle of a D that is only written: a multiplication and a quarter of a store per result. */
template <int TM, int TN>
DEVICE void store_whole(float *d, int64_t ldd, float alpha, bool past_l2, const float (&acc)[TN][TM]) {
#pragma unroll
    for (int j = 0; j < TN; j++) {
#pragma unroll
        for (int q = 0; q < TM / 4; q++) {
            const float *sum = &acc[j][4 * q];
            store_global_16(d + 16 * q, make_float4(alpha * sum[0], alpha * sum[1], alpha * sum[2], alpha * sum[3]),
                            past_l2);
        }
        d += (j % 4 == 3 ? 29 : 1) * ldd;
    }
}

/* By way of shared memory, a column at a time. */
template <int TM, int TN>
DEVICE void store_columns(const struct gemm_args &args, const struct output &o, float *strip,
                          const float (&acc)[TN][TM], int m0, int n0, int lane) {
    static const int LD = strip_ld<TM>();
    static const bool SINGLE = TM % 4 != 0;
    const int lane_m = lane_along_m(lane), lane_n = lane_along_n(lane);
#pragma unroll
    for (int j = 0; j < TN; j++) {
        __syncwarp();
#pragma unroll
        for (int q = 0; q < (SINGLE ? 0 : TM / 4); q++) {
            const float *quad = &acc[j][4 * q];
            *(float4 *)(strip + lane_n * LD + 16 * q + 4 * lane_m) = make_float4(quad[1], quad[0], quad[3], quad[2]);
        }
#pragma unroll
        for (int i = 0; i < (SINGLE ? TM : 0); i++)
            strip[strip_at<TM>(lane_n) + place_along<TM, 4>(lane_m, i)] = acc[j][i];
        __syncwarp();
#pragma unroll
        for (int column = 0; column < 8; column++) {
            int n = TN % 4 ? n0 + place_along<TN, 8>(column, j) : n0 + j / 4 * 32 + column * 4 + j % 4;
            if (n >= args.n) continue;
#pragma unroll
            for (int row = 0; row < 4 * TM; row += 32) {
                int m = m0 + row + lane;
                if (m < args.m && (4 * TM % 32 == 0 || row + lane < 4 * TM))
                    o.d[n * o.ldd + m] =
                        scale(o.s, strip[strip_at<TM>(column) + ((row + lane) ^ !SINGLE)], o.c + n * o.ldc + m);
            }
        }
    }
}

/*
 * The same of a thread tile that is not all quads into a D that is only written. Float by float, or pair by pair, so
 * that the compiler is free to choose registers whose banks do not collide.
 */
template <int TM, int TN>
DEVICE void store_singles(const struct gemm_args &args, const struct output &o, float *strip,
                          const float (&acc)[TN][TM], int m0, int n0, int lane) {
    const int lane_m = lane_along_m(lane), lane_n = lane_along_n(lane);
    float *const from = strip + lane;
    float *d = o.d + (int64_t)n0 * o.ldd + m0 + lane;
#pragma unroll
    for (int j = 0; j < TN; j++) {
        __syncwarp();
#pragma unroll
        for (int i = 0; i < TM; i++) strip[strip_at<TM>(lane_n) + place_along<TM, 4>(lane_m, i)] = acc[j][i];
        __syncwarp();
        float *to = d + place_along<TN, 8>(0, j) * o.ldd;
#pragma unroll
        for (int column = 0; column < 8; column++) {
            const bool inside = n0 + place_along<TN, 8>(column, j) < args.n;
#pragma unroll
            for (int row = 0; row < 4 * TM; row += 32)
                if (inside && m0 + row + lane < args.m && (row + 32 <= 4 * TM || row + lane < 4 * TM))
                    to[row] = o.s.alpha * from[strip_at<TM>(column) + row];
            to += (place_along<TN, 8>(1, j) - place_along<TN, 8>(0, j)) * o.ldd;
        }
    }
}

/* WHOLE: with a short way for tiles in the middle of a D that is only written. */
template <int TM, int TN, int WHOLE = 0>
DEVICE void store_tile(const struct gemm_args &args, float *strip, const float (&acc)[TN][TM], int m0, int n0,
                       int split, int batch, int lane) {
    const struct output o = output_of(args, split, batch);
    const bool inside = m0 + 4 * TM <= args.m && n0 + 8 * TN <= args.n;
    if (WHOLE && TM % 4 == 0 && TN % 4 == 0 && o.quads && inside && o.s.beta == 0.0f && o.s.alpha != 0.0f)
        store_whole<TM, TN>(o.d + (n0 + 4 * lane_along_n(lane)) * o.ldd + m0 + 4 * lane_along_m(lane), o.ldd, o.s.alpha,
                            o.past_l2, acc);
    else if (TM % 4 == 0 && TN % 4 == 0 && o.quads)
        store_quads<TM, TN>(args, o, acc, m0, n0, lane);
    else if (TM % 4 && o.s.beta == 0.0f && o.s.alpha != 0.0f)
        store_singles<TM, TN>(args, o, strip, acc, m0, n0, lane);
    else
        store_columns<TM, TN>(args, o, strip, acc, m0, n0, lane);
    if (finishes(args) && !args.partial) finish_tile<WHOLE ? 8 : 32>(args, batch, m0, n0, 4 * TM, 8 * TN, lane);
}

#endif
