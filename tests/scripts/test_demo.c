/* scripts/demo on the simulated GPU: every profile served, errors bounded, no speeds. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "shell.h"

static void every_profile_is_served(void **state) {
    (void)state;
    static const char *const profiles[] = {"huge K", "transposed", "irregular", "outer product", "square"};
    const struct outcome *o = shell("'" SOURCE "/scripts/demo' --simulated '" BUILD "'");
    assert_status(o, 0);
    assert_says(o, "simulated GPU");
    assert_says(o, "5 of 5 products ran on fastgemm's kernels");
    assert_null(strstr(o->text, " ms"));
    for (int i = 0; i < 5; i++) {
        char line[512], bits[16] = "";
        double error = 1, theirs = 1;
        assert_says(o, profiles[i]);
        snprintf(line, sizeof line, "%.*s", (int)strcspn(strstr(o->text, profiles[i]), "\n"),
                 strstr(o->text, profiles[i]));
        const char *route = strstr(line, "sgemm_"), *x = strstr(line, " x ");
        assert_non_null(route);
        long k = 0;
        assert_int_equal(sscanf(x, " x %*d x %ld", &k), 1);
        /* The last three columns. */
        const char *tail = line + strlen(line);
        for (int words = 0; words < 3; words++) {
            while (tail[-1] == ' ') tail--;
            while (tail[-1] != ' ') tail--;
        }
        assert_int_equal(sscanf(tail, "%lf %lf %15s", &error, &theirs, bits), 3);
        assert_true(error > 0 && error <= fmax(sqrt((double)k), 4) * 0x1p-24);
        assert_true(theirs > 0 && theirs < 1e-6);
        assert_string_equal(bits, "yes");
    }
}

/* Where nothing is routed, the demo says so and fails. */
static void nothing_served_is_a_failure(void **state) {
    (void)state;
    const struct outcome *o = shell("FASTGEMM_PROFILES=none '" SOURCE "/scripts/demo' --simulated '" BUILD "'");
    assert_status(o, 1);
    assert_says(o, "0 of 5 products");
    assert_says(o, "FASTGEMM_PROFILES leaves this profile out");
    o = shell("FASTGEMM=off '" SOURCE "/scripts/demo' --simulated '" BUILD "'");
    assert_status(o, 1);
    assert_says(o, "not intercepted");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_profile_is_served),
        cmocka_unit_test(nothing_served_is_a_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
