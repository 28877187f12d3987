/*
 * What a product is: plainly valid or not, its profile, and how its operands can be read.
 */
#ifndef FASTGEMM_PROFILE_H
#define FASTGEMM_PROFILE_H

#include "problem.h"

/* BLAS's rules for sizes and leading dimensions; a false answer means that cuBLAS is to give the status. */
bool gemm_problem_valid(const struct gemm_problem *problem);

enum gemm_profile gemm_profile_of(const struct gemm_problem *problem);
const char *gemm_profile_name(enum gemm_profile profile);

/* The fastest loader that these operands allow (kernels/variants.h). */
enum gemm_loader gemm_loader_a(const struct gemm_problem *problem);
enum gemm_loader gemm_loader_b(const struct gemm_problem *problem);

/* The largest power of two up to 16 that divides an operand's address, in bytes. */
unsigned gemm_alignment(const void *operand);

#endif
