/*
 * Where a call's scratch comes from.
 *
 * Threads may use one handle at the same time. What one handle has, workspace and blocks, then belongs to the call
 * that came first, until all its kernels are in the stream; the others take theirs from the pool, without waiting.
 */
#include "scratch.h"

#include <stddef.h>

#include "scratch_kept.h"
#include "scratch_pool.h"

static const uintptr_t ALIGNMENT = 256;

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

struct scratch scratch_take(struct handle_state *state, const struct workspace *workspace,
                            const struct scratch_order *order) {
    struct scratch scratch = {.held = scratch_hold(state)};
    if (scratch.held && order->bytes <= usable(workspace)) {
        scratch.address = aligned(workspace->address);
        return scratch;
    }
    if (scratch.held && order->allocates) scratch.block = scratch_block(scratch.held, order);
    if (scratch.block) {
        scratch.address = scratch_block_address(scratch.block);
        return scratch;
    }
    scratch_let_go(scratch.held);
    scratch.held = NULL;
    if (order->allocates) scratch.address = scratch_pool_take(order->bytes, order->device, order->stream);
    scratch.from_pool = scratch.address != NULL;
    return scratch;
}

void scratch_give(const struct scratch *scratch, cudaStream_t stream) {
    if (scratch->from_pool) scratch_pool_give(scratch->address, stream);
    if (scratch->block) scratch_block_used(scratch->held, scratch->block, stream);
    scratch_let_go(scratch->held);
}
