/* The choice: routes per architecture, reasons to forward, what toggles and limits force. */
#include "fixtures.h"

#include <string.h>

#include "measured.h"

static struct gemm_plan plan_with(struct gemm_problem p, struct toggles toggles, struct gemm_limits limits) {
    struct gemm_device device = device_of_arch(90);
    return gemm_plan_make(&p, &device, &toggles, &limits);
}

static void assert_forwarded(struct gemm_plan plan, enum gemm_reason reason) {
    assert_string_equal(gemm_reason_name(plan.reason), gemm_reason_name(reason));
    assert_null(plan.variant);
    assert_int_equal(plan.split_k, 1);
    assert_int_equal(plan.raster, 1);
    assert_int_equal(plan.scratch_bytes, 0);
}

static void assert_routed(struct gemm_plan plan) {
    assert_string_equal(gemm_reason_name(plan.reason), "routed");
    assert_non_null(plan.variant);
    assert_true(plan.predicted_s > 0);
}

static const struct gemm_problem square = {.op_a = GEMM_OP_N,
                                           .op_b = GEMM_OP_N,
                                           .m = 4096,
                                           .n = 4096,
                                           .k = 4096,
                                           .batch = 1,
                                           .lda = 4096,
                                           .ldb = 4096,
                                           .ldc = 4096,
                                           .ldd = 4096,
                                           .align_a = 16,
                                           .align_b = 16,
                                           .alpha = SCALAR_ONE,
                                           .beta = SCALAR_ZERO,
                                           .contract = CONTRACT_FP32};

static void reasons_have_names_and_texts(void **state) {
    (void)state;
    for (int i = 0; i < REASON_COUNT; i++) {
        const char *name = gemm_reason_name((enum gemm_reason)i), *text = gemm_reason_text((enum gemm_reason)i);
        assert_true(name && *name && strspn(name, "abcdefghijklmnopqrstuvwxyz_0123456789") == strlen(name));
        assert_true(text && strlen(text) > 8 && !strchr(text, '\n'));
        for (int j = 0; j < i; j++) {
            assert_string_not_equal(name, gemm_reason_name((enum gemm_reason)j));
            assert_string_not_equal(text, gemm_reason_text((enum gemm_reason)j));
        }
    }
    assert_string_equal(gemm_reason_name(REASON_routed), "routed");
    assert_string_equal(gemm_reason_name(REASON_no_scratch), "no_scratch");
}

/* Every profile of the built-in table takes its published workload, on the chips that the table knows. */
static void the_table_routes_the_published_workloads(void **state) {
    (void)state;
    int routed[2] = {0, 0};
    for (int i = 0; i < PUBLISHED_COUNT; i++)
        for (int chip = 0; chip < 2; chip++) {
            struct published w = published_workload(i);
            struct gemm_device device = device_of_arch(chip ? 89 : 90);
            struct gemm_plan plan = plan_on(device.arch, w.problem);
            assert_int_equal(plan.profile, w.profile);
            if (*measured_source(&device, w.profile)) {
                assert_routed(plan);
                routed[chip]++;
            } else {
                assert_forwarded(plan, REASON_not_measured);
            }
        }
    assert_true(routed[0] >= 5 && routed[1] >= 4);
}

/* The first target: its five profiles run on our kernels, the outer product on the one that streams. */
static void sm_89_runs_each_target_profile(void **state) {
    (void)state;
    unsigned seen = 0;
    for (int i = 0; i < PUBLISHED_COUNT; i++) {
        struct published w = published_workload(i);
        struct gemm_plan plan = plan_on(89, w.problem);
        const unsigned bit = 1u << w.profile;
        const unsigned targets = 1u << PROFILE_huge_k | 1u << PROFILE_transposed | 1u << PROFILE_square |
                                 1u << PROFILE_irregular | 1u << PROFILE_outer_product;
        if (!(bit & targets)) continue;
        assert_routed(plan);
        assert_int_equal(plan.variant->contract, CONTRACT_IEEE);
        assert_int_equal(plan.variant->family, w.profile == PROFILE_outer_product ? FAMILY_STREAM : FAMILY_SIMT);
        seen |= bit;
    }
    assert_int_equal(__builtin_popcount(seen), 5);
}

