/*
 * scripts/fastgemm bench and plot, on the simulated GPU: the table, the files, predictions, mistakes in one line, and
 * pictures from a file. What was measured there means nothing; that it is there, and checked, does.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "shell.h"

#define FASTGEMM "sh -u '" SOURCE "/scripts/fastgemm'"
#define BENCH                                                                                                          \
    "FASTGEMM_SIM_SMS=2 FASTGEMM_PARTS='" BUILD "/sim/bench' LD_LIBRARY_PATH='" BUILD "/sim/sim_cudart:" BUILD         \
    "/sim/sim_cublas13' " FASTGEMM " bench "
#define QUICK BENCH "--hot --seconds 0.001 --scratch-mb 4 "

static const char *const columns[] = {
    "problem",
    "contract",
    "profile",
    "ops",
    "m",
    "n",
    "k",
    "batch",
    "lda",
    "ldb",
    "ldc",
    "flops",
    "bytes",
    "kernel",
    "split_k",
    "policy",
    "ours_ms",
    "ours_ms_q1",
    "ours_ms_q3",
    "cublas_ms",
    "cublaslt_ms",
    "tflops",
    "share_of_peak",
    "share_of_bandwidth",
    "ratio",
    "ratio_to_best",
    "bar",
    "floor_ms",
    "model_ms",
    "frobenius",
    "frobenius_cublas",
    "component",
    "component_cublas",
    "check",
};

static void measured_and_checked(void **state) {
    (void)state;
    static const char *const heads[] = {"problem", "kernel",  "ms",    "TFLOP/s", "model",     "%peak", "%band",
                                        "cuBLAS",  "Lt best", "ratio", "bar",     "frobenius", "check"};
    const struct outcome *o = shell(QUICK "'NN 64 48 40' 'TT 65 33 17 3' 'row:NT 7 130 29' 'TN 20:40:20 12 9'");
    assert_status(o, 0);
    assert_says(o, "Simulated GPU (sm_89)");
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) assert_says(o, heads[i]);
    assert_says(o, "  1/5   NN 64x48x40");
    assert_says(o, "  2/5   TT 65x33x17*3");
    assert_says(o, "  5/5   TN 40x12x9");
    assert_says(o, "5 problems: geometric mean of cuBLAS over ours");
    assert_says(o, "0 not ok");
}

/* Every kernel that the simulated GPU runs is timed and checked where it is asked for. */
static void kernels_can_be_forced(void **state) {
    (void)state;
    const struct outcome *o = shell(QUICK "--no-lt --kernel sgemm_simt_64x64x8 --split 2 'NN 64 48 80'");
    assert_status(o, 0);
    assert_says(o, "sgemm_simt_64x64x8               2");
    assert_says(o, "0 not ok");
    o = shell(QUICK "--no-lt --all-variants --kernel sgemm_simt_64x32x16 'NN 40 24 64'");
    assert_status(o, 0);
    assert_says(o, "best: sgemm_simt_64x32x16, split");
    o = shell(QUICK "--offset 1 --precision ieee,fp32 --kernel sgemm_simt_128x128x8 'NT 40 24 16'");
    assert_status(o, 0);
    assert_says(o, "2 problems");
}

static void files_have_every_column(void **state) {
    (void)state;
    const char *folder = own_folder();
    const struct outcome *o =
        shell(QUICK "--csv '%s/x.csv' --json '%s/x.json' 'NN 64 48 40' 'TT 65 33 17 3'", folder, folder);
    assert_status(o, 0);
    char names[2048] = "";
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
        strcat(names, columns[i]);
        strcat(names, " ");
    }
    o = shell("python3 - '%s' %s <<'END'\n"
              "import csv, json, sys\n"
              "folder, *names = sys.argv[1:]\n"
              "rows = list(csv.DictReader(open(folder + '/x.csv')))\n"
              "data = json.load(open(folder + '/x.json'))\n"
              "assert len(rows) == len(data['results']) == 2\n"
              "assert data['device']['sm_count'] == 2 and data['device']['ffma_flops'] > 0\n"
              "for row, result in zip(rows, data['results']):\n"
              "    missing = [n for n in names if n not in row or n not in result]\n"
              "    assert not missing, missing\n"
              "    assert list(row) == list(result)\n"
              "    assert result['check'] == row['check'] and row['check'].startswith('ok'), row\n"
              "    assert abs(result['ratio'] - result['cublas_ms'] / result['ours_ms']) < 1e-6 * result['ratio']\n"
              "    assert 0 < result['frobenius'] < 1e-6 and result['floor_ms'] > 0 and result['model_ms'] > 0\n"
              "assert data['results'][1]['batch'] == 3 and data['results'][1]['flops'] == 2 * 65 * 33 * 17 * 3\n"
              "print('sound')\n"
              "END",
              folder, names);
    assert_status(o, 0);
    assert_says(o, "sound");
}

/* What --list and FASTGEMM_LOG=bench write is read again. */
static void lists_and_logs_are_read(void **state) {
    (void)state;
    const char *folder = own_folder();
    assert_status(shell(BENCH "--list --only skinny > '%s/list' && echo '# nothing' >> '%s/list'", folder, folder), 0);
    const struct outcome *o = shell(BENCH "--list --file '%s/list'", folder);
    assert_status(o, 0);
    assert_int_equal(o->lines, 3);
    o = shell("echo 'fastgemm: bench entry=cublasSgemm_v2 ops=NT m=30 n=20 k=10 batch=1 lda=31 ldb=20 ldc=30 "
              "contract=fp32' | " QUICK "--file -");
    assert_status(o, 0);
    assert_says(o, "NT 30x20x10");
    assert_says(o, "0 not ok");
}

