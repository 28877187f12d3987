/*
 * TF32 products on fp16 tensor cores (fp16_fragments.h): operands that fp16 does not hold come out as good as TF32 all
 * the same, whichever way the device takes.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "fp16_fragments.h"
#include "sim_product.h"

static float *element_a(const struct sim_product *p, int batch, int row, int k) {
    const int64_t ld = p->args.lda, at = p->load_a == LOAD_K4 ? k + row * ld : row + k * ld;
    return (float *)(uintptr_t)(p->args.a + batch * p->args.stride_a + at);
}
static float *element_b(const struct sim_product *p, int batch, int column, int k) {
    const int64_t ld = p->args.ldb, at = p->load_b == LOAD_K4 ? k + column * ld : column + k * ld;
    return (float *)(uintptr_t)(p->args.b + batch * p->args.stride_b + at);
}

/* Both factors rounded to 11 bits, and sums that are cut off. */
static bool as_good_as_tf32(const struct sim_product *p, int batch, int row, int column) {
    double sum = 0, size = 0;
    for (int k = 0; k < p->k; k++) {
        const double term = (double)*element_a(p, batch, row, k) * *element_b(p, batch, column, k);
        sum += term;
        size += fabs(term);
    }
    const double d = p->args.d[batch * p->args.stride_d + column * p->args.ldd + row];
    if (!isfinite(size)) return isnan(sum) ? isnan(d) : d == sum;
    return fabs(d - sum) <= size * (ldexp(1.01, -10) + p->k * ldexp(1, -23));
}

static int too_far_off(const struct sim_product *p) {
    int wrong = 0;
    for (int batch = 0; batch < p->batch; batch++)
        for (int row = 0; row < p->m; row++)
            for (int column = 0; column < p->n; column++) wrong += !as_good_as_tf32(p, batch, row, column);
    return wrong;
}

typedef void change(const struct sim_product *p);

/* By all layouts, unsplit and split, of every kernel of the family. */
static void try_all(change *operands) {
    for (int v = 0; v < VARIANT_COUNT; v++)
        for (int turn = 0; turn < 4 && gemm_variants[v].family == FAMILY_FP16X1_MMA; turn++) {
            struct sim_product p = {.load_a = turn % 2 ? LOAD_K4 : LOAD_MN4,
                                    .load_b = turn / 2 ? LOAD_K4 : LOAD_MN4,
                                    .m = 70,
                                    .n = 37,
                                    .k = 75,
                                    .batch = 2,
                                    .splits = turn == 1 ? 3 : 1,
                                    .pointers = turn == 2,
                                    .alpha = 1};
            sim_product_make(&p, &gemm_variants[v]);
            operands(&p);
            assert_int_equal(sim_product_run(&p), 0);
            const int wrong = too_far_off(&p);
            if (wrong) printf("%s, turn %d: %d wrong\n", gemm_variants[v].name, turn, wrong);
            sim_product_free(&p);
            assert_int_equal(wrong, 0);
        }
}

/* Row 3 of the second A has elements too small for fp16, which are all that a column of B leaves of it, or nearly. */
static void small_elements_count(const struct sim_product *p) {
    for (int k = 1; k < p->k; k += 2) *element_a(p, 1, 3, k) *= ldexpf(1, -31 - k % 9);
    for (int k = 0; k < p->k; k++) {
        if (k % 2 == 0) *element_b(p, 1, 20, k) = 0;
        if (k % 2 == 0) *element_b(p, 1, 36, k) = ldexpf(*element_b(p, 1, 36, k), -24);
    }
}
static void test_small_elements(void **state) {
    (void)state;
    try_all(small_elements_count);
}

/* The same of a column of B. */
static void small_elements_of_b(const struct sim_product *p) {
    for (int k = 0; k < p->k; k++) {
        if (k % 3) *element_b(p, 0, 0, k) *= ldexpf(1, -35);
        if (k % 3 == 0) *element_a(p, 0, 69, k) = 0;
    }
}
static void test_small_elements_of_b(void **state) {
    (void)state;
    try_all(small_elements_of_b);
}

