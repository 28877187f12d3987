/* The stand-in's handles: creation, destruction, and every setting with its getter. */
#include "cublas_standin.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct cublasContext *handles;
static uint64_t foreign, settings_read;

uint64_t fgsim_cublas_settings_read(void) {
    return __atomic_load_n(&settings_read, __ATOMIC_RELAXED);
}
static void note_read(void) {
    __atomic_add_fetch(&settings_read, 1, __ATOMIC_RELAXED);
}

uint64_t fgsim_cublas_foreign_handles(void) {
    return foreign;
}
void standin_reset_foreign(void) {
    foreign = 0;
}

static bool is_ours(cublasHandle_t handle) {
    pthread_mutex_lock(&lock);
    struct cublasContext *h = handles;
    while (h && h != handle) h = h->next;
    pthread_mutex_unlock(&lock);
    return h != NULL;
}

cublasStatus_t standin_handle(cublasHandle_t handle) {
    if (!handle) return CUBLAS_STATUS_NOT_INITIALIZED;
    if (is_ours(handle)) return handle->magic == STANDIN_MAGIC ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_INITIALIZED;
    fprintf(stderr, "simulated cuBLAS %d: a call with a foreign handle, %p\n", STANDIN_VERSION, (void *)handle);
    __atomic_add_fetch(&foreign, 1, __ATOMIC_RELAXED);
    return CUBLAS_STATUS_NOT_INITIALIZED;
}

