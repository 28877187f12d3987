/*
 * Captures and graphs: a captured stream's operations go into a list in the order of the calls, and launching the
 * graph runs the list. Calls that no capture allows answer as CUDA does, and spoil it.
 */
#include "sim_stream.h"

#include <stdlib.h>

static struct sim_capture *captures;
static unsigned long long capture_ids;
static _Thread_local enum cudaStreamCaptureMode thread_mode = cudaStreamCaptureModeGlobal;

struct sim_capture *sim_captures(void) {
    return captures;
}

/* ---- programs ---- */

static struct sim_program *program_new(void) {
    struct sim_program *p = calloc(1, sizeof *p);
    if (p) p->last = &p->first, p->references = 1;
    return p;
}

static void operation_free(struct sim_operation *operation) {
    if (operation->destroy) operation->destroy(operation);
    free(operation->payload);
    free(operation);
}

void sim_program_release(struct sim_program *p) {
    if (--p->references > 0) return;
    while (p->first) {
        struct sim_operation *operation = p->first;
        p->first = operation->next;
        operation_free(operation);
    }
    free(p);
}

static void program_run(const struct sim_program *p) {
    for (const struct sim_operation *o = p->first; o && !sim_sticky_error(); o = o->next) o->run(o);
}

/* ---- every operation's way ---- */

static cudaError_t admit(struct CUstream_st *s) {
    if (!s) return cudaErrorInvalidResourceHandle;
    if (s->capture && s->capture->status == cudaStreamCaptureStatusInvalidated)
        return cudaErrorStreamCaptureInvalidated;
    return sim_implicit_while_capturing(s);
}

cudaError_t sim_submit(cudaStream_t stream, void (*run)(const struct sim_operation *),
                       void (*destroy)(struct sim_operation *), void *payload) {
    struct CUstream_st *s = sim_stream(stream);
    struct sim_operation *operation = calloc(1, sizeof *operation);
    if (!operation || !payload) abort();
    *operation = (struct sim_operation){run, destroy, payload, NULL};
    cudaError_t error = admit(s);
    if (!error && s->capture) {
        struct sim_program *p = s->capture->graph->program;
        *p->last = operation;
        p->last = &operation->next;
        p->operations++;
        sim_counters.recorded++;
        return cudaSuccess;
    }
    if (!error) {
        run(operation);
        error = sim_sticky_error();
    }
    operation_free(operation);
    return error;
}

bool sim_stream_is_capturing(cudaStream_t stream) {
    struct CUstream_st *s = sim_stream(stream);
    return s && s->capture;
}

/* ---- what captures forbid ---- */

static bool forbids(const struct sim_capture *c) {
    bool own = pthread_equal(c->thread, pthread_self());
    if (thread_mode == cudaStreamCaptureModeRelaxed || c->mode == cudaStreamCaptureModeRelaxed) return false;
    return own || (thread_mode == cudaStreamCaptureModeGlobal && c->mode == cudaStreamCaptureModeGlobal);
}

cudaError_t sim_forbidden_while_capturing(void) {
    cudaError_t error = cudaSuccess;
    for (struct sim_capture *c = captures; c; c = c->next) {
        if (!forbids(c)) continue;
        c->status = cudaStreamCaptureStatusInvalidated;
        error = cudaErrorStreamCaptureUnsupported;
    }
    return error;
}

cudaError_t sim_forbidden_on_stream(cudaStream_t stream) {
    struct CUstream_st *s = sim_stream(stream);
    if (!s) return cudaErrorInvalidResourceHandle;
    if (!s->capture) return sim_implicit_while_capturing(s);
    s->capture->status = cudaStreamCaptureStatusInvalidated;
    return cudaErrorStreamCaptureUnsupported;
}

cudaError_t cudaThreadExchangeStreamCaptureMode(enum cudaStreamCaptureMode *mode) {
    SIM_ENTER();
    enum cudaStreamCaptureMode before = thread_mode;
    thread_mode = *mode;
    *mode = before;
    return sim_leave(cudaSuccess);
}

/* ---- captures ---- */

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, enum cudaStreamCaptureMode mode) {
    SIM_ENTER();
    struct CUstream_st *s = sim_stream(stream);
    if (!s) return sim_leave(cudaErrorInvalidResourceHandle);
    if (!stream || stream == cudaStreamLegacy) return sim_leave(cudaErrorStreamCaptureUnsupported);
    if (s->capture) return sim_leave(cudaErrorIllegalState);
    struct sim_capture *c = calloc(1, sizeof *c);
    struct CUgraph_st *graph = calloc(1, sizeof *graph);
    struct sim_program *program = program_new();
    if (!c || !graph || !program) abort();
    graph->program = program;
    *c = (struct sim_capture){stream, mode,    cudaStreamCaptureStatusActive, ++capture_ids, pthread_self(),
                              graph,  captures};
    captures = s->capture = c;
    return sim_leave(cudaSuccess);
}

