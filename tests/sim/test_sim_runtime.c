/* Tests of the stand-in CUDA Runtime: devices, memory, streams, captures and graphs, launches, failures on order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <cuda_runtime_api.h>

#include "faulty_kernels.h"
#include "gemm_args.h"
#include "sim_api.h"

static int start_afresh(void **state) {
    (void)state;
    unsetenv("FASTGEMM_SIM_FAIL");
    unsetenv("FASTGEMM_SIM_DEVICES");
    unsetenv("FASTGEMM_SIM_DRIVER");
    unsetenv("FASTGEMM_SIM_CC");
    fgsim_reset();
    cudaSetDevice(0);
    cudaGetLastError();
    return 0;
}

static void with_setting(const char *name, const char *value) {
    setenv(name, value, 1);
    fgsim_reset();
}

/* ---- devices ---- */

static void test_without_a_driver_or_with_an_old_one(void **state) {
    int count = 9, version = 9;
    void *block;
    (void)state;
    with_setting("FASTGEMM_SIM_DEVICES", "0");
    assert_int_equal(cudaGetDeviceCount(&count), cudaErrorInsufficientDriver);
    assert_int_equal(cudaMalloc(&block, 4), cudaErrorInsufficientDriver);
    assert_int_equal(cudaDriverGetVersion(&version), 0);
    assert_int_equal(version, 0);
    start_afresh(NULL);
    with_setting("FASTGEMM_SIM_DRIVER", "12080");
    assert_int_equal(cudaGetDeviceCount(&count), cudaErrorInsufficientDriver);
    assert_int_equal(cudaDriverGetVersion(&version), 0);
    assert_int_equal(version, 12080);
}

static void test_traits_follow_the_compute_capability(void **state) {
    int sms = 0, shared = 0;
    struct cudaDeviceProp properties;
    (void)state;
    assert_int_equal(cudaDeviceGetAttribute(&sms, cudaDevAttrMultiProcessorCount, 0), 0);
    assert_int_equal(sms, 128);
    setenv("FASTGEMM_SIM_DEVICES", "2", 1);
    with_setting("FASTGEMM_SIM_CC", "8.9,9.0");
    assert_int_equal(cudaDeviceGetAttribute(&shared, cudaDevAttrMaxSharedMemoryPerBlockOptin, 1), 0);
    assert_int_equal(shared, 227 << 10);
    assert_int_equal(cudaGetDeviceProperties(&properties, 0), 0);
    assert_non_null(strstr(properties.name, "Simulated"));
    assert_int_equal(properties.l2CacheSize, 72 << 20);
    assert_int_equal(cudaSetDevice(2), cudaErrorInvalidDevice);
}

