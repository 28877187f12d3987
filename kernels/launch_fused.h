/*
 * The launches of one fused product (fused.h).
 */
#ifndef FASTGEMM_LAUNCH_FUSED_H
#define FASTGEMM_LAUNCH_FUSED_H

#include "gemm_args.h"

/*
 * Runs a product (tiles and splits for FUSED_TILE*), whose operands are contiguous along k or not, on scratch of
 * FUSED_SCRATCH_BYTES, on the stream (a cudaStream_t) of the current device. C is not touched before it is known that
 * the sums will do: where C is added there are partial sums, even of one split. Never synchronises. Returns a
 * cudaError_t; on an error nothing has been written to D.
 */
int fused_launch(const struct gemm_args *gemm, int a_along_k, int b_along_k, void *scratch, void *stream);

#endif
