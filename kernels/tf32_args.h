/*
 * What the kernels of a TF32 product (tf32.h) take.
 */
#ifndef FASTGEMM_TF32_ARGS_H
#define FASTGEMM_TF32_ARGS_H

#include <cuda.h>

#include "gemm_args.h"

struct tf32_args {
    CUtensorMap a, b; /* the operands as the copy engine reads them */
    struct gemm_args gemm;
    int order;          /* enum tf32_order: of the rows of an A along k */
    int whole_boxes;    /* whether A is described in boxes of 32 rows */
    int a_step, b_step; /* from one matrix of the batch to the next: 1, or 0 where all are the same */
};

#endif
