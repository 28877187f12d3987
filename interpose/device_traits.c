/* Chip limits from the CUDA runtime. */
#include "device_traits.h"

#include <pthread.h>

#include <cuda_runtime_api.h>

enum { MAX_DEVICES = 64, FP32_LANES_PER_SM = 128 };

static int attribute(enum cudaDeviceAttr which, int device) {
    int value = 0;
    if (cudaDeviceGetAttribute(&value, which, device) != cudaSuccess) cudaGetLastError();
    return value;
}

static struct gemm_device describe(int device) {
    double khz = attribute(cudaDevAttrClockRate, device);
    double memory_khz = attribute(cudaDevAttrMemoryClockRate, device);
    double bus_bytes = attribute(cudaDevAttrGlobalMemoryBusWidth, device) / 8.0;
    struct gemm_device traits = {
        .arch = attribute(cudaDevAttrComputeCapabilityMajor, device) * 10 +
                attribute(cudaDevAttrComputeCapabilityMinor, device),
        .sm_count = attribute(cudaDevAttrMultiProcessorCount, device),
        .l2_bytes = attribute(cudaDevAttrL2CacheSize, device),
        .dram_bytes_per_s = 2e3 * memory_khz * bus_bytes, /* two transfers a clock */
        .smem_per_block = attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin, device),
        .smem_per_sm = attribute(cudaDevAttrMaxSharedMemoryPerMultiprocessor, device),
    };
    traits.ffma_flops_per_s = 2e3 * khz * FP32_LANES_PER_SM * traits.sm_count;
    return traits;
}

static bool driver_too_old(void) {
    int driver = 0;
    return cudaDriverGetVersion(&driver) == cudaSuccess && driver > 0 && driver / 1000 < CUDART_VERSION / 1000;
}

const struct gemm_device *device_traits_current(enum gemm_reason *reason) {
    static struct gemm_device known[MAX_DEVICES];
    static bool ready[MAX_DEVICES];
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    int device = 0;
    if (cudaGetDevice(&device) != cudaSuccess || device >= MAX_DEVICES) {
        cudaGetLastError();
        *reason = driver_too_old() ? REASON_driver_too_old : REASON_no_device;
        return NULL;
    }
    if (!__atomic_load_n(&ready[device], __ATOMIC_ACQUIRE)) {
        struct gemm_device traits = describe(device);
        pthread_mutex_lock(&lock);
        known[device] = traits;
        __atomic_store_n(&ready[device], true, __ATOMIC_RELEASE);
        pthread_mutex_unlock(&lock);
    }
    return &known[device];
}
