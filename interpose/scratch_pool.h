/*
 * Our own pool of scratch, one per device, made when scratch is first needed and kept for good. It keeps what is given
 * back, up to a threshold, so that an allocation is an entry in a list and not a call to the driver.
 */
#ifndef FASTGEMM_SCRATCH_POOL_H
#define FASTGEMM_SCRATCH_POOL_H

#include <stdint.h>

#include <cuda_runtime_api.h>

/* What the pool on the device may give: `limit`, or 0 when the device has no pools. */
int64_t scratch_pool_bytes(int device, int64_t limit);

/* Memory in the order of the stream, NULL where none is to be had. */
void *scratch_pool_take(int64_t bytes, int device, cudaStream_t stream);

/* Given back when the stream has done what it has to do now. */
void scratch_pool_give(void *address, cudaStream_t stream);

#endif
