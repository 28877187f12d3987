/*
 * One product on the device, for the tests that a real GPU takes too: through which door it goes, its operands with
 * guard bands around them, and its result back on the host. Works with any cuBLAS, real or stand-in.
 */
#ifndef FASTGEMM_GPU_PRODUCT_H
#define FASTGEMM_GPU_PRODUCT_H

#include <stdbool.h>
#include <stdint.h>

#include <cublas_v2.h>
#include <cuda_runtime_api.h>

#include "check.h"

#define DOORS(X)                                                                                                       \
    X(cublasSgemm_v2)                                                                                                  \
    X(cublasSgemm_v2_64)                                                                                               \
    X(cublasSgemmEx)                                                                                                   \
    X(cublasSgemmEx_64)                                                                                                \
    X(cublasGemmEx)                                                                                                    \
    X(cublasGemmEx_64)                                                                                                 \
    X(cublasSgemmStridedBatched)                                                                                       \
    X(cublasSgemmStridedBatched_64)                                                                                    \
    X(cublasGemmStridedBatchedEx)                                                                                      \
    X(cublasGemmStridedBatchedEx_64)                                                                                   \
    X(cublasSgemmBatched)                                                                                              \
    X(cublasSgemmBatched_64)                                                                                           \
    X(cublasGemmBatchedEx)                                                                                             \
    X(cublasGemmBatchedEx_64)                                                                                          \
    X(cublasSgemmGroupedBatched)                                                                                       \
    X(cublasSgemmGroupedBatched_64)                                                                                    \
    X(cublasGemmGroupedBatchedEx)                                                                                      \
    X(cublasGemmGroupedBatchedEx_64)
enum door {
#define X(name) DOOR_##name,
    DOORS(X)
#undef X
        DOOR_COUNT
};

/* One set of entry points: those that a program is bound to, or those of the real library. */
struct doors {
#define X(name) __typeof__(name) *name;
    DOORS(X)
#undef X
};

/*
 * Besides normal numbers and integers, the inputs of the published grading tests of matrix products: scaled along m, n
 * and k by powers of two from 2^-60 to 2^60; zeros of A where B has none, along k; near overflow; subnormal; positive.
 * And log-normal ones with sigma 4, where few elements decide.
 */
enum inputs {
    INPUT_NORMAL,
    INPUT_INTEGERS,
    INPUT_GRADED,
    INPUT_COMPLEMENTARY,
    INPUT_HUGE,
    INPUT_TINY,
    INPUT_POSITIVE,
    INPUT_LOGNORMAL
};

struct product {
    enum door door;
    cublasOperation_t op_a, op_b;
    int64_t m, n, k;
    int64_t batch; /* 0 reads as 1 */
    int64_t pad;   /* added to the leading dimensions: pad, pad + 1, pad + 2 for A, B, C */
    int64_t shift; /* floats by which the operands miss a 256-byte boundary: shift, 2 shift, 3 shift */
    int64_t gap;   /* floats between the matrices of a batch */
    float alpha, beta;
    enum inputs inputs;
    bool device_scalars;
    bool tf32; /* owed no more than TF32's accuracy; integers then have at most its 11 bits */
};

/* Operands on the host and on the device. */
struct operands {
    struct check_product host;
    int64_t count_a, count_b, count_c; /* floats, all matrices */
    float *a, *b, *before, *result;    /* host */
    float *device[3], *scalars;        /* device: blocks with their guard bands; alpha and beta */
    float *da, *db, *dc;
    float **lists;     /* device: pointers to the matrices of A, of B and of C */
    bool guards_whole; /* set by product_fetch */
};

bool product_batched(enum door door);

/* Whether the door's batch is arrays of pointers. */
bool product_pointers(enum door door);

/* Whether the door takes scalars on the host alone, as those of groups do. */
bool product_grouped(enum door door);

/* Fills and uploads; the same numbers every time for the same product. Aborts when memory is short. */
void product_make(struct operands *operands, const struct product *product);
void product_drop(struct operands *operands);

/* C as it was before, NaN wherever nothing may read it. */
void product_reset(struct operands *operands);

/* Makes the call on the handle, pointer mode included. */
cublasStatus_t product_call(const struct doors *doors, cublasHandle_t handle, const struct product *product,
                            const struct operands *operands);

/* Waits, and brings C and its guard bands back to operands->result; false on a CUDA error. */
bool product_fetch(struct operands *operands);

#endif