/* Rows of which no scale makes fp16. */
static void many_wide_rows(const struct sim_product *p) {
    for (int row = 0; row < p->m; row++)
        for (int k = 0; k < p->k; k++) *element_a(p, 0, row, k) *= ldexpf(1, -k % 50);
    for (int column = 0; column < p->n; column++)
        for (int k = 0; k < 70; k++) *element_b(p, 0, column, k) *= ldexpf(1, -40 + k % 50);
}
static void test_many_wide_rows(void **state) {
    (void)state;
    try_all(many_wide_rows);
}

/* A row without a scale: all of it is as in TF32. */
static void infinities_and_nans(const struct sim_product *p) {
    *element_a(p, 0, 5, 7) = INFINITY;
    *element_a(p, 1, 6, 70) = -INFINITY;
    *element_b(p, 1, 30, 70) = 0;
    *element_b(p, 0, 11, 74) = NAN;
}
static void test_infinities_and_nans(void **state) {
    (void)state;
    try_all(infinities_and_nans);
}

/* As many as there are rows. */
static void nothing_but_nans(const struct sim_product *p) {
    for (int row = 0; row < p->m; row++) *element_a(p, 0, row, row) = NAN;
}
static void test_many_nans(void **state) {
    (void)state;
    try_all(nothing_but_nans);
}

/* Near the ends of the range, where scales of their products are none. */
static void far_ends(const struct sim_product *p) {
    for (int k = 0; k < p->k; k++) {
        for (int row = 0; row < p->m; row++) *element_a(p, 0, row, k) *= ldexpf(1, 115);
        for (int column = 0; column < p->n; column++) *element_b(p, 0, column, k) *= ldexpf(1, -115);
    }
}
static void test_far_ends(void **state) {
    (void)state;
    try_all(far_ends);
}

/* Rows and columns of sizes of their own, as far apart as they may be. */
static void graded(const struct sim_product *p) {
    for (int k = 0; k < p->k; k++) {
        for (int row = 0; row < p->m; row++) *element_a(p, 0, row, k) *= ldexpf(1, row - 35);
        for (int column = 0; column < p->n; column++)
            *element_b(p, 0, column, k) *= column == 9 ? 0 : ldexpf(1, 60 - 3 * column);
    }
}
static void test_graded(void **state) {
    (void)state;
    try_all(graded);
}

/* Sums near overflow, of rows near it by small columns, and the other way round. */
static void nearly_too_large(const struct sim_product *p) {
    for (int k = 0; k < p->k; k++) {
        for (int row = 0; row < p->m; row++) {
            *element_a(p, 0, row, k) *= 3e38f;
            *element_a(p, 1, row, k) /= 16 * (float)p->k;
        }
        for (int column = 0; column < p->n; column++) {
            *element_b(p, 0, column, k) /= 16 * (float)p->k;
            *element_b(p, 1, column, k) *= 3e38f;
        }
    }
}
static void test_nearly_too_large(void **state) {
    (void)state;
    try_all(nearly_too_large);
}

/* One product to a result, of the smallest that fp16 holds, of rows as small as are scaled, by large columns. */
static void nearly_too_small(const struct sim_product *p) {
    for (int k = 0; k < p->k; k++) {
        for (int row = 0; row < p->m; row++) *element_a(p, 1, row, k) = k < 2 ? ldexpf(1.3f, -95 - 27 * k) : 0;
        for (int column = 0; column < p->n; column++)
            *element_b(p, 1, column, k) = k == 1 ? ldexpf(1.1f, 70) : k == 2 ? ldexpf(1.9f, 97) : 0;
    }
}
static void test_nearly_too_small(void **state) {
    (void)state;
    try_all(nearly_too_small);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small_elements),  cmocka_unit_test(test_small_elements_of_b),
        cmocka_unit_test(test_many_wide_rows),  cmocka_unit_test(test_infinities_and_nans),
        cmocka_unit_test(test_many_nans),       cmocka_unit_test(test_far_ends),
        cmocka_unit_test(test_graded),          cmocka_unit_test(test_nearly_too_large),
        cmocka_unit_test(test_nearly_too_small)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
