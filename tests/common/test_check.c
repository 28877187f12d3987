/*
 * The checks themselves: a right result passes; a zeroed C, a lost slice of K, inputs rounded to TF32, one unwritten
 * element and one written-over neighbour each turn a check red.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "check.h"

struct fixture {
    struct check_product p;
    float *a, *b, *before, *result;
};

static float *floats(int64_t count) {
    float *memory = malloc((size_t)count * sizeof *memory);
    assert_non_null(memory);
    return memory;
}

enum inputs { NORMAL, INTEGERS };

static struct fixture make(int64_t m, int64_t n, int64_t k, enum inputs inputs) {
    struct fixture f = {.p = {.m = m, .n = n, .k = k, .batch = 1, .alpha = 1, .lda = m, .ldb = k, .ldc = m + 3}};
    f.a = floats(m * k), f.b = floats(k * n), f.before = floats((m + 3) * n), f.result = floats((m + 3) * n);
    if (inputs == NORMAL) {
        check_fill_normal(f.a, m * k, 1);
        check_fill_normal(f.b, k * n, 2);
    } else {
        check_fill_integers(f.a, m * k, k <= 255 ? 16 : 13, 1);
        check_fill_signs(f.b, k * n, k <= 255 ? 1 : 1200.0 / (double)k, 2);
    }
    check_fill_guard(f.before, (m + 3) * n);
    memcpy(f.result, f.before, (size_t)((m + 3) * n) * sizeof(float));
    f.p.a = f.a, f.p.b = f.b, f.p.before = f.before, f.p.result = f.result;
    return f;
}

static void drop(struct fixture *f) {
    free(f->a), free(f->b), free(f->before), free(f->result);
}

/* An honest fp32 product: fmaf in order, in slices of K as a split would, `skip` of them lost. */
static void multiply(struct fixture *f, int64_t slices, int64_t skip, float (*round)(float)) {
    struct check_product *p = &f->p;
    int64_t each = (p->k + slices - 1) / slices;
    for (int64_t j = 0; j < p->n; j++)
        for (int64_t i = 0; i < p->m; i++) {
            float total = 0;
            for (int64_t s = skip; s < slices; s++) {
                float sum = 0;
                for (int64_t l = s * each; l < p->k && l < (s + 1) * each; l++)
                    sum = fmaf(round(f->a[i + l * p->lda]), round(f->b[l + j * p->ldb]), sum);
                total += sum;
            }
            float c = p->beta == 0.0f ? 0 : p->beta * f->before[i + j * p->ldc];
            f->result[i + j * p->ldc] = p->alpha * total + c;
        }
}

static float same(float value) {
    return value;
}

static float cut_off_to_tf32(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    bits &= ~0x1fffu;
    memcpy(&value, &bits, sizeof bits);
    return value;
}

static int good_whole(const struct check_report *r, int64_t k) {
    return r->frobenius <= check_frobenius_limit(k, false);
}

static void a_right_result_passes(void **state) {
    (void)state;
    for (int64_t k = 1; k <= 5000; k = k * 3 + 1) {
        struct fixture f = make(17, 13, k, NORMAL);
        multiply(&f, k > 500 ? 8 : 1, 0, same);
        struct check_report r = check_compare(&f.p, 0);
        assert_int_equal(r.compared, 17 * 13);
        assert_true(r.worst <= 1);
        assert_true(good_whole(&r, k));
        assert_int_equal(check_padding_changed(&f.p), 0);
        drop(&f);
    }
}

static void alpha_and_beta_count(void **state) {
    (void)state;
    struct fixture f = make(9, 11, 33, NORMAL);
    check_fill_normal(f.before, 12 * 11, 5);
    f.p.alpha = -1.5f, f.p.beta = 0.75f;
    multiply(&f, 1, 0, same);
    assert_true(check_compare(&f.p, 0).worst <= 1);
    f.p.beta = 0.5f;
    assert_true(check_compare(&f.p, 0).worst > 1);
    drop(&f);
}

static void integers_are_exact_in_fp32_alone(void **state) {
    (void)state;
    for (int64_t k = 40; k <= 4096; k *= 4) {
        struct fixture f = make(20, 20, k, INTEGERS);
        multiply(&f, 4, 0, same);
        struct check_report r = check_compare(&f.p, 0);
        assert_true(r.largest < 0x1p24);
        assert_int_equal(r.inexact, 0);
        multiply(&f, 4, 0, check_round_tf32);
        r = check_compare(&f.p, 0);
        assert_true(r.inexact > 360);
        drop(&f);
    }
}

/* At k = 4096 the bound per element alone accepts TF32; the other two checks do not. */
static void tf32_is_red(void **state) {
    (void)state;
    struct fixture f = make(24, 24, 4096, NORMAL);
    multiply(&f, 1, 0, check_round_tf32);
    struct check_report r = check_compare(&f.p, 0);
    assert_true(r.worst <= 1);
    assert_false(good_whole(&r, 4096));
    drop(&f);
}

/* Where TF32 is owed it passes if it rounds to nearest; operands cut off are within the bound per element alone. */
static void tf32_passes_where_it_is_owed(void **state) {
    (void)state;
    struct fixture f = make(24, 24, 4096, NORMAL);
    f.p.tf32 = true;
    multiply(&f, 1, 0, check_round_tf32);
    struct check_report r = check_compare(&f.p, 0);
    assert_true(r.worst <= 1);
    assert_true(r.frobenius <= check_frobenius_limit(4096, true));
    multiply(&f, 1, 0, cut_off_to_tf32);
    r = check_compare(&f.p, 0);
    assert_true(r.frobenius > check_frobenius_limit(4096, true));
    drop(&f);
}

