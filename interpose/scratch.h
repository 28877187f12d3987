/*
 * Scratch of a call that splits K or its operands: the caller's workspace, else a block that the handle keeps for the
 * stream, else one from our own pool for this call alone.
 */
#ifndef FASTGEMM_SCRATCH_H
#define FASTGEMM_SCRATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "handle_state.h"

/* What a handle keeps. */
struct handle_scratch;
struct kept_block;

struct scratch {
    void *address;               /* NULL: could not be had */
    struct handle_scratch *held; /* the handle's scratch, until it is given back; NULL: not this call's to use */
    struct kept_block *block;    /* of the handle */
    bool from_pool;
};

/* A call that wants scratch: on which device and stream, which may only allocate if it is not being captured. */
struct scratch_order {
    int64_t bytes;
    int device;
    cudaStream_t stream;
    bool allocates;
};

/* How much a call on this handle may use, if our pool gives so much. */
int64_t scratch_limit(const struct workspace *workspace, int64_t pool_bytes);

/* Scratch in the order of the stream. Whatever it holds is the call's alone until scratch_give. Waits for nobody. */
struct scratch scratch_take(struct handle_state *state, const struct workspace *workspace,
                            const struct scratch_order *order);

/* Gives it back, after the work that was launched on the stream. */
void scratch_give(const struct scratch *scratch, cudaStream_t stream);

/* The handle is gone: its blocks go back to the pool as soon as the work that uses them is done. NULL is accepted. */
void scratch_drop(struct handle_scratch *held);

#endif
