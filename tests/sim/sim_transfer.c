/*
 * The runtime's memory functions: allocation (plain, page-locked, stream-ordered, from pools) and copies.
 */
#include "sim_internal.h"

#include <stdlib.h>
#include <string.h>

struct CUmemPoolHandle_st {
    int device;
    uint64_t attribute[16];
};

static struct CUmemPoolHandle_st default_pools[SIM_MAX_DEVICES];

/* ---- allocation ---- */

static cudaError_t allocate(void **address, size_t bytes, enum cudaMemoryType type) {
    if (!address) return cudaErrorInvalidValue;
    cudaError_t error = sim_forbidden_while_capturing();
    if (error) return error;
    *address = bytes ? sim_memory_allocate(bytes, sim_current_device(), type) : NULL;
    return *address || !bytes ? cudaSuccess : cudaErrorMemoryAllocation;
}

cudaError_t cudaMalloc(void **address, size_t bytes) {
    SIM_ENTER();
    sim_counters.mallocs++;
    return sim_leave(allocate(address, bytes, cudaMemoryTypeDevice));
}

cudaError_t cudaMallocManaged(void **address, size_t bytes, unsigned int flags) {
    SIM_ENTER();
    (void)flags;
    return sim_leave(allocate(address, bytes, cudaMemoryTypeManaged));
}

cudaError_t cudaHostAlloc(void **address, size_t bytes, unsigned int flags) {
    SIM_ENTER();
    (void)flags;
    return sim_leave(allocate(address, bytes, cudaMemoryTypeHost));
}

cudaError_t cudaMallocHost(void **address, size_t bytes) {
    return cudaHostAlloc(address, bytes, 0);
}

static cudaError_t release(void *address) {
    if (!address) return cudaSuccess;
    cudaError_t error = sim_forbidden_while_capturing();
    if (error) return error;
    sim_counters.syncs++;
    if (!sim_memory_free(address)) return cudaErrorInvalidValue;
    return sim_sticky_error();
}

cudaError_t cudaFree(void *address) {
    SIM_ENTER();
    sim_counters.frees++;
    return sim_leave(release(address));
}

cudaError_t cudaFreeHost(void *address) {
    SIM_ENTER();
    return sim_leave(release(address));
}

/* Under capture the block belongs to the graph: each replay finds it full of NaN, and the graph's end frees it. */
static void fill_fresh(const struct sim_operation *operation) {
    char *address = *(char **)operation->payload;
    const struct sim_block *block = sim_memory_find(address);
    if (block) memset(address, 0xff, block->bytes);
}

static void free_with_graph(struct sim_operation *operation) {
    sim_memory_free(*(void **)operation->payload);
}

static cudaError_t record_block(cudaStream_t stream, void *address, void (*destroy)(struct sim_operation *)) {
    void **payload = malloc(sizeof *payload);
    if (!payload) abort();
    *payload = address;
    return sim_submit(stream, fill_fresh, destroy, payload);
}

static cudaError_t allocate_async(void **address, size_t bytes, int device, cudaStream_t stream) {
    int stream_device;
    cudaError_t error = sim_stream_device(stream, &stream_device);
    if (error) return error;
    if (!address) return cudaErrorInvalidValue;
    sim_counters.async_mallocs++;
    *address = sim_memory_allocate(bytes, device, cudaMemoryTypeDevice);
    if (!*address) return cudaErrorMemoryAllocation;
    return sim_stream_is_capturing(stream) ? record_block(stream, *address, free_with_graph) : cudaSuccess;
}

cudaError_t cudaMallocAsync(void **address, size_t bytes, cudaStream_t stream) {
    SIM_ENTER();
    return sim_leave(allocate_async(address, bytes, sim_current_device(), stream));
}

cudaError_t cudaMallocFromPoolAsync(void **address, size_t bytes, cudaMemPool_t pool, cudaStream_t stream) {
    SIM_ENTER();
    if (!pool) return sim_leave(cudaErrorInvalidValue);
    return sim_leave(allocate_async(address, bytes, pool->device, stream));
}

cudaError_t cudaFreeAsync(void *address, cudaStream_t stream) {
    SIM_ENTER();
    int device;
    cudaError_t error = sim_stream_device(stream, &device);
    if (error || !address) return sim_leave(error);
    sim_counters.async_frees++;
    const struct sim_block *block = sim_memory_find(address);
    if (!block || block->start != address) return sim_leave(cudaErrorInvalidValue);
    if (sim_stream_is_capturing(stream)) return sim_leave(record_block(stream, address, NULL));
    sim_memory_free(address);
    return sim_leave(sim_sticky_error());
}

/* ---- pools ---- */

cudaError_t cudaMemPoolCreate(cudaMemPool_t *pool, const struct cudaMemPoolProps *properties) {
    SIM_ENTER();
    if (!pool || !properties || properties->location.type != cudaMemLocationTypeDevice)
        return sim_leave(cudaErrorInvalidValue);
    if (properties->location.id < 0 || properties->location.id >= sim_settings()->devices)
        return sim_leave(cudaErrorInvalidDevice);
    *pool = calloc(1, sizeof **pool);
    if (!*pool) return sim_leave(cudaErrorMemoryAllocation);
    (*pool)->device = properties->location.id;
    return sim_leave(cudaSuccess);
}

cudaError_t cudaMemPoolDestroy(cudaMemPool_t pool) {
    SIM_ENTER();
    bool is_default = pool >= default_pools && pool < default_pools + SIM_MAX_DEVICES;
    if (!pool || is_default) return sim_leave(cudaErrorInvalidValue);
    free(pool);
    return sim_leave(cudaSuccess);
}

cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t pool, enum cudaMemPoolAttr attribute, void *value) {
    SIM_ENTER();
    if (!pool || !value || (unsigned)attribute >= 16) return sim_leave(cudaErrorInvalidValue);
    bool is_int = attribute <= cudaMemPoolReuseAllowInternalDependencies;
    pool->attribute[attribute] = is_int ? (uint64_t) * (int *)value : *(uint64_t *)value;
    return sim_leave(cudaSuccess);
}

cudaError_t cudaMemPoolGetAttribute(cudaMemPool_t pool, enum cudaMemPoolAttr attribute, void *value) {
    SIM_ENTER();
    if (!pool || !value || (unsigned)attribute >= 16) return sim_leave(cudaErrorInvalidValue);
    if (attribute <= cudaMemPoolReuseAllowInternalDependencies)
        *(int *)value = (int)pool->attribute[attribute];
    else
        *(uint64_t *)value = pool->attribute[attribute];
    return sim_leave(cudaSuccess);
}

cudaError_t cudaMemPoolTrimTo(cudaMemPool_t pool, size_t keep) {
    SIM_ENTER();
    (void)keep;
    return sim_leave(pool ? cudaSuccess : cudaErrorInvalidValue);
}

cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t *pool, int device) {
    SIM_ENTER();
    if (device < 0 || device >= sim_settings()->devices) return sim_leave(cudaErrorInvalidDevice);
    default_pools[device].device = device;
    *pool = &default_pools[device];
    return sim_leave(cudaSuccess);
}

cudaError_t cudaDeviceGetMemPool(cudaMemPool_t *pool, int device) {
    return cudaDeviceGetDefaultMemPool(pool, device);
}

/* ---- copies ---- */

struct transfer {
    char *to;
    const char *from; /* NULL: fill with `byte` */
    size_t to_pitch, from_pitch, width, height;
    int byte;
};

static void run_transfer(const struct sim_operation *operation) {
    const struct transfer *t = operation->payload;
    for (size_t row = 0; row < t->height; row++) {
        if (t->from)
            memmove(t->to + row * t->to_pitch, t->from + row * t->from_pitch, t->width);
        else
            memset(t->to + row * t->to_pitch, t->byte, t->width);
    }
}

static bool on_device(const char *address, size_t pitch, const struct transfer *t) {
    return !t->width || !t->height || sim_memory_holds(address, pitch * (t->height - 1) + t->width);
}

static cudaError_t transfer(struct transfer t, enum cudaMemcpyKind kind, cudaStream_t stream) {
    bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
    bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
    if (to_device && !on_device(t.to, t.to_pitch, &t)) return cudaErrorInvalidValue;
    if (t.from && from_device && !on_device(t.from, t.from_pitch, &t)) return cudaErrorInvalidValue;
    struct transfer *payload = malloc(sizeof *payload);
    if (!payload) abort();
    *payload = t;
    return sim_submit(stream, run_transfer, NULL, payload);
}

static cudaError_t transfer_and_wait(struct transfer t, enum cudaMemcpyKind kind) {
    cudaError_t error = sim_forbidden_on_stream(NULL);
    if (!error) error = sim_forbidden_while_capturing();
    sim_counters.syncs++;
    return error ? error : transfer(t, kind, NULL);
}

cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind) {
    SIM_ENTER();
    return sim_leave(transfer_and_wait((struct transfer){to, from, 0, 0, bytes, 1, 0}, kind));
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind, cudaStream_t stream) {
    SIM_ENTER();
    return sim_leave(transfer((struct transfer){to, from, 0, 0, bytes, 1, 0}, kind, stream));
}

cudaError_t cudaMemcpy2D(void *to, size_t to_pitch, const void *from, size_t from_pitch, size_t width, size_t height,
                         enum cudaMemcpyKind kind) {
    SIM_ENTER();
    return sim_leave(transfer_and_wait((struct transfer){to, from, to_pitch, from_pitch, width, height, 0}, kind));
}

cudaError_t cudaMemcpy2DAsync(void *to, size_t to_pitch, const void *from, size_t from_pitch, size_t width,
                              size_t height, enum cudaMemcpyKind kind, cudaStream_t stream) {
    SIM_ENTER();
    return sim_leave(transfer((struct transfer){to, from, to_pitch, from_pitch, width, height, 0}, kind, stream));
}

cudaError_t cudaMemset(void *to, int byte, size_t bytes) {
    SIM_ENTER();
    return sim_leave(transfer((struct transfer){to, NULL, 0, 0, bytes, 1, byte}, cudaMemcpyHostToDevice, NULL));
}

cudaError_t cudaMemsetAsync(void *to, int byte, size_t bytes, cudaStream_t stream) {
    SIM_ENTER();
    return sim_leave(transfer((struct transfer){to, NULL, 0, 0, bytes, 1, byte}, cudaMemcpyHostToDevice, stream));
}

/* ---- questions ---- */

cudaError_t cudaPointerGetAttributes(struct cudaPointerAttributes *attributes, const void *address) {
    SIM_ENTER();
    const struct sim_block *block = sim_memory_find(address);
    *attributes = (struct cudaPointerAttributes){.type = cudaMemoryTypeUnregistered, .device = -2};
    if (block) {
        attributes->type = block->type;
        attributes->device = block->device;
        attributes->devicePointer = (void *)(uintptr_t)address;
        if (block->type != cudaMemoryTypeDevice) attributes->hostPointer = (void *)(uintptr_t)address;
    }
    return sim_leave(cudaSuccess);
}

cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total) {
    SIM_ENTER();
    *total = (size_t)24 << 30;
    *free_bytes = *total - (size_t)sim_counters.live_bytes;
    return sim_leave(cudaSuccess);
}
