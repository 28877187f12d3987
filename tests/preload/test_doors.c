/*
 * Forwarding, seen from a linked program: each call that is not ours arrives at the stand-in cuBLAS once, through the
 * same function, with every argument as it was passed, and its status comes back.
 */
#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <cuda_runtime_api.h>

#include "doors.h"
#include "sim_api.h"

static void *real_library;
static cublasHandle_t handle;
static float *memory;
static float *(*lists)[2]; /* of pointers to A, B and C; on the device */
static const float one = 1, two = 2;
enum { FLOATS = 3 << 16 };

static struct door_call valid_call(void) {
    return (struct door_call){.handle = handle,
                              .op_a = CUBLAS_OP_T,
                              .op_b = CUBLAS_OP_N,
                              .m = 5,
                              .n = 7,
                              .k = 3,
                              .alpha = &one,
                              .beta = &two,
                              .a = memory,
                              .b = memory + (1 << 16),
                              .c = memory + (2 << 16),
                              .lda = 11,
                              .ldb = 13,
                              .ldc = 17,
                              .stride_a = 101,
                              .stride_b = 103,
                              .stride_c = 200,
                              .batch = 2,
                              .type_a = CUDA_R_32F,
                              .type_b = CUDA_R_32F,
                              .type_c = CUDA_R_32F,
                              .compute = CUBLAS_COMPUTE_32F,
                              .algo = CUBLAS_GEMM_DEFAULT};
}

/* A valid call for the door: its batch a stride apart, or as arrays of pointers. */
static struct door_call valid_call_for(const struct door *door) {
    struct door_call call = valid_call();
    for (int i = 0; i < 2 && door->pointers; i++) {
        lists[0][i] = (float *)(uintptr_t)call.a + i * call.stride_a;
        lists[1][i] = (float *)(uintptr_t)call.b + i * call.stride_b;
        lists[2][i] = (float *)call.c + i * call.stride_c;
    }
    if (door->pointers) call.a = lists[0], call.b = lists[1], call.c = lists[2];
    return call;
}

static struct fgsim_cublas_call recorded_once(void) {
    struct fgsim_cublas_call call;
    assert_int_equal(fgsim_cublas_calls(&call, 1), 1);
    return call;
}

static bool is_intercepted(void *function) {
    Dl_info info;
    return dladdr(function, &info) && strstr(info.dli_fname, "libfastgemm") != NULL;
}

/* The call through the linked door is recorded as the same call made directly. */
static void check_forwarding(const struct door *door, const struct door_call *call) {
    void *real = dlsym(real_library, door->name);
    assert_non_null(real);
    assert_ptr_not_equal(real, door->linked);
    fgsim_cublas_reset();
    cublasStatus_t expected = door->call(real, call);
    struct fgsim_cublas_call direct = recorded_once();
    fgsim_cublas_reset();
    cublasStatus_t status = door->call(door->linked, call);
    struct fgsim_cublas_call through = recorded_once();
    assert_string_equal(through.function, door->name);
    assert_int_equal(fgsim_cublas_compare(&direct, &through), -1);
    assert_int_equal(status, expected);
    assert_int_equal(through.status, expected);
}

static void test_every_door_is_ours(void **state) {
    (void)state;
    for (int i = 0; i < DOOR_COUNT; i++) assert_true(is_intercepted(doors[i].linked));
    assert_true(is_intercepted((void *)cublasSetStream_v2));
    assert_true(is_intercepted((void *)cublasCreate_v2));
}

/* Small products: no route is worth it. Each argument has another value, so that none can be taken for another. */
static void test_small_products(void **state) {
    (void)state;
    for (int i = 0; i < DOOR_COUNT; i++) {
        struct door_call call = valid_call_for(&doors[i]);
        check_forwarding(&doors[i], &call);
    }
}

static void test_sizes_beyond_int(void **state) {
    (void)state;
    for (int i = 0; i < DOOR_COUNT; i++) {
        struct door_call call = valid_call_for(&doors[i]);
        if (!doors[i].wide) continue;
        call.m = INT64_C(0x123456789), call.n = INT64_C(0x223456789), call.k = INT64_C(-0x323456789);
        call.lda = INT64_C(0x423456789), call.ldb = INT64_C(0x523456789), call.ldc = INT64_C(0x623456789);
        call.stride_a = INT64_C(0x723456789), call.stride_b = -call.stride_a, call.stride_c = INT64_C(0x823456789);
        check_forwarding(&doors[i], &call);
    }
}

static void check_all(void (*spoil)(struct door_call *call)) {
    for (int i = 0; i < DOOR_COUNT; i++) {
        struct door_call call = valid_call_for(&doors[i]);
        spoil(&call);
        check_forwarding(&doors[i], &call);
    }
}

