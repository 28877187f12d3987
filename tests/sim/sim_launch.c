/*
 * Kernels: their registration (a constructor in each kernel source), their attributes, and launches on a stream.
 */
#include "sim_internal.h"

#include <stdlib.h>
#include <string.h>

enum { DEFAULT_SHARED = 48 << 10 };

static struct sim_kernel *kernels;
static struct fgsim_launch last_launch;

/* Called before main, maybe by several libraries; it allocates nothing on a device and counts as no use of CUDA. */
void sim_register_kernel(void (*function)(void **argv), const char *name, int max_threads, size_t argument_bytes) {
    struct sim_kernel *kernel = calloc(1, sizeof *kernel);
    if (!kernel) abort();
    sim_lock();
    kernel->function = function;
    kernel->name = name;
    kernel->max_threads = max_threads;
    kernel->argument_bytes = argument_bytes;
    kernel->next = kernels;
    kernels = kernel;
    sim_unlock();
}

struct sim_kernel *sim_kernel_find(const void *function) {
    for (struct sim_kernel *k = kernels; k; k = k->next)
        if ((const void *)(uintptr_t)k->function == function) return k;
    return NULL;
}

void sim_launch_reset(void) {
    for (struct sim_kernel *k = kernels; k; k = k->next) k->launches = 0;
    last_launch.name = NULL;
}

uint64_t fgsim_launches(const char *name_prefix) {
    uint64_t count = 0;
    sim_lock();
    for (struct sim_kernel *k = kernels; k; k = k->next)
        if (!strncmp(k->name, name_prefix, strlen(name_prefix))) count += k->launches;
    sim_unlock();
    return count;
}

int fgsim_last_launch(struct fgsim_launch *launch) {
    sim_lock();
    *launch = last_launch;
    sim_unlock();
    return launch->name != NULL;
}

/* ---- attributes ---- */

cudaError_t cudaFuncSetAttribute(const void *function, enum cudaFuncAttribute attribute, int value) {
    SIM_ENTER();
    struct sim_kernel *kernel = sim_kernel_find(function);
    int device = sim_current_device();
    if (!kernel) return sim_leave(cudaErrorInvalidDeviceFunction);
    if (attribute == cudaFuncAttributeMaxDynamicSharedMemorySize) {
        if (value < 0 || value > sim_settings()->traits[device].shared_per_block)
            return sim_leave(cudaErrorInvalidValue);
        kernel->shared_limit[device] = value;
    } else if (attribute != cudaFuncAttributePreferredSharedMemoryCarveout) {
        return sim_leave(cudaErrorInvalidValue);
    }
    return sim_leave(cudaSuccess);
}

static int shared_limit(const struct sim_kernel *kernel, int device) {
    return kernel->shared_limit[device] ? kernel->shared_limit[device] : DEFAULT_SHARED;
}

cudaError_t cudaFuncGetAttributes(struct cudaFuncAttributes *attributes, const void *function) {
    SIM_ENTER();
    const struct sim_kernel *kernel = sim_kernel_find(function);
    int device = sim_current_device();
    const struct sim_traits *traits = &sim_settings()->traits[device];
    if (!kernel) return sim_leave(cudaErrorInvalidDeviceFunction);
    *attributes = (struct cudaFuncAttributes){.maxThreadsPerBlock = kernel->max_threads,
                                              .numRegs = 128,
                                              .ptxVersion = 10 * traits->major + traits->minor,
                                              .binaryVersion = 10 * traits->major + traits->minor,
                                              .maxDynamicSharedSizeBytes = shared_limit(kernel, device)};
    return sim_leave(cudaSuccess);
}

cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, const void *function, int threads,
                                                          size_t shared) {
    SIM_ENTER();
    const struct sim_kernel *kernel = sim_kernel_find(function);
    if (!kernel) return sim_leave(cudaErrorInvalidDeviceFunction);
    if (threads <= 0) return sim_leave(cudaErrorInvalidValue);
    int by_threads = 1536 / threads;
    int by_shared = sim_settings()->traits[sim_current_device()].shared_per_sm / (int)(shared + 1024);
    *blocks = by_threads < by_shared ? by_threads : by_shared;
    return sim_leave(cudaSuccess);
}

/* ---- launches ---- */