/* Nobody has measured on sm_89 so far, and only on the H200 for sm_90. */
static void sources_are_honest(void **state) {
    (void)state;
    struct gemm_device ada = device_of_arch(89), hopper = device_of_arch(90);
    for (int i = 0; i < PROFILE_COUNT; i++) {
        const char *on_ada = measured_source(&ada, (enum gemm_profile)i);
        const char *on_hopper = measured_source(&hopper, (enum gemm_profile)i);
        assert_true(!*on_ada || strstr(on_ada, "model"));
        assert_true(!*on_hopper || strstr(on_hopper, "H200"));
    }
}

/* Newer chips would run the PTX, but nothing supports a route there; older ones have no code. */
static void unknown_architectures_forward(void **state) {
    (void)state;
    const int unknown[] = {81, 86, 87, 88, 91, 100, 103, 110, 120, 121, 130, 1000, INT32_MAX};
    for (unsigned i = 0; i < sizeof unknown / sizeof *unknown; i++)
        for (int w = 0; w < PUBLISHED_COUNT; w++) {
            struct gemm_device device = device_of_arch(unknown[i]);
            struct published published = published_workload(w);
            assert_string_equal(measured_source(&device, published.profile), "");
            assert_forwarded(plan_on(unknown[i], published.problem), REASON_not_measured);
        }
    const int old[] = {-1, 0, 50, 61, 70, 75, 79};
    for (unsigned i = 0; i < sizeof old / sizeof *old; i++)
        for (int w = 0; w < PUBLISHED_COUNT; w++)
            assert_forwarded(plan_on(old[i], published_workload(w).problem), REASON_arch);
}

/* On the user's word a newer chip runs the PTX. */
static void a_forced_kernel_needs_no_table_entry(void **state) {
    (void)state;
    struct toggles toggles = default_toggles();
    struct gemm_limits limits = plenty_of_scratch();
    struct gemm_device device = device_of_arch(120);
    struct gemm_problem tiny = problem_of(GEMM_OP_N, GEMM_OP_N, 1, 1, 1);
    for (int i = 0; i < VARIANT_COUNT; i++) {
        if (gemm_variants[i].family != FAMILY_SIMT || gemm_variants[i].bm == 192) continue; /* few take every size */
        toggles.kernel = i;
        assert_routed(gemm_plan_make(&square, &device, &toggles, &limits));
        struct gemm_plan plan = gemm_plan_make(&tiny, &device, &toggles, &limits);
        assert_routed(plan);
        assert_ptr_equal(plan.variant, &gemm_variants[i]);
        assert_int_equal(plan.split_k, 1);
        assert_int_equal(plan.raster, 1);
        device.arch = 75;
        assert_forwarded(gemm_plan_make(&square, &device, &toggles, &limits), REASON_forced_kernel);
        device.arch = 120;
    }
}

static void small_products_forward(void **state) {
    (void)state;
    assert_forwarded(plan_on(90, problem_of(GEMM_OP_N, GEMM_OP_N, 64, 64, 64)), REASON_too_small);
    assert_forwarded(plan_on(90, problem_of(GEMM_OP_N, GEMM_OP_N, 4, 4, 64)), REASON_too_small);
}

static void empty_products_forward(void **state) {
    (void)state;
    struct gemm_problem p[4] = {square, square, square, square};
    p[0].m = p[1].n = p[2].k = p[3].batch = 0;
    for (int i = 0; i < 4; i++) assert_forwarded(plan_on(90, p[i]), REASON_empty);
}

static void a_contract_is_kept(void **state) {
    (void)state;
    struct gemm_problem p = square;
    p.contract = CONTRACT_IEEE;
    assert_routed(plan_on(90, p));
    assert_int_equal(plan_on(90, p).variant->contract, CONTRACT_IEEE);
    p.contract = CONTRACT_FP32;
    assert_routed(plan_on(90, p));
    assert_true(plan_on(90, p).variant->contract <= CONTRACT_FP32);
}

