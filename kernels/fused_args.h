/*
 * What the kernels of a fused product (fused.h) take.
 */
#ifndef FASTGEMM_FUSED_ARGS_H
#define FASTGEMM_FUSED_ARGS_H

#include <cuda.h>

#include "fused.h"

enum fused_choice { FUSED_DONE, FUSED_EXACT };

struct fused_args {
    CUtensorMap a, b; /* the operands in boxes, where a_boxes, b_boxes */
    struct gemm_args gemm;
    int a_along_k, b_along_k; /* the operand is contiguous along k (A: op T, B: op N) */
    int a_boxes, b_boxes;     /* the copy engine reads it; else each thread what it converts */
    int a_step, b_step;       /* from one matrix of the batch to the next: 1, or 0 where all are the same */
    int k_blocks, blocks_per_split;
    int ctas;   /* of the product */
    int spread; /* log2 of the largest over the smallest element of a block's row that planes may hold */
    struct split_moments *seen; /* [A, B][CTA]; `dominated` counts rows beyond the safe range */
    uint32_t *choice;           /* enum fused_choice, for the kernel that adds the sums of EXACT */
};

#endif
