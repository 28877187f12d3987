/* The installed tree and the .deb: what is in them, that it works from there, and what they need. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "shell.h"

static void an_installed_tree_works(void **state) {
    (void)state;
    const char *folder = own_folder();
    assert_status(shell("cmake --install '" BUILD "' --prefix '%s/tree'", folder), 0);
    assert_status(shell("cd '%s/tree' && test -f lib/libfastgemm.so && test -x bin/fastgemm && "
                        "test -x libexec/fastgemm/fastgemm_probe",
                        folder),
                  0);
    const struct outcome *o = shell("'%s/tree/bin/fastgemm' run cat /proc/self/maps", folder);
    assert_status(o, 0);
    assert_says(o, "/tree/lib/libfastgemm.so");
    o = shell("'%s/tree/bin/fastgemm' help", folder);
    assert_says(o, "FASTGEMM_LOG");
    /* With a GPU all is well, without one it is not; a call is seen either way, if there is a cuBLAS to go to. */
    o = shell("'%s/tree/bin/fastgemm' doctor", folder);
    assert_says(o, "/tree/lib/libfastgemm.so");
    if (!strstr(o->text, "no libcublas.so")) assert_says(o, "intercepts  1 of 1 call seen");
    assert_true(o->status == 0 || strstr(o->text, "NOT OK"));
}

/* Compared byte by byte, but for the build's RUNPATH, which installation takes out. */
static void the_library_has_no_run_path(void **state) {
    (void)state;
    const struct outcome *o = shell("readelf -d '%s/tree/lib/libfastgemm.so'", own_folder());
    assert_status(o, 0);
    assert_null(strstr(o->text, "RUNPATH"));
    assert_null(strstr(o->text, "RPATH"));
}

static void a_package_holds_library_and_launcher(void **state) {
    (void)state;
    const char *folder = own_folder();
    assert_status(shell("cd '%s' && cpack -G DEB --config '" BUILD "/CPackConfig.cmake' -B '%s/deb'", folder, folder),
                  0);
    const struct outcome *o = shell("dpkg-deb -c '%s'/deb/*.deb", folder);
    assert_status(o, 0);
    assert_says(o, "./usr/lib/libfastgemm.so");
    assert_says(o, "./usr/bin/fastgemm");
    assert_says(o, "./usr/libexec/fastgemm/fastgemm_probe");
    assert_null(strstr(o->text, "test_"));
    o = shell("dpkg-deb -f '%s'/deb/*.deb Depends", folder);
    assert_int_equal(strncmp(o->text, "libc6 (>= 2.", 12), 0);
    assert_int_equal(o->lines, 1);
    assert_null(strchr(o->text, ','));
    o = shell("cd '%s' && dpkg-deb -x deb/*.deb unpacked && unpacked/usr/bin/fastgemm run cat /proc/self/maps", folder);
    assert_says(o, "/unpacked/usr/lib/libfastgemm.so");
}

/* The package may not ask for a C library older than what the files in it were linked with. */
static void the_package_asks_for_the_right_libc(void **state) {
    (void)state;
    int asked = 0, needed = 0, minor = 0;
    assert_int_equal(sscanf(shell("dpkg-deb -f '%s'/deb/*.deb Depends", own_folder())->text, "libc6 (>= 2.%d", &asked),
                     1);
    const struct outcome *o =
        shell("cd '%s/unpacked/usr' && readelf -V lib/libfastgemm.so libexec/fastgemm/fastgemm_* | "
              "sed -n 's/.*Name: GLIBC_2\\.\\([0-9]*\\).*/\\1/p' | sort -n | tail -n 1",
              own_folder());
    assert_int_equal(sscanf(o->text, "%d", &minor), 1);
    if (minor > needed) needed = minor;
    assert_true(needed > 0 && needed <= asked);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_installed_tree_works),
        cmocka_unit_test(the_library_has_no_run_path),
        cmocka_unit_test(a_package_holds_library_and_launcher),
        cmocka_unit_test(the_package_asks_for_the_right_libc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