/* Of kernels that the list need not hold: one laxer than the contract, one for newer chips, one without room. */
static void conditions_of_any_kernel(void **state) {
    (void)state;
    struct gemm_problem p = square;
    struct gemm_device device = device_of_arch(90);
    struct gemm_variant v = gemm_variants[0];
    for (int owed = CONTRACT_IEEE; owed <= CONTRACT_TF32; owed++)
        for (int kept = CONTRACT_IEEE; kept <= CONTRACT_TF32; kept++) {
            p.contract = (enum gemm_contract)owed;
            v.contract = (enum gemm_contract)kept;
            assert_int_equal(gemm_variant_fits(&v, &p, &device), kept <= owed);
        }
    v = gemm_variants[0];
    v.min_arch = 91;
    assert_false(gemm_variant_fits(&v, &p, &device));
    v.min_arch = 90;
    assert_true(gemm_variant_fits(&v, &p, &device));
    v.stages = 1000;
    assert_false(gemm_variant_fits(&v, &p, &device));
}

static void off_forwards_everything(void **state) {
    (void)state;
    struct toggles toggles = default_toggles();
    toggles.enabled = false;
    toggles.kernel = 0;
    assert_forwarded(plan_with(square, toggles, plenty_of_scratch()), REASON_off);
}

/* Each profile taken alone, and left out alone. */
static void profiles_can_be_left_out(void **state) {
    (void)state;
    for (int w = 0; w < PUBLISHED_COUNT; w++) {
        struct published published = published_workload(w);
        struct gemm_plan whole = plan_on(90, published.problem);
        struct toggles alone = default_toggles(), without = default_toggles();
        alone.profiles = 1u << published.profile;
        without.profiles &= ~alone.profiles;
        struct gemm_plan same = plan_with(published.problem, alone, plenty_of_scratch());
        assert_memory_equal(&same, &whole, sizeof same);
        assert_forwarded(plan_with(published.problem, without, plenty_of_scratch()), REASON_profile_off);
    }
}

static void a_profile_off_also_stops_a_forced_kernel(void **state) {
    (void)state;
    struct toggles toggles = default_toggles();
    toggles.profiles = 0;
    toggles.kernel = 0;
    assert_forwarded(plan_with(square, toggles, plenty_of_scratch()), REASON_profile_off);
}

static void forced_split_and_raster_are_had(void **state) {
    (void)state;
    for (int v = 0; v < VARIANT_COUNT; v++)
        for (int n = 1; n <= 16 && gemm_variants[v].family == FAMILY_SIMT; n++) {
            struct toggles toggles = default_toggles();
            toggles.kernel = v;
            toggles.split_k = toggles.raster = n;
            struct gemm_problem p = square;
            p.contract = gemm_variants[v].contract;
            p.k = INT64_C(16) * n * gemm_variants[v].bk;
            p.ldb = p.k;
            struct gemm_plan plan = plan_with(p, toggles, (struct gemm_limits){.scratch_bytes = INT64_C(1) << 40});
            assert_routed(plan);
            assert_ptr_equal(plan.variant, &gemm_variants[v]);
            assert_int_equal(plan.split_k, n);
            assert_int_equal(plan.raster, n);
        }
}

static void the_streaming_kernel_takes_a_small_k_and_aligned_columns(void **state) {
    (void)state;
    struct toggles toggles = default_toggles();
    toggles.kernel = VARIANT_sgemm_stream_128x128x32;
    struct gemm_problem p = problem_of(GEMM_OP_N, GEMM_OP_N, 32768, 32768, 32);
    assert_routed(plan_with(p, toggles, plenty_of_scratch()));
    toggles.kernel = -1;
    assert_ptr_equal(plan_with(p, toggles, plenty_of_scratch()).variant,
                     &gemm_variants[VARIANT_sgemm_stream_256x256x32]);
    toggles.kernel = VARIANT_sgemm_stream_128x128x32;
    p.ldc = p.ldd = 32769;
    assert_forwarded(plan_with(p, toggles, plenty_of_scratch()), REASON_forced_kernel);
    p.ldc = p.ldd = 32772; /* it could, but other kernels are quicker */
    assert_routed(plan_with(p, toggles, plenty_of_scratch()));
    toggles.kernel = -1;
    struct gemm_plan plan = plan_with(p, toggles, plenty_of_scratch());
    assert_true(plan.reason != REASON_routed || plan.variant->family != FAMILY_STREAM);
    toggles.kernel = VARIANT_sgemm_stream_128x128x32;
    assert_forwarded(plan_with(problem_of(GEMM_OP_N, GEMM_OP_N, 32768, 32768, 33), toggles, plenty_of_scratch()),
                     REASON_forced_kernel);
}