/* At k = 524288 the bound per element alone accepts an all-zero C. */
static void a_zeroed_c_is_red(void **state) {
    (void)state;
    struct fixture f = make(4, 4, 524288, NORMAL);
    for (int i = 0; i < 7 * 4; i++) f.result[i] = 0;
    struct check_report r = check_compare(&f.p, 0);
    assert_true(r.worst <= 1);
    assert_false(good_whole(&r, 524288));
    drop(&f);
    f = make(4, 4, 524288, INTEGERS);
    for (int i = 0; i < 7 * 4; i++) f.result[i] = 0;
    assert_true(check_compare(&f.p, 0).inexact >= 15);
    drop(&f);
}

static void a_lost_slice_of_k_is_red(void **state) {
    (void)state;
    struct fixture f = make(8, 8, 65536, NORMAL);
    multiply(&f, 512, 1, same);
    struct check_report r = check_compare(&f.p, 0);
    assert_false(good_whole(&r, 65536));
    drop(&f);
    f = make(8, 8, 65536, INTEGERS);
    multiply(&f, 64, 0, same);
    assert_int_equal(check_compare(&f.p, 0).inexact, 0);
    multiply(&f, 64, 1, same);
    assert_true(check_compare(&f.p, 0).inexact > 50);
    drop(&f);
}

static void one_bad_element_is_red(void **state) {
    (void)state;
    struct fixture f = make(33, 21, 64, NORMAL);
    multiply(&f, 1, 0, same);
    float kept = f.result[5 + 7 * 36];
    f.result[5 + 7 * 36] = NAN;
    struct check_report r = check_compare(&f.p, 0);
    assert_true(isinf(r.worst));
    assert_int_equal(r.at[0], 5);
    assert_int_equal(r.at[1], 7);
    assert_false(good_whole(&r, 64));
    f.result[5 + 7 * 36] = kept + 1;
    assert_true(check_compare(&f.p, 0).worst > 1);
    f.result[5 + 7 * 36] = INFINITY;
    assert_true(isinf(check_compare(&f.p, 0).worst));
    drop(&f);
}

static void a_broken_guard_is_red(void **state) {
    (void)state;
    struct fixture f = make(10, 10, 4, NORMAL);
    multiply(&f, 1, 0, same);
    f.result[10 + 3 * 13] = 0;
    assert_int_equal(check_padding_changed(&f.p), 1);
    float band[16];
    check_fill_guard(band, 16);
    assert_int_equal(check_guard_broken(band, 16), 0);
    band[3] = NAN; /* another NaN */
    assert_int_equal(check_guard_broken(band, 16), 1);
    drop(&f);
}

/* A sample sees the corners and as many results as were asked for. */
static void a_sample_is_spread(void **state) {
    (void)state;
    struct fixture f = make(100, 90, 3, NORMAL);
    multiply(&f, 1, 0, same);
    f.result[99 + 89 * 103] = NAN;
    struct check_report r = check_compare(&f.p, 64);
    assert_int_equal(r.compared, 64);
    assert_true(isinf(r.worst));
    drop(&f);
}

static void transposed_and_batched(void **state) {
    (void)state;
    enum { M = 3, N = 4, K = 5, BATCH = 3 };
    float a[M * K * BATCH], b[K * N * BATCH], c[M * N * BATCH];
    check_fill_normal(a, M * K * BATCH, 1);
    check_fill_normal(b, K * N * BATCH, 2);
    for (int s = 0; s < BATCH; s++)
        for (int j = 0; j < N; j++)
            for (int i = 0; i < M; i++) {
                double sum = 0;
                for (int l = 0; l < K; l++) sum += (double)a[s * M * K + l + i * K] * b[s * K * N + j + l * N];
                c[s * M * N + i + j * M] = (float)sum;
            }
    struct check_product p = {.trans_a = true,
                              .trans_b = true,
                              .m = M,
                              .n = N,
                              .k = K,
                              .batch = BATCH,
                              .lda = K,
                              .ldb = N,
                              .ldc = M,
                              .stride_a = M * K,
                              .stride_b = K * N,
                              .stride_c = M * N,
                              .alpha = 1,
                              .a = a,
                              .b = b,
                              .before = c,
                              .result = c};
    struct check_report r = check_compare(&p, 0);
    assert_true(r.worst <= 1);
    assert_int_equal(r.compared, M * N * BATCH);
    c[M * N * 2] += 1;
    r = check_compare(&p, 0);
    assert_true(r.worst > 1);
    assert_int_equal(r.at[2], 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_right_result_passes),
        cmocka_unit_test(alpha_and_beta_count),
        cmocka_unit_test(integers_are_exact_in_fp32_alone),
        cmocka_unit_test(tf32_is_red),
        cmocka_unit_test(tf32_passes_where_it_is_owed),
        cmocka_unit_test(a_zeroed_c_is_red),
        cmocka_unit_test(a_lost_slice_of_k_is_red),
        cmocka_unit_test(one_bad_element_is_red),
        cmocka_unit_test(a_broken_guard_is_red),
        cmocka_unit_test(a_sample_is_spread),
        cmocka_unit_test(transposed_and_batched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
