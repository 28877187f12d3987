/* scripts/fastgemm run and help: what the program that runs gets to see, and what a person is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "shell.h"

#define FASTGEMM  "sh -u '" SOURCE "/scripts/fastgemm'"
#define WITH_SIM  "FASTGEMM_LIBRARY='" SIM_LIBRARY "' "
#define STAND_INS "LD_LIBRARY_PATH='" BUILD "/sim/sim_cudart:" BUILD "/sim/sim_cublas13' "

static int occurrences(const char *text, const char *part) {
    int count = 0;
    for (const char *at = text; (at = strstr(at, part)); at += strlen(part)) count++;
    return count;
}

static void the_library_is_loaded(void **state) {
    (void)state;
    const struct outcome *o = shell(WITH_SIM FASTGEMM " run cat /proc/self/maps");
    assert_status(o, 0);
    assert_says(o, SIM_LIBRARY);
}

static void earlier_preloads_stay(void **state) {
    (void)state;
    const struct outcome *o = shell("export LD_PRELOAD=libm.so.6; " WITH_SIM FASTGEMM " run cat /proc/self/maps");
    assert_says(o, SIM_LIBRARY);
    assert_says(o, "libm.so.6");
    o = shell("export LD_PRELOAD='libm.so.6 librt.so.1'; " WITH_SIM FASTGEMM " run sh -c 'echo \"=$LD_PRELOAD=\"'");
    assert_says(o, "=" SIM_LIBRARY ":libm.so.6 librt.so.1=");
}

static void not_loaded_twice(void **state) {
    (void)state;
    const struct outcome *o = shell(WITH_SIM FASTGEMM " run env FASTGEMM_LIBRARY='" SIM_LIBRARY "' " FASTGEMM
                                                      " run sh -c 'echo \"$LD_PRELOAD\"'");
    assert_status(o, 0);
    assert_int_equal(occurrences(o->text, "libfastgemm_sim.so"), 1);
}

static void arguments_and_status_pass(void **state) {
    (void)state;
    const struct outcome *o = shell(WITH_SIM FASTGEMM " run printf '[%%s]' 'a  b' '' '$x' '\"'");
    assert_string_equal(o->text, "[a  b][][$x][\"]");
    assert_status(shell(WITH_SIM FASTGEMM " run sh -c 'exit 7'"), 7);
    assert_status(shell(WITH_SIM FASTGEMM " run -- sh -c 'exit 8'"), 8);
}

/* The library is told its settings and nothing of the launcher's own, which it would call unknown. */
static void settings_pass_and_ours_do_not(void **state) {
    (void)state;
    const struct outcome *o = shell(WITH_SIM "FASTGEMM_PARTS=/x FASTGEMM_LOG=summary " FASTGEMM " run env");
    assert_says(o, "FASTGEMM_LOG=summary");
    assert_null(strstr(o->text, "FASTGEMM_LIBRARY"));
    assert_null(strstr(o->text, "FASTGEMM_PARTS"));
}

/* A tree of its own with spaces in its path, found without being told. */
static void spaces_in_paths(void **state) {
    (void)state;
    const char *folder = own_folder();
    assert_status(shell("cd '%s' && mkdir -p scripts build/release && cp '" SOURCE "/scripts/fastgemm' scripts/ && "
                        "cp '" SIM_LIBRARY "' build/release/libfastgemm.so",
                        folder),
                  0);
    const struct outcome *o = shell("'%s/scripts/fastgemm' run cat /proc/self/maps", folder);
    assert_status(o, 0);
    assert_says(o, "/build/release/libfastgemm.so");
    o = shell("LD_PRELOAD=libm.so.6 LD_LIBRARY_PATH=/somewhere '%s/scripts/fastgemm' run env", folder);
    assert_says(o, ":/somewhere\n");
    assert_says(o, "LD_PRELOAD=libfastgemm.so:libm.so.6");
    /* Through a link, as in ~/bin. */
    o = shell("ln -s '%s/scripts/fastgemm' '%s/link' && '%s/link' run cat /proc/self/maps", folder, folder, folder);
    assert_says(o, "/build/release/libfastgemm.so");
    o = shell("mkdir '%s/a:b' && cp '" SIM_LIBRARY "' '%s/a:b/x.so' && FASTGEMM_LIBRARY='%s/a:b/x.so' " FASTGEMM
              " run true",
              folder, folder, folder);
    assert_status(o, 1);
    assert_int_equal(o->lines, 1);
    assert_says(o, "cannot preload a path with ':'");
}

static void one_clear_line(const char *arguments, const char *environment, int status, const char *part) {
    const struct outcome *o = shell("%s " FASTGEMM " %s", environment, arguments);
    assert_status(o, status);
    assert_says(o, part);
    assert_int_equal(o->lines, 1);
    assert_int_equal(strncmp(o->text, "fastgemm: ", 10), 0);
}

static void mistakes_are_told_in_one_line(void **state) {
    (void)state;
    one_clear_line("walk", "", 2, "no such command: walk (run, doctor, bench, plot, help)");
    one_clear_line("run /no/such/program", WITH_SIM, 127, "no such program: /no/such/program");
    one_clear_line("run", WITH_SIM, 1, "which program?");
    one_clear_line("run true", "FASTGEMM_LIBRARY=/no/such.so", 1, "FASTGEMM_LIBRARY: no such file: /no/such.so");
    one_clear_line("doctor a b", WITH_SIM, 1, "one program at most");
    const struct outcome *o = shell(FASTGEMM);
    assert_status(o, 2);
    assert_says(o, "usage: fastgemm run");
}

static void an_unmodified_program_is_served(void **state) {
    (void)state;
    const struct outcome *o =
        shell(STAND_INS WITH_SIM "FASTGEMM_LOG=summary FASTGEMM_KERNEL=sgemm_simt_64x64x8 " FASTGEMM
                                 " run '" DEMO_CLIENT "' small");
    assert_status(o, 0);
    assert_says(o, "total 10 calls: 10 routed, 0 forwarded");
}

static void help_has_every_setting(void **state) {
    (void)state;
    static char table[65536];
    snprintf(table, sizeof table, "%s", shell("'" PROBE_FOLDER "/fastgemm_probe' help")->text);
    assert_non_null(strstr(table, "FASTGEMM_PROFILES"));
    const struct outcome *o = shell("FASTGEMM_PARTS='" PROBE_FOLDER "' " FASTGEMM " help");
    assert_status(o, 0);
    assert_says(o, "usage: fastgemm run");
    assert_says(o, table);
}

static void readme_has_the_same_table(void **state) {
    (void)state;
    assert_says(shell("cat '" SOURCE "/README.md'"), "| `FASTGEMM_LOG` |");
    const struct outcome *o = shell("'" SOURCE "/scripts/readme-settings' --print '" PROBE_FOLDER "/fastgemm_probe' | "
                                    "diff '" SOURCE "/README.md' - ");
    if (o->status) print_error("README's settings are old; scripts/readme-settings writes them anew\n");
    assert_status(o, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_library_is_loaded),
        cmocka_unit_test(earlier_preloads_stay),
        cmocka_unit_test(not_loaded_twice),
        cmocka_unit_test(arguments_and_status_pass),
        cmocka_unit_test(settings_pass_and_ours_do_not),
        cmocka_unit_test(spaces_in_paths),
        cmocka_unit_test(mistakes_are_told_in_one_line),
        cmocka_unit_test(an_unmodified_program_is_served),
        cmocka_unit_test(help_has_every_setting),
        cmocka_unit_test(readme_has_the_same_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
