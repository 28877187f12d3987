/* Scratch for split-K. */
#include "scratch.h"

#include <cuda_runtime_api.h>

static const uintptr_t ALIGNMENT = 256;

static void *aligned(void *address) {
    return (void *)(((uintptr_t)address + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
}

static int64_t usable(const struct workspace *workspace) {
    int64_t lost = (char *)aligned(workspace->address) - (char *)workspace->address;
    return (int64_t)workspace->size > lost ? (int64_t)workspace->size - lost : 0;
}

int64_t scratch_limit(const struct workspace *workspace, bool capturing, int64_t pool_limit) {
    if (workspace->address || capturing) return usable(workspace);
    return pool_limit;
}

struct scratch scratch_take(const struct workspace *workspace, int64_t bytes, cudaStream_t stream) {
    struct scratch scratch = {0};
    if (bytes <= usable(workspace)) {
        scratch.address = aligned(workspace->address);
        return scratch;
    }
    if (cudaMallocAsync(&scratch.address, (size_t)bytes, stream) != cudaSuccess) {
        cudaGetLastError();
        scratch.address = NULL;
    }
    scratch.from_pool = scratch.address != NULL;
    return scratch;
}

void scratch_give(struct scratch scratch, cudaStream_t stream) {
    if (scratch.from_pool && cudaFreeAsync(scratch.address, stream) != cudaSuccess) cudaGetLastError();
}
