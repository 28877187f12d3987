/* The geometry of a split, its scratch, and what the cost model owes to the search. */
#include "fixtures.h"

#include "cost.h"

/* The slices of every split that the search may take cover K once, and none is empty. */
static void slices_cover_k_exactly(void **state) {
    (void)state;
    const int64_t ks[] = {1, 7, 8, 9, 63, 64, 65, 1000, 1024, 4097, 524288, 524289, INT32_MAX - 4096};
    struct gemm_device device = device_of_arch(90);
    struct gemm_limits limits = {.scratch_bytes = INT64_MAX, .planes_bytes = INT64_MAX};
    struct toggles toggles = default_toggles();
    int split_plans = 0;
    for (int v = 0; v < VARIANT_COUNT; v++)
        for (unsigned i = 0; i < sizeof ks / sizeof *ks; i++)
            for (int wanted = 1; wanted <= 1024; wanted = wanted < 40 ? wanted + 1 : wanted * 3 / 2) {
                device.wgmma = gemm_family_wgmma(gemm_variants[v].family);
                struct gemm_problem p = problem_of(GEMM_OP_N, GEMM_OP_T, 96, 80, ks[i]);
                p.contract = gemm_variants[v].contract;
                toggles.kernel = v;
                toggles.split_k = wanted;
                struct gemm_plan plan = gemm_plan_make(&p, &device, &toggles, &limits);
                if (gemm_family_short_k(gemm_variants[v].family) && ks[i] > gemm_variants[v].bk) continue;
                assert_ptr_equal(plan.variant, &gemm_variants[v]);
                assert_in_range(plan.split_k, 1, wanted);
                int64_t slice = gemm_split_slice(&p, plan.variant, plan.split_k), last = 0;
                last = p.k - slice * (plan.split_k - 1);
                assert_int_equal(slice % plan.variant->bk, 0);
                assert_true(last > 0 && last <= slice);
                split_plans += plan.split_k > 1;
            }
    assert_true(split_plans > 100);
}

/* A forced number of splits is had exactly where it leaves no slice empty. */
static void a_forced_split_is_the_nearest_possible(void **state) {
    (void)state;
    struct gemm_device device = device_of_arch(90);
    struct gemm_limits limits = plenty_of_scratch();
    struct toggles toggles = default_toggles();
    toggles.kernel = 0;
    const int64_t bk = gemm_variants[0].bk;
    const int wanted[] = {1, 2, 5, 6, 9, 10, 11, 1024}, had[] = {1, 2, 5, 5, 5, 10, 10, 10};
    for (unsigned i = 0; i < sizeof had / sizeof *had; i++) {
        struct gemm_problem p = problem_of(GEMM_OP_N, GEMM_OP_N, 96, 80, 10 * bk);
        toggles.split_k = wanted[i];
        assert_int_equal(gemm_plan_make(&p, &device, &toggles, &limits).split_k, had[i]);
    }
}

static void scratch_holds_every_partial_c(void **state) {
    (void)state;
    const struct gemm_variant *simt = &gemm_variants[0];
    struct gemm_problem p = batched_problem(13, 7, 4096, 3);
    assert_int_equal(gemm_split_ld(&p), 16);
    assert_int_equal(gemm_split_scratch_bytes(&p, simt, 1), 0);
    assert_int_equal(gemm_split_scratch_bytes(&p, simt, 2), 2 * 3 * 7 * 16 * 4);
    assert_int_equal(gemm_split_scratch_bytes(&p, simt, 1024), 1024 * 3 * 7 * 16 * 4);
    /* Those of fp64 are two floats each. */
    const struct gemm_variant *fused = &gemm_variants[VARIANT_sgemm_fused_wgmma_128x128x64];
    assert_int_equal(gemm_split_scratch_bytes(&p, fused, 1), 0);
    assert_int_equal(gemm_split_scratch_bytes(&p, fused, 2), 2 * 2 * 3 * 7 * 16 * 4);
    p = problem_of(GEMM_OP_N, GEMM_OP_N, 16, 7, 4096);
    assert_int_equal(gemm_split_ld(&p), 16);
}

static void scratch_beyond_counting_is_too_much(void **state) {
    (void)state;
    const struct gemm_variant *simt = &gemm_variants[0];
    struct gemm_problem p = batched_problem(INT32_MAX, INT32_MAX, 1, INT32_MAX);
    assert_true(gemm_split_scratch_bytes(&p, simt, 1024) == INT64_MAX);
    p = problem_of(GEMM_OP_N, GEMM_OP_N, INT64_MAX, INT64_MAX, INT64_MAX);
    assert_true(gemm_split_scratch_bytes(&p, simt, 2) == INT64_MAX);
    assert_true(gemm_split_ld(&p) == INT64_MAX);
}

