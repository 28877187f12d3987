/* Products through cublasLt: descriptors, operands, and what float64 says. */
#include "lt_product.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

enum { BAND = 512 }; /* floats of guard on either side; keeps 256-byte alignment */

#define MUST(call) must((int)(call), #call)
static void must(int error, const char *what) {
    if (!error) return;
    fprintf(stderr, "lt_product: %s: error %d\n", what, error);
    abort();
}

static float *floats(int64_t count) {
    float *memory = malloc((size_t)(count + 1) * sizeof *memory);
    must(memory == NULL, "malloc");
    return memory;
}

/* ---- operands ---- */

static bool is_row(const struct lt_operand *x) {
    return x->order == CUBLASLT_ORDER_ROW;
}

static int64_t place(const struct lt_operand *x, int64_t batch, int64_t row, int64_t col) {
    return batch * x->stride + (is_row(x) ? row * x->ld + col : col * x->ld + row);
}

static void lay_out(struct lt_operand *x, int64_t rows, int64_t cols, int order, const struct lt_product *p, int which,
                    int64_t batch) {
    *x = (struct lt_operand){.rows = rows, .cols = cols, .order = order};
    const int64_t line = is_row(x) ? cols : rows, lines = is_row(x) ? rows : cols;
    x->ld = line + (p->pad && which < LT_BIAS ? p->pad + which : 0);
    x->stride = x->ld * lines + p->gap;
    x->count = (batch - 1) * x->stride + (lines - 1) * x->ld + line;
}

/* NaN of no arithmetic everywhere; numbers in the elements alone. */
static void fill(struct lt_operand *x, int64_t batch, uint64_t seed, bool numbers) {
    const int64_t line = is_row(x) ? x->cols : x->rows, lines = is_row(x) ? x->rows : x->cols;
    x->host = floats(x->count);
    check_fill_guard(x->host, x->count);
    for (int64_t b = 0; numbers && b < batch; b++)
        for (int64_t i = 0; i < lines; i++)
            check_fill_normal(x->host + b * x->stride + i * x->ld, line, seed + (uint64_t)(b * 7919 + i));
}

static void upload(struct lt_operand *x, int shift) {
    const int64_t all = x->count + 2 * BAND + shift;
    float *guarded = floats(all);
    check_fill_guard(guarded, all);
    memcpy(guarded + BAND + shift, x->host, (size_t)x->count * sizeof(float));
    MUST(cudaMalloc((void **)&x->block, (size_t)all * sizeof(float)));
    MUST(cudaMemcpy(x->block, guarded, (size_t)all * sizeof(float), cudaMemcpyHostToDevice));
    x->device = x->block + BAND + shift;
    free(guarded);
}

static void make_layout(struct lt_operand *x, int64_t batch) {
    const int32_t order = x->order, count = (int32_t)batch;
    MUST(cublasLtMatrixLayoutCreate(&x->layout, CUDA_R_32F, (uint64_t)x->rows, (uint64_t)x->cols, x->ld));
    MUST(cublasLtMatrixLayoutSetAttribute(x->layout, CUBLASLT_MATRIX_LAYOUT_ORDER, &order, sizeof order));
    MUST(cublasLtMatrixLayoutSetAttribute(x->layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count, sizeof count));
    MUST(cublasLtMatrixLayoutSetAttribute(x->layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &x->stride,
                                          sizeof x->stride));
}

