/*
 * The words of the house: what a product is, what the device is like, what was decided.
 *
 * Everything is column-major, as BLAS has it: D[m,n] = alpha * op(A)[m,k] * op(B)[k,n] + beta * C[m,n], `batch` times,
 * and after that the epilogue: activation(D + bias).
 * Plain data, no CUDA. Leading dimensions and strides count elements (floats).
 */
#ifndef FASTGEMM_PROBLEM_H
#define FASTGEMM_PROBLEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../kernels/gemm_args.h"
#include "../kernels/variants.h"
#include "reasons.h"

enum gemm_op { GEMM_OP_N, GEMM_OP_T }; /* conjugation means nothing to real numbers: C reads as T */

#define GEMM_PROFILES(X) X(huge_k) X(transposed) X(square) X(irregular) X(outer_product) X(batched) X(general)
enum gemm_profile {
#define X(name) PROFILE_##name,
    GEMM_PROFILES(X)
#undef X
        PROFILE_COUNT
};

/* What the host knows of a scalar: a device scalar may hold anything. */
enum gemm_scalar { SCALAR_ZERO, SCALAR_ONE, SCALAR_OTHER, SCALAR_DEVICE };

struct gemm_problem {
    enum gemm_op op_a, op_b;
    int64_t m, n, k, batch;
    int64_t lda, ldb, ldc, ldd;
    int64_t stride_a, stride_b, stride_c, stride_d;
    unsigned align_a, align_b; /* bytes (4, 8 or 16) that divide the operand's address */
    bool pointer_array;        /* the batch lies on the device as arrays of pointers: strides are 0, alignments 4 */
    enum gemm_scalar alpha, beta;
    enum gemm_contract contract;
    int cublas_tf32; /* whether cuBLAS itself would be allowed TF32 */
    enum gemm_activation activation;
    int bias; /* whether there is one */
};

/* What the policy may know of a chip. Rates are paper figures unless a measurement is at hand. */
struct gemm_device {
    int arch;     /* 80, 89, 90, ... */
    int sm_count; /* SMs that the caller lets us use */
    int64_t l2_bytes;
    double dram_bytes_per_s;
    double ffma_flops_per_s; /* two per FMA */
    int smem_per_block;      /* bytes, opt-in maximum */
    int smem_per_sm;         /* bytes */
    int wgmma;               /* whether it runs this build's sm_90a code: 9.0 alone */
};

/* What the caller allows at the moment of the call. */
struct gemm_limits {
    int64_t scratch_bytes; /* workspace that a split may use */
    int64_t planes_bytes;  /* and a kernel that splits its operands, for planes and partial sums */
};

/* A variant with its split and raster, or the reason why there is none. */
struct gemm_plan {
    const struct gemm_variant *variant; /* NULL: forward */
    enum gemm_reason reason;            /* REASON_routed when variant is set */
    enum gemm_profile profile;
    int64_t k_chunk;       /* K that is multiplied at a time, the next added to it: all, where scratch is to be had */
    int split_k;           /* of a chunk; 1: no split */
    int ctas;              /* of a kernel whose CTAs stay: how many at most; 0: the launch knows */
    int shared_tiles;      /* of the last tiles CTAs take shares of K (gemm_args.h); 0: each tile is one CTA's */
    int raster;            /* tile rows that one group of CTAs walks together */
    int64_t scratch_bytes; /* needed for one chunk, for shared tiles; 0 without a split or planes */
    double predicted_s;    /* the cost model's time, for logs and the bench */
};

#endif
