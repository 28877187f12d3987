/*
 * Tests of the stand-in cuBLAS: its products, the record of its calls (and that a changed argument shows in it), its
 * statuses, its handles, and its two copies beside each other.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <dlfcn.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <cuda_runtime_api.h>
#include <cublas_api.h>

#include "cublas_cases.h"
#include "sim_api.h"

enum { M = 5, N = 4, K = 3 };

static cublasHandle_t handle;
static float *a, *b, *c;

static int set_up(void **state) {
    (void)state;
    fgsim_reset();
    if (cublasCreate_v2(&handle)) return -1;
    if (cudaMalloc((void **)&a, M * K * 4) || cudaMalloc((void **)&b, K * N * 4) || cudaMalloc((void **)&c, M * N * 4))
        return -1;
    for (int i = 0; i < M * K; i++) a[i] = (float)(i + 1);
    for (int i = 0; i < K * N; i++) b[i] = (float)(i % 5 - 2);
    fgsim_cublas_reset();
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    fgsim_reset();
    cublasDestroy_v2(handle);
    cudaFree(a), cudaFree(b), cudaFree(c);
    return 0;
}

static double expected(int i, int j) {
    double sum = 0;
    for (int l = 0; l < K; l++) sum += (double)a[i + l * M] * b[l + j * K];
    return sum;
}

static int wrong_elements(double alpha) {
    int wrong = 0;
    for (int j = 0; j < N; j++)
        for (int i = 0; i < M; i++) wrong += c[i + j * M] != (float)(alpha * expected(i, j));
    return wrong;
}

static cublasStatus_t sgemm(const float *alpha, const float *beta) {
    return cublasSgemm_v2(handle, CUBLAS_OP_N, CUBLAS_OP_N, M, N, K, alpha, a, M, b, K, beta, c, M);
}

static const float one = 1, two = 2, zero = 0;

static void test_product_is_right_and_beta_zero_ignores_c(void **state) {
    (void)state;
    assert_true(isnan(c[0])); /* fresh memory */
    assert_int_equal(sgemm(&two, &zero), 0);
    assert_int_equal(wrong_elements(2), 0);
}

static void test_transposed_operands(void **state) {
    (void)state;
    float at[M * K], bt[K * N];
    for (int i = 0; i < M; i++)
        for (int l = 0; l < K; l++) at[l + i * K] = a[i + l * M];
    for (int l = 0; l < K; l++)
        for (int j = 0; j < N; j++) bt[j + l * N] = b[l + j * K];
    assert_int_equal(sgemm(&one, &zero), 0);
    float straight[M * N];
    memcpy(straight, c, sizeof straight);
    memcpy(a, at, sizeof at);
    memcpy(b, bt, sizeof bt);
    assert_int_equal(cublasSgemm_v2_64(handle, CUBLAS_OP_T, CUBLAS_OP_C, M, N, K, &one, a, K, b, N, &zero, c, M), 0);
    assert_memory_equal(c, straight, sizeof straight);
}

static void test_half_and_double_products(void **state) {
    (void)state;
    double *x, *y = NULL;
    uint16_t *h;
    const double twice = 2, none = 0;
    assert_int_equal(cudaMalloc((void **)&x, 8 * 3), 0);
    assert_int_equal(cudaMalloc((void **)&h, 2 * 3), 0);
    x[0] = 3, x[1] = 5;
    y = x + 2;
    assert_int_equal(cublasDgemm_v2(handle, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, &twice, x, 1, x + 1, 1, &none, y, 1), 0);
    assert_true(*y == 30);
    h[0] = 0x3e00, h[1] = 0xc000; /* 1.5, -2 */
    assert_int_equal(cublasGemmEx(handle, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, &one, h, CUDA_R_16F, 1, h + 1, CUDA_R_16F,
                                  1, &zero, h + 2, CUDA_R_16F, 1, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT),
                     0);
    assert_int_equal(h[2], 0xc200); /* -3 */
    cudaFree(x), cudaFree(h);
}

