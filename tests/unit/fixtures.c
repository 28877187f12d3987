/* Chips, problems and settings to start from. */
#include "fixtures.h"

struct gemm_device device_of_arch(int arch) {
    struct gemm_device h200 = {
        .arch = arch,
        .sm_count = 132,
        .l2_bytes = INT64_C(50) << 20,
        .dram_bytes_per_s = 4.8e12,
        .ffma_flops_per_s = 66.9e12,
        .smem_per_block = 227 << 10,
        .smem_per_sm = 228 << 10,
    };
    struct gemm_device rtx4090 = {
        .arch = arch,
        .sm_count = 128,
        .l2_bytes = INT64_C(72) << 20,
        .dram_bytes_per_s = 1.008e12,
        .ffma_flops_per_s = 82.6e12,
        .smem_per_block = 99 << 10,
        .smem_per_sm = 100 << 10,
    };
    struct gemm_device a100 = {
        .arch = arch,
        .sm_count = 108,
        .l2_bytes = INT64_C(40) << 20,
        .dram_bytes_per_s = 1.555e12,
        .ffma_flops_per_s = 19.5e12,
        .smem_per_block = 163 << 10,
        .smem_per_sm = 164 << 10,
    };
    return arch == 89 ? rtx4090 : arch == 80 ? a100 : h200;
}

struct gemm_problem problem_of(enum gemm_op op_a, enum gemm_op op_b, int64_t m, int64_t n, int64_t k) {
    return (struct gemm_problem){
        .op_a = op_a,
        .op_b = op_b,
        .m = m,
        .n = n,
        .k = k,
        .batch = 1,
        .lda = op_a == GEMM_OP_N ? m : k,
        .ldb = op_b == GEMM_OP_N ? k : n,
        .ldc = m,
        .ldd = m,
        .align_a = 16,
        .align_b = 16,
        .alpha = SCALAR_ONE,
        .beta = SCALAR_ZERO,
        .contract = CONTRACT_FP32,
    };
}

struct gemm_problem batched_problem(int64_t m, int64_t n, int64_t k, int64_t batch) {
    struct gemm_problem p = problem_of(GEMM_OP_N, GEMM_OP_N, m, n, k);
    p.batch = batch;
    p.stride_a = m * k;
    p.stride_b = k * n;
    p.stride_c = p.stride_d = m * n;
    return p;
}

/* A row-major C[M,N] = A B is the column-major C[N,M] = B A. */
struct published published_workload(int index) {
    const struct published all[PUBLISHED_COUNT] = {
        {"huge K", PROFILE_huge_k, problem_of(GEMM_OP_N, GEMM_OP_N, 256, 256, 524288)},
        {"transposed", PROFILE_transposed, problem_of(GEMM_OP_T, GEMM_OP_T, 4096, 2048, 8192)},
        {"irregular", PROFILE_irregular, problem_of(GEMM_OP_N, GEMM_OP_N, 5921, 8205, 2949)},
        {"outer product", PROFILE_outer_product, problem_of(GEMM_OP_N, GEMM_OP_N, 32768, 32768, 32)},
        {"square", PROFILE_square, problem_of(GEMM_OP_N, GEMM_OP_N, 4096, 4096, 4096)},
        {"batched", PROFILE_batched, batched_problem(512, 512, 512, 64)},
    };
    return all[index];
}

struct toggles default_toggles(void) {
    struct toggles toggles;
    toggles_parse(&toggles, NULL, NULL, NULL);
    return toggles;
}

struct gemm_limits plenty_of_scratch(void) {
    return (struct gemm_limits){.scratch_bytes = INT64_C(256) << 20, .planes_bytes = INT64_C(256) << 20};
}

struct gemm_plan plan_on(int arch, struct gemm_problem problem) {
    struct gemm_device device = device_of_arch(arch);
    struct toggles toggles = default_toggles();
    struct gemm_limits limits = plenty_of_scratch();
    return gemm_plan_make(&problem, &device, &toggles, &limits);
}
