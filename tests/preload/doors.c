/* The doors, spelled out once for each form of argument list. */
#include "doors.h"

#define OPS (cublasOperation_t) x->op_a, (cublasOperation_t)x->op_b

/* CALLER(function name, how it passes its arguments) */
#define CALLER(door, ...)                                                                                              \
    static cublasStatus_t call_##door(void *function, const struct door_call *x) {                                     \
        __typeof__(door) *f = (__typeof__(door) *)function;                                                            \
        return f(x->handle, OPS, __VA_ARGS__);                                                                         \
    }

#define SIZES(integer) (integer) x->m, (integer)x->n, (integer)x->k, x->alpha

#define CALLERS(suffix, integer)                                                                                       \
    CALLER(cublasSgemm_v2##suffix, SIZES(integer), x->a, (integer)x->lda, x->b, (integer)x->ldb, x->beta, x->c,        \
           (integer)x->ldc)                                                                                            \
    CALLER(cublasSgemmEx##suffix, SIZES(integer), x->a, (cudaDataType)x->type_a, (integer)x->lda, x->b,                \
           (cudaDataType)x->type_b, (integer)x->ldb, x->beta, x->c, (cudaDataType)x->type_c, (integer)x->ldc)          \
    CALLER(cublasGemmEx##suffix, SIZES(integer), x->a, (cudaDataType)x->type_a, (integer)x->lda, x->b,                 \
           (cudaDataType)x->type_b, (integer)x->ldb, x->beta, x->c, (cudaDataType)x->type_c, (integer)x->ldc,          \
           (cublasComputeType_t)x->compute, (cublasGemmAlgo_t)x->algo)                                                 \
    CALLER(cublasSgemmStridedBatched##suffix, SIZES(integer), x->a, (integer)x->lda, x->stride_a, x->b,                \
           (integer)x->ldb, x->stride_b, x->beta, x->c, (integer)x->ldc, x->stride_c, (integer)x->batch)               \
    CALLER(cublasGemmStridedBatchedEx##suffix, SIZES(integer), x->a, (cudaDataType)x->type_a, (integer)x->lda,         \
           x->stride_a, x->b, (cudaDataType)x->type_b, (integer)x->ldb, x->stride_b, x->beta, x->c,                    \
           (cudaDataType)x->type_c, (integer)x->ldc, x->stride_c, (integer)x->batch, (cublasComputeType_t)x->compute,  \
           (cublasGemmAlgo_t)x->algo)
CALLERS(, int)
CALLERS(_64, int64_t)

#define LIST(x) (void *)(uintptr_t)(x)
#define BATCH_CALLERS(suffix, integer)                                                                                 \
    CALLER(cublasSgemmBatched##suffix, SIZES(integer), LIST(x->a), (integer)x->lda, LIST(x->b), (integer)x->ldb,       \
           x->beta, LIST(x->c), (integer)x->ldc, (integer)x->batch)                                                    \
    CALLER(cublasGemmBatchedEx##suffix, SIZES(integer), LIST(x->a), (cudaDataType)x->type_a, (integer)x->lda,          \
           LIST(x->b), (cudaDataType)x->type_b, (integer)x->ldb, x->beta, LIST(x->c), (cudaDataType)x->type_c,         \
           (integer)x->ldc, (integer)x->batch, (cublasComputeType_t)x->compute, (cublasGemmAlgo_t)x->algo)
BATCH_CALLERS(, int)
BATCH_CALLERS(_64, int64_t)

