/*
 * Products of operands that are split on their way into shared memory: fp32 accuracy on tensor cores in one pass. What
 * the product and the kernel after it hand to each other, and where it lies in scratch. Plain C.
 *
 * K is cut in blocks of 64. Of each block, each row of op(A) and column of op(B) ("rows", both) is scaled by a power of
 * two of its own, split in two fp16 planes (x = hi + lo / 2^11), multiplied, and unscaled as it is added to the sum.
 * While the product converts it takes note of what such planes do not hold as exactly as fp32 would; the kernel after
 * it looks at these notes. Mostly it has but to add the partial sums; else it multiplies again:
 *
 *   WIDE    a row spans too many exponents within a block: six products of bf16 planes
 *   EXACT   a short K, elements beyond bf16's safe range, infinities, NaNs, or a few elements that decide the product's
 * error (split_rows.cuh): fp64
 */
#ifndef FASTGEMM_FUSED_H
#define FASTGEMM_FUSED_H

#include <stdint.h>

#include "split.h"

enum {
    FUSED_TILE = 128, /* both sides */
    FUSED_TILE_K = 64,
    FUSED_THREADS = 512,
    FUSED_PLANE_BYTES = FUSED_TILE * FUSED_TILE_K * 2,
    FUSED_RAW_BYTES = 2 * FUSED_TILE * FUSED_TILE_K * 4,          /* a block of each operand, as it is copied */
    FUSED_BUFFER_BYTES = FUSED_RAW_BYTES + 8 * FUSED_PLANE_BYTES, /* and two stages of four planes, or one of six */
    FUSED_STAGES = 2,
    FUSED_SCALE_SLOTS = 2 * FUSED_STAGES,
    /* Shared memory, from a multiple of 1024 on: the buffer; scales; each converting thread's moments; flags; barriers.
     */
    FUSED_SCALES_AT = FUSED_BUFFER_BYTES,
    FUSED_MOMENTS_AT = FUSED_SCALES_AT + FUSED_SCALE_SLOTS * 2 * FUSED_TILE * 4,
    FUSED_FLAGS_AT = FUSED_MOMENTS_AT + 256 * 16,
    FUSED_BARRIERS_AT = FUSED_FLAGS_AT + 4 * 4,
    FUSED_SHARED_BYTES = FUSED_BARRIERS_AT + 2 * FUSED_STAGES * 8 + 1024,
    FUSED_FINE_K = 2048,   /* up to here the sum of high planes is cut every 32: longer ones are no better in fp32 */
    FUSED_MOST_CTAS = 256, /* one to an SM */
    FUSED_LEAST_K = SPLIT_SHORT_K, /* below, one product may decide a sum, which the notes do not tell: always EXACT */
};

enum fused_choice { FUSED_DONE, FUSED_WIDE, FUSED_EXACT };

struct fused_args {
    struct gemm_args gemm;
    int a_along_k, b_along_k; /* the operand is contiguous along k (A: op T, B: op N) */
    int a_aligned, b_aligned; /* four neighbours can be read as one */
    int k_blocks, blocks_per_split;
    int ctas;                                 /* of the product */
    int exact_splits, exact_blocks_per_split; /* of EXACT, whose partial sums take two floats: at most half as many */
    int spread; /* log2 of the largest over the smallest element of a block's row that planes may hold */
    struct split_moments *seen; /* [A, B][CTA]; `dominated` counts rows beyond the safe range */
    uint32_t *done;             /* [batch][tile]: splits that the kernel after the product has multiplied again */
};

/* Scratch of a product, in bytes, a multiple of 256. Partial sums come after it. */
int64_t fused_scratch_bytes(int64_t m, int64_t n, int64_t batch);

/* Fills everything after b_aligned, for at most FUSED_MOST_CTAS, on scratch at this address (a multiple of 256). */
void fused_args_place(struct fused_args *args, int ctas, void *scratch);

#endif
