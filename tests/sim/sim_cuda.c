/*
 * A libcuda with what programs use that make contexts of their own (tests/gpu/places.c). Of a context only the device
 * is simulated: all of a device share their memory.
 */
#include <stdlib.h>

#include <cuda.h>
#include <cuda_runtime_api.h>

struct CUctx_st {
    int device;
    CUcontext below; /* that was current when it was made */
};

static _Thread_local CUcontext current;

static CUresult make_current(CUcontext context) {
    current = context;
    return (CUresult)cudaSetDevice(context ? context->device : 0);
}

CUresult cuCtxCreate_v4(CUcontext *context, CUctxCreateParams *parameters, unsigned int flags, CUdevice device) {
    (void)parameters, (void)flags;
    *context = malloc(sizeof **context);
    if (!*context) return CUDA_ERROR_OUT_OF_MEMORY;
    **context = (struct CUctx_st){device, current};
    return make_current(*context);
}

CUresult cuCtxSetCurrent(CUcontext context) {
    return make_current(context);
}

CUresult cuCtxDestroy_v2(CUcontext context) {
    if (current == context) current = context->below;
    free(context);
    return CUDA_SUCCESS;
}
