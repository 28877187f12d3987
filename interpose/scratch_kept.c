/*
 * What a handle keeps.
 *
 * Blocks that a handle keeps are bound to one stream each, by the number that CUDA gives a stream once: the address of
 * a destroyed stream may come back. An event says when the work that used a block is done; only then another stream
 * gets it, or the pool, and nothing is ever asked of the stream itself, which the program may have destroyed.
 *
 * An event costs the host as much as everything else that the road does with a call. So a block that one stream has
 * used for some time settles there: no event is recorded any more, and no other stream gets the block while the handle
 * lives. Streams may end before; so a handle has places that never settle, and there is a limit to what may.
 */
#include "scratch_kept.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

#include <cuda_runtime_api.h>

#include "../kernels/driver.h"
#include "cuda_use.h"
#include "device_traits.h"
#include "scratch_pool.h"

enum {
    KEPT_BLOCKS = 6,   /* streams that a handle keeps a block for at a time */
    MAY_SETTLE = 4,    /* of them: others may always be had by streams that come and go */
    SETTLES_AFTER = 32 /* calls of one stream */
};

static const int64_t KEPT_UNIT = INT64_C(2) << 20;

/* What part of a device's memory one block may be, all that are kept together, and all that settled; or this much. */
enum { PARTS_BLOCK = 128, PARTS_KEPT = 32, PARTS_SETTLED = 64 };
static const int64_t LEAST_BLOCK = INT64_C(64) << 20, LEAST_SUM = INT64_C(256) << 20;

struct kept_block {
    void *address; /* NULL: none */
    int64_t bytes;
    unsigned long long stream; /* its number */
    int device;
    int calls;        /* of this stream, SETTLES_AFTER at most */
    bool settled;     /* on this stream for good: `used` tells nothing */
    cudaEvent_t used; /* after the last work that uses it */
};

struct handle_scratch {
    atomic_flag in_use;
    struct kept_block *latest; /* that was used, or NULL */
    struct kept_block block[KEPT_BLOCKS];
};

static struct handle_scratch *make_handle_scratch(_Atomic(struct handle_scratch *) *slot) {
    struct handle_scratch *made = calloc(1, sizeof *made), *first = NULL;
    if (!made) return NULL;
    atomic_flag_clear(&made->in_use);
    if (atomic_compare_exchange_strong(slot, &first, made)) return made;
    free(made); /* another thread was quicker */
    return first;
}

struct handle_scratch *scratch_hold(struct handle_state *state) {
    if (!state) return NULL;
    _Atomic(struct handle_scratch *) *slot = handle_state_scratch(state);
    struct handle_scratch *held = atomic_load_explicit(slot, memory_order_acquire);
    if (!held) held = make_handle_scratch(slot);
    return held && !atomic_flag_test_and_set_explicit(&held->in_use, memory_order_acquire) ? held : NULL;
}

void scratch_let_go(struct handle_scratch *held) {
    if (held) atomic_flag_clear_explicit(&held->in_use, memory_order_release);
}

/* Bytes that are kept on each device, and of them those that settled. */
static _Atomic(int64_t) kept[MAX_DEVICES], settled[MAX_DEVICES];

/* A part of the device's memory. The device is the current one. */
static int64_t part_of_memory(int device, int parts, int64_t least) {
    static _Atomic(int64_t) known[MAX_DEVICES];
    int64_t bytes = atomic_load_explicit(&known[device], memory_order_relaxed);
    enum cudaStreamCaptureMode mode = cudaStreamCaptureModeRelaxed;
    if (!bytes && cudaThreadExchangeStreamCaptureMode(&mode) == cudaSuccess) {
        size_t free_bytes, all = 0;
        if (cudaMemGetInfo(&free_bytes, &all) != cudaSuccess) cudaGetLastError();
        atomic_store_explicit(&known[device], bytes = (int64_t)all, memory_order_relaxed);
        cudaThreadExchangeStreamCaptureMode(&mode);
    }
    return bytes / parts > least ? bytes / parts : least;
}

/* Adds to a sum that has a limit, or does not. */
static bool claim(_Atomic(int64_t) *sum, int64_t bytes, int64_t limit) {
    if (atomic_fetch_add_explicit(sum, bytes, memory_order_relaxed) + bytes <= limit) return true;
    atomic_fetch_sub_explicit(sum, bytes, memory_order_relaxed);
    return false;
}

/* Whether the work that used the block is done. It is asked rarely, and maybe while another thread captures. */
static bool is_done(const struct kept_block *block) {
    enum cudaStreamCaptureMode mode = cudaStreamCaptureModeRelaxed;
    if (block->settled || cudaThreadExchangeStreamCaptureMode(&mode) != cudaSuccess) return false;
    bool done = cudaEventQuery(block->used) == cudaSuccess;
    if (!done) cudaGetLastError();
    cudaThreadExchangeStreamCaptureMode(&mode);
    return done;
}

