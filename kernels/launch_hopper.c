/* Kernels made ready once a device, and launched so that each may start while the one before drains. */
#include "launch_hopper.h"

#include "driver.h"

cudaError_t launch_make_ready(atomic_int *known, cudaError_t (*load)(int device, int *sm_count), int *sm_count) {
    int device = 0;
    cudaError_t error = driver_current_device(&device);
    if (error != cudaSuccess) return error;
    *sm_count = device < LAUNCH_DEVICES ? atomic_load_explicit(&known[device], memory_order_acquire) : 0;
    if (*sm_count) return cudaSuccess;
    enum cudaStreamCaptureMode mode = cudaStreamCaptureModeRelaxed;
    error = cudaThreadExchangeStreamCaptureMode(&mode);
    if (error != cudaSuccess) return error;
    error = load(device, sm_count);
    cudaThreadExchangeStreamCaptureMode(&mode);
    if (error == cudaSuccess && device < LAUNCH_DEVICES)
        atomic_store_explicit(&known[device], *sm_count, memory_order_release);
    return error;
}

cudaError_t launch_overlapping(void (*kernel)(void), struct launch_shape shape, void *args, cudaStream_t stream) {
    void *argv[] = {args};
    cudaLaunchAttribute attribute = {.id = cudaLaunchAttributeProgrammaticStreamSerialization};
    attribute.val.programmaticStreamSerializationAllowed = 1;
    cudaLaunchConfig_t config = {
        .gridDim = shape.grid,
        .blockDim = {(unsigned)shape.threads, 1, 1},
        .dynamicSmemBytes = (size_t)shape.shared,
        .stream = stream,
        .attrs = &attribute,
        .numAttrs = shape.overlaps ? 1 : 0,
    };
    return cudaLaunchKernelExC(&config, (const void *)kernel, argv);
}
