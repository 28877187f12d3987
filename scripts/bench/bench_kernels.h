/*
 * The bench's own device code: inputs, limits of the chip, and the check. Kernels are launched from C by their host
 * symbols; each takes the one struct below by value.
 */
#ifndef FASTGEMM_BENCH_KERNELS_H
#define FASTGEMM_BENCH_KERNELS_H

#include <stdint.h>

enum bench_input { INPUT_NORMAL, INPUT_UNIFORM, INPUT_LOGNORMAL, INPUT_COUNT };
enum {
    BENCH_THREADS = 256,
    REFERENCE_TILE = 16,
    REFERENCE_SLICE = 8192,
    FFMA_CHAINS = 16,
    FFMA_UNROLL = 16,
    MMA_CHAINS = 8
};

/* What an output holds before a product: a NaN that no arithmetic yields. */
#define BENCH_UNTOUCHED 0x7fc0dead

/* What a check adds up on the device; maxima are bits of non-negative doubles, which order as integers. */
struct bench_sums {
    unsigned long long not_finite, touched; /* elements of C that are not numbers; elements beside C that changed */
    double error2, reference2;              /* over the sampled elements, against float64 */
    unsigned long long worst;               /* largest |error| / (|A||B|) */
    double difference2, other2;             /* over all of C, against the other engine's */
    unsigned long long furthest;            /* largest |difference| */
};

struct bench_args {
    float *out;
    int64_t count;
    uint64_t seed;
    int input; /* enum bench_input */
    float x, y;
    int repeats;
    const float *a, *b, *c, *other;
    int64_t a_row, a_k, b_k, b_col; /* steps between elements of op(A) and op(B) */
    int64_t ldc, stride_a, stride_b, stride_c, guard;
    int64_t m, n, k, batch;
    const int *rows, *columns, *matrices; /* the sample */
    int row_count, column_count, matrix_count, slices;
    double *product, *magnitude; /* float64 of the sample: AB and |A||B| */
    struct bench_sums *sums;
};

#define BENCH_KERNELS(X)                                                                                               \
    X(bench_fill)      /* out[0, count) random */                                                                      \
    X(bench_untouched) /* out[0, count) = BENCH_UNTOUCHED */                                                           \
    X(bench_copy)      /* out = a, count floats, a multiple of 4 */                                                    \
    X(bench_write)     /* out = x */                                                                                   \
    X(bench_read)      /* reads a */                                                                                   \
    X(bench_ffma)      /* 2 FFMA_CHAINS FFMA_UNROLL repeats operations a thread */                                     \
    X(bench_mma)       /* 2048 MMA_CHAINS repeats TF32 operations a warp (m16n8k8) */                                  \
    X(bench_spin)      /* holds the stream for `count` nanoseconds */                                                  \
    X(bench_reference) /* product and magnitude of the sample */                                                       \
    X(bench_error)     /* c against product */                                                                         \
    X(bench_scan)      /* c and its surroundings, guard floats on each side */                                         \
    X(bench_compare)   /* c against other */

#ifndef __CUDACC__
#define X(name) extern void name(void);
BENCH_KERNELS(X)
#undef X
#endif

#endif
