/* The doors that tell which scratch the caller gave: recorded, then forwarded. */
#include "handle_state.h"
#include "real.h"

#define CALLER() __builtin_extract_return_addr(__builtin_return_address(0))

cublasStatus_t cublasSetWorkspace_v2(cublasHandle_t handle, void *workspace, size_t size) {
    const struct real_cublas *real = real_cublas_for(CALLER());
    if (!real || !real->cublasSetWorkspace_v2) return CUBLAS_STATUS_NOT_INITIALIZED;
    cublasStatus_t status = real->cublasSetWorkspace_v2(handle, workspace, size);
    if (status == CUBLAS_STATUS_SUCCESS) handle_state_workspace(handle, workspace, size);
    return status;
}

/* cuBLAS goes back to a workspace of its own when the stream is set. */
cublasStatus_t cublasSetStream_v2(cublasHandle_t handle, cudaStream_t stream) {
    const struct real_cublas *real = real_cublas_for(CALLER());
    if (!real || !real->cublasSetStream_v2) return CUBLAS_STATUS_NOT_INITIALIZED;
    cublasStatus_t status = real->cublasSetStream_v2(handle, stream);
    if (status == CUBLAS_STATUS_SUCCESS) handle_state_workspace(handle, NULL, 0);
    return status;
}

cublasStatus_t cublasDestroy_v2(cublasHandle_t handle) {
    const struct real_cublas *real = real_cublas_for(CALLER());
    if (!real || !real->cublasDestroy_v2) return CUBLAS_STATUS_NOT_INITIALIZED;
    handle_state_forget(handle);
    return real->cublasDestroy_v2(handle);
}
