/* What the files of a stand-in libcublas share: the handle, the description of a product, the record of calls. */
#ifndef FASTGEMM_CUBLAS_STANDIN_H
#define FASTGEMM_CUBLAS_STANDIN_H

#include <stdbool.h>
#include <stdint.h>

#include <cublas_api.h>

#include "sim_api.h"

#ifndef STANDIN_VERSION
#error "STANDIN_VERSION: 120900 or 130100, as cublasGetVersion says it"
#endif

enum { STANDIN_MAGIC = 0x5ca1ab00 + STANDIN_VERSION };

struct cublasContext {
    unsigned magic; /* of the copy that made it; 0 once destroyed */
    cudaStream_t stream;
    void *workspace;
    size_t workspace_bytes;
    cublasMath_t math;
    cublasPointerMode_t pointer_mode;
    cublasAtomicsMode_t atomics;
    int sm_target;
    cublasEmulationStrategy_t emulation;
    int emulation_special, mantissa_control, mantissa_max, mantissa_offset;
    int *mantissa_count;
    struct cublasContext *next; /* all handles ever made: a stale one must be readable */
};

/* A product in column-major terms. With `arrays`, a, b and c are arrays of pointers, else a stride apart. */
struct product {
    int64_t transa, transb, m, n, k;
    const void *alpha, *beta;
    const void *a, *b;
    void *c;
    int64_t lda, ldb, ldc, stride_a, stride_b, stride_c, batch;
    int type_a, type_b, type_c; /* cudaDataType */
    int compute;                /* cublasComputeType_t */
    bool arrays;
    bool scalars_on_device;
    double alpha_value, beta_value; /* when they lie on the host */
};

/* What may be odd about a call: the names that cublas_statuses.h uses. The last six are valid. */
/* clang-format off */
#define STANDIN_DEFECTS(X)                                                                                             \
    X(NULL_HANDLE) X(OP_A) X(OP_B) X(M_NEGATIVE) X(N_NEGATIVE) X(K_NEGATIVE) X(LDA_SMALL) X(LDB_SMALL) X(LDC_SMALL)    \
    X(LDA_ZERO_EMPTY) X(NULL_ALPHA) X(NULL_BETA) X(NULL_C) X(EMPTY) X(NULL_A_EMPTY) X(BATCH_NEGATIVE) X(BATCH_ZERO)    \
    X(COMPUTE_16F) X(COMPUTE_16F_PEDANTIC) X(COMPUTE_64F) X(COMPUTE_32F) X(COMPUTE_32F_PEDANTIC)                       \
    X(COMPUTE_32F_FAST_16F) X(COMPUTE_32F_FAST_16BF) X(COMPUTE_32F_FAST_TF32) X(COMPUTE_32F_EMULATED_16BFX9)
/* clang-format on */

enum defect {
    DEFECT_NONE,
#define X(name) DEFECT_##name,
    STANDIN_DEFECTS(X)
#undef X
};

/* cublas_handle.c: CUBLAS_STATUS_SUCCESS for a live handle of this copy. */
cublasStatus_t standin_handle(cublasHandle_t handle);

/* cublas_record.c */
void standin_record(const char *function, int status, int arguments, const int64_t *argument);

/* cublas_product.c: checks the call, and runs it in stream order. */
cublasStatus_t standin_product(const char *function, cublasHandle_t handle, struct product product);

/* cublas_reference.c: the product in double precision; false when memory is not the device's. */
bool standin_compute(const struct product *product);
int standin_type_bytes(int type);
double standin_scalar(const void *scalar, int compute);
double standin_load(const void *array, int64_t index, int type);
void standin_store(void *array, int64_t index, int type, double value);

#endif
