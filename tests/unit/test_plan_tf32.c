/* Plans for callers who allow TF32, and for those whose user does: which kernels, against what, and their scratch. */
#include "fixtures.h"

#include "../../kernels/split.h"
#include "measured_tf32.h"
#include "tf32_operands.h"

static const int64_t MIB = INT64_C(1) << 20;

static struct gemm_plan plan_forced(struct gemm_problem p, int kernel, bool hopper, int64_t planes_bytes) {
    struct gemm_device device = device_of_arch(90);
    struct toggles toggles = default_toggles();
    struct gemm_limits limits = {.scratch_bytes = 256 * MIB, .planes_bytes = planes_bytes};
    device.wgmma = hopper;
    toggles.kernel = kernel;
    return gemm_plan_make(&p, &device, &toggles, &limits);
}

static struct gemm_plan plan_of(struct gemm_problem p, bool hopper, int64_t planes_bytes) {
    return plan_forced(p, -1, hopper, planes_bytes);
}

/* Of a caller who allows TF32. */
static struct gemm_problem allowed(enum gemm_op op_a, enum gemm_op op_b, int64_t m, int64_t n, int64_t k) {
    struct gemm_problem p = problem_of(op_a, op_b, m, n, k);
    p.contract = CONTRACT_TF32;
    p.cublas_tf32 = 1;
    return p;
}

/* A batch of packed matrices. */
static struct gemm_problem batch_of(int64_t m, int64_t n, int64_t k, int64_t batch) {
    struct gemm_problem p = allowed(GEMM_OP_N, GEMM_OP_N, m, n, k);
    p.batch = batch;
    p.stride_a = p.lda * p.k, p.stride_b = p.ldb * p.n, p.stride_c = p.stride_d = p.ldd * p.n;
    return p;
}

static void assert_tf32(struct gemm_plan plan) {
    assert_string_equal(gemm_reason_name(plan.reason), "routed");
    assert_int_equal(plan.variant->contract, CONTRACT_TF32);
}

static void where_cublas_is_weak_they_run(void **state) {
    (void)state;
    assert_tf32(plan_of(allowed(GEMM_OP_N, GEMM_OP_N, 5921, 8205, 2949), true, 2048 * MIB));
    assert_tf32(plan_of(allowed(GEMM_OP_N, GEMM_OP_N, 4097, 4097, 4097), true, 2048 * MIB));
    assert_tf32(plan_of(allowed(GEMM_OP_N, GEMM_OP_T, 4096, 2048, 8192), true, 2048 * MIB));
    assert_tf32(plan_of(allowed(GEMM_OP_N, GEMM_OP_T, 3072, 768, 65536), true, 2048 * MIB));
    assert_tf32(plan_of(allowed(GEMM_OP_T, GEMM_OP_N, 50257, 8192, 768), true, 2048 * MIB));
    assert_tf32(plan_of(allowed(GEMM_OP_N, GEMM_OP_N, 256, 256, 524288), true, 2048 * MIB));
}

static void where_it_is_strong_it_keeps_the_call(void **state) {
    (void)state;
    for (int ops = 0; ops < 4; ops++) {
        if (ops == 1) continue; /* N, T */
        struct gemm_problem p = allowed((enum gemm_op)(ops / 2), (enum gemm_op)(ops % 2), 2048, 2048, 2048);
        struct gemm_plan plan = plan_of(p, true, 2048 * MIB);
        assert_null(plan.variant);
        assert_int_equal(plan.reason, REASON_slower);
    }
    assert_int_equal(plan_of(allowed(GEMM_OP_N, GEMM_OP_N, 500, 500, 500), true, 2048 * MIB).reason, REASON_too_small);
}

/* Large ones, whatever the layout, as one product of fp16 planes; where there is no room for these, by TF32 or not at
 * all. */
static void large_products_are_one_of_planes(void **state) {
    (void)state;
    for (int ops = 0; ops < 4; ops++)
        for (int64_t size = 4096; size <= 8192; size += 2048) {
            struct gemm_problem p = allowed((enum gemm_op)(ops / 2), (enum gemm_op)(ops % 2), size, size, size);
            assert_string_equal(plan_of(p, true, 2048 * MIB).variant->name, "sgemm_fp16x1_wgmma_256x128x64");
            struct gemm_plan plan = plan_of(p, true, 0);
            assert_true(!plan.variant || plan.variant->family != FAMILY_FP16X1);
            p.contract = CONTRACT_FP32; /* NVIDIA_TF32_OVERRIDE=0, FASTGEMM_PRECISION=fp32 */
            p.cublas_tf32 = 0;
            assert_int_equal(plan_of(p, true, 2048 * MIB).variant->contract, CONTRACT_FP32);
        }
}

