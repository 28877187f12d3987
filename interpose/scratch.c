/*
 * Scratch.
 *
 * Blocks that a handle keeps are bound to one stream each, by the number that CUDA gives a stream once: the address of
 * a destroyed stream may come back. An event says when the work that used a block is done; only then another stream
 * gets it, or the pool, and nothing is ever asked of the stream itself, which the program may have destroyed.
 *
 * Threads may use one handle at the same time. What one handle has, workspace and blocks, then belongs to the call
 * that came first, until all its kernels are in the stream; the others take theirs from the pool, without waiting.
 */
#include "scratch.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

#include <cuda_runtime_api.h>

#include "cuda_use.h"
#include "device_traits.h"

enum { KEPT_BLOCKS = 4 }; /* streams that a handle keeps a block for at a time */

static const uintptr_t ALIGNMENT = 256;
static const int64_t KEPT_UNIT = INT64_C(2) << 20;
static const int64_t MOST_KEPT = INT64_C(64) << 20; /* larger blocks would be missed elsewhere, and cost no more */

struct kept_block {
    void *address; /* NULL: none */
    int64_t bytes;
    unsigned long long stream; /* its number */
    int device;
    cudaEvent_t used; /* after the last work that uses it */
};

struct handle_scratch {
    atomic_flag in_use;
    struct kept_block block[KEPT_BLOCKS];
};

