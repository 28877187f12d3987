/*
 * The built-in table of routes.
 *
 * What decides for FFMA kernels is the share of the chip's limit (gemm_floor) that the cost model expects of the plan:
 * where cuBLAS was measured to reach as much, the product is its. The shares are from 611 products drawn at random, on
 * an H200, cuBLAS 13.1: those of them that are routed ran at 0.98 of the speed of cuBLAS or more. So it is with split
 * products, whose share is that of the FFMA limit too: of 127 products, most drawn at random, all that are routed ran
 * at 1.06 of the speed of cuBLAS or more.
 */
#include "measured.h"

#include "cost.h"
#include "measured_tf32.h"
#include "profile.h"

static const double LEAST_FLOPS = 1e8;   /* no entry supports less */
static const double LARGE_FLOPS = 2.5e9; /* cuBLAS does better from about here on */
static const double SPLIT_FLOPS = 1e9;   /* least that pays for the passes of split operands */
static const double SPLIT_SHARE = 0.65;  /* of the chip's limit, expected at least */
static const double SPLIT_SHARE_OUTER = 0.45;
static const double SKINNY_FLOPS = 1e8;    /* least for a few columns beside a large matrix */
static const double SKINNY_ELEMENTS = 8e6; /* least of the large matrix, where its kernels are for a short side */
static const int SKINNY_SIDE = 16;
static const double SHORT_SHARE = 0.55; /* of the limit, expected of batches whose sums are SHORT_K at most */
static const int SHORT_K = 128;
static const double ACROSS_SHARE = 0.065; /* expected more of odd sizes where B lies across K: cuBLAS is better there */
static const double ALONG_SHARE = 0.055;  /* the same where both lie along K, and that is less than ALONG_K */
static const int ALONG_K = 2048;
static const double FITTED_SHARE = 0.54; /* expected of a long K and odd sizes on a tile that fits them */
static const double OUTER_SHARE = 0.56;  /* of the limit, expected of outer products with more K than OUTER_K */
static const int OUTER_K = 64;
static const double STREAM_FLOPS = 1e9; /* least of what streams */
static const double WAVE_FLOPS = 1e9;   /* least of what one wave of CTAs with an SM each works off */
static const double WAVE_SHARE = 0.53, WAVE_SHARE_WHEN_LARGE = 0.60; /* of the limit, expected of that */
static const int SMALL_TILE = 64 * 64;
static const double NEVER = 2;
/* Of bias and activation, an element of D: from Linear layers on an H200, when 8 results at a time were read back. */
static const double EPILOGUE_S = 2.4e-12;
static const double EPILOGUE_SHARE = 0.09; /* of the limit, expected more where it is to be paid for */
static const double TF32_EPILOGUE = 0.05;  /* of a TF32 product's time: its routes were measured without */

/* Split products where only the model speaks for them: twice the passes' worth, and half as fast again as the limit. */
#define SPLIT_FLOPS_BY_MODEL 2e9
#define WIDE                 1.5

struct route {
    int arch;
    enum gemm_profile profile;
    double min_flops;               /* below, launches decide */
    double share, share_when_large; /* of the chip's limit, expected at least */
    bool odd;                       /* sizes that no vector divides too */
    const char *source;
};

/* The three fp16 products would pay where they are summed in fp32 at full rate. */
static const char ADA_BY_MODEL[] = "by model; no split products: no attribute tells an L40S from an RTX 4090";

static const struct route routes[] = {
    {90, PROFILE_huge_k, 4e8, 0.45, 0.45, false, "measured on H200"},
    {90, PROFILE_transposed, 1e9, 0.70, 0.685, true, "measured on H200"},
    {90, PROFILE_square, 1e9, 0.58, 0.705, true, "measured on H200"},
    {90, PROFILE_irregular, 1e9, 0.57, 0.685, true, "measured on H200"},
    {90, PROFILE_outer_product, 1e9, 0.425, 0.425, true, "measured on H200"},
    {90, PROFILE_batched, 1e9, 0.66, 0.66, false, "measured on H200"},
    {90, PROFILE_general, 1e8, NEVER, 0.685, true, "measured on H200"},
    {80, PROFILE_huge_k, SPLIT_FLOPS_BY_MODEL, WIDE, WIDE, true, "by model"},
    {80, PROFILE_transposed, SPLIT_FLOPS_BY_MODEL, WIDE, WIDE, true, "by model"},
    {80, PROFILE_square, SPLIT_FLOPS_BY_MODEL, WIDE, WIDE, true, "by model"},
    {80, PROFILE_irregular, SPLIT_FLOPS_BY_MODEL, WIDE, WIDE, true, "by model"},
    {80, PROFILE_batched, SPLIT_FLOPS_BY_MODEL, WIDE, WIDE, true, "by model"},
    {80, PROFILE_general, SPLIT_FLOPS_BY_MODEL, WIDE, WIDE, true, "by model"},
    {89, PROFILE_huge_k, 1e8, 0, 0, true, ADA_BY_MODEL},
    {89, PROFILE_transposed, 1e9, 0, 0, true, ADA_BY_MODEL},
    {89, PROFILE_square, 1e9, 0, 0, true, ADA_BY_MODEL},
    {89, PROFILE_irregular, 1e9, 0, 0, true, ADA_BY_MODEL},
    {89, PROFILE_outer_product, 1e9, 0, 0, true, ADA_BY_MODEL},
};

