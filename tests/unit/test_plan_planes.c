/* Plans on kernels that split their operands: when they are chosen, and the scratch that they ask for. */
#include <string.h>

#include "fixtures.h"

#include "../../kernels/fused.h"
#include "../../kernels/simt_rows.h"
#include "../../kernels/split.h"
#include "cost.h"
#include "measured.h"

static const int64_t MIB = INT64_C(1) << 20;

static struct gemm_plan plan_on_hopper(struct gemm_problem p, int64_t planes_bytes) {
    struct gemm_device device = device_of_arch(90);
    struct toggles toggles = default_toggles();
    struct gemm_limits limits = {.scratch_bytes = 256 * MIB, .planes_bytes = planes_bytes};
    device.wgmma = 1;
    return gemm_plan_make(&p, &device, &toggles, &limits);
}

static struct gemm_problem cube(int64_t size) {
    return problem_of(GEMM_OP_N, GEMM_OP_N, size, size, size);
}

static void large_products_use_them(void **state) {
    (void)state;
    struct gemm_plan plan = plan_on_hopper(cube(4096), 256 * MIB);
    assert_non_null(plan.variant);
    assert_int_equal(plan.variant->family, FAMILY_FP16X3);
    assert_int_equal(plan.split_k, 1);
    assert_int_equal(plan.scratch_bytes, split_scratch_bytes(4096, 4096, 4096, 1));
}

static void only_where_the_code_runs(void **state) {
    (void)state;
    struct gemm_plan plan = plan_on(90, cube(4096)); /* no sm_90a code in the build */
    assert_non_null(plan.variant);
    assert_int_equal(plan.variant->family, FAMILY_SIMT);
}

static void ieee_rules_them_out(void **state) {
    (void)state;
    struct gemm_problem p = cube(4096);
    p.contract = CONTRACT_IEEE;
    assert_int_equal(plan_on_hopper(p, 256 * MIB).variant->contract, CONTRACT_IEEE);
}

/* FFMA operands along K go through scratch, before the product, where there is room; others stay where they are. */
static void rows_are_brought_for_ieee(void **state) {
    (void)state;
    struct gemm_problem p = cube(4096);
    p.contract = CONTRACT_IEEE;
    const struct gemm_plan plan = plan_on_hopper(p, 256 * MIB);
    assert_int_equal(plan.variant->family, FAMILY_SIMT_ROWS);
    assert_true(plan.scratch_bytes >= 4 * 4096 * 4096 && plan.scratch_bytes < 2 * 4 * 4096 * 4096);
    assert_int_equal(plan_on_hopper(p, 32 * MIB).variant->family, FAMILY_SIMT);
    p.op_a = GEMM_OP_N;
    p.op_b = GEMM_OP_T;
    assert_int_equal(plan_on_hopper(p, 256 * MIB).variant->family, FAMILY_SIMT_ROWS);
    assert_true(plan_on_hopper(p, 256 * MIB).scratch_bytes < 4 * 4096 * 4096);
    p.k = 1023; /* shorter than was measured */
    assert_int_equal(plan_on_hopper(p, 256 * MIB).variant->family, FAMILY_SIMT);
    p = cube(2048); /* over before it pays */
    p.contract = CONTRACT_IEEE;
    assert_int_equal(plan_on_hopper(p, 256 * MIB).variant->family, FAMILY_SIMT);
}

/* In scratch they lie so far apart that the bytes of a k tile of 16 are counted in 32 bits. */
static void no_more_rows_are_brought_than_a_k_tile_holds(void **state) {
    (void)state;
    const struct simt_operand few = {4, 1, LOAD_MN16}, most = {1 << 25, 1, LOAD_K4}, more = {(1 << 25) + 1, 1, LOAD_K4};
    assert_true(simt_rows_bytes(most, few, 17) < INT64_MAX);
    assert_true(simt_rows_bytes(more, few, 17) == INT64_MAX);
    assert_true(simt_rows_bytes(few, more, 17) == INT64_MAX);
}

/* Where there is no room for the planes of all of K, chunks of it are multiplied one after another. */
static void less_room_means_chunks(void **state) {
    (void)state;
    int64_t needed = split_scratch_bytes(4096, 4096, 4096, 1), half = split_scratch_bytes(4096, 4096, 2048, 1);
    struct gemm_plan whole = plan_on_hopper(cube(4096), needed), parts = plan_on_hopper(cube(4096), needed - 1);
    assert_int_equal(whole.variant->family, FAMILY_FP16X3);
    assert_int_equal(whole.k_chunk, 4096);
    assert_int_equal(parts.variant->family, FAMILY_FP16X3);
    assert_int_equal(parts.k_chunk, 2048);
    assert_int_equal(parts.scratch_bytes, half);
    assert_true(parts.predicted_s > whole.predicted_s);
    parts = plan_on_hopper(cube(4096), half - 1);
    assert_int_equal(parts.k_chunk, 1408); /* a third, in whole tiles */
    struct gemm_plan large = plan_on_hopper(cube(32768), INT64_C(2) << 30);
    assert_int_equal(large.variant->family, FAMILY_FP16X3);
    assert_true(large.k_chunk <= 8192 && large.scratch_bytes <= INT64_C(2) << 30);
}

static void without_room_for_planes_another_kernel_runs(void **state) {
    (void)state;
    assert_int_equal(plan_on_hopper(cube(4096), 1 << 20).variant->family, FAMILY_FUSED);
    assert_int_equal(plan_on_hopper(cube(4096), 0).variant->family, FAMILY_SIMT);
    assert_int_equal(plan_on_hopper(cube(4096), -1).variant->family, FAMILY_SIMT);
}

