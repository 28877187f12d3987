/*
 * The state that all of the stand-in runtime shares: the lock, the counters, the errors; and how a runtime function
 * starts and ends.
 */
#define _GNU_SOURCE
#include "sim_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct fgsim_counters sim_counters;

static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static cudaError_t sticky;
static char fault_line[512];
static pid_t first_process; /* that used the device: a child forked later cannot */
static _Thread_local cudaError_t last_error;

void sim_lock(void) {
    pthread_mutex_lock(&lock);
}
void sim_unlock(void) {
    pthread_mutex_unlock(&lock);
}

static cudaError_t usable(void) {
    const struct sim_settings *s = sim_settings();
    if (s->driver < CUDART_VERSION / 1000 * 1000) return cudaErrorInsufficientDriver;
    if (s->devices <= 0) return cudaErrorNoDevice;
    if (!first_process) first_process = getpid();
    if (first_process != getpid()) return cudaErrorInitializationError;
    return sticky;
}

/* Counts the context that a call makes on its device, unless it only asks. */
static bool made[SIM_MAX_DEVICES];

static void make_context(const char *function) {
    int device = sim_current_device();
    if (!strncmp(function, "cudaGet", 7) || !strncmp(function, "cudaDeviceGet", 13)) return;
    if (!strcmp(function, "cudaThreadExchangeStreamCaptureMode") || made[device]) return;
    made[device] = true;
    sim_counters.contexts++;
}

bool sim_has_context(void) {
    sim_lock();
    const bool has = made[sim_current_device()];
    sim_unlock();
    return has;
}

cudaError_t sim_enter(const char *function) {
    sim_lock();
    sim_counters.runtime_calls++;
    cudaError_t error = usable();
    if (error == cudaSuccess) error = (cudaError_t)sim_injected_failure(function);
    if (error != cudaSuccess)
        sim_unlock();
    else
        make_context(function);
    return error;
}

cudaError_t sim_remember(cudaError_t error) {
    if (error != cudaSuccess) last_error = error;
    return error;
}

cudaError_t sim_leave(cudaError_t error) {
    sim_unlock();
    return sim_remember(error);
}

cudaError_t sim_sticky_error(void) {
    return sticky;
}

static void report(cudaError_t error) {
    fprintf(stderr, "simulated GPU: %s\n", fault_line);
    sim_counters.faults++;
    sticky = error;
}

void sim_fault(cudaError_t error, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(fault_line, sizeof fault_line, format, arguments);
    va_end(arguments);
    report(error);
}

/* ---- what tests ask ---- */

void fgsim_fault(const char *line) {
    sim_lock();
    sim_fault(cudaErrorIllegalAddress, "%s", line);
    sim_unlock();
}

const char *fgsim_last_fault(void) {
    return fault_line;
}

void fgsim_counters(struct fgsim_counters *counters) {
    sim_lock();
    *counters = sim_counters;
    sim_unlock();
}

int fgsim_injected_failure(const char *function) {
    sim_lock();
    int error = sim_injected_failure(function);
    sim_unlock();
    return error;
}

cudaError_t cudaGetLastError(void) {
    cudaError_t error = sticky ? sticky : last_error;
    last_error = cudaSuccess;
    return error;
}

cudaError_t cudaPeekAtLastError(void) {
    return sticky ? sticky : last_error;
}

void sim_launch_reset(void);

void fgsim_reset(void) {
    sim_lock();
    sim_counters = (struct fgsim_counters){.contexts = sim_counters.contexts,
                                           .live_blocks = sim_counters.live_blocks,
                                           .live_bytes = sim_counters.live_bytes};
    sticky = last_error = cudaSuccess;
    fault_line[0] = '\0';
    sim_settings_reload();
    sim_launch_reset();
    sim_unlock();
}
