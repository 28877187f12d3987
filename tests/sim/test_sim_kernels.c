/*
 * The real kernels on the simulated GPU: every variant with all nine pairs of loaders, odd sizes, batches, splits
 * of K and device scalars, in every order of threads, against double precision.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <math.h>
#include <stdbool.h>

#include "sim_api.h"
#include "sim_product.h"
#include "split.h"

/* Only Hopper runs the rest. */
static bool simulated(int variant) {
    return !gemm_family_wgmma(gemm_variants[variant].family);
}

/* With all loaders that the variant takes. */
static void try_variant(struct sim_product p, int v) {
    for (int pair = 0; pair < LOADER_COUNT * LOADER_COUNT && simulated(v); pair++) {
        p.load_a = (enum gemm_loader)(pair / LOADER_COUNT);
        p.load_b = (enum gemm_loader)(pair % LOADER_COUNT);
        if (!gemm_variant_takes(&gemm_variants[v], p.load_a, p.load_b)) continue;
        int wrong = sim_product_try(p, &gemm_variants[v]);
        if (wrong) print_error("%s, loaders %d %d: %d wrong\n", gemm_variants[v].name, p.load_a, p.load_b, wrong);
        assert_int_equal(wrong, 0);
    }
}

/* With one pair that the variant takes: the `turn`-th of all pairs or the next after it. */
static void try_variant_with_one_pair(struct sim_product p, int v, int turn) {
    for (int left = LOADER_COUNT * LOADER_COUNT; left > 0 && simulated(v); left--, turn++) {
        p.load_a = (enum gemm_loader)(turn / LOADER_COUNT % LOADER_COUNT);
        p.load_b = (enum gemm_loader)(turn % LOADER_COUNT);
        if (!gemm_variant_takes(&gemm_variants[v], p.load_a, p.load_b)) continue;
        assert_int_equal(sim_product_try(p, &gemm_variants[v]), 0);
        return;
    }
}

static void try_everywhere(struct sim_product p) {
    for (int v = 0; v < VARIANT_COUNT; v++) try_variant(p, v);
}

/* A test that failed leaves the device broken: the next one starts afresh. */
static int start_afresh(void **state) {
    (void)state;
    fgsim_reset();
    return 0;
}

static void test_odd_sizes_and_all_loaders(void **state) {
    (void)state;
    try_everywhere((struct sim_product){.m = 67, .n = 131, .k = 37, .pad = 3, .alpha = 1.5f, .beta = 0});
    try_everywhere((struct sim_product){.m = 1, .n = 1, .k = 1, .alpha = 1, .beta = 1});
    try_everywhere((struct sim_product){.m = 129, .n = 3, .k = 8, .pad = 1, .alpha = -1, .beta = 0.5f});
}

static void test_several_tiles(void **state) {
    (void)state;
    for (int v = 0; v < VARIANT_COUNT; v++) {
        if (!simulated(v)) continue;
        const bool any = gemm_variant_takes(&gemm_variants[v], LOAD_MN4, LOAD_K4);
        struct sim_product p = {.load_a = any ? LOAD_MN4 : LOAD_MN16,
                                .load_b = LOAD_K4,
                                .m = 2 * gemm_variants[v].bm + 5,
                                .n = gemm_variants[v].bn + 1,
                                .k = 65,
                                .alpha = 1};
        assert_int_equal(sim_product_try(p, &gemm_variants[v]), 0);
    }
}

/* Every place of a row's first element in its 16 bytes, and every step of it from row to row; by turns of variants. */
static void test_every_alignment(void **state) {
    (void)state;
    for (int i = 0, v = 0; i < 16; i++) {
        do v = (v + 1) % VARIANT_COUNT;
        while (gemm_variants[v].family != FAMILY_TF32_MMA && gemm_variants[v].family != FAMILY_TF32_BATCH &&
               gemm_variants[v].family != FAMILY_TF32_KEPT && !gemm_family_packed(gemm_variants[v].family) &&
               !gemm_family_split_mma(gemm_variants[v].family));
        try_variant(
            (struct sim_product){.m = 65 + i % 3, .n = 61, .k = 70 + i, .pad = i % 4, .offset = i / 4, .alpha = 1}, v);
    }
}

static void test_batches(void **state) {
    (void)state;
    try_everywhere((struct sim_product){.m = 33, .n = 20, .k = 11, .batch = 3, .alpha = 1, .beta = -2});
}