static void predictions_are_marked(void **state) {
    (void)state;
    static const char *const profiles[] = {"huge_k ", "transposed ", "irregular ", "outer_product ", "square_4096_nn "};
    static const char *const chips[] = {"sm_89 RTX 4090", "sm_90 H200"};
    for (int chip = 0; chip < 2; chip++) {
        char marked[64];
        const struct outcome *o = shell("FASTGEMM_SIM_DEVICES=0 " BENCH "--model %.5s", chips[chip]);
        assert_status(o, 0);
        snprintf(marked, sizeof marked, "PREDICTION for %s", chips[chip] + 6);
        assert_says(o, marked);
        assert_says(o, "nothing was run");
        assert_says(o, "predicted ms");
        assert_says(o, "floor ms");
        for (size_t i = 0; i < sizeof profiles / sizeof *profiles; i++) assert_says(o, profiles[i]);
    }
}

static void one_clear_line(const char *arguments, int status, const char *part) {
    const struct outcome *o = shell(BENCH "%s", arguments);
    assert_status(o, status);
    assert_says(o, part);
    assert_int_equal(o->lines, 1);
    assert_int_equal(strncmp(o->text, "bench: ", 7), 0);
}

static void mistakes_are_told_in_one_line(void **state) {
    (void)state;
    one_clear_line("'NX 1 2 3'", 1, "the first word is NN, NT, TN or TT");
    one_clear_line("'NN 1 2'", 1, "m, n and k are needed");
    one_clear_line("'NN 1 2 x'", 1, "a number, a sweep or '=' was expected");
    one_clear_line("'NN 0 2 3'", 1, "a size is 0");
    one_clear_line("'NN 9 2 3 1 4'", 1, "a leading dimension is too small");
    one_clear_line("--only nothing", 1, "no problem to measure");
    one_clear_line("--precision exact 'NN 1 2 3'", 1, "allowed: ieee, fp32, tf32, all");
    one_clear_line("--input zeros 'NN 1 2 3'", 1, "allowed: normal, uniform, lognormal");
    one_clear_line("--kernel fastest 'NN 1 2 3'", 1, "no kernel 'fastest'; there are: sgemm_simt_256x128x8");
    one_clear_line("--split many 'NN 1 2 3'", 1, "--split: 'many' is not a number from 0 to 1024");
    one_clear_line("--seconds soon 'NN 1 2 3'", 1, "--seconds: 'soon' is not a number");
    one_clear_line("--seed no 'NN 1 2 3'", 1, "--seed: 'no' is not a number");
    one_clear_line("--model sm_42", 1, "--model: 'sm_42'; allowed: sm_89, sm_90");
    one_clear_line("--once mine 'NN 1 2 3'", 1, "--once: 'mine'; allowed: ours, cublas");
    one_clear_line("--file /no/such/file", 1, "/no/such/file cannot be read");
    one_clear_line("--cublas /no/such.so 'NN 1 2 3'", 77, "libcublas cannot be loaded");
    const struct outcome *o = shell(BENCH "--fast");
    assert_status(o, 1);
    assert_says(o, "--help lists the options");
    o = shell("FASTGEMM_SIM_DEVICES=0 " BENCH "'NN 1 2 3'");
    assert_status(o, 77);
    assert_int_equal(o->lines, 1);
    assert_says(o, "--model predicts without one");
}

static void a_launch_that_fails_is_told(void **state) {
    (void)state;
    const struct outcome *o = shell("FASTGEMM_SIM_FAIL=cudaLaunchKernel:1=700 " QUICK "'NN 64 48 40'");
    assert_status(o, 3);
    assert_says(o, "bench: a kernel");
}

static void pictures_are_drawn(void **state) {
    (void)state;
    const char *folder = own_folder();
    if (shell("python3 -c 'import matplotlib'")->status) skip();
    assert_status(shell(QUICK "--json '%s/p.json' --precision ieee,fp32 'NN 64 48 40' 'TT 65 33 17 3'", folder), 0);
    const struct outcome *o = shell("cd '%s' && " FASTGEMM " plot p.json --out drawn", folder);
    assert_status(o, 0);
    assert_int_equal(o->lines, 8);
    assert_says(o, "drawn-ieee-ratio.svg");
    assert_says(o, "drawn-fp32-roofline.png");
    o = shell("cd '%s' && file=drawn-ieee-ratio.svg && grep -c 'NN 64x48x40\\|TT 65x33x17' $file && wc -c < $file",
              folder);
    assert_status(o, 0);
    assert_says(o, "2\n");
    assert_status(shell("cd '%s' && for f in drawn-*.png drawn-*.svg; do test -s $f || exit 1; done", folder), 0);
    o = shell(FASTGEMM " plot /no/such.json");
    assert_status(o, 1);
    assert_int_equal(o->lines, 1);
    assert_says(o, "plot: /no/such.json");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(measured_and_checked),        cmocka_unit_test(kernels_can_be_forced),
        cmocka_unit_test(files_have_every_column),     cmocka_unit_test(lists_and_logs_are_read),
        cmocka_unit_test(predictions_are_marked),      cmocka_unit_test(mistakes_are_told_in_one_line),
        cmocka_unit_test(a_launch_that_fails_is_told), cmocka_unit_test(pictures_are_drawn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
