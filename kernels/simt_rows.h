/*
 * Operands of an FFMA product brought to rows along m or n: what the pass that brings them, its launcher, the policy
 * and the product kernel agree on. Plain C.
 *
 * The main loop is fastest where both operands lie along m and n, each row from 16 bytes on. An operand that does not
 * is copied into scratch so, turned round or shifted, by a pass before the product.
 */
#ifndef FASTGEMM_SIMT_ROWS_H
#define FASTGEMM_SIMT_ROWS_H

#include <stdint.h>

#include "gemm_args.h"
#include "variants.h"

enum {
    SIMT_ROWS_UNIT = 64, /* side of the square of an operand that a CTA of the pass brings */
    SIMT_ROWS_THREADS = 256,
    SIMT_ROWS_SHARES_QUADS = 4, /* of a thread that adds what CTAs left of a shared tile */
    SIMT_ROWS_GROUP = 64,       /* rows of C that are worked on or not: a quad of each thread */
    SIMT_ROWS_FULL = 3,         /* groups of a tile */
    SIMT_ROWS_EDGE = 2          /* and of one at the edge */
};

/* One operand on its way; no units: it stays where it is. */
struct simt_rows {
    const float *from;
    const float *const *list; /* the matrices of a batch, or NULL: they lie a stride apart */
    float *to;
    int64_t ld, stride, to_ld, to_stride;
    int rows, along_k;
    int row_units, units; /* squares side by side, of one matrix and of all */
};

struct simt_rows_pass {
    struct simt_rows a, b;
    int k, chunks; /* squares along K */
};

/* How a product's operand lies. `matrices`: those that differ. */
struct simt_operand {
    int64_t rows, matrices;
    enum gemm_loader loader;
};

/* Bytes of scratch for both operands; INT64_MAX where the pass could not count its units. */
int64_t simt_rows_bytes(struct simt_operand a, struct simt_operand b, int64_t k);

/*
 * The pass for a product whose operands are to lie at `scratch`, and that product as its kernel takes it: partial sums,
 * or what CTAs leave of shared tiles, come after the operands.
 */
struct simt_rows_pass simt_rows_place(struct gemm_args *product, enum gemm_loader a, enum gemm_loader b, void *scratch);

#endif