static void *aligned(void *address) {
    return (void *)(((uintptr_t)address + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
}

static int64_t usable(const struct workspace *workspace) {
    int64_t lost = (char *)aligned(workspace->address) - (char *)workspace->address;
    return (int64_t)workspace->size > lost ? (int64_t)workspace->size - lost : 0;
}

int64_t scratch_limit(const struct workspace *workspace, int64_t pool_bytes) {
    return usable(workspace) > pool_bytes ? usable(workspace) : pool_bytes;
}

/* ---- pools ---- */

/*
 * One pool per device, made when scratch is first needed and kept for good. It keeps what is given back, up to a
 * threshold, so that an allocation is an entry in a list and not a call to the driver.
 */
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

static void *allocate(int64_t bytes, int device, cudaStream_t stream) {
    void *address = NULL;
    cudaMemPool_t pool = pool_of(device);
    if (pool && cudaMallocFromPoolAsync(&address, (size_t)bytes, pool, stream) == cudaSuccess) return address;
    cudaGetLastError();
    return NULL;
}

static void give_to_pool(void *address, cudaStream_t stream) {
    if (cudaFreeAsync(address, stream) != cudaSuccess) cudaGetLastError();
}

/* ---- what a handle keeps ---- */

static struct handle_scratch *make_handle_scratch(_Atomic(struct handle_scratch *) *slot) {
    struct handle_scratch *made = calloc(1, sizeof *made), *first = NULL;
    if (!made) return NULL;
    atomic_flag_clear(&made->in_use);
    if (atomic_compare_exchange_strong(slot, &first, made)) return made;
    free(made); /* another thread was quicker */
    return first;
}

/* The handle's scratch for this call alone, or NULL while another thread's call has it. */
static struct handle_scratch *hold(struct handle_state *state) {
    if (!state) return NULL;
    _Atomic(struct handle_scratch *) *slot = handle_state_scratch(state);
    struct handle_scratch *held = atomic_load_explicit(slot, memory_order_acquire);
    if (!held) held = make_handle_scratch(slot);
    return held && !atomic_flag_test_and_set_explicit(&held->in_use, memory_order_acquire) ? held : NULL;
}

static void let_go(struct handle_scratch *held) {
    if (held) atomic_flag_clear_explicit(&held->in_use, memory_order_release);
}

/* Whether the work that used the block is done. It is asked rarely, and maybe while another thread captures. */
static bool is_done(const struct kept_block *block) {
    enum cudaStreamCaptureMode mode = cudaStreamCaptureModeRelaxed;
    if (cudaThreadExchangeStreamCaptureMode(&mode) != cudaSuccess) return false;
    bool done = cudaEventQuery(block->used) == cudaSuccess;
    if (!done) cudaGetLastError();
    cudaThreadExchangeStreamCaptureMode(&mode);
    return done;
}

/* The stream's own block; else a place for one, or a block of a stream that is done with it. */
static struct kept_block *find_block(struct handle_scratch *held, int device, unsigned long long stream) {
    struct kept_block *free_place = NULL;
    for (int i = 0; i < KEPT_BLOCKS; i++) {
        struct kept_block *block = &held->block[i];
        if (!block->address)
            free_place = block;
        else if (block->stream == stream && block->device == device)
            return block;
    }
    for (int i = 0; i < KEPT_BLOCKS && !free_place; i++)
        if (held->block[i].device == device && is_done(&held->block[i])) free_place = &held->block[i];
    return free_place;
}

static bool make_event(struct kept_block *block) {
    if (block->used) return true;
    enum cudaStreamCaptureMode mode = cudaStreamCaptureModeRelaxed;
    if (cudaThreadExchangeStreamCaptureMode(&mode) != cudaSuccess) return false;
    bool made = cudaEventCreateWithFlags(&block->used, cudaEventDisableTiming) == cudaSuccess;
    if (!made) cudaGetLastError();
    cudaThreadExchangeStreamCaptureMode(&mode);
    return made;
}

/* Puts a block of this size at the place. What is there is of no use to anyone but this stream. */
static bool fill_place(struct kept_block *block, const struct scratch_order *order) {
    if (block->address) give_to_pool(block->address, order->stream);
    block->address = NULL;
    if (!make_event(block)) return false;
    block->bytes = (order->bytes + KEPT_UNIT - 1) / KEPT_UNIT * KEPT_UNIT;
    block->address = allocate(block->bytes, order->device, order->stream);
    return block->address != NULL;
}

static struct kept_block *block_for(struct handle_scratch *held, const struct scratch_order *order) {
    unsigned long long stream;
    if (order->bytes > MOST_KEPT) return NULL;
    if (cudaStreamGetId(order->stream, &stream) != cudaSuccess) {
        cudaGetLastError();
        return NULL;
    }
    struct kept_block *block = find_block(held, order->device, stream);
    if (!block) return NULL;
    block->stream = stream;
    block->device = order->device;
    return block->bytes >= order->bytes && block->address ? block : fill_place(block, order) ? block : NULL;
}

/* ---- a call ---- */

struct scratch scratch_take(struct handle_state *state, const struct workspace *workspace,
                            const struct scratch_order *order) {
    struct scratch scratch = {.held = hold(state)};
    if (scratch.held && order->bytes <= usable(workspace)) {
        scratch.address = aligned(workspace->address);
        return scratch;
    }
    if (scratch.held && !order->capturing) scratch.block = block_for(scratch.held, order);
    if (scratch.block) {
        scratch.address = scratch.block->address;
        return scratch;
    }
    let_go(scratch.held);
    scratch.held = NULL;
    if (!order->capturing) scratch.address = allocate(order->bytes, order->device, order->stream);
    scratch.from_pool = scratch.address != NULL;
    return scratch;
}

void scratch_give(const struct scratch *scratch, cudaStream_t stream) {
    if (scratch->from_pool) give_to_pool(scratch->address, stream);
    if (scratch->block && cudaEventRecord(scratch->block->used, stream) != cudaSuccess) {
        cudaGetLastError();
        give_to_pool(scratch->address, stream); /* nobody could tell when it is free */
        scratch->block->address = NULL;
    }
    let_go(scratch->held);
}

/* ---- the end of a handle ---- */

static void drop_blocks(struct handle_scratch *held, cudaStream_t stream) {
    for (int i = 0; i < KEPT_BLOCKS; i++) {
        struct kept_block *block = &held->block[i];
        if (block->address && cudaStreamWaitEvent(stream, block->used, 0) == cudaSuccess)
            give_to_pool(block->address, stream);
        if (block->used && cudaEventDestroy(block->used) != cudaSuccess) cudaGetLastError();
    }
}

/* On a stream of its own: those that used the blocks may be gone. */
static void drop_on_device(struct handle_scratch *held) {
    cudaStream_t stream = NULL;
    enum cudaStreamCaptureMode mode = cudaStreamCaptureModeRelaxed;
    if (cudaThreadExchangeStreamCaptureMode(&mode) != cudaSuccess) return;
    if (cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) == cudaSuccess) {
        drop_blocks(held, stream);
        cudaStreamDestroy(stream);
    }
    cudaGetLastError();
    cudaThreadExchangeStreamCaptureMode(&mode);
}

/* The device of the handle's blocks; all are on the one that the handle was made on. */
static int device_of(const struct handle_scratch *held) {
    for (int i = 0; i < KEPT_BLOCKS; i++)
        if (held->block[i].used) return held->block[i].device;
    return -1;
}

void scratch_drop(struct handle_scratch *held) {
    if (!held) return;
    const int device = device_of(held), current = device < 0 || cuda_use_lost() ? -1 : device_current();
    if (current >= 0 && (current == device || cudaSetDevice(device) == cudaSuccess)) {
        drop_on_device(held);
        if (current != device) cudaSetDevice(current);
    }
    free(held);
}
