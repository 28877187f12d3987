/*
 * The stand-in's arithmetic: products and sums in double precision, rounded once at the end. K is cut into slices
 * whose operands are widened first, so that memory stays small and the inner loop runs along contiguous numbers.
 */
#include "cublas_standin.h"

#include <stdlib.h>
#include <string.h>

enum { SLICE = 256 };

int standin_type_bytes(int type) {
    switch (type) {
    case CUDA_R_32F:
        return 4;
    case CUDA_R_64F:
        return 8;
    case CUDA_R_16F:
    case CUDA_R_16BF:
        return 2;
    default:
        return 0;
    }
}

static double from_half(uint16_t h) {
    int exponent = h >> 10 & 31;
    double fraction = h & 1023, value;
    if (exponent == 31)
        value = fraction != 0 ? __builtin_nan("") : __builtin_inf();
    else
        value = exponent ? __builtin_ldexp(1024 + fraction, exponent - 25) : __builtin_ldexp(fraction, -24);
    return h >> 15 ? -value : value;
}

double standin_load(const void *array, int64_t index, int type) {
    uint16_t small;
    uint32_t word;
    float wide;
    switch (type) {
    case CUDA_R_32F:
        return ((const float *)array)[index];
    case CUDA_R_64F:
        return ((const double *)array)[index];
    case CUDA_R_16F:
        return from_half(((const uint16_t *)array)[index]);
    default: /* bf16: the upper half of a float */
        small = ((const uint16_t *)array)[index];
        word = (uint32_t)small << 16;
        memcpy(&wide, &word, sizeof wide);
        return wide;
    }
}

/* Nearest, ties to even, by way of a float. */
static uint16_t to_bf16(double value) {
    float wide = (float)value;
    uint32_t word;
    memcpy(&word, &wide, sizeof word);
    if (wide != wide) return 0x7fff;
    return (uint16_t)((word + 0x7fff + (word >> 16 & 1)) >> 16);
}

static uint16_t to_half(double value) {
    uint16_t sign = __builtin_signbit(value) ? 0x8000 : 0;
    double size = __builtin_fabs(value);
    int exponent;
    if (size != size) return 0x7fff;
    if (size >= 65520) return sign | 0x7c00;
    if (size < __builtin_ldexp(1, -14)) return sign | (uint16_t)__builtin_rint(__builtin_ldexp(size, 24));
    size = __builtin_frexp(size, &exponent); /* [0.5, 1) */
    return sign | (uint16_t)(((exponent + 13) << 10) + (int)__builtin_rint(size * 2048));
}

void standin_store(void *array, int64_t index, int type, double value) {
    switch (type) {
    case CUDA_R_32F:
        ((float *)array)[index] = (float)value;
        break;
    case CUDA_R_64F:
        ((double *)array)[index] = value;
        break;
    case CUDA_R_16F:
        ((uint16_t *)array)[index] = to_half(value);
        break;
    default:
        ((uint16_t *)array)[index] = to_bf16(value);
    }
}

double standin_scalar(const void *scalar, int compute) {
    if (compute == CUBLAS_COMPUTE_64F || compute == CUBLAS_COMPUTE_64F_PEDANTIC)
        return standin_load(scalar, 0, CUDA_R_64F);
    if (compute == CUBLAS_COMPUTE_16F || compute == CUBLAS_COMPUTE_16F_PEDANTIC)
        return standin_load(scalar, 0, CUDA_R_16F);
    return standin_load(scalar, 0, CUDA_R_32F);
}

/* ---- one matrix of the batch ---- */

struct matrices {
    const void *a, *b;
    void *c;
};

/* Whether the columns x ld area of a matrix is device memory. */
static bool resident(const void *matrix, int64_t rows, int64_t columns, int64_t ld, int type) {
    if (rows == 0 || columns == 0) return true;
    return fgsim_is_device_memory(matrix, (size_t)((columns - 1) * ld + rows) * (size_t)standin_type_bytes(type));
}