static void leave_capture(const struct sim_capture *c) {
    for (struct CUstream_st *s = sim_streams(); s; s = s->next)
        if (s->capture == c) s->capture = NULL;
    struct CUstream_st *per_thread = sim_stream(cudaStreamPerThread);
    if (per_thread->capture == c) per_thread->capture = NULL;
    struct sim_capture **link = &captures;
    while (*link != c) link = &(*link)->next;
    *link = c->next;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph) {
    SIM_ENTER();
    struct CUstream_st *s = sim_stream(stream);
    if (!s) return sim_leave(cudaErrorInvalidResourceHandle);
    struct sim_capture *c = s->capture;
    if (!c) return sim_leave(cudaErrorIllegalState);
    if (c->origin != stream) return sim_leave(cudaErrorStreamCaptureUnmatched);
    bool spoilt = c->status == cudaStreamCaptureStatusInvalidated;
    leave_capture(c);
    if (spoilt) {
        sim_program_release(c->graph->program);
        free(c->graph);
    }
    *graph = spoilt ? NULL : c->graph;
    free(c);
    return sim_leave(spoilt ? cudaErrorStreamCaptureInvalidated : cudaSuccess);
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, enum cudaStreamCaptureStatus *status) {
    SIM_ENTER();
    struct CUstream_st *s = sim_stream(stream);
    if (!s || !status) return sim_leave(s ? cudaErrorInvalidValue : cudaErrorInvalidResourceHandle);
    cudaError_t error = sim_implicit_while_capturing(s);
    *status = s->capture ? s->capture->status : cudaStreamCaptureStatusNone;
    return sim_leave(error);
}

cudaError_t cudaStreamGetCaptureInfo(cudaStream_t stream, enum cudaStreamCaptureStatus *status, unsigned long long *id,
                                     cudaGraph_t *graph, const cudaGraphNode_t **dependencies,
                                     const cudaGraphEdgeData **edges, size_t *dependency_count) {
    SIM_ENTER();
    struct CUstream_st *s = sim_stream(stream);
    if (!s || !status) return sim_leave(s ? cudaErrorInvalidValue : cudaErrorInvalidResourceHandle);
    cudaError_t error = sim_implicit_while_capturing(s);
    *status = s->capture ? s->capture->status : cudaStreamCaptureStatusNone;
    bool active = *status == cudaStreamCaptureStatusActive;
    if (id && active) *id = s->capture->id;
    if (graph && active) *graph = s->capture->graph;
    if (dependencies) *dependencies = NULL;
    if (edges) *edges = NULL;
    if (dependency_count) *dependency_count = 0;
    return sim_leave(error);
}

/* ---- graphs ---- */

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *executable, cudaGraph_t graph, unsigned long long flags) {
    SIM_ENTER();
    (void)flags;
    if (!executable || !graph) return sim_leave(cudaErrorInvalidValue);
    *executable = malloc(sizeof **executable);
    if (!*executable) return sim_leave(cudaErrorMemoryAllocation);
    (*executable)->program = graph->program;
    graph->program->references++;
    return sim_leave(cudaSuccess);
}

cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t *executable, cudaGraph_t graph, unsigned long long flags) {
    return cudaGraphInstantiate(executable, graph, flags);
}

cudaError_t cudaGraphUpload(cudaGraphExec_t executable, cudaStream_t stream) {
    SIM_ENTER();
    return sim_leave(executable && sim_stream(stream) ? cudaSuccess : cudaErrorInvalidValue);
}

static void run_program(const struct sim_operation *operation) {
    sim_counters.graph_launches++;
    program_run(*(struct sim_program **)operation->payload);
}

static void release_program(struct sim_operation *operation) {
    sim_program_release(*(struct sim_program **)operation->payload);
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
    SIM_ENTER();
    struct sim_program **payload = malloc(sizeof *payload);
    if (!executable || !payload) {
        free(payload);
        return sim_leave(cudaErrorInvalidValue);
    }
    *payload = executable->program;
    (*payload)->references++;
    return sim_leave(sim_submit(stream, run_program, release_program, payload));
}

cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t *nodes, size_t *count) {
    SIM_ENTER();
    if (!graph || !count || nodes) return sim_leave(cudaErrorInvalidValue); /* it can only count them */
    *count = (size_t)graph->program->operations;
    return sim_leave(cudaSuccess);
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
    SIM_ENTER();
    if (!graph) return sim_leave(cudaErrorInvalidValue);
    sim_program_release(graph->program);
    free(graph);
    return sim_leave(cudaSuccess);
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
    SIM_ENTER();
    if (!executable) return sim_leave(cudaErrorInvalidValue);
    sim_program_release(executable->program);
    free(executable);
    return sim_leave(cudaSuccess);
}
