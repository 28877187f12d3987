/*
 * Calls that run on our kernels, seen from a linked program with a kernel forced: results, launch counts, and what
 * happens around a launch: workspace, device scalars, capture, threads, many handles.
 */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <cuda_runtime_api.h>

#include "doors.h"
#include "sim_api.h"

enum { M = 66, N = 35, K = 50, BATCH = 2, LONG_K = 4096 };

static cublasHandle_t handle;
static const float alpha = 1.5f, beta = -0.5f;

static float *device_floats(size_t count) {
    float *address = NULL;
    assert_int_equal(cudaMalloc((void **)&address, count * sizeof *address), cudaSuccess);
    return address;
}

/* Small whole numbers: any order of summation gives the exact product. */
static float element(size_t i) {
    return (float)((int)(i * 7919 % 13) - 6);
}

static float *operand(size_t count) {
    float *host = malloc(count * sizeof *host), *device = device_floats(count);
    for (size_t i = 0; i < count; i++) host[i] = element(i);
    cudaMemcpy(device, host, count * sizeof *host, cudaMemcpyHostToDevice);
    free(host);
    return device;
}

static float exact(int m, int n, int k, int batch) {
    double sum = 0;
    for (int l = 0; l < k; l++)
        sum += (double)element((size_t)batch * M * k + m + (size_t)l * M) *
               element((size_t)batch * k * N + l + (size_t)n * k);
    return (float)(alpha * sum + beta * element((size_t)batch * M * N + m + (size_t)n * M));
}

static void check_result(const float *device, int k, int batches) {
    static float host[BATCH * M * N];
    assert_int_equal(cudaMemcpy(host, device, (size_t)batches * M * N * sizeof *host, cudaMemcpyDeviceToHost), 0);
    for (int b = 0; b < batches; b++)
        for (int n = 0; n < N; n++)
            for (int m = 0; m < M; m++)
                if (host[(b * N + n) * M + m] != exact(m, n, k, b))
                    fail_msg("C[%d,%d] of %d is %g, not %g", m, n, b, (double)host[(b * N + n) * M + m],
                             (double)exact(m, n, k, b));
}

static struct door_call product(int k) {
    return (struct door_call){.handle = handle,
                              .op_a = CUBLAS_OP_N,
                              .op_b = CUBLAS_OP_N,
                              .m = M,
                              .n = N,
                              .k = k,
                              .alpha = &alpha,
                              .beta = &beta,
                              .a = operand((size_t)BATCH * M * k),
                              .b = operand((size_t)BATCH * k * N),
                              .c = operand((size_t)BATCH * M * N),
                              .lda = M,
                              .ldb = k,
                              .ldc = M,
                              .stride_a = (int64_t)M * k,
                              .stride_b = (int64_t)k * N,
                              .stride_c = (int64_t)M * N,
                              .batch = BATCH,
                              .type_a = CUDA_R_32F,
                              .type_b = CUDA_R_32F,
                              .type_c = CUDA_R_32F,
                              .compute = CUBLAS_COMPUTE_32F,
                              .algo = CUBLAS_GEMM_DEFAULT};
}

static void release(struct door_call *call) {
    cudaFree((void *)(uintptr_t)call->a);
    cudaFree((void *)(uintptr_t)call->b);
    cudaFree(call->c);
}

/* Runs the call; exactly one product ran on our kernel and cuBLAS saw none. Returns how many slices were added up. */
static unsigned run_routed(const struct door *door, const struct door_call *call) {
    struct fgsim_launch launch;
    fgsim_reset();
    fgsim_cublas_reset();
    assert_int_equal(door->call(door->linked, call), CUBLAS_STATUS_SUCCESS);
    assert_int_equal(fgsim_cublas_calls(NULL, 0), 0);
    assert_int_equal(fgsim_launches("sgemm_simt_64x64x8"), 1);
    assert_true(fgsim_last_launch(&launch));
    assert_int_equal(cudaPeekAtLastError(), cudaSuccess);
    return (unsigned)fgsim_launches("splitk_reduce");
}

