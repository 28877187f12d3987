/*
 * The doors of cublasLt: its product, and the making and ending of its handles, which tell the copy that a handle
 * belongs to. A cuBLAS handle may be passed for a cublasLt one. cuBLAS API reference, "Using the cuBLASLt API".
 */
#include "device_traits.h"
#include "handle_state.h"
#include "settings.h"

#define CALLER() __builtin_extract_return_addr(__builtin_return_address(0))

/* The two kinds of handle never have the same address, so one table holds both. */
static cublasHandle_t key_of(cublasLtHandle_t handle) {
    return (cublasHandle_t)(void *)handle;
}

static struct handle_view find(cublasLtHandle_t handle, const void *caller) {
    struct handle_view view = handle_state_known(key_of(handle));
    if (view.real && view.real->cublasLtMatmul) return view;
    return (struct handle_view){.real = real_cublaslt_for(caller)};
}

cublasStatus_t cublasLtCreate(cublasLtHandle_t *handle) {
    const struct real_cublas *real = real_cublaslt_for(CALLER());
    if (!real || !real->cublasLtCreate) return CUBLAS_STATUS_NOT_INITIALIZED;
    cublasStatus_t status = real->cublasLtCreate(handle);
    if (status != CUBLAS_STATUS_SUCCESS) return status;
    handle_state_created(key_of(*handle), real, settings()->toggles.enabled ? device_current() : DEVICE_UNKNOWN);
    return status;
}

/* Forgotten first: once it is destroyed, another thread may be given the same address. */
cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
    const struct handle_view view = find(handle, CALLER());
    if (!view.real || !view.real->cublasLtDestroy) return CUBLAS_STATUS_NOT_INITIALIZED;
    handle_state_forget(key_of(handle));
    return view.real->cublasLtDestroy(handle);
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, const void *alpha, const void *A,
                              cublasLtMatrixLayout_t layout_a, const void *B, cublasLtMatrixLayout_t layout_b,
                              const void *beta, const void *C, cublasLtMatrixLayout_t layout_c, void *D,
                              cublasLtMatrixLayout_t layout_d, const cublasLtMatmulAlgo_t *algo, void *workspace,
                              size_t workspace_bytes, cudaStream_t stream) {
    const struct handle_view view = find(handle, CALLER());
    if (!view.real || !view.real->cublasLtMatmul) return CUBLAS_STATUS_NOT_INITIALIZED;
    return view.real->cublasLtMatmul(handle, desc, alpha, A, layout_a, B, layout_b, beta, C, layout_c, D, layout_d,
                                     algo, workspace, workspace_bytes, stream);
}
