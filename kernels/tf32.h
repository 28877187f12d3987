/*
 * TF32 products by Hopper's matrix instruction: what the policy, the launcher and the kernels have to agree on. Plain
 * C.
 *
 * The copy engine reads operands whose addresses and steps are whole 16 bytes, and rounds to TF32 on the way (to
 * nearest, as cuBLAS has it). For TF32 the instruction wants B in shared memory along k; A may lie along k too, or
 * along m: then it goes through registers. What the copy engine cannot read, and a B along n, a pass brings into
 * scratch before the product: rows along k, of 128 bytes or a multiple, unrounded. Rows are those of op(A), and the
 * columns of op(B). An A along m with an odd leading dimension needs no pass: every fourth of its columns is a tensor
 * that begins at the same place in 16 bytes.
 */
#ifndef FASTGEMM_TF32_H
#define FASTGEMM_TF32_H

#include <stdbool.h>
#include <stdint.h>

enum {
    TF32_TILE_K = 32, /* 128 bytes: a row of shared memory */
    TF32_PACKED_ROWS = 32,
    TF32_STAGE_BUDGET = 200704,
    TF32_ALIGN = 1024, /* of tiles in shared memory, which take a pad for it */
    TF32_SHARED_BYTES = TF32_STAGE_BUDGET + TF32_ALIGN,
};

struct tf32_operand {
    int64_t rows, k, batch;
    int64_t ld, stride; /* floats */
    bool along_k;       /* contiguous along k (A: op T, B: op N), else along its rows */
    unsigned align;     /* bytes that divide its address */
    bool shifts;        /* whether the kernel would rather have an odd A along m as it lies (tf32_shifts) */
};

/*
 * Whether to: rows that straddle lines cost the main loop 5 % and more, small tiles far more, while a pass costs the
 * less beside the product the more columns op(B) has.
 */
bool tf32_shifts(int64_t n, int tile_n);

/* Whether the copy engine can read it. */
bool tf32_readable(const struct tf32_operand *operand);

/* Whether A is read along m all the same, every fourth k as a tensor of its own. */
bool tf32_shifted(const struct tf32_operand *operand, bool is_a);

/* Whether a pass has to bring it into scratch. */
bool tf32_packed(const struct tf32_operand *operand, bool is_a);

/* Then: bytes of scratch, a multiple of 256, INT64_MAX where the pass could not count its tiles. */
int64_t tf32_packed_bytes(const struct tf32_operand *operand);

/* Its rows, padded to whole boxes of 32, and floats from row to row. */
int64_t tf32_packed_rows(const struct tf32_operand *operand);
int64_t tf32_packed_ld(const struct tf32_operand *operand);

/* Matrices that differ: one where a stride of 0 repeats it. */
int64_t tf32_matrices(const struct tf32_operand *operand);

#endif