static void test_every_door(void **state) {
    (void)state;
    for (int i = 0; i < DOOR_COUNT; i++) {
        struct door_call call = product(K);
        run_routed(&doors[i], &call);
        check_result(call.c, K, doors[i].batch ? BATCH : 1);
        release(&call);
    }
}

static void test_device_scalars(void **state) {
    (void)state;
    struct door_call call = product(K);
    const float scalars[] = {alpha, beta};
    float *device = device_floats(2);
    cudaMemcpy(device, scalars, sizeof scalars, cudaMemcpyHostToDevice);
    call.alpha = device;
    call.beta = device + 1;
    assert_int_equal(cublasSetPointerMode_v2(handle, CUBLAS_POINTER_MODE_DEVICE), CUBLAS_STATUS_SUCCESS);
    run_routed(&doors[0], &call);
    check_result(call.c, K, 1);
    assert_int_equal(cublasSetPointerMode_v2(handle, CUBLAS_POINTER_MODE_HOST), CUBLAS_STATUS_SUCCESS);
    cudaFree(device);
    release(&call);
}

static uint64_t pool_allocations(void) {
    struct fgsim_counters counters;
    fgsim_counters(&counters);
    return counters.async_mallocs;
}

/* The caller's workspace is used from when it is set until the stream is set; else our pool is. */
static void test_workspace(void **state) {
    (void)state;
    struct door_call call = product(LONG_K);
    float *workspace = device_floats(1 << 20);
    assert_int_equal(run_routed(&doors[0], &call), 1);
    assert_int_equal(pool_allocations(), 1);
    assert_int_equal(cublasSetWorkspace_v2(handle, workspace, 4 << 20), CUBLAS_STATUS_SUCCESS);
    assert_int_equal(run_routed(&doors[0], &call), 1);
    assert_int_equal(pool_allocations(), 0);
    assert_int_equal(cublasSetWorkspace_v2(handle, workspace, 256), CUBLAS_STATUS_SUCCESS);
    assert_int_equal(run_routed(&doors[0], &call), 0); /* too small for any split */
    assert_int_equal(cublasSetStream_v2(handle, NULL), CUBLAS_STATUS_SUCCESS);
    assert_int_equal(run_routed(&doors[0], &call), 1);
    assert_int_equal(pool_allocations(), 1);
    cudaFree(workspace);
    release(&call);
}

/* A handle at a dead handle's address has no workspace. The stand-in never reuses one, so create says it anew. */
static void test_destroy_forgets(void **state) {
    (void)state;
    struct door_call call = product(LONG_K);
    float *workspace = device_floats(1 << 20);
    cublasHandle_t second, third;
    assert_int_equal(cublasCreate_v2(&second), CUBLAS_STATUS_SUCCESS);
    assert_int_equal(cublasSetWorkspace_v2(second, workspace, 4 << 20), CUBLAS_STATUS_SUCCESS);
    assert_int_equal(cublasDestroy_v2(second), CUBLAS_STATUS_SUCCESS);
    assert_int_equal(cublasCreate_v2(&third), CUBLAS_STATUS_SUCCESS);
    call.handle = third;
    assert_int_equal(run_routed(&doors[0], &call), 1);
    assert_int_equal(pool_allocations(), 1);
    assert_int_equal(cublasDestroy_v2(third), CUBLAS_STATUS_SUCCESS);
    cudaFree(workspace);
    release(&call);
}

static void capture(cudaStream_t stream, const struct door_call *call, unsigned expected_reductions) {
    cudaGraph_t graph;
    cudaGraphExec_t program;
    struct fgsim_counters counters;
    fgsim_reset();
    fgsim_cublas_reset();
    assert_int_equal(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), cudaSuccess);
    assert_int_equal(cublasSgemm_v2(call->handle, CUBLAS_OP_N, CUBLAS_OP_N, M, N, (int)call->k, call->alpha, call->a, M,
                                    call->b, (int)call->k, call->beta, call->c, M),
                     CUBLAS_STATUS_SUCCESS);
    assert_int_equal(cudaStreamEndCapture(stream, &graph), cudaSuccess);
    assert_int_equal(fgsim_cublas_calls(NULL, 0), 0);
    fgsim_counters(&counters);
    assert_int_equal(counters.launches, 0);
    assert_int_equal(counters.recorded, 1 + expected_reductions);
    assert_int_equal(counters.async_mallocs + counters.mallocs + counters.syncs, 0);
    assert_int_equal(cudaGraphInstantiate(&program, graph, 0), cudaSuccess);
    assert_int_equal(cudaGraphLaunch(program, stream), cudaSuccess);
    assert_int_equal(cudaStreamSynchronize(stream), cudaSuccess);
    assert_int_equal(fgsim_launches("sgemm_simt_64x64x8"), 1);
    assert_int_equal(fgsim_launches("splitk_reduce"), expected_reductions);
    check_result(call->c, (int)call->k, 1);
    cudaGraphExecDestroy(program);
    cudaGraphDestroy(graph);
}

