/*
 * What a test may ask the simulated GPU: counters, faults, resets, and the calls that a stand-in cuBLAS recorded.
 *
 * The functions live in the stand-in libcudart (fgsim_*) and in each copy of the stand-in libcublas (fgsim_cublas_*).
 * Tests that link the stand-ins call them; programs that must stay unmodified never see them, and a library between
 * can find them by dlsym.
 */
#ifndef FASTGEMM_SIM_API_H
#define FASTGEMM_SIM_API_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct fgsim_counters {
    uint64_t runtime_calls; /* of any function but the questions for versions: 0 means that nothing touched CUDA */
    uint64_t contexts;      /* devices on which a call made a context: any but a cudaGet... or cudaDeviceGet... */
    uint64_t launches;      /* kernels that ran, replays of graphs included */
    uint64_t recorded;      /* operations that a capture recorded instead of running them */
    uint64_t graph_launches;
    uint64_t mallocs, frees;             /* cudaMalloc, cudaFree */
    uint64_t async_mallocs, async_frees; /* cudaMallocAsync, cudaMallocFromPoolAsync, cudaFreeAsync */
    uint64_t live_blocks, live_bytes;    /* device memory not freed yet */
    uint64_t events;                     /* cudaEventRecord */
    uint64_t syncs;                      /* of device, stream or event, and copies that wait */
    uint64_t faults;                     /* kernels ended for a broken rule, and broken guard bands */
};

void fgsim_counters(struct fgsim_counters *counters);
/* How often kernels ran whose name starts so. */
uint64_t fgsim_launches(const char *name_prefix);
/* The kernel that ran last, its grid, block and shared memory; false when there is none. */
struct fgsim_launch {
    const char *name;
    unsigned grid[3], block[3];
    size_t shared_bytes;
};
int fgsim_last_launch(struct fgsim_launch *launch);
/* The line that the last fault printed, or "". */
const char *fgsim_last_fault(void);
/* Zeroes the counters, forgets sticky errors, reads the FASTGEMM_SIM_* settings anew. Memory and contexts stay. */
void fgsim_reset(void);
/* Looks at every live block's guard bands; returns the number of broken ones. */
int fgsim_check_guards(void);

/*
 * Requests of warps to shared memory (sim_banks.c): 16-byte vectors, and asynchronous copies, as they are written. What
 * kernels read and write by single floats is not seen.
 */
enum fgsim_access { FGSIM_SHARED_LOAD, FGSIM_SHARED_STORE, FGSIM_SHARED_COPY, FGSIM_ACCESSES };
struct fgsim_bank_count {
    uint64_t requests, wavefronts; /* parts of 128 bytes that all requests took */
    uint64_t conflicts;            /* of them, those that were due to two words in one bank */
    uint64_t strayed;              /* accesses of warps whose lanes did not all do the same */
    int worst;                     /* most conflicts of one request */
};
/* Forgets the counts, and counts from now on or not. */
void fgsim_watch_banks(int on);
void fgsim_bank_counts(struct fgsim_bank_count counts[FGSIM_ACCESSES]);

/* For stand-in libraries: work for the host in stream order. `payload` is copied; under capture it is recorded. */
int fgsim_host_work(void *stream, void (*work)(void *payload), const void *payload, size_t bytes);
/* For stand-in libraries: the status that FASTGEMM_SIM_FAIL orders for this call of `function`, or 0. */
int fgsim_injected_failure(const char *function);
/* For stand-in libraries: reports a broken rule; the device fails from now on. */
void fgsim_fault(const char *line);
/* For stand-in libraries: whether the bytes lie in one live block of device or page-locked memory. */
int fgsim_is_device_memory(const void *address, size_t bytes);

enum { FGSIM_CUBLAS_ARGUMENTS = 24 };
/* One call of a stand-in cuBLAS. Arguments in order as passed: pointers as addresses, integers sign-extended. */
struct fgsim_cublas_call {
    const char *function;
    int status;
    int arguments;
    int64_t argument[FGSIM_CUBLAS_ARGUMENTS];
};
/* Copies the newest calls (oldest of them first) and returns how many were ever made since the last reset. */
uint64_t fgsim_cublas_calls(struct fgsim_cublas_call *calls, size_t capacity);
/* Calls with a handle that another copy of cuBLAS made. */
uint64_t fgsim_cublas_foreign_handles(void);
void fgsim_cublas_reset(void);
/* Index of the first argument in which two calls differ, -2 when their functions or counts do, -1 when equal. */
int fgsim_cublas_compare(const struct fgsim_cublas_call *a, const struct fgsim_cublas_call *b);

/* The same of a stand-in cublasLt. */
uint64_t fgsim_cublaslt_calls(struct fgsim_cublas_call *calls, size_t capacity);
void fgsim_cublaslt_reset(void);

/* How often attributes of descriptors were asked for, and settings of handles, since the process began. */
uint64_t fgsim_cublaslt_attributes_read(void);
uint64_t fgsim_cublas_settings_read(void);

#ifdef __cplusplus
}
#endif
#endif