/* Kernels for a short side take it on either side of C, and nothing wider unless they are forced. */
static void a_short_side_has_kernels_of_its_own(void **state) {
    (void)state;
    const enum gemm_op ops[] = {GEMM_OP_N, GEMM_OP_T};
    for (int i = 0; i < 4; i++)
        for (int64_t side = 3; side <= 17; side++) {
            struct gemm_plan tall = plan_on(90, problem_of(ops[i / 2], ops[i % 2], 16384, side, 4096));
            struct gemm_plan wide = plan_on(90, problem_of(ops[i / 2], ops[i % 2], side, 16384, 4096));
            if (side > 16) {
                assert_true(!tall.variant || tall.variant->family != FAMILY_SKINNY);
                assert_true(!wide.variant || wide.variant->family != FAMILY_SKINNY);
                continue;
            }
            assert_routed(tall);
            assert_routed(wide);
            assert_int_equal(tall.variant->family, FAMILY_SKINNY);
            assert_int_equal(wide.variant->family, FAMILY_SKINNY);
            const int tile = side > 8 ? 16 : side > 4 ? 8 : 4; /* the smallest that holds it */
            assert_int_equal(tall.variant->bn, tile);
            assert_int_equal(wide.variant->bm, tile);
        }
    struct toggles toggles = default_toggles();
    toggles.kernel = VARIANT_sgemm_skinny_64x16x128;
    assert_routed(plan_with(square, toggles, plenty_of_scratch()));
}

/* Products of about as many tiles as there are SMs run on a kernel whose CTAs have one each, whatever their order. */
static void a_wave_of_tiles_has_an_sm_each(void **state) {
    (void)state;
    const enum gemm_op ops[] = {GEMM_OP_N, GEMM_OP_T};
    for (int i = 0; i < 4; i++) {
        for (int64_t side = 961; side <= 1023; side += 31) {
            struct gemm_plan plan = plan_on(90, problem_of(ops[i / 2], ops[i % 2], side, side, side));
            assert_routed(plan);
            assert_ptr_equal(plan.variant, &gemm_variants[VARIANT_sgemm_sliced_64x128x32]);
            assert_int_equal(plan.split_k, 1);
        }
        /* Two waves of them are no better than cuBLAS's kernels, nor are few sums. */
        assert_forwarded(plan_on(90, problem_of(ops[i / 2], ops[i % 2], 1407, 1407, 1407)), REASON_slower);
        assert_forwarded(plan_on(90, problem_of(ops[i / 2], ops[i % 2], 1070, 1007, 500)), REASON_slower);
    }
}

/* A long K pays for a tile that sides as odd as these fill, and for no other. */
static void odd_sides_beside_a_long_k_have_tiles_of_their_own(void **state) {
    (void)state;
    const enum gemm_op ops[] = {GEMM_OP_N, GEMM_OP_T};
    for (int i = 0; i < 4; i++) {
        struct gemm_plan hundred = plan_on(90, problem_of(ops[i / 2], ops[i % 2], 100, 100, 1000000));
        struct gemm_plan odd = plan_on(90, problem_of(ops[i / 2], ops[i % 2], 777, 333, 55555));
        assert_routed(hundred);
        assert_routed(odd);
        assert_ptr_equal(hundred.variant, &gemm_variants[VARIANT_sgemm_simt_104x104x16]);
        assert_ptr_equal(odd.variant, &gemm_variants[VARIANT_sgemm_simt_112x112x8]);
        assert_int_equal(odd.shared_tiles, 0);
        struct gemm_plan cube = plan_on(90, problem_of(ops[i / 2], ops[i % 2], 1000, 1000, 1000));
        assert_true(!cube.variant || !gemm_variant_fitted(cube.variant));
    }
}

