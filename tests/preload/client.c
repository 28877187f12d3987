/*
 * A program that uses cuBLAS and knows nothing else. Each argument is one act, in order:
 *   n=N          C = A B, all N x N, through cublasSgemm_v2
 *   size=N       of the two that follow, 64 until then
 *   ex=COMPUTE   N x N x N through cublasGemmEx, with this compute type
 *   algo=A       the same with compute type 32F and this algorithm
 *   math=M, strategy=S, pointer=P, sms=N   set this on the handle
 *   empty, invalid, half   a product with m = 0, with lda too small, of fp16
 *   distinct=N   N products that differ
 *   legacy       the interface without handles
 *   fork         a child does n=64 and ends as main does; _exit: ends at once
 * At the end it prints what arrived where: kernels launched, products that cuBLAS saw, and the last CUDA error.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cublas_api.h>
#include <cuda_runtime_api.h>

#include "sim_api.h"

enum { MAX_N = 512 };

/* cublas.h, of which cublas_api.h and it allow only one in a file. */
void cublasSgemm(char transa, char transb, int m, int n, int k, float alpha, const float *A, int lda, const float *B,
                 int ldb, float beta, float *C, int ldc);
static cublasHandle_t handle;
static float *matrix[3];
static int size = 64;
static const float one = 1, zero = 0;

static int sgemm(int m, int n, int k, int lda) {
    return cublasSgemm_v2(handle, CUBLAS_OP_N, CUBLAS_OP_N, m, n, k, &one, matrix[0], lda, matrix[1], k, &zero,
                          matrix[2], m > 0 ? m : 1);
}

static int gemm_ex(cudaDataType type, int compute, int algo) {
    return cublasGemmEx(handle, CUBLAS_OP_N, CUBLAS_OP_N, size, size, size, &one, matrix[0], type, size, matrix[1],
                        type, size, &zero, matrix[2], type, size, (cublasComputeType_t)compute, (cublasGemmAlgo_t)algo);
}

static void start(void) {
    cublasCreate_v2(&handle);
    for (int i = 0; i < 3; i++) {
        cudaMalloc((void **)&matrix[i], MAX_N * MAX_N * sizeof(float));
        cudaMemset(matrix[i], 0, MAX_N * MAX_N * sizeof(float));
    }
}

static void in_child(void) {
    pid_t child = fork();
    if (child == 0) {
        sgemm(64, 64, 64, 64);
        exit(0);
    }
    waitpid(child, NULL, 0);
}

static int act(const char *name, int value) {
    if (strcmp(name, "n") == 0) return sgemm(value, value, value, value);
    if (strcmp(name, "size") == 0) size = value;
    if (strcmp(name, "ex") == 0) return gemm_ex(CUDA_R_32F, value, CUBLAS_GEMM_DEFAULT);
    if (strcmp(name, "algo") == 0) return gemm_ex(CUDA_R_32F, CUBLAS_COMPUTE_32F, value);
    if (strcmp(name, "half") == 0) return gemm_ex(CUDA_R_16F, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT);
    if (strcmp(name, "math") == 0) return cublasSetMathMode(handle, (cublasMath_t)value);
    if (strcmp(name, "strategy") == 0) return cublasSetEmulationStrategy(handle, (cublasEmulationStrategy_t)value);
    if (strcmp(name, "pointer") == 0) return cublasSetPointerMode_v2(handle, (cublasPointerMode_t)value);
    if (strcmp(name, "sms") == 0) return cublasSetSmCountTarget(handle, value);
    if (strcmp(name, "empty") == 0) return sgemm(0, 64, 64, 64);
    if (strcmp(name, "invalid") == 0) return sgemm(64, 64, 64, 1);
    if (strcmp(name, "fork") == 0) in_child();
    if (strcmp(name, "_exit") == 0) _exit(0);
    for (int i = 1; strcmp(name, "distinct") == 0 && i <= value; i++) sgemm(64, 64, 1 + i % 8, 64 + i);
    if (strcmp(name, "legacy") == 0)
        cublasSgemm('N', 'N', 64, 64, 64, 1, matrix[0], 64, matrix[1], 64, 0, matrix[2], 64);
    return 0;
}

static unsigned long products(void) {
    static struct fgsim_cublas_call calls[4096];
    unsigned long count = 0, total = fgsim_cublas_calls(calls, 4096);
    if (total > 4096) return total;
    for (unsigned long i = 0; i < total; i++) count += strstr(calls[i].function, "emm") != NULL;
    return count;
}

int main(int argc, char **argv) {
    if (argc > 1) start();
    for (int i = 1; i < argc; i++) {
        char *equals = strchr(argv[i], '=');
        if (equals) *equals = 0;
        printf("%s: %d\n", argv[i], act(argv[i], equals ? atoi(equals + 1) : 0));
        fflush(stdout);
    }
    if (argc > 1)
        printf("launches=%d products=%lu error=%d\n", (int)fgsim_launches("sgemm_"), products(),
               (int)cudaPeekAtLastError());
    return 0;
}
