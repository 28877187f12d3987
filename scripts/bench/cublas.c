/* cuBLAS through dlopen, so that the bench builds without it and takes the one that is asked for. */
#include "cublas.h"

#include <dlfcn.h>
#include <stdlib.h>

#include <cublasLt.h>
#include <cublas_v2.h>

#include "timing.h"

#define TEXT(name)   #name
#define SYMBOL(name) TEXT(name) /* cublas_v2.h renames: the exported name is the expanded one */

#define CUBLAS_FUNCTIONS(X)                                                                                            \
    X(cublasCreate)                                                                                                    \
    X(cublasGetVersion)                                                                                                \
    X(cublasSetMathMode)                                                                                               \
    X(cublasSgemm)                                                                                                     \
    X(cublasSgemmStridedBatched)
#define CUBLASLT_FUNCTIONS(X)                                                                                          \
    X(cublasLtCreate)                                                                                                  \
    X(cublasLtMatmul)                                                                                                  \
    X(cublasLtMatmulDescCreate)                                                                                        \
    X(cublasLtMatmulDescDestroy)                                                                                       \
    X(cublasLtMatmulDescSetAttribute)                                                                                  \
    X(cublasLtMatrixLayoutCreate)                                                                                      \
    X(cublasLtMatrixLayoutDestroy)                                                                                     \
    X(cublasLtMatrixLayoutSetAttribute)                                                                                \
    X(cublasLtMatmulPreferenceCreate)                                                                                  \
    X(cublasLtMatmulPreferenceDestroy)                                                                                 \
    X(cublasLtMatmulPreferenceSetAttribute)                                                                            \
    X(cublasLtMatmulAlgoGetHeuristic)

#define X(name) static __typeof__(&name) real_##name;
CUBLAS_FUNCTIONS(X)
CUBLASLT_FUNCTIONS(X)
#undef X

enum { CANDIDATES = 16, LT_WORKSPACE = 64 << 20 };

static cublasHandle_t handle;
static cublasLtHandle_t lt_handle;
static void *lt_workspace;

static void *open_library(const char *const *names) {
    for (; *names; names++) {
        void *library = dlopen(*names, RTLD_NOW | RTLD_LOCAL);
        if (library) return library;
    }
    return NULL;
}

