/* The calls behind the table of statuses: a valid product, a defect by its name, a function by its name. */
#include "cublas_cases.h"

#include <stdint.h>
#include <string.h>

#include <cuda_runtime_api.h>

#include "cublas_statuses.h"

const struct cublas_case cublas_cases[] = {
#define X(name, function, defect, status) {#name, #function, #defect, status},
    CUBLAS_STATUSES(X)
#undef X
};
const int cublas_case_count = sizeof cublas_cases / sizeof *cublas_cases;

enum { SIZE = 8, BATCH = 2, STRIDE = SIZE * SIZE };

static bool make_array(float ***array, float *matrices) {
    float *host[BATCH] = {matrices, matrices + STRIDE};
    return cudaMalloc((void **)array, sizeof host) == cudaSuccess &&
           cudaMemcpy(*array, host, sizeof host, cudaMemcpyHostToDevice) == cudaSuccess;
}

bool cublas_case_allocate(struct cublas_case_memory *x) {
    float **matrices[] = {&x->a, &x->b, &x->c};
    *x = (struct cublas_case_memory){0};
    for (int i = 0; i < 3; i++) {
        if (cudaMalloc((void **)matrices[i], BATCH * STRIDE * sizeof(float))) return false;
        if (cudaMemset(*matrices[i], 0, BATCH * STRIDE * sizeof(float))) return false;
    }
    return make_array(&x->a_array, x->a) && make_array(&x->b_array, x->b) && make_array(&x->c_array, x->c);
}

void cublas_case_free(struct cublas_case_memory *x) {
    void *blocks[] = {x->a, x->b, x->c, x->a_array, x->b_array, x->c_array};
    for (int i = 0; i < 6; i++) cudaFree(blocks[i]);
}

struct call {
    cublasHandle_t handle;
    cublasOperation_t op_a, op_b;
    int m, n, k, lda, ldb, ldc, batch;
    const float *alpha, *beta;
    bool null_a, null_c;
    cublasComputeType_t compute;
};

static const float one = 1, zero = 0;

/* One line for each defect: what it changes. */
static bool spoil(struct call *c, const char *defect) {
#define DEFECT(name, change)                                                                                           \
    if (!strcmp(defect, #name)) {                                                                                      \
        change;                                                                                                        \
        return true;                                                                                                   \
    }
    DEFECT(NULL_HANDLE, c->handle = NULL)
    DEFECT(OP_A, c->op_a = (cublasOperation_t)9)
    DEFECT(OP_B, c->op_b = (cublasOperation_t)9)
    DEFECT(M_NEGATIVE, c->m = -1)
    DEFECT(N_NEGATIVE, c->n = -1)
    DEFECT(K_NEGATIVE, c->k = -1)
    DEFECT(LDA_SMALL, c->lda = SIZE - 1)
    DEFECT(LDB_SMALL, c->ldb = SIZE - 1)
    DEFECT(LDC_SMALL, c->ldc = SIZE - 1)
    DEFECT(LDA_ZERO_EMPTY, c->m = c->n = c->k = c->lda = 0)
    DEFECT(NULL_ALPHA, c->alpha = NULL)
    DEFECT(NULL_BETA, c->beta = NULL)
    DEFECT(NULL_C, c->null_c = true)
    DEFECT(EMPTY, c->m = c->n = c->k = 0)
    DEFECT(NULL_A_EMPTY, (c->m = 0, c->null_a = true))
    DEFECT(BATCH_NEGATIVE, c->batch = -1)
    DEFECT(BATCH_ZERO, c->batch = 0)
    DEFECT(COMPUTE_16F, c->compute = CUBLAS_COMPUTE_16F)
    DEFECT(COMPUTE_16F_PEDANTIC, c->compute = CUBLAS_COMPUTE_16F_PEDANTIC)
    DEFECT(COMPUTE_64F, c->compute = CUBLAS_COMPUTE_64F)
    DEFECT(COMPUTE_32F, c->compute = CUBLAS_COMPUTE_32F)
    DEFECT(COMPUTE_32F_PEDANTIC, c->compute = CUBLAS_COMPUTE_32F_PEDANTIC)
    DEFECT(COMPUTE_32F_FAST_16F, c->compute = CUBLAS_COMPUTE_32F_FAST_16F)
    DEFECT(COMPUTE_32F_FAST_16BF, c->compute = CUBLAS_COMPUTE_32F_FAST_16BF)
    DEFECT(COMPUTE_32F_FAST_TF32, c->compute = CUBLAS_COMPUTE_32F_FAST_TF32)
    DEFECT(COMPUTE_32F_EMULATED_16BFX9, c->compute = (cublasComputeType_t)78)
#undef DEFECT
    return false;
}

int cublas_case_call(const struct cublas_case *which, cublasHandle_t handle, const struct cublas_case_memory *x,
                     bool twin) {
    struct call c = {handle, CUBLAS_OP_N, CUBLAS_OP_N,       SIZE, SIZE, SIZE, SIZE, SIZE, SIZE, BATCH, &one, &zero,
                     false,  false,       CUBLAS_COMPUTE_32F};
    if (!spoil(&c, which->defect)) return -1;
    const float *a = c.null_a ? NULL : x->a;
    float *d = c.null_c ? NULL : x->c;
    const float *const *a_array = c.null_a ? NULL : (const float *const *)x->a_array;
    float *const *d_array = c.null_c ? NULL : x->c_array;
    const float *const *b_array = (const float *const *)x->b_array;
#define CALL(door, ...)                                                                                                \
    if (!strcmp(which->function, #door))                                                                               \
    return (int)(twin ? door##_64(c.handle, c.op_a, c.op_b, c.m, c.n, c.k, c.alpha, __VA_ARGS__)                       \
                      : door(c.handle, c.op_a, c.op_b, c.m, c.n, c.k, c.alpha, __VA_ARGS__))
    const cudaDataType f = CUDA_R_32F;
    const cublasGemmAlgo_t algo = CUBLAS_GEMM_DEFAULT;
    CALL(cublasSgemm_v2, a, c.lda, x->b, c.ldb, c.beta, d, c.ldc);
    CALL(cublasSgemmEx, a, f, c.lda, x->b, f, c.ldb, c.beta, d, f, c.ldc);
    CALL(cublasGemmEx, a, f, c.lda, x->b, f, c.ldb, c.beta, d, f, c.ldc, c.compute, algo);
    CALL(cublasSgemmStridedBatched, a, c.lda, STRIDE, x->b, c.ldb, STRIDE, c.beta, d, c.ldc, STRIDE, c.batch);
    CALL(cublasGemmStridedBatchedEx, a, f, c.lda, STRIDE, x->b, f, c.ldb, STRIDE, c.beta, d, f, c.ldc, STRIDE, c.batch,
         c.compute, algo);
    CALL(cublasSgemmBatched, a_array, c.lda, b_array, c.ldb, c.beta, d_array, c.ldc, c.batch);
    CALL(cublasGemmBatchedEx, (const void *const *)a_array, f, c.lda, (const void *const *)b_array, f, c.ldb, c.beta,
         (void *const *)d_array, f, c.ldc, c.batch, c.compute, algo);
#undef CALL
    return -1;
}
