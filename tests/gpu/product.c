/* Products on the device: operands with guard bands, calls through every door. */
#include "product.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BAND = 512 }; /* floats of guard before and after every operand; keeps 256-byte alignment */

#define MUST(call) must((int)(call), #call)
static void must(int error, const char *what) {
    if (!error) return;
    fprintf(stderr, "product: %s: error %d\n", what, error);
    abort();
}

static float *floats(int64_t count) {
    float *memory = malloc((size_t)(count + 1) * sizeof *memory);
    must(memory == NULL, "malloc");
    return memory;
}

bool product_batched(enum door door) {
    return door >= DOOR_cublasSgemmStridedBatched;
}

bool product_pointers(enum door door) {
    return door >= DOOR_cublasSgemmBatched;
}

bool product_grouped(enum door door) {
    return door >= DOOR_cublasSgemmGroupedBatched;
}

/* ---- operands ---- */

/* Floats of `batch` matrices, each `stride` from the last, whose last column ends with its last row. */
static int64_t extent(int64_t rows, int64_t columns, int64_t ld, int64_t stride, int64_t batch) {
    if (rows <= 0 || columns <= 0 || batch <= 0) return 0;
    return (batch - 1) * stride + (columns - 1) * ld + rows;
}

static void lay_out(struct operands *o, const struct product *p) {
    struct check_product *h = &o->host;
    *h = (struct check_product){.trans_a = p->op_a != CUBLAS_OP_N,
                                .trans_b = p->op_b != CUBLAS_OP_N,
                                .m = p->m,
                                .n = p->n,
                                .k = p->k,
                                .batch = p->batch ? p->batch : 1,
                                .alpha = p->alpha,
                                .beta = p->beta,
                                .tf32 = p->tf32};
    int64_t rows_a = h->trans_a ? p->k : p->m, columns_a = h->trans_a ? p->m : p->k;
    int64_t rows_b = h->trans_b ? p->n : p->k, columns_b = h->trans_b ? p->k : p->n;
    h->lda = (rows_a > 0 ? rows_a : 1) + p->pad;
    h->ldb = (rows_b > 0 ? rows_b : 1) + (p->pad ? p->pad + 1 : 0);
    h->ldc = (p->m > 0 ? p->m : 1) + (p->pad ? p->pad + 2 : 0);
    h->stride_a = h->lda * columns_a + p->gap;
    h->stride_b = h->ldb * columns_b + p->gap;
    h->stride_c = h->ldc * p->n + p->gap;
    o->count_a = extent(rows_a, columns_a, h->lda, h->stride_a, h->batch);
    o->count_b = extent(rows_b, columns_b, h->ldb, h->stride_b, h->batch);
    o->count_c = extent(p->m, p->n, h->ldc, h->stride_c, h->batch);
}

/* An element's place along k and along its side of C. */
static float graded(const struct product *p, float x, int64_t mn, int64_t extent, int64_t k, bool of_a) {
    const double along_k = p->k > 1 ? 120.0 * (double)k / (double)(p->k - 1) - 60 : 0;
    const double along_mn = extent > 1 ? 120.0 * (double)mn / (double)(extent - 1) - 60 : 0;
    switch (p->inputs) {
    case INPUT_GRADED: /* A by columns against B by rows; rows of A and columns of B too, but so that nothing overflows
                        */
        return ldexpf(x, (int)(of_a ? along_k : -along_k) + (int)(along_mn / 4));
    case INPUT_COMPLEMENTARY:
        return k % 3 == 0 ? (of_a ? x : 0) : (of_a ? 0 : ldexpf(x, (int)along_k));
    case INPUT_HUGE:
        return of_a ? fminf(fmaxf(x, -3), 3) * 1e38f : x / (16 * (float)p->k);
    case INPUT_TINY:
        return of_a ? x * 1e-39f : x * 1e9f;
    case INPUT_POSITIVE:
        return fabsf(x);
    case INPUT_LOGNORMAL:
        return expf(4 * x);
    default:
        return x;
    }
}

static void regrade(struct operands *o, const struct product *p) {
    const struct check_product *h = &o->host;
    for (int64_t batch = 0; batch < h->batch; batch++)
        for (int64_t k = 0; k < p->k; k++) {
            for (int64_t i = 0; i < p->m; i++) {
                float *x = o->a + batch * h->stride_a + (h->trans_a ? k + i * h->lda : i + k * h->lda);
                *x = graded(p, *x, i, p->m, k, true);
            }
            for (int64_t j = 0; j < p->n; j++) {
                float *x = o->b + batch * h->stride_b + (h->trans_b ? j + k * h->ldb : k + j * h->ldb);
                *x = graded(p, *x, j, p->n, k, false);
            }
        }
}

