/*
 * The stand-in's handles, preferences, heuristics and product. Which calls it refuses, and how, is as measured with
 * cuBLAS 13.1 on an H200; what that would run and this does not compute (other epilogues, scales) it answers alike.
 */
#include "cublaslt_standin.h"

#include <stdlib.h>
#include <string.h>

enum { LT_MAGIC = 0x17b1a500 + STANDIN_VERSION, ALGO_MAGIC = 0xa190 };

struct cublasLtContext {
    unsigned magic; /* where a cublasHandle_t has its own */
};

void standin_reset_foreign(void) {} /* cublas_record.c asks; foreign handles are cuBLAS's to count */

static bool is_handle(cublasLtHandle_t handle) {
    return handle && (handle->magic == LT_MAGIC || handle->magic == STANDIN_MAGIC);
}

cublasStatus_t cublasLtCreate(cublasLtHandle_t *handle) {
    int device;
    if (!handle || cudaGetDevice(&device) != cudaSuccess) return CUBLAS_STATUS_NOT_INITIALIZED;
    *handle = calloc(1, sizeof **handle);
    if (!*handle) return CUBLAS_STATUS_ALLOC_FAILED;
    (*handle)->magic = LT_MAGIC;
    standin_record(__func__, 0, 1, (int64_t[]){(intptr_t)handle});
    return CUBLAS_STATUS_SUCCESS;
}

/* The memory stays: a stale handle must be readable. */
cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
    cublasStatus_t status = is_handle(handle) ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_INITIALIZED;
    standin_record(__func__, (int)status, 1, (int64_t[]){(intptr_t)handle});
    if (status == CUBLAS_STATUS_SUCCESS) handle->magic = 0;
    return status;
}

size_t cublasLtGetVersion(void) {
    return STANDIN_VERSION;
}

/* ---- preferences and heuristics: one algorithm, whose promise nobody else can read ---- */

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *preference) {
    *preference = calloc(1, sizeof **preference);
    return *preference ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_ALLOC_FAILED;
}
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
    free(preference);
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t which, const void *value,
                                                    size_t size) {
    if (!preference || !value || !size) return CUBLAS_STATUS_INVALID_VALUE;
    if (which == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES) memcpy(&preference->data[0], value, sizeof(uint64_t));
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceGetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t which, void *value,
                                                    size_t size, size_t *written) {
    if (!preference || !value || size < sizeof(uint64_t) || which != CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES)
        return CUBLAS_STATUS_INVALID_VALUE;
    memcpy(value, &preference->data[0], sizeof(uint64_t));
    if (written) *written = sizeof(uint64_t);
    return CUBLAS_STATUS_SUCCESS;
}

/* ---- the product ---- */

static bool sizes_agree(const struct lt_product *p) {
    const bool na = p->op_a == CUBLAS_OP_N, nb = p->op_b == CUBLAS_OP_N;
    return (na ? p->a.rows : p->a.cols) == p->d.rows && (nb ? p->b.cols : p->b.rows) == p->d.cols &&
           (na ? p->a.cols : p->a.rows) == (nb ? p->b.rows : p->b.cols) && p->c.rows == p->d.rows &&
           p->c.cols == p->d.cols && p->c.order == p->d.order && p->a.batch == p->d.batch && p->b.batch == p->d.batch &&
           p->c.batch == p->d.batch;
}

static bool ld_fits(const struct lt_matrix *x) {
    return x->ld >= (x->order == CUBLASLT_ORDER_ROW ? x->cols : x->rows);
}

