/*
 * The doors of batches whose matrices lie anywhere: arrays of pointers, which lie on the device and are never read
 * here, and groups of such batches, whose sizes and scalars lie on the host. cuBLAS API reference, the functions'
 * names.
 */
#include <stdlib.h>

#include "dispatch.h"

#define CALLER() __builtin_extract_return_addr(__builtin_return_address(0))

/* What every door ends with: launched here, or handed on. */
#define ROUTE_OR_FORWARD(name, ...)                                                                                    \
    const struct handle_view view = handle_state_find(handle, CALLER());                                               \
    if (!view.real || !view.real->name) return CUBLAS_STATUS_NOT_INITIALIZED;                                          \
    if (dispatch(&call, view)) return CUBLAS_STATUS_SUCCESS;                                                           \
    return view.real->name(__VA_ARGS__)

/* clang-format off: a member a line would bury the four that matter */
#define WORDS(name)                                                                                                    \
    .entry = #name, .handle = handle, .op_a = transa, .op_b = transb, .m = m, .n = n, .k = k, .alpha = alpha,          \
    .beta = beta, .a = Aarray, .b = Barray, .c = (void *)(uintptr_t)Carray, .pointer_array = true, .lda = lda,         \
    .ldb = ldb, .ldc = ldc, .batch = batchCount
#define OF_FP32 .type_a = CUDA_R_32F, .type_b = CUDA_R_32F, .type_c = CUDA_R_32F

#define SGEMM_BATCHED(name, integer)                                                                                   \
    cublasStatus_t name(cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb, integer m,          \
                        integer n, integer k, const float *alpha, const float *const Aarray[], integer lda,            \
                        const float *const Barray[], integer ldb, const float *beta, float *const Carray[],            \
                        integer ldc, integer batchCount) {                                                             \
        const struct gemm_call call = {WORDS(name), OF_FP32, .algo = CUBLAS_GEMM_DEFAULT};                             \
        ROUTE_OR_FORWARD(name, handle, transa, transb, m, n, k, alpha, Aarray, lda, Barray, ldb, beta, Carray, ldc,    \
                         batchCount);                                                                                  \
    }

#define GEMM_BATCHED_EX(name, integer)                                                                                 \
    cublasStatus_t name(cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb, integer m,          \
                        integer n, integer k, const void *alpha, const void *const Aarray[], cudaDataType Atype,       \
                        integer lda, const void *const Barray[], cudaDataType Btype, integer ldb, const void *beta,    \
                        void *const Carray[], cudaDataType Ctype, integer ldc, integer batchCount,                     \
                        cublasComputeType_t computeType, cublasGemmAlgo_t algo) {                                      \
        const struct gemm_call call = {WORDS(name),         .type_a = Atype,        .type_b = Btype, .type_c = Ctype,  \
                                       .has_compute = true, .compute = computeType, .algo = algo};                     \
        ROUTE_OR_FORWARD(name, handle, transa, transb, m, n, k, alpha, Aarray, Atype, lda, Barray, Btype, ldb, beta,   \
                         Carray, Ctype, ldc, batchCount, computeType, algo);                                           \
    }

SGEMM_BATCHED(cublasSgemmBatched, int)
SGEMM_BATCHED(cublasSgemmBatched_64, int64_t)
GEMM_BATCHED_EX(cublasGemmBatchedEx, int)
GEMM_BATCHED_EX(cublasGemmBatchedEx_64, int64_t)

/* ---- groups ---- */

/* What is the same for all groups; sizes come by a function, since they are of either width. */
struct groups {
    struct gemm_call common;
    const cublasOperation_t *op_a, *op_b;
    const float *alpha, *beta;
    const float *const *a, *const *b;
    float *const *c;
    int64_t count;
};

enum size { SIZE_M, SIZE_N, SIZE_K, SIZE_LDA, SIZE_LDB, SIZE_LDC, SIZE_BATCH, SIZES };
enum { MOST_GROUPS = 256 }; /* a launch or two each: with more, cuBLAS's one is better */

/* A group with nothing in it is left to cuBLAS, as is anything that is not plainly valid: one call says why. */
static bool route_groups(const struct groups *g, const int64_t (*sizes)[SIZES], struct handle_view view,
                         cublasStatus_t *status) {
    struct gemm_call *calls = malloc((size_t)g->count * sizeof *calls);
    if (!calls) return false;
    int64_t first = 0;
    for (int64_t i = 0; i < g->count; i++) {
        const int64_t *size = sizes[i];
        calls[i] = g->common;
        calls[i].op_a = g->op_a[i], calls[i].op_b = g->op_b[i];
        calls[i].m = size[SIZE_M], calls[i].n = size[SIZE_N], calls[i].k = size[SIZE_K];
        calls[i].lda = size[SIZE_LDA], calls[i].ldb = size[SIZE_LDB], calls[i].ldc = size[SIZE_LDC];
        calls[i].batch = size[SIZE_BATCH];
        calls[i].alpha = &g->alpha[i], calls[i].beta = &g->beta[i];
        calls[i].a = g->a + first, calls[i].b = g->b + first, calls[i].c = (void *)(uintptr_t)(g->c + first);
        first += size[SIZE_BATCH] > 0 ? size[SIZE_BATCH] : 0;
    }
    bool done = dispatch_groups(calls, g->count, view, status);
    free(calls);
    return done;
}

