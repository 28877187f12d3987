/*
 * Where a TF32 route is supported: part of the built-in table (measured.h).
 */
#ifndef FASTGEMM_MEASURED_TF32_H
#define FASTGEMM_MEASURED_TF32_H

#include "problem.h"

/* What the table says of a plan on a TF32 kernel, or of any plan for a caller who lets cuBLAS use TF32. */
enum gemm_reason measured_tf32_verdict(const struct gemm_problem *problem, const struct gemm_device *device,
                                       const struct gemm_plan *plan);

/*
 * Whether it is a batch of small products that is small as a whole, of a kind that was measured: there only the kernels
 * that are made for such (TF32_BATCH) are expected to be faster than cuBLAS where they say so.
 */
bool measured_tf32_small(const struct gemm_problem *problem);

/* Seconds that cuBLAS 13.1 is expected to take on an H200 with TF32 allowed: rather too few than too many. */
double cublas_tf32_seconds(const struct gemm_problem *problem);

#endif
