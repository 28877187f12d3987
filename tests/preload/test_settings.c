/*
 * What a person sees and sets: where calls go under each mode and variable, the three logs, their file, settings that
 * are wrong, and FASTGEMM=off. Each case is a run of `client` under the preload.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "reasons.h"
#include "spawn.h"

#define SMALL "FASTGEMM_KERNEL=sgemm_simt_64x64x8 "

static struct run result;

/* Runs the client under the preload; it ends well. */
static void client(const char *settings, const char *acts) {
    char environment[4096], command[4096];
    snprintf(environment, sizeof environment, PRELOAD " %s", settings);
    snprintf(command, sizeof command, CLIENT " %s", acts);
    run_program(&result, environment, command);
    if (result.status) fail_msg("%s %s: status %x\n%s%s", environment, command, result.status, result.out, result.err);
}

static void check_contains(const char *text, const char *part) {
    if (!strstr(text, part)) fail_msg("'%s' is not in:\n%s", part, text);
}

/* One call that goes to cuBLAS for this reason, or runs on a kernel of ours (REASON_routed). */
static void check_reason(const char *settings, const char *acts, enum gemm_reason reason) {
    char all[1024], expected[512];
    snprintf(all, sizeof all, "FASTGEMM_LOG=summary %s", settings);
    client(all, acts);
    bool routed = reason == REASON_routed;
    snprintf(expected, sizeof expected, "launches=%d products=%d error=0", routed, !routed);
    check_contains(result.out, expected);
    snprintf(expected, sizeof expected, "-> %s%s",
             routed ? "sgemm_" : "cuBLAS: ", routed ? "" : gemm_reason_text(reason));
    check_contains(result.err, expected);
    snprintf(expected, sizeof expected, "fastgemm: total 1 calls: %d routed, %d forwarded\n", routed, !routed);
    check_contains(result.err, expected);
}

static void test_call_reasons(void **state) {
    (void)state;
    check_reason(SMALL, "n=64", REASON_routed);
    check_reason(SMALL, "ex=68", REASON_routed);
    check_reason(SMALL, "ex=69", REASON_pedantic);
    check_reason(SMALL, "ex=74", REASON_math_mode);
    check_reason(SMALL, "ex=75", REASON_math_mode);
    check_reason("", "size=400 ex=77", REASON_tf32_allowed);
    check_reason(SMALL, "ex=77", REASON_routed); /* a kernel that is forced does as well as TF32 */
    check_reason(SMALL, "ex=78", REASON_emulation);
    check_reason(SMALL, "ex=70", REASON_not_fp32);
    check_reason(SMALL, "half", REASON_not_fp32);
    check_reason(SMALL, "algo=99", REASON_routed);
    check_reason(SMALL, "algo=7", REASON_math_mode);
    check_reason(SMALL, "empty", REASON_empty);
    check_reason(SMALL, "invalid", REASON_invalid);
}

static void test_handle_reasons(void **state) {
    (void)state;
    check_reason(SMALL, "math=0 n=64", REASON_routed);
    check_reason(SMALL, "math=1 n=64", REASON_math_mode);
    check_reason(SMALL, "math=2 n=64", REASON_pedantic);
    check_reason("", "math=3 n=400", REASON_tf32_allowed);
    check_reason(SMALL, "math=4 n=64", REASON_emulation);
    check_reason(SMALL, "math=8 n=64", REASON_emulation);
    check_reason(SMALL, "math=16 n=64", REASON_routed);
    check_reason("", "math=19 n=400", REASON_tf32_allowed);
    check_reason(SMALL, "math=18 n=64", REASON_pedantic);
    check_reason(SMALL, "math=2 ex=77", REASON_pedantic);
    check_reason(SMALL, "strategy=2 n=64", REASON_emulation);
    check_reason(SMALL, "sms=4 n=64", REASON_routed);
}

/* What the user and NVIDIA's own variables say of precision, whatever the policy makes of it. */
static void check_precision(const char *settings, const char *acts, bool tf32) {
    char all[1024];
    snprintf(all, sizeof all, "FASTGEMM_LOG=bench %s", settings);
    client(all, acts);
    check_contains(result.err, " contract=");
    if ((strstr(result.err, " contract=tf32") != NULL) != tf32)
        fail_msg("%s %s: TF32 %s expected:\n%s", settings, acts, tf32 ? "is" : "is not", result.err);
    check_contains(result.err, "fastgemm: total 1 calls");
}

#define TF32_KERNEL "FASTGEMM_KERNEL=sgemm_tf32_mma_64x64x16 "

/* TF32 on the user's word alone is said in the summary; a TF32 kernel is nobody else's, and never against the override.
 */