/* Arrays that are missing, or too many, are cuBLAS's to judge. */
#define GROUPS_OR_FORWARD(name, words, ...)                                                                            \
    const struct handle_view view = handle_state_find(handle, CALLER());                                               \
    if (!view.real || !view.real->name) return CUBLAS_STATUS_NOT_INITIALIZED;                                          \
    if (group_count > 0 && group_count <= MOST_GROUPS && transa_array && transb_array && m_array && n_array &&         \
        k_array && alpha_array && Aarray && lda_array && Barray && ldb_array && beta_array && Carray && ldc_array &&   \
        group_size) {                                                                                                  \
        const struct groups groups = {words,                                                                           \
                                      transa_array,                                                                    \
                                      transb_array,                                                                    \
                                      alpha_array,                                                                     \
                                      beta_array,                                                                      \
                                      (const float *const *)Aarray,                                                    \
                                      (const float *const *)Barray,                                                    \
                                      (float *const *)Carray,                                                          \
                                      group_count};                                                                    \
        int64_t sizes[MOST_GROUPS][SIZES];                                                                             \
        for (int i = 0; i < (int)group_count; i++) {                                                                   \
            const int64_t of[SIZES] = {m_array[i],   n_array[i],   k_array[i],   lda_array[i],                         \
                                       ldb_array[i], ldc_array[i], group_size[i]};                                     \
            for (int j = 0; j < SIZES; j++) sizes[i][j] = of[j];                                                       \
        }                                                                                                              \
        cublasStatus_t status;                                                                                         \
        if (route_groups(&groups, (const int64_t(*)[SIZES])sizes, view, &status)) return status;                       \
    }                                                                                                                  \
    return view.real->name(__VA_ARGS__)

#define COMMON(name, ...)                                                                                              \
    { .entry = #name, .handle = handle, .pointer_array = true, __VA_ARGS__ }

#define SGEMM_GROUPED(name, integer)                                                                                   \
    cublasStatus_t name(cublasHandle_t handle, const cublasOperation_t transa_array[],                                 \
                        const cublasOperation_t transb_array[], const integer m_array[], const integer n_array[],      \
                        const integer k_array[], const float alpha_array[], const float *const Aarray[],               \
                        const integer lda_array[], const float *const Barray[], const integer ldb_array[],             \
                        const float beta_array[], float *const Carray[], const integer ldc_array[],                    \
                        integer group_count, const integer group_size[]) {                                             \
        const struct gemm_call common = COMMON(name, OF_FP32, .algo = CUBLAS_GEMM_DEFAULT);                            \
        GROUPS_OR_FORWARD(name, common, handle, transa_array, transb_array, m_array, n_array, k_array, alpha_array,    \
                          Aarray, lda_array, Barray, ldb_array, beta_array, Carray, ldc_array, group_count,            \
                          group_size);                                                                                 \
    }

#define GEMM_GROUPED_EX(name, integer)                                                                                 \
    cublasStatus_t name(cublasHandle_t handle, const cublasOperation_t transa_array[],                                 \
                        const cublasOperation_t transb_array[], const integer m_array[], const integer n_array[],      \
                        const integer k_array[], const void *alpha_array, const void *const Aarray[],                  \
                        cudaDataType_t Atype, const integer lda_array[], const void *const Barray[],                   \
                        cudaDataType_t Btype, const integer ldb_array[], const void *beta_array, void *const Carray[], \
                        cudaDataType_t Ctype, const integer ldc_array[], integer group_count,                          \
                        const integer group_size[], cublasComputeType_t computeType) {                                 \
        const struct gemm_call common =                                                                                \
            COMMON(name, .type_a = Atype, .type_b = Btype, .type_c = Ctype, .has_compute = true,                       \
                   .compute = computeType, .algo = CUBLAS_GEMM_DEFAULT);                                               \
        GROUPS_OR_FORWARD(name, common, handle, transa_array, transb_array, m_array, n_array, k_array, alpha_array,    \
                          Aarray, Atype, lda_array, Barray, Btype, ldb_array, beta_array, Carray, Ctype, ldc_array,    \
                          group_count, group_size, computeType);                                                       \
    }

SGEMM_GROUPED(cublasSgemmGroupedBatched, int)
SGEMM_GROUPED(cublasSgemmGroupedBatched_64, int64_t)
GEMM_GROUPED_EX(cublasGemmGroupedBatchedEx, int)
GEMM_GROUPED_EX(cublasGemmGroupedBatchedEx_64, int64_t)