/* One group. Its sizes lie where the next call's will, so that two calls can be compared as recorded. */
#define GROUP_CALLERS(suffix, integer)                                                                                 \
    static cublasOperation_t op_a##suffix, op_b##suffix;                                                               \
    static integer m##suffix, n##suffix, k##suffix, lda##suffix, ldb##suffix, ldc##suffix, batch##suffix;              \
    static void set_group##suffix(const struct door_call *x) {                                                         \
        op_a##suffix = (cublasOperation_t)x->op_a, op_b##suffix = (cublasOperation_t)x->op_b;                          \
        m##suffix = (integer)x->m, n##suffix = (integer)x->n, k##suffix = (integer)x->k;                               \
        lda##suffix = (integer)x->lda, ldb##suffix = (integer)x->ldb, ldc##suffix = (integer)x->ldc;                   \
        batch##suffix = (integer)x->batch;                                                                             \
    }                                                                                                                  \
    static cublasStatus_t call_cublasSgemmGroupedBatched##suffix(void *function, const struct door_call *x) {          \
        __typeof__(cublasSgemmGroupedBatched##suffix) *f = (__typeof__(cublasSgemmGroupedBatched##suffix) *)function;  \
        set_group##suffix(x);                                                                                          \
        return f(x->handle, &op_a##suffix, &op_b##suffix, &m##suffix, &n##suffix, &k##suffix, x->alpha, LIST(x->a),    \
                 &lda##suffix, LIST(x->b), &ldb##suffix, x->beta, LIST(x->c), &ldc##suffix, 1, &batch##suffix);        \
    }                                                                                                                  \
    static cublasStatus_t call_cublasGemmGroupedBatchedEx##suffix(void *function, const struct door_call *x) {         \
        __typeof__(cublasGemmGroupedBatchedEx##suffix) *f =                                                            \
            (__typeof__(cublasGemmGroupedBatchedEx##suffix) *)function;                                                \
        set_group##suffix(x);                                                                                          \
        return f(x->handle, &op_a##suffix, &op_b##suffix, &m##suffix, &n##suffix, &k##suffix, x->alpha, LIST(x->a),    \
                 (cudaDataType)x->type_a, &lda##suffix, LIST(x->b), (cudaDataType)x->type_b, &ldb##suffix, x->beta,    \
                 LIST(x->c), (cudaDataType)x->type_c, &ldc##suffix, 1, &batch##suffix,                                 \
                 (cublasComputeType_t)x->compute);                                                                     \
    }
GROUP_CALLERS(, int)
GROUP_CALLERS(_64, int64_t)

#define DOOR(door, wide, types, batch, compute)                                                                        \
    { #door, call_##door, (void *)door, wide, types, batch, compute, 0 }
#define POINTER_DOOR(door, wide, types, compute)                                                                       \
    { #door, call_##door, (void *)door, wide, types, 1, compute, 1 }
const struct door doors[DOOR_COUNT] = {
    DOOR(cublasSgemm_v2, 0, 0, 0, 0),
    DOOR(cublasSgemm_v2_64, 1, 0, 0, 0),
    DOOR(cublasSgemmEx, 0, 1, 0, 0),
    DOOR(cublasSgemmEx_64, 1, 1, 0, 0),
    DOOR(cublasGemmEx, 0, 1, 0, 1),
    DOOR(cublasGemmEx_64, 1, 1, 0, 1),
    DOOR(cublasSgemmStridedBatched, 0, 0, 1, 0),
    DOOR(cublasSgemmStridedBatched_64, 1, 0, 1, 0),
    DOOR(cublasGemmStridedBatchedEx, 0, 1, 1, 1),
    DOOR(cublasGemmStridedBatchedEx_64, 1, 1, 1, 1),
    POINTER_DOOR(cublasSgemmBatched, 0, 0, 0),
    POINTER_DOOR(cublasSgemmBatched_64, 1, 0, 0),
    POINTER_DOOR(cublasGemmBatchedEx, 0, 1, 1),
    POINTER_DOOR(cublasGemmBatchedEx_64, 1, 1, 1),
    POINTER_DOOR(cublasSgemmGroupedBatched, 0, 0, 0),
    POINTER_DOOR(cublasSgemmGroupedBatched_64, 1, 0, 0),
    POINTER_DOOR(cublasGemmGroupedBatchedEx, 0, 1, 1),
    POINTER_DOOR(cublasGemmGroupedBatchedEx_64, 1, 1, 1),
};
