/*
 * Operands of an FFMA product brought to rows along m or n: what the pass that brings them, its launcher, the policy
 * and the product kernel agree on. Plain C.
 *
 * The main loop is fastest where both operands lie along m and n, each row from 16 bytes on. An operand that does not
 * is copied into scratch so, turned round or shifted, while the product runs: the pass has a small CTA beside those of
 * the product on each SM, goes through both operands along K, and counts for each chunk of K what is there. The
 * product copies no k tile before its chunk is complete.
 */
#ifndef FASTGEMM_SIMT_ROWS_H
#define FASTGEMM_SIMT_ROWS_H

#include <stdint.h>

#include "gemm_args.h"
#include "variants.h"

enum {
    SIMT_ROWS_UNIT = 32, /* rows of an operand that a warp of the pass brings at a time */
    SIMT_ROWS_K = 64,    /* and k: a chunk */
    SIMT_ROWS_THREADS = 128,
    SIMT_ROWS_REGISTERS = 64 /* what two CTAs of the product leave of an SM's */
};

/* One operand on its way; no units: it stays where it is. */
struct simt_rows {
    const float *from;
    const float *const *list; /* the matrices of a batch, or NULL: they lie a stride apart */
    float *to;
    int64_t ld, stride, to_ld, to_stride;
    int rows, along_k;
    int row_units, units; /* units: of one chunk of all matrices */
};

struct simt_rows_pass {
    struct simt_rows a, b;
    int k, chunks;
    unsigned *there; /* units of each chunk that have been brought */
};

/* The product's own struct: of operands that a pass brings. */
struct simt_rows_args {
    struct gemm_args gemm;
    const unsigned *there;
    unsigned units; /* of a chunk */
};

/* How a product's operand lies. `matrices`: those that differ. */
struct simt_operand {
    int64_t rows, matrices;
    enum gemm_loader loader;
};

/* Bytes of scratch for both operands; INT64_MAX where the pass could not count its units. */
int64_t simt_rows_bytes(struct simt_operand a, struct simt_operand b, int64_t k);

/* Bytes of the counts, first in scratch, which are zero before the pass. */
int64_t simt_rows_counts_bytes(int64_t k);

/*
 * The pass for a product whose operands are to lie at `scratch`, and that product as its kernel takes it: partial sums,
 * or what CTAs leave of shared tiles, come after the operands.
 */
struct simt_rows_pass simt_rows_place(struct simt_rows_args *product, enum gemm_loader a, enum gemm_loader b,
                                      void *scratch);

#endif
