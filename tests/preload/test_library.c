/*
 * The library as a file and as a guest: what it exports and needs, and what it costs a process that never calls cuBLAS.
 * argv[1] is the library; argv[2] "shipped" when it must need nothing beyond glibc.
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../interpose/cublas_names.h"
#include "spawn.h"

static const char *library;
static int shipped;
static struct run result;

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void test_exports(void **state) {
    (void)state;
    const char *served[] = {
#define NAME(name) #name,
        SERVED_FUNCTIONS(NAME) LT_SERVED_FUNCTIONS(NAME)
#undef NAME
#if defined(__x86_64__)
            "dlsym",
        "dlvsym",
#endif
    };
    enum { SERVED = sizeof served / sizeof *served };
    char command[4096], expected[4096] = "", *rest;
    snprintf(command, sizeof command, NM " -D --defined-only --format=just-symbols %s", library);
    run_program(&result, "", command);
    assert_int_equal(result.status, 0);
    qsort(served, SERVED, sizeof *served, by_name);
    for (int i = 0; i < SERVED; i++) snprintf(expected + strlen(expected), 128, "%s\n", served[i]);
    char *found[256], all[4096] = "";
    int count = 0;
    for (char *word = strtok_r(result.out, "\n", &rest); word && count < 256; word = strtok_r(NULL, "\n", &rest))
        found[count++] = word;
    qsort(found, (size_t)count, sizeof *found, by_name);
    for (int i = 0; i < count; i++) snprintf(all + strlen(all), 128, "%s\n", found[i]);
    assert_string_equal(all, expected);
}

static void test_needs_only_glibc(void **state) {
    (void)state;
    static const char *const glibc[] = {
        "[libc.so.6]", "[libdl.so.2]",           "[libpthread.so.0]",      "[librt.so.1]",
        "[libm.so.6]", "[ld-linux-x86-64.so.2]", "[ld-linux-aarch64.so.1]"};
    char command[4096];
    if (!shipped) skip();
    snprintf(command, sizeof command, READELF " -d %s", library);
    run_program(&result, "", command);
    assert_int_equal(result.status, 0);
    int known = 0;
    for (unsigned i = 0; i < sizeof glibc / sizeof *glibc; i++) known += occurrences(result.out, glibc[i]) > 0;
    assert_true(known > 0);
    assert_int_equal(occurrences(result.out, "(NEEDED)"), known);
}

struct cost {
    double seconds;
    long kilobytes;
};

/* The least of many runs: what else the machine does only adds. */
static struct cost least_cost_of_true(const char *preload) {
    struct cost least = {1e9, 1L << 40};
    for (int i = 0; i < 200; i++) {
        struct timespec start, end;
        struct rusage usage;
        int status = -1;
        clock_gettime(CLOCK_MONOTONIC, &start);
        pid_t child = fork();
        if (child == 0) {
            if (preload) setenv("LD_PRELOAD", preload, 1);
            execl("/bin/true", "/bin/true", (char *)NULL);
            _exit(127);
        }
        assert_int_equal(wait4(child, &status, 0, &usage), child);
        clock_gettime(CLOCK_MONOTONIC, &end);
        assert_int_equal(status, 0);
        double seconds = (double)(end.tv_sec - start.tv_sec) + 1e-9 * (double)(end.tv_nsec - start.tv_nsec);
        if (seconds < least.seconds) least.seconds = seconds;
        if (usage.ru_maxrss < least.kilobytes) least.kilobytes = usage.ru_maxrss;
    }
    return least;
}

static void test_cost_of_loading(void **state) {
    (void)state;
    if (!shipped) skip();
    struct cost without = least_cost_of_true(NULL), with = least_cost_of_true(library);
    printf("/bin/true: %.3f ms and %ld KiB more\n", 1e3 * (with.seconds - without.seconds),
           with.kilobytes - without.kilobytes);
    assert_true(with.seconds - without.seconds < 1e-3);
    assert_true(with.kilobytes - without.kilobytes < 1024);
}

static void test_says_nothing(void **state) {
    (void)state;
    char settings[4096];
    snprintf(settings, sizeof settings, "LD_PRELOAD=%s FASTGEMM_LOG=calls FASTGEMM_NONSENSE=1", library);
    run_program(&result, settings, "/bin/true");
    assert_int_equal(result.status, 0);
    assert_string_equal(result.out, "");
    assert_string_equal(result.err, "");
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exports),
        cmocka_unit_test(test_needs_only_glibc),
        cmocka_unit_test(test_cost_of_loading),
        cmocka_unit_test(test_says_nothing),
    };
    if (argc < 2) return 2;
    library = argv[1];
    shipped = argc > 2 && strcmp(argv[2], "shipped") == 0;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