static const struct route *find(const struct gemm_device *device, enum gemm_profile profile) {
    for (unsigned i = 0; i < sizeof routes / sizeof *routes; i++)
        if (routes[i].arch == device->arch && routes[i].profile == profile) return &routes[i];
    return NULL;
}

/* A few columns, A read along its rows: bandwidth decides, and cuBLAS left much of it. One column is its gemv's. */
static bool skinny(const struct gemm_problem *p, double flops) {
    return p->batch == 1 && p->lda % 4 == 0 && p->op_a == GEMM_OP_N && p->m >= 2048 && p->n > 2 && p->n <= 32 &&
           flops >= SKINNY_FLOPS;
}

/*
 * What reads a large operand once for a few rows or columns, on an H200: all 273 of the measured products that this
 * routes (sides of 2 to 16, 1024 to 65536 and k of 256 to 16384) ran at 1.01 of the speed of cuBLAS or more, half of
 * them at over 1.73. Copies of single floats along m cost more, and cuBLAS has good kernels for two columns of many
 * rows.
 */
static bool skinny_gains(const struct gemm_problem *p, const struct gemm_variant *v) {
    const bool long_m = v->bm > v->bn, along_m = long_m && p->op_a == GEMM_OP_N;
    const int64_t shorter = long_m ? p->n : p->m, longer = long_m ? p->m : p->n;
    if (p->batch > 1 || shorter < 2 || (double)longer * (double)p->k < SKINNY_ELEMENTS) return false;
    if (along_m && (p->lda % 4 || p->align_a < 16) && (shorter <= 4 || p->k < 1024)) return false;
    if (along_m && shorter == 2 && longer > 32768) return false;
    return shorter <= 8 || p->k >= 512;
}

static bool in_fours(const struct gemm_problem *p) {
    return (p->m | p->n | p->k) % 4 == 0;
}

/* Narrow matrices leave our tiles half empty, many times over. */
static bool fills_tiles(const struct gemm_problem *p) {
    return p->m >= 128 && p->n >= 128;
}

/* Small tiles, shared sums, single stores, and streams that are over before they flow gain nothing. */
static bool outer_product_gains(const struct gemm_problem *p, const struct gemm_variant *v, double flops) {
    if (v->family == FAMILY_STREAM) return flops >= STREAM_FLOPS;
    return p->m % 4 == 0 && v->bm * v->bn > SMALL_TILE && gemm_variant_slices(v) == 1;
}

/* Rows as long as K, a few elements at a time: small tiles read too little of each. */
static bool huge_k_gains(const struct gemm_problem *p, const struct gemm_variant *v, double flops) {
    const bool along_k = p->op_a == GEMM_OP_T || p->op_b == GEMM_OP_N;
    return flops < LARGE_FLOPS || !along_k || v->bm * v->bn >= SMALL_TILE;
}

/* What the share does not tell of products that were measured. */
static bool gains(const struct route *route, const struct gemm_problem *p, const struct gemm_variant *v, double flops) {
    if (!route->odd && !in_fours(p) && !gemm_variant_fitted(v)) return false;
    if (route->share <= 0) return true;
    if (route->profile == PROFILE_batched) return fills_tiles(p);
    if (route->profile == PROFILE_outer_product) return outer_product_gains(p, v, flops);
    return route->profile != PROFILE_huge_k || huge_k_gains(p, v, flops);
}

static bool finishes(const struct gemm_problem *p) {
    return p->bias || p->activation != ACTIVATION_none;
}

/* A kernel without a split reads its results back to finish them. cuBLAS's bias costs nothing that can be measured. */
static double epilogue_s(const struct gemm_problem *p, const struct gemm_plan *plan) {
    return finishes(p) && plan->split_k == 1 ? EPILOGUE_S * (double)p->m * (double)p->n * (double)p->batch : 0;
}

