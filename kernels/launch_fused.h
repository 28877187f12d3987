/*
 * The launches of one fused product (fused.h).
 */
#ifndef FASTGEMM_LAUNCH_FUSED_H
#define FASTGEMM_LAUNCH_FUSED_H

#include "fused.h"

/*
 * Runs a product whose `gemm`, a_along_k and b_along_k are filled (tiles and splits for FUSED_TILE*), on scratch of
 * fused_scratch_bytes, on the stream (a cudaStream_t) of the current device. C is not touched before it is known that
 * the sums will do: where C is added there are partial sums, even of one split. Never synchronises. Returns a
 * cudaError_t; on an error nothing has been written to D.
 */
int fused_launch(struct fused_args args, void *scratch, void *stream);

#endif