static void test_a_forked_child_cannot_use_the_device(void **state) {
    void *block;
    (void)state;
    assert_int_equal(cudaDeviceSynchronize(), 0);
    pid_t child = fork();
    if (child == 0) _exit(cudaMalloc(&block, 4) == cudaErrorInitializationError ? 0 : 1);
    int status = 1;
    waitpid(child, &status, 0);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* In a fresh child: what asks makes no context, what works makes one. */
static void test_questions_make_no_context(void **state) {
    struct fgsim_counters counters;
    (void)state;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        int count, version;
        void *block;
        fgsim_counters(&counters);
        bool untouched = counters.runtime_calls == 0 && counters.contexts == 0;
        cudaDriverGetVersion(&version);
        cudaGetDeviceCount(&count);
        fgsim_counters(&counters);
        bool asked = counters.runtime_calls == 1 && counters.contexts == 0;
        cudaMalloc(&block, 4);
        fgsim_counters(&counters);
        _exit(untouched && asked && counters.contexts == 1 ? 0 : 1);
    }
    int status = 1;
    waitpid(child, &status, 0);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* ---- memory ---- */

static void test_fresh_memory_is_nan_and_counted(void **state) {
    struct fgsim_counters counters;
    float *block;
    (void)state;
    assert_int_equal(cudaMalloc((void **)&block, 12), 0);
    assert_true(isnan(block[0]) && isnan(block[2]) && (uintptr_t)block % 256 == 0);
    fgsim_counters(&counters);
    assert_int_equal(counters.mallocs, 1);
    assert_int_equal(counters.live_bytes, 12);
    assert_int_equal(cudaFree(block), 0);
    assert_int_equal(cudaFree(block), cudaErrorInvalidValue);
}

static void test_copies_stay_inside_blocks(void **state) {
    float host[4] = {1, 2, 3, 4}, *block;
    (void)state;
    assert_int_equal(cudaMalloc((void **)&block, 12), 0);
    assert_int_equal(cudaMemcpy(block, host, 12, cudaMemcpyHostToDevice), 0);
    assert_int_equal(cudaMemcpy(block, host, 16, cudaMemcpyHostToDevice), cudaErrorInvalidValue);
    assert_int_equal(cudaMemcpy(host, host + 1, 4, cudaMemcpyDeviceToHost), cudaErrorInvalidValue);
    assert_true(block[2] == 3);
    assert_int_equal(cudaMemset(block, 0, 12), 0);
    assert_true(block[2] == 0);
    cudaFree(block);
}

static void test_failures_on_order(void **state) {
    void *block;
    (void)state;
    with_setting("FASTGEMM_SIM_FAIL", "cudaMallocAsync:2,cudaFreeAsync=999");
    assert_int_equal(cudaMallocAsync(&block, 4, NULL), 0);
    assert_int_equal(cudaFreeAsync(block, NULL), cudaErrorUnknown);
    void *none = NULL;
    assert_int_equal(cudaMallocAsync(&none, 4, NULL), cudaErrorMemoryAllocation);
    assert_int_equal(cudaGetLastError(), cudaErrorMemoryAllocation);
    assert_int_equal(cudaGetLastError(), cudaSuccess);
    assert_int_equal(cudaFree(block), 0);
}

/* ---- launches ---- */

static cudaError_t launch(void (*kernel)(void **), unsigned threads, size_t shared, cudaStream_t stream, float *d) {
    struct gemm_args args = {.m = 100, .n = 64, .d = d};
    void *argv[] = {&args};
    return cudaLaunchKernel((const void *)(uintptr_t)kernel, (dim3){1, 1, 1}, (dim3){threads, 1, 1}, argv, shared,
                            stream);
}

static void test_launches_that_cuda_refuses(void **state) {
    (void)state;
    assert_int_equal(launch(sound_warp_operations, 0, 0, NULL, NULL), cudaErrorInvalidConfiguration);
    assert_int_equal(launch(sound_warp_operations, 2048, 0, NULL, NULL), cudaErrorInvalidConfiguration);
    assert_int_equal(launch(sound_warp_operations, 128, 0, NULL, NULL), cudaErrorLaunchOutOfResources);
    assert_int_equal(launch(sound_warp_operations, 64, 49153, NULL, NULL), cudaErrorInvalidValue);
    assert_int_equal(launch((void (*)(void **))(uintptr_t)&planted, 64, 0, NULL, NULL), cudaErrorInvalidDeviceFunction);
    assert_int_equal(launch(sound_warp_operations, 64, 0, (cudaStream_t)(uintptr_t)0x1234, NULL),
                     cudaErrorInvalidResourceHandle);
    assert_int_equal(cudaFuncSetAttribute((const void *)sound_warp_operations,
                                          cudaFuncAttributeMaxDynamicSharedMemorySize, 100 << 10),
                     cudaErrorInvalidValue);
    with_setting("FASTGEMM_SIM_CC", "7.5");
    assert_int_equal(launch(sound_warp_operations, 64, 0, NULL, NULL), cudaErrorNoKernelImageForDevice);
}

static void *launch_often(void *wrong) {
    float *d;
    if (cudaMalloc((void **)&d, 256)) return wrong;
    for (int i = 0; i < 20; i++) {
        cudaMemset(d, 0, 256);
        if (launch(sound_warp_operations, 64, 0, NULL, d) || d[0] != 1.0f || d[63] != 1.0f) return wrong;
    }
    return cudaFree(d) ? wrong : NULL;
}

static void test_threads_of_the_host_launch_at_once(void **state) {
    pthread_t threads[16];
    void *wrong;
    (void)state;
    for (int i = 0; i < 16; i++) assert_int_equal(pthread_create(&threads[i], NULL, launch_often, threads), 0);
    for (int i = 0; i < 16; i++) {
        assert_int_equal(pthread_join(threads[i], &wrong), 0);
        assert_null(wrong);
    }
    assert_int_equal(fgsim_launches("sound"), 320);
}

static void test_stream_of_another_device_is_refused(void **state) {
    cudaStream_t stream;
    (void)state;
    with_setting("FASTGEMM_SIM_DEVICES", "2");
    assert_int_equal(cudaSetDevice(1), 0);
    assert_int_equal(cudaStreamCreate(&stream), 0);
    assert_int_equal(cudaSetDevice(0), 0);
    assert_int_equal(launch(sound_warp_operations, 64, 0, stream, NULL), cudaErrorInvalidResourceHandle);
    int device = -1;
    assert_int_equal(cudaStreamGetDevice(stream, &device), 0);
    assert_int_equal(device, 1);
    cudaStreamDestroy(stream);
}

/* ---- captures ---- */

static cudaStream_t begin_capture(unsigned flags) {
    cudaStream_t stream;
    assert_int_equal(cudaStreamCreateWithFlags(&stream, flags), 0);
    assert_int_equal(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), 0);
    return stream;
}

