/*
 * One product through cublasLt on the device, for the tests that a real GPU takes too: operands in either order with
 * guard values around them, descriptors, the call, and the check against float64.
 */
#ifndef FASTGEMM_GPU_LT_PRODUCT_H
#define FASTGEMM_GPU_LT_PRODUCT_H

#include <stdbool.h>
#include <stdint.h>

#include <cublasLt.h>
#include <cuda_runtime_api.h>

struct lt_product {
    int op_a, op_b;                /* cublasOperation_t */
    int order_a, order_b, order_d; /* cublasLtOrder_t; C has D's */
    int m, n, k, batch;            /* batch 0 reads as 1 */
    int pad;                       /* added to leading dimensions: pad, pad + 1, ... for A, B, C, D */
    int shift;                     /* floats by which the operands miss a 256-byte boundary */
    int gap;                       /* floats between the matrices of a batch, and their biases */
    float alpha, beta;
    bool device_scalars, in_place; /* in place: C is D */
    bool named_algo;               /* the first that the heuristic gives */
    uint32_t epilogue;
    bool tf32; /* allowed: compute type 32F_FAST_TF32, and a bound of its own */
};

/* A, B, C, D and the bias: where they lie, their layouts and their values on the host. */
enum { LT_A, LT_B, LT_C, LT_D, LT_BIAS, LT_OPERANDS };
struct lt_operand {
    int64_t rows, cols, ld, stride, count; /* count: floats, all matrices */
    int order;
    float *host, *block, *device; /* block: with guard values before and after */
    cublasLtMatrixLayout_t layout;
};

struct lt_operands {
    struct lt_operand x[LT_OPERANDS];
    cublasLtMatmulDesc_t desc;
    float *scalars, *result; /* on the device; D's values afterwards, with its guards */
    void *workspace;
    int64_t batch;
};

enum { LT_WORKSPACE = 1 << 20 };

void lt_make(struct lt_operands *operands, const struct lt_product *product);
void lt_drop(struct lt_operands *operands);

/* D full of guard values again, or C's values where it is C. */
void lt_reset(struct lt_operands *operands, const struct lt_product *product);

cublasStatus_t lt_call(__typeof__(cublasLtMatmul) *matmul, cublasLtHandle_t handle, const struct lt_product *product,
                       const struct lt_operands *operands, cudaStream_t stream);

/* Waits and brings D back; false on a CUDA error. */
bool lt_fetch(struct lt_operands *operands);

/*
 * The largest |err| over its bound, of about `limit` elements (0: all): gamma(k + 2) (|alpha||A||B| + |beta||C| +
 * |bias|), 2^-9 |alpha||A||B| more for TF32, through the activation, whose own rounding may be `activation_error` |x|.
 * Infinite where a number is missing, and where anything outside D has changed.
 */
double lt_worst(const struct lt_operands *operands, const struct lt_product *product, double activation_error,
                int64_t limit);

/* The largest difference of the two results (lt_operands.result), over the same bound. */
double lt_difference(const struct lt_operands *operands, const struct lt_product *product, const float *other,
                     double activation_error, int64_t limit);

#endif
