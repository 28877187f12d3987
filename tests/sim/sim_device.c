/* The runtime's questions about devices and versions, and the names of errors. */
#include "sim_internal.h"

#include <stdio.h>
#include <string.h>

static _Thread_local int current;

int sim_current_device(void) {
    return current;
}

cudaError_t cudaGetDeviceCount(int *count) {
    *count = 0;
    SIM_ENTER();
    *count = sim_settings()->devices;
    return sim_leave(cudaSuccess);
}

cudaError_t cudaGetDevice(int *device) {
    SIM_ENTER();
    *device = current;
    return sim_leave(cudaSuccess);
}

cudaError_t cudaSetDevice(int device) {
    SIM_ENTER();
    if (device < 0 || device >= sim_settings()->devices) return sim_leave(cudaErrorInvalidDevice);
    current = device;
    return sim_leave(cudaSuccess);
}

/* The device's memory is gone. */
cudaError_t cudaDeviceReset(void) {
    SIM_ENTER();
    sim_memory_free_all(current);
    return sim_leave(cudaSuccess);
}

cudaError_t cudaProfilerStart(void) {
    SIM_ENTER();
    return sim_leave(cudaSuccess);
}

cudaError_t cudaProfilerStop(void) {
    SIM_ENTER();
    return sim_leave(cudaSuccess);
}

/* Versions need no driver. */
cudaError_t cudaRuntimeGetVersion(int *version) {
    *version = CUDART_VERSION;
    return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int *version) {
    sim_lock();
    *version = sim_settings()->driver;
    sim_unlock();
    return cudaSuccess;
}

static int attribute(const struct sim_traits *t, enum cudaDeviceAttr which) {
    switch ((int)which) {
    case cudaDevAttrMaxThreadsPerBlock:
        return 1024;
    case cudaDevAttrMaxBlockDimX:
    case cudaDevAttrMaxBlockDimY:
        return 1024;
    case cudaDevAttrMaxBlockDimZ:
        return 64;
    case cudaDevAttrMaxGridDimX:
        return INT32_MAX;
    case cudaDevAttrMaxGridDimY:
    case cudaDevAttrMaxGridDimZ:
        return 65535;
    case cudaDevAttrMaxSharedMemoryPerBlock:
        return 48 << 10;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
        return t->shared_per_block;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
        return t->shared_per_sm;
    case cudaDevAttrReservedSharedMemoryPerBlock:
        return 1024;
    case cudaDevAttrWarpSize:
        return 32;
    case cudaDevAttrMaxRegistersPerBlock:
    case cudaDevAttrMaxRegistersPerMultiprocessor:
        return 65536;
    case cudaDevAttrClockRate:
        return t->clock_khz;
    case cudaDevAttrMultiProcessorCount:
        return t->sms;
    case cudaDevAttrMaxThreadsPerMultiProcessor:
        return t->major == 8 && t->minor ? 1536 : 2048;
    case cudaDevAttrL2CacheSize:
        return t->l2_bytes;
    case cudaDevAttrComputeCapabilityMajor:
        return t->major;
    case cudaDevAttrComputeCapabilityMinor:
        return t->minor;
    case cudaDevAttrMemoryPoolsSupported:
    case cudaDevAttrUnifiedAddressing:
    case cudaDevAttrConcurrentKernels:
        return 1;
    case cudaDevAttrMemoryClockRate:
        return 10501000;
    case cudaDevAttrGlobalMemoryBusWidth:
        return 384;
    default:
        return 0;
    }
}

