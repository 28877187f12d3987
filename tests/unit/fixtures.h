/*
 * What the unit tests of policy/ share: chips, problems and settings to start from.
 */
#ifndef FASTGEMM_UNIT_FIXTURES_H
#define FASTGEMM_UNIT_FIXTURES_H

/* CMocka wants these before itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "plan.h"
#include "profile.h"

/* Chips by their data sheets; any other architecture gets sm_90's figures. */
struct gemm_device device_of_arch(int arch);

/* Dense and aligned: the smallest leading dimensions and strides, every address on 16 bytes, contract fp32, beta 0. */
struct gemm_problem problem_of(enum gemm_op op_a, enum gemm_op op_b, int64_t m, int64_t n, int64_t k);
struct gemm_problem batched_problem(int64_t m, int64_t n, int64_t k, int64_t batch);

/* The published workloads, column-major. */
struct published {
    const char *what;
    enum gemm_profile profile;
    struct gemm_problem problem;
};
enum { PUBLISHED_COUNT = 6 };
struct published published_workload(int index);

struct toggles default_toggles(void);
struct gemm_limits plenty_of_scratch(void);

/* A plan with default settings and plenty of scratch. */
struct gemm_plan plan_on(int arch, struct gemm_problem problem);

#endif
