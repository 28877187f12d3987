/* A process that is preloaded and has CUDA at hand but never calls cuBLAS: nothing has touched it, no thread runs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "sim_api.h"

static int lines_with(const char *path, const char *part) {
    char line[4096];
    int count = 0;
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) count += strstr(line, part) != NULL;
    fclose(file);
    return count;
}

static void test_idle(void **state) {
    (void)state;
    struct fgsim_counters counters;
    fgsim_counters(&counters);
    assert_true(lines_with("/proc/self/maps", "libfastgemm") > 0);
    assert_int_equal(counters.runtime_calls, 0);
    assert_int_equal(lines_with("/proc/self/status", "Threads:\t1\n"), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_idle)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
