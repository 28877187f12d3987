/* Our kernels as an engine: the policy's plan, or a forced one, launched as the library launches it. */
#ifndef FASTGEMM_BENCH_OURS_H
#define FASTGEMM_BENCH_OURS_H

#include "bench.h"
#include "buffers.h"

struct ours {
    struct gemm_plan plan;
    float *scratch;
};

/*
 * The plan to run. Nothing forced: the policy's own; where it forwards, the cheapest by its model, so that there is
 * something to measure. `route` is what the policy says with nothing forced. False: no kernel takes the problem.
 */
bool ours_plan(const struct gemm_problem *problem, const struct gemm_device *device,
               const struct bench_settings *settings, struct gemm_plan *plan, enum gemm_reason *route);

struct engine ours_engine(const struct gemm_problem *problem, struct ours *state);

/* Times every variant with a few splits and rasters, prints them, leaves the quickest in `plan`. */
void ours_tune(const struct gemm_problem *problem, const struct gemm_device *device,
               const struct bench_settings *settings, const struct buffers *buffers, float *scratch,
               struct gemm_plan *plan);

#endif