static cublasStatus_t status_of_descriptor(cublasLtMatmulDesc_t desc, const struct lt_product *p) {
    for (int which = CUBLASLT_MATMUL_DESC_A_SCALE_POINTER; which <= CUBLASLT_MATMUL_DESC_AMAX_D_POINTER; which++)
        if (standin_lt_attribute(desc, (cublasLtMatmulDescAttributes_t)which)) return CUBLAS_STATUS_INVALID_VALUE;
    if (standin_lt_attribute(desc, CUBLASLT_MATMUL_DESC_FAST_ACCUM)) return CUBLAS_STATUS_INVALID_VALUE;
    if (standin_lt_attribute(desc, CUBLASLT_MATMUL_DESC_TRANSC) != CUBLAS_OP_N ||
        standin_lt_attribute(desc, CUBLASLT_MATMUL_DESC_FILL_MODE) != CUBLAS_FILL_MODE_FULL ||
        standin_lt_attribute(desc, CUBLASLT_MATMUL_DESC_POINTER_MODE) > CUBLASLT_POINTER_MODE_DEVICE)
        return CUBLAS_STATUS_NOT_SUPPORTED;
    if (p->epilogue & ~(uint32_t)(CUBLASLT_EPILOGUE_DEFAULT | CUBLASLT_EPILOGUE_GELU_BIAS | CUBLASLT_EPILOGUE_RELU))
        return CUBLAS_STATUS_NOT_SUPPORTED;
    if (!(p->epilogue & CUBLASLT_EPILOGUE_BIAS)) return CUBLAS_STATUS_SUCCESS;
    const int64_t type = standin_lt_attribute(desc, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE);
    if (!p->bias || (type != -1 && type != CUDA_R_32F)) return CUBLAS_STATUS_INVALID_VALUE;
    return p->d.order == CUBLASLT_ORDER_COL ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_SUPPORTED;
}

static cublasStatus_t status_of_types(const struct lt_product *p) {
    const bool half = p->a.type == CUDA_R_16F || p->a.type == CUDA_R_16BF;
    if (p->a.type != p->b.type || p->c.type != p->d.type) return CUBLAS_STATUS_NOT_SUPPORTED;
    if (!half && (p->a.type != CUDA_R_32F || p->d.type != CUDA_R_32F)) return CUBLAS_STATUS_NOT_SUPPORTED;
    switch (p->compute) {
    case CUBLAS_COMPUTE_32F:
    case CUBLAS_COMPUTE_32F_PEDANTIC:
    case CUBLAS_COMPUTE_32F_FAST_TF32:
    case CUBLAS_COMPUTE_32F_FAST_16F:
    case CUBLAS_COMPUTE_32F_FAST_16BF:
        return CUBLAS_STATUS_SUCCESS;
    default:
        return CUBLAS_STATUS_NOT_SUPPORTED;
    }
}

static cublasStatus_t status_of(cublasLtMatmulDesc_t desc, const struct lt_product *p) {
    if (!sizes_agree(p) || !ld_fits(&p->a) || !ld_fits(&p->b) || !ld_fits(&p->c) || !ld_fits(&p->d))
        return CUBLAS_STATUS_INVALID_VALUE;
    if (p->c.at == p->d.at && p->c.ld != p->d.ld) return CUBLAS_STATUS_INVALID_VALUE;
    cublasStatus_t status = status_of_types(p);
    for (int which = 31; which <= 37 && STANDIN_VERSION >= 120800 && !status; which++)
        if (which != 35 && which != 36 && standin_lt_attribute(desc, (cublasLtMatmulDescAttributes_t)which))
            status = CUBLAS_STATUS_INVALID_VALUE; /* scale modes */
    return status ? status : status_of_descriptor(desc, p);
}

static struct lt_product product_of(cublasLtMatmulDesc_t desc, const struct lt_matrix operand[4]) {
    struct lt_product p = {.a = operand[0], .b = operand[1], .c = operand[2], .d = operand[3]};
    p.op_a = (int)standin_lt_attribute(desc, CUBLASLT_MATMUL_DESC_TRANSA);
    p.op_b = (int)standin_lt_attribute(desc, CUBLASLT_MATMUL_DESC_TRANSB);
    p.compute = (int)standin_lt_attribute(desc, CUBLASLT_MATMUL_DESC_COMPUTE_TYPE);
    p.epilogue = (uint32_t)standin_lt_attribute(desc, CUBLASLT_MATMUL_DESC_EPILOGUE);
    p.bias = (const float *)(intptr_t)standin_lt_attribute(desc, CUBLASLT_MATMUL_DESC_BIAS_POINTER);
    p.bias_stride = standin_lt_attribute(desc, CUBLASLT_MATMUL_DESC_BIAS_BATCH_STRIDE);
    p.scalars_on_device = standin_lt_attribute(desc, CUBLASLT_MATMUL_DESC_POINTER_MODE) == CUBLASLT_POINTER_MODE_DEVICE;
    return p;
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc,
                                              cublasLtMatrixLayout_t layout_a, cublasLtMatrixLayout_t layout_b,
                                              cublasLtMatrixLayout_t layout_c, cublasLtMatrixLayout_t layout_d,
                                              cublasLtMatmulPreference_t preference, int wanted,
                                              cublasLtMatmulHeuristicResult_t *results, int *found) {
    static char c, d;
    if (found) *found = 0;
    if (!is_handle(handle)) return CUBLAS_STATUS_NOT_INITIALIZED;
    if (!desc || !preference || wanted < 1 || !results || !found) return CUBLAS_STATUS_INVALID_VALUE;
    const struct lt_matrix operand[] = {standin_lt_matrix(layout_a, NULL), standin_lt_matrix(layout_b, NULL),
                                        standin_lt_matrix(layout_c, &c), standin_lt_matrix(layout_d, &d)};
    const struct lt_product p = product_of(desc, operand);
    cublasStatus_t status = status_of(desc, &p);
    if (status) return status;
    memset(results, 0, sizeof *results);
    results->algo.data[0] = ALGO_MAGIC;
    results->state = CUBLAS_STATUS_SUCCESS;
    *found = 1;
    return status;
}

