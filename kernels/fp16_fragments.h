/*
 * TF32 products on fp16 tensor cores by mma.sync: what the pass that packs operands, its launcher and the product
 * kernel agree on. Plain C.
 *
 * fp16 has TF32's 11 bits and twice its rate, but little range. So rows of op(A) and columns of op(B) are scaled by
 * powers of two, and the sums back, where that keeps all that TF32 would; elsewhere operands are packed as TF32
 * (split_notes in split.h): the device decides.
 *
 * Fragments are those of tf32_fragments.h, but of k tiles of 64 bytes: 32 k in fp16, 16 in TF32.
 *
 *   [k / 32][row / 16][k / 16 % 2][lane][8 fp16]   of 16 k a lane takes c, c + 4, c + 8 and c + 12
 *   [k / 16][row / 16][k / 8 % 2][lane][4 floats]
 */
#ifndef FASTGEMM_FP16_FRAGMENTS_H
#define FASTGEMM_FP16_FRAGMENTS_H

#include "split.h"
#include "tf32_fragments.h"

enum {
    FP16_FRAGMENT_BYTES = 64,                                                        /* of a k tile in a row */
    FP16_FRAGMENT_SHARED_BYTES = TF32_FRAGMENT_SHARED_BYTES + 4 * TF32_FRAGMENT_UNIT /* of the pass: and scales */
};

struct fp16_fragments_args {
    struct gemm_args product; /* of packed operands */
    struct tf32_fragments a, b;
    int rows_a, rows; /* padded, of A, of both: scales of a matrix */
    const struct split_notes *notes;
    const float *inverse_scales;
};

/* Scratch of the looks and of both operands, INT64_MAX where there would be too many units; `matrices`: that differ. */
int64_t fp16_fragments_bytes(int m, int n, int k, int batch, int64_t matrices_a, int64_t matrices_b);

/* What follows after the looks (split.h), whose arguments are filled too; partial sums come after all in `scratch`. */
struct fp16_fragments_args fp16_fragments_place(struct split_args *looks, const struct gemm_args *gemm, int a_along_k,
                                                int b_along_k, void *scratch);

#endif
