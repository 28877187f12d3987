/*
 * Streams and events. Work runs at once, in the caller's thread, which is one of the orders that streams allow.
 */
#define _GNU_SOURCE
#include "sim_stream.h"

#include <stdlib.h>
#include <time.h>

static struct CUstream_st *streams;
static struct CUstream_st default_stream, per_thread_stream;
static unsigned long long ids = 1; /* the default stream has the first */

struct CUevent_st {
    int device;
    unsigned flags;
    bool recorded;
    double milliseconds;
    unsigned long long capture; /* the capture that recorded it, or 0 */
};

struct CUstream_st *sim_streams(void) {
    return streams;
}

struct CUstream_st *sim_stream(cudaStream_t stream) {
    if (!stream || stream == cudaStreamLegacy) {
        default_stream.device = sim_current_device();
        return &default_stream;
    }
    if (stream == cudaStreamPerThread) {
        per_thread_stream.device = sim_current_device();
        return &per_thread_stream;
    }
    for (struct CUstream_st *s = streams; s; s = s->next)
        if (s == stream) return s;
    return NULL;
}

cudaError_t sim_stream_device(cudaStream_t stream, int *device) {
    struct CUstream_st *s = sim_stream(stream);
    if (!s) return cudaErrorInvalidResourceHandle;
    *device = s->device;
    return cudaSuccess;
}

cudaError_t sim_implicit_while_capturing(const struct CUstream_st *stream) {
    cudaError_t error = cudaSuccess;
    if (stream != &default_stream) return error;
    for (struct sim_capture *c = sim_captures(); c; c = c->next) {
        struct CUstream_st *origin = sim_stream(c->origin);
        if (!origin || origin->flags & cudaStreamNonBlocking) continue;
        c->status = cudaStreamCaptureStatusInvalidated;
        error = cudaErrorStreamCaptureImplicit;
    }
    return error;
}

cudaError_t cudaStreamCreateWithPriority(cudaStream_t *stream, unsigned int flags, int priority) {
    SIM_ENTER();
    (void)priority;
    if (!stream || flags & ~(unsigned)cudaStreamNonBlocking) return sim_leave(cudaErrorInvalidValue);
    struct CUstream_st *s = calloc(1, sizeof *s);
    if (!s) return sim_leave(cudaErrorMemoryAllocation);
    *s = (struct CUstream_st){sim_current_device(), flags, NULL, streams, ++ids};
    streams = *stream = s;
    return sim_leave(cudaSuccess);
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned int flags) {
    return cudaStreamCreateWithPriority(stream, flags, 0);
}

cudaError_t cudaStreamCreate(cudaStream_t *stream) {
    return cudaStreamCreateWithPriority(stream, 0, 0);
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    SIM_ENTER();
    for (struct CUstream_st **link = &streams; *link; link = &(*link)->next) {
        struct CUstream_st *s = *link;
        if (s != stream) continue;
        if (s->capture) s->capture->status = cudaStreamCaptureStatusInvalidated;
        *link = s->next;
        free(s);
        return sim_leave(cudaSuccess);
    }
    return sim_leave(cudaErrorInvalidResourceHandle);
}

cudaError_t cudaStreamGetFlags(cudaStream_t stream, unsigned int *flags) {
    SIM_ENTER();
    struct CUstream_st *s = sim_stream(stream);
    if (!s) return sim_leave(cudaErrorInvalidResourceHandle);
    *flags = s->flags;
    return sim_leave(cudaSuccess);
}

cudaError_t cudaStreamGetPriority(cudaStream_t stream, int *priority) {
    SIM_ENTER();
    if (!sim_stream(stream)) return sim_leave(cudaErrorInvalidResourceHandle);
    *priority = 0;
    return sim_leave(cudaSuccess);
}

