/*
 * Products of operands that are split on their way into shared memory: fp32 accuracy on tensor cores in one pass. What
 * the policy has to know of them; what the product and the kernel after it hand to each other is in fused_args.h. Plain
 * C.
 *
 * K is cut in blocks of 64. Of each block, each row of op(A) and column of op(B) ("rows", both) is scaled by a power of
 * two of its own, split in two fp16 planes (x = hi + lo / 2^11), multiplied, and unscaled as it is added to the sum.
 * While the product converts it takes note of what such planes do not hold as exactly as fp32 would; the kernel after
 * it looks at these notes. Mostly it has but to add the partial sums; else it multiplies again, in fp64: a row that
 * spans too many exponents within a block, elements beyond a safe range, infinities, NaNs, a short K, or a few elements
 * that decide the product's error (split_rows.cuh). Where a look at a sample of the operands shows as much, the product
 * leaves at once.
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
    FUSED_BOX_ROWS = 32, /* of a block, which a warp copies and converts */
    FUSED_BOX_BYTES = FUSED_BOX_ROWS * FUSED_TILE_K * 4,
    FUSED_RAW_BYTES = 8 * FUSED_BOX_BYTES,                        /* a block of each operand, as it is copied */
    FUSED_BUFFER_BYTES = FUSED_RAW_BYTES + 8 * FUSED_PLANE_BYTES, /* and two stages of four planes */
    FUSED_STAGES = 2,
    FUSED_MOST_STAGES = 3, /* of EXACT, in which a block of each operand lies as it is copied */
    FUSED_SCALE_SLOTS = 2 * FUSED_STAGES,
    /* Shared memory, from a multiple of 1024 on: the buffer; scales; each converting thread's moments; flags; barriers.
     */
    FUSED_SCALES_AT = FUSED_BUFFER_BYTES,
    FUSED_MOMENTS_AT = FUSED_SCALES_AT + FUSED_SCALE_SLOTS * 2 * FUSED_TILE * 2,
    FUSED_FLAGS_AT = FUSED_MOMENTS_AT + 256 * 16,
    FUSED_BARRIERS_AT = FUSED_FLAGS_AT + 4 * 4,
    FUSED_COPIED_AT = FUSED_BARRIERS_AT + 2 * FUSED_MOST_STAGES * 8, /* a barrier for each converting warp's copies */
    FUSED_SHARED_BYTES = FUSED_COPIED_AT + 8 * 8 + 1024,
    FUSED_FINE_K = 2048,   /* up to here the sum of high planes is cut every 32: longer ones are no better in fp32 */
    FUSED_MOST_CTAS = 256, /* one to an SM */
    FUSED_LEAST_K = SPLIT_SHORT_K, /* below, one product may decide a sum, which the notes do not tell: always EXACT */
};

/* Scratch of a product: what each CTA noted of both operands, and what follows from it. Partial sums come after it. */
enum {
    FUSED_SEEN_BYTES = 2 * FUSED_MOST_CTAS * (int)sizeof(struct split_moments),
    FUSED_SCRATCH_BYTES = FUSED_SEEN_BYTES + 256
};

#endif
