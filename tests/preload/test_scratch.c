/*
 * Where a split call's scratch comes from, seen from a linked program with a kernel forced: the caller's workspace, the
 * blocks that a handle keeps for its streams, our pool; and what becomes of it when streams and handles end.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <cuda_runtime_api.h>

#include "routed.h"
#include "sim_api.h"

enum { KEPT_BLOCKS = 6, MAY_SETTLE = 4, SETTLES_AFTER = 32 }; /* interpose/scratch_kept.c */

static cublasHandle_t new_handle(cudaStream_t stream) {
    cublasHandle_t made;
    assert_int_equal(cublasCreate_v2(&made), CUBLAS_STATUS_SUCCESS);
    assert_int_equal(cublasSetStream_v2(made, stream), CUBLAS_STATUS_SUCCESS);
    return made;
}

static cudaStream_t new_stream(void) {
    cudaStream_t stream;
    assert_int_equal(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
    return stream;
}

/* The smallest that is split: for tests that make hundreds of calls. */
static struct door_call small_product(cublasHandle_t handle) {
    return product_of(handle, 33, 17, LONG_K / 2);
}

/* Runs the split call and says how many blocks that allocated. */
static uint64_t blocks_for(const struct door_call *call) {
    assert_int_equal(run_routed(&doors[0], call), 1);
    return stream_allocations();
}

static uint64_t live_blocks(void) {
    struct fgsim_counters counters;
    fgsim_counters(&counters);
    return counters.live_blocks;
}

/* The caller's workspace is used from when it is set until the stream is set, and where it suffices. */
static void test_workspace(void **state) {
    (void)state;
    struct door_call call = product(new_handle(NULL), LONG_K);
    float *workspace = device_floats(1 << 20);
    assert_int_equal(cublasSetWorkspace_v2(call.handle, workspace, 4 << 20), CUBLAS_STATUS_SUCCESS);
    assert_int_equal(blocks_for(&call), 0);
    check_result(&call, 1);
    assert_int_equal(cublasSetWorkspace_v2(call.handle, workspace, 256), CUBLAS_STATUS_SUCCESS);
    assert_int_equal(blocks_for(&call), 1); /* too small: the split stays the same, and so do the bits */
    assert_int_equal(cublasSetWorkspace_v2(call.handle, workspace, 4 << 20), CUBLAS_STATUS_SUCCESS);
    cudaFree(workspace); /* used after this, it would be a fault */
    assert_int_equal(cublasSetStream_v2(call.handle, NULL), CUBLAS_STATUS_SUCCESS);
    assert_int_equal(blocks_for(&call), 0);
    assert_int_equal(cublasDestroy_v2(call.handle), CUBLAS_STATUS_SUCCESS);
    release(&call);
}

/* A handle at a dead handle's address has no workspace. The stand-in never reuses one, so create says it anew. */
static void test_destroy_forgets(void **state) {
    (void)state;
    struct door_call call = product(new_handle(NULL), LONG_K);
    float *workspace = device_floats(1 << 20);
    assert_int_equal(cublasSetWorkspace_v2(call.handle, workspace, 4 << 20), CUBLAS_STATUS_SUCCESS);
    assert_int_equal(cublasDestroy_v2(call.handle), CUBLAS_STATUS_SUCCESS);
    call.handle = new_handle(NULL);
    assert_int_equal(blocks_for(&call), 1);
    assert_int_equal(cublasDestroy_v2(call.handle), CUBLAS_STATUS_SUCCESS);
    cudaFree(workspace);
    release(&call);
}

/* Allocated once, not per call; a larger block takes the place of a smaller one. */
static void test_kept_and_grown(void **state) {
    (void)state;
    struct door_call small = product(new_handle(NULL), LONG_K), large = product_of(small.handle, 256, 192, LONG_K);
    assert_int_equal(blocks_for(&small), 1);
    check_result(&small, 1);
    for (int i = 0; i < 5; i++) assert_int_equal(blocks_for(&small), 0);
    assert_int_equal(blocks_for(&large), 1);
    assert_int_equal(stream_frees(), 1);
    check_result(&large, 1);
    assert_int_equal(blocks_for(&large), 0);
    assert_int_equal(blocks_for(&small), 0);
    assert_int_equal(cublasDestroy_v2(small.handle), CUBLAS_STATUS_SUCCESS);
    release(&small);
    release(&large);
}

/* Each stream has a block of its own; more streams than blocks share what is free, or take the pool's. */
static void test_streams(void **state) {
    (void)state;
    struct door_call call = product(new_handle(NULL), LONG_K);
    cudaStream_t stream[KEPT_BLOCKS + 1];
    for (int i = 0; i <= KEPT_BLOCKS; i++) stream[i] = new_stream();
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < KEPT_BLOCKS; i++) {
            assert_int_equal(cublasSetStream_v2(call.handle, stream[i]), CUBLAS_STATUS_SUCCESS);
            assert_int_equal(blocks_for(&call), round == 0);
        }
    assert_int_equal(cublasSetStream_v2(call.handle, stream[KEPT_BLOCKS]), CUBLAS_STATUS_SUCCESS);
    setenv("FASTGEMM_SIM_FAIL", "cudaEventQuery=600", 1); /* cudaErrorNotReady */
    for (int i = 0; i < 2; i++) {
        assert_int_equal(blocks_for(&call), 1);
        assert_int_equal(stream_frees(), 1);
    }
    unsetenv("FASTGEMM_SIM_FAIL");
    assert_int_equal(blocks_for(&call), 0); /* a block whose stream is done */
    assert_int_equal(cublasDestroy_v2(call.handle), CUBLAS_STATUS_SUCCESS);
    for (int i = 0; i <= KEPT_BLOCKS; i++) cudaStreamDestroy(stream[i]);
    release(&call);
}

