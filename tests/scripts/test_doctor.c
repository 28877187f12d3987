/* scripts/fastgemm doctor: what it says of machines good and bad. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "shell.h"

#define DOCTOR                                                                                                         \
    "LD_LIBRARY_PATH='" BUILD "/sim/sim_cudart:" BUILD "/sim/sim_cublas13' FASTGEMM_PARTS='" PROBE_FOLDER              \
    "' FASTGEMM_LIBRARY='" SIM_LIBRARY "' sh -u '" SOURCE "/scripts/fastgemm' doctor"

static void all_is_well(void **state) {
    (void)state;
    const struct outcome *o = shell(DOCTOR);
    assert_status(o, 0);
    assert_says(o, "library     " SIM_LIBRARY);
    assert_says(o, "GPU         Simulated GPU");
    assert_says(o, "libcublas.so.13");
    assert_says(o, "intercepts  1 of 1 call seen");
#if defined(__x86_64__)
    assert_says(o, "dlsym       gives the function of " SIM_LIBRARY);
#endif
    assert_says(o, "product     sgemm_");
    assert_null(strstr(o->text, "NOT OK"));
    assert_says(o, "\nok\n");
}

static void without_a_gpu(void **state) {
    (void)state;
    const struct outcome *o = shell("export FASTGEMM_SIM_DEVICES=0; " DOCTOR);
    assert_status(o, 1);
    assert_says(o, "install NVIDIA's driver");
    assert_says(o, "GPU         none");
    assert_says(o, "intercepts  1 of 1 call seen");
    assert_says(o, "\nnot ok\n");
}

static void a_driver_older_than_the_build(void **state) {
    (void)state;
    const struct outcome *o = shell("export FASTGEMM_SIM_DRIVER=12080; " DOCTOR);
    assert_status(o, 1);
    assert_says(o, "driver      for CUDA 12.8");
    assert_says(o, "update the driver, or build with the CUDA toolkit that it serves");
}

static void an_architecture_without_kernels(void **state) {
    (void)state;
    const struct outcome *o = shell("export FASTGEMM_SIM_CC=7.5; " DOCTOR);
    assert_status(o, 1);
    assert_says(o, "no kernel for this architecture");
    assert_says(o, "intercepts  1 of 1 call seen");
}

static void switched_off(void **state) {
    (void)state;
    const struct outcome *o = shell("export FASTGEMM=off; " DOCTOR);
    assert_status(o, 1);
    assert_says(o, "unset FASTGEMM");
    /* What is set is set aside for the check itself. */
    assert_says(o, "intercepts  1 of 1 call seen");
}

static void look_ups_switched_off(void **state) {
    (void)state;
    assert_says(shell("export FASTGEMM_DLSYM=off; " DOCTOR), "get cuBLAS's own functions");
}

/* A library that takes no call: doctor counts, so it notices. */
static void a_library_that_intercepts_nothing(void **state) {
    (void)state;
    const struct outcome *o =
        shell("library=$(ls /lib/*/libm.so.6 | head -n 1); cd '%s' && cp \"$library\" libfastgemm.so && "
              "export FASTGEMM_LIBRARY=\"$PWD/libfastgemm.so\" FASTGEMM_PARTS='" PROBE_FOLDER "' && sh -u '" SOURCE
              "/scripts/fastgemm' doctor",
              own_folder());
    assert_status(o, 1);
    assert_says(o, "cublasSgemm_v2 is bound to nothing");
    assert_says(o, "not ok");
}

static void a_failing_launch(void **state) {
    (void)state;
    const struct outcome *o = shell("export FASTGEMM_SIM_FAIL=cudaLaunchKernelExC,cudaLaunchKernel; " DOCTOR);
    assert_status(o, 1);
    assert_says(o, "NOT OK");
}

static void the_doors_of_a_program(void **state) {
    (void)state;
    const struct outcome *o = shell(DOCTOR " '" DEMO_CLIENT "'");
    assert_status(o, 0);
    assert_says(o, "doors       cublasSgemm_v2\n");
    assert_null(strstr(o->text, "by dlsym"));
    o = shell(DOCTOR " '" BUILD "/tests/preload/libby_hand.so'");
    assert_status(o, 0);
    assert_says(o, "by dlsym    cublasSgemm_v2\n");
    assert_null(strstr(o->text, "\ndoors"));
    o = shell(DOCTOR " true");
    assert_says(o, "doors       none named");
    assert_status(shell(DOCTOR " /no/such/program"), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_is_well),
        cmocka_unit_test(without_a_gpu),
        cmocka_unit_test(a_driver_older_than_the_build),
        cmocka_unit_test(an_architecture_without_kernels),
        cmocka_unit_test(switched_off),
        cmocka_unit_test(look_ups_switched_off),
        cmocka_unit_test(a_library_that_intercepts_nothing),
        cmocka_unit_test(a_failing_launch),
        cmocka_unit_test(the_doors_of_a_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