/* The per-thread default stream is another one in each thread. */
cudaError_t cudaStreamGetId(cudaStream_t stream, unsigned long long *id) {
    static _Thread_local unsigned long long of_thread;
    SIM_ENTER();
    const struct CUstream_st *s = sim_stream(stream);
    if (!s || !id) return sim_leave(s ? cudaErrorInvalidValue : cudaErrorInvalidResourceHandle);
    if (s->capture) return sim_leave(sim_forbidden_on_stream(stream)); /* as CUDA 13.0 has it */
    if (s == &per_thread_stream && !of_thread) of_thread = ++ids;
    *id = s == &per_thread_stream ? of_thread : s == &default_stream ? 1 : s->id;
    return sim_leave(cudaSuccess);
}

cudaError_t cudaStreamGetDevice(cudaStream_t stream, int *device) {
    SIM_ENTER();
    return sim_leave(device ? sim_stream_device(stream, device) : cudaErrorInvalidValue);
}

/* Everything has run already; what remains of a synchronisation is what it may find. */
static cudaError_t synchronised(void) {
    sim_counters.syncs++;
    sim_memory_check_guards();
    return sim_sticky_error();
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
    SIM_ENTER();
    cudaError_t error = sim_forbidden_on_stream(stream);
    return sim_leave(error ? error : synchronised());
}

cudaError_t cudaStreamQuery(cudaStream_t stream) {
    SIM_ENTER();
    return sim_leave(sim_forbidden_on_stream(stream));
}

cudaError_t cudaDeviceSynchronize(void) {
    SIM_ENTER();
    cudaError_t error = cudaSuccess;
    for (struct sim_capture *c = sim_captures(); c; c = c->next) {
        c->status = cudaStreamCaptureStatusInvalidated;
        error = cudaErrorStreamCaptureUnsupported;
    }
    return sim_leave(error ? error : synchronised());
}

/* ---- events ---- */

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned int flags) {
    SIM_ENTER();
    *event = calloc(1, sizeof **event);
    if (!*event) return sim_leave(cudaErrorMemoryAllocation);
    (*event)->device = sim_current_device();
    (*event)->flags = flags;
    return sim_leave(cudaSuccess);
}

cudaError_t cudaEventCreate(cudaEvent_t *event) {
    return cudaEventCreateWithFlags(event, cudaEventDefault);
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
    SIM_ENTER();
    free(event);
    return sim_leave(event ? cudaSuccess : cudaErrorInvalidResourceHandle);
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
    SIM_ENTER();
    struct CUstream_st *s = sim_stream(stream);
    if (!s || !event || s->device != event->device) return sim_leave(cudaErrorInvalidResourceHandle);
    cudaError_t error = sim_implicit_while_capturing(s);
    if (error) return sim_leave(error);
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    event->milliseconds = (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
    event->capture = s->capture ? s->capture->id : 0;
    event->recorded = true;
    sim_counters.events++;
    return sim_leave(cudaSuccess);
}

/* A captured event draws the waiting stream into its capture. */
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned int flags) {
    SIM_ENTER();
    (void)flags;
    struct CUstream_st *s = sim_stream(stream);
    if (!s || !event) return sim_leave(cudaErrorInvalidResourceHandle);
    for (struct sim_capture *c = sim_captures(); c && event->capture; c = c->next)
        if (c->id == event->capture && !s->capture) s->capture = c;
    return sim_leave(cudaSuccess);
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
    SIM_ENTER();
    if (!event) return sim_leave(cudaErrorInvalidResourceHandle);
    return sim_leave(event->capture ? cudaErrorCapturedEvent : synchronised());
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
    SIM_ENTER();
    if (!event) return sim_leave(cudaErrorInvalidResourceHandle);
    return sim_leave(event->capture ? cudaErrorCapturedEvent : cudaSuccess);
}

cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t start, cudaEvent_t end) {
    SIM_ENTER();
    if (!start || !end || !start->recorded || !end->recorded) return sim_leave(cudaErrorInvalidResourceHandle);
    if ((start->flags | end->flags) & cudaEventDisableTiming) return sim_leave(cudaErrorInvalidResourceHandle);
    *ms = (float)(end->milliseconds - start->milliseconds);
    return sim_leave(cudaSuccess);
}