/* Integers whose sums stay below 2^24: of 16 bits while k allows, else of 13 and thinly; of 11 for TF32. */
static void fill(struct operands *o, const struct product *p) {
    o->a = floats(o->count_a), o->b = floats(o->count_b);
    o->before = floats(o->count_c), o->result = floats(o->count_c + 2 * BAND);
    if (p->inputs != INPUT_INTEGERS) {
        check_fill_normal(o->a, o->count_a, 11);
        check_fill_normal(o->b, o->count_b, 12);
        regrade(o, p);
    } else {
        bool few = p->k <= 255;
        int bits = p->tf32 ? 11 : few ? 13 + (int)(p->m % 4) : 13;
        check_fill_integers(o->a, o->count_a, bits, 13);
        check_fill_signs(o->b, o->count_b, few || p->k <= 1200 ? 1 : 1200.0 / (double)p->k, 14);
    }
    check_fill_guard(o->before, o->count_c);
    if (p->beta != 0.0f)
        for (int64_t batch = 0; batch < o->host.batch; batch++)
            for (int64_t j = 0; j < p->n; j++)
                check_fill_normal(o->before + batch * o->host.stride_c + j * o->host.ldc, p->m,
                                  (uint64_t)(1000 + batch * 7919 + j));
    o->host.a = o->a, o->host.b = o->b, o->host.before = o->before, o->host.result = o->result + BAND;
}

/* A block on the device: band, shift, operand, band, all guard values but the operand. */
static float *upload(float **block, const float *from, int64_t count, int64_t shift) {
    int64_t whole = count + shift + 2 * BAND;
    float *staged = floats(whole);
    check_fill_guard(staged, whole);
    memcpy(staged + BAND + shift, from, (size_t)count * sizeof *from);
    MUST(cudaMalloc((void **)block, (size_t)whole * sizeof *staged));
    MUST(cudaMemcpy(*block, staged, (size_t)whole * sizeof *staged, cudaMemcpyHostToDevice));
    free(staged);
    return *block + BAND + shift;
}

static void upload_lists(struct operands *o) {
    const struct check_product *h = &o->host;
    const size_t batch = (size_t)h->batch, bytes = 3 * batch * sizeof(float *);
    float **lists = malloc(bytes + 1);
    must(lists == NULL, "malloc");
    for (size_t i = 0; i < batch; i++) {
        lists[i] = o->da + (int64_t)i * h->stride_a;
        lists[batch + i] = o->db + (int64_t)i * h->stride_b;
        lists[2 * batch + i] = o->dc + (int64_t)i * h->stride_c;
    }
    MUST(cudaMalloc((void **)&o->lists, bytes + 1));
    MUST(cudaMemcpy(o->lists, lists, bytes, cudaMemcpyHostToDevice));
    free(lists);
}

void product_make(struct operands *o, const struct product *p) {
    const float scalars[2] = {p->alpha, p->beta};
    *o = (struct operands){.guards_whole = false};
    lay_out(o, p);
    fill(o, p);
    o->da = upload(&o->device[0], o->a, o->count_a, p->shift);
    o->db = upload(&o->device[1], o->b, o->count_b, 2 * p->shift);
    o->dc = upload(&o->device[2], o->before, o->count_c, 3 * p->shift);
    upload_lists(o);
    MUST(cudaMalloc((void **)&o->scalars, sizeof scalars));
    MUST(cudaMemcpy(o->scalars, scalars, sizeof scalars, cudaMemcpyHostToDevice));
}

void product_drop(struct operands *o) {
    for (int i = 0; i < 3; i++) MUST(cudaFree(o->device[i]));
    MUST(cudaFree(o->scalars));
    MUST(cudaFree(o->lists));
    free(o->a), free(o->b), free(o->before), free(o->result);
    *o = (struct operands){.guards_whole = false};
}

void product_reset(struct operands *o) {
    if (o->count_c) MUST(cudaMemcpy(o->dc, o->before, (size_t)o->count_c * sizeof *o->before, cudaMemcpyHostToDevice));
}

bool product_fetch(struct operands *o) {
    if (cudaDeviceSynchronize() != cudaSuccess) return false;
    size_t bytes = (size_t)(o->count_c + 2 * BAND) * sizeof(float);
    if (cudaMemcpy(o->result, o->dc - BAND, bytes, cudaMemcpyDeviceToHost) != cudaSuccess) return false;
    o->guards_whole =
        check_guard_broken(o->result, BAND) == 0 && check_guard_broken(o->result + BAND + o->count_c, BAND) == 0;
    return true;
}

