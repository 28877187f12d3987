/*
 * Scratch for split-K: the caller's workspace, else our own stream-ordered pool.
 */
#ifndef FASTGEMM_SCRATCH_H
#define FASTGEMM_SCRATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "handle_state.h"

struct scratch {
    void *address;
    bool from_pool;
};

/* What our pool on the device may give: `limit`, or 0 when the device has no pools. */
int64_t scratch_pool_bytes(int device, int64_t limit);

/* How much a call on this handle may use: the plan's input. */
int64_t scratch_limit(const struct workspace *workspace, bool capturing, int64_t pool_bytes);

/* The same for a kernel that needs scratch whether it splits K or not: what the workspace lacks, the pool gives. */
int64_t scratch_planes_limit(const struct workspace *workspace, bool capturing, int64_t pool_bytes);

/* Scratch of `bytes` in the order of the stream; a NULL address when it could not be had. */
struct scratch scratch_take(const struct workspace *workspace, int64_t bytes, int device, cudaStream_t stream);

/* Gives pool scratch back, after the work that was launched on the stream. */
void scratch_give(struct scratch scratch, cudaStream_t stream);

#endif
