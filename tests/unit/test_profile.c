/* What a product is: validity, profile and its boundaries, loaders, alignment. */
#include "fixtures.h"

#include <string.h>

static enum gemm_profile profile_of(struct gemm_problem p) {
    return gemm_profile_of(&p);
}

static void published_workloads_have_their_profiles(void **state) {
    (void)state;
    for (int i = 0; i < PUBLISHED_COUNT; i++) {
        struct published w = published_workload(i);
        assert_true(gemm_problem_valid(&w.problem));
        assert_string_equal(gemm_profile_name(profile_of(w.problem)), gemm_profile_name(w.profile));
    }
}

static void profiles_have_names(void **state) {
    (void)state;
    for (int i = 0; i < PROFILE_COUNT; i++)
        for (int j = 0; j < i; j++)
            assert_string_not_equal(gemm_profile_name((enum gemm_profile)i), gemm_profile_name((enum gemm_profile)j));
}

static void k_is_huge_from_16_times_the_larger_side(void **state) {
    (void)state;
    assert_int_equal(profile_of(problem_of(GEMM_OP_N, GEMM_OP_N, 256, 128, 4096)), PROFILE_huge_k);
    assert_int_equal(profile_of(problem_of(GEMM_OP_N, GEMM_OP_N, 128, 256, 4096)), PROFILE_huge_k);
    assert_int_equal(profile_of(problem_of(GEMM_OP_N, GEMM_OP_N, 256, 128, 4095)), PROFILE_irregular);
    assert_int_equal(profile_of(problem_of(GEMM_OP_N, GEMM_OP_N, 256, 128, 4092)), PROFILE_general);
    assert_int_equal(profile_of(problem_of(GEMM_OP_T, GEMM_OP_T, 256, 128, 4100)), PROFILE_huge_k);
}

static void an_outer_product_has_small_k_and_large_c(void **state) {
    (void)state;
    assert_int_equal(profile_of(problem_of(GEMM_OP_N, GEMM_OP_N, 1024, 4096, 128)), PROFILE_outer_product);
    assert_int_equal(profile_of(problem_of(GEMM_OP_N, GEMM_OP_N, 4096, 1024, 128)), PROFILE_outer_product);
    assert_int_equal(profile_of(problem_of(GEMM_OP_N, GEMM_OP_N, 1024, 4096, 132)), PROFILE_general);
    assert_int_equal(profile_of(problem_of(GEMM_OP_N, GEMM_OP_N, 1020, 4096, 32)), PROFILE_general);
    assert_int_equal(profile_of(problem_of(GEMM_OP_N, GEMM_OP_N, 1024, 4096, 1)), PROFILE_outer_product);
}

/* One small change each to an aligned product; each alone makes it irregular. */
static void any_broken_alignment_is_irregular(void **state) {
    (void)state;
    const struct gemm_problem aligned = problem_of(GEMM_OP_N, GEMM_OP_N, 2048, 1024, 4096);
    assert_int_equal(profile_of(aligned), PROFILE_general);
    struct gemm_problem p[9];
    for (int i = 0; i < 9; i++) p[i] = aligned;
    p[0].lda += 1;
    p[1].ldb += 2;
    p[2].align_a = 4;
    p[3].align_b = 8;
    p[4].ldc += 3;
    p[5].ldd += 1;
    p[6].m -= 1;
    p[7].k -= 1;
    p[8] = problem_of(GEMM_OP_N, GEMM_OP_T, 2048, 1023, 4096);
    for (int i = 0; i < 9; i++) assert_int_equal(profile_of(p[i]), PROFILE_irregular);
}

/* n counts columns of C and of B: with B not transposed no contiguous side has n elements. */
static void odd_columns_are_regular(void **state) {
    (void)state;
    assert_int_equal(profile_of(problem_of(GEMM_OP_N, GEMM_OP_N, 2048, 1023, 4096)), PROFILE_general);
}

static void square_whatever_its_ops(void **state) {
    (void)state;
    for (int ops = 0; ops < 4; ops++) {
        enum gemm_op a = (enum gemm_op)(ops & 1), b = (enum gemm_op)(ops >> 1);
        assert_int_equal(profile_of(problem_of(a, b, 4096, 4096, 4096)), PROFILE_square);
        assert_int_equal(profile_of(problem_of(a, b, 4096, 4096, 4092)), ops ? PROFILE_transposed : PROFILE_general);
    }
    assert_int_equal(profile_of(problem_of(GEMM_OP_N, GEMM_OP_N, 1023, 1023, 1023)), PROFILE_irregular);
}

static void a_batch_comes_first(void **state) {
    (void)state;
    assert_int_equal(profile_of(batched_problem(256, 256, 524288, 2)), PROFILE_batched);
    assert_int_equal(profile_of(batched_problem(4096, 4096, 4096, 1)), PROFILE_square);
}

static void extreme_sizes_have_a_profile(void **state) {
    (void)state;
    assert_int_equal(profile_of(problem_of(GEMM_OP_N, GEMM_OP_N, INT64_MAX, INT64_MAX, INT64_MAX)), PROFILE_irregular);
    assert_int_equal(profile_of(problem_of(GEMM_OP_N, GEMM_OP_N, 1, 1, INT64_MAX)), PROFILE_huge_k);
    assert_int_equal(profile_of(problem_of(GEMM_OP_N, GEMM_OP_N, INT64_MAX, INT64_MAX, 1)), PROFILE_outer_product);
}

