/*
 * What a plan would cost on a chip: a small model, the same for choosing, logging and predicting.
 */
#ifndef FASTGEMM_COST_H
#define FASTGEMM_COST_H

#include "problem.h"

/* Predicted seconds of `variant` with this split on this chip. Pure. */
double gemm_cost(const struct gemm_problem *problem, const struct gemm_device *device,
                 const struct gemm_variant *variant, int split_k);

/* Seconds that no kernel can beat: operations over the FFMA rate, bytes over the bandwidth, whichever is more. */
double gemm_floor(const struct gemm_problem *problem, const struct gemm_device *device);

/* Scratch bytes of a split, 0 for one split; leading dimension of one partial C in floats. */
int64_t gemm_split_scratch_bytes(const struct gemm_problem *problem, int split_k);
int64_t gemm_split_ld(const struct gemm_problem *problem);

/* K of one slice: a multiple of the tile's k, all slices but the last alike. */
int64_t gemm_split_slice(const struct gemm_problem *problem, const struct gemm_variant *variant, int split_k);

#endif
