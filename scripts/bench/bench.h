/*
 * What the bench's files share: its settings, the limits of the chip, engines that run a product, and results.
 */
#ifndef FASTGEMM_BENCH_H
#define FASTGEMM_BENCH_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <cuda_runtime_api.h>

#include "../../policy/cost.h"
#include "../../policy/plan.h"
#include "bench_kernels.h"
#include "problems.h"

/* Exit statuses of the program. */
enum { BENCH_OK = 0, BENCH_USAGE = 1, BENCH_WRONG_RESULT = 2, BENCH_CUDA_ERROR = 3, BENCH_NO_GPU = 77 };

struct bench_settings {
    int kernel, split, raster; /* forced; -1 and 0: not */
    bool all_variants, hot, no_lt;
    double seconds;        /* time box of one engine on one problem */
    int64_t scratch_bytes; /* what a split may use */
    int offset;            /* floats that operands stand off their 256-byte boundary */
    uint64_t seed;
    enum bench_input input;
    const char *cublas_path, *csv, *json;
};

/* Measured rates: operations and bytes per second. */
struct bench_limits {
    double ffma, tensor, copy, read, write;
};

struct bench_device {
    char name[256];
    int driver, cublas_version;
    struct gemm_device traits; /* what the policy is told */
    struct bench_limits limits;
};

struct operands {
    float *a, *b, *c;
};

/* One way to compute a problem. `run` enqueues it and returns 0, or an error code of its library. */
struct engine {
    const char *label;
    int (*run)(const struct engine *engine, const struct operands *operands, cudaStream_t stream);
    const struct gemm_problem *problem;
    void *state;
};

struct timing {
    double median, first_quartile, third_quartile, least; /* seconds */
    int samples;
};

struct accuracy {
    double frobenius, component; /* relative; largest |error| / (|A||B|) */
    double apart;                /* relative Frobenius distance from the other engine, over all of C */
    double furthest;             /* largest distance over the root mean square of C */
    unsigned long long not_finite, touched;
};

enum { ENGINE_OURS, ENGINE_CUBLAS, ENGINE_LT, ENGINE_COUNT };

struct bench_result {
    const struct bench_problem *problem;
    struct gemm_plan plan;  /* what was run */
    enum gemm_reason route; /* what the policy says when nothing is forced: routed, or why it forwards */
    struct timing time[ENGINE_COUNT];
    struct accuracy error[2]; /* ours, cuBLAS */
    const char *verdict;      /* "ok", or what is wrong */
    double floor;             /* seconds, from the measured limits */
};

/* Ends the program with a line that names what failed. */
void bench_cuda(cudaError_t error, const char *what);
_Noreturn void bench_die(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Launches one of the bench's own kernels, with as many blocks as `count` needs (device.c). */
void bench_launch(const void *kernel, const struct bench_args *args, int64_t count, cudaStream_t stream);
void bench_launch_grid(const void *kernel, const struct bench_args *args, dim3 grid, int threads, cudaStream_t stream);

double bench_bytes_read(const struct gemm_problem *problem);
double bench_bytes_written(const struct gemm_problem *problem);
/* Seconds that the measured limits allow at best. */
double bench_floor(const struct gemm_problem *problem, const struct bench_limits *limits);
double bench_byte_floor(const struct gemm_problem *problem, const struct bench_limits *limits);
double bench_peak(const struct gemm_problem *problem, const struct bench_limits *limits);

#endif
