/*
 * The launches of one product of scaled fp16 planes for callers who allow TF32 (fp16x1 in split.h).
 */
#ifndef FASTGEMM_LAUNCH_ONE_H
#define FASTGEMM_LAUNCH_ONE_H

#include "split.h"
#include "variants.h"

/*
 * Runs a product: passes over the operands, the product where they suit it, behind it the TF32 product that does the
 * work where they do not, and the sum of a split or of shared tiles. `gemm.partial` is all the scratch:
 * split_one_scratch_bytes, then the partial sums or shares. At most `gemm.ctas` CTAs (0: as many as SMs), on the stream
 * (a cudaStream_t) of the current device. Never synchronises. Returns a cudaError_t; on an error nothing has been
 * written to D.
 */
int one_launch(const struct gemm_variant *variant, enum gemm_loader a, enum gemm_loader b, const struct gemm_args *gemm,
               void *stream);

#endif
