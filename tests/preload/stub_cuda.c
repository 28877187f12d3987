/*
 * A driver that is new enough and has no GPU: what a static CUDA runtime finds of it by dlsym, it says. Without it the
 * runtime could not be told from one whose look-ups fail.
 */
#include <stddef.h>
#include <string.h>

#include <cuda.h>

CUresult cuDriverGetVersion(int *version) {
    *version = CUDA_VERSION;
    return CUDA_SUCCESS;
}

CUresult cuInit(unsigned flags) {
    (void)flags;
    return CUDA_ERROR_NO_DEVICE;
}

static CUresult unused(void) {
    return CUDA_ERROR_NO_DEVICE;
}

#undef cuGetProcAddress
CUresult cuGetProcAddress_v2(const char *name, void **function, int version, cuuint64_t flags,
                             CUdriverProcAddressQueryResult *status) {
    (void)version, (void)flags;
    *function = (void *)unused;
    if (strcmp(name, "cuInit") == 0) *function = (void *)cuInit;
    if (strcmp(name, "cuDriverGetVersion") == 0) *function = (void *)cuDriverGetVersion;
    if (strcmp(name, "cuGetProcAddress") == 0 || strcmp(name, "cuGetProcAddress_v2") == 0)
        *function = (void *)cuGetProcAddress_v2;
    if (status) *status = CU_GET_PROC_ADDRESS_SUCCESS;
    return CUDA_SUCCESS;
}
