/* The stand-in's arithmetic for cublasLt: double precision, one element after another, rounded once at the end. */
#include "cublaslt_standin.h"

#include <math.h>

static int64_t place(const struct lt_matrix *x, int64_t batch, int64_t row, int64_t col) {
    return batch * x->stride + (x->order == CUBLASLT_ORDER_ROW ? row * x->ld + col : col * x->ld + row);
}

static double element(const struct lt_matrix *x, int64_t batch, int64_t row, int64_t col) {
    return standin_load(x->at, place(x, batch, row, col), x->type);
}

static double activated(uint32_t epilogue, double x) {
    if (epilogue & CUBLASLT_EPILOGUE_RELU) return x < 0 ? 0 : x;
    if (epilogue & CUBLASLT_EPILOGUE_GELU) return 0.5 * x * (1 + tanh(sqrt(2 / acos(-1)) * (x + 0.044715 * x * x * x)));
    return x;
}

static double sum_of(const struct lt_product *p, int64_t batch, int64_t i, int64_t j) {
    const bool na = p->op_a == CUBLAS_OP_N, nb = p->op_b == CUBLAS_OP_N;
    const int64_t k = na ? p->a.cols : p->a.rows;
    double sum = 0;
    for (int64_t l = 0; l < k; l++)
        sum += element(&p->a, batch, na ? i : l, na ? l : i) * element(&p->b, batch, nb ? l : j, nb ? j : l);
    return sum;
}

static bool resident(const struct lt_matrix *x) {
    const bool row = x->order == CUBLASLT_ORDER_ROW;
    const int64_t lines = row ? x->rows : x->cols, each = row ? x->cols : x->rows;
    if (!lines || !each) return true;
    const int64_t last = (x->batch - 1) * x->stride + (lines - 1) * x->ld + each;
    return fgsim_is_device_memory(x->at, (size_t)last * (size_t)standin_type_bytes(x->type));
}

bool standin_lt_compute(const struct lt_product *p) {
    const double alpha = p->scalars_on_device ? standin_scalar(p->alpha, p->compute) : p->alpha_value;
    const double beta = p->scalars_on_device ? standin_scalar(p->beta, p->compute) : p->beta_value;
    if (!resident(&p->d) || (alpha != 0 && (!resident(&p->a) || !resident(&p->b)))) return false;
    if (beta != 0 && !resident(&p->c)) return false;
    for (int64_t batch = 0; batch < p->d.batch; batch++)
        for (int64_t j = 0; j < p->d.cols; j++)
            for (int64_t i = 0; i < p->d.rows; i++) {
                double value = alpha == 0 ? 0 : alpha * sum_of(p, batch, i, j);
                if (beta != 0) value += beta * element(&p->c, batch, i, j);
                if (p->epilogue & CUBLASLT_EPILOGUE_BIAS) value += p->bias[batch * p->bias_stride + i];
                standin_store((void *)(uintptr_t)p->d.at, place(&p->d, batch, i, j), p->d.type,
                              activated(p->epilogue, value));
            }
    return true;
}
