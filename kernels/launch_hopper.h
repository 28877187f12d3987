/*
 * What the launchers of Hopper's families share: getting kernels ready, launches that overlap, and operands described
 * to the copy engine.
 */
#ifndef FASTGEMM_LAUNCH_HOPPER_H
#define FASTGEMM_LAUNCH_HOPPER_H

#include <stdatomic.h>
#include <stdbool.h>

#include <cuda.h>
#include <cuda_runtime_api.h>

enum { LAUNCH_DEVICES = 64 };

/*
 * The SMs of the current device, on which the kernels are ready once `load` has been called, once a device: it gets the
 * device and finds its SMs. Loading is no part of a capture under way. `known`: LAUNCH_DEVICES zeros, the family's own.
 */
cudaError_t launch_make_ready(atomic_int *known, cudaError_t (*load)(int device, int *sm_count), int *sm_count);

/* How a kernel is launched: `overlaps`: it may start while the one before drains. */
struct launch_shape {
    dim3 grid;
    int threads, shared;
    bool overlaps;
};

/* Launches a kernel that takes the struct at `args`. */
cudaError_t launch_overlapping(void (*kernel)(void), struct launch_shape shape, void *args, cudaStream_t stream);

/* A tensor of five dimensions, the steps of all but the first in floats; the last is the batch. */
enum { LAUNCH_DIMENSIONS = 5 };
struct launch_tensor {
    int64_t size[LAUNCH_DIMENSIONS], step[LAUNCH_DIMENSIONS - 1];
    int box[LAUNCH_DIMENSIONS];
};

/* Describes it to the copy engine. An error where the driver cannot. */
cudaError_t launch_describe(CUtensorMap *map, CUtensorMapDataType type, CUtensorMapSwizzle swizzle, const float *at,
                            const struct launch_tensor *tensor);

#endif