/* How many events the split call records. */
static uint64_t events_for(const struct door_call *call) {
    struct fgsim_counters counters;
    assert_int_equal(blocks_for(call), 0);
    fgsim_counters(&counters);
    return counters.events;
}

static void settle(const struct door_call *call) {
    assert_int_equal(blocks_for(call), 1);
    for (int i = 1; i < SETTLES_AFTER - 1; i++) assert_int_equal(events_for(call), 1);
}

/* A stream that keeps its block costs no event; a larger block has to settle anew. */
static void test_settles(void **state) {
    (void)state;
    static const float zero = 0;
    struct door_call small = small_product(new_handle(NULL)), large = product_of(small.handle, 256, 192, LONG_K);
    small.beta = large.beta = &zero;
    uint64_t before = live_blocks();
    settle(&small);
    setenv("FASTGEMM_SIM_FAIL", "cudaEventRecord", 1);
    for (int i = 0; i < 3; i++) assert_int_equal(blocks_for(&small), 0);
    unsetenv("FASTGEMM_SIM_FAIL");
    assert_int_equal(events_for(&small), 0);
    check_result(&small, 1);
    assert_int_equal(blocks_for(&large), 1);
    assert_int_equal(stream_frees(), 1);
    assert_int_equal(events_for(&small), 1);
    check_result(&large, 1);
    assert_int_equal(cublasDestroy_v2(small.handle), CUBLAS_STATUS_SUCCESS);
    assert_int_equal(live_blocks(), before);
    release(&small);
    release(&large);
}

/*
 * A settled block is nobody else's, whatever becomes of its stream; there are always places that do not settle. With
 * the handle all go back, as far as the device can be asked.
 */
