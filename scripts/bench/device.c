/* The chip: kernels of the bench on it, errors from it, its measured limits. */
#include "device.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#ifdef FASTGEMM_SIM /* a test of the bench: few steps, little memory */
enum { LIMIT_REPEATS = 1, LIMIT_BYTES = 1 << 16, LIMIT_L2 = 0 };
#else
enum { LIMIT_REPEATS = 2000, LIMIT_BYTES = 1 << 30, LIMIT_L2 = 16 };
#endif

void bench_die(int status, const char *format, ...) {
    va_list list;
    va_start(list, format);
    fflush(stdout);
    fputs("bench: ", stderr);
    vfprintf(stderr, format, list);
    fputc('\n', stderr);
    va_end(list);
    exit(status);
}

void bench_cuda(cudaError_t error, const char *what) {
    if (error != cudaSuccess) bench_die(BENCH_CUDA_ERROR, "%s: %s", what, cudaGetErrorString(error));
}

void bench_launch_grid(const void *kernel, const struct bench_args *args, dim3 grid, int threads, cudaStream_t stream) {
    void *argv[] = {(void *)args};
    bench_cuda(cudaLaunchKernel(kernel, grid, (dim3){(unsigned)threads, 1, 1}, argv, 0, stream),
               "a kernel of the bench");
}

void bench_launch(const void *kernel, const struct bench_args *args, int64_t count, cudaStream_t stream) {
    int64_t blocks = (count + BENCH_THREADS - 1) / BENCH_THREADS;
    dim3 grid = {(unsigned)(blocks < 65536 ? blocks : 65536), 1, 1};
    bench_launch_grid(kernel, args, grid, BENCH_THREADS, stream);
}

double bench_event_seconds(cudaEvent_t from, cudaEvent_t to) {
    float ms = 0;
    bench_cuda(cudaEventElapsedTime(&ms, from, to), "cudaEventElapsedTime");
    return ms * 1e-3;
}

/* The best of a few runs: a limit is what the chip can do, not what it does on average. */
static double least_seconds(const void *kernel, const struct bench_args *args, dim3 grid) {
    cudaEvent_t from, to;
    double least = 1e30;
    bench_cuda(cudaEventCreate(&from), "cudaEventCreate");
    bench_cuda(cudaEventCreate(&to), "cudaEventCreate");
    for (int run = 0; run < 6; run++) {
        bench_cuda(cudaEventRecord(from, NULL), "cudaEventRecord");
        bench_launch_grid(kernel, args, grid, BENCH_THREADS, NULL);
        bench_cuda(cudaEventRecord(to, NULL), "cudaEventRecord");
        bench_cuda(cudaEventSynchronize(to), "a kernel that measures the chip");
        double seconds = bench_event_seconds(from, to);
        if (run && seconds < least) least = seconds;
    }
    cudaEventDestroy(from);
    cudaEventDestroy(to);
    return least;
}

static void measure_bandwidth(struct bench_limits *limits, const struct gemm_device *device) {
    int64_t bytes = LIMIT_BYTES, wanted = LIMIT_L2 * device->l2_bytes;
    while (bytes < wanted) bytes *= 2;
    float *memory = NULL;
    bench_cuda(cudaMalloc((void **)&memory, (size_t)(2 * bytes)), "memory for the bandwidth measurement");
    bench_cuda(cudaMemset(memory, 0, (size_t)(2 * bytes)), "cudaMemset");
    struct bench_args args = {.out = memory + bytes / 4, .a = memory, .count = bytes / 4, .x = 1.0f};
    dim3 grid = {(unsigned)(device->sm_count * 16), 1, 1};
    limits->copy = 2.0 * (double)bytes / least_seconds((const void *)bench_copy, &args, grid);
    limits->write = (double)bytes / least_seconds((const void *)bench_write, &args, grid);
    limits->read = (double)bytes / least_seconds((const void *)bench_read, &args, grid);
    bench_cuda(cudaFree(memory), "cudaFree");
}

void bench_measure_limits(struct bench_limits *limits, const struct gemm_device *device) {
    float *sink = NULL;
    bench_cuda(cudaMalloc((void **)&sink, 256), "cudaMalloc");
    struct bench_args args = {.out = sink, .x = 0.5f, .y = 0.25f, .repeats = LIMIT_REPEATS};
    dim3 grid = {(unsigned)(device->sm_count * 16), 1, 1};
    double threads = (double)grid.x * BENCH_THREADS;
    limits->ffma =
        threads * 2.0 * FFMA_CHAINS * FFMA_UNROLL * args.repeats / least_seconds((const void *)bench_ffma, &args, grid);
    double mma =
        threads / 32 * 2048.0 * MMA_CHAINS * args.repeats / least_seconds((const void *)bench_mma, &args, grid);
    if (mma > limits->tensor) limits->tensor = mma;
    bench_cuda(cudaFree(sink), "cudaFree");
    measure_bandwidth(limits, device);
}

double bench_bytes_read(const struct gemm_problem *p) {
    return 4.0 * (double)p->batch * ((double)p->m * (double)p->k + (double)p->k * (double)p->n);
}

double bench_bytes_written(const struct gemm_problem *p) {
    return 4.0 * (double)p->batch * (double)p->m * (double)p->n;
}

double bench_peak(const struct gemm_problem *p, const struct bench_limits *limits) {
    return p->contract == CONTRACT_TF32 ? limits->tensor : limits->ffma;
}

double bench_byte_floor(const struct gemm_problem *p, const struct bench_limits *limits) {
    return bench_bytes_read(p) / limits->read + bench_bytes_written(p) / limits->write;
}

double bench_floor(const struct gemm_problem *p, const struct bench_limits *limits) {
    double bytes = bench_byte_floor(p, limits), operations = gemm_flops(p) / bench_peak(p, limits);
    return bytes > operations ? bytes : operations;
}
