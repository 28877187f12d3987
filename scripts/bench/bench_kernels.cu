/* The bench's device code, plain and small: none of it is timed but the loops that measure the chip's limits. */
#include <stdint.h>

#include "../../kernels/device.cuh"
#include "bench_kernels.h"

#ifdef FASTGEMM_SIM /* a test of the bench: what it measures there means nothing */
#define __device__
#define __shared__ static /* one CTA at a time */
static float cospif(float x) {
    return cosf(3.14159265f * x);
}
static void __nanosleep(unsigned) {}
#endif

#define BENCH_KERNEL(name) KERNEL_OF(struct bench_args, name, BENCH_THREADS, 1)
#define THREAD_INDEX       ((int64_t)blockIdx.x * BENCH_THREADS + threadIdx.x)
#define THREAD_COUNT       ((int64_t)gridDim.x * BENCH_THREADS)

/* splitmix64's output function: a counter in, random bits out. */
static __device__ uint64_t mix(uint64_t z) {
    z += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static __device__ float draw(uint64_t seed, int64_t index, int input) {
    uint64_t bits = mix(mix(seed) + (uint64_t)index);
    float u = ((float)(uint32_t)(bits >> 40) + 0.5f) * 0x1p-24f, v = (float)(uint32_t)((bits & 0xffffffu)) * 0x1p-24f;
    if (input == INPUT_UNIFORM) return u;
    float normal = sqrtf(-2.0f * logf(u)) * cospif(2.0f * v);
    return input == INPUT_NORMAL ? normal : expf(4.0f * normal);
}

BENCH_KERNEL(bench_fill) {
    for (int64_t i = THREAD_INDEX; i < args.count; i += THREAD_COUNT) args.out[i] = draw(args.seed, i, args.input);
}

BENCH_KERNEL(bench_untouched) {
    for (int64_t i = THREAD_INDEX; i < args.count; i += THREAD_COUNT) args.out[i] = __int_as_float(BENCH_UNTOUCHED);
}

BENCH_KERNEL(bench_copy) {
    const float4 *from = (const float4 *)args.a;
    float4 *to = (float4 *)args.out;
#pragma unroll 4
    for (int64_t i = THREAD_INDEX; i < args.count / 4; i += THREAD_COUNT) to[i] = from[i];
}

BENCH_KERNEL(bench_write) {
    float4 *to = (float4 *)args.out;
#pragma unroll 4
    for (int64_t i = THREAD_INDEX; i < args.count / 4; i += THREAD_COUNT)
        to[i] = make_float4(args.x, args.x, args.x, args.x);
}

BENCH_KERNEL(bench_read) {
    const float4 *from = (const float4 *)args.a;
    float sum = 0;
#pragma unroll 8
    for (int64_t i = THREAD_INDEX; i < args.count / 4; i += THREAD_COUNT) {
        float4 v = from[i];
        sum += v.x + v.y + v.z + v.w;
    }
    if (sum == 12345.678f) args.out[0] = sum; /* keeps the loads */
}

BENCH_KERNEL(bench_ffma) {
    /* In registers, not in uniform ones: what a GEMM's main loop has. */
    const float x = args.x + 1e-6f * threadIdx.x, y = args.y + 1e-6f * threadIdx.x;
    float chain[FFMA_CHAINS];
    for (int i = 0; i < FFMA_CHAINS; i++) chain[i] = x + i;
    for (int repeat = 0; repeat < args.repeats; repeat++)
#pragma unroll
        for (int step = 0; step < FFMA_UNROLL; step++)
#pragma unroll
            for (int i = 0; i < FFMA_CHAINS; i++) chain[i] = fmaf(chain[i], x, y);
    float sum = 0;
    for (int i = 0; i < FFMA_CHAINS; i++) sum += chain[i];
    if (sum == 12345.678f) args.out[0] = sum;
}

BENCH_KERNEL(bench_mma) {
    float acc[MMA_CHAINS][4] = {};
    uint32_t a[4], b[2];
    for (int i = 0; i < 4; i++) a[i] = __float_as_uint(args.x);
    for (int i = 0; i < 2; i++) b[i] = __float_as_uint(args.y);
    for (int repeat = 0; repeat < args.repeats; repeat++)
#pragma unroll
        for (int i = 0; i < MMA_CHAINS; i++)
#ifdef FASTGEMM_SIM
            acc[i][0] += __uint_as_float(a[0]) * __uint_as_float(b[0]);
#else
            asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
                         "{%0,%1,%2,%3};"
                         : "+f"(acc[i][0]), "+f"(acc[i][1]), "+f"(acc[i][2]), "+f"(acc[i][3])
                         : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
    float sum = 0;
    for (int i = 0; i < MMA_CHAINS; i++) sum += acc[i][0] + acc[i][1] + acc[i][2] + acc[i][3];
    if (sum == 12345.678f) args.out[0] = sum;
}

static __device__ uint64_t nanoseconds() {
    uint64_t now = UINT64_MAX;
#ifndef FASTGEMM_SIM
    asm volatile("mov.u64 %0, %globaltimer;" : "=l"(now));
#endif
    return now;
}

BENCH_KERNEL(bench_spin) {
    uint64_t end = nanoseconds() + (uint64_t)args.count;
    while (nanoseconds() < end) __nanosleep(500);
}

/* One block: 16 x 16 sampled elements over one slice of K, blockIdx.z = slice + slices * matrix. */
BENCH_KERNEL(bench_reference) {
    __shared__ double tile_a[REFERENCE_TILE][REFERENCE_TILE + 1], tile_b[REFERENCE_TILE][REFERENCE_TILE + 1];
    const int x = threadIdx.x % REFERENCE_TILE, y = threadIdx.x / REFERENCE_TILE;
    const int row = blockIdx.y * REFERENCE_TILE, column = blockIdx.x * REFERENCE_TILE;
    const int slice = blockIdx.z % args.slices, matrix = blockIdx.z / args.slices;
    const int64_t k_end = min(args.k, (int64_t)(slice + 1) * REFERENCE_SLICE);
    const float *a = args.a + args.matrices[matrix] * args.stride_a;
    const float *b = args.b + args.matrices[matrix] * args.stride_b;
    const int64_t a_row = args.rows[min(row + y, args.row_count - 1)] * args.a_row;
    const int64_t b_column = args.columns[min(column + x, args.column_count - 1)] * args.b_col;
    double product = 0, magnitude = 0;
    for (int64_t k = (int64_t)slice * REFERENCE_SLICE; k < k_end; k += REFERENCE_TILE) {
        tile_a[y][x] = k + x < k_end ? a[a_row + (k + x) * args.a_k] : 0.0;
        tile_b[y][x] = k + y < k_end ? b[b_column + (k + y) * args.b_k] : 0.0;
        __syncthreads();
        for (int i = 0; i < REFERENCE_TILE; i++) {
            product = fma(tile_a[y][i], tile_b[i][x], product);
            magnitude = fma(fabs(tile_a[y][i]), fabs(tile_b[i][x]), magnitude);
        }
        __syncthreads();
    }
    if (row + y >= args.row_count || column + x >= args.column_count) return;
    int64_t at = ((int64_t)matrix * args.row_count + row + y) * args.column_count + column + x;
    atomicAdd(args.product + at, product);
    atomicAdd(args.magnitude + at, magnitude);
}

static __device__ void raise_to(unsigned long long *worst, double value) {
    atomicMax(worst, (unsigned long long)__double_as_longlong(value));
}

/* Adds up and takes maxima over a warp, so that few atomics reach memory. All 32 lanes call it. */
static __device__ void gather(double *sum1, double v1, double *sum2, double v2, unsigned long long *worst,
                              double value) {
    for (int lane = 16; lane; lane /= 2) {
        v1 += __shfl_xor_sync(0xffffffffu, v1, lane);
        v2 += __shfl_xor_sync(0xffffffffu, v2, lane);
        value = fmax(value, __shfl_xor_sync(0xffffffffu, value, lane));
    }
    if (threadIdx.x % 32) return;
    atomicAdd(sum1, v1);
    atomicAdd(sum2, v2);
    raise_to(worst, value);
}

BENCH_KERNEL(bench_error) {
    double error2 = 0, reference2 = 0, worst = 0;
    for (int64_t i = THREAD_INDEX; i < args.count; i += THREAD_COUNT) {
        int64_t column = i % args.column_count, row = i / args.column_count % args.row_count;
        int64_t matrix = i / args.column_count / args.row_count;
        double got = args.c[args.matrices[matrix] * args.stride_c + args.columns[column] * args.ldc + args.rows[row]];
        double error = fabs(got - args.product[i]);
        error2 += error * error;
        reference2 += args.product[i] * args.product[i];
        if (args.magnitude[i] > 0) worst = fmax(worst, error / args.magnitude[i]);
    }
    gather(&args.sums->error2, error2, &args.sums->reference2, reference2, &args.sums->worst, worst);
}

/* `c` stands `guard` floats into `count` floats, all of them untouched before the product. */
BENCH_KERNEL(bench_scan) {
    unsigned long long not_finite = 0, touched = 0;
    for (int64_t i = THREAD_INDEX; i < args.count; i += THREAD_COUNT) {
        int64_t at = i - args.guard, matrix = at < 0 ? 0 : min(at / args.stride_c, args.batch - 1);
        int64_t within = at - matrix * args.stride_c, row = within % args.ldc, column = within / args.ldc;
        float value = args.c[at];
        if (at >= 0 && row < args.m && column < args.n)
            not_finite += !isfinite(value);
        else
            touched += __float_as_int(value) != BENCH_UNTOUCHED;
    }
    if (not_finite) atomicAdd(&args.sums->not_finite, not_finite);
    if (touched) atomicAdd(&args.sums->touched, touched);
}

BENCH_KERNEL(bench_compare) {
    double difference2 = 0, other2 = 0, furthest = 0;
    for (int64_t i = THREAD_INDEX; i < args.m * args.n * args.batch; i += THREAD_COUNT) {
        int64_t row = i % args.m, column = i / args.m % args.n, matrix = i / args.m / args.n;
        int64_t at = matrix * args.stride_c + column * args.ldc + row;
        double other = args.other[at], difference = fabs(args.c[at] - other);
        difference2 += difference * difference;
        other2 += other * other;
        furthest = fmax(furthest, difference);
    }
    gather(&args.sums->difference2, difference2, &args.sums->other2, other2, &args.sums->furthest, furthest);
}