static void test_settled_and_gone(void **state) {
    (void)state;
    enum { STREAMS = KEPT_BLOCKS + 1 };
    struct door_call call = small_product(new_handle(NULL));
    cudaStream_t stream[STREAMS];
    uint64_t before = live_blocks();
    for (int i = 0; i < STREAMS; i++) {
        stream[i] = new_stream();
        assert_int_equal(cublasSetStream_v2(call.handle, stream[i]), CUBLAS_STATUS_SUCCESS);
        if (i < KEPT_BLOCKS) settle(&call);
        assert_int_equal(events_for(&call), i >= MAY_SETTLE);
    }
    assert_int_equal(live_blocks(), before + KEPT_BLOCKS);
    for (int i = 0; i < MAY_SETTLE; i++) {
        assert_int_equal(cublasSetStream_v2(call.handle, stream[i]), CUBLAS_STATUS_SUCCESS);
        assert_int_equal(events_for(&call), 0);
    }
    for (int i = 0; i < STREAMS; i++) assert_int_equal(cudaStreamDestroy(stream[i]), cudaSuccess);
    assert_int_equal(cublasDestroy_v2(call.handle), CUBLAS_STATUS_SUCCESS);
    assert_int_equal(live_blocks(), before);
    assert_int_equal(cudaPeekAtLastError(), cudaSuccess);
    release(&call);
}

/* Where the device cannot be asked whether a settled block is free, nobody gets it. */
static void test_settled_under_capture(void **state) {
    (void)state;
    struct door_call call = small_product(new_handle(NULL));
    cudaStream_t captured = new_stream();
    cudaGraph_t graph;
    uint64_t before = live_blocks();
    settle(&call);
    assert_int_equal(events_for(&call), 0);
    assert_int_equal(cudaStreamBeginCapture(captured, cudaStreamCaptureModeGlobal), cudaSuccess);
    assert_int_equal(cublasDestroy_v2(call.handle), CUBLAS_STATUS_SUCCESS);
    assert_int_equal(cudaPeekAtLastError(), cudaSuccess);
    assert_int_equal(live_blocks(), before + 1);
    cudaStreamEndCapture(captured, &graph); /* cuBLAS, which waits for the device, would have spoilt it too */
    cudaGetLastError();
    cudaStreamDestroy(captured);
    release(&call);
}

/* Of a device whose memory is not known 256 MiB are kept, by all handles together; more comes from the pool. */
static void test_limit(void **state) {
    (void)state;
    enum { HANDLES = 128, DEVICE = 2 };
    cublasHandle_t handles[HANDLES + 1];
    assert_int_equal(cudaSetDevice(DEVICE), cudaSuccess);
    uint64_t before = live_blocks();
    struct door_call call = small_product(NULL);
    setenv("FASTGEMM_SIM_FAIL", "cudaMemGetInfo", 1);
    for (int i = 0; i <= HANDLES; i++) {
        call.handle = handles[i] = new_handle(NULL);
        for (int round = 0; round < 2; round++) assert_int_equal(blocks_for(&call), round == 0 || i == HANDLES);
    }
    assert_int_equal(cublasDestroy_v2(handles[0]), CUBLAS_STATUS_SUCCESS);
    for (int round = 0; round < 2; round++) assert_int_equal(blocks_for(&call), round == 0); /* there is room again */
    for (int i = 1; i <= HANDLES; i++) assert_int_equal(cublasDestroy_v2(handles[i]), CUBLAS_STATUS_SUCCESS);
    unsetenv("FASTGEMM_SIM_FAIL");
    release(&call);
    assert_int_equal(live_blocks(), before);
    assert_int_equal(cudaSetDevice(0), cudaSuccess);
}

/* A new stream is another one, also at the address of a destroyed one whose work may still run. */
static void test_stream_that_comes_back(void **state) {
    (void)state;
    struct door_call call = product(new_handle(NULL), LONG_K);
    cudaStream_t first = new_stream(), again;
    assert_int_equal(cublasSetStream_v2(call.handle, first), CUBLAS_STATUS_SUCCESS);
    assert_int_equal(blocks_for(&call), 1);
    assert_int_equal(cudaStreamDestroy(first), cudaSuccess);
    again = new_stream();
    if (again != first) print_message("the address did not come back\n");
    assert_int_equal(cublasSetStream_v2(call.handle, again), CUBLAS_STATUS_SUCCESS);
    assert_int_equal(blocks_for(&call), 1);
    assert_int_equal(blocks_for(&call), 0);
    assert_int_equal(cudaStreamDestroy(again), cudaSuccess);
    assert_int_equal(cublasDestroy_v2(call.handle), CUBLAS_STATUS_SUCCESS);
    release(&call);
}