/* What TF32 needs behind it lies where the planes would, if that is enough. */
static void the_second_road_has_room(void **state) {
    (void)state;
    const int one = VARIANT_sgemm_fp16x1_wgmma_256x128x64;
    struct gemm_problem p = allowed(GEMM_OP_N, GEMM_OP_N, 4096, 4096, 4096);
    const int64_t planes = split_one_scratch_bytes(4096, 4096, 4096, 1, 0);
    assert_int_equal(plan_forced(p, one, true, 2048 * MIB).scratch_bytes, planes);
    p = allowed(GEMM_OP_T, GEMM_OP_T, 4096, 4096, 4096); /* B is turned round: as many bytes as both planes */
    assert_int_equal(plan_forced(p, one, true, 2048 * MIB).scratch_bytes, planes);
    p = allowed(GEMM_OP_T, GEMM_OP_T, 5001, 5001, 5001); /* both are, rows padded to 32 */
    struct gemm_plan plan = plan_forced(p, one, true, 2048 * MIB);
    assert_int_equal(plan.scratch_bytes -
                         gemm_variant_share_floats(plan.variant, plan.ctas) * (plan.shared_tiles ? 4 : 0),
                     split_one_scratch_bytes(5001, 5001, 5001, 1, 2 * 5024L * 5024 * 4));
}

/* Its time with TF32 allowed: a leading dimension that breaks 16 bytes costs it a factor of two and more. */
static void its_time_depends_on_alignment(void **state) {
    (void)state;
    struct gemm_problem p = allowed(GEMM_OP_T, GEMM_OP_N, 4096, 4096, 4096);
    const double aligned = cublas_tf32_seconds(&p);
    p.lda = 4098;
    assert_true(cublas_tf32_seconds(&p) > 2 * aligned);
    p.lda = 4096;
    p.align_b = 8;
    assert_true(cublas_tf32_seconds(&p) > 2 * aligned);
    p.align_b = 16;
    p.ldc = p.ldd = 4097;
    assert_true(cublas_tf32_seconds(&p) > 2 * aligned);
}

/* Nothing was measured without Hopper's code, and fp32 kernels were not measured against TF32. */
static void elsewhere_cublas_keeps_the_call(void **state) {
    (void)state;
    struct gemm_plan plan = plan_of(allowed(GEMM_OP_N, GEMM_OP_N, 5921, 8205, 2949), false, 2048 * MIB);
    assert_null(plan.variant);
    assert_true(plan.reason == REASON_not_measured || plan.reason == REASON_tf32_allowed);
    for (int arch = 80; arch <= 89; arch += 9) {
        plan = plan_on(arch, allowed(GEMM_OP_N, GEMM_OP_N, 5921, 8205, 2949));
        assert_null(plan.variant);
    }
}

/* On the user's word alone cuBLAS computes in fp32: far more is gained, and the aligned square runs here too. */
static void on_the_users_word_fp32_is_the_rival(void **state) {
    (void)state;
    struct gemm_problem p = allowed(GEMM_OP_N, GEMM_OP_N, 4096, 4096, 4096);
    p.cublas_tf32 = 0;
    assert_tf32(plan_of(p, true, 2048 * MIB));
    p = allowed(GEMM_OP_T, GEMM_OP_N, 50257, 8192, 768);
    p.cublas_tf32 = 0;
    assert_tf32(plan_of(p, true, 2048 * MIB));
}

/* By the model alone: on an A100 one product on fp16 is well over its fp32 rate, on an RTX 4090 it is not. */
static void on_the_users_word_fp16_before_hopper(void **state) {
    (void)state;
    struct gemm_problem p = allowed(GEMM_OP_N, GEMM_OP_N, 4096, 4096, 4096);
    p.cublas_tf32 = 0;
    struct gemm_plan plan = plan_on(80, p);
    assert_tf32(plan);
    assert_int_equal(plan.variant->family, FAMILY_FP16X1_MMA);
    plan = plan_on(89, p);
    assert_int_equal(plan.reason, REASON_slower);
    for (int own_word = 0; own_word < 2; own_word++) { /* on Hopper never */
        p = allowed(GEMM_OP_N, GEMM_OP_N, 32768, 32768, 32);
        p.cublas_tf32 = !own_word;
        plan = plan_of(p, true, 2048 * MIB);
        assert_int_equal(plan.reason, REASON_routed);
        assert_int_not_equal(plan.variant->family, FAMILY_FP16X1_MMA);
    }
}

