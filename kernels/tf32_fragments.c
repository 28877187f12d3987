/* Where packed TF32 operands lie in scratch. */
#include "tf32_fragments.h"

#include <stddef.h>

static const double MOST_UNITS = 1 << 29; /* of one operand: those of both are counted in 32 bits */

static int64_t units_of(int64_t extent, int64_t unit) {
    return (extent + unit - 1) / unit;
}

static int64_t floats_of_matrix(int64_t rows, int64_t k) {
    return units_of(rows, TF32_FRAGMENT_ROWS) * TF32_FRAGMENT_ROWS * units_of(k, TF32_FRAGMENT_K) * TF32_FRAGMENT_K;
}

int64_t tf32_fragment_bytes(int64_t rows, int64_t k, int64_t matrices) {
    const double units = ((double)rows / TF32_FRAGMENT_UNIT + 1) * ((double)k / TF32_FRAGMENT_K + 1);
    if (units * (double)matrices > MOST_UNITS) return INT64_MAX;
    return floats_of_matrix(rows, k) * matrices * (int64_t)sizeof(float);
}

/* One operand, which is then found at `to`. Returns the end of it. */
static float *place(struct tf32_fragments *o, const float **from, const float *const **list, int64_t *ld,
                    int64_t *stride, int batch, float *to) {
    const int matrices = *stride == 0 && !*list ? 1 : batch;
    o->from = *from;
    o->list = *list;
    o->to = to;
    o->ld = *ld;
    o->stride = *stride;
    o->to_stride = floats_of_matrix(o->rows, o->k);
    o->row_units = (int)units_of(o->rows, TF32_FRAGMENT_UNIT);
    o->k_tiles = (int)units_of(o->k, TF32_FRAGMENT_K);
    o->units = o->row_units * o->k_tiles * matrices;
    *from = to;
    *list = NULL;
    *ld = units_of(o->rows, TF32_FRAGMENT_ROWS) * TF32_FRAGMENT_ROWS;
    *stride = matrices > 1 ? o->to_stride : 0;
    return to + matrices * o->to_stride;
}

struct tf32_fragments_args tf32_fragments_place(struct gemm_args *p, int a_along_k, int b_along_k, void *scratch) {
    struct tf32_fragments_args args = {.a = {.rows = p->m, .k = p->k, .along_k = a_along_k},
                                       .b = {.rows = p->n, .k = p->k, .along_k = b_along_k}};
    float *end = place(&args.a, &p->a, &p->a_list, &p->lda, &p->stride_a, p->batch, scratch);
    end = place(&args.b, &p->b, &p->b_list, &p->ldb, &p->stride_b, p->batch, end);
    p->partial = p->splits > 1 ? end : NULL;
    return args;
}
