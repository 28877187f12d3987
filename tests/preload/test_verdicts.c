/*
 * Products that the library's own choice forwards, seen from a linked program: from the second on, cuBLAS is asked
 * nothing before it is given the call. What differs in anything that counts is looked at anew.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <cuda_runtime_api.h>

#include "routed.h"
#include "sim_api.h"

enum { SQUARE = 376, NARROW = 64, HUGE_K = 1 << 16, ASKED = 1, NOT_ASKED = 0 };

static const float one = 1, zero = 0;

static cublasHandle_t new_handle(void) {
    cublasHandle_t made;
    assert_int_equal(cublasCreate_v2(&made), CUBLAS_STATUS_SUCCESS);
    return made;
}

/* Forwarded, after questions to cuBLAS or without. */
static void check_forwarded(const struct door_call *call, int asked) {
    fgsim_reset();
    fgsim_cublas_reset();
    const uint64_t before = fgsim_cublas_settings_read();
    assert_int_equal(doors[0].call(doors[0].linked, call), CUBLAS_STATUS_SUCCESS);
    assert_int_equal(fgsim_cublas_settings_read() > before, asked);
    assert_int_equal(fgsim_cublas_calls(NULL, 0), 1);
    assert_int_equal(fgsim_launches("sgemm_"), 0);
}

static void check_ours(const struct door_call *call) {
    fgsim_reset();
    fgsim_cublas_reset();
    assert_int_equal(doors[0].call(doors[0].linked, call), CUBLAS_STATUS_SUCCESS);
    assert_int_equal(fgsim_cublas_calls(NULL, 0), 0);
    assert_int_equal(fgsim_launches("sgemm_"), 1);
}

static void test_forwarded_at_once(void **state) {
    (void)state;
    struct door_call call = product_of(new_handle(), SQUARE, SQUARE, SQUARE);
    check_forwarded(&call, ASKED);
    check_forwarded(&call, NOT_ASKED);
    call.beta = &zero; /* whatever the scalars */
    check_forwarded(&call, NOT_ASKED);
    call.op_a = CUBLAS_OP_T;
    check_forwarded(&call, ASKED);
    check_forwarded(&call, NOT_ASKED);
    call.op_a = CUBLAS_OP_N;
    call.n--;
    check_forwarded(&call, ASKED);
    check_forwarded(&call, NOT_ASKED);
    call.n++;
    call.handle = new_handle(); /* the same device: what holds for one handle holds for the other */
    check_forwarded(&call, NOT_ASKED);
    assert_int_equal(cublasDestroy_v2(call.handle), CUBLAS_STATUS_SUCCESS);
    release(&call);
}

/* A math mode that is cuBLAS's is so while it is set. */
static void test_math_mode(void **state) {
    (void)state;
    struct door_call call = product_of(new_handle(), NARROW, NARROW / 2, HUGE_K);
    call.beta = &zero, call.alpha = &one;
    check_ours(&call);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(cublasSetMathMode(call.handle, CUBLAS_PEDANTIC_MATH), CUBLAS_STATUS_SUCCESS);
        for (int i = 0; i < 2; i++) check_forwarded(&call, NOT_ASKED);
        assert_int_equal(cublasSetMathMode(call.handle, CUBLAS_DEFAULT_MATH), CUBLAS_STATUS_SUCCESS);
        check_ours(&call);
    }
    check_result(&call, 1);
    assert_int_equal(cublasDestroy_v2(call.handle), CUBLAS_STATUS_SUCCESS);
    release(&call);
}

/* What one call does not say, another's verdict does not say for it. */
static void test_others_are_looked_at(void **state) {
    (void)state;
    struct door_call ours = product_of(new_handle(), NARROW, NARROW / 2, HUGE_K);
    struct door_call theirs = product_of(ours.handle, SQUARE, SQUARE, SQUARE);
    ours.beta = &zero, ours.alpha = &one;
    for (int i = 0; i < 3; i++) {
        check_forwarded(&theirs, NOT_ASKED);
        check_ours(&ours);
    }
    check_result(&ours, 1);
    assert_int_equal(cublasDestroy_v2(ours.handle), CUBLAS_STATUS_SUCCESS);
    release(&ours);
    release(&theirs);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forwarded_at_once),
        cmocka_unit_test(test_math_mode),
        cmocka_unit_test(test_others_are_looked_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
