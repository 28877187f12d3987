/*
 * Plans that were made before. gemm_plan_make is pure, so its answers may be kept; a look-up costs a fraction of it.
 */
#ifndef FASTGEMM_PLAN_CACHE_H
#define FASTGEMM_PLAN_CACHE_H

#include "../policy/plan.h"

/*
 * The same as gemm_plan_make. `device` is the number of the device that `traits` describes; but for the SMs that the
 * caller allows, a number always comes with the same traits, and the toggles never change.
 */
struct gemm_plan plan_cached(const struct gemm_problem *problem, int device, const struct gemm_device *traits,
                             const struct toggles *toggles, const struct gemm_limits *limits);

#endif
