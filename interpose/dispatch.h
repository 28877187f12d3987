/*
 * The road of one call: guard, plan, scratch, launch, record.
 */
#ifndef FASTGEMM_DISPATCH_H
#define FASTGEMM_DISPATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "handle_state.h"

/* A matrix call as it came in, whichever door it came through. Column-major, elements, as cuBLAS documents it. */
struct gemm_call {
    const char *entry;
    cublasHandle_t handle;
    cublasOperation_t op_a, op_b;
    int64_t m, n, k;
    const void *alpha, *beta;
    const void *a, *b;
    void *c;
    int64_t lda, ldb, ldc, stride_a, stride_b, stride_c, batch;
    cudaDataType type_a, type_b, type_c;
    bool has_compute; /* false: the handle's math mode alone decides */
    cublasComputeType_t compute;
    cublasGemmAlgo_t algo;
};

/*
 * True: the product has been launched on a kernel of ours and the caller gets CUBLAS_STATUS_SUCCESS. False: nothing
 * has happened and the caller is to forward the call as it came.
 */
bool dispatch(const struct gemm_call *call, struct handle_view view);

#endif
