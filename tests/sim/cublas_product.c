/*
 * One product's way through the stand-in: what is wrong with the call, as the committed table answers it, and the
 * work in stream order, recorded when the stream is captured.
 */
#include "cublas_standin.h"

#include <stdio.h>
#include <string.h>

#include "cublas_statuses.h"

static const struct {
    const char *function;
    enum defect defect;
    int status;
} statuses[] = {
#define X(id, function, defect, status) {#function, DEFECT_##defect, status},
    CUBLAS_STATUSES(X)
#undef X
};

/* The function's own row, or else any function's: those measured answer alike. */
static cublasStatus_t status_of(const char *function, enum defect defect) {
    int found = CUBLAS_STATUS_INVALID_VALUE;
    for (size_t i = sizeof statuses / sizeof *statuses; i-- > 0;) {
        if (statuses[i].defect != defect) continue;
        found = statuses[i].status;
        size_t length = strlen(statuses[i].function);
        if (!strncmp(statuses[i].function, function, length) &&
            (!function[length] || !strcmp(function + length, "_64")))
            break;
    }
    return (cublasStatus_t)found;
}

static enum defect defect_of_sizes(const struct product *p) {
    int64_t rows_a = p->transa == CUBLAS_OP_N ? p->m : p->k, rows_b = p->transb == CUBLAS_OP_N ? p->k : p->n;
    if ((uint64_t)p->transa > CUBLAS_OP_C) return DEFECT_OP_A;
    if ((uint64_t)p->transb > CUBLAS_OP_C) return DEFECT_OP_B;
    if (p->m < 0) return DEFECT_M_NEGATIVE;
    if (p->n < 0) return DEFECT_N_NEGATIVE;
    if (p->k < 0) return DEFECT_K_NEGATIVE;
    if (p->lda < 1 && p->m == 0 && p->n == 0) return DEFECT_LDA_ZERO_EMPTY;
    if (p->lda < 1 || p->lda < rows_a) return DEFECT_LDA_SMALL;
    if (p->ldb < 1 || p->ldb < rows_b) return DEFECT_LDB_SMALL;
    if (p->ldc < 1 || p->ldc < p->m) return DEFECT_LDC_SMALL;
    if (p->batch < 0) return DEFECT_BATCH_NEGATIVE;
    return DEFECT_NONE;
}

static enum defect defect_of_pointers(const struct product *p) {
    if (p->m == 0 || p->n == 0) return p->a ? DEFECT_EMPTY : DEFECT_NULL_A_EMPTY;
    if (p->batch == 0) return DEFECT_BATCH_ZERO;
    if (!p->alpha) return DEFECT_NULL_ALPHA;
    if (!p->beta) return DEFECT_NULL_BETA;
    if (!p->c) return DEFECT_NULL_C;
    return DEFECT_NONE;
}

static bool all_of_type(const struct product *p, int type) {
    return p->type_a == type && p->type_b == type && p->type_c == type;
}

/* Which types go together; what does not is told apart by the compute type. */
static enum defect defect_of_types(const struct product *p) {
    bool small = p->type_a == p->type_b && (p->type_a == CUDA_R_16F || p->type_a == CUDA_R_16BF);
    switch (p->compute) {
    case CUBLAS_COMPUTE_16F:
        return all_of_type(p, CUDA_R_16F) ? DEFECT_NONE : DEFECT_COMPUTE_16F;
    case CUBLAS_COMPUTE_16F_PEDANTIC:
        return all_of_type(p, CUDA_R_16F) ? DEFECT_NONE : DEFECT_COMPUTE_16F_PEDANTIC;
    case CUBLAS_COMPUTE_64F:
    case CUBLAS_COMPUTE_64F_PEDANTIC:
        return all_of_type(p, CUDA_R_64F) ? DEFECT_NONE : DEFECT_COMPUTE_64F;
    case CUBLAS_COMPUTE_32F:
    case CUBLAS_COMPUTE_32F_PEDANTIC:
    case CUBLAS_COMPUTE_32F_FAST_16F:
    case CUBLAS_COMPUTE_32F_FAST_16BF:
    case CUBLAS_COMPUTE_32F_FAST_TF32:
#if CUBLAS_VER_MAJOR >= 13
    case CUBLAS_COMPUTE_32F_EMULATED_16BFX9:
#endif
        if (all_of_type(p, CUDA_R_32F)) return DEFECT_NONE;
        if (small && (p->type_c == p->type_a || p->type_c == CUDA_R_32F)) return DEFECT_NONE;
        return DEFECT_COMPUTE_64F;
    default:
        return DEFECT_COMPUTE_64F;
    }
}

static void run(void *payload) {
    const struct product *p = payload;
    if (standin_compute(p)) return;
    char line[160];
    snprintf(line, sizeof line, "cuBLAS stand-in: an operand of a %lld x %lld x %lld product is not device memory",
             (long long)p->m, (long long)p->n, (long long)p->k);
    fgsim_fault(line);
}

cublasStatus_t standin_product(const char *function, cublasHandle_t handle, struct product p) {
    if (!handle) return status_of(function, DEFECT_NULL_HANDLE);
    cublasStatus_t status = standin_handle(handle);
    if (status) return status;
    int injected = fgsim_injected_failure(function);
    if (injected) return (cublasStatus_t)injected;
    enum defect defect = defect_of_sizes(&p);
    if (!defect) defect = defect_of_types(&p);
    if (!defect) defect = defect_of_pointers(&p);
    if (defect) return status_of(function, defect);
    p.scalars_on_device = handle->pointer_mode == CUBLAS_POINTER_MODE_DEVICE;
    if (!p.scalars_on_device) {
        p.alpha_value = standin_scalar(p.alpha, p.compute);
        p.beta_value = standin_scalar(p.beta, p.compute);
    }
    if (!fgsim_host_work(handle->stream, run, &p, sizeof p)) return CUBLAS_STATUS_SUCCESS;
    return CUBLAS_STATUS_EXECUTION_FAILED;
}
