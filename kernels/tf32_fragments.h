/*
 * TF32 operands packed for the tensor cores of mma.sync: what the pass that packs them, its launcher, the policy and
 * the product kernel agree on. Plain C.
 *
 * Rows of op(A) and columns of op(B) are both "rows" here. A matrix becomes blocks of 16 rows by 8 k, rounded to TF32,
 * each as the 32 lanes of a warp hold it: a lane's four values are one 16-byte load. Four blocks along k make a k tile
 * of 16 rows, and all rows' k tiles come before the next:
 *
 *   [k / 32][row / 16][k / 8 % 4][lane][4]
 *
 * So a CTA's k tile is one stretch of memory, and any layout, alignment or edge ends here: k is padded with zeros,
 * rows with what nobody stores.
 */
#ifndef FASTGEMM_TF32_FRAGMENTS_H
#define FASTGEMM_TF32_FRAGMENTS_H

#include <stdint.h>

#include "gemm_args.h"

enum {
    TF32_FRAGMENT_K = 32,         /* of a k tile */
    TF32_FRAGMENT_UNIT = 128,     /* rows that a CTA of the pass packs, of one k tile */
    TF32_FRAGMENT_ROWS = 256,     /* rows are padded to these: no CTA tile has more */
    TF32_FRAGMENT_BLOCK = 16 * 8, /* floats */
    TF32_FRAGMENT_THREADS = 256,
    TF32_FRAGMENT_SHARED_BYTES = TF32_FRAGMENT_UNIT * (TF32_FRAGMENT_K + 1) * 4
};

/* One operand on its way. */
struct tf32_fragments {
    const float *from;
    const float *const *list; /* the matrices of a batch, or NULL: they lie a stride apart */
    float *to;
    int64_t ld, stride, to_stride;
    int rows, k, along_k;
    int row_units, k_tiles, units; /* units: of all matrices */
};

struct tf32_fragments_args {
    struct tf32_fragments a, b;
};

/* Bytes of one packed operand, INT64_MAX where the pass could not count its units. `matrices`: those that differ. */
int64_t tf32_fragment_bytes(int64_t rows, int64_t k, int64_t matrices);

/*
 * The pass for a product whose operands are to lie at `scratch`, and that product as its kernel takes it: of packed
 * operands, partial sums after them.
 */
struct tf32_fragments_args tf32_fragments_place(struct gemm_args *product, int a_along_k, int b_along_k, void *scratch);

#endif
