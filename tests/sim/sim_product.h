/*
 * For tests of kernels on the simulated GPU: one product from sizes and loaders to a launch, and the check of its
 * result against double precision.
 */
#ifndef FASTGEMM_SIM_PRODUCT_H
#define FASTGEMM_SIM_PRODUCT_H

#include <stddef.h>

#include "gemm_args.h"
#include "variants.h"

struct sim_product {
    enum gemm_loader load_a, load_b;
    int m, n, k, batch, splits, shared; /* shared: CTAs share the last tiles */
    int pad;                            /* added to each leading dimension */
    int offset; /* floats by which operands that need no alignment start off a 16-byte boundary */
    float alpha, beta;
    int scalars_on_device;
    int pointers; /* the batch as arrays of pointers, last matrix first */
    int bias;
    int activation; /* enum gemm_activation */
    /* filled by sim_product_make */
    struct gemm_args args;
    const float **lists; /* on the device: of A, B and D */
    float *c_before;     /* on the host */
    float *device_scalars;
    float *bias_values; /* as the kernel has them */
    int64_t floats_a, floats_b, floats_c;
    const struct gemm_variant *variant;
};

/* Allocates and fills the operands for this variant; C is NaN where nothing may read it. */
void sim_product_make(struct sim_product *product, const struct gemm_variant *variant);
void sim_product_free(struct sim_product *product);

/* Runs it; the cudaError_t of launch and synchronisation. */
int sim_product_run(struct sim_product *product);

/*
 * Elements of D that break |err| <= gamma(k + 2) (|alpha| |A| |B| + |beta| |C| + |bias|), or lie in the padding and
 * changed. An activation may add its own rounding. Of TF32's kernels: against operands rounded to nearest, and with the
 * unit of sums that are cut off.
 */
int sim_product_wrong(const struct sim_product *product);

/* All of it: make, run, check, free. Negative: the launch failed. */
int sim_product_try(struct sim_product product, const struct gemm_variant *variant);

#endif
