/* Products for the tests of kernels on the simulated GPU: operands, launch, and the check in double precision. */
#include "sim_product.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <cuda_runtime_api.h>

#include "fp16_fragments.h"
#include "launch.h"
#include "simt_rows.h"
#include "split.h"
#include "tf32_fragments.h"

/* The same numbers in every run, in [-1, 1), with 24 significant bits. */
static float next_number(uint32_t *state) {
    *state = *state * 1664525u + 1013904223u;
    return (float)((int32_t)*state >> 7) / (float)(1 << 24);
}

static float *device_numbers(int64_t count, uint32_t seed) {
    float *numbers = NULL;
    if (cudaMalloc((void **)&numbers, (size_t)count * sizeof *numbers)) abort();
    for (int64_t i = 0; i < count; i++) numbers[i] = next_number(&seed);
    return numbers;
}

/* 16-byte copies want sizes and leading dimensions in fours. */
static int in_fours(int x) {
    return (x + 3) / 4 * 4;
}

static int offset_a(const struct sim_product *p) {
    return p->load_a == LOAD_MN16 ? 0 : p->offset;
}
static int offset_b(const struct sim_product *p) {
    return p->load_b == LOAD_MN16 ? 0 : p->offset;
}

static void make_operands(struct sim_product *p) {
    struct gemm_args *x = &p->args;
    x->lda = (p->load_a == LOAD_K4 ? p->k : p->m) + p->pad;
    x->ldb = (p->load_b == LOAD_K4 ? p->k : p->n) + p->pad;
    if (p->load_a == LOAD_MN16) x->lda = in_fours((int)x->lda);
    if (p->load_b == LOAD_MN16) x->ldb = in_fours((int)x->ldb);
    x->ldc = x->ldd = p->m + p->pad;
    x->stride_a = x->lda * (p->load_a == LOAD_K4 ? p->m : p->k);
    x->stride_b = x->ldb * (p->load_b == LOAD_K4 ? p->n : p->k);
    x->stride_c = x->stride_d = x->ldd * p->n;
    /* The last column ends with its last row: not one float more is there to read or write. */
    int rows_a = p->load_a == LOAD_K4 ? p->k : p->m, rows_b = p->load_b == LOAD_K4 ? p->k : p->n;
    p->floats_a = x->stride_a * p->batch - (p->k ? x->lda - rows_a : 0);
    p->floats_b = x->stride_b * p->batch - (p->k ? x->ldb - rows_b : 0);
    p->floats_c = x->stride_d * p->batch - (x->ldd - p->m);
    /* With k = 0 nobody reads them, but kernels reckon with their addresses. */
    x->a = device_numbers((p->floats_a > 0 ? p->floats_a : 1) + offset_a(p), 1) + offset_a(p);
    x->b = device_numbers((p->floats_b > 0 ? p->floats_b : 1) + offset_b(p), 2) + offset_b(p);
    x->d = device_numbers(p->floats_c, 3);
}

static void make_c(struct sim_product *p) {
    struct gemm_args *x = &p->args;
    for (int64_t i = 0; i < p->floats_c; i++)
        if (p->beta == 0.0f || i % x->ldd >= p->m) x->d[i] = nanf("");
    x->c = x->d;
    p->c_before = malloc((size_t)p->floats_c * sizeof(float));
    if (!p->c_before) abort();
    memcpy(p->c_before, x->d, (size_t)p->floats_c * sizeof(float));
}

static void make_scalars(struct sim_product *p) {
    p->args.alpha = p->alpha;
    p->args.beta = p->beta;
    if (!p->scalars_on_device) return;
    p->device_scalars = device_numbers(2, 4);
    p->device_scalars[0] = p->alpha;
    p->device_scalars[1] = p->beta;
    p->args.alpha_ptr = p->device_scalars;
    p->args.beta_ptr = p->device_scalars + 1;
    p->args.alpha = p->args.beta = nanf("");
}

static void make_epilogue(struct sim_product *p) {
    const int64_t stride = p->m + 3;
    p->args.activation = p->activation;
    if (!p->bias) return;
    p->bias_values = device_numbers(stride * (p->batch - 1) + p->m, 5);
    p->args.bias = p->bias_values;
    p->args.stride_bias = stride;
}

static int64_t rows_bytes(const struct sim_product *p) {
    const struct simt_operand a = {p->m, p->batch, p->load_a}, b = {p->n, p->batch, p->load_b};
    return simt_rows_bytes(a, b, p->k);
}

