/*
 * The one function that launches a product's kernels.
 */
#ifndef FASTGEMM_LAUNCH_H
#define FASTGEMM_LAUNCH_H

#include "gemm_args.h"
#include "variants.h"

/*
 * Runs `args` on `variant`, with the loaders that fit its operands, on the stream (a cudaStream_t) of the current
 * device. `args` is complete but for the pointers that move on between launches of very large batches. Never
 * synchronises. Returns a cudaError_t, 0 for success; on an error nothing has been written.
 */
int gemm_launch(const struct gemm_variant *variant, enum gemm_loader a, enum gemm_loader b, struct gemm_args args,
                void *stream);

/* Makes this variant's kernel ready on the current device (module loaded, shared memory allowed). cudaError_t. */
int gemm_launch_prepare(const struct gemm_variant *variant, enum gemm_loader a, enum gemm_loader b);

#endif