static void test_unasked_tf32(void **state) {
    (void)state;
    static const char line[] = "1 x TF32 for callers that did not ask for it (FASTGEMM_PRECISION=tf32)\n";
    check_reason(TF32_KERNEL "FASTGEMM_PRECISION=tf32", "n=64", REASON_routed);
    check_contains(result.err, line);
    check_reason(TF32_KERNEL, "math=3 n=64", REASON_routed);
    assert_null(strstr(result.err, line));
    check_reason(TF32_KERNEL "NVIDIA_TF32_OVERRIDE=1", "n=64", REASON_routed);
    assert_null(strstr(result.err, line));
    check_reason(TF32_KERNEL, "n=64", REASON_forced_kernel);
    check_reason(TF32_KERNEL "FASTGEMM_PRECISION=ieee", "math=3 n=64", REASON_forced_kernel);
    check_reason(TF32_KERNEL "NVIDIA_TF32_OVERRIDE=0", "math=3 n=64", REASON_forced_kernel);
    check_reason(TF32_KERNEL "NVIDIA_TF32_OVERRIDE=0 FASTGEMM_PRECISION=tf32", "ex=77", REASON_forced_kernel);
}

static void test_precision(void **state) {
    (void)state;
    check_precision("", "n=400", false);
    check_precision("FASTGEMM_PRECISION=tf32", "n=400", true);
    check_precision("FASTGEMM_PRECISION=ieee", "math=3 n=400", false);
    check_precision("NVIDIA_TF32_OVERRIDE=0", "math=3 n=400", false);
    check_precision("NVIDIA_TF32_OVERRIDE=0", "size=400 ex=77", false);
    check_precision("NVIDIA_TF32_OVERRIDE=0 FASTGEMM_PRECISION=tf32", "n=400", false);
    check_precision("NVIDIA_TF32_OVERRIDE=1", "n=400", true);
    check_reason(SMALL "CUBLAS_EMULATE_SINGLE_PRECISION=1", "n=64", REASON_emulation);
    check_reason(SMALL "CUBLAS_EMULATE_SINGLE_PRECISION=0", "n=64", REASON_routed);
    check_reason(SMALL "CUBLAS_EMULATION_STRATEGY=eager", "n=64", REASON_emulation);
    client(SMALL "FASTGEMM_LOG=bench FASTGEMM_PRECISION=ieee", "math=3 n=64");
    check_contains(result.err, "contract=ieee");
}

/* The third to ask is the first product: before it come cuBLAS's own creation of the handle, and our note of it. */
static void test_no_device(void **state) {
    (void)state;
    check_reason(SMALL "FASTGEMM_SIM_FAIL=cuCtxGetDevice=201,cudaGetDevice:3=100", "n=64", REASON_no_device);
    check_reason(SMALL "FASTGEMM_SIM_CC=7.5", "n=64", REASON_forced_kernel);
}

static void test_summary(void **state) {
    (void)state;
    char expected[256];
    client(SMALL "FASTGEMM_LOG=summary", "n=64 n=64 n=64 n=65 invalid n=64");
    snprintf(expected, sizeof expected, "fastgemm: summary of process %ld\n", result.pid);
    check_contains(result.err, expected);
    check_contains(result.err, "fastgemm:        4 x cublasSgemm_v2 NN m=64 n=64 k=64 batch=1 ld=64,64,64 [square] -> "
                               "sgemm_simt_64x64x8 split 1 raster 1 (forced)\n");
    check_contains(result.err, "fastgemm:        1 x cublasSgemm_v2 NN m=65 n=65 k=65 batch=1 ld=65,65,65 [irregular] "
                               "-> sgemm_simt_64x64x8");
    check_contains(result.err, "fastgemm: total 6 calls: 5 routed, 1 forwarded\n");
    assert_int_equal(occurrences(result.err, "\n"), 5);
}

static void test_calls(void **state) {
    (void)state;
    client(SMALL "FASTGEMM_LOG=calls", "n=64 n=64 invalid");
    assert_int_equal(occurrences(result.err, "fastgemm: cublasSgemm_v2 NN m=64 n=64 k=64"), 3);
    check_contains(result.err, "fastgemm: total 3 calls: 2 routed, 1 forwarded\n");
}

/* 64 threads that meet the same problem first count it 64 times. */
static void test_threads_lose_no_count(void **state) {
    (void)state;
    run_program(&result, PRELOAD " FASTGEMM_LOG=calls", COPIES " 64_threads");
    assert_int_equal(result.status, 0);
    assert_int_equal(occurrences(result.err, "fastgemm: cublasSgemm_v2 "), 64);
    check_contains(result.err, "fastgemm:       64 x cublasSgemm_v2 ");
    check_contains(result.err, "fastgemm: total 64 calls: 0 routed, 64 forwarded\n");
}

static void test_bench(void **state) {
    (void)state;
    client(SMALL "FASTGEMM_LOG=bench", "n=64 n=64 invalid");
    check_contains(result.err,
                   "fastgemm: bench entry=cublasSgemm_v2 ops=NN m=64 n=64 k=64 batch=1 lda=64 ldb=64 ldc=64 stride_a=0 "
                   "stride_b=0 stride_c=0 align_a=16 align_b=16 alpha=1 beta=0 epilogue=none contract=fp32 calls=2 "
                   "route=sgemm_simt_64x64x8\n");
    assert_int_equal(occurrences(result.err, "bench entry="), 1);
}

