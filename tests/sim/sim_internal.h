/* What the files of the stand-in libcudart share. */
#ifndef FASTGEMM_SIM_INTERNAL_H
#define FASTGEMM_SIM_INTERNAL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cuda_runtime_api.h>

#include "sim_api.h"

enum { SIM_MAX_DEVICES = 8 };

/* ---- sim_settings.c: FASTGEMM_SIM_* ---- */

struct sim_traits {
    int major, minor;
    int sms;
    int l2_bytes, shared_per_block, shared_per_sm, clock_khz;
    const char *name;
};

/* How the threads of a CTA, and the CTAs of a grid, take turns. */
enum sim_order { ORDER_FORWARD, ORDER_REVERSE, ORDER_WARPS, ORDER_SHUFFLE, ORDER_VARY };

struct sim_settings {
    int devices;
    int driver; /* version, 0: none installed */
    struct sim_traits traits[SIM_MAX_DEVICES];
    enum sim_order order;
    uint64_t order_seed;
};

const struct sim_settings *sim_settings(void);
void sim_settings_reload(void);
int sim_injected_failure(const char *function);

/* ---- sim_state.c: the lock, counters, errors ---- */

extern struct fgsim_counters sim_counters;

/* One lock around everything, kernels included: the simulated GPU does one thing at a time. */
void sim_lock(void);
void sim_unlock(void);

/* How every runtime function starts; it holds the lock when the answer is cudaSuccess. */
cudaError_t sim_enter(const char *function);
/* Whether a call has made a context on this thread's device. */
bool sim_has_context(void);
/* How it ends: remembers the error for cudaGetLastError, lets go of the lock. */
cudaError_t sim_leave(cudaError_t error);
cudaError_t sim_remember(cudaError_t error);
cudaError_t sim_sticky_error(void);

/* Prints one line, counts a fault; the device answers with `error` from now on. */
void sim_fault(cudaError_t error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- sim_memory.c ---- */

/* Device memory with guard bands, full of NaN. NULL when there is none. */
void *sim_memory_allocate(size_t bytes, int device, enum cudaMemoryType type);
/* Checks the guard bands. False when the address is no block's start. */
bool sim_memory_free(void *address);
void sim_memory_free_all(int device);
/* The live block that holds the address, or NULL. */
struct sim_block {
    char *start;
    size_t bytes;
    int device;
    enum cudaMemoryType type;
    void *raw;
    struct sim_block *next;
};
const struct sim_block *sim_memory_find(const void *address);
/* Whether all bytes lie in one live block; quick when the last few questions asked about the same blocks. */
bool sim_memory_holds(const void *address, size_t bytes);
int sim_memory_check_guards(void);

/* ---- sim_cta.c: runs a kernel ---- */

struct sim_kernel {
    void (*function)(void **argv);
    const char *name;
    int max_threads;
    size_t argument_bytes;
    int shared_limit[SIM_MAX_DEVICES]; /* set by cudaFuncSetAttribute; 0: the default of 48 KiB */
    uint64_t launches;
    struct sim_kernel *next;
};

struct sim_launch {
    struct sim_kernel *kernel;
    dim3 grid, block;
    size_t shared_bytes;
    void *argument;
};

struct sim_kernel *sim_kernel_find(const void *function);
/* Runs all CTAs. False after a fault. */
bool sim_run_kernel(const struct sim_launch *launch);

/* ---- sim_stream.c: streams, captures, graphs ---- */

struct sim_capture;

/* One operation of a stream: run now, or recorded. */
struct sim_operation {
    void (*run)(const struct sim_operation *operation);
    void (*destroy)(struct sim_operation *operation); /* may be NULL */
    void *payload;                                    /* freed with the operation */
    struct sim_operation *next;
};

/* Takes a malloc'ed payload. Runs the operation, or records it if the stream is being captured. */
cudaError_t sim_submit(cudaStream_t stream, void (*run)(const struct sim_operation *),
                       void (*destroy)(struct sim_operation *), void *payload);
/* cudaSuccess when the stream exists; its device then. */
cudaError_t sim_stream_device(cudaStream_t stream, int *device);
bool sim_stream_is_capturing(cudaStream_t stream);
/* What a call that no capture allows (a cudaMalloc, a synchronisation) answers; it spoils the captures. */
cudaError_t sim_forbidden_while_capturing(void);
cudaError_t sim_forbidden_on_stream(cudaStream_t stream);

/* ---- sim_device.c ---- */
int sim_current_device(void);

#define SIM_ENTER()                                                                                                    \
    do {                                                                                                               \
        cudaError_t sim_entered = sim_enter(__func__);                                                                 \
        if (sim_entered != cudaSuccess) return sim_remember(sim_entered);                                              \
    } while (0)

#endif
