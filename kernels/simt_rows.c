/* Where operands brought to rows along m or n lie in scratch. */
#include "simt_rows.h"

#include <stdbool.h>
#include <stddef.h>

enum { ALIGN = 32, MOST_ROWS = 1 << 25 }; /* floats: rows are whole lines, a k tile within 2^32 bytes */
static const double MOST_UNITS = 1 << 29; /* of both operands over all of K, counted in 32 bits */

static int64_t round_up(int64_t value, int64_t unit) {
    return (value + unit - 1) / unit * unit;
}

static bool stays(enum gemm_loader loader) {
    return loader == LOAD_MN16;
}

static int64_t floats_of(const struct simt_operand *o, int64_t k) {
    return stays(o->loader) ? 0 : round_up(o->rows, ALIGN) * k * o->matrices;
}

static double units_of(const struct simt_operand *o, int64_t k) {
    return ((double)o->rows / SIMT_ROWS_UNIT + 1) * ((double)k / SIMT_ROWS_UNIT + 1) * (double)o->matrices;
}

int64_t simt_rows_bytes(struct simt_operand a, struct simt_operand b, int64_t k) {
    if (units_of(&a, k) + units_of(&b, k) > MOST_UNITS || a.rows > MOST_ROWS || b.rows > MOST_ROWS) return INT64_MAX;
    return (floats_of(&a, k) + floats_of(&b, k)) * (int64_t)sizeof(float);
}

/* One operand, which is then found at `to`. Returns the end of it. */
static float *place(struct simt_rows *o, int k, const float **from, const float *const **list, int64_t *ld,
                    int64_t *stride, int batch, float *to) {
    const int matrices = *stride == 0 && !*list ? 1 : batch;
    o->from = *from;
    o->list = *list;
    o->to = to;
    o->ld = *ld;
    o->stride = *stride;
    o->to_ld = round_up(o->rows, ALIGN);
    o->to_stride = o->to_ld * k;
    o->row_units = (o->rows + SIMT_ROWS_UNIT - 1) / SIMT_ROWS_UNIT;
    o->units = o->row_units * matrices;
    *from = to;
    *list = NULL;
    *ld = o->to_ld;
    *stride = matrices > 1 ? o->to_stride : 0;
    return to + matrices * o->to_stride;
}

struct simt_rows_pass simt_rows_place(struct gemm_args *p, enum gemm_loader a, enum gemm_loader b, void *scratch) {
    struct simt_rows_pass pass = {.a = {.rows = p->m, .along_k = a == LOAD_K4},
                                  .b = {.rows = p->n, .along_k = b == LOAD_K4},
                                  .k = p->k,
                                  .chunks = (p->k + SIMT_ROWS_UNIT - 1) / SIMT_ROWS_UNIT};
    float *end = scratch;
    if (!stays(a)) end = place(&pass.a, p->k, &p->a, &p->a_list, &p->lda, &p->stride_a, p->batch, end);
    if (!stays(b)) end = place(&pass.b, p->k, &p->b, &p->b_list, &p->ldb, &p->stride_b, p->batch, end);
    p->partial = p->splits > 1 ? end : NULL;
    p->shares = p->shared_tiles ? end : NULL;
    return pass;
}