static void make_split(struct sim_product *p, const struct gemm_variant *v) {
    struct gemm_args *x = &p->args;
    int wanted = p->splits > 1 ? p->splits : 1;
    int tiles = (p->k + v->bk - 1) / v->bk, each = (tiles + wanted - 1) / wanted;
    x->k_per_split = wanted > 1 ? each * v->bk : p->k;
    x->splits = wanted > 1 ? (tiles + each - 1) / each : 1;
    x->ld_partial = (p->m + 3) / 4 * 4;
    int64_t bytes = gemm_family_split_mma(v->family) ? split_looks_bytes(p->m, p->n, p->k, p->batch) : 0;
    if (v->family == FAMILY_SIMT_ROWS) bytes = rows_bytes(p);
    if (v->family == FAMILY_TF32_PACKED)
        bytes = tf32_fragment_bytes(p->m, p->k, p->batch) + tf32_fragment_bytes(p->n, p->k, p->batch);
    if (v->family == FAMILY_FP16X1_MMA) bytes = fp16_fragments_bytes(p->m, p->n, p->k, p->batch, p->batch, p->batch);
    if (x->splits > 1) bytes += x->splits * p->batch * p->n * x->ld_partial * (int64_t)sizeof(float);
    if (bytes) cudaMalloc((void **)&x->partial, (size_t)bytes);
}

/* What the kernel gets: nothing but the lists says where a matrix is. */
static void make_lists(struct sim_product *p) {
    if (!p->pointers) return;
    if (cudaMalloc((void **)&p->lists, 3 * (size_t)p->batch * sizeof *p->lists)) abort();
    for (int i = 0; i < p->batch; i++) {
        const int64_t matrix = p->batch - 1 - i;
        p->lists[i] = p->args.a + matrix * p->args.stride_a;
        p->lists[p->batch + i] = p->args.b + matrix * p->args.stride_b;
        p->lists[2 * p->batch + i] = p->args.d + matrix * p->args.stride_d;
    }
}

static struct gemm_args with_lists(const struct sim_product *p) {
    struct gemm_args args = p->args;
    if (!p->pointers) return args;
    args.a = args.b = args.c = args.d = NULL;
    args.stride_a = args.stride_b = args.stride_c = args.stride_d = 0;
    args.a_list = p->lists;
    args.b_list = p->lists + p->batch;
    args.c_list = p->lists + 2 * p->batch;
    args.d_list = (float *const *)args.c_list;
    return args;
}

/* The last tiles shared by three CTAs, where the variant's CTAs stay and there is more than one k tile for each. */
static void make_shares(struct sim_product *p, const struct gemm_variant *v) {
    struct gemm_args *x = &p->args;
    const int tiles = x->tiles_m * x->tiles_n * x->batch;
    x->ctas = 3;
    x->shared_tiles = p->shared && gemm_variant_persists(v) ? tiles % x->ctas : 0;
    if (!x->shared_tiles) return;
    const int64_t operands = v->family == FAMILY_SIMT_ROWS ? rows_bytes(p) / (int64_t)sizeof(float) : 0;
    const int64_t floats = operands + gemm_variant_share_floats(v, x->ctas);
    if (x->partial) cudaFree(x->partial); /* room for operands alone */
    cudaMalloc((void **)&x->partial, (size_t)floats * sizeof(float));
    for (int64_t i = 0; i < floats; i++) x->partial[i] = nanf("");
}

void sim_product_make(struct sim_product *p, const struct gemm_variant *v) {
    if (p->load_a == LOAD_MN16) p->m = in_fours(p->m);
    if (p->load_b == LOAD_MN16) p->n = in_fours(p->n);
    if (!p->batch) p->batch = 1;
    if (gemm_family_short_k(v->family) && p->k > v->bk) p->k = v->bk; /* it takes no more */
    p->variant = v;
    p->args = (struct gemm_args){.m = p->m,
                                 .n = p->n,
                                 .k = p->k,
                                 .batch = p->batch,
                                 .tiles_m = (p->m + v->bm - 1) / v->bm,
                                 .tiles_n = (p->n + v->bn - 1) / v->bn,
                                 .raster = 2,
                                 .ctas = 1}; /* persistent CTAs walk several tiles */
    make_operands(p);
    make_c(p);
    make_scalars(p);
    make_epilogue(p);
    make_split(p, v);
    if (p->shared) make_shares(p, v);
    make_lists(p);
}

void sim_product_free(struct sim_product *p) {
    cudaFree((void *)(uintptr_t)(p->args.a - offset_a(p)));
    cudaFree((void *)(uintptr_t)(p->args.b - offset_b(p)));
    cudaFree(p->args.d);
    cudaFree(p->args.partial);
    cudaFree(p->lists);
    cudaFree(p->device_scalars);
    cudaFree(p->bias_values);
    free(p->c_before);
}