/* Matrices wherever they are: whole and split, aligned and not. */
static void test_pointer_arrays(void **state) {
    (void)state;
    for (int v = 0; v < VARIANT_COUNT; v++)
        for (int pair = 0; pair < 4 && gemm_family_takes_pointers(gemm_variants[v].family); pair++)
            for (int turn = 0; turn < 3; turn++) {
                struct sim_product p = {.load_a = pair / 2 ? LOAD_K4 : LOAD_MN4,
                                        .load_b = pair % 2 ? LOAD_K4 : LOAD_MN4,
                                        .m = turn ? 36 : 35,
                                        .n = 21,
                                        .k = 40,
                                        .batch = 3,
                                        .splits = turn > 1 ? 3 : 1,
                                        .offset = turn ? 0 : 1,
                                        .pointers = 1,
                                        .alpha = 2,
                                        .beta = -1};
                if (!gemm_variant_takes(&gemm_variants[v], p.load_a, p.load_b)) continue;
                assert_int_equal(sim_product_try(p, &gemm_variants[v]), 0);
            }
}

static void test_split_k(void **state) {
    (void)state;
    try_everywhere((struct sim_product){.m = 34, .n = 17, .k = 101, .batch = 2, .splits = 4, .alpha = 2, .beta = 1});
}

/*
 * Stream-K: four or five tiles to a column, three CTAs; a short k tile, one k tile for all, an edge of few rows, of two
 * thirds of a tile, none, a batch, an epilogue.
 */
static void test_shared_tiles(void **state) {
    (void)state;
    static const int ks[] = {8, 32, 35, 67, 130};
    for (int v = 0; v < VARIANT_COUNT; v++)
        for (size_t i = 0; i < sizeof ks / sizeof *ks && gemm_variant_persists(&gemm_variants[v]); i++) {
            const int bm = gemm_variants[v].bm, bn = gemm_variants[v].bn;
            struct sim_product p = {.load_a = i % 2 ? LOAD_MN4 : LOAD_K4,
                                    .load_b = i == 3 ? LOAD_MN4 : LOAD_K4,
                                    .m = i == 1   ? 4 * bm
                                         : i >= 3 ? 3 * bm + 5
                                                  : 4 * bm + 2 * bm / 3 - 6,
                                    .n = bn / 2 + 3,
                                    .k = ks[i],
                                    .batch = i == 2 || i == 4 ? 1 : 2,
                                    .shared = 1,
                                    .alpha = 2,
                                    .beta = i == 1 ? 0.5f : 0};
            if (i == 4) p.n += bn;
            if (i == 4) p.bias = 1, p.activation = ACTIVATION_relu;
            assert_int_not_equal((p.m + bm - 1) / bm * ((p.n + bn - 1) / bn) * p.batch % 3,
                                 0); /* else none is shared */
            assert_int_equal(sim_product_try(p, &gemm_variants[v]), 0);
        }
}

/* What the operands' sizes made of a product: the first word of its scratch. */
static uint32_t choice_of(struct sim_product *p, int variant, float odd_one, int wrong_at_most) {
    const struct gemm_variant *v = &gemm_variants[variant];
    sim_product_make(p, v);
    if (odd_one != 0.0f) ((float *)(uintptr_t)p->args.a)[7 * p->args.lda + 5] = odd_one; /* row 5 of op(A) */
    assert_int_equal(sim_product_run(p), 0);
    assert_in_range(sim_product_wrong(p), 0, wrong_at_most);
    return *(const uint32_t *)p->args.partial;
}

/* Split operands: fp16, bf16, or neither, for the whole or for tiles with rows that bf16 cannot hold. */
static void test_choices_of_split_operands(void **state) {
    (void)state;
    const int fp16 = VARIANT_sgemm_fp16x3_mma_128x128x16, bf16 = VARIANT_sgemm_bf16x6_mma_128x128x16;
    struct sim_product p = {.load_a = LOAD_MN4, .load_b = LOAD_K4, .m = 130, .n = 70, .k = 90, .pad = 1, .alpha = 1};
    struct sim_product fast = p, plain = p, wide = p, wide_plain = p, infinite = p, largest = p, exact = p;
    assert_int_equal(choice_of(&fast, fp16, 0, 0), SPLIT_FP16X3);
    assert_int_equal(choice_of(&plain, bf16, 0, 0), SPLIT_BF16X6);
    assert_int_equal(choice_of(&wide, fp16, 0x1p-30f, 0), SPLIT_FP16X3);
    assert_int_equal(choice_of(&wide_plain, bf16, 0x1p-30f, 0), SPLIT_BF16X6);
    assert_int_equal(choice_of(&infinite, fp16, INFINITY, 70), SPLIT_FP16X3);
    choice_of(&largest, fp16, 0x1.fffffep127f, 0);
    int different = 0;
    for (int j = 0; j < p.n; j++) {
        const float *x = infinite.args.d + j * infinite.args.ldd, *y = fast.args.d + j * fast.args.ldd;
        const float *z = plain.args.d + j * plain.args.ldd;
        const float *six = wide_plain.args.d + j * wide.args.ldd, *mixed = wide.args.d + j * wide.args.ldd;
        for (int i = 0; i < 130; i++) assert_true(mixed[i] == (i < 128 ? six[i] : y[i])); /* tile by tile */
        assert_true(isinf(x[5]) && signbit(x[5]) == signbit(infinite.args.b[7 + j * infinite.args.ldb]));
        for (int i = 0; i < 128; i++) different += x[i] != y[i] && x[i] != z[i] && y[i] != z[i];
        for (int i = 128; i < 130; i++) assert_true(x[i] == y[i]); /* the next tile's are as they were */
    }
    assert_true(different > 128 * 70 / 8); /* three ways to round */
    exact.k = 1;                           /* each sum is one product, which has to be right to the last bit */
    assert_int_equal(choice_of(&exact, fp16, 0, 0), SPLIT_EXACT);
    for (int i = 0; i < p.m; i++) assert_true(exact.args.d[i] == exact.args.a[i] * exact.args.b[0]);
    sim_product_free(&fast);
    sim_product_free(&plain);
    sim_product_free(&wide);
    sim_product_free(&wide_plain);
    sim_product_free(&infinite);
    sim_product_free(&largest);
    sim_product_free(&exact);
}

