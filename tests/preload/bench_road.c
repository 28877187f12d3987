/*
 * What the road costs on the host, in nanoseconds a call: run with and without the preload, and compare. Direct is the
 * stand-in cuBLAS called past the preload. The simulated GPU runs in the caller's thread, so a routed call's figure
 * holds a kernel's time too; see its difference to an empty one's in a profiler, not here.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cublas_v2.h>
#include <cuda_runtime_api.h>

enum { ROUNDS = 7, CALLS = 20000 };

typedef cublasStatus_t gemm_ex(cublasHandle_t, cublasOperation_t, cublasOperation_t, int, int, int, const void *,
                               const void *, cudaDataType, int, const void *, cudaDataType, int, const void *, void *,
                               cudaDataType, int, cublasComputeType_t, cublasGemmAlgo_t);

static cublasHandle_t handle;
static const float one = 1;

struct what {
    const char *name;
    int n, k;
    cudaDataType type;
};

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static double least(gemm_ex *call, const struct what *what, void *memory) {
    double best = 1e30;
    for (int round = 0; round < ROUNDS; round++) {
        double start = now();
        for (int i = 0; i < CALLS; i++)
            call(handle, CUBLAS_OP_N, CUBLAS_OP_N, what->n, what->n, what->k, &one, memory, what->type, 4096, memory,
                 what->type, 4096, &one, memory, what->type, 4096, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT);
        double each = (now() - start) / CALLS;
        if (each < best) best = each;
    }
    return best;
}

int main(void) {
    /* What the stand-in refuses at once, so that its own time is short: a leading dimension too small, n = 0. */
    static const struct what cases[] = {
        {"fp16", 0, 64, CUDA_R_16F}, {"empty", 0, 64, CUDA_R_32F}, {"small", 1, 1, CUDA_R_32F}};
    void *library = dlopen("libcublas.so.13", RTLD_LAZY), *memory;
    gemm_ex *direct;
    *(void **)&direct = dlsym(library, "cublasGemmEx");
    if (cublasCreate_v2(&handle) || cudaMalloc(&memory, 1 << 20)) return 1;
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        double base = least(direct, &cases[i], memory), linked = least(cublasGemmEx, &cases[i], memory);
        printf("%-6s direct %7.0f ns, linked %7.0f ns, added %5.0f ns\n", cases[i].name, base, linked, linked - base);
    }
    cublasDestroy_v2(handle);
    return 0;
}