/* Without a workspace a captured call is not split: nothing of ours may be allocated into a graph. */
static void test_capture(void **state) {
    (void)state;
    struct door_call call = product(LONG_K);
    cudaStream_t stream;
    float *workspace = device_floats(1 << 20);
    assert_int_equal(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
    assert_int_equal(cublasCreate_v2(&call.handle), CUBLAS_STATUS_SUCCESS);
    assert_int_equal(cublasSetStream_v2(call.handle, stream), CUBLAS_STATUS_SUCCESS);
    capture(stream, &call, 0);
    release(&call);
    cublasHandle_t captured = call.handle;
    call = product(LONG_K);
    call.handle = captured;
    assert_int_equal(cublasSetWorkspace_v2(call.handle, workspace, 4 << 20), CUBLAS_STATUS_SUCCESS);
    capture(stream, &call, 1);
    assert_int_equal(cublasDestroy_v2(call.handle), CUBLAS_STATUS_SUCCESS);
    assert_int_equal(cudaStreamDestroy(stream), cudaSuccess);
    cudaFree(workspace);
    release(&call);
}

/* More handles than any table of fixed size would hold, each with a workspace of its own size. */
static void test_many_handles(void **state) {
    (void)state;
    enum { HANDLES = 3000 };
    struct door_call call = product(LONG_K);
    float *workspace = device_floats(1 << 20);
    static cublasHandle_t handles[HANDLES];
    for (int i = 0; i < HANDLES; i++) {
        assert_int_equal(cublasCreate_v2(&handles[i]), CUBLAS_STATUS_SUCCESS);
        assert_int_equal(cublasSetWorkspace_v2(handles[i], workspace, i % 2 ? 4 << 20 : 256), CUBLAS_STATUS_SUCCESS);
    }
    for (int i = 0; i < HANDLES; i += 1 + HANDLES / 20) {
        call.handle = handles[i];
        assert_int_equal(run_routed(&doors[0], &call), i % 2);
        assert_int_equal(pool_allocations(), 0);
    }
    for (int i = 0; i < HANDLES; i++) assert_int_equal(cublasDestroy_v2(handles[i]), CUBLAS_STATUS_SUCCESS);
    cudaFree(workspace);
    release(&call);
}

enum { THREADS = 16, ROUNDS = 4 };

static void *thread_of_products(void *argument) {
    struct door_call *call = argument;
    bool good = true;
    for (int i = 0; i < ROUNDS; i++) {
        good = cublasCreate_v2(&call->handle) == CUBLAS_STATUS_SUCCESS && good;
        good = doors[0].call(doors[0].linked, call) == CUBLAS_STATUS_SUCCESS && good;
        good = cublasDestroy_v2(call->handle) == CUBLAS_STATUS_SUCCESS && good;
    }
    return good ? argument : NULL;
}

static void test_threads(void **state) {
    (void)state;
    pthread_t thread[THREADS];
    struct door_call call[THREADS];
    const float zero = 0;
    fgsim_reset();
    fgsim_cublas_reset();
    for (int i = 0; i < THREADS; i++) {
        call[i] = product(K);
        call[i].beta = &zero;
        assert_int_equal(pthread_create(&thread[i], NULL, thread_of_products, &call[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        void *good;
        assert_int_equal(pthread_join(thread[i], &good), 0);
        assert_non_null(good);
        release(&call[i]);
    }
    assert_int_equal(fgsim_launches("sgemm_simt_64x64x8"), THREADS * ROUNDS);
    assert_int_equal(fgsim_cublas_calls(NULL, 0), 2 * THREADS * ROUNDS); /* create and destroy */
}

/* A device other than the handle's, and a refused launch, are cuBLAS's to answer; no error of ours is left behind. */
static void test_refused_launch(void **state) {
    (void)state;
    struct door_call call = product(K);
    setenv("FASTGEMM_SIM_FAIL", "cudaLaunchKernel", 1);
    fgsim_reset();
    fgsim_cublas_reset();
    assert_int_equal(doors[0].call(doors[0].linked, &call), CUBLAS_STATUS_SUCCESS);
    assert_int_equal(fgsim_cublas_calls(NULL, 0), 1);
    assert_int_equal(cudaPeekAtLastError(), cudaSuccess);
    check_result(call.c, K, 1);
    unsetenv("FASTGEMM_SIM_FAIL");
    fgsim_reset();
    release(&call);
}

static void test_no_scratch(void **state) {
    (void)state;
    struct door_call call = product(LONG_K);
    setenv("FASTGEMM_SIM_FAIL", "cudaMallocFromPoolAsync", 1);
    fgsim_reset();
    fgsim_cublas_reset();
    assert_int_equal(doors[0].call(doors[0].linked, &call), CUBLAS_STATUS_SUCCESS);
    assert_int_equal(fgsim_cublas_calls(NULL, 0), 1);
    assert_int_equal(fgsim_launches("sgemm_"), 0);
    assert_int_equal(cudaPeekAtLastError(), cudaSuccess);
    check_result(call.c, LONG_K, 1);
    unsetenv("FASTGEMM_SIM_FAIL");
    fgsim_reset();
    release(&call);
}

/* A child of a process that used CUDA is forwarded to cuBLAS, whatever that answers; it does not crash. */
static void test_forked_child(void **state) {
    (void)state;
    struct door_call call = product(K);
    int status = -1;
    run_routed(&doors[0], &call);
    pid_t child = fork();
    if (child == 0) {
        fgsim_reset();
        fgsim_cublas_reset();
        doors[0].call(doors[0].linked, &call);
        _exit(fgsim_cublas_calls(NULL, 0) == 1 && fgsim_launches("sgemm_") == 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    run_routed(&doors[0], &call);
    release(&call);
}

/* cuBLAS ties a handle to the device that it was made on. */
static void test_other_device(void **state) {
    (void)state;
    struct door_call call = product(K);
    assert_int_equal(cudaSetDevice(1), cudaSuccess);
    fgsim_reset();
    fgsim_cublas_reset();
    doors[0].call(doors[0].linked, &call);
    assert_int_equal(fgsim_cublas_calls(NULL, 0), 1);
    assert_int_equal(fgsim_launches("sgemm_"), 0);
    assert_int_equal(cudaSetDevice(0), cudaSuccess);
    fgsim_reset();
    run_routed(&doors[0], &call);
    release(&call);
}

static int set_up(void **state) {
    (void)state;
    return cublasCreate_v2(&handle) == CUBLAS_STATUS_SUCCESS ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    return cublasDestroy_v2(handle) == CUBLAS_STATUS_SUCCESS && !fgsim_check_guards() ? 0 : -1;
}

int main(int argc, char **argv) {
    const struct CMUnitTest first_under_capture[] = {cmocka_unit_test(test_capture)};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_door),   cmocka_unit_test(test_device_scalars),
        cmocka_unit_test(test_workspace),    cmocka_unit_test(test_destroy_forgets),
        cmocka_unit_test(test_capture),      cmocka_unit_test(test_many_handles),
        cmocka_unit_test(test_threads),      cmocka_unit_test(test_refused_launch),
        cmocka_unit_test(test_forked_child), cmocka_unit_test(test_other_device),
        cmocka_unit_test(test_no_scratch),
    };
    if (argc > 1 && strcmp(argv[1], "capture") == 0)
        return cmocka_run_group_tests(first_under_capture, set_up, tear_down);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