int sim_product_run(struct sim_product *p) {
    int error = gemm_launch(p->variant, p->load_a, p->load_b, with_lists(p), NULL);
    return error ? error : (int)cudaDeviceSynchronize();
}

/* What a kernel makes of an operand: TF32's round it to the nearest of 11 bits. */
static double as_read(const struct sim_product *p, float x) {
    if (p->variant->contract != CONTRACT_TF32) return x;
    int exponent;
    double fraction = frexp(x, &exponent);
    const double units = ldexp(fraction, 11); /* halfway, fp16 goes to the even one */
    return ldexp(p->variant->family == FAMILY_FP16X1_MMA ? rint(units) : round(units), exponent - 11);
}

/* An operand's matrices, each row (of B: column) with its k side by side, as the kernel reads them. */
struct as_read {
    double *row;
    int rows, k;
};

static struct as_read read_operand(const struct sim_product *p, const float *matrix, int rows, enum gemm_loader load,
                                   int64_t ld, int64_t stride) {
    struct as_read x = {malloc(((size_t)p->batch * (size_t)rows * (size_t)p->k + 1) * sizeof(double)), rows, p->k};
    double *to = x.row;
    if (!to) abort();
    for (int batch = 0; batch < p->batch; batch++)
        for (int i = 0; i < rows; i++)
            for (int l = 0; l < p->k; l++)
                *to++ = as_read(p, matrix[batch * stride + (load == LOAD_K4 ? l + i * ld : i + l * ld)]);
    return x;
}

static const double *row_of(const struct as_read *x, int batch, int row) {
    return x->row + ((int64_t)batch * x->rows + row) * x->k;
}

static double activated(const struct sim_product *p, double x) {
    if (p->activation == ACTIVATION_relu) return x > 0 ? x : 0;
    if (p->activation == ACTIVATION_gelu) return 0.5 * x * (1 + tanh(sqrt(2 / acos(-1)) * (x + 0.044715 * x * x * x)));
    return x;
}

/* The steepest that an activation is, and what it may lose itself. */
static double slope_of(const struct sim_product *p) {
    return p->activation == ACTIVATION_gelu ? 1.13 : 1;
}
static double rounding_of(const struct sim_product *p, double x) {
    return p->activation == ACTIVATION_gelu ? ldexp(fabs(x), -22) : 0;
}

/* Of row `a` by column `b`, to be at (i, j). */
static int element_wrong(const struct sim_product *p, const double *a, const double *b, int batch, int i, int j) {
    const double unit = ldexp(1, p->variant->contract == CONTRACT_TF32 ? -23 : -24),
                 gamma = (p->k + 2) * unit / (1 - (p->k + 2) * unit);
    int64_t at = batch * p->args.stride_d + j * p->args.ldd + i;
    double sum = 0, size = 0;
    for (int l = 0; l < p->k; l++) {
        double term = a[l] * b[l];
        sum += term;
        size += fabs(term);
    }
    sum *= p->alpha;
    size *= fabs(p->alpha);
    if (p->beta != 0.0f) {
        sum += (double)p->beta * p->c_before[at];
        size += fabs((double)p->beta * p->c_before[at]);
    }
    if (p->bias) {
        double bias = p->bias_values[batch * p->args.stride_bias + i];
        sum += bias;
        size += fabs(bias);
    }
    return !(fabs(p->args.d[at] - activated(p, sum)) <= slope_of(p) * gamma * size + rounding_of(p, sum));
}

static int padding_changed(const struct sim_product *p) {
    int changed = 0;
    for (int64_t i = 0; i < p->floats_c; i++)
        if (i % p->args.ldd >= p->m) changed += memcmp(&p->args.d[i], &p->c_before[i], sizeof(float)) != 0;
    return changed;
}

int sim_product_wrong(const struct sim_product *p) {
    const struct gemm_args *x = &p->args;
    const struct as_read a = read_operand(p, x->a, p->m, p->load_a, x->lda, x->stride_a);
    const struct as_read b = read_operand(p, x->b, p->n, p->load_b, x->ldb, x->stride_b);
    int wrong = padding_changed(p);
    for (int batch = 0; batch < p->batch; batch++)
        for (int j = 0; j < p->n; j++)
            for (int i = 0; i < p->m; i++)
                wrong += element_wrong(p, row_of(&a, batch, i), row_of(&b, batch, j), batch, i, j);
    free(a.row);
    free(b.row);
    return wrong;
}

int sim_product_try(struct sim_product p, const struct gemm_variant *variant) {
    sim_product_make(&p, variant);
    int error = sim_product_run(&p), wrong = error ? -error : sim_product_wrong(&p);
    sim_product_free(&p);
    return wrong;
}
