/*
 * Shared-memory bank conflicts of the kernels on FFMAs, and of those on packed operands, from the addresses that their
 * warps touch: each variant with all its loaders, stages and epilogues is held to its row in
 * tests/code/code_limits.txt.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <cuda_runtime_api.h>

#include "faulty_kernels.h"
#include "sim_api.h"
#include "sim_product.h"

static bool watched(const struct gemm_variant *v) {
    return v->family == FAMILY_SIMT || v->family == FAMILY_SIMT_ROWS || v->family == FAMILY_STREAM ||
           v->family == FAMILY_SKINNY || gemm_family_packed(v->family);
}

/* ---- the count itself ---- */

static struct fgsim_bank_count counts[FGSIM_ACCESSES];

static void store_and_load(int floats_apart) {
    struct gemm_args args = {.m = floats_apart};
    void *argv[] = {&args};
    const size_t bytes = (size_t)(31 * floats_apart + 4) * sizeof(float);
    assert_int_equal(cudaMalloc((void **)&args.d, 32 * sizeof(float)), 0);
    fgsim_watch_banks(1);
    assert_int_equal(
        cudaLaunchKernel((const void *)column_of_shared, (dim3){1, 1, 1}, (dim3){32, 1, 1}, argv, bytes, NULL), 0);
    fgsim_bank_counts(counts);
    fgsim_watch_banks(0);
    cudaFree(args.d);
    for (int kind = FGSIM_SHARED_LOAD; kind <= FGSIM_SHARED_STORE; kind++) {
        assert_int_equal(counts[kind].requests, 1);
        assert_int_equal(counts[kind].strayed, 0);
    }
}

static void test_conflicts_are_counted(void **state) {
    (void)state;
    store_and_load(4); /* side by side */
    assert_int_equal(counts[FGSIM_SHARED_STORE].wavefronts, 4);
    assert_int_equal(counts[FGSIM_SHARED_STORE].conflicts, 0);
    assert_int_equal(counts[FGSIM_SHARED_LOAD].conflicts, 0);
    store_and_load(32); /* all in the same four banks: eight lanes a quarter, seven too many */
    assert_int_equal(counts[FGSIM_SHARED_STORE].conflicts, 4 * 7);
    assert_int_equal(counts[FGSIM_SHARED_LOAD].worst, 4 * 7);
    store_and_load(36); /* as a padded row */
    assert_int_equal(counts[FGSIM_SHARED_STORE].conflicts, 0);
    store_and_load(0); /* one word for all: loads of neighbours are one */
    assert_int_equal(counts[FGSIM_SHARED_LOAD].wavefronts, 2);
    assert_int_equal(counts[FGSIM_SHARED_STORE].wavefronts, 4);
}

/* ---- the kernels ---- */

/* Most conflicts of one request, by kind of access; negative: the table has no row. */
struct limits {
    int most[FGSIM_ACCESSES];
};

static struct limits limits_of(const char *variant) {
    struct limits limits = {{-1, -1, -1}};
    char line[256], name[64];
    FILE *file = fopen(LIMITS, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        struct limits row;
        if (sscanf(line, "%63s shared %d %d %d", name, &row.most[0], &row.most[1], &row.most[2]) != 4) continue;
        if (!strcmp(name, variant)) limits = row;
    }
    fclose(file);
    return limits;
}

/* One tile, all of it inside, four k tiles; D aligned or by way of the strips. */
static void run(const struct gemm_variant *v, enum gemm_loader a, enum gemm_loader b, int pad) {
    struct sim_product p = {.load_a = a,
                            .load_b = b,
                            .m = v->bm,
                            .n = v->bn,
                            .k = gemm_family_short_k(v->family) ? v->bk : 4 * v->bk,
                            .pad = pad,
                            .batch = 1,
                            .alpha = 1};
    sim_product_make(&p, v);
    fgsim_watch_banks(1);
    int error = sim_product_run(&p);
    fgsim_bank_counts(counts);
    fgsim_watch_banks(0);
    sim_product_free(&p);
    assert_int_equal(error, 0);
    assert_int_not_equal(counts[FGSIM_SHARED_LOAD].requests, 0);
    assert_int_not_equal(counts[FGSIM_SHARED_COPY].requests, 0);
}

static int beyond(const struct gemm_variant *v, const char *what, const struct limits *limits) {
    static const char *const names[] = {"loads", "stores", "asynchronous copies"};
    int faults = 0;
    for (int kind = 0; kind < FGSIM_ACCESSES; kind++) {
        if (counts[kind].worst <= limits->most[kind] && !counts[kind].strayed) continue;
        print_error("%s, %s: %s have %d conflicts a request, the limit is %d (%llu of all, %llu requests, %llu "
                    "strayed)\n",
                    v->name, what, names[kind], counts[kind].worst, limits->most[kind],
                    (unsigned long long)counts[kind].conflicts, (unsigned long long)counts[kind].requests,
                    (unsigned long long)counts[kind].strayed);
        faults++;
    }
    return faults;
}

static void test_no_conflicts_beyond_those_stated(void **state) {
    (void)state;
    int faults = 0, kernels = 0;
    for (int v = 0; v < VARIANT_COUNT; v++) {
        const struct gemm_variant *variant = &gemm_variants[v];
        if (!watched(variant)) continue;
        const struct limits limits = limits_of(variant->name);
        for (int pair = 0; pair < LOADER_COUNT * LOADER_COUNT; pair++) {
            const enum gemm_loader a = (enum gemm_loader)(pair / LOADER_COUNT),
                                   b = (enum gemm_loader)(pair % LOADER_COUNT);
            if (!gemm_variant_takes(variant, a, b)) continue;
            for (int pad = 0; pad < 2; pad++) {
                char what[64];
                snprintf(what, sizeof what, "loaders %c%c, D %s", "vst"[a], "vst"[b], pad ? "not aligned" : "aligned");
                run(variant, a, b, pad);
                faults += beyond(variant, what, &limits);
                kernels++;
            }
        }
    }
    assert_int_equal(faults, 0);
    assert_true(kernels > 100);
}

int main(void) {
    setenv("FASTGEMM_SIM_CC", "9.0", 1);
    setenv("FASTGEMM_SIM_ORDER", "forward", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conflicts_are_counted),
        cmocka_unit_test(test_no_conflicts_beyond_those_stated),
    };
    return cmocka_run_group_tests_name("bank conflicts of shared memory", tests, NULL, NULL);
}
