/* A result against float64, against cuBLAS, and against what must not be touched. */
#include "check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_ROWS = 256, LEAST_ROWS = 32, MATRICES = 4 };
static const double FP32_ERROR = 2e-6; /* below it cuBLAS, allowed TF32, did without */
static const double TF32_RATIO = 1.05; /* that our error may be of cuBLAS's */
static const double MOST_WORK = 4e10;  /* products of float64 that a sample may cost */

struct sample {
    int row_count, column_count, matrix_count;
    int *indices; /* rows, columns, matrices, on the device */
    double *values;
};

static uint64_t next_random(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

/* `count` of 0 .. extent-1, one in each stripe, the first and the last among them. */
static void spread(int *out, int count, int64_t extent, uint64_t *state) {
    for (int i = 0; i < count; i++) {
        int64_t from = extent * i / count, to = extent * (i + 1) / count;
        out[i] = (int)(from + (int64_t)(next_random(state) % (uint64_t)(to - from)));
    }
    out[0] = 0;
    out[count - 1] = (int)(extent - 1);
}

static int at_most(int64_t extent, int limit) {
    return extent < limit ? (int)extent : limit;
}

static void choose(struct sample *s, const struct gemm_problem *p, uint64_t seed) {
    s->matrix_count = at_most(p->batch, MATRICES);
    int most = MOST_ROWS;
    while (most > LEAST_ROWS && (double)most * most * (double)p->k * s->matrix_count > MOST_WORK) most /= 2;
    s->row_count = at_most(p->m, most);
    s->column_count = at_most(p->n, most);
    int count = s->row_count + s->column_count + s->matrix_count, indices[2 * MOST_ROWS + MATRICES];
    spread(indices, s->row_count, p->m, &seed);
    spread(indices + s->row_count, s->column_count, p->n, &seed);
    spread(indices + s->row_count + s->column_count, s->matrix_count, p->batch, &seed);
    bench_cuda(cudaMalloc((void **)&s->indices, sizeof indices), "cudaMalloc");
    bench_cuda(cudaMemcpy(s->indices, indices, sizeof(int) * (size_t)count, cudaMemcpyHostToDevice), "cudaMemcpy");
    size_t bytes = sizeof(double) * 2 * (size_t)s->row_count * (size_t)s->column_count * (size_t)s->matrix_count;
    bench_cuda(cudaMalloc((void **)&s->values, bytes), "cudaMalloc");
    bench_cuda(cudaMemset(s->values, 0, bytes), "cudaMemset");
}

static struct bench_args arguments(const struct sample *s, const struct gemm_problem *p) {
    int64_t elements = (int64_t)s->row_count * s->column_count * s->matrix_count;
    return (struct bench_args){
        .count = elements,
        .m = p->m,
        .n = p->n,
        .k = p->k,
        .batch = p->batch,
        .ldc = p->ldc,
        .a_row = p->op_a == GEMM_OP_N ? 1 : p->lda,
        .a_k = p->op_a == GEMM_OP_N ? p->lda : 1,
        .b_k = p->op_b == GEMM_OP_N ? 1 : p->ldb,
        .b_col = p->op_b == GEMM_OP_N ? p->ldb : 1,
        .stride_a = p->stride_a,
        .stride_b = p->stride_b,
        .stride_c = p->stride_c,
        .guard = GUARD_FLOATS,
        .rows = s->indices,
        .columns = s->indices + s->row_count,
        .matrices = s->indices + s->row_count + s->column_count,
        .row_count = s->row_count,
        .column_count = s->column_count,
        .matrix_count = s->matrix_count,
        .slices = (int)((p->k + REFERENCE_SLICE - 1) / REFERENCE_SLICE),
        .product = s->values,
        .magnitude = s->values + elements,
    };
}

static unsigned tiles(int count) {
    return (unsigned)((count + REFERENCE_TILE - 1) / REFERENCE_TILE);
}

static double number(unsigned long long bits) {
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void measure(struct bench_args args, const float *c, const float *other, const struct buffers *buffers,
                    struct accuracy *out) {
    struct bench_sums sums, *on_device = NULL;
    bench_cuda(cudaMalloc((void **)&on_device, sizeof sums), "cudaMalloc");
    bench_cuda(cudaMemset(on_device, 0, sizeof sums), "cudaMemset");
    args.c = c, args.other = other, args.sums = on_device;
    bench_launch((const void *)bench_error, &args, args.count, NULL);
    bench_launch((const void *)bench_compare, &args, args.m * args.n * args.batch, NULL);
    args.count = buffers->c_floats;
    bench_launch((const void *)bench_scan, &args, args.count, NULL);
    bench_cuda(cudaMemcpy(&sums, on_device, sizeof sums, cudaMemcpyDeviceToHost), "the check");
    bench_cuda(cudaFree(on_device), "cudaFree");
    double elements = (double)args.m * (double)args.n * (double)args.batch;
    *out = (struct accuracy){
        .frobenius = sqrt(sums.error2 / sums.reference2),
        .component = number(sums.worst),
        .apart = sqrt(sums.difference2 / sums.other2),
        .furthest = number(sums.furthest) / sqrt(sums.other2 / elements),
        .not_finite = sums.not_finite,
        .touched = sums.touched,
    };
}

/* What fp32 arithmetic guarantees an element, in units of |A||B|; TF32 rounds each operand to 11 bits besides. */
static double element_bound(const struct gemm_problem *p) {
    double bound = ((double)p->k + 2) * 0x1p-24;
    return p->contract == CONTRACT_TF32 ? bound + 0x1p-10 : bound;
}

/*
 * `apart` sees the whole of C where the sample sees a part: two results cannot stand much further apart than their
 * errors, and no single element far outside the spread of the others.
 */
static const char *judge(const struct gemm_problem *p, const struct accuracy *ours, const struct accuracy *cublas) {
    double errors = ours->frobenius + cublas->frobenius + 1e-7;
    if (ours->not_finite) return "NaN in C";
    if (ours->touched) return "wrote beside C";
    if (cublas->not_finite || cublas->touched) return "cuBLAS: NaN or wrote beside C";
    if (!(ours->component <= element_bound(p))) return "beyond the bound";
    /* With a long K the bound alone would let a lost term pass. */
    const bool own_fp32 = p->contract == CONTRACT_TF32 && cublas->frobenius < FP32_ERROR;
    if (!own_fp32 && !(ours->component <= 8 * cublas->component + 5e-7)) return "an element far off";
    if (!(ours->apart <= 4 * errors) || !(ours->furthest <= 100 * errors)) return "differs from cuBLAS";
    if (own_fp32) return "ok; cuBLAS computed in fp32";
    if (p->contract == CONTRACT_TF32 && ours->frobenius > TF32_RATIO * cublas->frobenius)
        return "ok, but error over 1.05 of cuBLAS's";
    if (ours->frobenius > 2 * cublas->frobenius + 1e-8) return "ok, but error over twice cuBLAS's";
    return "ok";
}

const char *check_run(const struct engine *ours, const struct engine *cublas, const struct buffers *buffers,
                      uint64_t seed, struct accuracy error[2]) {
    const struct gemm_problem *p = ours->problem;
    struct sample sample;
    choose(&sample, p, seed);
    struct operands set[2] = {buffers_untouched(buffers, false), buffers_untouched(buffers, true)};
    const char *refusal = ours->run(ours, &set[0], NULL)       ? "launch failed"
                          : cublas->run(cublas, &set[1], NULL) ? "cuBLAS refused"
                                                               : NULL;
    bench_cuda(cudaDeviceSynchronize(), "the products to be checked");
    struct bench_args args = arguments(&sample, p);
    args.a = set[0].a, args.b = set[0].b;
    dim3 grid = {tiles(sample.column_count), tiles(sample.row_count), (unsigned)(args.slices * sample.matrix_count)};
    bench_launch_grid((const void *)bench_reference, &args, grid, BENCH_THREADS, NULL);
    for (int i = 0; i < 2; i++) measure(args, set[i].c, set[1 - i].c, buffers, &error[i]);
    bench_cuda(cudaFree(sample.indices), "cudaFree");
    bench_cuda(cudaFree(sample.values), "cudaFree");
    return refusal ? refusal : judge(p, &error[0], &error[1]);
}
