/*
 * From a plan to the kernels' struct: all that follows from the problem and the plan. Pointers and scalars are the
 * caller's to add.
 */
#ifndef FASTGEMM_PLAN_ARGS_H
#define FASTGEMM_PLAN_ARGS_H

#include "../kernels/gemm_args.h"
#include "problem.h"

struct gemm_args gemm_plan_args(const struct gemm_problem *problem, const struct gemm_plan *plan);

#endif
