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

typedef __typeof__(&cuTensorMapEncodeTiled) encode_function;

/* The driver's function that describes a tensor to the copy engine, NULL where there is none. */
static encode_function encoder(void) {
    static _Atomic(void *) known;
    void *function = atomic_load_explicit(&known, memory_order_acquire);
    enum cudaDriverEntryPointQueryResult result;
    if (function) return (encode_function)function;
    if (cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000, cudaEnableDefault, &result) !=
            cudaSuccess ||
        result != cudaDriverEntryPointSuccess)
        return NULL;
    atomic_store_explicit(&known, function, memory_order_release);
    return (encode_function)function;
}

cudaError_t launch_describe(CUtensorMap *map, CUtensorMapDataType type, CUtensorMapSwizzle swizzle, const float *at,
                            const struct launch_tensor *t) {
    enum { DIMENSIONS = LAUNCH_DIMENSIONS };
    const encode_function function = encoder();
    if (!function) return cudaErrorNotSupported;
    cuuint64_t sizes[DIMENSIONS], steps[DIMENSIONS - 1];
    cuuint32_t boxes[DIMENSIONS], ones[DIMENSIONS];
    for (int i = 0; i < DIMENSIONS; i++)
        sizes[i] = (cuuint64_t)t->size[i], boxes[i] = (cuuint32_t)t->box[i], ones[i] = 1;
    for (int i = 0; i < DIMENSIONS - 1; i++) steps[i] = (cuuint64_t)t->step[i] * sizeof(float);
    CUresult result =
        function(map, type, DIMENSIONS, (void *)at, sizes, steps, boxes, ones, CU_TENSOR_MAP_INTERLEAVE_NONE, swizzle,
                 CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
    return result == CUDA_SUCCESS ? cudaSuccess : cudaErrorInvalidValue;
}