/* A forced raster keeps to the tile rows that there are: 1024 times 2^24 tile columns would not fit a kernel's int. */
static void a_forced_raster_stays_within_the_tiles(void **state) {
    (void)state;
    struct toggles toggles = default_toggles();
    toggles.kernel = 0;
    toggles.raster = 1024;
    struct gemm_problem wide = problem_of(GEMM_OP_N, GEMM_OP_N, 1, INT32_MAX - 4096, 8);
    assert_int_equal(plan_with(wide, toggles, plenty_of_scratch()).raster, 1);
    wide = problem_of(GEMM_OP_N, GEMM_OP_N, gemm_variants[0].bm * INT64_C(3) + 1, 1 << 20, 8);
    assert_int_equal(plan_with(wide, toggles, plenty_of_scratch()).raster, 4);
}

static void a_split_needs_scratch(void **state) {
    (void)state;
    struct gemm_problem p = published_workload(0).problem;
    struct toggles forced = default_toggles();
    forced.kernel = VARIANT_sgemm_simt_128x128x8;
    struct gemm_plan plan = plan_with(p, forced, (struct gemm_limits){0});
    assert_routed(plan);
    assert_int_equal(plan.split_k, 1);
    assert_int_equal(plan.scratch_bytes, 0);
    /* Unsplit, it fills few SMs: nobody would choose that. */
    assert_forwarded(plan_with(p, default_toggles(), (struct gemm_limits){0}), REASON_slower);
    plan = plan_with(p, default_toggles(), plenty_of_scratch());
    assert_true(plan.split_k > 16);
    assert_int_equal(plan.scratch_bytes, plan.split_k * INT64_C(256) * 256 * 4);
}

/* A long K beside few rows: cuBLAS was faster on these on an H200, where ours fill half of their tiles. */
static void huge_k_with_narrow_sides_forwards(void **state) {
    (void)state;
    struct gemm_problem narrow[] = {problem_of(GEMM_OP_T, GEMM_OP_N, 86, 486, 12746),
                                    problem_of(GEMM_OP_T, GEMM_OP_N, 199, 424, 9907),
                                    problem_of(GEMM_OP_N, GEMM_OP_T, 72, 975, 264248)};
    for (size_t i = 0; i < sizeof narrow / sizeof *narrow; i++)
        assert_forwarded(plan_with(narrow[i], default_toggles(), plenty_of_scratch()), REASON_slower);
    assert_routed(
        plan_with(problem_of(GEMM_OP_N, GEMM_OP_N, 100, 100, 1000000), default_toggles(), plenty_of_scratch()));
}

/* One scratch serves one launch, and a launch takes 65535 matrices. */
static void very_large_batches_are_not_split(void **state) {
    (void)state;
    struct toggles toggles = default_toggles();
    toggles.kernel = 0;
    toggles.split_k = 2;
    struct gemm_limits limits = {.scratch_bytes = INT64_MAX};
    assert_int_equal(plan_with(batched_problem(8, 8, 64, 65535), toggles, limits).split_k, 2);
    assert_int_equal(plan_with(batched_problem(8, 8, 64, 65536), toggles, limits).split_k, 1);
    struct gemm_problem huge = batched_problem(1 << 23, 1 << 22, 64, 65535); /* scratch of 2^64 bytes */
    huge.stride_a = huge.stride_b = huge.stride_c = huge.stride_d = 0;
    struct gemm_plan plan = plan_with(huge, toggles, limits);
    assert_routed(plan);
    assert_int_equal(plan.split_k, 1);
}