static void end_capture(cudaStream_t stream, cudaError_t expected) {
    cudaGraph_t graph = NULL;
    assert_int_equal(cudaStreamEndCapture(stream, &graph), expected);
    if (!expected) cudaGraphDestroy(graph);
    assert_int_equal(cudaStreamDestroy(stream), 0);
}

static void test_a_capture_records_and_a_graph_replays(void **state) {
    float *d;
    cudaGraph_t graph;
    cudaGraphExec_t executable;
    (void)state;
    assert_int_equal(cudaMalloc((void **)&d, 256), 0);
    cudaStream_t stream = begin_capture(cudaStreamNonBlocking);
    assert_int_equal(launch(sound_warp_operations, 64, 0, stream, d), 0);
    assert_true(isnan(d[0]));
    assert_int_equal(fgsim_launches("sound"), 0);
    assert_int_equal(cudaStreamEndCapture(stream, &graph), 0);
    assert_int_equal(cudaGraphInstantiate(&executable, graph, 0), 0);
    assert_int_equal(cudaGraphDestroy(graph), 0);
    for (int replay = 0; replay < 3; replay++) {
        cudaMemset(d, 0, 256);
        assert_int_equal(cudaGraphLaunch(executable, stream), 0);
        assert_true(d[63] == 1.0f);
    }
    assert_int_equal(fgsim_launches("sound"), 3);
    cudaGraphExecDestroy(executable);
    cudaStreamDestroy(stream);
    cudaFree(d);
}

static void test_what_a_capture_forbids_spoils_it(void **state) {
    void *block;
    (void)state;
    cudaStream_t stream = begin_capture(cudaStreamNonBlocking);
    assert_int_equal(cudaMalloc(&block, 4), cudaErrorStreamCaptureUnsupported);
    end_capture(stream, cudaErrorStreamCaptureInvalidated);
    stream = begin_capture(cudaStreamNonBlocking);
    assert_int_equal(cudaStreamSynchronize(stream), cudaErrorStreamCaptureUnsupported);
    end_capture(stream, cudaErrorStreamCaptureInvalidated);
    stream = begin_capture(cudaStreamNonBlocking);
    assert_int_equal(cudaDeviceSynchronize(), cudaErrorStreamCaptureUnsupported);
    end_capture(stream, cudaErrorStreamCaptureInvalidated);
    stream = begin_capture(cudaStreamDefault);
    assert_int_equal(cudaMemset(NULL, 0, 0), cudaErrorStreamCaptureImplicit);
    end_capture(stream, cudaErrorStreamCaptureInvalidated);
}

