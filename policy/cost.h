/*
 * What a plan would cost on a chip: a small model, the same for choosing, logging and predicting.
 */
#ifndef FASTGEMM_COST_H
#define FASTGEMM_COST_H

#include <stdbool.h>

#include "problem.h"

/* Predicted seconds of `variant` with this split on this chip. Pure. */
double gemm_cost(const struct gemm_problem *problem, const struct gemm_device *device,
                 const struct gemm_variant *variant, int split_k);

/* What the model needs of a variant, worked out once for all its splits; times in seconds. */
struct gemm_cost_terms {
    double ctas; /* without a split */
    double sm_count;
    double k;
    double step_s; /* one CTA alone on an SM, per step along k, at the main loop's rate */
    double memory_s;
    double split_s; /* per split: its partial sums, written and read */
    double share_s; /* the same of what a CTA leaves of a shared tile */
    double ctas_per_sm, warps;
    double unhidden; /* of the shorter of arithmetic and memory: what comes on top of the longer */
    double start_k;  /* prologue and epilogue of a CTA, in k steps of its main loop */
    double passes_s; /* over the operands, before the product */
    double launch_s; /* of the product, and as much of what adds up parts of it */
};
struct gemm_cost_terms gemm_cost_prepare(const struct gemm_problem *problem, const struct gemm_device *device,
                                         const struct gemm_variant *variant);

/* The same prediction from prepared terms; `slice` is the k of one slice (gemm_split_slice). */
double gemm_cost_of_split(const struct gemm_cost_terms *terms, int split_k, int64_t slice);

/* The same where CTAs stay and share the last tiles: evenly (stream-K), or each tile in as many equal `parts` as fit.
 */
double gemm_cost_of_sharing(const struct gemm_cost_terms *terms, int ctas, int shared_tiles, bool parts);

/* What neither this split nor one into more slices can undercut: all SMs equally busy, and full. */
double gemm_cost_bound(const struct gemm_cost_terms *terms, int split_k);

/* The next whole number, for x >= 0 (ceil would need libm). */
double gemm_round_up(double x);

/* Floating-point operations of all of the batch. */
double gemm_flops(const struct gemm_problem *problem);

/* Seconds that no kernel can beat: operations over the FFMA rate, bytes over the bandwidth, whichever is more. */
double gemm_floor(const struct gemm_problem *problem, const struct gemm_device *device);

/* Scratch bytes of a split, 0 for one split, INT64_MAX where they cannot be counted. */
int64_t gemm_split_scratch_bytes(const struct gemm_problem *problem, const struct gemm_variant *variant, int split_k);

/* The same, with the planes of a variant that splits its operands: needed without a split too. */
int64_t gemm_scratch_bytes(const struct gemm_problem *problem, const struct gemm_variant *variant, int split_k);

/* Leading dimension of one partial C, in floats. */
int64_t gemm_split_ld(const struct gemm_problem *problem);

/* K of one slice: a multiple of the tile's k, all slices but the last alike. */
int64_t gemm_split_slice(const struct gemm_problem *problem, const struct gemm_variant *variant, int split_k);

#endif
