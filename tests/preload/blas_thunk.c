/*
 * sgemm_, as Fortran programs call it, on cublasSgemm_v2: with it netlib's own test of the level-3 BLAS tests a cuBLAS.
 * Wrong arguments are told to xerbla_ by the reference BLAS's numbers, provided that cuBLAS refused them too.
 */
#include <stddef.h>
#include <string.h>

#include <cublas_v2.h>
#include <cuda_runtime_api.h>

extern void xerbla_(const char *name, const int *info, size_t length);

static int at_least_one(int n) {
    return n > 1 ? n : 1;
}

static int operation(char c) {
    return c == 'N' || c == 'n' ? CUBLAS_OP_N : strchr("TtCc", c) ? CUBLAS_OP_T : -1;
}

static int first_wrong(int ta, int tb, int m, int n, int k, int lda, int ldb, int ldc) {
    if (ta < 0) return 1;
    if (tb < 0) return 2;
    if (m < 0) return 3;
    if (n < 0) return 4;
    if (k < 0) return 5;
    if (lda < at_least_one(ta == CUBLAS_OP_N ? m : k)) return 8;
    if (ldb < at_least_one(tb == CUBLAS_OP_N ? k : n)) return 10;
    return ldc < at_least_one(m) ? 13 : 0;
}

static float *to_device(const float *host, int ld, int columns) {
    float *device = NULL;
    size_t bytes = (size_t)at_least_one(ld) * (size_t)at_least_one(columns) * sizeof *host;
    cudaMalloc((void **)&device, bytes);
    if (columns > 0 && ld > 0) cudaMemcpy(device, host, bytes, cudaMemcpyHostToDevice);
    return device;
}

__attribute__((visibility("default"))) void sgemm_(const char *transa, const char *transb, const int *m, const int *n,
                                                   const int *k, const float *alpha, const float *a, const int *lda,
                                                   const float *b, const int *ldb, const float *beta, float *c,
                                                   const int *ldc, size_t length_a, size_t length_b) {
    static cublasHandle_t handle;
    int ta = operation(*transa), tb = operation(*transb);
    int info = first_wrong(ta, tb, *m, *n, *k, *lda, *ldb, *ldc);
    (void)length_a, (void)length_b;
    if (!handle && cublasCreate_v2(&handle) != CUBLAS_STATUS_SUCCESS) return;
    float *da = to_device(a, *lda, info ? 0 : ta == CUBLAS_OP_N ? *k : *m);
    float *db = to_device(b, *ldb, info ? 0 : tb == CUBLAS_OP_N ? *n : *k);
    float *dc = to_device(c, *ldc, info ? 0 : *n);
    cublasStatus_t status = cublasSgemm_v2(handle, (cublasOperation_t)ta, (cublasOperation_t)tb, *m, *n, *k, alpha, da,
                                           *lda, db, *ldb, beta, dc, *ldc);
    if (status == CUBLAS_STATUS_SUCCESS && *n > 0)
        cudaMemcpy(c, dc, (size_t)*ldc * (size_t)*n * sizeof *c, cudaMemcpyDeviceToHost);
    if (status == CUBLAS_STATUS_INVALID_VALUE && info) xerbla_("SGEMM ", &info, 6);
    cudaFree(da);
    cudaFree(db);
    cudaFree(dc);
}