/* Nothing is known of where its matrices lie: no kernel that copies 16 bytes at a time, or that knows one base only. */
static void pointer_arrays_run_where_a_batch_does(void **state) {
    (void)state;
    struct gemm_problem p = batched_problem(512, 512, 512, 64);
    p.stride_a = p.stride_b = p.stride_c = p.stride_d = 0;
    p.align_a = p.align_b = 4;
    p.pointer_array = true;
    p.contract = CONTRACT_IEEE;
    struct gemm_plan plan = plan_on(90, p);
    assert_routed(plan);
    assert_int_equal(plan.profile, PROFILE_batched);
    for (int v = 0; v < VARIANT_COUNT; v++) {
        struct toggles toggles = default_toggles();
        toggles.kernel = v;
        p.contract = CONTRACT_TF32; /* any kernel keeps it */
        plan = plan_with(p, toggles, plenty_of_scratch());
        assert_int_equal(plan.variant != NULL, gemm_family_takes_pointers(gemm_variants[v].family) &&
                                                   gemm_variant_takes(&gemm_variants[v], LOAD_MN4, LOAD_K4) &&
                                                   !gemm_family_short_k(gemm_variants[v].family));
        if (!plan.variant) assert_int_equal(plan.reason, REASON_forced_kernel);
    }
}

static void sizes_beyond_32_bits_forward(void **state) {
    (void)state;
    const int64_t beyond[] = {INT32_MAX - 4095, INT32_MAX, INT64_C(1) << 31, INT64_C(1) << 32, INT64_MAX};
    for (unsigned i = 0; i < sizeof beyond / sizeof *beyond; i++) {
        assert_forwarded(plan_on(90, problem_of(GEMM_OP_N, GEMM_OP_N, beyond[i], 1, 1)), REASON_too_large);
        assert_forwarded(plan_on(90, problem_of(GEMM_OP_N, GEMM_OP_N, 1, beyond[i], 1)), REASON_too_large);
        assert_forwarded(plan_on(90, problem_of(GEMM_OP_N, GEMM_OP_N, 1, 1, beyond[i])), REASON_too_large);
        struct gemm_problem p = problem_of(GEMM_OP_N, GEMM_OP_N, 1, 1, 1);
        p.batch = beyond[i];
        assert_forwarded(plan_on(90, p), REASON_too_large);
    }
    struct gemm_problem p = square;
    p.lda = INT64_MAX;
    assert_forwarded(plan_on(90, p), REASON_too_large);
    p = batched_problem(64, 64, 64, 16);
    p.stride_b = INT64_MIN;
    assert_forwarded(plan_on(90, p), REASON_too_large);
}

/* More elements than 2^31 in each operand, and leading dimensions that only a wide kernel takes. */
static void large_products_run(void **state) {
    (void)state;
    assert_routed(plan_on(90, problem_of(GEMM_OP_N, GEMM_OP_T, 65536, 65536, 65536)));
    struct gemm_problem p = square;
    p.op_a = GEMM_OP_T;
    p.lda = INT64_C(1) << 30;
    struct gemm_plan plan = plan_on(89, p); /* one kernel takes it, and no measurement speaks for it on 90 */
    assert_routed(plan);
    assert_true(plan.variant->wide);
}

/* On the H200 cuBLAS is as fast on these: the first by the share that is to be expected, the others by their shape. */
static void what_cublas_does_better_forwards(void **state) {
    (void)state;
    assert_forwarded(plan_on(90, problem_of(GEMM_OP_N, GEMM_OP_N, 1664, 1664, 1664)), REASON_slower);
    struct gemm_problem odd = problem_of(GEMM_OP_N, GEMM_OP_N, 257, 255, 129);
    odd.batch = 100;
    odd.stride_a = odd.stride_b = odd.stride_c = odd.stride_d = 257 * 257;
    assert_forwarded(plan_on(90, odd), REASON_slower);
    assert_routed(plan_on(90, problem_of(GEMM_OP_N, GEMM_OP_N, 4096, 16, 4096)));
    assert_forwarded(plan_on(90, problem_of(GEMM_OP_N, GEMM_OP_N, 4096, 1, 4096)), REASON_too_small);
}