/* Problems beyond the table are still counted. */
static void test_more_problems_than_rows(void **state) {
    (void)state;
    client("FASTGEMM_LOG=summary", "distinct=4100");
    check_contains(result.err, "fastgemm: total 4100 calls: 0 routed, 4100 forwarded\n");
    check_contains(result.err, "4 x other problems");
}

static void test_off_leaves_no_trace(void **state) {
    (void)state;
    client("FASTGEMM=off FASTGEMM_LOG=calls FASTGEMM_NONSENSE=1 " SMALL, "n=64 n=256 invalid legacy");
    check_contains(result.out, "launches=0 products=4 error=0");
    assert_string_equal(result.err, "");
}

static void test_silent_by_default(void **state) {
    (void)state;
    client(SMALL, "n=64");
    check_contains(result.out, "launches=1 products=0 error=0");
    assert_string_equal(result.err, "");
    client("FASTGEMM_LOG=summary", "");
    assert_string_equal(result.err, "");
}

static void test_legacy_is_untouched(void **state) {
    (void)state;
    client(SMALL "FASTGEMM_LOG=summary", "legacy");
    check_contains(result.out, "launches=0 products=1 error=0");
    assert_string_equal(result.err, "");
}

/* One line each, and the default in its place. */
static void test_wrong_settings(void **state) {
    (void)state;
    client("FASTGEMM_LOG=loud FASTGEMM_COLOUR=red FASTGEMM_KERNEL=nonsense", "n=64 n=64");
    check_contains(result.out, "launches=0 products=2");
    check_contains(result.err, "FASTGEMM_LOG");
    check_contains(result.err, "FASTGEMM_COLOUR");
    check_contains(result.err, "FASTGEMM_KERNEL");
    assert_int_equal(occurrences(result.err, "fastgemm: "), 3);
    assert_int_equal(occurrences(result.err, "\n"), 3);
}

static void read_file(const char *path, char *text, size_t size) {
    FILE *file = fopen(path, "r");
    if (!file) fail_msg("no file %s", path);
    text[fread(text, 1, size - 1, file)] = 0;
    fclose(file);
    unlink(path);
}

static void test_log_file(void **state) {
    (void)state;
    char settings[512], path[256], text[4096];
    snprintf(settings, sizeof settings, SMALL "FASTGEMM_LOG=calls FASTGEMM_LOG_FILE=fastgemm_test.%%p.log");
    client(settings, "n=64");
    assert_string_equal(result.err, "");
    snprintf(path, sizeof path, "fastgemm_test.%ld.log", result.pid);
    read_file(path, text, sizeof text);
    assert_int_equal(occurrences(text, "\n"), 4);
}

static void test_log_file_that_cannot_be_opened(void **state) {
    (void)state;
    client(SMALL "FASTGEMM_LOG=calls FASTGEMM_LOG_FILE=/nonexistent/log", "n=64 n=64");
    assert_int_equal(occurrences(result.err, "cannot open '/nonexistent/log'"), 1);
    check_contains(result.err, "fastgemm: total 2 calls");
}

/* A child counts for itself. It cannot use CUDA after its parent did; what it says is its own. */
static void test_forked_child_counts_its_own(void **state) {
    (void)state;
    char expected[256];
    client(SMALL "FASTGEMM_LOG=summary", "n=64 n=64 fork n=64");
    snprintf(expected, sizeof expected, "fastgemm: summary of process %ld\n", result.pid);
    assert_int_equal(occurrences(result.err, expected), 1);
    assert_int_equal(occurrences(result.err, "fastgemm: summary of process "), 2);
    check_contains(result.err, "fastgemm: total 1 calls: 0 routed, 1 forwarded\n");
    check_contains(result.err, "fastgemm: total 3 calls: 3 routed, 0 forwarded\n");
}

static void test_underscore_exit_says_nothing(void **state) {
    (void)state;
    client(SMALL "FASTGEMM_LOG=summary", "n=64 _exit");
    assert_string_equal(result.err, "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_call_reasons),
        cmocka_unit_test(test_handle_reasons),
        cmocka_unit_test(test_precision),
        cmocka_unit_test(test_unasked_tf32),
        cmocka_unit_test(test_no_device),
        cmocka_unit_test(test_summary),
        cmocka_unit_test(test_calls),
        cmocka_unit_test(test_threads_lose_no_count),
        cmocka_unit_test(test_bench),
        cmocka_unit_test(test_more_problems_than_rows),
        cmocka_unit_test(test_off_leaves_no_trace),
        cmocka_unit_test(test_silent_by_default),
        cmocka_unit_test(test_legacy_is_untouched),
        cmocka_unit_test(test_wrong_settings),
        cmocka_unit_test(test_log_file),
        cmocka_unit_test(test_log_file_that_cannot_be_opened),
        cmocka_unit_test(test_forked_child_counts_its_own),
        cmocka_unit_test(test_underscore_exit_says_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