/* Of a short K its accuracy does not hold for all sizes. */
static void a_short_k_is_not_split_on_its_way(void **state) {
    (void)state;
    assert_int_equal(plan_on_hopper(problem_of(GEMM_OP_N, GEMM_OP_N, 4096, 4096, 2048), MIB).variant->family,
                     FAMILY_FUSED);
    assert_int_equal(plan_on_hopper(problem_of(GEMM_OP_N, GEMM_OP_N, 4096, 4096, 2047), MIB).variant->family,
                     FAMILY_SIMT);
}

/* Where there is more to read than to multiply, operands are split on their way. */
static void huge_k_is_read_once(void **state) {
    (void)state;
    struct gemm_problem p = problem_of(GEMM_OP_N, GEMM_OP_N, 256, 256, 524288);
    struct gemm_plan plan = plan_on_hopper(p, INT64_C(2) << 30);
    assert_int_equal(plan.variant->family, FAMILY_FUSED);
    assert_true(gemm_split_slice(&p, plan.variant, plan.split_k) <= 16384);
    assert_int_equal(plan.scratch_bytes, FUSED_SCRATCH_BYTES + plan.split_k * 256 * 256 * 8);
}

/* Sums that C is added to wait in scratch until it is known that they will do. */
static void sums_with_c_wait_in_scratch(void **state) {
    (void)state;
    struct gemm_problem p = cube(4096);
    p.beta = SCALAR_ZERO;
    assert_int_equal(plan_on_hopper(p, MIB).scratch_bytes, FUSED_SCRATCH_BYTES);
    p.beta = SCALAR_DEVICE;
    assert_int_equal(plan_on_hopper(p, MIB).variant->family, FAMILY_SIMT);
    struct gemm_device device = device_of_arch(90);
    struct gemm_limits limits = {.scratch_bytes = 256 * MIB, .planes_bytes = 256 * MIB};
    struct toggles toggles = default_toggles();
    device.wgmma = 1;
    toggles.kernel = VARIANT_sgemm_fused_wgmma_128x128x64;
    struct gemm_plan plan = gemm_plan_make(&p, &device, &toggles, &limits);
    assert_int_equal(plan.split_k, 1);
    assert_int_equal(plan.scratch_bytes, FUSED_SCRATCH_BYTES + 64 * MIB);
}

/* Long sums are split for their accuracy, even where all SMs are busy without. */
static void no_slice_is_longer_than_measured(void **state) {
    (void)state;
    struct gemm_problem p = problem_of(GEMM_OP_N, GEMM_OP_T, 4096, 4096, 65536);
    struct gemm_plan plan = plan_on_hopper(p, INT64_C(1) << 40);
    assert_true(gemm_family_splits(plan.variant->family));
    assert_true(plan.split_k >= 8);
    assert_true(gemm_split_slice(&p, plan.variant, plan.split_k) <= 8192);
    assert_int_equal(plan.scratch_bytes, split_scratch_bytes(4096, 4096, 65536, 1) + plan.split_k * 64 * MIB);
}

/* On the A100 by warps, by the model alone: only where it wins by half of the FFMA limit. */
static void by_warps_on_the_a100(void **state) {
    (void)state;
    struct gemm_plan plan = plan_on(80, cube(4096));
    assert_non_null(plan.variant);
    assert_int_equal(plan.variant->family, FAMILY_FP16X3_MMA);
    assert_int_equal(plan.scratch_bytes,
                     split_looks_bytes(4096, 4096, 4096, 1) + (plan.split_k > 1) * plan.split_k * 64 * MIB);
    struct gemm_device a100 = device_of_arch(80);
    struct gemm_problem p = cube(4096);
    assert_true(1.5 * plan.predicted_s <= gemm_floor(&p, &a100));
    assert_string_equal(measured_source(&a100, plan.profile), "by model");
    assert_null(plan_on(80, cube(512)).variant);
    p = cube(4096);
    p.contract = CONTRACT_IEEE;
    assert_null(plan_on(80, p).variant);
    assert_int_equal(plan_on(89, cube(4096)).variant->family, FAMILY_SIMT);
    struct gemm_device ada = device_of_arch(89); /* the log says why */
    assert_non_null(strstr(measured_source(&ada, plan.profile), "no split products"));
    p = problem_of(GEMM_OP_N, GEMM_OP_T, 1024, 1024, 65536);
    plan = plan_on(80, p);
    assert_true(plan.variant && gemm_split_slice(&p, plan.variant, plan.split_k) <= 8192);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(large_products_use_them),
        cmocka_unit_test(only_where_the_code_runs),
        cmocka_unit_test(ieee_rules_them_out),
        cmocka_unit_test(rows_are_brought_for_ieee),
        cmocka_unit_test(no_more_rows_are_brought_than_a_k_tile_holds),
        cmocka_unit_test(less_room_means_chunks),
        cmocka_unit_test(without_room_for_planes_another_kernel_runs),
        cmocka_unit_test(a_short_k_is_not_split_on_its_way),
        cmocka_unit_test(huge_k_is_read_once),
        cmocka_unit_test(sums_with_c_wait_in_scratch),
        cmocka_unit_test(no_slice_is_longer_than_measured),
        cmocka_unit_test(by_warps_on_the_a100),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
