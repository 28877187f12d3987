/*
 * Where a route is supported: the built-in table, each entry with its source.
 */
#ifndef FASTGEMM_MEASURED_H
#define FASTGEMM_MEASURED_H

#include "problem.h"

/*
 * What the built-in table says of this plan for this problem on this chip: REASON_routed where a measurement or an
 * entry supports it, else why not (too_small, slower, not_measured).
 */
enum gemm_reason measured_verdict(const struct gemm_problem *problem, const struct gemm_device *device,
                                  const struct gemm_plan *plan);

/* Whether no entry supports so little work on any chip: known before the chip is asked. */
bool measured_too_small(int64_t m, int64_t n, int64_t k, int64_t batch);

/* Where the support comes from ("measured on H200", "by model"), "" without any. */
const char *measured_source(const struct gemm_device *device, enum gemm_profile profile);

#endif
