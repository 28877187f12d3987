/*
 * What of a problem's operands a TF32 kernel wants in scratch first (kernels/tf32.h).
 */
#ifndef FASTGEMM_TF32_OPERANDS_H
#define FASTGEMM_TF32_OPERANDS_H

#include "problem.h"

/* Bytes of scratch for them, 0 where the kernel reads both as they lie; INT64_MAX where they cannot be counted. */
int64_t tf32_operand_bytes(const struct gemm_problem *problem);

#endif