cudaError_t cudaDeviceGetAttribute(int *value, enum cudaDeviceAttr which, int device) {
    SIM_ENTER();
    if (device < 0 || device >= sim_settings()->devices) return sim_leave(cudaErrorInvalidDevice);
    if (!value || which <= 0 || which >= cudaDevAttrMax) return sim_leave(cudaErrorInvalidValue);
    *value = attribute(&sim_settings()->traits[device], which);
    return sim_leave(cudaSuccess);
}

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *p, int device) {
    SIM_ENTER();
    if (device < 0 || device >= sim_settings()->devices) return sim_leave(cudaErrorInvalidDevice);
    const struct sim_traits *t = &sim_settings()->traits[device];
    *p = (struct cudaDeviceProp){.totalGlobalMem = (size_t)24 << 30,
                                 .sharedMemPerBlock = 48 << 10,
                                 .sharedMemPerBlockOptin = (size_t)t->shared_per_block,
                                 .sharedMemPerMultiprocessor = (size_t)t->shared_per_sm,
                                 .regsPerBlock = 65536,
                                 .regsPerMultiprocessor = 65536,
                                 .warpSize = 32,
                                 .maxThreadsPerBlock = 1024,
                                 .maxThreadsDim = {1024, 1024, 64},
                                 .maxGridSize = {INT32_MAX, 65535, 65535},
                                 .major = t->major,
                                 .minor = t->minor,
                                 .multiProcessorCount = t->sms,
                                 .maxThreadsPerMultiProcessor = attribute(t, cudaDevAttrMaxThreadsPerMultiProcessor),
                                 .l2CacheSize = t->l2_bytes,
                                 .memoryBusWidth = 384,
                                 .memoryPoolsSupported = 1,
                                 .unifiedAddressing = 1};
    snprintf(p->name, sizeof p->name, "%s", t->name);
    return sim_leave(cudaSuccess);
}

/* ---- errors ---- */

#define ERRORS(X)                                                                                                      \
    X(cudaSuccess, "no error")                                                                                         \
    X(cudaErrorInvalidValue, "invalid argument")                                                                       \
    X(cudaErrorMemoryAllocation, "out of memory")                                                                      \
    X(cudaErrorInitializationError, "initialization error")                                                            \
    X(cudaErrorInvalidConfiguration, "invalid configuration argument")                                                 \
    X(cudaErrorInsufficientDriver, "CUDA driver version is insufficient for CUDA runtime version")                     \
    X(cudaErrorInvalidDeviceFunction, "invalid device function")                                                       \
    X(cudaErrorNoDevice, "no CUDA-capable device is detected")                                                         \
    X(cudaErrorInvalidDevice, "invalid device ordinal")                                                                \
    X(cudaErrorNoKernelImageForDevice, "no kernel image is available for execution on the device")                     \
    X(cudaErrorInvalidResourceHandle, "invalid resource handle")                                                       \
    X(cudaErrorIllegalState, "the operation cannot be performed in the present state")                                 \
    X(cudaErrorIllegalAddress, "an illegal memory access was encountered")                                             \
    X(cudaErrorLaunchOutOfResources, "too many resources requested for launch")                                        \
    X(cudaErrorIllegalInstruction, "an illegal instruction was encountered")                                           \
    X(cudaErrorMisalignedAddress, "misaligned address")                                                                \
    X(cudaErrorLaunchFailure, "unspecified launch failure")                                                            \
    X(cudaErrorNotSupported, "operation not supported")                                                                \
    X(cudaErrorStreamCaptureUnsupported, "operation not permitted when stream is capturing")                           \
    X(cudaErrorStreamCaptureInvalidated, "operation failed due to a previous error during capture")                    \
    X(cudaErrorStreamCaptureUnmatched, "capture was not ended in the same stream as it began")                         \
    X(cudaErrorStreamCaptureImplicit, "operation would make the legacy stream depend on a capturing blocking stream")  \
    X(cudaErrorCapturedEvent, "operation not permitted on an event last recorded in a capturing stream")               \
    X(cudaErrorUnknown, "unknown error")

const char *cudaGetErrorName(cudaError_t error) {
#define X(code, text)                                                                                                  \
    if (error == code) return #code;
    ERRORS(X)
#undef X
    return "unrecognized error code";
}

const char *cudaGetErrorString(cudaError_t error) {
#define X(code, text)                                                                                                  \
    if (error == code) return text;
    ERRORS(X)
#undef X
    return "unrecognized error code";
}
