/* The interface of before handles: cublasSgemm with another ABI. Recorded and computed, so that tests see it untouched.
 */
#include <ctype.h>
#include <string.h>

#include <cublas.h>

#include "cublas_standin.h"

static cublasHandle_t legacy_handle;
static cublasStatus_t legacy_error;

cublasStatus cublasInit(void) {
    return legacy_handle ? CUBLAS_STATUS_SUCCESS : cublasCreate_v2(&legacy_handle);
}
cublasStatus cublasShutdown(void) {
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus cublasGetError(void) {
    cublasStatus_t error = legacy_error;
    legacy_error = CUBLAS_STATUS_SUCCESS;
    return error;
}

static int64_t bits(float value) {
    int32_t word;
    memcpy(&word, &value, sizeof word);
    return word;
}

static int64_t operation(char trans) {
    trans = (char)toupper((unsigned char)trans);
    return trans == 'N' ? CUBLAS_OP_N : trans == 'T' || trans == 'C' ? CUBLAS_OP_T : -1;
}

void cublasSgemm(char transa, char transb, int m, int n, int k, float alpha, const float *A, int lda, const float *B,
                 int ldb, float beta, float *C, int ldc) {
    cublasInit();
    legacy_error = standin_product(__func__, legacy_handle,
                                   (struct product){.transa = operation(transa),
                                                    .transb = operation(transb),
                                                    .m = m,
                                                    .n = n,
                                                    .k = k,
                                                    .alpha = &alpha,
                                                    .beta = &beta,
                                                    .a = A,
                                                    .b = B,
                                                    .c = C,
                                                    .lda = lda,
                                                    .ldb = ldb,
                                                    .ldc = ldc,
                                                    .batch = 1,
                                                    .type_a = CUDA_R_32F,
                                                    .type_b = CUDA_R_32F,
                                                    .type_c = CUDA_R_32F,
                                                    .compute = CUBLAS_COMPUTE_32F});
    standin_record(__func__, (int)legacy_error, 13,
                   (int64_t[]){transa, transb, m, n, k, bits(alpha), (intptr_t)A, lda, (intptr_t)B, ldb, bits(beta),
                               (intptr_t)C, ldc});
}
