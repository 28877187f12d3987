/*
 * Tests of the simulation itself: each fault planted in a kernel has to be noticed. A test here passes when the check
 * it is about turns red.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <cuda_runtime_api.h>

#include "faulty_kernels.h"
#include "sim_api.h"
#include "sim_product.h"

#if defined(__SANITIZE_ADDRESS__)
enum { UNDER_ASAN = 1 };
#else
enum { UNDER_ASAN = 0 };
#endif

/* ---- faults in a real kernel ---- */

static const struct gemm_variant *small_variant(void) {
    return &gemm_variants[VARIANT_sgemm_simt_64x64x8];
}

/* Wrong elements of a product by the faulty kernel; negative for a failed launch. */
static int wrong_with(struct planted faults) {
    struct sim_product p = {.load_a = LOAD_MN4, .load_b = LOAD_K4, .m = 61, .n = 63, .k = 71, .alpha = 1};
    planted = faults;
    sim_product_make(&p, small_variant());
    void *argv[] = {&p.args};
    size_t shared = (size_t)gemm_variant_shared_bytes(small_variant(), p.load_a, p.load_b);
    cudaError_t error =
        cudaLaunchKernel((const void *)faulty_sgemm, (dim3){1, 1, 1}, (dim3){128, 1, 1}, argv, shared, NULL);
    int wrong = error ? -(int)error : sim_product_wrong(&p);
    if (error) fgsim_reset(); /* else nothing can be freed, and what was written outside would be told again */
    sim_product_free(&p);
    fgsim_reset();
    return wrong;
}

static void test_without_a_fault_the_kernel_is_right(void **state) {
    (void)state;
    for (int launch = 0; launch < 8; launch++) assert_int_equal(wrong_with((struct planted){0}), 0);
    assert_true(planted.barriers > 8 && planted.waits > 8);
}

/* Whether any of the orders shows the fault. */
static int seen_in_some_order(struct planted faults) {
    static const char *const orders[] = {"forward", "reverse", "warps", "shuffle:1", "shuffle:2"};
    int seen = 0;
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
        setenv("FASTGEMM_SIM_ORDER", orders[i], 1);
        fgsim_reset();
        seen += wrong_with(faults) != 0;
    }
    unsetenv("FASTGEMM_SIM_ORDER");
    fgsim_reset();
    return seen;
}

static void test_each_deleted_barrier_is_noticed(void **state) {
    (void)state;
    wrong_with((struct planted){0});
    int barriers = planted.barriers;
    /* The last two (end of the main loop, start of the epilogue) may stand in for each other: both are deleted. */
    for (int i = 1; i < barriers; i++) {
        int seen = seen_in_some_order((struct planted){.skip_barrier = i, .skip_more = i == barriers - 1});
        if (!seen) print_error("barrier %d of %d was deleted and nobody noticed\n", i, barriers);
        assert_true(seen);
    }
}

static void test_each_missing_asynchronous_wait_is_noticed(void **state) {
    (void)state;
    wrong_with((struct planted){0});
    int waits = planted.waits, tiles = (71 + 7) / 8;
    for (int i = 1; i <= tiles && i <= waits; i++) {
        int seen = seen_in_some_order((struct planted){.skip_wait = i});
        if (!seen) print_error("wait %d of %d was left out and nobody noticed\n", i, waits);
        assert_true(seen);
    }
}

static void test_unwritten_output_is_noticed(void **state) {
    (void)state;
    assert_int_equal(wrong_with((struct planted){.lost_rows = 1}), 63);
}

static void test_lost_slice_of_k_is_noticed(void **state) {
    (void)state;
    assert_true(wrong_with((struct planted){.lost_k = 1}) > 0);
}

/* ---- small kernels that break one rule each ---- */

struct outcome {
    cudaError_t launch, sync;
    float d[64];
};

enum { FLOATS_A = 100, FLOATS_D = 64 };

static struct outcome run_small(void (*kernel)(void **), unsigned threads) {
    struct gemm_args args = {.m = FLOATS_A, .n = FLOATS_D};
    struct outcome outcome;
    float *a, *d;
    fgsim_reset();
    assert_int_equal(cudaMalloc((void **)&a, FLOATS_A * sizeof *a), 0);
    assert_int_equal(cudaMalloc((void **)&d, FLOATS_D * sizeof *d), 0);
    for (int i = 0; i < FLOATS_A; i++) a[i] = (float)i;
    args.a = a, args.d = d;
    void *argv[] = {&args};
    outcome.launch = cudaLaunchKernel((const void *)(uintptr_t)kernel, (dim3){1, 1, 1}, (dim3){threads, 1, 1}, argv,
                                      32 * sizeof(float), NULL);
    outcome.sync = cudaDeviceSynchronize();
    memcpy(outcome.d, d, sizeof outcome.d);
    char fault[512];
    snprintf(fault, sizeof fault, "%s", fgsim_last_fault());
    fgsim_reset();
    cudaFree(a);
    cudaFree(d);
    if (outcome.launch) assert_non_null(strstr(fault, "kernel ")); /* the line says which */
    fgsim_reset();
    return outcome;
}