/* Whatever the order in which handles and streams end, the blocks go back, and a capture elsewhere is none the worse.
 */
static void test_ends_in_any_order(void **state) {
    (void)state;
    enum { HANDLES = 6 };
    static const int order[HANDLES] = {3, 0, 5, 1, 4, 2};
    struct door_call call = product(NULL, LONG_K);
    cublasHandle_t handles[HANDLES];
    cudaStream_t stream[HANDLES], captured = new_stream();
    cudaGraph_t graph;
    uint64_t before = live_blocks();
    for (int i = 0; i < HANDLES; i++) {
        call.handle = handles[i] = new_handle(stream[i] = new_stream());
        assert_int_equal(blocks_for(&call), 1);
    }
    assert_int_equal(live_blocks(), before + HANDLES);
    assert_int_equal(cudaStreamBeginCapture(captured, cudaStreamCaptureModeGlobal), cudaSuccess);
    for (int i = 0; i < HANDLES; i++) {
        call.handle = handles[order[(i + 1) % HANDLES]];
        if (i % 2) cudaStreamDestroy(stream[order[i]]);
        assert_int_equal(cublasDestroy_v2(handles[order[i]]), CUBLAS_STATUS_SUCCESS);
        if (i % 2 == 0) cudaStreamDestroy(stream[order[i]]);
        assert_int_equal(live_blocks(), before + HANDLES - 1 - (uint64_t)i);
        if (i + 1 < HANDLES) assert_int_equal(blocks_for(&call), 0);
    }
    assert_int_equal(cudaStreamEndCapture(captured, &graph), cudaSuccess);
    assert_int_equal(cudaGraphDestroy(graph), cudaSuccess);
    assert_int_equal(cudaPeekAtLastError(), cudaSuccess);
    cudaStreamDestroy(captured);
    release(&call);
}

/* Calls of the runtime that fail: cuBLAS or the pool answers, no error of ours is left, nothing leaks. */
static void test_failures(void **state) {
    (void)state;
    static const char *const pool_for_this_call[] = {"cudaStreamGetId", "cudaEventCreateWithFlags", "cudaEventRecord"};
    struct door_call call = product(new_handle(NULL), LONG_K);
    uint64_t before = live_blocks();
    for (int i = 0; i < 3; i++) {
        setenv("FASTGEMM_SIM_FAIL", pool_for_this_call[i], 1);
        for (int round = 0; round < 2; round++) {
            assert_int_equal(blocks_for(&call), 1);
            assert_int_equal(live_blocks(), before);
        }
    }
    setenv("FASTGEMM_SIM_FAIL", "cudaMallocFromPoolAsync", 1);
    fgsim_reset();
    fgsim_cublas_reset();
    assert_int_equal(doors[0].call(doors[0].linked, &call), CUBLAS_STATUS_SUCCESS);
    assert_int_equal(fgsim_cublas_calls(NULL, 0), 1);
    assert_int_equal(fgsim_launches("sgemm_"), 0);
    assert_int_equal(cudaPeekAtLastError(), cudaSuccess);
    unsetenv("FASTGEMM_SIM_FAIL");
    assert_int_equal(blocks_for(&call), 1);
    assert_int_equal(cublasDestroy_v2(call.handle), CUBLAS_STATUS_SUCCESS);
    assert_int_equal(live_blocks(), before);
    release(&call);
}

/*
 * Whether the stream is being captured is asked of those that may allocate; others are the same launches. Who cannot be
 * told goes to cuBLAS.
 */
