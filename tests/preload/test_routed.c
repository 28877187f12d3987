/*
 * Calls that run on our kernels, seen from a linked program with a kernel forced: results, launch counts, and what
 * happens around a launch: device scalars, threads, forks, refusals.
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

#include "routed.h"
#include "sim_api.h"

static cublasHandle_t handle;
static const float alpha = 1.5f, beta = -0.5f;

/* The same batch as arrays of pointers on the device, where the door wants that; strides then say nothing. */
static struct door_call pointing_at(const struct door_call *call) {
    const float **lists = (const float **)(void *)device_floats(3 * BATCH * sizeof *lists / sizeof(float));
    struct door_call pointing = *call;
    for (int i = 0; i < BATCH; i++) {
        lists[i] = (const float *)call->a + i * call->stride_a;
        lists[BATCH + i] = (const float *)call->b + i * call->stride_b;
        lists[2 * BATCH + i] = (const float *)call->c + i * call->stride_c;
    }
    pointing.a = lists, pointing.b = lists + BATCH, pointing.c = lists + 2 * BATCH;
    pointing.stride_a = pointing.stride_b = pointing.stride_c = 0;
    return pointing;
}

static void test_every_door(void **state) {
    (void)state;
    for (int i = 0; i < DOOR_COUNT; i++) {
        struct door_call call = product(handle, K), pointing = doors[i].pointers ? pointing_at(&call) : call;
        run_routed(&doors[i], &pointing);
        if (doors[i].pointers) cudaFree((void *)(uintptr_t)pointing.a);
        check_result(&call, doors[i].batch ? BATCH : 1);
        release(&call);
    }
}

/* A call of three groups, each with a batch, sizes and scalars of its own. */
struct group_call {
    struct door_call group[3];
    cublasOperation_t op[3];
    int m[3], n[3], k[3], batch[3];
    float alpha[3], beta[3];
    const float **lists;
};

static struct group_call make_groups(void) {
    struct group_call call = {.op = {CUBLAS_OP_N, CUBLAS_OP_N, CUBLAS_OP_N}};
    call.lists = (const float **)(void *)device_floats(3 * 3 * BATCH * sizeof *call.lists / sizeof(float));
    for (int g = 0; g < 3; g++) {
        struct door_call *x = &call.group[g];
        *x = product_of(handle, 20 + 50 * g, 30, 10 + g);
        call.m[g] = (int)x->m, call.n[g] = (int)x->n, call.k[g] = (int)x->k, call.batch[g] = g == 1 ? 1 : BATCH;
        call.alpha[g] = 1.5f - (float)g, call.beta[g] = (float)g;
        x->alpha = &call.alpha[g], x->beta = &call.beta[g];
    }
    for (int g = 0, at = 0; g < 3; g++)
        for (int i = 0; i < call.batch[g]; i++, at++) {
            call.lists[at] = (const float *)call.group[g].a + i * call.group[g].stride_a;
            call.lists[3 * BATCH + at] = (const float *)call.group[g].b + i * call.group[g].stride_b;
            call.lists[6 * BATCH + at] = (const float *)call.group[g].c + i * call.group[g].stride_c;
        }
    return call;
}

static cublasStatus_t call_groups(struct group_call *call) {
    fgsim_reset();
    fgsim_cublas_reset();
    return cublasSgemmGroupedBatched(handle, call->op, call->op, call->m, call->n, call->k, call->alpha, call->lists,
                                     call->m, call->lists + 3 * BATCH, call->k, call->beta,
                                     (float *const *)(call->lists + 6 * BATCH), call->m, 3, call->batch);
}

static void check_groups(struct group_call *call) {
    for (int g = 0; g < 3; g++) {
        call->group[g].alpha = &call->alpha[g], call->group[g].beta = &call->beta[g];
        check_result(&call->group[g], call->batch[g]);
        release(&call->group[g]);
    }
    cudaFree((void *)(uintptr_t)call->lists);
}

/* All groups run here or none: a group that is cuBLAS's to answer takes the others with it, in one call. */
static void test_groups(void **state) {
    (void)state;
    struct group_call call = make_groups();
    assert_int_equal(call_groups(&call), CUBLAS_STATUS_SUCCESS);
    assert_int_equal(fgsim_launches("sgemm_simt_64x64x8"), 3);
    assert_int_equal(fgsim_cublas_calls(NULL, 0), 0);
    check_groups(&call);
    call = make_groups();
    call.alpha[2] = 0;
    assert_int_equal(call_groups(&call), CUBLAS_STATUS_SUCCESS);
    assert_int_equal(fgsim_launches("sgemm_"), 0);
    assert_int_equal(fgsim_cublas_calls(NULL, 0), 1);
    check_groups(&call);
}

