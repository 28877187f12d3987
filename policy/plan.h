/*
 * The choice: from a problem, a chip, the toggles and what the caller allows to a plan, or a reason to forward.
 */
#ifndef FASTGEMM_PLAN_H
#define FASTGEMM_PLAN_H

#include "problem.h"
#include "toggles.h"

/*
 * Pure and repeatable: the same four inputs give the same plan in every run and in any order of calls. `problem` is
 * valid (gemm_problem_valid). A plan without a variant says why in its reason; its split and raster are 1.
 */
struct gemm_plan gemm_plan_make(const struct gemm_problem *problem, const struct gemm_device *device,
                                const struct toggles *toggles, const struct gemm_limits *limits);

/* Whether this variant's conditions hold for the problem on the chip. */
bool gemm_variant_fits(const struct gemm_variant *variant, const struct gemm_problem *problem,
                       const struct gemm_device *device);

#endif
