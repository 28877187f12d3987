/*
 * What the kernels of a TF32 product (tf32.h) take.
 */
#ifndef FASTGEMM_TF32_ARGS_H
#define FASTGEMM_TF32_ARGS_H

#include <cuda.h>

#include "gemm_args.h"
#include "tf32_place.h"
#include "tf32_works.h"

struct tf32_args {
    CUtensorMap a, b; /* the operands as the copy engine reads them */
    struct gemm_args gemm;
    struct tf32_walk walk;
    int order;          /* enum tf32_order: of the rows of an A along k */
    int whole_boxes;    /* whether A is described in boxes of 32 rows */
    int a_step, b_step; /* from one matrix of the batch to the next: 1, or 0 where all are the same */
};

/* With a shifted A, its tensors by matrix and by k: of every fourth matrix, or of all where that shifts nothing. */
struct tf32_shifted_args {
    struct tf32_args of_all; /* without a */
    CUtensorMap a[TF32_SHIFTS][TF32_SHIFTS];
    int every; /* matrix: 4 or 1 */
};

#endif