/* ---- calls ---- */

cublasStatus_t product_call(const struct doors *doors, cublasHandle_t handle, const struct product *p,
                            const struct operands *o) {
    const cudaDataType f = CUDA_R_32F;
    const cublasComputeType_t compute = CUBLAS_COMPUTE_32F;
    const cublasGemmAlgo_t algo = CUBLAS_GEMM_DEFAULT;
    const struct check_product *h = &o->host;
    const float *const *la = (const float *const *)o->lists, *const *lb = la + h->batch;
    float *const *lc = o->lists + 2 * h->batch;
    const void *const *va = (const void *const *)la, *const *vb = (const void *const *)lb;
    void *const *vc = (void *const *)lc;
    const float *alpha = p->device_scalars ? o->scalars : &p->alpha;
    const float *beta = p->device_scalars ? o->scalars + 1 : &p->beta;
    const int batch = (int)h->batch;
    cublasStatus_t status =
        cublasSetPointerMode(handle, p->device_scalars ? CUBLAS_POINTER_MODE_DEVICE : CUBLAS_POINTER_MODE_HOST);
    if (status != CUBLAS_STATUS_SUCCESS) return status;
        /* Integers of either width: the prototypes say which. */
#define CALL(door, ...)                                                                                                \
    case DOOR_##door:                                                                                                  \
        return doors->door(handle, p->op_a, p->op_b, (int)p->m, (int)p->n, (int)p->k, alpha, __VA_ARGS__)
#define CALL_BOTH(door, ...)                                                                                           \
    CALL(door, __VA_ARGS__);                                                                                           \
    CALL(door##_64, __VA_ARGS__)
    switch (p->door) {
        CALL_BOTH(cublasSgemm_v2, o->da, (int)h->lda, o->db, (int)h->ldb, beta, o->dc, (int)h->ldc);
        CALL_BOTH(cublasSgemmEx, o->da, f, (int)h->lda, o->db, f, (int)h->ldb, beta, o->dc, f, (int)h->ldc);
        CALL_BOTH(cublasGemmEx, o->da, f, (int)h->lda, o->db, f, (int)h->ldb, beta, o->dc, f, (int)h->ldc, compute,
                  algo);
        CALL_BOTH(cublasSgemmStridedBatched, o->da, (int)h->lda, h->stride_a, o->db, (int)h->ldb, h->stride_b, beta,
                  o->dc, (int)h->ldc, h->stride_c, batch);
        CALL_BOTH(cublasGemmStridedBatchedEx, o->da, f, (int)h->lda, h->stride_a, o->db, f, (int)h->ldb, h->stride_b,
                  beta, o->dc, f, (int)h->ldc, h->stride_c, batch, compute, algo);
        CALL_BOTH(cublasSgemmBatched, la, (int)h->lda, lb, (int)h->ldb, beta, lc, (int)h->ldc, batch);
        CALL_BOTH(cublasGemmBatchedEx, va, f, (int)h->lda, vb, f, (int)h->ldb, beta, vc, f, (int)h->ldc, batch, compute,
                  algo);
        /* One group for all. */
#define GROUPS(door, suffix, integer, ...)                                                                             \
    case DOOR_##door##suffix: {                                                                                        \
        const integer m = (integer)p->m, n = (integer)p->n, k = (integer)p->k, lda = (integer)h->lda,                  \
                      ldb = (integer)h->ldb, ldc = (integer)h->ldc, size = batch;                                      \
        return doors->door##suffix(handle, &p->op_a, &p->op_b, &m, &n, &k, alpha, __VA_ARGS__);                        \
    }
        GROUPS(cublasSgemmGroupedBatched, , int, la, &lda, lb, &ldb, beta, lc, &ldc, 1, &size)
        GROUPS(cublasSgemmGroupedBatched, _64, int64_t, la, &lda, lb, &ldb, beta, lc, &ldc, 1, &size)
        GROUPS(cublasGemmGroupedBatchedEx, , int, va, f, &lda, vb, f, &ldb, beta, vc, f, &ldc, 1, &size, compute)
        GROUPS(cublasGemmGroupedBatchedEx, _64, int64_t, va, f, &lda, vb, f, &ldb, beta, vc, f, &ldc, 1, &size, compute)
    case DOOR_COUNT:
        break;
    }
#undef CALL
#undef CALL_BOTH
#undef GROUPS
    return CUBLAS_STATUS_INVALID_VALUE;
}