static void test_capture_is_asked(void **state) {
    (void)state;
    float *workspace = device_floats(1 << 20);
    struct door_call split = product(new_handle(NULL), LONG_K), plain = product(split.handle, K);
    setenv("FASTGEMM_SIM_FAIL", "cudaStreamIsCapturing", 1);
    assert_int_equal(run_routed(&doors[0], &plain), 0); /* launches that add up a split */
    fgsim_reset();
    fgsim_cublas_reset();
    assert_int_equal(doors[0].call(doors[0].linked, &split), CUBLAS_STATUS_SUCCESS);
    assert_int_equal(fgsim_cublas_calls(NULL, 0), 1);
    assert_int_equal(fgsim_launches("sgemm_"), 0);
    assert_int_equal(cudaPeekAtLastError(), cudaSuccess);
    assert_int_equal(cublasSetWorkspace_v2(split.handle, workspace, 4 << 20), CUBLAS_STATUS_SUCCESS);
    assert_int_equal(blocks_for(&split), 0);
    unsetenv("FASTGEMM_SIM_FAIL");
    assert_int_equal(cublasDestroy_v2(split.handle), CUBLAS_STATUS_SUCCESS);
    cudaFree(workspace);
    release(&split), release(&plain);
}

/* More handles than any table of fixed size would hold, each with a workspace of its own. */
static void test_many_handles(void **state) {
    (void)state;
    enum { HANDLES = 3000 };
    struct door_call call = small_product(NULL);
    float *workspace = device_floats(1 << 20);
    static cublasHandle_t handles[HANDLES];
    for (int i = 0; i < HANDLES; i++) {
        handles[i] = new_handle(NULL);
        assert_int_equal(cublasSetWorkspace_v2(handles[i], workspace, i % 2 ? 4 << 20 : 256), CUBLAS_STATUS_SUCCESS);
    }
    for (int i = 0; i < HANDLES; i += 1 + HANDLES / 20) {
        call.handle = handles[i];
        assert_int_equal(blocks_for(&call), i % 2 == 0);
    }
    for (int i = 0; i < HANDLES; i++) assert_int_equal(cublasDestroy_v2(handles[i]), CUBLAS_STATUS_SUCCESS);
    cudaFree(workspace);
    release(&call);
}

/* ---- threads ---- */

enum { ROUNDS = 6 };

static pthread_barrier_t barrier;

static void *products_at_once(void *argument) {
    const struct door_call *call = argument;
    bool good = true;
    for (int i = 0; i < ROUNDS; i++) {
        pthread_barrier_wait(&barrier);
        good = doors[0].call(doors[0].linked, call) == CUBLAS_STATUS_SUCCESS && good;
    }
    return good ? argument : NULL;
}