static void run_launch(const struct sim_operation *operation) {
    const struct sim_launch *l = operation->payload;
    sim_counters.launches++;
    l->kernel->launches++;
    last_launch = (struct fgsim_launch){
        l->kernel->name, {l->grid.x, l->grid.y, l->grid.z}, {l->block.x, l->block.y, l->block.z}, l->shared_bytes};
    sim_run_kernel(l);
}

static void destroy_launch(struct sim_operation *operation) {
    free(((struct sim_launch *)operation->payload)->argument);
}

static cudaError_t check_launch(const struct sim_launch *l, cudaStream_t stream) {
    int device = sim_current_device(), stream_device;
    cudaError_t error = sim_stream_device(stream, &stream_device);
    if (error) return error;
    if (stream_device != device) return cudaErrorInvalidResourceHandle;
    if (!l->kernel) return cudaErrorInvalidDeviceFunction;
    if (sim_settings()->traits[device].major < 8) return cudaErrorNoKernelImageForDevice;
    uint64_t threads = (uint64_t)l->block.x * l->block.y * l->block.z;
    if (!threads || threads > 1024 || l->block.z > 64) return cudaErrorInvalidConfiguration;
    if (!l->grid.x || !l->grid.y || !l->grid.z) return cudaErrorInvalidConfiguration;
    if (l->grid.x > INT32_MAX || l->grid.y > 65535 || l->grid.z > 65535) return cudaErrorInvalidConfiguration;
    if (threads > (uint64_t)l->kernel->max_threads) return cudaErrorLaunchOutOfResources;
    if (l->shared_bytes > (size_t)shared_limit(l->kernel, device)) return cudaErrorInvalidValue;
    return cudaSuccess;
}

static cudaError_t launch(const void *function, dim3 grid, dim3 block, void **arguments, size_t shared_bytes,
                          cudaStream_t stream) {
    struct sim_launch l = {sim_kernel_find(function), grid, block, shared_bytes, NULL};
    cudaError_t error = check_launch(&l, stream);
    if (error) return error;
    struct sim_launch *payload = malloc(sizeof *payload);
    l.argument = malloc(l.kernel->argument_bytes); /* a kernel sees a copy, and nothing past its end */
    if (!payload || !l.argument) abort();
    memcpy(l.argument, arguments[0], l.kernel->argument_bytes);
    *payload = l;
    return sim_submit(stream, run_launch, destroy_launch, payload);
}

cudaError_t cudaLaunchKernel(const void *function, dim3 grid, dim3 block, void **arguments, size_t shared_bytes,
                             cudaStream_t stream) {
    SIM_ENTER();
    return sim_leave(launch(function, grid, block, arguments, shared_bytes, stream));
}

cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t *config, const void *function, void **arguments) {
    SIM_ENTER();
    for (unsigned i = 0; i < config->numAttrs; i++)
        if (config->attrs[i].id == cudaLaunchAttributeCooperative ||
            config->attrs[i].id == cudaLaunchAttributeClusterDimension)
            return sim_leave(cudaErrorNotSupported);
    return sim_leave(
        launch(function, config->gridDim, config->blockDim, arguments, config->dynamicSmemBytes, config->stream));
}

/* ---- work for the host, in stream order ---- */

struct host_work {
    void (*work)(void *payload);
    max_align_t payload[];
};

static void run_host_work(const struct sim_operation *operation) {
    struct host_work *h = operation->payload;
    h->work(h->payload);
}

int fgsim_host_work(void *stream, void (*work)(void *payload), const void *payload, size_t bytes) {
    sim_lock();
    struct host_work *h = malloc(sizeof *h + bytes);
    if (!h) abort();
    h->work = work;
    memcpy(h->payload, payload, bytes);
    cudaError_t error = sim_sticky_error();
    if (error)
        free(h);
    else
        error = sim_submit(stream, run_host_work, NULL, h);
    sim_unlock();
    return error;
}

struct callback {
    cudaHostFn_t function;
    void *data;
};

static void run_callback(void *payload) {
    struct callback *c = payload;
    c->function(c->data);
}

cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void *data) {
    SIM_ENTER();
    struct callback c = {function, data};
    return sim_leave((cudaError_t)fgsim_host_work(stream, run_callback, &c, sizeof c));
}