static bool is_of(const struct kept_block *block, int device, unsigned long long stream) {
    return block->address && block->stream == stream && block->device == device;
}

/* The stream's own block; else a place for one, or a block of a stream that is done with it. */
static struct kept_block *find_block(struct handle_scratch *held, int device, unsigned long long stream) {
    struct kept_block *free_place = NULL;
    if (held->latest && is_of(held->latest, device, stream)) return held->latest;
    for (int i = KEPT_BLOCKS - 1; i >= 0; i--) {
        struct kept_block *block = &held->block[i];
        if (is_of(block, device, stream)) return block;
        if (!block->address) free_place = block;
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

/* Back to the pool, when the stream has done what it has to do now. */
static void empty_place(struct kept_block *block, cudaStream_t stream) {
    scratch_pool_give(block->address, stream);
    atomic_fetch_sub_explicit(&kept[block->device], block->bytes, memory_order_relaxed);
    if (block->settled) atomic_fetch_sub_explicit(&settled[block->device], block->bytes, memory_order_relaxed);
    block->settled = false;
    block->address = NULL;
}

/* Puts a block of this size at the place. What is there is of no use to anyone but this stream. */
static bool fill_place(struct kept_block *block, const struct scratch_order *order) {
    if (block->address) empty_place(block, order->stream);
    if (!make_event(block)) return false;
    const int64_t bytes = (order->bytes + KEPT_UNIT - 1) / KEPT_UNIT * KEPT_UNIT;
    if (!claim(&kept[order->device], bytes, part_of_memory(order->device, PARTS_KEPT, LEAST_SUM))) return false;
    block->bytes = bytes;
    block->address = scratch_pool_take(bytes, order->device, order->stream);
    if (!block->address) atomic_fetch_sub_explicit(&kept[order->device], bytes, memory_order_relaxed);
    block->calls = 0;
    return block->address != NULL;
}

struct kept_block *scratch_block(struct handle_scratch *held, const struct scratch_order *order) {
    unsigned long long stream;
    if (order->bytes > part_of_memory(order->device, PARTS_BLOCK, LEAST_BLOCK)) return NULL;
    if (driver_stream_id(order->stream, &stream) != cudaSuccess) {
        cudaGetLastError();
        return NULL;
    }
    struct kept_block *block = find_block(held, order->device, stream);
    if (!block) return NULL;
    if (block->stream != stream) block->calls = 0;
    block->stream = stream;
    block->device = order->device;
    if (!(block->address && block->bytes >= order->bytes) && !fill_place(block, order)) return NULL;
    return held->latest = block;
}

static bool may_settle(const struct handle_scratch *held, const struct kept_block *block) {
    return block - held->block < MAY_SETTLE &&
           claim(&settled[block->device], block->bytes, part_of_memory(block->device, PARTS_SETTLED, LEAST_SUM));
}

void *scratch_block_address(const struct kept_block *block) {
    return block->address;
}

void scratch_block_used(struct handle_scratch *held, struct kept_block *block, cudaStream_t stream) {
    if (block->settled) return;
    if (block->calls < SETTLES_AFTER) block->calls++;
    if (block->calls == SETTLES_AFTER) block->settled = may_settle(held, block);
    if (block->settled || cudaEventRecord(block->used, stream) == cudaSuccess) return;
    cudaGetLastError();
    empty_place(block, stream); /* nobody could tell when it is free */
}

/* ---- the end of a handle ---- */

static bool any_settled(const struct handle_scratch *held) {
    for (int i = 0; i < KEPT_BLOCKS; i++)
        if (held->block[i].settled) return true;
    return false;
}

/*
 * Whether all is done that the settled blocks are used for. cublasDestroy, by its description, and cublasLtDestroy, as
 * seen of 13.1, have just waited for the device; to wait once more takes no time, and proves it. It fails while a
 * stream is being captured: then nobody can tell.
 */
static bool device_is_done(void) {
    const bool done = cudaDeviceSynchronize() == cudaSuccess;
    if (!done) cudaGetLastError();
    return done;
}

/*
 * A settled block of which nobody can tell when it is free stays what it is, and is counted as before. Of a settled one
 * the event says no more than that the device was not reset since.
 */
static void drop_blocks(struct handle_scratch *held, cudaStream_t stream) {
    const bool done = any_settled(held) && device_is_done();
    for (int i = 0; i < KEPT_BLOCKS; i++) {
        struct kept_block *block = &held->block[i];
        const bool known = block->address && (done || !block->settled);
        if (known && cudaStreamWaitEvent(stream, block->used, 0) == cudaSuccess) empty_place(block, stream);
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
