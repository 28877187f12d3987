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

#define DOOR(door, wide, types, batch, compute)                                                                        \
    { #door, call_##door, (void *)door, wide, types, batch, compute }
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
};