static bool all_resident(const struct product *p, const struct matrices *x, double alpha) {
    bool na = p->transa == CUBLAS_OP_N, nb = p->transb == CUBLAS_OP_N;
    if (!resident(x->c, p->m, p->n, p->ldc, p->type_c)) return false;
    if (alpha == 0 || p->k == 0) return true;
    return resident(x->a, na ? p->m : p->k, na ? p->k : p->m, p->lda, p->type_a) &&
           resident(x->b, nb ? p->k : p->n, nb ? p->n : p->k, p->ldb, p->type_b);
}

/* sum += one slice's product; a is [k][m], b [n][k], both widened. */
static void add_slice(double *restrict sum, const double *restrict a, const double *restrict b, int64_t m, int64_t n,
                      int64_t k) {
    for (int64_t j = 0; j < n; j++)
        for (int64_t l = 0; l < k; l++) {
            double factor = b[j * SLICE + l];
            for (int64_t i = 0; i < m; i++) sum[j * m + i] += a[l * m + i] * factor;
        }
}

static void widen(const struct product *p, const struct matrices *x, int64_t k0, int64_t k, double *a, double *b) {
    for (int64_t l = 0; l < k; l++)
        for (int64_t i = 0; i < p->m; i++)
            a[l * p->m + i] =
                standin_load(x->a, p->transa == CUBLAS_OP_N ? i + (k0 + l) * p->lda : k0 + l + i * p->lda, p->type_a);
    for (int64_t j = 0; j < p->n; j++)
        for (int64_t l = 0; l < k; l++)
            b[j * SLICE + l] =
                standin_load(x->b, p->transb == CUBLAS_OP_N ? k0 + l + j * p->ldb : j + (k0 + l) * p->ldb, p->type_b);
}

static bool compute_one(const struct product *p, const struct matrices *x, double alpha, double beta) {
    if (!all_resident(p, x, alpha)) return false;
    double *sum = calloc((size_t)(p->m * p->n), sizeof *sum), *a = malloc((size_t)p->m * SLICE * sizeof *a);
    double *b = malloc((size_t)p->n * SLICE * sizeof *b);
    if (!sum || !a || !b) abort();
    for (int64_t k0 = 0; k0 < p->k && alpha != 0; k0 += SLICE) {
        int64_t k = p->k - k0 < SLICE ? p->k - k0 : SLICE;
        widen(p, x, k0, k, a, b);
        add_slice(sum, a, b, p->m, p->n, k);
    }
    for (int64_t j = 0; j < p->n; j++)
        for (int64_t i = 0; i < p->m; i++) {
            double value = alpha == 0 ? 0 : alpha * sum[j * p->m + i];
            if (beta != 0) value += beta * standin_load(x->c, i + j * p->ldc, p->type_c);
            standin_store(x->c, i + j * p->ldc, p->type_c, value);
        }
    free(sum), free(a), free(b);
    return true;
}

bool standin_compute(const struct product *p) {
    double alpha = p->scalars_on_device ? standin_scalar(p->alpha, p->compute) : p->alpha_value;
    double beta = p->scalars_on_device ? standin_scalar(p->beta, p->compute) : p->beta_value;
    if (p->m == 0 || p->n == 0) return true;
    for (int64_t i = 0; i < p->batch; i++) {
        struct matrices x;
        if (p->arrays)
            x = (struct matrices){((const void *const *)p->a)[i], ((const void *const *)p->b)[i],
                                  ((void *const *)p->c)[i]};
        else
            x = (struct matrices){(const char *)p->a + i * p->stride_a * standin_type_bytes(p->type_a),
                                  (const char *)p->b + i * p->stride_b * standin_type_bytes(p->type_b),
                                  (char *)p->c + i * p->stride_c * standin_type_bytes(p->type_c)};
        if (!compute_one(p, &x, alpha, beta)) return false;
    }
    return true;
}
