/*
 * The launches of one split product (split.h).
 */
#ifndef FASTGEMM_LAUNCH_SPLIT_H
#define FASTGEMM_LAUNCH_SPLIT_H

#include "split.h"

/*
 * Runs a product whose `gemm`, a_along_k and b_along_k are filled (tiles and splits for SPLIT_TILE_*), on scratch of
 * split_scratch_bytes, with at most `ctas` CTAs (one runs on an SM; 0: as many as SMs), on the stream (a cudaStream_t)
 * of the current device. Starting from SPLIT_FP16X3, the device itself falls back to bf16 planes where the operands ask
 * for it. Never synchronises. Returns a cudaError_t; on an error nothing has been written to D.
 */
int split_launch(struct split_args args, enum split_planes first_choice, void *scratch, int ctas, void *stream);

/* Of such a launch, for products of one plane too (launch_one.h): long rows, or few, are looked at in chunks; */
int split_launch_looks(void (*extremes_of)(void), void (*choose_of)(void), struct split_args *args, void *stream);
/* the partial sums of a split are added. */
int split_launch_sum(struct gemm_args *gemm, void *stream);

#endif
