/*
 * Scratch that a handle keeps from call to call: blocks, one for each stream that uses the handle, as far as there are
 * places. One call at a time has them.
 */
#ifndef FASTGEMM_SCRATCH_KEPT_H
#define FASTGEMM_SCRATCH_KEPT_H

#include "handle_state.h"
#include "scratch.h"

/* The handle's scratch for this call alone, or NULL while another thread's call has it. */
struct handle_scratch *scratch_hold(struct handle_state *state);

/* The end of that. NULL is accepted. */
void scratch_let_go(struct handle_scratch *held);

/* A block of the handle for the order's stream, or NULL. */
struct kept_block *scratch_block(struct handle_scratch *held, const struct scratch_order *order);

void *scratch_block_address(const struct kept_block *block);

/* To be said after the work that uses the block was launched on the stream. */
void scratch_block_used(struct handle_scratch *held, struct kept_block *block, cudaStream_t stream);

#endif