/* A launch that is refused first leaves all to cuBLAS; after another it is an error, since that one has run. */
static void test_groups_refused(void **state) {
    (void)state;
    struct group_call call = make_groups();
    setenv("FASTGEMM_SIM_FAIL", "cudaLaunchKernel", 1);
    assert_int_equal(call_groups(&call), CUBLAS_STATUS_SUCCESS);
    assert_int_equal(fgsim_cublas_calls(NULL, 0), 1);
    check_groups(&call);
    call = make_groups();
    setenv("FASTGEMM_SIM_FAIL", "cudaLaunchKernel:2", 1);
    assert_int_equal(call_groups(&call), CUBLAS_STATUS_EXECUTION_FAILED);
    assert_int_equal(fgsim_cublas_calls(NULL, 0), 0);
    unsetenv("FASTGEMM_SIM_FAIL");
    fgsim_reset();
    for (int g = 0; g < 3; g++) release(&call.group[g]);
    cudaFree((void *)(uintptr_t)call.lists);
}

static void test_device_scalars(void **state) {
    (void)state;
    struct door_call call = product(handle, K);
    const float scalars[] = {alpha, beta};
    float *device = device_floats(2);
    cudaMemcpy(device, scalars, sizeof scalars, cudaMemcpyHostToDevice);
    call.alpha = device;
    call.beta = device + 1;
    assert_int_equal(cublasSetPointerMode_v2(handle, CUBLAS_POINTER_MODE_DEVICE), CUBLAS_STATUS_SUCCESS);
    run_routed(&doors[0], &call);
    check_result(&call, 1);
    assert_int_equal(cublasSetPointerMode_v2(handle, CUBLAS_POINTER_MODE_HOST), CUBLAS_STATUS_SUCCESS);
    cudaFree(device);
    release(&call);
}

enum { THREADS = 64, ROUNDS = 2 };

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
        call[i] = product(handle, K);
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
    struct door_call call = product(handle, K);
    setenv("FASTGEMM_SIM_FAIL", "cudaLaunchKernel", 1);
    fgsim_reset();
    fgsim_cublas_reset();
    assert_int_equal(doors[0].call(doors[0].linked, &call), CUBLAS_STATUS_SUCCESS);
    assert_int_equal(fgsim_cublas_calls(NULL, 0), 1);
    assert_int_equal(cudaPeekAtLastError(), cudaSuccess);
    check_result(&call, 1);
    unsetenv("FASTGEMM_SIM_FAIL");
    fgsim_reset();
    release(&call);
}

/* A child of a process that used CUDA is forwarded to cuBLAS, whatever that answers; it does not crash. */
static void test_forked_child(void **state) {
    (void)state;
    struct door_call call = product(handle, K);
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
    struct door_call call = product(handle, K);
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

/* Who keeps SMs for other work has no more CTAs that stay than the rest of the SMs hold. */
static void test_sm_count_target(void **state) {
    enum { TARGET = 5, CTAS_PER_SM = 4 }; /* of the forced kernel */
    struct door_call call = product_of(handle, 640, 640, K);
    struct fgsim_launch launch;
    (void)state;
    assert_int_equal(cublasSetSmCountTarget(handle, TARGET), CUBLAS_STATUS_SUCCESS);
    run_routed(&doors[0], &call);
    assert_true(fgsim_last_launch(&launch));
    assert_int_equal(launch.grid[0] * launch.grid[1] * launch.grid[2], TARGET * CTAS_PER_SM);
    check_result(&call, 1);
    assert_int_equal(cublasSetSmCountTarget(handle, 0), CUBLAS_STATUS_SUCCESS);
    run_routed(&doors[0], &call);
    assert_true(fgsim_last_launch(&launch));
    assert_in_range(launch.grid[0] * launch.grid[1] * launch.grid[2], TARGET * CTAS_PER_SM + 1, 100);
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_door),      cmocka_unit_test(test_device_scalars),
        cmocka_unit_test(test_groups),          cmocka_unit_test(test_groups_refused),
        cmocka_unit_test(test_threads),         cmocka_unit_test(test_refused_launch),
        cmocka_unit_test(test_forked_child),    cmocka_unit_test(test_other_device),
        cmocka_unit_test(test_sm_count_target),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