static void run(void *payload) {
    if (!standin_lt_compute(payload)) fgsim_fault("cublasLt stand-in: an operand is not device memory");
}

static cublasStatus_t matmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, struct lt_product *p,
                             const cublasLtMatmulAlgo_t *algo, const void *workspace, size_t workspace_bytes,
                             cudaStream_t stream) {
    if (!is_handle(handle)) return CUBLAS_STATUS_NOT_INITIALIZED;
    int injected = fgsim_injected_failure("cublasLtMatmul");
    if (injected) return (cublasStatus_t)injected;
    cublasStatus_t status = status_of(desc, p);
    if (status) return status;
    if (!p->alpha || !p->beta || !p->a.at || !p->b.at || !p->d.at) return CUBLAS_STATUS_INVALID_VALUE;
    if (workspace_bytes && (!workspace || (uintptr_t)workspace % 256)) return CUBLAS_STATUS_INVALID_VALUE;
    if (algo && algo->data[0] != ALGO_MAGIC) return CUBLAS_STATUS_NOT_SUPPORTED;
    if (!p->scalars_on_device) {
        p->alpha_value = standin_scalar(p->alpha, p->compute);
        p->beta_value = standin_scalar(p->beta, p->compute);
    }
    if (!p->c.at && (p->scalars_on_device || p->beta_value != 0)) return CUBLAS_STATUS_INVALID_VALUE;
    if (!fgsim_host_work(stream, run, p, sizeof *p)) return CUBLAS_STATUS_SUCCESS;
    return CUBLAS_STATUS_EXECUTION_FAILED;
}

#define ADDRESS(x) ((int64_t)(intptr_t)(x))

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, const void *alpha, const void *A,
                              cublasLtMatrixLayout_t layout_a, const void *B, cublasLtMatrixLayout_t layout_b,
                              const void *beta, const void *C, cublasLtMatrixLayout_t layout_c, void *D,
                              cublasLtMatrixLayout_t layout_d, const cublasLtMatmulAlgo_t *algo, void *workspace,
                              size_t workspace_bytes, cudaStream_t stream) {
    cublasStatus_t status = CUBLAS_STATUS_INVALID_VALUE;
    if (desc && layout_a && layout_b && layout_c && layout_d) {
        const struct lt_matrix operand[] = {standin_lt_matrix(layout_a, A), standin_lt_matrix(layout_b, B),
                                            standin_lt_matrix(layout_c, C), standin_lt_matrix(layout_d, D)};
        struct lt_product p = product_of(desc, operand);
        p.alpha = alpha;
        p.beta = beta;
        status = matmul(handle, desc, &p, algo, workspace, workspace_bytes, stream);
    }
    standin_record(__func__, (int)status, 16,
                   (int64_t[]){ADDRESS(handle), ADDRESS(desc), ADDRESS(alpha), ADDRESS(A), ADDRESS(layout_a),
                               ADDRESS(B), ADDRESS(layout_b), ADDRESS(beta), ADDRESS(C), ADDRESS(layout_c), ADDRESS(D),
                               ADDRESS(layout_d), ADDRESS(algo), ADDRESS(workspace), (int64_t)workspace_bytes,
                               ADDRESS(stream)});
    return status;
}
