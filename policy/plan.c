/* Enumerate the variants whose conditions hold, cost each with each sensible split, take the cheapest. */
#include "plan.h"

#include "cost.h"
#include "measured.h"
#include "profile.h"

enum { MAX_SPLIT = 1024 };
static const int64_t MAX_EXTENT = INT32_MAX - 4096; /* kernels count rows and k in 32 bits, and step past the end */
static const int64_t MAX_TILES = INT32_MAX;         /* CTAs along a grid's x */

static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

/* Elements between the first and the last of one operand tile; see `wide` in kernels/variants.h. */
static bool offsets_fit(const struct gemm_variant *v, enum gemm_loader loader, int64_t extent, int64_t ld) {
    int64_t rows = loader == LOAD_K4 ? extent : v->bk;
    return v->wide || ld <= (INT64_C(1) << 32) / rows - 1024;
}

bool gemm_variant_fits(const struct gemm_variant *v, const struct gemm_problem *p, const struct gemm_device *d) {
    if (d->arch < v->min_arch || p->contract < v->contract) return false;
    if (p->m > MAX_EXTENT || p->n > MAX_EXTENT || p->k > MAX_EXTENT || p->batch > MAX_EXTENT) return false;
    if (ceil_div(p->m, v->bm) * ceil_div(p->n, v->bn) > MAX_TILES) return false;
    if (!offsets_fit(v, gemm_loader_a(p), v->bm, p->lda) || !offsets_fit(v, gemm_loader_b(p), v->bn, p->ldb))
        return false;
    return gemm_variant_shared_bytes(v, gemm_loader_a(p), gemm_loader_b(p)) <= d->smem_per_block;
}

/* A split is worth considering when each slice holds a few k tiles and its scratch is to be had. */
static bool split_fits(const struct gemm_variant *v, const struct gemm_problem *p, const struct gemm_limits *limits,
                       int split_k) {
    if (split_k == 1) return true;
    int64_t slice = gemm_split_slice(p, v, split_k);
    if (slice * (split_k - 1) >= p->k) return false; /* an empty slice */
    if (p->batch > 65535) return false;              /* one launch per 65535 matrices, one scratch */
    return gemm_split_scratch_bytes(p, split_k) <= limits->scratch_bytes;
}

static int choose_raster(const struct gemm_problem *p, const struct gemm_variant *v) {
    int64_t rows = ceil_div(p->m, v->bm);
    return rows < 8 ? (int)rows : 8;
}

static void consider(struct gemm_plan *best, const struct gemm_problem *p, const struct gemm_device *d,
                     const struct gemm_variant *v, int split_k) {
    double cost = gemm_cost(p, d, v, split_k);
    if (best->variant && cost >= best->predicted_s) return;
    best->variant = v;
    best->split_k = split_k;
    best->predicted_s = cost;
}

static void consider_variant(struct gemm_plan *best, const struct gemm_problem *p, const struct gemm_device *d,
                             const struct toggles *t, const struct gemm_limits *limits, const struct gemm_variant *v) {
    if (!gemm_variant_fits(v, p, d)) return;
    if (t->split_k) {
        int split = t->split_k;
        while (!split_fits(v, p, limits, split)) split--;
        consider(best, p, d, v, split);
        return;
    }
    for (int split = 1; split <= MAX_SPLIT; split++) {
        if (split > 1 && gemm_split_slice(p, v, split) < 8 * v->bk) break;
        if (split_fits(v, p, limits, split)) consider(best, p, d, v, split);
        if (split >= 32) split += split / 16 - 1; /* coarser steps where they matter less */
    }
}

static struct gemm_plan forward(struct gemm_plan plan, enum gemm_reason reason) {
    plan.variant = NULL;
    plan.reason = reason;
    return plan;
}

struct gemm_plan gemm_plan_make(const struct gemm_problem *p, const struct gemm_device *d, const struct toggles *t,
                                const struct gemm_limits *limits) {
    struct gemm_plan plan = {.profile = gemm_profile_of(p), .split_k = 1, .raster = 1};
    if (!(t->profiles >> plan.profile & 1)) return forward(plan, REASON_profile_off);
    for (int i = 0; i < VARIANT_COUNT; i++)
        if (t->kernel < 0 || t->kernel == i) consider_variant(&plan, p, d, t, limits, &gemm_variants[i]);
    if (!plan.variant) return forward(plan, t->kernel >= 0 ? REASON_forced_kernel : REASON_no_kernel);
    if (t->kernel < 0 && !measured_supports(p, d, &plan)) return forward(plan, REASON_not_measured);
    plan.reason = REASON_routed;
    plan.scratch_bytes = gemm_split_scratch_bytes(p, plan.split_k);
    plan.raster = t->raster ? t->raster : choose_raster(p, plan.variant);
    return plan;
}