static void test_scalars_on_the_device_are_read_when_it_runs(void **state) {
    (void)state;
    float *scalars;
    assert_int_equal(cudaMalloc((void **)&scalars, 8), 0);
    scalars[0] = 1, scalars[1] = 0;
    cudaStream_t stream;
    cudaGraph_t graph;
    cudaGraphExec_t executable;
    assert_int_equal(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), 0);
    assert_int_equal(cublasSetStream_v2(handle, stream), 0);
    assert_int_equal(cublasSetPointerMode_v2(handle, CUBLAS_POINTER_MODE_DEVICE), 0);
    assert_int_equal(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), 0);
    assert_int_equal(sgemm(scalars, scalars + 1), 0);
    assert_true(isnan(c[0])); /* recorded, not run */
    assert_int_equal(cudaStreamEndCapture(stream, &graph), 0);
    assert_int_equal(cudaGraphInstantiate(&executable, graph, 0), 0);
    scalars[0] = 2;
    assert_int_equal(cudaGraphLaunch(executable, stream), 0);
    assert_int_equal(wrong_elements(2), 0);
    cudaGraphExecDestroy(executable);
    cudaGraphDestroy(graph);
    cudaStreamDestroy(stream);
    cudaFree(scalars);
}

/* ---- the record ---- */

static void test_each_argument_is_recorded(void **state) {
    (void)state;
    struct fgsim_cublas_call call;
    assert_int_equal(cublasGemmEx(handle, CUBLAS_OP_N, CUBLAS_OP_N, M, N, K, &two, a, CUDA_R_32F, M, b, CUDA_R_32F, K,
                                  &zero, c, CUDA_R_32F, M, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT),
                     0);
    assert_int_equal(fgsim_cublas_calls(&call, 1), 1);
    const int64_t passed[] = {(intptr_t)handle,
                              0,
                              0,
                              M,
                              N,
                              K,
                              (intptr_t)&two,
                              (intptr_t)a,
                              CUDA_R_32F,
                              M,
                              (intptr_t)b,
                              CUDA_R_32F,
                              K,
                              (intptr_t)&zero,
                              (intptr_t)c,
                              CUDA_R_32F,
                              M,
                              CUBLAS_COMPUTE_32F,
                              -1};
    assert_string_equal(call.function, "cublasGemmEx");
    assert_int_equal(call.arguments, sizeof passed / sizeof *passed);
    assert_memory_equal(call.argument, passed, sizeof passed);
}

/* A planted fault: something between program and cuBLAS that changes one argument. */
static cublasStatus_t forward_with_another_ldc(const float *alpha, const float *beta) {
    return cublasSgemm_v2(handle, CUBLAS_OP_N, CUBLAS_OP_N, M, N, K, alpha, a, M, b, K, beta, c, M + 1);
}

static void test_changed_forwarded_argument_is_noticed(void **state) {
    (void)state;
    struct fgsim_cublas_call calls[3];
    assert_int_equal(sgemm(&one, &zero), 0);
    assert_int_equal(sgemm(&one, &zero), 0);
    assert_int_not_equal(forward_with_another_ldc(&one, &zero), 0); /* and it does not fit */
    assert_int_equal(fgsim_cublas_calls(calls, 3), 3);
    assert_int_equal(fgsim_cublas_compare(&calls[0], &calls[1]), -1);
    assert_int_equal(fgsim_cublas_compare(&calls[0], &calls[2]), 13);
}

static void test_another_entry_point_is_noticed(void **state) {
    (void)state;
    struct fgsim_cublas_call calls[2];
    assert_int_equal(sgemm(&one, &zero), 0);
    assert_int_equal(cublasSgemm_v2_64(handle, CUBLAS_OP_N, CUBLAS_OP_N, M, N, K, &one, a, M, b, K, &zero, c, M), 0);
    fgsim_cublas_calls(calls, 2);
    assert_int_equal(fgsim_cublas_compare(&calls[0], &calls[1]), -2);
}

/* ---- statuses and handles ---- */

static void test_statuses_are_those_of_the_table(void **state) {
    (void)state;
    struct cublas_case_memory memory;
    assert_true(cublas_case_allocate(&memory));
    for (int i = 0; i < 2 * cublas_case_count; i++) {
        const struct cublas_case *which = &cublas_cases[i / 2];
        int status = cublas_case_call(which, handle, &memory, i % 2);
        if (status != which->status) print_error("%s%s: %d\n", which->name, i % 2 ? "_64" : "", status);
        assert_int_equal(status, which->status);
    }
    cublas_case_free(&memory);
    assert_string_equal(fgsim_last_fault(), "");
}

