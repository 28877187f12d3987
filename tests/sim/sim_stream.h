/* What the files of streams, captures and graphs share. */
#ifndef FASTGEMM_SIM_STREAM_H
#define FASTGEMM_SIM_STREAM_H

#include "sim_internal.h"

/* What a capture recorded; shared by graphs and their executable forms. */
struct sim_program {
    struct sim_operation *first, **last;
    int references, operations;
};

struct sim_capture {
    cudaStream_t origin;
    enum cudaStreamCaptureMode mode;
    enum cudaStreamCaptureStatus status;
    unsigned long long id;
    pthread_t thread;
    struct CUgraph_st *graph;
    struct sim_capture *next;
};

struct CUstream_st {
    int device;
    unsigned flags;
    struct sim_capture *capture;
    struct CUstream_st *next;
    unsigned long long id; /* never given twice */
};

struct CUgraph_st {
    struct sim_program *program;
};

struct CUgraphExec_st {
    struct sim_program *program;
};

/* NULL for a handle that is none. The default streams have an object too. */
struct CUstream_st *sim_stream(cudaStream_t stream);
struct CUstream_st *sim_streams(void);
/* What a synchronising call on this stream answers under capture. */
cudaError_t sim_forbidden_on_stream(cudaStream_t stream);
/* What work on a default stream answers while streams that it waits for are captured. */
cudaError_t sim_implicit_while_capturing(const struct CUstream_st *stream);
struct sim_capture *sim_captures(void);
void sim_program_release(struct sim_program *program);

#endif