/* A bias costs as much whatever K is: a Linear layer of a short K, which runs here without one, does not with it. */
static void an_epilogue_has_its_price(void **state) {
    (void)state;
    struct gemm_problem deep = problem_of(GEMM_OP_T, GEMM_OP_N, 4096, 4096, 4096);
    struct gemm_problem thin = problem_of(GEMM_OP_T, GEMM_OP_N, 3072, 8192, 768);
    struct gemm_problem outer = problem_of(GEMM_OP_N, GEMM_OP_T, 32768, 32768, 32);
    deep.contract = thin.contract = outer.contract = CONTRACT_IEEE;
    assert_routed(plan_on(90, deep));
    assert_routed(plan_on(90, thin));
    assert_routed(plan_on(90, outer));
    deep.bias = thin.bias = 1;
    outer.activation = ACTIVATION_relu;
    assert_routed(plan_on(90, deep));
    assert_forwarded(plan_on(90, thin), REASON_slower);
    assert_forwarded(plan_on(90, outer), REASON_slower);
}

static void chips_without_rates_forward(void **state) {
    (void)state;
    struct toggles toggles = default_toggles();
    struct gemm_limits limits = plenty_of_scratch();
    struct gemm_device d[5];
    for (int i = 0; i < 5; i++) d[i] = device_of_arch(90);
    d[0].sm_count = 0;
    d[1].sm_count = -3;
    d[2].dram_bytes_per_s = 0;
    d[3].ffma_flops_per_s = -1;
    d[4].ffma_flops_per_s = 0.0 / 0.0;
    for (int i = 0; i < 5; i++) assert_forwarded(gemm_plan_make(&square, &d[i], &toggles, &limits), REASON_no_device);
    d[0] = device_of_arch(90);
    d[0].smem_per_block = 1024;
    assert_forwarded(gemm_plan_make(&square, &d[0], &toggles, &limits), REASON_no_kernel);
}

static void fewer_sms_change_the_split(void **state) {
    (void)state;
    struct gemm_problem p = published_workload(0).problem;
    struct toggles toggles = default_toggles();
    struct gemm_limits limits = plenty_of_scratch();
    struct gemm_device device = device_of_arch(90);
    device.sm_count = 16;
    struct gemm_plan few = gemm_plan_make(&p, &device, &toggles, &limits);
    assert_routed(few);
    assert_true(few.split_k < plan_on(90, p).split_k);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reasons_have_names_and_texts),
        cmocka_unit_test(the_table_routes_the_published_workloads),
        cmocka_unit_test(sm_89_runs_each_target_profile),
        cmocka_unit_test(sources_are_honest),
        cmocka_unit_test(unknown_architectures_forward),
        cmocka_unit_test(a_forced_kernel_needs_no_table_entry),
        cmocka_unit_test(small_products_forward),
        cmocka_unit_test(empty_products_forward),
        cmocka_unit_test(a_contract_is_kept),
        cmocka_unit_test(conditions_of_any_kernel),
        cmocka_unit_test(off_forwards_everything),
        cmocka_unit_test(profiles_can_be_left_out),
        cmocka_unit_test(a_profile_off_also_stops_a_forced_kernel),
        cmocka_unit_test(forced_split_and_raster_are_had),
        cmocka_unit_test(the_streaming_kernel_takes_a_small_k_and_aligned_columns),
        cmocka_unit_test(a_short_side_has_kernels_of_its_own),
        cmocka_unit_test(odd_sides_beside_a_long_k_have_tiles_of_their_own),
        cmocka_unit_test(a_wave_of_tiles_has_an_sm_each),
        cmocka_unit_test(a_forced_raster_stays_within_the_tiles),
        cmocka_unit_test(a_split_needs_scratch),
        cmocka_unit_test(huge_k_with_narrow_sides_forwards),
        cmocka_unit_test(very_large_batches_are_not_split),
        cmocka_unit_test(pointer_arrays_run_where_a_batch_does),
        cmocka_unit_test(sizes_beyond_32_bits_forward),
        cmocka_unit_test(large_products_run),
        cmocka_unit_test(what_cublas_does_better_forwards),
        cmocka_unit_test(an_epilogue_has_its_price),
        cmocka_unit_test(chips_without_rates_forward),
        cmocka_unit_test(fewer_sms_change_the_split),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
