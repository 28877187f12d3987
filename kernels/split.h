/*
 * Products of split operands: fp32 accuracy on tensor cores. What the passes over the operands and the product kernel
 * hand to each other, and where it lies in scratch. Plain C.
 *
 * Rows of op(A) and columns of op(B) are both "rows" here: first the rows of A, padded to whole CTA tiles, then those
 * of B. A row is scaled by a power of two, so that its largest element lies in [2^14, 2^15), and split into planes:
 *
 *   fp16x1  x = hi, 11 bits as TF32   fp16, one product, for callers who allow TF32; else TF32 itself (split_notes)
 *   fp16x3  x = hi + lo / 2^11        fp16, three products; needs rows of moderate spread
 *   bf16x6  x = top + mid + low       bf16, six products; takes any row
 *   exact   floats, unscaled          multiplied in fp64: the rounded result is the best there is. For products whose
 *                                     error a few elements decide (split_choose)
 *
 * Planes are stored as the product kernel's shared memory wants them: units of 128 rows x 32 k, plane after plane,
 * each 8 KB in the 64-byte swizzle of wgmma, padded with zeros. Any layout and alignment ends here. In a unit of A
 * each 16 rows stand in an order that gives a thread of the product four neighbours.
 */
#ifndef FASTGEMM_SPLIT_H
#define FASTGEMM_SPLIT_H

#include <stdbool.h>
#include <stdint.h>

#include "gemm_args.h"

enum {
    SPLIT_UNIT_ROWS = 128,
    SPLIT_UNIT_K = 32,
    SPLIT_PLANE_BYTES = SPLIT_UNIT_ROWS * SPLIT_UNIT_K * 2,
    SPLIT_EXACT_BYTES = SPLIT_UNIT_ROWS * SPLIT_UNIT_K * 4, /* of a unit, in an order of its own */
    SPLIT_TILE_M = 256,
    SPLIT_TILE_N = 128,
    SPLIT_TILE_K = 64, /* a split of K is a multiple of it */
    SPLIT_MAX_PLANES = 3,
    SPLIT_SHARED_BYTES =
        3 * SPLIT_MAX_PLANES * 3 * SPLIT_PLANE_BYTES + 1024, /* three stages of three units, and a pad */
    SPLIT_PLANES_SHARED_BYTES = 2 * SPLIT_EXACT_BYTES,       /* of split_planes: two units of floats */
    SPLIT_LO_SHIFT = 11,
    SPLIT_ONE_SPREAD = 28, /* from 2^14 down to the smallest normal fp16 */
    SPLIT_SLICE_K = 64,    /* of fp16x1: k over which rows' solid elements are counted, */
    SPLIT_SOLID = 6,       /* those within so many exponents of the row's largest */
    SPLIT_SHORT_K = 512,   /* below, a sum may owe all it is to one product */
    SPLIT_BAND_CTAS = 512, /* at most */
    SPLIT_BAND_K = 512     /* up to here a band has 16 rows, beyond 8 */
};

/*
 * Over some rows: sums of the squares and the fourth powers of the largest elements of their parts along K; how many
 * rows there are but for zeros, how many that one element dominates, and how many are too wide for fp16.
 */
struct split_moments {
    double second, fourth;
    int rows, dominated, wide;
};

/*
 * How the operands are multiplied, decided on the device: a later one takes all that an earlier one does. For callers
 * who allow TF32 it is one of the last two.
 */
enum split_planes { SPLIT_FP16X3, SPLIT_BF16X6, SPLIT_EXACT, SPLIT_FP16X1, SPLIT_TF32 };

/*
 * What decides about fp16x1, over some rows of op(A) and columns of op(B). Elements that are normal fp16, once their
 * row is scaled, are as accurate as TF32's; smaller ones are off by up to 2^-39 of the row's largest. A few such there
 * are in any large matrix with numbers around zero. They do no harm where every row meets every column in large
 * elements: count, over the same SPLIT_SLICE_K k, the solid elements of each row, within 2^-7 of its largest. If the
 * fewest of a row of A and the fewest of a column of B are more than the slice together, then for each pair there is a
 * k at which both are solid. So |A||B| is nowhere below 2^-14 of both largest elements' product, of which the small
 * ones spoil 2^-38 for each k: k 2^-24 of |A||B|, no more than fp32 sums of k products may be off.
 */
struct split_notes {
    /* An infinity, a NaN, a row that is subnormal, or wide with hardly a solid element, or many that are wide: TF32. */
    uint32_t hopeless;
    uint32_t wide;       /* rows with elements that are no normal fp16 */
    uint32_t lacking[2]; /* of A, of B: most elements of the slice that are not solid */
};

struct split_args {
    struct gemm_args gemm;
    int a_along_k, b_along_k; /* the operand is contiguous along k (A: op T, B: op N) */
    int rows_a, rows;         /* padded: of A, of A and B */
    int k_units;              /* padded K over SPLIT_UNIT_K */
    int band_ctas;     /* not 0: one pass, of so many CTAs, looks at whole rows and writes their planes at once */
    int chunk, chunks; /* else the first pass looks at K in so many chunks: one, below SPLIT_SHORT_K */
    int spread;        /* log2 of the largest over the smallest element of a row that fp16 planes may hold */
    int first_choice;  /* enum split_planes */
    uint32_t *choice;  /* enum split_planes, as decided; not where the product decides for itself */
    uint32_t *taken, *written;     /* units, where the planes of bands turn out not to do (split_again.cuh) */
    uint32_t *done;                /* [batch]: units of rows that split_choose is done with; not by bands */
    struct split_moments *moments; /* [batch][row / 128], by bands [A, B][CTA] */
    uint32_t *extremes;            /* [batch][chunk][row]: what the first pass saw; not by bands */
    /*
     * [batch][row]: powers of two; NaN: the row holds an infinity or a NaN, its planes zeros. Without planes a row too
     * wide for fp16 does not decide for the whole: it is negative here.
     */
    float *inverse_scales;
    uint8_t *planes;           /* [batch][row / 128][k / 32][plane][8 KB] */
    struct split_notes *notes; /* of fp16x1: one, or one for each CTA of bands */
};

/* Scratch of a product, in bytes, a multiple of 256; `args.gemm` needs m, n, k and batch only. */
int64_t split_scratch_bytes(int m, int n, int k, int batch);

/* The same of fp16x1: in place of planes there may be so many bytes of TF32 operands. */
int64_t split_one_scratch_bytes(int m, int n, int k, int batch, int64_t operands);

/* Whether its planes are written by bands: planned as split_args_place does it. */
bool split_one_by_bands(int m, int n, int k, int batch);

/* The same of what is noted of operands that are not stored as planes. */
int64_t split_looks_bytes(int m, int n, int k, int batch);

/* log2 of the largest over the smallest element of a row that fp16 planes may hold, where sums have k products. */
int split_spread(int k);

/* Fills everything after `gemm`, a_along_k and b_along_k, for scratch at this address (a multiple of 256). */
void split_args_place(struct split_args *args, enum split_planes first_choice, void *scratch);

/* The same without planes, for scratch of split_looks_bytes. */
void split_args_place_looks(struct split_args *args, enum split_planes first_choice, void *scratch);

#endif