static void nobody_else_gets_tf32(void **state) {
    (void)state;
    for (int contract = CONTRACT_IEEE; contract < CONTRACT_TF32; contract++) {
        struct gemm_problem p = problem_of(GEMM_OP_N, GEMM_OP_N, 5921, 8205, 2949);
        p.contract = (enum gemm_contract)contract;
        struct gemm_plan plan = plan_of(p, true, 2048 * MIB);
        assert_true(!plan.variant || plan.variant->contract <= p.contract);
    }
}

/* What the copy engine reads as it lies needs no scratch; op(B) along n, and what is not aligned, does. */
static void scratch_is_for_operands(void **state) {
    (void)state;
    const struct gemm_variant *large = &gemm_variants[VARIANT_sgemm_tf32_wgmma_256x128x32];
    const struct gemm_variant *small = &gemm_variants[VARIANT_sgemm_tf32_wgmma_128x64x32];
    struct gemm_problem p = allowed(GEMM_OP_N, GEMM_OP_N, 4096, 2048, 1024);
    assert_int_equal(tf32_operand_bytes(&p, large), 0);
    p = allowed(GEMM_OP_T, GEMM_OP_N, 4096, 2048, 1024);
    assert_int_equal(tf32_operand_bytes(&p, large), 0);
    p = allowed(GEMM_OP_N, GEMM_OP_T, 4096, 2048, 1024);
    assert_int_equal(tf32_operand_bytes(&p, large), 2048 * 1024 * 4);
    p = allowed(GEMM_OP_T, GEMM_OP_N, 4097, 2049, 1023);
    assert_int_equal(tf32_operand_bytes(&p, large), (4128 + 2080) * 1024 * 4);
    p = allowed(GEMM_OP_N, GEMM_OP_N, 4097, 2049, 1023); /* along m a kernel takes any alignment */
    assert_int_equal(tf32_operand_bytes(&p, small), (4128 + 2080) * 1024 * 4); /* small tiles would rather not */
    assert_int_equal(tf32_operand_bytes(&p, large), 2080 * 1024 * 4);
    struct gemm_plan plan = plan_forced(allowed(GEMM_OP_N, GEMM_OP_N, 5921, 8205, 2949),
                                        VARIANT_sgemm_tf32_wgmma_256x128x32, true, 2048 * MIB);
    assert_int_equal(plan.split_k, 1); /* beside so many columns a pass over A costs little */
    assert_int_equal(plan.scratch_bytes, (5952 + 8224) * 2976L * 4);
}

/* 4097 is 17 tiles of 256 by 33 of 128: four rounds of the SMs, and 33 tiles, a quarter of each to an SM. */
static void the_last_tiles_are_shared(void **state) {
    (void)state;
    const int64_t shares = 132 * 256 * 128L * 4, turned = 4128L * 4128 * 4;
    const int64_t expected[] = {turned + shares, split_one_scratch_bytes(4097, 4097, 4097, 1, 2 * turned) + shares};
    const int kernels[] = {VARIANT_sgemm_tf32_wgmma_256x128x32, VARIANT_sgemm_fp16x1_wgmma_256x128x64};
    for (int i = 0; i < 2; i++) {
        struct gemm_plan plan =
            plan_forced(allowed(GEMM_OP_N, GEMM_OP_N, 4097, 4097, 4097), kernels[i], true, 2048 * MIB);
        assert_tf32(plan);
        assert_int_equal(plan.shared_tiles, 33);
        assert_int_equal(plan.ctas, 132);
        assert_int_equal(plan.scratch_bytes, expected[i]);
    }
}

static void without_room_another_kernel_or_none(void **state) {
    (void)state;
    struct gemm_plan plan = plan_of(allowed(GEMM_OP_N, GEMM_OP_N, 5921, 8205, 2949), true, 1 * MIB);
    assert_true(!plan.variant || plan.scratch_bytes <= 1 * MIB);
}

