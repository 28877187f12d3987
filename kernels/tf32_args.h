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

enum { TF32_PACK_ROWS = 64, TF32_PACK_K = 64, TF32_PACK_THREADS = 256 };

/* One operand on its way into scratch. */
struct tf32_copy {
    const float *from;
    float *to;
    int64_t ld, stride, to_ld, to_stride;
    int rows, k, along_k;
    int row_tiles, k_tiles, tiles; /* tiles: of all matrices; 0: nothing to do */
};

struct tf32_pack_args {
    struct tf32_copy a, b;
};

#endif
