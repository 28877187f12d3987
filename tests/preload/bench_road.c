/*
 * What the road costs on the host, in nanoseconds a call, to be run under the preload. Forwarded calls are compared
 * with the same function of the stand-in cuBLAS called directly; for routed ones (`bench_road routed`) a launch that
 * does nothing takes the place of the runtime's. "Questions" is what the stand-ins take to answer what the road has to
 * ask of them: that part is theirs, and other with the real ones.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cublas_v2.h>
#include <cuda_runtime_api.h>

enum { ROUNDS = 7, CALLS = 20000 };

typedef cublasStatus_t gemm_ex(cublasHandle_t, cublasOperation_t, cublasOperation_t, int, int, int, const void *,
                               const void *, cudaDataType, int, const void *, cudaDataType, int, const void *, void *,
                               cudaDataType, int, cublasComputeType_t, cublasGemmAlgo_t);

static cublasHandle_t handle;
static void *memory;
static const float one = 1;
static long launches;

/* This definition comes before the stand-in runtime's. */
cudaError_t cudaLaunchKernel(const void *kernel, dim3 grid, dim3 block, void **arguments, size_t shared,
                             cudaStream_t stream) {
    (void)kernel, (void)grid, (void)block, (void)arguments, (void)shared, (void)stream;
    launches++;
    return cudaSuccess;
}

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

static double least(gemm_ex *call, const struct what *what) {
    double best = 1e30;
    for (int round = 0; round < ROUNDS; round++) {
        double start = now();
        for (int i = 0; i < CALLS; i++)
            call(handle, CUBLAS_OP_N, CUBLAS_OP_N, what->n, what->n, what->k, &one, memory, what->type, 8192, memory,
                 what->type, 8192, &one, memory, what->type, 8192, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT);
        double each = (now() - start) / CALLS;
        if (each < best) best = each;
    }
    return best;
}

static double questions(int routed) {
    double best = 1e30;
    for (int round = 0; round < ROUNDS; round++) {
        double start = now();
        for (int i = 0; i < CALLS; i++) {
            cudaStream_t stream;
            cublasMath_t math;
            cublasPointerMode_t pointer;
            cublasEmulationStrategy_t strategy;
            enum cudaStreamCaptureStatus capture;
            int sms, device;
            cublasGetStream_v2(handle, &stream);
            cublasGetMathMode(handle, &math);
            cublasGetPointerMode_v2(handle, &pointer);
            cublasGetEmulationStrategy(handle, &strategy);
            cublasGetSmCountTarget(handle, &sms);
            cudaGetDevice(&device);
            if (routed) cudaStreamIsCapturing(NULL, &capture);
            if (routed) cudaGetDevice(&device);
        }
        double each = (now() - start) / CALLS;
        if (each < best) best = each;
    }
    return best;
}

static void forwarded(void) {
    static const struct what cases[] = {
        {"fp16", 0, 64, CUDA_R_16F}, {"empty", 0, 64, CUDA_R_32F}, {"small", 1, 1, CUDA_R_32F}};
    gemm_ex *direct;
    *(void **)&direct = dlsym(dlopen("libcublas.so.13", RTLD_LAZY), "cublasGemmEx");
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        double base = least(direct, &cases[i]), linked = least(cublasGemmEx, &cases[i]);
        printf("forwarded %-6s direct %6.0f ns, linked %6.0f ns, added %5.0f ns\n", cases[i].name, base, linked,
               linked - base);
    }
    printf("of the last, questions %.0f ns\n", questions(0));
}

/* With the caller's workspace: the stand-in's pool fills what it gives with NaN, which takes its time. */
static void routed(void) {
    enum { WORKSPACE = 1 << 22 };
    void *workspace = NULL;
    if (cudaMalloc(&workspace, WORKSPACE) || cublasSetWorkspace_v2(handle, workspace, WORKSPACE)) exit(1);
    static const struct what cases[] = {{"plain", 64, 64, CUDA_R_32F}, {"split", 64, 8192, CUDA_R_32F}};
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        launches = 0;
        double linked = least(cublasGemmEx, &cases[i]);
        printf("routed %-6s %6.0f ns, %.1f launches a call\n", cases[i].name, linked,
               (double)launches / (ROUNDS * CALLS));
    }
    printf("of each, questions %.0f ns\n", questions(1));
}

int main(int argc, char **argv) {
    int run_here = argc > 1 && strcmp(argv[1], "routed") == 0;
    if (run_here) setenv("FASTGEMM_KERNEL", "sgemm_simt_64x64x8", 1);
    if (cublasCreate_v2(&handle) || cudaMalloc(&memory, 1 << 20)) return 1;
    if (run_here)
        routed();
    else
        forwarded();
    cublasDestroy_v2(handle);
    return 0;
}
