/* What the library makes of a machine without a device, and of a driver older than its build. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../../interpose/device_traits.h"
#include "sim_api.h"

static void with(const char *variable, const char *value) {
    setenv(variable, value, 1);
    fgsim_reset();
}

static void test_no_device(void **state) {
    (void)state;
    enum gemm_reason reason = REASON_routed;
    with("FASTGEMM_SIM_DEVICES", "0");
    assert_null(device_traits_current(&reason));
    assert_int_equal(reason, REASON_no_device);
    unsetenv("FASTGEMM_SIM_DEVICES");
}

static void test_a_device_has_traits(void **state) {
    (void)state;
    enum gemm_reason reason = REASON_routed;
    fgsim_reset();
    const struct gemm_device *device = device_traits_current(&reason);
    assert_non_null(device);
    assert_int_equal(device->arch, 89);
}

static void test_an_old_driver_is_the_reason(void **state) {
    (void)state;
    enum gemm_reason reason = REASON_routed;
    with("FASTGEMM_SIM_DRIVER", "12080");
    assert_null(device_traits_current(&reason));
    assert_int_equal(reason, REASON_driver_too_old);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_device),
        cmocka_unit_test(test_a_device_has_traits),
        cmocka_unit_test(test_an_old_driver_is_the_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