static void test_a_relaxed_thread_may_allocate_beside_a_capture(void **state) {
    void *block;
    enum cudaStreamCaptureMode mode = cudaStreamCaptureModeRelaxed;
    (void)state;
    cudaStream_t stream = begin_capture(cudaStreamNonBlocking);
    assert_int_equal(cudaThreadExchangeStreamCaptureMode(&mode), 0);
    assert_int_equal(cudaMalloc(&block, 4), 0);
    assert_int_equal(cudaFree(block), 0);
    assert_int_equal(cudaThreadExchangeStreamCaptureMode(&mode), 0);
    end_capture(stream, cudaSuccess);
}

static void test_captured_memory_belongs_to_the_graph(void **state) {
    struct fgsim_counters before, after;
    float *block;
    (void)state;
    fgsim_counters(&before);
    cudaStream_t stream = begin_capture(cudaStreamNonBlocking);
    assert_int_equal(cudaMallocAsync((void **)&block, 4, stream), 0);
    assert_int_equal(cudaMemsetAsync(block, 0, 4, stream), 0);
    assert_int_equal(cudaFreeAsync(block, stream), 0);
    end_capture(stream, cudaSuccess);
    fgsim_counters(&after);
    assert_int_equal(after.live_blocks, before.live_blocks);
}

static void test_an_event_draws_another_stream_into_the_capture(void **state) {
    enum cudaStreamCaptureStatus status;
    unsigned long long id = 0, other_id = 0;
    cudaStream_t other;
    cudaEvent_t event;
    (void)state;
    assert_int_equal(cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking), 0);
    assert_int_equal(cudaEventCreate(&event), 0);
    cudaStream_t stream = begin_capture(cudaStreamNonBlocking);
    assert_int_equal(cudaEventRecord(event, stream), 0);
    assert_int_equal(cudaStreamWaitEvent(other, event, 0), 0);
    assert_int_equal(cudaStreamGetCaptureInfo(stream, &status, &id, NULL, NULL, NULL, NULL), 0);
    assert_int_equal(cudaStreamGetCaptureInfo(other, &status, &other_id, NULL, NULL, NULL, NULL), 0);
    assert_int_equal(status, cudaStreamCaptureStatusActive);
    assert_int_equal(id, other_id);
    assert_int_equal(cudaEventSynchronize(event), cudaErrorCapturedEvent);
    end_capture(stream, cudaSuccess);
    assert_int_equal(cudaStreamIsCapturing(other, &status), 0);
    assert_int_equal(status, cudaStreamCaptureStatusNone);
    cudaStreamDestroy(other);
    cudaEventDestroy(event);
}

int main(void) {
    const struct CMUnitTest first[] = {cmocka_unit_test(test_questions_make_no_context)};
    if (cmocka_run_group_tests_name("before any use of CUDA", first, NULL, NULL)) return 1;
#define TEST(name) cmocka_unit_test_setup(name, start_afresh)
    const struct CMUnitTest tests[] = {
        TEST(test_without_a_driver_or_with_an_old_one),
        TEST(test_traits_follow_the_compute_capability),
        TEST(test_a_forked_child_cannot_use_the_device),
        TEST(test_fresh_memory_is_nan_and_counted),
        TEST(test_copies_stay_inside_blocks),
        TEST(test_failures_on_order),
        TEST(test_launches_that_cuda_refuses),
        TEST(test_threads_of_the_host_launch_at_once),
        TEST(test_stream_of_another_device_is_refused),
        TEST(test_a_capture_records_and_a_graph_replays),
        TEST(test_what_a_capture_forbids_spoils_it),
        TEST(test_a_relaxed_thread_may_allocate_beside_a_capture),
        TEST(test_captured_memory_belongs_to_the_graph),
        TEST(test_an_event_draws_another_stream_into_the_capture),
    };
    return cmocka_run_group_tests_name("stand-in CUDA Runtime", tests, NULL, NULL);
}