/* A short K and a D too large for L2: the CTAs in flight write whole columns. */
static void what_stores_walks_whole_columns(void **state) {
    (void)state;
    struct gemm_plan plan = plan_of(allowed(GEMM_OP_N, GEMM_OP_N, 32768, 32768, 64), true, 2048 * MIB);
    assert_tf32(plan);
    assert_int_equal(plan.raster, 32768 / plan.variant->bm);
    plan = plan_of(allowed(GEMM_OP_N, GEMM_OP_N, 32768, 32768, 2047), true, 2048 * MIB);
    assert_tf32(plan);
    assert_true(plan.raster < 64);
}

/* Up to K = 32 they have a tile each, and half of a column is as good; a small D is left to those that stay. */
static void outer_products_have_a_kernel(void **state) {
    (void)state;
    const int outer = VARIANT_sgemm_tf32_outer_256x64x32;
    struct gemm_plan plan = plan_of(allowed(GEMM_OP_N, GEMM_OP_N, 32768, 32768, 32), true, 2048 * MIB);
    assert_tf32(plan);
    assert_ptr_equal(plan.variant, &gemm_variants[outer]);
    assert_int_equal(plan.raster, 64);
    assert_int_equal(plan.scratch_bytes, 0);
    for (int ops = 0; ops < 4; ops++) { /* where the user says so, whatever the layout, but no longer a K */
        const enum gemm_op a = (enum gemm_op)(ops / 2), b = (enum gemm_op)(ops % 2);
        plan = plan_forced(allowed(a, b, 333, 77, 31), outer, true, 2048 * MIB);
        assert_ptr_equal(plan.variant, &gemm_variants[outer]);
        assert_int_equal(plan.scratch_bytes, (352 + 96) * 32 * 4); /* rows padded to 32 */
        assert_int_equal(plan_forced(allowed(a, b, 333, 77, 33), outer, true, 2048 * MIB).reason, REASON_forced_kernel);
    }
    plan = plan_of(allowed(GEMM_OP_T, GEMM_OP_N, 32768, 32768, 32), true, 2048 * MIB);
    assert_ptr_equal(plan.variant, &gemm_variants[outer]);
    plan = plan_of(allowed(GEMM_OP_T, GEMM_OP_T, 32768, 32768, 32), true, 2048 * MIB);
    assert_tf32(plan); /* on another */
    assert_true(plan.variant != &gemm_variants[outer]);
    plan = plan_of(batch_of(8192, 8192, 32, 16), true, 2048 * MIB);
    assert_ptr_equal(plan.variant, &gemm_variants[outer]);
    assert_int_equal(plan.raster, 32);
    assert_null(plan_of(allowed(GEMM_OP_N, GEMM_OP_N, 32767, 32767, 32), true, 2048 * MIB).variant); /* floats */
    plan = plan_of(allowed(GEMM_OP_N, GEMM_OP_N, 4096, 4096, 32), true, 2048 * MIB);
    assert_true(plan.variant != &gemm_variants[outer]);
    plan = plan_forced(allowed(GEMM_OP_N, GEMM_OP_N, 32768, 32768, 32), outer, false, 2048 * MIB);
    assert_int_equal(plan.reason, REASON_forced_kernel);
}

/* 1536 is twelve tiles of 128 by eleven of 144: as many as an H200 has SMs. */
static void the_tile_that_fills_the_chip_is_chosen(void **state) {
    (void)state;
    assert_int_equal(device_of_arch(90).sm_count, 132);
    for (int op_a = GEMM_OP_N; op_a <= GEMM_OP_T; op_a++) {
        struct gemm_plan plan = plan_of(allowed((enum gemm_op)op_a, GEMM_OP_N, 1536, 1536, 1536), true, 2048 * MIB);
        assert_tf32(plan);
        assert_string_equal(plan.variant->name, "sgemm_tf32_wgmma_128x144x32");
        assert_int_equal(plan.split_k, 1);
    }
    /* And 1025 by 2049, nine tiles by thirteen of 160: where 192 would leave a quarter idle. */
    struct gemm_plan plan = plan_of(allowed(GEMM_OP_T, GEMM_OP_T, 1025, 2049, 1025), true, 2048 * MIB);
    assert_tf32(plan);
    assert_string_equal(plan.variant->name, "sgemm_tf32_wgmma_128x160x32");
}

