/*
 * The few functions of the driver that the library asks the runtime for. As the driver's own, they make no context: a
 * thread's current device has to have one already.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cuda.h>

#include "sim_internal.h"

/* The driver tells its caller alone of an error, and the caller asks the runtime next. */
static CUresult told(cudaError_t error) {
    if (error != cudaSuccess) cudaGetLastError();
    return (CUresult)error;
}

static CUresult current_context(CUcontext *context) {
    static char any;
    *context = sim_has_context() ? (CUcontext)(void *)&any : NULL;
    return CUDA_SUCCESS;
}

/* Tools name each error of the driver to their user, so the library is not to ask for one. */
static CUresult current_device(CUdevice *device) {
    if (!sim_has_context()) {
        fputs("simulated GPU: cuCtxGetDevice without a context\n", stderr);
        abort();
    }
    *device = sim_current_device();
    return (CUresult)sim_injected_failure("cuCtxGetDevice");
}

static CUresult is_capturing(CUstream stream, CUstreamCaptureStatus *status) {
    enum cudaStreamCaptureStatus answer = cudaStreamCaptureStatusNone;
    if (!sim_has_context()) return CUDA_ERROR_INVALID_CONTEXT;
    CUresult error = told(cudaStreamIsCapturing(stream, &answer));
    *status = (CUstreamCaptureStatus)answer;
    return error;
}

static CUresult stream_id(CUstream stream, unsigned long long *id) {
    return sim_has_context() ? told(cudaStreamGetId(stream, id)) : CUDA_ERROR_INVALID_CONTEXT;
}

static const struct {
    const char *name;
    void *function;
} functions[] = {
    {"cuCtxGetCurrent", (void *)current_context},
    {"cuCtxGetDevice", (void *)current_device},
    {"cuStreamIsCapturing", (void *)is_capturing},
    {"cuStreamGetId", (void *)stream_id},
};

cudaError_t cudaGetDriverEntryPointByVersion(const char *name, void **function, unsigned int version,
                                             unsigned long long flags, enum cudaDriverEntryPointQueryResult *result) {
    SIM_ENTER();
    (void)version, (void)flags;
    *function = NULL;
    *result = cudaDriverEntryPointSymbolNotFound;
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (strcmp(name, functions[i].name) == 0) {
            *function = functions[i].function;
            *result = cudaDriverEntryPointSuccess;
        }
    return sim_leave(cudaSuccess);
}

cudaError_t cudaGetDriverEntryPoint(const char *name, void **function, unsigned long long flags,
                                    enum cudaDriverEntryPointQueryResult *result) {
    return cudaGetDriverEntryPointByVersion(name, function, CUDART_VERSION, flags, result);
}
