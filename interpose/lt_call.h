/*
 * A cublasLtMatmul call in the words of every other call: its descriptors read, row order turned into column order.
 */
#ifndef FASTGEMM_LT_CALL_H
#define FASTGEMM_LT_CALL_H

#include "dispatch.h"

/* The call as it came in, but for the chosen algorithm: a hint about cuBLAS's own kernels. */
struct lt_arguments {
    cublasLtMatmulDesc_t desc;
    const void *alpha, *a, *b, *beta, *c;
    void *d;
    cublasLtMatrixLayout_t layout_a, layout_b, layout_c, layout_d;
    struct workspace workspace;
    cudaStream_t stream;
};

/*
 * Fills `call` and the `part` that it points to; call->refused says why a call is to be forwarded, whose rest may then
 * be unfilled. Unless `whole` is set, as for a log, no more is read than shows that operands are not fp32, or that the
 * product is too small: where attributes have to be asked for (lt_fields.h), each costs some 8 ns, and there are 52.
 */
void lt_call_describe(struct gemm_call *call, struct lt_part *part, const struct lt_arguments *arguments,
                      const struct real_cublas *real, bool whole);

#endif