static void test_divergent_barriers_end_the_launch(void **state) {
    (void)state;
    assert_int_equal(run_small(barrier_in_a_branch, 64).launch, cudaErrorLaunchFailure);
    assert_int_equal(run_small(barrier_after_an_exit, 64).launch, cudaErrorLaunchFailure);
    assert_int_equal(run_small(warp_against_barrier, 32).launch, cudaErrorLaunchFailure);
}

static void test_a_fault_sticks_until_reset(void **state) {
    (void)state;
    struct outcome outcome = run_small(barrier_after_an_exit, 64);
    assert_int_equal(outcome.sync, cudaErrorLaunchFailure);
    assert_int_equal(run_small(sound_warp_operations, 64).sync, cudaSuccess);
}

static void test_misaligned_accesses_end_the_launch(void **state) {
    (void)state;
    assert_int_equal(run_small(misaligned_copy, 32).launch, cudaErrorMisalignedAddress);
    assert_int_equal(run_small(misaligned_vector, 32).launch, cudaErrorMisalignedAddress);
}

static void test_asynchronous_copy_past_the_end_ends_the_launch(void **state) {
    (void)state;
    assert_int_equal(run_small(copy_past_end, 32).launch, cudaErrorIllegalAddress);
}

static void test_unwritten_shared_memory_is_nan(void **state) {
    (void)state;
    struct outcome outcome = run_small(shared_never_written, 32);
    for (int i = 0; i < 32; i++) assert_true(isnan(outcome.d[i]));
}

static void test_copy_never_waited_for_never_lands(void **state) {
    (void)state;
    struct outcome outcome = run_small(copy_never_waited_for, 32);
    for (int i = 0; i < 32; i++) assert_true(isnan(outcome.d[i]));
}

static void test_copy_reads_its_source_when_it_lands(void **state) {
    (void)state;
    assert_true(run_small(copy_source_overwritten, 32).d[3] == 2.0f);
}

static void test_warp_operations_are_right(void **state) {
    (void)state;
    for (int launch = 0; launch < 5; launch++) {
        struct outcome outcome = run_small(sound_warp_operations, 64);
        assert_int_equal(outcome.launch, cudaSuccess);
        for (int i = 0; i < 64; i++) assert_true(outcome.d[i] == 1.0f);
    }
}

/* ---- ends of memory: AddressSanitizer kills at the first byte, guard bands tell without it ---- */

/* Whether a child that runs the kernel dies. */
static int child_dies(void (*kernel)(void **)) {
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        if (!freopen("/dev/null", "w", stderr)) _exit(2);
        struct gemm_args args = {.m = FLOATS_A, .n = FLOATS_D};
        cudaMalloc((void **)(uintptr_t)&args.a, FLOATS_A * sizeof(float));
        cudaMalloc((void **)&args.d, FLOATS_D * sizeof(float));
        void *argv[] = {&args};
        cudaLaunchKernel((const void *)(uintptr_t)kernel, (dim3){1, 1, 1}, (dim3){32, 1, 1}, argv, 128, NULL);
        _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

static void test_out_of_range_read_is_noticed(void **state) {
    (void)state;
    if (UNDER_ASAN) {
        assert_true(child_dies(read_past_end));
        return;
    }
    struct outcome outcome = run_small(read_past_end, 32);
    assert_true(outcome.d[30] == (float)(FLOATS_A - 1));
    assert_true(isnan(outcome.d[31])); /* the guard band's NaN: no check against a reference lets it pass */
}

static void test_out_of_range_write_is_noticed(void **state) {
    (void)state;
    if (UNDER_ASAN)
        assert_true(child_dies(write_past_end));
    else
        assert_int_equal(run_small(write_past_end, 32).sync, cudaErrorIllegalAddress);
}

static void test_write_past_shared_memory_is_noticed(void **state) {
    (void)state;
    if (UNDER_ASAN)
        assert_true(child_dies(write_past_shared));
    else
        assert_int_equal(run_small(write_past_shared, 32).launch, cudaErrorIllegalAddress);
}

int main(void) {
    const struct CMUnitTest children_first[] = {
        cmocka_unit_test(test_out_of_range_read_is_noticed),
        cmocka_unit_test(test_out_of_range_write_is_noticed),
        cmocka_unit_test(test_write_past_shared_memory_is_noticed),
    };
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_a_fault_the_kernel_is_right),
        cmocka_unit_test(test_each_deleted_barrier_is_noticed),
        cmocka_unit_test(test_each_missing_asynchronous_wait_is_noticed),
        cmocka_unit_test(test_unwritten_output_is_noticed),
        cmocka_unit_test(test_lost_slice_of_k_is_noticed),
        cmocka_unit_test(test_divergent_barriers_end_the_launch),
        cmocka_unit_test(test_a_fault_sticks_until_reset),
        cmocka_unit_test(test_misaligned_accesses_end_the_launch),
        cmocka_unit_test(test_asynchronous_copy_past_the_end_ends_the_launch),
        cmocka_unit_test(test_unwritten_shared_memory_is_nan),
        cmocka_unit_test(test_copy_never_waited_for_never_lands),
        cmocka_unit_test(test_copy_reads_its_source_when_it_lands),
        cmocka_unit_test(test_warp_operations_are_right),
    };
    int failed = cmocka_run_group_tests_name("ends of memory", children_first, NULL, NULL);
    return failed + cmocka_run_group_tests_name("planted faults", tests, NULL, NULL);
}