static void scratch_limits_the_split(void **state) {
    (void)state;
    struct gemm_device device = device_of_arch(90);
    struct toggles toggles = default_toggles();
    struct gemm_problem p = published_workload(0).problem;
    const int64_t plane = 256 * 256 * 4;
    assert_true(plan_on(90, p).split_k > 4);
    toggles.kernel = VARIANT_sgemm_simt_128x128x8; /* unforced, so few splits would be cuBLAS's */
    for (int planes = 0; planes <= 4; planes++) {
        struct gemm_limits limits = {.scratch_bytes = planes * plane + plane - 1};
        struct gemm_plan plan = gemm_plan_make(&p, &device, &toggles, &limits);
        assert_int_equal(plan.split_k, planes < 2 ? 1 : planes);
        assert_int_equal(plan.scratch_bytes, planes < 2 ? 0 : planes * plane);
    }
}

static void round_up_is_exact(void **state) {
    (void)state;
    assert_true(gemm_round_up(0) == 0 && gemm_round_up(1) == 1 && gemm_round_up(1.25) == 2);
    assert_true(gemm_round_up(0x1p52 + 0.5) == 0x1p52 + 0.5 || gemm_round_up(0x1p52 + 0.5) == 0x1p52 + 1);
    assert_true(gemm_round_up(0x1p200) == 0x1p200);
}

/* The search stops at the bound: it must never lie above a cost that comes later. */
static void the_bound_never_exceeds_a_cost(void **state) {
    (void)state;
    for (int w = 0; w < PUBLISHED_COUNT; w++)
        for (int v = 0; v < VARIANT_COUNT; v++) {
            struct gemm_problem p = published_workload(w).problem;
            struct gemm_device device = device_of_arch(w % 2 ? 89 : 90);
            struct gemm_cost_terms terms = gemm_cost_prepare(&p, &device, &gemm_variants[v]);
            double before = 0;
            for (int split = 1; split <= 1024; split++) {
                double bound = gemm_cost_bound(&terms, split), cost = gemm_cost(&p, &device, &gemm_variants[v], split);
                assert_true(bound > 0 && bound >= before && bound <= cost * (1 + 1e-12));
                before = bound;
            }
        }
}

static bool worth_a_look(const struct gemm_problem *p, const struct gemm_variant *v, int split) {
    int64_t slice = gemm_split_slice(p, v, split);
    return split == 1 || (slice * (split - 1) < p->k && slice >= 8 * v->bk &&
                          gemm_split_scratch_bytes(p, v, split) <= plenty_of_scratch().scratch_bytes);
}

/* Against every split from 1 to 1024 of every variant, by the model itself. */
static void few_splits_cost_little_more_than_all(void **state) {
    (void)state;
    int compared = 0;
    for (int64_t m = 33; m < 9000; m = m * 5 / 3)
        for (int64_t n = 20; n < 9000; n = n * 9 / 5)
            for (int64_t k = 100; k < 600000; k *= 3) {
                struct gemm_problem p = problem_of(GEMM_OP_N, GEMM_OP_N, m / 4 * 4, n / 4 * 4, k);
                struct gemm_device device = device_of_arch(compared % 2 ? 89 : 90);
                struct gemm_plan plan = plan_on(device.arch, p);
                double best = plan.predicted_s;
                if (!plan.variant) continue;
                for (int v = 0; v < VARIANT_COUNT; v++)
                    for (int split = 1; split <= 1024; split++)
                        if (gemm_variant_fits(&gemm_variants[v], &p, &device) &&
                            !gemm_family_split_mma(gemm_variants[v].family) && /* sm_80's alone */
                            worth_a_look(&p, &gemm_variants[v], split)) {
                            double cost = gemm_cost(&p, &device, &gemm_variants[v], split);
                            if (cost < best) best = cost;
                        }
                assert_true(plan.predicted_s <= 1.1 * best);
                compared++;
            }
    assert_true(compared > 200);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slices_cover_k_exactly),         cmocka_unit_test(a_forced_split_is_the_nearest_possible),
        cmocka_unit_test(scratch_holds_every_partial_c),  cmocka_unit_test(scratch_beyond_counting_is_too_much),
        cmocka_unit_test(scratch_limits_the_split),       cmocka_unit_test(round_up_is_exact),
        cmocka_unit_test(the_bound_never_exceeds_a_cost), cmocka_unit_test(few_splits_cost_little_more_than_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