/* Calls of many threads on one handle at the same time do not get into each other's scratch, the caller's included. */
static void use_at_once(cublasHandle_t which) {
    enum { THREADS = 8 };
    static const float zero = 0;
    pthread_t thread[THREADS];
    struct door_call call[THREADS];
    pthread_barrier_init(&barrier, NULL, THREADS);
    fgsim_reset();
    for (int i = 0; i < THREADS; i++) {
        call[i] = product_of(which, 40 + i, 30, LONG_K);
        call[i].beta = &zero;
        assert_int_equal(pthread_create(&thread[i], NULL, products_at_once, &call[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        void *good;
        assert_int_equal(pthread_join(thread[i], &good), 0);
        assert_non_null(good);
        check_result(&call[i], 1);
        release(&call[i]);
    }
    assert_int_equal(fgsim_launches("splitk_reduce"), THREADS * ROUNDS);
    pthread_barrier_destroy(&barrier);
}

static void test_one_handle_at_once(void **state) {
    (void)state;
    float *workspace = device_floats(1 << 20);
    uint64_t before = live_blocks();
    cublasHandle_t shared = new_handle(NULL);
    use_at_once(shared);
    assert_int_equal(cublasSetWorkspace_v2(shared, workspace, 4 << 20), CUBLAS_STATUS_SUCCESS);
    use_at_once(shared);
    assert_int_equal(cublasDestroy_v2(shared), CUBLAS_STATUS_SUCCESS);
    assert_int_equal(live_blocks(), before);
    cudaFree(workspace);
}

static void *one_product(void *argument) {
    const struct door_call *call = argument;
    return doors[0].call(doors[0].linked, call) == CUBLAS_STATUS_SUCCESS ? argument : NULL;
}

static void in_a_thread(struct door_call *call) {
    pthread_t thread;
    void *good;
    assert_int_equal(pthread_create(&thread, NULL, one_product, call), 0);
    assert_int_equal(pthread_join(thread, &good), 0);
    assert_non_null(good);
}

/* One handle, two threads in turn: one stream and one block; but the per-thread default stream is another in each. */
static void test_threads_in_turn(void **state) {
    (void)state;
    static const float zero = 0;
    struct door_call call = product(new_handle(NULL), LONG_K);
    call.beta = &zero;
    assert_int_equal(blocks_for(&call), 1);
    for (int round = 0; round < 3; round++) {
        in_a_thread(&call);
        assert_int_equal(blocks_for(&call), 0);
    }
    check_result(&call, 1);
    assert_int_equal(cublasSetStream_v2(call.handle, cudaStreamPerThread), CUBLAS_STATUS_SUCCESS);
    assert_int_equal(blocks_for(&call), 1);
    fgsim_reset();
    in_a_thread(&call);
    assert_int_equal(stream_allocations(), 1);
    assert_int_equal(blocks_for(&call), 0);
    check_result(&call, 1);
    assert_int_equal(cublasDestroy_v2(call.handle), CUBLAS_STATUS_SUCCESS);
    release(&call);
}

/* A handle of each device keeps its blocks there; either is destroyed with either device current. */
static void test_two_devices(void **state) {
    (void)state;
    struct door_call call[2];
    uint64_t before = live_blocks();
    for (int device = 0; device < 2; device++) {
        assert_int_equal(cudaSetDevice(device), cudaSuccess);
        call[device] = product(new_handle(NULL), LONG_K);
        assert_int_equal(blocks_for(&call[device]), 1);
        check_result(&call[device], 1);
    }
    for (int turn = 0; turn < 4; turn++) {
        assert_int_equal(cudaSetDevice(turn % 2), cudaSuccess);
        assert_int_equal(blocks_for(&call[turn % 2]), 0);
    }
    for (int device = 0; device < 2; device++) {
        int current = -1;
        assert_int_equal(cublasDestroy_v2(call[device].handle), CUBLAS_STATUS_SUCCESS);
        assert_int_equal(cudaGetDevice(&current), cudaSuccess);
        assert_int_equal(current, 1);
        release(&call[device]);
    }
    assert_int_equal(live_blocks(), before);
    assert_int_equal(cudaSetDevice(0), cudaSuccess);
}

/* ---- captures ---- */

/* A captured call, its graph and the executable form of that. */
struct captured {
    const struct door_call *call;
    cudaStream_t stream;
    cudaGraph_t graph;
    cudaGraphExec_t program;
    unsigned launches; /* of ours, each time that it is replayed */
};

/* Captures the call: as many launches of ours, and nothing of cuBLAS's; with none, cuBLAS's. Nothing is allocated. */
static struct captured capture(const struct door_call *call, cudaStream_t stream, unsigned launches) {
    struct captured captured = {.call = call, .stream = stream, .launches = launches};
    struct fgsim_counters before, counters;
    fgsim_reset();
    fgsim_cublas_reset();
    fgsim_counters(&before);
    assert_int_equal(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), cudaSuccess);
    assert_int_equal(doors[0].call(doors[0].linked, call), CUBLAS_STATUS_SUCCESS);
    assert_int_equal(cudaStreamEndCapture(stream, &captured.graph), cudaSuccess);
    fgsim_counters(&counters);
    assert_int_equal(counters.launches, 0);
    assert_int_equal(counters.recorded, launches ? launches : 1);
    assert_int_equal(counters.async_mallocs + counters.mallocs + counters.syncs, 0);
    assert_int_equal(counters.live_blocks, before.live_blocks);
    assert_int_equal(fgsim_cublas_calls(NULL, 0), launches ? 0 : 1);
    assert_int_equal(cudaPeekAtLastError(), cudaSuccess);
    assert_int_equal(cudaGraphInstantiate(&captured.program, captured.graph, 0), cudaSuccess);
    return captured;
}

/* Replays it twice; beta = 0, so that both give the same. */
static void replay(const struct captured *captured) {
    static float result[2][M * N];
    const void *c = captured->call->c;
    const size_t bytes = (size_t)captured->call->m * (size_t)captured->call->n * sizeof(float);
    assert_true(bytes <= sizeof *result);
    fgsim_reset();
    for (int i = 0; i < 2; i++) {
        cudaMemset(captured->call->c, 0xff, bytes);
        assert_int_equal(cudaGraphLaunch(captured->program, captured->stream), cudaSuccess);
        assert_int_equal(cudaStreamSynchronize(captured->stream), cudaSuccess);
        cudaMemcpy(result[i], c, bytes, cudaMemcpyDeviceToHost);
    }
    assert_memory_equal(result[0], result[1], bytes);
    assert_int_equal(fgsim_launches("sgemm_") + fgsim_launches("splitk_reduce"), 2 * captured->launches);
    check_result(captured->call, 1);
}

static void end(const struct captured *captured) {
    assert_int_equal(cudaGraphExecDestroy(captured->program), cudaSuccess);
    assert_int_equal(cudaGraphDestroy(captured->graph), cudaSuccess);
}

static void capture_replay_end(const struct door_call *call, cudaStream_t stream, unsigned launches) {
    const struct captured captured = capture(call, stream, launches);
    replay(&captured);
    end(&captured);
}

enum { UNSPLIT = 1, SPLIT = 2 };

static struct door_call captured_product(cudaStream_t stream) {
    static const float one = 1, zero = 0;
    struct door_call call = product(new_handle(stream), LONG_K);
    call.alpha = &one, call.beta = &zero;
    return call;
}

/*
 * With the caller's workspace a captured call is split as it always is. Without, it takes no scratch, also when the
 * handle or the pool has some: it would have to live as long as the graph; and whoever captures a call again, to update
 * a graph with it, as XLA does, needs the same kernels as before. Device scalars are read at the replay.
 */
static void test_capture(void **state) {
    (void)state;
    static const float scalars[] = {1, 0};
    cudaStream_t stream = new_stream();
    float *workspace = device_floats(1 << 20), *device = device_floats(2);
    struct door_call call = captured_product(stream);
    capture_replay_end(&call, stream, UNSPLIT);
    assert_int_equal(blocks_for(&call), 1);
    capture_replay_end(&call, stream, UNSPLIT);
    assert_int_equal(cublasSetWorkspace_v2(call.handle, workspace, 4 << 20), CUBLAS_STATUS_SUCCESS);
    capture_replay_end(&call, stream, SPLIT);
    cudaMemcpy(device, scalars, sizeof scalars, cudaMemcpyHostToDevice);
    assert_int_equal(cublasSetPointerMode_v2(call.handle, CUBLAS_POINTER_MODE_DEVICE), CUBLAS_STATUS_SUCCESS);
    call.alpha = device, call.beta = device + 1;
    capture_replay_end(&call, stream, SPLIT);
    assert_int_equal(cublasDestroy_v2(call.handle), CUBLAS_STATUS_SUCCESS);
    assert_int_equal(cudaStreamDestroy(stream), cudaSuccess);
    cudaFree(workspace), cudaFree(device);
    release(&call);
}

/* Graphs that are there at once, their handle gone before they are replayed. */
static void test_graphs_at_once(void **state) {
    (void)state;
    cudaStream_t stream = new_stream();
    float *workspace = device_floats(1 << 20);
    struct door_call call[2] = {captured_product(stream), captured_product(stream)};
    assert_int_equal(cublasSetWorkspace_v2(call[1].handle, workspace, 4 << 20), CUBLAS_STATUS_SUCCESS);
    const struct captured graphs[] = {capture(&call[0], stream, UNSPLIT), capture(&call[1], stream, SPLIT)};
    for (int i = 0; i < 2; i++) assert_int_equal(cublasDestroy_v2(call[i].handle), CUBLAS_STATUS_SUCCESS);
    for (int i = 0; i < 4; i++) replay(&graphs[i % 2]);
    for (int i = 0; i < 2; i++) end(&graphs[i]), release(&call[i]);
    assert_int_equal(cudaStreamDestroy(stream), cudaSuccess);
    cudaFree(workspace);
}

/* By the library's own choice, a product that lives on its splits goes to cuBLAS when it cannot have them. */
static void test_capture_by_choice(void **state) {
    (void)state;
    static const float one = 1, zero = 0;
    cudaStream_t stream = new_stream();
    float *workspace = device_floats(1 << 22);
    struct door_call call = product_of(new_handle(stream), 64, 32, 1 << 16);
    call.alpha = &one, call.beta = &zero;
    fgsim_reset();
    assert_int_equal(doors[0].call(doors[0].linked, &call), CUBLAS_STATUS_SUCCESS);
    assert_int_equal(fgsim_launches("splitk_reduce"), 1);
    capture_replay_end(&call, stream, 0);
    assert_int_equal(cublasSetWorkspace_v2(call.handle, workspace, 16 << 20), CUBLAS_STATUS_SUCCESS);
    capture_replay_end(&call, stream, SPLIT);
    assert_int_equal(cublasDestroy_v2(call.handle), CUBLAS_STATUS_SUCCESS);
    assert_int_equal(cudaStreamDestroy(stream), cudaSuccess);
    cudaFree(workspace);
    release(&call);
}

/* Blocks beyond 64 MiB are kept where that is little of the device's memory, which has to be known. */
static void test_large_blocks(void **state) {
    (void)state;
    for (int device = 0; device < 2; device++) {
        assert_int_equal(cudaSetDevice(device), cudaSuccess);
        struct door_call call = product_of(new_handle(NULL), 192, 192, 4 * LONG_K);
        if (device == 1) setenv("FASTGEMM_SIM_FAIL", "cudaMemGetInfo", 1);
        uint64_t before = live_blocks();
        for (int i = 0; i < 2; i++) {
            assert_int_equal(blocks_for(&call), device == 1 || i == 0);
            assert_int_equal(live_blocks(), before + (device == 0));
        }
        unsetenv("FASTGEMM_SIM_FAIL");
        assert_int_equal(cublasDestroy_v2(call.handle), CUBLAS_STATUS_SUCCESS);
        assert_int_equal(live_blocks(), before);
        release(&call);
    }
}

static int no_guard_broken(void **state) {
    (void)state;
    return fgsim_check_guards() ? -1 : 0;
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_workspace),
        cmocka_unit_test(test_destroy_forgets),
        cmocka_unit_test(test_kept_and_grown),
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_settles),
        cmocka_unit_test(test_settled_and_gone),
        cmocka_unit_test(test_settled_under_capture),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_stream_that_comes_back),
        cmocka_unit_test(test_ends_in_any_order),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_capture_is_asked),
        cmocka_unit_test(test_many_handles),
        cmocka_unit_test(test_one_handle_at_once),
        cmocka_unit_test(test_threads_in_turn),
        cmocka_unit_test(test_two_devices),
        cmocka_unit_test(test_capture),
        cmocka_unit_test(test_graphs_at_once),
    };
    const struct CMUnitTest first_under_capture[] = {cmocka_unit_test(test_capture)};
    const struct CMUnitTest by_choice[] = {cmocka_unit_test(test_capture_by_choice)};
    const struct CMUnitTest large[] = {cmocka_unit_test(test_large_blocks)};
    const char *which = argc > 1 ? argv[1] : "";
    if (strcmp(which, "capture") == 0) return cmocka_run_group_tests(first_under_capture, NULL, no_guard_broken);
    if (strcmp(which, "choice") == 0) return cmocka_run_group_tests(by_choice, NULL, no_guard_broken);
    if (strcmp(which, "large") == 0) return cmocka_run_group_tests(large, NULL, no_guard_broken);
    return cmocka_run_group_tests(tests, NULL, no_guard_broken);
}