bool measured_too_small(int64_t m, int64_t n, int64_t k, int64_t batch) {
    const double flops = 2.0 * (double)m * (double)n * (double)k * (double)batch;
    const int64_t shorter = m < n ? m : n;
    if (flops >= LEAST_FLOPS || shorter < 2 || shorter > SKINNY_SIDE) return flops < LEAST_FLOPS;
    return flops < 2 * (double)shorter * SKINNY_ELEMENTS;
}

/* What odd sizes have to promise more. */
static double odd_share(const struct gemm_problem *p) {
    if (p->op_b == GEMM_OP_T) return ACROSS_SHARE;
    return p->op_a == GEMM_OP_T && p->k < ALONG_K ? ALONG_SHARE : 0;
}

/*
 * Products of about as many tiles as there are SMs, of any sizes and order: all of those measured on an H200 that this
 * routes ran at 1.03 of the speed of cuBLAS or more, half of them at over 1.2.
 */
static bool in_one_wave(const struct gemm_problem *p, const struct gemm_device *d, const struct gemm_plan *plan) {
    const struct gemm_variant *v = plan->variant;
    const bool plain = plan->profile == PROFILE_square || plan->profile == PROFILE_irregular ||
                       plan->profile == PROFILE_transposed || plan->profile == PROFILE_general;
    const double tiles = gemm_round_up((double)p->m / v->bm) * gemm_round_up((double)p->n / v->bn);
    return plain && d->arch == 90 && gemm_variant_slices_store(v) && plan->split_k == 1 && p->batch == 1 &&
           tiles <= d->sm_count;
}

static double share_wanted(const struct route *route, const struct gemm_problem *p, const struct gemm_device *d,
                           const struct gemm_plan *plan, double flops) {
    double share = flops < LARGE_FLOPS ? route->share : route->share_when_large;
    if (flops >= WAVE_FLOPS && in_one_wave(p, d, plan)) {
        share = flops < LARGE_FLOPS ? WAVE_SHARE : WAVE_SHARE_WHEN_LARGE;
        return finishes(p) ? share + EPILOGUE_SHARE : share;
    }
    if (route->profile == PROFILE_batched && p->k <= SHORT_K) share = SHORT_SHARE;
    if (route->profile == PROFILE_outer_product && share > 0 && p->k > OUTER_K) share = OUTER_SHARE;
    if (route->profile == PROFILE_irregular && share > 0) share += odd_share(p);
    if (!route->odd && !in_fours(p) && share < FITTED_SHARE) share = FITTED_SHARE;
    return share > 0 && finishes(p) ? share + EPILOGUE_SHARE : share;
}

enum gemm_reason measured_verdict(const struct gemm_problem *p, const struct gemm_device *device,
                                  const struct gemm_plan *plan) {
    const struct route *route = find(device, plan->profile);
    const double flops = gemm_flops(p);
    if (!route) return REASON_not_measured;
    if (measured_too_small(p->m, p->n, p->k, p->batch)) return REASON_too_small;
    if (p->cublas_tf32 || plan->variant->contract == CONTRACT_TF32) {
        if (epilogue_s(p, plan) > TF32_EPILOGUE * plan->predicted_s) return REASON_slower;
        return measured_tf32_verdict(p, device, plan);
    }
    const double share = gemm_floor(p, device) / (plan->predicted_s + epilogue_s(p, plan));
    if (gemm_family_split_mma(plan->variant->family) && flops >= route->min_flops)
        return share >= route->share ? REASON_routed : REASON_slower;
    if (gemm_family_splits(plan->variant->family) || plan->variant->family == FAMILY_FUSED) {
        if (flops < SPLIT_FLOPS) return REASON_too_small;
        const double least = plan->profile == PROFILE_outer_product ? SPLIT_SHARE_OUTER : SPLIT_SHARE;
        return share >= least ? REASON_routed : REASON_slower;
    }
    if (plan->variant->family == FAMILY_SKINNY && route->arch == 90)
        return skinny(p, flops) || skinny_gains(p, plan->variant) ? REASON_routed : REASON_slower;
    if (flops < route->min_flops) return REASON_too_small;
    if (route->arch == 80) return REASON_slower; /* its entries are for split products alone */
    if (plan->profile == PROFILE_general && skinny(p, flops)) return REASON_routed;
    if (!gains(route, p, plan->variant, flops)) return REASON_slower;
    return share >= share_wanted(route, p, device, plan, flops) ? REASON_routed : REASON_slower;
}

const char *measured_source(const struct gemm_device *device, enum gemm_profile profile) {
    const struct route *route = find(device, profile);
    return route ? route->source : "";
}
