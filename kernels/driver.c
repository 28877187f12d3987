/* Questions to the driver, through pointers that the runtime hands out: nothing is linked with libcuda. */
#include "driver.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include <cuda.h>

/* A function of the driver: looked for once. */
struct entry {
    const char *name;
    unsigned version; /* of CUDA, that brought it */
    _Atomic(void *) known;
};

static char missing;

static void *look_for(struct entry *entry) {
    void *function = NULL;
    enum cudaDriverEntryPointQueryResult result = cudaDriverEntryPointSymbolNotFound;
#if CUDART_VERSION >= 12050
    cudaError_t error =
        cudaGetDriverEntryPointByVersion(entry->name, &function, entry->version, cudaEnableLegacyStream, &result);
#else
    cudaError_t error = cudaGetDriverEntryPoint(entry->name, &function, cudaEnableLegacyStream, &result);
#endif
    if (error != cudaSuccess) cudaGetLastError(); /* not the program's error: it must not find it */
    if (error != cudaSuccess || result != cudaDriverEntryPointSuccess || !function) function = &missing;
    atomic_store_explicit(&entry->known, function, memory_order_release);
    return function;
}

static inline void *find(struct entry *entry) {
    void *function = atomic_load_explicit(&entry->known, memory_order_acquire);
    if (!function) function = look_for(entry);
    return function == &missing ? NULL : function;
}

/* Whether the thread has a context: the driver calls a question about one that is not there an error. */
static bool in_context(void) {
    static struct entry entry = {.name = "cuCtxGetCurrent", .version = 4000};
    __typeof__(&cuCtxGetCurrent) ask = (__typeof__(&cuCtxGetCurrent))find(&entry);
    CUcontext current = NULL;
    return ask && ask(&current) == CUDA_SUCCESS && current;
}

cudaError_t driver_current_device(int *device) {
    static struct entry entry = {.name = "cuCtxGetDevice", .version = 2000};
    __typeof__(&cuCtxGetDevice) ask = (__typeof__(&cuCtxGetDevice))find(&entry);
    CUdevice answer = 0;
    if (!ask || !in_context() || ask(&answer) != CUDA_SUCCESS) return cudaGetDevice(device);
    *device = answer;
    return cudaSuccess;
}

cudaError_t driver_capture_status(cudaStream_t stream, enum cudaStreamCaptureStatus *status) {
    static struct entry entry = {.name = "cuStreamIsCapturing", .version = 10000};
    __typeof__(&cuStreamIsCapturing) ask = (__typeof__(&cuStreamIsCapturing))find(&entry);
    CUstreamCaptureStatus answer = CU_STREAM_CAPTURE_STATUS_NONE;
    if (!ask || ask(stream, &answer) != CUDA_SUCCESS) return cudaStreamIsCapturing(stream, status);
    *status = (enum cudaStreamCaptureStatus)answer; /* the same numbers */
    return cudaSuccess;
}

cudaError_t driver_stream_id(cudaStream_t stream, unsigned long long *id) {
    static struct entry entry = {.name = "cuStreamGetId", .version = 12000};
    __typeof__(&cuStreamGetId) ask = (__typeof__(&cuStreamGetId))find(&entry);
    if (!ask || ask(stream, id) != CUDA_SUCCESS) return cudaStreamGetId(stream, id);
    return cudaSuccess;
}
