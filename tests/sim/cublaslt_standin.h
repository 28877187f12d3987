/* What the files of a stand-in libcublasLt share. Descriptors lie in the real ones' opaque structs, as the real do. */
#ifndef FASTGEMM_CUBLASLT_STANDIN_H
#define FASTGEMM_CUBLASLT_STANDIN_H

#include <cublasLt.h>

#include "cublas_standin.h"

/* A matrix as its layout has it. */
struct lt_matrix {
    const void *at;
    int type, order, batch;
    int64_t rows, cols, ld, stride;
};

struct lt_product {
    struct lt_matrix a, b, c, d;
    int op_a, op_b, compute;
    const void *alpha, *beta;
    bool scalars_on_device;
    double alpha_value, beta_value; /* when they lie on the host */
    uint32_t epilogue;
    const float *bias;
    int64_t bias_stride;
};

/* cublaslt_descriptors.c: one attribute, which has to be known. */
int64_t standin_lt_attribute(cublasLtMatmulDesc_t desc, cublasLtMatmulDescAttributes_t which);
struct lt_matrix standin_lt_matrix(cublasLtMatrixLayout_t layout, const void *at);

/* cublaslt_reference.c: in double precision; false when memory is not the device's. */
bool standin_lt_compute(const struct lt_product *product);

#endif
