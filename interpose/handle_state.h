/*
 * What we know of a cuBLAS handle: what we recorded (its workspace), and what cuBLAS itself answers (its modes).
 */
#ifndef FASTGEMM_HANDLE_STATE_H
#define FASTGEMM_HANDLE_STATE_H

#include <stddef.h>

#include "real.h"

struct handle_modes {
    cudaStream_t stream;
    cublasPointerMode_t pointer_mode;
    cublasMath_t math_mode;
    int sm_count_target; /* 0: all */
};

struct workspace {
    void *address;
    size_t size;
};

/* The caller gave this handle a workspace, or took it back (NULL). */
void handle_state_workspace(cublasHandle_t handle, void *address, size_t size);

/* The handle is about to be destroyed: its address may come back as another handle. */
void handle_state_forget(cublasHandle_t handle);

/* The workspace that the caller gave; {NULL, 0} if cuBLAS uses its own. */
struct workspace handle_state_get_workspace(cublasHandle_t handle);

/* Asks cuBLAS for the handle's modes; false when it does not know the handle. */
bool handle_state_modes(const struct real_cublas *real, cublasHandle_t handle, struct handle_modes *out);

#endif