/* Matrices of 255 by 257 with K = 129, which a CTA keeps, or a longer K; and no more than that beside a tile. */
static void batches_of_small_odd_products_have_a_kernel(void **state) {
    (void)state;
    struct gemm_problem p = allowed(GEMM_OP_N, GEMM_OP_N, 257, 255, 129);
    p.batch = 100;
    p.stride_a = p.lda * p.k, p.stride_b = p.ldb * p.n, p.stride_c = p.stride_d = p.ldd * p.n;
    p.align_a = p.align_b = 4;
    struct gemm_plan plan = plan_of(p, true, 2048 * MIB);
    assert_tf32(plan);
    assert_int_equal(plan.variant->family, FAMILY_TF32_KEPT);
    assert_int_equal(plan.split_k, 1);
    assert_int_equal(plan.scratch_bytes, 0);
    p.k = p.ldb = 131, p.stride_a = p.lda * p.k, p.stride_b = p.ldb * p.n;
    plan = plan_of(p, true, 2048 * MIB);
    assert_tf32(plan);
    assert_int_equal(plan.variant->family, FAMILY_TF32_BATCH);
    assert_int_equal(plan.split_k, 1);
    assert_int_equal(plan.scratch_bytes, 0);
    p.batch = 4; /* too few to keep the chip busy */
    assert_null(plan_of(p, true, 2048 * MIB).variant);
}

/* Below 1 GFLOP too, where both models leave no doubt; of others, and of kinds that were not measured, nothing. */
static void small_batches_of_them_where_they_win_clearly(void **state) {
    (void)state;
    static const int won[][4] = {{129, 127, 65, 200}, {129, 127, 65, 400}, {257, 257, 65, 47}, {131, 100, 65, 235}};
    for (size_t i = 0; i < sizeof won / sizeof *won; i++) {
        struct gemm_plan plan = plan_of(batch_of(won[i][0], won[i][1], won[i][2], won[i][3]), true, 2048 * MIB);
        assert_tf32(plan);
        assert_int_equal(plan.variant->family, FAMILY_TF32_BATCH);
    }
    static const int lost[][4] = {{255, 255, 255, 27}, {150, 97, 193, 45}, {193, 193, 193, 24}, {150, 97, 300, 46},
                                  {133, 169, 299, 41}, {260, 204, 45, 50}, {230, 225, 39, 29}};
    for (size_t i = 0; i < sizeof lost / sizeof *lost; i++) {
        struct gemm_plan plan = plan_of(batch_of(lost[i][0], lost[i][1], lost[i][2], lost[i][3]), true, 2048 * MIB);
        assert_true(plan.reason == REASON_slower || plan.reason == REASON_too_small);
    }
    struct gemm_problem p = batch_of(129, 127, 65, 200);
    p.pointer_array = true;
    assert_int_equal(plan_of(p, true, 2048 * MIB).reason, REASON_too_small);
    p = batch_of(129, 127, 65, 200);
    p.op_a = GEMM_OP_T, p.lda = 65;
    assert_int_equal(plan_of(p, true, 2048 * MIB).reason, REASON_too_small);
    assert_int_equal(plan_of(batch_of(128, 128, 64, 200), true, 2048 * MIB).reason, REASON_too_small); /* aligned */
    assert_int_equal(plan_of(batch_of(129, 127, 65, 200), false, 2048 * MIB).reason, REASON_tf32_allowed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(where_cublas_is_weak_they_run),
        cmocka_unit_test(where_it_is_strong_it_keeps_the_call),
        cmocka_unit_test(large_products_are_one_of_planes),
        cmocka_unit_test(the_second_road_has_room),
        cmocka_unit_test(its_time_depends_on_alignment),
        cmocka_unit_test(elsewhere_cublas_keeps_the_call),
        cmocka_unit_test(on_the_users_word_fp32_is_the_rival),
        cmocka_unit_test(on_the_users_word_fp16_before_hopper),
        cmocka_unit_test(nobody_else_gets_tf32),
        cmocka_unit_test(scratch_is_for_operands),
        cmocka_unit_test(the_last_tiles_are_shared),
        cmocka_unit_test(without_room_another_kernel_or_none),
        cmocka_unit_test(what_stores_walks_whole_columns),
        cmocka_unit_test(outer_products_have_a_kernel),
        cmocka_unit_test(the_tile_that_fills_the_chip_is_chosen),
        cmocka_unit_test(batches_of_small_odd_products_have_a_kernel),
        cmocka_unit_test(small_batches_of_them_where_they_win_clearly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
