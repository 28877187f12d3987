/*
 * The doors: the cuBLAS matrix products that we serve. Each describes its call and, unless it was launched here, hands
 * it on as it came, through the same entry of the same copy of cuBLAS. cuBLAS API reference, section "cuBLAS Level-3"
 * and "BLAS-like extension".
 */
#include "dispatch.h"

#define CALLER() __builtin_extract_return_addr(__builtin_return_address(0))

/* What every door ends with: launched here, or handed on. */
#define ROUTE_OR_FORWARD(name, ...)                                                                                    \
    const struct handle_view view = handle_state_find(handle, CALLER());                                               \
    if (!view.real || !view.real->name) return CUBLAS_STATUS_NOT_INITIALIZED;                                          \
    if (dispatch(&call, view)) return CUBLAS_STATUS_SUCCESS;                                                           \
    return view.real->name(__VA_ARGS__)

/* clang-format off: a member a line would bury the four that matter */
#define SGEMM(name, integer)                                                                                           \
    cublasStatus_t name(cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb, integer m,          \
                        integer n, integer k, const float *alpha, const float *A, integer lda, const float *B,         \
                        integer ldb, const float *beta, float *C, integer ldc) {                                       \
        const struct gemm_call call = {.entry = #name,                                                                 \
                                       .handle = handle,                                                               \
                                       .op_a = transa,                                                                 \
                                       .op_b = transb,                                                                 \
                                       .m = m,                                                                         \
                                       .n = n,                                                                         \
                                       .k = k,                                                                         \
                                       .alpha = alpha,                                                                 \
                                       .beta = beta,                                                                   \
                                       .a = A,                                                                         \
                                       .b = B,                                                                         \
                                       .c = C,                                                                         \
                                       .lda = lda,                                                                     \
                                       .ldb = ldb,                                                                     \
                                       .ldc = ldc,                                                                     \
                                       .batch = 1,                                                                     \
                                       .type_a = CUDA_R_32F,                                                           \
                                       .type_b = CUDA_R_32F,                                                           \
                                       .type_c = CUDA_R_32F,                                                           \
                                       .algo = CUBLAS_GEMM_DEFAULT};                                                   \
        ROUTE_OR_FORWARD(name, handle, transa, transb, m, n, k, alpha, A, lda, B, ldb, beta, C, ldc);                  \
    }

#define SGEMM_EX(name, integer)                                                                                        \
    cublasStatus_t name(cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb, integer m,          \
                        integer n, integer k, const float *alpha, const void *A, cudaDataType Atype, integer lda,      \
                        const void *B, cudaDataType Btype, integer ldb, const float *beta, void *C,                    \
                        cudaDataType Ctype, integer ldc) {                                                             \
        const struct gemm_call call = {.entry = #name,                                                                 \
                                       .handle = handle,                                                               \
                                       .op_a = transa,                                                                 \
                                       .op_b = transb,                                                                 \
                                       .m = m,                                                                         \
                                       .n = n,                                                                         \
                                       .k = k,                                                                         \
                                       .alpha = alpha,                                                                 \
                                       .beta = beta,                                                                   \
                                       .a = A,                                                                         \
                                       .b = B,                                                                         \
                                       .c = C,                                                                         \
                                       .lda = lda,                                                                     \
                                       .ldb = ldb,                                                                     \
                                       .ldc = ldc,                                                                     \
                                       .batch = 1,                                                                     \
                                       .type_a = Atype,                                                                \
                                       .type_b = Btype,                                                                \
                                       .type_c = Ctype,                                                                \
                                       .algo = CUBLAS_GEMM_DEFAULT};                                                   \
        ROUTE_OR_FORWARD(name, handle, transa, transb, m, n, k, alpha, A, Atype, lda, B, Btype, ldb, beta, C, Ctype,   \
                         ldc);                                                                                         \
    }

#define GEMM_EX(name, integer)                                                                                         \
    cublasStatus_t name(cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb, integer m,          \
                        integer n, integer k, const void *alpha, const void *A, cudaDataType Atype, integer lda,       \
                        const void *B, cudaDataType Btype, integer ldb, const void *beta, void *C, cudaDataType Ctype, \
                        integer ldc, cublasComputeType_t computeType, cublasGemmAlgo_t algo) {                         \
        const struct gemm_call call = {.entry = #name,                                                                 \
                                       .handle = handle,                                                               \
                                       .op_a = transa,                                                                 \
                                       .op_b = transb,                                                                 \
                                       .m = m,                                                                         \
                                       .n = n,                                                                         \
                                       .k = k,                                                                         \
                                       .alpha = alpha,                                                                 \
                                       .beta = beta,                                                                   \
                                       .a = A,                                                                         \
                                       .b = B,                                                                         \
                                       .c = C,                                                                         \
                                       .lda = lda,                                                                     \
                                       .ldb = ldb,                                                                     \
                                       .ldc = ldc,                                                                     \
                                       .batch = 1,                                                                     \
                                       .type_a = Atype,                                                                \
                                       .type_b = Btype,                                                                \
                                       .type_c = Ctype,                                                                \
                                       .has_compute = true,                                                            \
                                       .compute = computeType,                                                         \
                                       .algo = algo};                                                                  \
        ROUTE_OR_FORWARD(name, handle, transa, transb, m, n, k, alpha, A, Atype, lda, B, Btype, ldb, beta, C, Ctype,   \
                         ldc, computeType, algo);                                                                      \
    }