cublasStatus_t cublasCreate_v2(cublasHandle_t *handle) {
    int device, injected = fgsim_injected_failure(__func__);
    if (!handle) return CUBLAS_STATUS_INVALID_VALUE;
    if (injected) return (cublasStatus_t)injected;
    if (cudaGetDevice(&device) != cudaSuccess) return CUBLAS_STATUS_NOT_INITIALIZED;
    struct cublasContext *h = calloc(1, sizeof *h);
    if (!h) return CUBLAS_STATUS_ALLOC_FAILED;
    h->magic = STANDIN_MAGIC;
    pthread_mutex_lock(&lock);
    h->next = handles;
    handles = h;
    pthread_mutex_unlock(&lock);
    *handle = h;
    standin_record(__func__, 0, 1, (int64_t[]){(intptr_t)handle});
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasDestroy_v2(cublasHandle_t handle) {
    cublasStatus_t status = standin_handle(handle);
    standin_record(__func__, (int)status, 1, (int64_t[]){(intptr_t)handle});
    if (status == CUBLAS_STATUS_SUCCESS) handle->magic = 0;
    return status;
}

cublasStatus_t cublasSetStream_v2(cublasHandle_t handle, cudaStream_t stream) {
    cublasStatus_t status = standin_handle(handle);
    standin_record(__func__, (int)status, 2, (int64_t[]){(intptr_t)handle, (intptr_t)stream});
    if (status) return status;
    handle->stream = stream;
    handle->workspace = NULL; /* back to cuBLAS's own */
    handle->workspace_bytes = 0;
    return status;
}

cublasStatus_t cublasSetWorkspace_v2(cublasHandle_t handle, void *workspace, size_t bytes) {
    cublasStatus_t status = standin_handle(handle);
    standin_record(__func__, (int)status, 3, (int64_t[]){(intptr_t)handle, (intptr_t)workspace, (int64_t)bytes});
    if (status) return status;
    if ((uintptr_t)workspace % 256) return CUBLAS_STATUS_INVALID_VALUE;
    handle->workspace = workspace;
    handle->workspace_bytes = bytes;
    return status;
}

cublasStatus_t cublasGetStream_v2(cublasHandle_t handle, cudaStream_t *stream) {
    cublasStatus_t status = standin_handle(handle);
    note_read();
    if (!status) *stream = handle->stream;
    return status;
}

/* A setting: Set records and stores, Get reads. */
#define SETTING(set, get, type, field, valid)                                                                          \
    cublasStatus_t set(cublasHandle_t handle, type value) {                                                            \
        cublasStatus_t status = standin_handle(handle);                                                                \
        if (!status && !(valid)) status = CUBLAS_STATUS_INVALID_VALUE;                                                 \
        standin_record(__func__, (int)status, 2, (int64_t[]){(intptr_t)handle, (intptr_t)value});                      \
        if (!status) handle->field = value;                                                                            \
        return status;                                                                                                 \
    }                                                                                                                  \
    cublasStatus_t get(cublasHandle_t handle, type *value) {                                                           \
        cublasStatus_t status = standin_handle(handle);                                                                \
        note_read();                                                                                                   \
        if (status) return status;                                                                                     \
        if (!value) return CUBLAS_STATUS_INVALID_VALUE;                                                                \
        *value = handle->field;                                                                                        \
        return status;                                                                                                 \
    }

SETTING(cublasSetMathMode, cublasGetMathMode, cublasMath_t, math, true)
SETTING(cublasSetPointerMode_v2, cublasGetPointerMode_v2, cublasPointerMode_t, pointer_mode, (unsigned)value <= 1)
SETTING(cublasSetAtomicsMode, cublasGetAtomicsMode, cublasAtomicsMode_t, atomics, (unsigned)value <= 1)
SETTING(cublasSetSmCountTarget, cublasGetSmCountTarget, int, sm_target, value >= 0)
#if STANDIN_VERSION >= 130000
SETTING(cublasSetEmulationStrategy, cublasGetEmulationStrategy, cublasEmulationStrategy_t, emulation,
        (unsigned)value <= 2)
SETTING(cublasSetEmulationSpecialValuesSupport, cublasGetEmulationSpecialValuesSupport,
        cudaEmulationSpecialValuesSupport, emulation_special, true)
SETTING(cublasSetFixedPointEmulationMantissaControl, cublasGetFixedPointEmulationMantissaControl,
        cudaEmulationMantissaControl, mantissa_control, true)
SETTING(cublasSetFixedPointEmulationMaxMantissaBitCount, cublasGetFixedPointEmulationMaxMantissaBitCount, int,
        mantissa_max, true)
SETTING(cublasSetFixedPointEmulationMantissaBitOffset, cublasGetFixedPointEmulationMantissaBitOffset, int,
        mantissa_offset, true)
SETTING(cublasSetFixedPointEmulationMantissaBitCountPointer, cublasGetFixedPointEmulationMantissaBitCountPointer, int *,
        mantissa_count, true)
#endif

cublasStatus_t cublasGetVersion_v2(cublasHandle_t handle, int *version) {
    (void)handle; /* may be NULL */
    if (!version) return CUBLAS_STATUS_INVALID_VALUE;
    *version = STANDIN_VERSION;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGetProperty(libraryPropertyType type, int *value) {
    if (!value) return CUBLAS_STATUS_INVALID_VALUE;
    *value = type == MAJOR_VERSION ? STANDIN_VERSION / 10000 : type == MINOR_VERSION ? STANDIN_VERSION / 100 % 100 : 0;
    return (unsigned)type <= 2 ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}

size_t cublasGetCudartVersion(void) {
    return STANDIN_VERSION / 10000 * 1000;
}

const char *cublasGetStatusName(cublasStatus_t status) {
    switch (status) {
    case CUBLAS_STATUS_SUCCESS:
        return "CUBLAS_STATUS_SUCCESS";
    case CUBLAS_STATUS_NOT_INITIALIZED:
        return "CUBLAS_STATUS_NOT_INITIALIZED";
    case CUBLAS_STATUS_ALLOC_FAILED:
        return "CUBLAS_STATUS_ALLOC_FAILED";
    case CUBLAS_STATUS_INVALID_VALUE:
        return "CUBLAS_STATUS_INVALID_VALUE";
    case CUBLAS_STATUS_ARCH_MISMATCH:
        return "CUBLAS_STATUS_ARCH_MISMATCH";
    case CUBLAS_STATUS_MAPPING_ERROR:
        return "CUBLAS_STATUS_MAPPING_ERROR";
    case CUBLAS_STATUS_EXECUTION_FAILED:
        return "CUBLAS_STATUS_EXECUTION_FAILED";
    case CUBLAS_STATUS_INTERNAL_ERROR:
        return "CUBLAS_STATUS_INTERNAL_ERROR";
    case CUBLAS_STATUS_NOT_SUPPORTED:
        return "CUBLAS_STATUS_NOT_SUPPORTED";
    case CUBLAS_STATUS_LICENSE_ERROR:
        return "CUBLAS_STATUS_LICENSE_ERROR";
    }
    return "unrecognized cublasStatus_t";
}

const char *cublasGetStatusString(cublasStatus_t status) {
    return cublasGetStatusName(status);
}
