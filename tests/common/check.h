/*
 * The checks that every product has to pass, against float64 on the host: the bound per element, the relative Frobenius
 * error as a whole, equality on integers, and untouched surroundings. Column-major, as BLAS has it.
 */
#ifndef FASTGEMM_CHECK_H
#define FASTGEMM_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One product, all on the host. `before` is what C held; it is read only where beta != 0 (and for the padding). */
struct check_product {
    bool trans_a, trans_b;
    int64_t m, n, k, batch;
    int64_t lda, ldb, ldc, stride_a, stride_b, stride_c;
    float alpha, beta;
    bool tf32; /* operands may be rounded to 11 significant bits, and sums cut off */
    const float *a, *b, *before, *result;
};

struct check_report {
    double worst;     /* largest |err| / bound; infinite where a result is no number or the bound 0 is missed */
    int64_t at[3];    /* of the worst: i, j, batch */
    double frobenius; /* ||err|| / ||exact||; infinite where a result is no number */
    int64_t inexact;  /* results that are not exactly the float64 one */
    double largest;   /* largest |alpha||A||B| + |beta||C|: below 2^24, integers have to be exact */
    int64_t compared; /* results looked at */
};

/*
 * Compares at most about `limit` results (0: all): whole columns' worth of evenly spread rows and columns, first and
 * last included.
 */
struct check_report check_compare(const struct check_product *product, int64_t limit);

/* gamma(n) = n u / (1 - n u), u = 2^-24. */
double check_gamma(double n);

/*
 * What the Frobenius error may be on inputs with mean zero: max(sqrt(k), 4) 2^-24, and of TF32 1.5 2^-12, which
 * operands rounded to nearest keep and operands cut off do not.
 */
double check_frobenius_limit(int64_t k, bool tf32);

/* Inputs, the same in every run. Normal: about normal, mean zero, all 24 bits in use. */
void check_fill_normal(float *out, int64_t count, uint64_t seed);
/* Odd integers of exactly this many significant bits, either sign. */
void check_fill_integers(float *out, int64_t count, int bits, uint64_t seed);
/* -1, 0 or 1; not 0 with this probability. */
void check_fill_signs(float *out, int64_t count, double density, uint64_t seed);
/* A NaN whose bits no arithmetic makes, so that an unwritten result and a written-over guard both show. */
void check_fill_guard(float *out, int64_t count);
/* How many of these floats are not that NaN any more. */
int64_t check_guard_broken(const float *from, int64_t count);

/* How many floats of C between its columns (rows m to ldc-1, and between matrices) differ from before. */
int64_t check_padding_changed(const struct check_product *product);

/* The value rounded to TF32's 11 significant bits. */
float check_round_tf32(float value);

#endif
