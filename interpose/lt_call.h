/*
 * A cublasLtMatmul call in the words of every other call: its descriptors read, row order turned into column order.
 */
#ifndef FASTGEMM_LT_CALL_H
#define FASTGEMM_LT_CALL_H

#include "../policy/toggles.h"
#include "dispatch.h"

/* The call as it came in, but for the chosen algorithm: a hint about cuBLAS's own kernels. */
struct lt_arguments {
    cublasLtMatmulDesc_t desc;
    const void *alpha, *a, *b, *beta, *c;
    void *d;
    cublasLtMatrixLayout_t layout_a, layout_b, layout_c, layout_d;
    struct workspace workspace;
    cudaStream_t stream;
    bool only_planned; /* a product that may come: where its data will lie is not known, nor its bias */
};

/*
 * Whether the call is to be forwarded by what few fields show: operands that are not fp32, a product that is too small,
 * or one that was found to be cuBLAS's before. Never where the toggles want to know all, for a log or a forced kernel.
 * Otherwise the fingerprint (verdicts.h) is part of the call.
 */
bool lt_call_is_forwarded(const struct lt_arguments *arguments, struct handle_view view, const struct toggles *toggles,
                          uint64_t *fingerprint);

/*
 * Fills `call` and the `part` that it points to; call->refused says why a call is to be forwarded, whose rest may then
 * be unfilled.
 */
void lt_call_describe(struct gemm_call *call, struct lt_part *part, const struct lt_arguments *arguments,
                      const struct real_cublas *real);

#endif