static void test_scalars_on_device(void **state) {
    (void)state;
    try_everywhere((struct sim_product){.m = 9, .n = 10, .k = 5, .alpha = 3, .beta = 0.25f, .scalars_on_device = 1});
}

static void test_nothing_to_sum_scales_c(void **state) {
    (void)state;
    try_everywhere((struct sim_product){.m = 9, .n = 5, .k = 0, .alpha = 1, .beta = 2});
    try_everywhere((struct sim_product){.m = 9, .n = 5, .k = 0, .batch = 9, .alpha = 1, .beta = 2});
}

/* Every activation, with and without a bias and a split of K; the loaders, which know nothing of it, by turns. */
static void test_epilogues(void **state) {
    int turn = LOADER_COUNT; /* past the pairs that make m a multiple of four */
    (void)state;
    for (int bias = 0; bias < 2; bias++)
        for (int activation = 0; activation < ACTIVATION_COUNT; activation++) {
            struct sim_product p = {.m = 35, .n = 18, .k = 23, .pad = 1, .batch = 2, .alpha = 2, .beta = 0};
            p.bias = bias;
            p.activation = activation;
            const struct sim_product odd = p;
            p.pad = 0;
            p.beta = -1;
            p.m = 36;
            struct sim_product split = p;
            split.splits = 3;
            for (int v = 0; v < VARIANT_COUNT; v++) {
                try_variant_with_one_pair(odd, v, turn);
                try_variant_with_one_pair(p, v, turn + 5);
                try_variant_with_one_pair(split, v, turn + 2);
            }
            turn++;
        }
}

static void test_every_order_of_threads(void **state) {
    /* What an order finds is wrong in every build. */
#ifdef __SANITIZE_ADDRESS__
    static const char *const orders[] = {"reverse"};
#else
    static const char *const orders[] = {"forward", "reverse", "warps", "shuffle", "shuffle:7", "shuffle:8"};
#endif
    (void)state;
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
        setenv("FASTGEMM_SIM_ORDER", orders[i], 1);
        fgsim_reset();
        test_several_tiles(NULL);
    }
    unsetenv("FASTGEMM_SIM_ORDER");
    fgsim_reset();
}

static void test_launches_are_counted_by_name(void **state) {
    (void)state;
    fgsim_reset();
    struct sim_product p = {.load_a = LOAD_MN4, .load_b = LOAD_K4, .m = 5, .n = 5, .k = 50, .splits = 3, .alpha = 1};
    assert_int_equal(sim_product_try(p, &gemm_variants[VARIANT_sgemm_simt_64x64x8]), 0);
    assert_int_equal(fgsim_launches("sgemm_simt_64x64x8_st"), 1);
    assert_int_equal(fgsim_launches("sgemm_simt"), 1);
    assert_int_equal(fgsim_launches("splitk_reduce"), 1);
    struct fgsim_launch last;
    assert_true(fgsim_last_launch(&last));
    assert_string_equal(last.name, "splitk_reduce");
}

int main(void) {
    setenv("FASTGEMM_SIM_CC", "9.0", 1); /* every variant fits its shared memory */
#define TEST(name) cmocka_unit_test_setup(name, start_afresh)
    const struct CMUnitTest tests[] = {
        TEST(test_odd_sizes_and_all_loaders),
        TEST(test_several_tiles),
        TEST(test_every_alignment),
        TEST(test_batches),
        TEST(test_pointer_arrays),
        TEST(test_split_k),
        TEST(test_shared_tiles),
        TEST(test_choices_of_split_operands),
        TEST(test_scalars_on_device),
        TEST(test_nothing_to_sum_scales_c),
        TEST(test_epilogues),
        TEST(test_every_order_of_threads),
        TEST(test_launches_are_counted_by_name),
    };
    return cmocka_run_group_tests_name("kernels on the simulated GPU", tests, NULL, NULL);
}