/* Each makes a valid call invalid, or empty, in one respect. */
#define SPOILERS(X)                                                                                                    \
    X(null_handle, call->handle = NULL)                                                                                \
    X(op_a, call->op_a = 7)                                                                                            \
    X(op_b, call->op_b = -1)                                                                                           \
    X(conjugate, call->op_a = CUBLAS_OP_C)                                                                             \
    X(m_negative, call->m = -1)                                                                                        \
    X(n_negative, call->n = -2)                                                                                        \
    X(k_negative, call->k = -3)                                                                                        \
    X(lda_small, call->lda = 2)                                                                                        \
    X(ldb_small, call->ldb = 2)                                                                                        \
    X(ldc_small, call->ldc = 4)                                                                                        \
    X(alpha_null, call->alpha = NULL)                                                                                  \
    X(beta_null, call->beta = NULL)                                                                                    \
    X(c_null, call->c = NULL)                                                                                          \
    X(m_zero, call->m = 0)                                                                                             \
    X(n_zero, call->n = 0)                                                                                             \
    X(k_zero, call->k = 0)                                                                                             \
    X(batch_zero, call->batch = 0)                                                                                     \
    X(batch_negative, call->batch = -1)                                                                                \
    X(half, call->type_a = call->type_b = call->type_c = CUDA_R_16F)                                                   \
    X(mixed, call->type_c = CUDA_R_64F)                                                                                \
    X(types, call->type_a = CUDA_R_16F; call->type_b = CUDA_R_16BF; call->type_c = CUDA_R_64F)                         \
    X(compute_16f, call->compute = CUBLAS_COMPUTE_16F)                                                                 \
    X(compute_pedantic, call->compute = CUBLAS_COMPUTE_32F_PEDANTIC)                                                   \
    X(compute_fast_16bf, call->compute = CUBLAS_COMPUTE_32F_FAST_16BF)                                                 \
    X(compute_fast_tf32, call->compute = CUBLAS_COMPUTE_32F_FAST_TF32)                                                 \
    X(algo_numbered, call->algo = 3)                                                                                   \
    X(algo_tensor, call->algo = CUBLAS_GEMM_DEFAULT_TENSOR_OP)

#define SPOILER(name, change)                                                                                          \
    static void spoil_##name(struct door_call *call) {                                                                 \
        change;                                                                                                        \
    }                                                                                                                  \
    static void test_##name(void **state) {                                                                            \
        (void)state;                                                                                                   \
        check_all(spoil_##name);                                                                                       \
    }
SPOILERS(SPOILER)

/* The doors that are recorded on their way. */
static void test_handle_doors(void **state) {
    (void)state;
    struct fgsim_cublas_call call;
    cudaStream_t stream;
    cublasHandle_t second;
    assert_int_equal(cudaStreamCreate(&stream), cudaSuccess);
    fgsim_cublas_reset();
    assert_int_equal(cublasCreate_v2(&second), CUBLAS_STATUS_SUCCESS);
    call = recorded_once();
    assert_string_equal(call.function, "cublasCreate_v2");
    assert_int_equal(call.argument[0], (intptr_t)&second);
    fgsim_cublas_reset();
    assert_int_equal(cublasSetStream_v2(second, stream), CUBLAS_STATUS_SUCCESS);
    call = recorded_once();
    assert_string_equal(call.function, "cublasSetStream_v2");
    assert_int_equal(call.argument[1], (intptr_t)stream);
    fgsim_cublas_reset();
    assert_int_equal(cublasSetWorkspace_v2(second, memory, 4096), CUBLAS_STATUS_SUCCESS);
    call = recorded_once();
    assert_string_equal(call.function, "cublasSetWorkspace_v2");
    assert_int_equal(call.argument[0], (intptr_t)second);
    assert_int_equal(call.argument[1], (intptr_t)memory);
    assert_int_equal(call.argument[2], 4096);
    fgsim_cublas_reset();
    assert_int_equal(cublasDestroy_v2(second), CUBLAS_STATUS_SUCCESS);
    call = recorded_once();
    assert_string_equal(call.function, "cublasDestroy_v2");
    assert_int_equal(cublasDestroy_v2(second), CUBLAS_STATUS_NOT_INITIALIZED);
    assert_int_equal(cublasSetStream_v2(NULL, stream), CUBLAS_STATUS_NOT_INITIALIZED);
    assert_int_equal(cudaStreamDestroy(stream), cudaSuccess);
}

static void test_nothing_ran_here(void **state) {
    (void)state;
    assert_int_equal(fgsim_launches("sgemm_"), 0);
    assert_int_equal(fgsim_cublas_foreign_handles(), 0);
    assert_int_equal(cudaPeekAtLastError(), cudaSuccess);
}

static int set_up(void **state) {
    (void)state;
    real_library = dlopen("libcublas.so.13", RTLD_NOLOAD | RTLD_LAZY);
    if (!real_library || cudaMalloc((void **)&memory, FLOATS * sizeof(float)) != cudaSuccess) return -1;
    cudaMemset(memory, 0, FLOATS * sizeof(float));
    if (cudaMalloc((void **)&lists, 3 * sizeof *lists) != cudaSuccess) return -1;
    return cublasCreate_v2(&handle) == CUBLAS_STATUS_SUCCESS ? 0 : -1;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_door_is_ours),
        cmocka_unit_test(test_small_products),
        cmocka_unit_test(test_sizes_beyond_int),
#define SPOILER_TEST(name, change) cmocka_unit_test(test_##name),
        SPOILERS(SPOILER_TEST)
#undef SPOILER_TEST
            cmocka_unit_test(test_handle_doors),
        cmocka_unit_test(test_nothing_ran_here),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
