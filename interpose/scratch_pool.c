/* Pools of the CUDA runtime. */
#include "scratch_pool.h"

#include <stdatomic.h>
#include <stddef.h>

#include "device_traits.h"

enum pool_support { POOL_NOT_ASKED, POOL_SUPPORTED, POOL_NOT_SUPPORTED };
static atomic_int support[MAX_DEVICES];
static _Atomic(cudaMemPool_t) pools[MAX_DEVICES];
static uint64_t kept_bytes = UINT64_C(2) << 30;

int64_t scratch_pool_bytes(int device, int64_t limit) {
    int known = atomic_load_explicit(&support[device], memory_order_relaxed);
    if (known == POOL_NOT_ASKED) {
        int supported = 0;
        if (cudaDeviceGetAttribute(&supported, cudaDevAttrMemoryPoolsSupported, device) != cudaSuccess)
            cudaGetLastError();
        known = supported ? POOL_SUPPORTED : POOL_NOT_SUPPORTED;
        atomic_store_explicit(&support[device], known, memory_order_relaxed);
    }
    return known == POOL_SUPPORTED ? limit : 0;
}

static cudaMemPool_t make_pool(int device) {
    struct cudaMemPoolProps properties = {.allocType = cudaMemAllocationTypePinned,
                                          .location = {.type = cudaMemLocationTypeDevice, .id = device}};
    cudaMemPool_t pool = NULL, first = NULL;
    if (cudaMemPoolCreate(&pool, &properties) != cudaSuccess ||
        cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &kept_bytes) != cudaSuccess) {
        cudaGetLastError();
        if (pool) cudaMemPoolDestroy(pool);
        return NULL;
    }
    if (atomic_compare_exchange_strong(&pools[device], &first, pool)) return pool;
    cudaMemPoolDestroy(pool); /* another thread was quicker */
    return first;
}

/* Another thread may be capturing in the mode that forbids such calls everywhere; here they concern no capture. */
static cudaMemPool_t pool_of(int device) {
    cudaMemPool_t pool = atomic_load_explicit(&pools[device], memory_order_acquire);
    if (pool) return pool;
    enum cudaStreamCaptureMode mode = cudaStreamCaptureModeRelaxed;
    if (cudaThreadExchangeStreamCaptureMode(&mode) != cudaSuccess) return NULL;
    pool = make_pool(device);
    cudaThreadExchangeStreamCaptureMode(&mode);
    return pool;
}

void *scratch_pool_take(int64_t bytes, int device, cudaStream_t stream) {
    void *address = NULL;
    cudaMemPool_t pool = pool_of(device);
    if (pool && cudaMallocFromPoolAsync(&address, (size_t)bytes, pool, stream) == cudaSuccess) return address;
    cudaGetLastError();
    return NULL;
}

void scratch_pool_give(void *address, cudaStream_t stream) {
    if (cudaFreeAsync(address, stream) != cudaSuccess) cudaGetLastError();
}