static void test_operand_outside_device_memory_is_noticed(void **state) {
    (void)state;
    float host[M * K] = {0};
    assert_int_equal(cublasSgemm_v2(handle, CUBLAS_OP_N, CUBLAS_OP_N, M, N, K, &one, host, M, b, K, &zero, c, M),
                     CUBLAS_STATUS_EXECUTION_FAILED);
    assert_int_equal(cudaDeviceSynchronize(), cudaErrorIllegalAddress);
}

static void test_destroyed_handle_is_refused(void **state) {
    (void)state;
    cublasHandle_t stale;
    assert_int_equal(cublasCreate_v2(&stale), 0);
    assert_int_equal(cublasDestroy_v2(stale), 0);
    assert_int_equal(cublasDestroy_v2(stale), CUBLAS_STATUS_NOT_INITIALIZED);
    assert_int_equal(fgsim_cublas_foreign_handles(), 0);
}

static void test_settings_are_kept(void **state) {
    (void)state;
    cublasMath_t math;
    int sms;
    cublasEmulationStrategy_t emulation;
    assert_int_equal(cublasSetMathMode(handle, CUBLAS_TF32_TENSOR_OP_MATH), 0);
    assert_int_equal(cublasGetMathMode(handle, &math), 0);
    assert_int_equal(math, CUBLAS_TF32_TENSOR_OP_MATH);
    assert_int_equal(cublasSetSmCountTarget(handle, 7), 0);
    assert_int_equal(cublasGetSmCountTarget(handle, &sms), 0);
    assert_int_equal(sms, 7);
    assert_int_equal(cublasGetEmulationStrategy(handle, &emulation), 0);
    assert_int_equal(emulation, 0);
}

static void test_ordered_failure_of_create(void **state) {
    (void)state;
    cublasHandle_t none;
    setenv("FASTGEMM_SIM_FAIL", "cublasCreate_v2:1=3", 1);
    fgsim_reset();
    assert_int_equal(cublasCreate_v2(&none), CUBLAS_STATUS_ALLOC_FAILED);
    unsetenv("FASTGEMM_SIM_FAIL");
    setenv("FASTGEMM_SIM_DEVICES", "0", 1);
    fgsim_reset();
    assert_int_equal(cublasCreate_v2(&none), CUBLAS_STATUS_NOT_INITIALIZED);
    unsetenv("FASTGEMM_SIM_DEVICES");
    fgsim_reset();
}

/* ---- two copies ---- */

static void test_handle_of_the_other_copy_is_noticed(void **state) {
    (void)state;
    void *other = dlopen("libcublas.so.12", RTLD_NOW | RTLD_LOCAL);
    if (!other) print_error("%s\n", dlerror());
    assert_non_null(other);
    cublasStatus_t (*destroy)(cublasHandle_t) = NULL;
    cublasStatus_t (*version)(cublasHandle_t, int *) = NULL;
    uint64_t (*foreign)(void) = NULL;
    *(void **)&destroy = dlvsym(other, "cublasDestroy_v2", "libcublas.so.12");
    *(void **)&version = dlsym(other, "cublasGetVersion_v2");
    *(void **)&foreign = dlsym(other, "fgsim_cublas_foreign_handles");
    assert_true(destroy && version && foreign);
    int number = 0, own = 0;
    assert_int_equal(version(NULL, &number), 0);
    assert_int_equal(cublasGetVersion_v2(NULL, &own), 0);
    assert_int_equal(number / 10000, 12);
    assert_int_equal(own / 10000, 13);
    assert_int_equal(destroy(handle), CUBLAS_STATUS_NOT_INITIALIZED);
    assert_int_equal(foreign(), 1);
    assert_int_equal(fgsim_cublas_foreign_handles(), 0);
    dlclose(other);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_product_is_right_and_beta_zero_ignores_c),
        TEST(test_transposed_operands),
        TEST(test_half_and_double_products),
        TEST(test_scalars_on_the_device_are_read_when_it_runs),
        TEST(test_each_argument_is_recorded),
        TEST(test_changed_forwarded_argument_is_noticed),
        TEST(test_another_entry_point_is_noticed),
        TEST(test_statuses_are_those_of_the_table),
        TEST(test_operand_outside_device_memory_is_noticed),
        TEST(test_destroyed_handle_is_refused),
        TEST(test_settings_are_kept),
        TEST(test_ordered_failure_of_create),
        TEST(test_handle_of_the_other_copy_is_noticed),
    };
    return cmocka_run_group_tests_name("stand-in cuBLAS", tests, NULL, NULL);
}