#define SET(which, value)                                                                                              \
    MUST(cublasLtMatmulDescSetAttribute(o->desc, CUBLASLT_MATMUL_DESC_##which, &(value), sizeof(value)))

static void make_desc(struct lt_operands *o, const struct lt_product *p) {
    const int32_t mode = p->device_scalars ? CUBLASLT_POINTER_MODE_DEVICE : CUBLASLT_POINTER_MODE_HOST;
    MUST(cublasLtMatmulDescCreate(&o->desc, p->tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F, CUDA_R_32F));
    SET(TRANSA, p->op_a);
    SET(TRANSB, p->op_b);
    SET(POINTER_MODE, mode);
    SET(EPILOGUE, p->epilogue);
    if (!(p->epilogue & CUBLASLT_EPILOGUE_BIAS)) return;
    SET(BIAS_POINTER, o->x[LT_BIAS].device);
    SET(BIAS_BATCH_STRIDE, o->x[LT_BIAS].stride);
}

void lt_make(struct lt_operands *o, const struct lt_product *p) {
    const bool na = p->op_a == CUBLAS_OP_N, nb = p->op_b == CUBLAS_OP_N;
    const float scalars[2] = {p->alpha, p->beta};
    struct lt_operand *x = o->x;
    o->batch = p->batch ? p->batch : 1;
    lay_out(&x[LT_A], na ? p->m : p->k, na ? p->k : p->m, p->order_a, p, LT_A, o->batch);
    lay_out(&x[LT_B], nb ? p->k : p->n, nb ? p->n : p->k, p->order_b, p, LT_B, o->batch);
    lay_out(&x[LT_C], p->m, p->n, p->order_d, p, p->in_place ? LT_D : LT_C, o->batch);
    lay_out(&x[LT_D], p->m, p->n, p->order_d, p, LT_D, o->batch);
    lay_out(&x[LT_BIAS], p->m, 1, CUBLASLT_ORDER_COL, p, LT_BIAS, o->batch);
    for (int i = 0; i < LT_OPERANDS; i++) {
        fill(&x[i], o->batch, 100u * (unsigned)i + 1, i != LT_D && (i != LT_C || p->beta != 0.0f));
        upload(&x[i], p->shift * (i + 1) % 5);
        make_layout(&x[i], o->batch);
    }
    o->result = floats(x[LT_D].count + 2 * BAND + 8);
    MUST(cudaMalloc((void **)&o->scalars, sizeof scalars));
    MUST(cudaMemcpy(o->scalars, scalars, sizeof scalars, cudaMemcpyHostToDevice));
    MUST(cudaMalloc(&o->workspace, LT_WORKSPACE));
    make_desc(o, p);
    lt_reset(o, p);
}

void lt_drop(struct lt_operands *o) {
    for (int i = 0; i < LT_OPERANDS; i++) {
        free(o->x[i].host);
        cudaFree(o->x[i].block);
        cublasLtMatrixLayoutDestroy(o->x[i].layout);
    }
    cudaFree(o->scalars);
    cudaFree(o->workspace);
    free(o->result);
    cublasLtMatmulDescDestroy(o->desc);
}

void lt_reset(struct lt_operands *o, const struct lt_product *p) {
    const struct lt_operand *from = &o->x[p->in_place ? LT_C : LT_D], *to = &o->x[LT_D];
    MUST(cudaMemcpy(to->device, from->host, (size_t)to->count * sizeof(float), cudaMemcpyHostToDevice));
}

static bool find_algo(cublasLtHandle_t handle, const struct lt_operands *o, cublasLtMatmulHeuristicResult_t *result) {
    const size_t bytes = LT_WORKSPACE;
    cublasLtMatmulPreference_t preference;
    int found = 0;
    MUST(cublasLtMatmulPreferenceCreate(&preference));
    MUST(cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &bytes,
                                              sizeof bytes));
    cublasLtMatmulAlgoGetHeuristic(handle, o->desc, o->x[LT_A].layout, o->x[LT_B].layout, o->x[LT_C].layout,
                                   o->x[LT_D].layout, preference, 1, result, &found);
    MUST(cublasLtMatmulPreferenceDestroy(preference));
    return found > 0;
}

cublasStatus_t lt_call(__typeof__(cublasLtMatmul) *matmul, cublasLtHandle_t handle, const struct lt_product *p,
                       const struct lt_operands *o, cudaStream_t stream) {
    const struct lt_operand *x = o->x;
    const void *c = p->in_place ? x[LT_D].device : x[LT_C].device;
    cublasLtMatmulHeuristicResult_t heuristic;
    const bool named = p->named_algo && find_algo(handle, o, &heuristic);
    return matmul(handle, o->desc, p->device_scalars ? o->scalars : &p->alpha, x[LT_A].device, x[LT_A].layout,
                  x[LT_B].device, x[LT_B].layout, p->device_scalars ? o->scalars + 1 : &p->beta, c, x[LT_C].layout,
                  x[LT_D].device, x[LT_D].layout, named ? &heuristic.algo : NULL, o->workspace, LT_WORKSPACE, stream);
}

bool lt_fetch(struct lt_operands *o) {
    const struct lt_operand *d = &o->x[LT_D];
    return cudaDeviceSynchronize() == cudaSuccess &&
           cudaMemcpy(o->result, d->device - BAND, (size_t)(d->count + 2 * BAND) * sizeof(float),
                      cudaMemcpyDeviceToHost) == cudaSuccess;
}

/* ---- checks ---- */

struct exact {
    double value, bound;
};

static double element(const struct lt_operand *x, int64_t batch, int64_t row, int64_t col) {
    return (double)x->host[place(x, batch, row, col)];
}

static double gelu(double x) {
    return 0.5 * x * (1 + tanh(sqrt(2 / acos(-1)) * (x + 0.044715 * x * x * x)));
}

static struct exact exactly(const struct lt_operands *o, const struct lt_product *p, int64_t batch, int64_t i,
                            int64_t j, double activation_error) {
    const bool na = p->op_a == CUBLAS_OP_N, nb = p->op_b == CUBLAS_OP_N;
    double sum = 0, size = 0, slope = 1, own = 0;
    for (int64_t l = 0; l < p->k; l++) {
        const double term =
            element(&o->x[LT_A], batch, na ? i : l, na ? l : i) * element(&o->x[LT_B], batch, nb ? l : j, nb ? j : l);
        sum += term;
        size += fabs(term);
    }
    sum *= (double)p->alpha;
    size *= fabs((double)p->alpha);
    const double rounded = p->tf32 ? ldexp(size, -9) : 0;
    if (p->beta != 0.0f) {
        const double term = (double)p->beta * element(&o->x[LT_C], batch, i, j);
        sum += term;
        size += fabs(term);
    }
    if (p->epilogue & CUBLASLT_EPILOGUE_BIAS) {
        sum += element(&o->x[LT_BIAS], batch, i, 0);
        size += fabs(element(&o->x[LT_BIAS], batch, i, 0));
    }
    if (p->epilogue & CUBLASLT_EPILOGUE_GELU) slope = 1.13, own = activation_error * fabs(sum), sum = gelu(sum);
    if (p->epilogue & CUBLASLT_EPILOGUE_RELU) sum = sum < 0 ? 0 : sum;
    return (struct exact){sum, slope * (check_gamma((double)p->k + 2) * size + rounded) + own};
}

/* Whether what lies between the lines of D, between its matrices and around it is as it was. */
static bool surroundings_whole(const struct lt_operands *o, const struct lt_product *p) {
    const struct lt_operand *d = &o->x[LT_D], *before = &o->x[p->in_place ? LT_C : LT_D];
    const int64_t line = is_row(d) ? d->cols : d->rows, lines = is_row(d) ? d->rows : d->cols;
    const float *result = o->result + BAND;
    int64_t element = 0;
    bool whole = check_guard_broken(o->result, BAND) == 0 && check_guard_broken(result + d->count, BAND) == 0;
    for (int64_t at = 0; at < d->count; at++) {
        const int64_t inside = at % d->stride;
        if (inside / d->ld < lines && inside % d->ld < line)
            element++;
        else
            whole = whole && memcmp(&result[at], &before->host[at], sizeof *result) == 0;
    }
    return whole && element == o->batch * line * lines;
}

static double worst(const struct lt_operands *o, const struct lt_product *p, const float *other, double own,
                    int64_t limit) {
    const int64_t all = o->batch * p->m * p->n, step = limit && all > limit ? all / limit + 1 : 1;
    double most = 0;
    for (int64_t at = 0; at < all; at += step) {
        const int64_t batch = at / ((int64_t)p->m * p->n), i = at % p->m, j = at / p->m % p->n;
        const struct exact exact = exactly(o, p, batch, i, j, own);
        const double mine = (double)o->result[BAND + place(&o->x[LT_D], batch, i, j)];
        const double theirs = other ? (double)other[BAND + place(&o->x[LT_D], batch, i, j)] : exact.value;
        const double error = fabs(mine - theirs);
        const double ratio = error <= exact.bound && exact.bound == 0 ? 0 : error / exact.bound;
        if (!(ratio <= most)) most = ratio == ratio ? ratio : INFINITY;
    }
    return most;
}

double lt_worst(const struct lt_operands *o, const struct lt_product *p, double activation_error, int64_t limit) {
    return surroundings_whole(o, p) ? worst(o, p, NULL, activation_error, limit) : INFINITY;
}

double lt_difference(const struct lt_operands *o, const struct lt_product *p, const float *other,
                     double activation_error, int64_t limit) {
    return worst(o, p, other, activation_error, limit);
}