static bool open_lt(void) {
    static const char *const names[] = {"libcublasLt.so.13", "libcublasLt.so.12",
                                        "/usr/local/cuda/lib64/libcublasLt.so", NULL};
    void *library = open_library(names);
    if (!library) return false;
#define X(name)                                                                                                        \
    real_##name = (__typeof__(&name))dlsym(library, SYMBOL(name));                                                     \
    if (!real_##name) return false;
    CUBLASLT_FUNCTIONS(X)
#undef X
    return real_cublasLtCreate(&lt_handle) == CUBLAS_STATUS_SUCCESS &&
           cudaMalloc(&lt_workspace, LT_WORKSPACE) == cudaSuccess;
}

int cublas_open(const char *path) {
    const char *const names[] = {path ? path : "libcublas.so.13", path ? path : "libcublas.so.12",
                                 path ? path : "/usr/local/cuda/lib64/libcublas.so", NULL};
    void *library = open_library(names);
    if (!library) bench_die(BENCH_NO_GPU, "libcublas cannot be loaded (%s); --cublas PATH names it", dlerror());
#define X(name)                                                                                                        \
    real_##name = (__typeof__(&name))dlsym(library, SYMBOL(name));                                                     \
    if (!real_##name) bench_die(BENCH_NO_GPU, "libcublas has no %s", SYMBOL(name));
    CUBLAS_FUNCTIONS(X)
#undef X
    int version = 0;
    if (real_cublasCreate(&handle) != CUBLAS_STATUS_SUCCESS) bench_die(BENCH_CUDA_ERROR, "cublasCreate failed");
    if (!open_lt()) lt_handle = NULL;
    real_cublasGetVersion(handle, &version);
    return version;
}

static cublasOperation_t op(enum gemm_op op) {
    return op == GEMM_OP_N ? CUBLAS_OP_N : CUBLAS_OP_T;
}

static int run_default(const struct engine *engine, const struct operands *o, cudaStream_t stream) {
    (void)stream; /* the handle's is the default stream, as the bench's is */
    const struct gemm_problem *p = engine->problem;
    const float one = 1.0f, zero = 0.0f;
    int m = (int)p->m, n = (int)p->n, k = (int)p->k, lda = (int)p->lda, ldb = (int)p->ldb, ldc = (int)p->ldc;
    real_cublasSetMathMode(handle, p->contract == CONTRACT_TF32 ? CUBLAS_TF32_TENSOR_OP_MATH : CUBLAS_DEFAULT_MATH);
    if (p->batch == 1)
        return real_cublasSgemm(handle, op(p->op_a), op(p->op_b), m, n, k, &one, o->a, lda, o->b, ldb, &zero, o->c,
                                ldc);
    return real_cublasSgemmStridedBatched(handle, op(p->op_a), op(p->op_b), m, n, k, &one, o->a, lda, p->stride_a, o->b,
                                          ldb, p->stride_b, &zero, o->c, ldc, p->stride_c, (int)p->batch);
}

struct engine cublas_engine(const struct gemm_problem *problem) {
    return (struct engine){.label = "cuBLAS", .run = run_default, .problem = problem};
}

struct lt_call {
    cublasLtMatmulDesc_t operation;
    cublasLtMatrixLayout_t a, b, c;
    cublasLtMatmulAlgo_t algo;
};

static int run_lt(const struct engine *engine, const struct operands *o, cudaStream_t stream) {
    const struct lt_call *call = engine->state;
    const float one = 1.0f, zero = 0.0f;
    return real_cublasLtMatmul(lt_handle, call->operation, &one, o->a, call->a, o->b, call->b, &zero, o->c, call->c,
                               o->c, call->c, &call->algo, lt_workspace, LT_WORKSPACE, stream);
}

static cublasLtMatrixLayout_t layout(int64_t rows, int64_t columns, int64_t ld, int64_t batch, int64_t stride) {
    cublasLtMatrixLayout_t out = NULL;
    int32_t count = (int32_t)batch;
    real_cublasLtMatrixLayoutCreate(&out, CUDA_R_32F, (uint64_t)rows, (uint64_t)columns, ld);
    real_cublasLtMatrixLayoutSetAttribute(out, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count, sizeof count);
    real_cublasLtMatrixLayoutSetAttribute(out, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &stride, sizeof stride);
    return out;
}

static struct lt_call *describe(const struct gemm_problem *p) {
    struct lt_call *call = calloc(1, sizeof *call);
    if (!call) abort();
    bool an = p->op_a == GEMM_OP_N, bn = p->op_b == GEMM_OP_N;
    cublasOperation_t op_a = op(p->op_a), op_b = op(p->op_b);
    real_cublasLtMatmulDescCreate(
        &call->operation, p->contract == CONTRACT_TF32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F, CUDA_R_32F);
    real_cublasLtMatmulDescSetAttribute(call->operation, CUBLASLT_MATMUL_DESC_TRANSA, &op_a, sizeof op_a);
    real_cublasLtMatmulDescSetAttribute(call->operation, CUBLASLT_MATMUL_DESC_TRANSB, &op_b, sizeof op_b);
    call->a = layout(an ? p->m : p->k, an ? p->k : p->m, p->lda, p->batch, p->stride_a);
    call->b = layout(bn ? p->k : p->n, bn ? p->n : p->k, p->ldb, p->batch, p->stride_b);
    call->c = layout(p->m, p->n, p->ldc, p->batch, p->stride_c);
    return call;
}

static int candidates(const struct lt_call *call, const struct gemm_problem *p, cublasLtMatmulHeuristicResult_t *out) {
    cublasLtMatmulPreference_t preference = NULL;
    uint64_t most = LT_WORKSPACE;
    uint32_t align_a = p->align_a, align_b = p->align_b, align_c = 16;
    int found = 0;
    real_cublasLtMatmulPreferenceCreate(&preference);
#define SET(attribute, value) real_cublasLtMatmulPreferenceSetAttribute(preference, attribute, &value, sizeof value)
    SET(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, most);
    SET(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, align_a);
    SET(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, align_b);
    SET(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, align_c);
    SET(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, align_c);
#undef SET
    if (real_cublasLtMatmulAlgoGetHeuristic(lt_handle, call->operation, call->a, call->b, call->c, call->c, preference,
                                            CANDIDATES, out, &found) != CUBLAS_STATUS_SUCCESS)
        found = 0;
    real_cublasLtMatmulPreferenceDestroy(preference);
    return found;
}

bool cublaslt_engine(const struct gemm_problem *problem, const struct buffers *buffers, struct engine *engine) {
    if (!lt_handle) return false;
    struct lt_call *call = describe(problem);
    *engine = (struct engine){.label = "cublasLt", .run = run_lt, .problem = problem, .state = call};
    cublasLtMatmulHeuristicResult_t found[CANDIDATES];
    int count = candidates(call, problem, found), best = -1;
    double least = 0;
    for (int i = 0; i < count; i++) {
        if (found[i].state != CUBLAS_STATUS_SUCCESS) continue;
        call->algo = found[i].algo;
        double seconds = timing_quick(engine, buffers, 2, 4 * least);
        if (seconds > 0 && (best < 0 || seconds < least)) best = i, least = seconds;
    }
    if (best < 0) {
        cublaslt_close(engine);
        return false;
    }
    call->algo = found[best].algo;
    return true;
}

void cublaslt_close(struct engine *engine) {
    struct lt_call *call = engine->state;
    if (!call) return;
    real_cublasLtMatmulDescDestroy(call->operation);
    real_cublasLtMatrixLayoutDestroy(call->a);
    real_cublasLtMatrixLayoutDestroy(call->b);
    real_cublasLtMatrixLayoutDestroy(call->c);
    free(call);
    engine->state = NULL;
}
