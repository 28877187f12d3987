/* The doors that tell about handles: which copy made one, and which scratch the caller gave it. Recorded, forwarded. */
#include "device_traits.h"
#include "handle_state.h"
#include "scratch.h"
#include "settings.h"

#define CALLER() __builtin_extract_return_addr(__builtin_return_address(0))

cublasStatus_t cublasCreate_v2(cublasHandle_t *handle) {
    const struct real_cublas *real = real_cublas_for(CALLER());
    if (!real || !real->cublasCreate_v2) return CUBLAS_STATUS_NOT_INITIALIZED;
    cublasStatus_t status = real->cublasCreate_v2(handle);
    if (status != CUBLAS_STATUS_SUCCESS) return status;
    handle_state_created(*handle, real, settings()->toggles.enabled ? device_current() : DEVICE_UNKNOWN);
    return status;
}

cublasStatus_t cublasSetWorkspace_v2(cublasHandle_t handle, void *workspace, size_t size) {
    const struct handle_view view = handle_state_find(handle, CALLER());
    if (!view.real || !view.real->cublasSetWorkspace_v2) return CUBLAS_STATUS_NOT_INITIALIZED;
    cublasStatus_t status = view.real->cublasSetWorkspace_v2(handle, workspace, size);
    if (status == CUBLAS_STATUS_SUCCESS) handle_state_set_workspace(view.state, workspace, size);
    return status;
}

/* cuBLAS goes back to a workspace of its own when the stream is set. */
cublasStatus_t cublasSetStream_v2(cublasHandle_t handle, cudaStream_t stream) {
    const struct handle_view view = handle_state_find(handle, CALLER());
    if (!view.real || !view.real->cublasSetStream_v2) return CUBLAS_STATUS_NOT_INITIALIZED;
    cublasStatus_t status = view.real->cublasSetStream_v2(handle, stream);
    if (status == CUBLAS_STATUS_SUCCESS) handle_state_set_workspace(view.state, NULL, 0);
    return status;
}

/* PyTorch sets it before every product: what is recorded saves asking for it. */
cublasStatus_t cublasSetMathMode(cublasHandle_t handle, cublasMath_t mode) {
    const struct handle_view view = handle_state_find(handle, CALLER());
    if (!view.real || !view.real->cublasSetMathMode) return CUBLAS_STATUS_NOT_INITIALIZED;
    cublasStatus_t status = view.real->cublasSetMathMode(handle, mode);
    if (status == CUBLAS_STATUS_SUCCESS) handle_state_set_math_mode(view.state, mode);
    return status;
}

/* Forgotten first: once it is destroyed, another thread may be given the same address. */
cublasStatus_t cublasDestroy_v2(cublasHandle_t handle) {
    const struct handle_view view = handle_state_find(handle, CALLER());
    if (!view.real || !view.real->cublasDestroy_v2) return CUBLAS_STATUS_NOT_INITIALIZED;
    struct handle_scratch *kept = handle_state_forget(handle);
    cublasStatus_t status = view.real->cublasDestroy_v2(handle);
    scratch_drop(kept);
    return status;
}
