/*
 * The road of one call: guard, plan, scratch, launch, record.
 */
#ifndef FASTGEMM_DISPATCH_H
#define FASTGEMM_DISPATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "../kernels/gemm_args.h"
#include "../policy/reasons.h"
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
    bool pointer_array; /* a, b and c are arrays of pointers on the device: a batch */
    int64_t lda, ldb, ldc, stride_a, stride_b, stride_c, batch;
    cudaDataType type_a, type_b, type_c;
    bool has_compute; /* false: the handle's math mode alone decides */
    cublasComputeType_t compute;
    cublasGemmAlgo_t algo;
    enum gemm_reason refused; /* why the door itself will not have it served, REASON_routed: nothing */
    const struct lt_part *lt; /* what only cublasLt's calls have, NULL: another's */
};

/* Of a cublasLt call: the results apart from C, the epilogue, and what other calls leave to their handle. */
struct lt_part {
    void *d;
    int64_t ldd, stride_d;
    const float *bias;
    int64_t stride_bias;
    enum gemm_activation activation;
    struct handle_modes modes;
    struct workspace workspace;
    uint64_t fingerprint; /* verdicts.h */
};

/*
 * True: the product has been launched on a kernel of ours and the caller gets CUBLAS_STATUS_SUCCESS. False: nothing
 * has happened and the caller is to forward the call as it came.
 */
bool dispatch(const struct gemm_call *call, struct handle_view view);

/* What a call like this would take of a workspace of at most this size: 0 where it would not run here, or needs none.
 */
size_t dispatch_workspace(const struct gemm_call *call, struct handle_view view, size_t most);

/* As dispatch, for calls that are one to cuBLAS: all of them or none. On true, `status` is the caller's. */
bool dispatch_groups(const struct gemm_call *calls, int64_t count, struct handle_view view, cublasStatus_t *status);

#endif
