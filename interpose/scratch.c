/* Scratch for split-K. */
#include "scratch.h"

#include <stdatomic.h>
#include <stddef.h>

#include <cuda_runtime_api.h>

#include "device_traits.h"

static const uintptr_t ALIGNMENT = 256;

/*
 * One pool per device, made when scratch is first needed and kept for good. It keeps what is given back, up to a
 * threshold, so that an allocation is an entry in a list and not a call to the driver.
 */
enum pool_support { POOL_NOT_ASKED, POOL_SUPPORTED, POOL_NOT_SUPPORTED };
static atomic_int support[MAX_DEVICES];
static _Atomic(cudaMemPool_t) pools[MAX_DEVICES];
static uint64_t kept_bytes = UINT64_C(2) << 30;

static void *aligned(void *address) {
    return (void *)(((uintptr_t)address + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
}

static int64_t usable(const struct workspace *workspace) {
    int64_t lost = (char *)aligned(workspace->address) - (char *)workspace->address;
    return (int64_t)workspace->size > lost ? (int64_t)workspace->size - lost : 0;
}

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

int64_t scratch_limit(const struct workspace *workspace, bool capturing, int64_t pool_bytes) {
    return workspace->address || capturing ? usable(workspace) : pool_bytes;
}

int64_t scratch_planes_limit(const struct workspace *workspace, bool capturing, int64_t pool_bytes) {
    return capturing || usable(workspace) > pool_bytes ? usable(workspace) : pool_bytes;
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

struct scratch scratch_take(const struct workspace *workspace, int64_t bytes, int device, cudaStream_t stream) {
    struct scratch scratch = {0};
    if (bytes <= usable(workspace)) {
        scratch.address = aligned(workspace->address);
        return scratch;
    }
    cudaMemPool_t pool = pool_of(device);
    if (!pool || cudaMallocFromPoolAsync(&scratch.address, (size_t)bytes, pool, stream) != cudaSuccess) {
        cudaGetLastError();
        scratch.address = NULL;
    }
    scratch.from_pool = scratch.address != NULL;
    return scratch;
}

void scratch_give(struct scratch scratch, cudaStream_t stream) {
    if (scratch.from_pool && cudaFreeAsync(scratch.address, stream) != cudaSuccess) cudaGetLastError();
}