#define SGEMM_STRIDED(name, integer)                                                                                   \
    cublasStatus_t name(cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb, integer m,          \
                        integer n, integer k, const float *alpha, const float *A, integer lda, long long int strideA,  \
                        const float *B, integer ldb, long long int strideB, const float *beta, float *C, integer ldc,  \
                        long long int strideC, integer batchCount) {                                                   \
        const struct gemm_call call = {.entry = #name,                                                                 \
                                       .handle = handle,                                                               \
                                       .op_a = transa,                                                                 \
                                       .op_b = transb,                                                                 \
                                       .m = m,                                                                         \
                                       .n = n,                                                                         \
                                       .k = k,                                                                         \
                                       .alpha = alpha,                                                                 \
                                       .beta = beta,                                                                   \
                                       .a = A,                                                                         \
                                       .b = B,                                                                         \
                                       .c = C,                                                                         \
                                       .lda = lda,                                                                     \
                                       .ldb = ldb,                                                                     \
                                       .ldc = ldc,                                                                     \
                                       .stride_a = strideA,                                                            \
                                       .stride_b = strideB,                                                            \
                                       .stride_c = strideC,                                                            \
                                       .batch = batchCount,                                                            \
                                       .type_a = CUDA_R_32F,                                                           \
                                       .type_b = CUDA_R_32F,                                                           \
                                       .type_c = CUDA_R_32F,                                                           \
                                       .algo = CUBLAS_GEMM_DEFAULT};                                                   \
        ROUTE_OR_FORWARD(name, handle, transa, transb, m, n, k, alpha, A, lda, strideA, B, ldb, strideB, beta, C, ldc, \
                         strideC, batchCount);                                                                         \
    }

#define GEMM_STRIDED_EX(name, integer)                                                                                 \
    cublasStatus_t name(cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb, integer m,          \
                        integer n, integer k, const void *alpha, const void *A, cudaDataType Atype, integer lda,       \
                        long long int strideA, const void *B, cudaDataType Btype, integer ldb, long long int strideB,  \
                        const void *beta, void *C, cudaDataType Ctype, integer ldc, long long int strideC,             \
                        integer batchCount, cublasComputeType_t computeType, cublasGemmAlgo_t algo) {                  \
        const struct gemm_call call = {.entry = #name,                                                                 \
                                       .handle = handle,                                                               \
                                       .op_a = transa,                                                                 \
                                       .op_b = transb,                                                                 \
                                       .m = m,                                                                         \
                                       .n = n,                                                                         \
                                       .k = k,                                                                         \
                                       .alpha = alpha,                                                                 \
                                       .beta = beta,                                                                   \
                                       .a = A,                                                                         \
                                       .b = B,                                                                         \
                                       .c = C,                                                                         \
                                       .lda = lda,                                                                     \
                                       .ldb = ldb,                                                                     \
                                       .ldc = ldc,                                                                     \
                                       .stride_a = strideA,                                                            \
                                       .stride_b = strideB,                                                            \
                                       .stride_c = strideC,                                                            \
                                       .batch = batchCount,                                                            \
                                       .type_a = Atype,                                                                \
                                       .type_b = Btype,                                                                \
                                       .type_c = Ctype,                                                                \
                                       .has_compute = true,                                                            \
                                       .compute = computeType,                                                         \
                                       .algo = algo};                                                                  \
        ROUTE_OR_FORWARD(name, handle, transa, transb, m, n, k, alpha, A, Atype, lda, strideA, B, Btype, ldb, strideB, \
                         beta, C, Ctype, ldc, strideC, batchCount, computeType, algo);                                 \
    }

SGEMM(cublasSgemm_v2, int)
SGEMM(cublasSgemm_v2_64, int64_t)
SGEMM_EX(cublasSgemmEx, int)
SGEMM_EX(cublasSgemmEx_64, int64_t)
GEMM_EX(cublasGemmEx, int)
GEMM_EX(cublasGemmEx_64, int64_t)
SGEMM_STRIDED(cublasSgemmStridedBatched, int)
SGEMM_STRIDED(cublasSgemmStridedBatched_64, int64_t)
GEMM_STRIDED_EX(cublasGemmStridedBatchedEx, int)
GEMM_STRIDED_EX(cublasGemmStridedBatchedEx_64, int64_t)
