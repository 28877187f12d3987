/*
 * The one struct, passed by value, that every kernel takes. Column-major; element counts; filled by launch.c.
 */
#ifndef FASTGEMM_GEMM_ARGS_H
#define FASTGEMM_GEMM_ARGS_H

#include <stdint.h>

/* What an element of D becomes at last, after alpha, beta and the bias. */
#define GEMM_ACTIVATIONS(X) X(none) X(relu) X(gelu)
enum gemm_activation {
#define X(name) ACTIVATION_##name,
    GEMM_ACTIVATIONS(X)
#undef X
        ACTIVATION_COUNT
};

struct gemm_args {
    const float *a, *b, *c; /* c may be d */
    float *d;
    /* A batch given by arrays of pointers, on the device: a matrix each. NULL: matrices lie a stride apart. */
    const float *const *a_list, *const *b_list, *const *c_list;
    float *const *d_list;
    /*
     * Split-K: [split][batch][n][ld_partial], NULL without a split. To gemm_launch, all of the plan's scratch: planes
     * of split operands first (split.h), then the partial sums; or what CTAs leave of tiles that they share.
     */
    float *partial;
    const float *alpha_ptr, *beta_ptr; /* device scalars, or NULL: then the values below hold */
    float alpha, beta;
    int64_t lda, ldb, ldc, ldd;
    int64_t stride_a, stride_b, stride_c, stride_d;
    int64_t ld_partial;
    const float *bias;   /* an element for each m, added to all of its row, NULL: none */
    int64_t stride_bias; /* from one matrix of the batch to the next */
    int activation;      /* enum gemm_activation */
    int m, n, k, batch;
    int k_chunk;             /* K at a time: the launcher's loop; kernels are given one chunk as all there is */
    int splits, k_per_split; /* k_per_split is a multiple of the CTA tile's k, but for one split */
    int tiles_m, tiles_n;
    int raster;
    int ctas; /* most CTAs of a persistent grid, 0: one per SM; of the SIMT family 0: one per tile */
    /*
     * Stream-K (sgemm_simt.cuh; or tf32_works.h): of the last `shared_tiles` tiles each CTA takes an equal share of the
     * k tiles, and leaves its sums at `shares`: two tiles a CTA, as the accumulators lie; or a part of one of them.
     */
    int shared_tiles;
    float *shares;
};

#endif
