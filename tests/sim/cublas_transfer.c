/* cuBLAS's helpers that copy vectors and matrices between host and device, which small programs like to use. */
#include "cublas_standin.h"

static cublasStatus_t copy(int rows, int columns, int element, const void *from, int from_ld, void *to, int to_ld,
                           enum cudaMemcpyKind kind) {
    if (rows < 0 || columns < 0 || element <= 0 || from_ld <= 0 || to_ld <= 0) return CUBLAS_STATUS_INVALID_VALUE;
    cudaError_t error = cudaMemcpy2D(to, (size_t)to_ld * (size_t)element, from, (size_t)from_ld * (size_t)element,
                                     (size_t)rows * (size_t)element, (size_t)columns, kind);
    return error == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_MAPPING_ERROR;
}

cublasStatus_t cublasSetMatrix(int rows, int cols, int elemSize, const void *A, int lda, void *B, int ldb) {
    return copy(rows, cols, elemSize, A, lda, B, ldb, cudaMemcpyHostToDevice);
}

cublasStatus_t cublasGetMatrix(int rows, int cols, int elemSize, const void *A, int lda, void *B, int ldb) {
    return copy(rows, cols, elemSize, A, lda, B, ldb, cudaMemcpyDeviceToHost);
}

/* A vector is a matrix of one row. */
cublasStatus_t cublasSetVector(int n, int elemSize, const void *x, int incx, void *y, int incy) {
    return copy(1, n, elemSize, x, incx, y, incy, cudaMemcpyHostToDevice);
}

cublasStatus_t cublasGetVector(int n, int elemSize, const void *x, int incx, void *y, int incy) {
    return copy(1, n, elemSize, x, incx, y, incy, cudaMemcpyDeviceToHost);
}
