/*
 * What of a problem's operands a TF32 kernel wants in scratch first.
 */
#ifndef FASTGEMM_TF32_OPERANDS_H
#define FASTGEMM_TF32_OPERANDS_H

#include <stdbool.h>

#include "problem.h"

/* Bytes of scratch for both, packed for mma.sync (kernels/tf32_fragments.h); INT64_MAX as below. */
int64_t tf32_fragments_bytes(const struct gemm_problem *problem);

/* The same of a product on fp16 (fp16_fragments.h), with what is noted of its operands. */
int64_t fp16_operand_bytes(const struct gemm_problem *problem);

/*
 * Bytes of scratch for those that wgmma does not take as they lie, 0 where the kernel reads both as they lie; INT64_MAX
 * where they cannot be counted.
 */
int64_t tf32_operand_bytes(const struct gemm_problem *problem, const struct gemm_variant *variant);

/* Whether it reads an odd A as it lies. */
bool tf32_shifted_a(const struct gemm_problem *problem, const struct gemm_variant *variant);

#endif
