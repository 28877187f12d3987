/*
 * What we know of a cuBLAS handle: what we recorded (its copy of cuBLAS, its device, its workspace), and what cuBLAS
 * itself answers (its modes).
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
    bool emulation;      /* an emulation strategy other than the default is set */
};

struct workspace {
    void *address;
    size_t size;
};

enum { DEVICE_UNKNOWN = -1, MATH_UNKNOWN = -1 };

struct handle_state;
struct handle_scratch; /* scratch.h */

/* A handle as a door sees it. `real` is NULL when no cuBLAS is loaded, `state` when nothing is recorded. */
struct handle_view {
    const struct real_cublas *real;
    struct handle_state *state;
};

/*
 * The copy of cuBLAS that made the handle, as far as that is known; else the one that the caller reaches, and the
 * handle is bound to that. Lock-free for a handle seen before.
 */
struct handle_view handle_state_find(cublasHandle_t handle, const void *caller);

/* The same for a handle that is recorded, {NULL, NULL} for another: nothing is looked for. */
struct handle_view handle_state_known(cublasHandle_t handle);

/* A handle has just been made by this copy, on this device (or DEVICE_UNKNOWN). */
void handle_state_created(cublasHandle_t handle, const struct real_cublas *real, int device);

/*
 * The handle is about to be destroyed: its address may come back as another handle. Returns the scratch that it kept,
 * for scratch_drop, or NULL.
 */
struct handle_scratch *handle_state_forget(cublasHandle_t handle);

/* Where the handle's scratch hangs: NULL there until it is first needed. */
_Atomic(struct handle_scratch *) *handle_state_scratch(struct handle_state *state);

/* The caller gave this handle a workspace, or took it back (NULL). */
void handle_state_set_workspace(struct handle_state *state, void *address, size_t size);

/* The workspace that the caller gave; {NULL, 0} if cuBLAS uses its own or nothing is recorded. */
struct workspace handle_state_workspace(const struct handle_state *state);

/* What is recorded of a handle, in one piece. */
struct handle_record {
    int device;    /* that it was made on, or DEVICE_UNKNOWN */
    int math_mode; /* as far as it went through our doors, or MATH_UNKNOWN */
    bool tunes;    /* who uses it tries several algorithms for a product, and takes the one that was quickest */
    struct workspace workspace;
};
struct handle_record handle_state_record(const struct handle_state *state);

/* Who uses the handle asked for several algorithms for a product. */
void handle_state_set_tunes(struct handle_state *state);

/* The handle's math mode was set. */
void handle_state_set_math_mode(struct handle_state *state, cublasMath_t mode);

/* The pointer mode, as cuBLAS itself answers. */
bool handle_state_pointer_mode(const struct real_cublas *real, cublasHandle_t handle, cublasPointerMode_t *mode);

/* The device that the handle was made on, or DEVICE_UNKNOWN. */
int handle_state_device(const struct handle_state *state);

/* Asks cuBLAS for the handle's modes, but for the pointer mode if that is in `out`; false: it does not know the handle.
 */
bool handle_state_modes(const struct real_cublas *real, cublasHandle_t handle, struct handle_modes *out,
                        bool pointer_mode_known);

#endif