static bool valid(struct gemm_problem p) {
    return gemm_problem_valid(&p);
}

static void negative_sizes_are_invalid(void **state) {
    (void)state;
    struct gemm_problem good = problem_of(GEMM_OP_N, GEMM_OP_N, 5, 6, 7), bad[4] = {good, good, good, good};
    assert_true(valid(good));
    bad[0].m = -1;
    bad[1].n = -1;
    bad[2].k = -1;
    bad[3].batch = -1;
    for (int i = 0; i < 4; i++) assert_false(valid(bad[i]));
}

/* Each leading dimension at its least and one below it, for all ops. */
static void leading_dimensions_hold_their_columns(void **state) {
    (void)state;
    for (int ops = 0; ops < 4; ops++) {
        struct gemm_problem good = problem_of((enum gemm_op)(ops & 1), (enum gemm_op)(ops >> 1), 5, 6, 7);
        struct gemm_problem bad[4] = {good, good, good, good};
        assert_int_equal(good.lda, ops & 1 ? 7 : 5);
        assert_int_equal(good.ldb, ops >> 1 ? 6 : 7);
        assert_true(valid(good));
        bad[0].lda--;
        bad[1].ldb--;
        bad[2].ldc--;
        bad[3].ldd--;
        for (int i = 0; i < 4; i++) assert_false(valid(bad[i]));
    }
}

static void empty_products_are_valid_with_leading_dimensions_from_one(void **state) {
    (void)state;
    struct gemm_problem p = problem_of(GEMM_OP_N, GEMM_OP_N, 0, 0, 0);
    assert_false(valid(p)); /* leading dimensions of 0 */
    p.lda = p.ldb = p.ldc = p.ldd = 1;
    assert_true(valid(p));
    p.batch = 0;
    assert_true(valid(p));
    p.ldc = 0;
    assert_false(valid(p));
}

static void alignment_is_a_power_of_two_up_to_16(void **state) {
    (void)state;
    _Alignas(16) static const char bytes[64];
    const unsigned expected[17] = {16, 1, 2, 1, 4, 1, 2, 1, 8, 1, 2, 1, 4, 1, 2, 1, 16};
    for (int i = 0; i <= 16; i++) assert_int_equal(gemm_alignment(bytes + i), expected[i]);
    assert_int_equal(gemm_alignment(NULL), 16);
}

static void contiguous_along_k_is_read_by_four_bytes(void **state) {
    (void)state;
    struct gemm_problem p = problem_of(GEMM_OP_T, GEMM_OP_N, 512, 512, 512);
    assert_int_equal(gemm_loader_a(&p), LOAD_K4);
    assert_int_equal(gemm_loader_b(&p), LOAD_K4);
}

/* NT: both operands contiguous along their side of C, so 16-byte copies if all is aligned. */
static void vectors_need_everything_aligned(void **state) {
    (void)state;
    const struct gemm_problem good = problem_of(GEMM_OP_N, GEMM_OP_T, 512, 256, 333);
    assert_int_equal(gemm_loader_a(&good), LOAD_MN16);
    assert_int_equal(gemm_loader_b(&good), LOAD_MN16);
    struct gemm_problem a[3] = {good, good, good}, b[3] = {good, good, good};
    a[0].lda++, b[0].ldb++;
    a[1].align_a = 8, b[1].align_b = 4;
    a[2].m--, b[2].n--;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(gemm_loader_a(&a[i]), LOAD_MN4);
        assert_int_equal(gemm_loader_b(&a[i]), LOAD_MN16);
        assert_int_equal(gemm_loader_a(&b[i]), LOAD_MN16);
        assert_int_equal(gemm_loader_b(&b[i]), LOAD_MN4);
    }
}

static void strides_matter_only_in_a_batch(void **state) {
    (void)state;
    struct gemm_problem p = problem_of(GEMM_OP_N, GEMM_OP_T, 512, 256, 333);
    p.stride_a = p.stride_b = 5;
    assert_int_equal(gemm_loader_a(&p), LOAD_MN16);
    assert_int_equal(gemm_loader_b(&p), LOAD_MN16);
    p.batch = 2;
    assert_int_equal(gemm_loader_a(&p), LOAD_MN4);
    assert_int_equal(gemm_loader_b(&p), LOAD_MN4);
    p.stride_a = 0, p.stride_b = -8;
    assert_int_equal(gemm_loader_a(&p), LOAD_MN16);
    assert_int_equal(gemm_loader_b(&p), LOAD_MN16);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_workloads_have_their_profiles),
        cmocka_unit_test(profiles_have_names),
        cmocka_unit_test(k_is_huge_from_16_times_the_larger_side),
        cmocka_unit_test(an_outer_product_has_small_k_and_large_c),
        cmocka_unit_test(any_broken_alignment_is_irregular),
        cmocka_unit_test(odd_columns_are_regular),
        cmocka_unit_test(square_whatever_its_ops),
        cmocka_unit_test(a_batch_comes_first),
        cmocka_unit_test(extreme_sizes_have_a_profile),
        cmocka_unit_test(negative_sizes_are_invalid),
        cmocka_unit_test(leading_dimensions_hold_their_columns),
        cmocka_unit_test(empty_products_are_valid_with_leading_dimensions_from_one),
        cmocka_unit_test(alignment_is_a_power_of_two_up_to_16),
        cmocka_unit_test(contiguous_along_k_is_read_by_four_bytes),
        cmocka_unit_test(vectors_need_everything_aligned),
        cmocka_unit_test(strides_matter_only_in_a_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
