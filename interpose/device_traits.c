/* Chip limits from the CUDA runtime. */
#include "device_traits.h"

#include <pthread.h>
#include <stdatomic.h>

#include <cuda_runtime_api.h>

#include "../kernels/driver.h"

/* Of an SM. Data sheets: the A100's has half of those of later chips. */
static int fp32_lanes(int arch) {
    return arch == 80 ? 64 : 128;
}

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
#ifdef FASTGEMM_HOPPER
    traits.wgmma = traits.arch == 90;
#endif
    traits.ffma_flops_per_s = 2e3 * khz * fp32_lanes(traits.arch) * traits.sm_count;
    return traits;
}

/* A driver does not grow younger within a process, and asking again would cost each call. */
static atomic_bool too_old;

int device_current(void) {
    int device = -1;
    if (atomic_load_explicit(&too_old, memory_order_relaxed)) return -1;
    if (driver_current_device(&device) == cudaSuccess) return device;
    cudaGetLastError(); /* not the program's error: it must not find it */
    return -1;
}

static enum gemm_reason why_no_device(void) {
    int driver = 0;
    bool asked = atomic_load_explicit(&too_old, memory_order_relaxed) ||
                 (cudaDriverGetVersion(&driver) == cudaSuccess && driver > 0);
    if (!asked || driver / 1000 >= CUDART_VERSION / 1000) return REASON_no_device;
    atomic_store_explicit(&too_old, true, memory_order_relaxed);
    return REASON_driver_too_old;
}

static struct gemm_device *fill(struct gemm_device *known, atomic_bool *ready, int device) {
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    struct gemm_device traits = describe(device);
    pthread_mutex_lock(&lock);
    if (!atomic_load_explicit(ready, memory_order_relaxed)) *known = traits;
    atomic_store_explicit(ready, true, memory_order_release);
    pthread_mutex_unlock(&lock);
    return known;
}

const struct gemm_device *device_traits_of(int device, enum gemm_reason *reason) {
    static struct gemm_device known[MAX_DEVICES];
    static atomic_bool ready[MAX_DEVICES];
    if (device < 0 || device >= MAX_DEVICES) {
        *reason = why_no_device();
        return NULL;
    }
    if (atomic_load_explicit(&ready[device], memory_order_acquire)) return &known[device];
    return fill(&known[device], &ready[device], device);
}

const struct gemm_device *device_traits_current(enum gemm_reason *reason) {
    return device_traits_of(device_current(), reason);
}
