/* Enumerate the variants whose conditions hold, cost each with each sensible split, take the cheapest. */
#include "plan.h"

#include "cost.h"
#include "measured.h"
#include "measured_tf32.h"
#include "profile.h"

#include "../kernels/simt_rows.h"

enum {
    MAX_SPLIT = 1024,
    MAX_SPLIT_BATCH = 65535, /* a split needs all its matrices in one launch: one scratch, grid z */
    ROWS_ROUTED_K = 1024,    /* least K for the FFMA kernel that operands may be brought for */
    MIN_SLICE_TILES = 8,     /* k tiles that make a slice worth its start and its partial sums */
    MIN_SLICE_PLANES = 4,    /* the same where tiles are 64 k long */
    MAX_TRIES = 16,          /* splits beyond the first that are costed for one variant */
    MAX_SLICE = 8192,        /* k that split operands are summed over at most */
    FUSED_ROUTED_K = 2048,   /* below, products of odd sizes were not always as accurate as cuBLAS */
    MAX_SLICE_FUSED = 16384, /* the same where 64 k are summed at a time, not 32 */
    MAX_CHUNKS = 64,         /* rounds of passes and product over parts of K, for want of scratch */
    MAX_SMS = 1 << 16,       /* that CTAs are counted for */
    RASTER = 8,
    RASTER_PLANES = 32,
    RASTER_SHORT_K = 64, /* tiles that a CTA, or those in flight, take down a column, at most as many as there are */
    SHORT_K = 128,       /* where most bytes are those of D: the CTAs in flight had better write whole columns */
    TILE = 264           /* no tile has more rows or columns; offsets of whole tiles are computed, at the edges too */
};
static const int64_t MAX_EXTENT = INT32_MAX - 4096;    /* kernels count rows and k in 32 bits, and step past the end */
static const int64_t WALKED_BYTES = INT64_C(16) << 20; /* of A, which stays in L2 however often it is walked over */
static const int64_t MAX_TILES = INT32_MAX;            /* CTAs along a grid's x */
static const double OUTER_ELEMENTS = 1 << 26;          /* least of D, for kernels that do little else than write it */
static const double MAX_SPAN = 0x1p60;                 /* elements that an operand may reach over: 64-bit addresses */

static int64_t ceil_div(int64_t a, int64_t b) {
    return (a + b - 1) / b;
}

static bool spans_fit(int64_t columns, int64_t ld, int64_t batch, int64_t stride) {
    double step = stride < 0 ? -(double)stride : (double)stride;
    return (double)(columns + TILE) * (double)ld + (double)(batch - 1) * step < MAX_SPAN;
}

/* Whether the kernels' counters and offsets hold every size of the problem, whichever kernel it is. */
static bool sizes_fit(const struct gemm_problem *p) {
    if (p->m > MAX_EXTENT || p->n > MAX_EXTENT || p->k > MAX_EXTENT || p->batch > MAX_EXTENT) return false;
    return spans_fit(p->op_a == GEMM_OP_N ? p->k : p->m, p->lda, p->batch, p->stride_a) &&
           spans_fit(p->op_b == GEMM_OP_N ? p->n : p->k, p->ldb, p->batch, p->stride_b) &&
           spans_fit(p->n, p->ldc, p->batch, p->stride_c) && spans_fit(p->n, p->ldd, p->batch, p->stride_d);
}

/* Elements between the first and the last of one operand tile; see `wide` in kernels/variants.h. */
static bool offsets_fit(const struct gemm_variant *v, enum gemm_loader loader, int64_t extent, int64_t ld) {
    int64_t rows = loader == LOAD_K4 ? extent : v->bk;
    return v->wide || ld <= (INT64_C(1) << 30) / rows - 1024;
}

/* How a problem's operands are read, the same for every variant. */
struct loaders {
    enum gemm_loader a, b;
};

/* Split operands: grids over rows, batch and K, and work items counted in 32 bits. */
static bool planes_fit(const struct gemm_variant *v, const struct gemm_problem *p, const struct gemm_device *d) {
    double items = (double)ceil_div(p->m, v->bm) * (double)ceil_div(p->n, v->bn) * (double)p->batch * MAX_SPLIT;
    double units = ((double)ceil_div(p->m, v->bm) * 2 + (double)ceil_div(p->n, v->bn)) * (double)ceil_div(p->k, 32);
    return d->wgmma && p->batch <= MAX_SPLIT_BATCH && items < INT32_MAX && units < INT32_MAX;
}

/* The conditions that a variant adds to sizes_fit. */
static bool variant_fits(const struct gemm_variant *v, const struct gemm_problem *p, const struct gemm_device *d,
                         struct loaders load) {
    if (d->arch < v->min_arch || p->contract < v->contract) return false;
    if (gemm_family_wgmma(v->family) && !planes_fit(v, p, d)) return false;
    if (gemm_family_split_mma(v->family) && (p->batch > MAX_SPLIT_BATCH || gemm_scratch_bytes(p, v, 1) == INT64_MAX))
        return false;
    const bool packs = gemm_family_packed(v->family) || v->family == FAMILY_SIMT_ROWS;
    if (packs && gemm_scratch_bytes(p, v, 1) == INT64_MAX) return false;
    if (p->pointer_array && !gemm_family_takes_pointers(v->family)) return false;
    if (!gemm_variant_takes(v, load.a, load.b)) return false;
    /* Its stores are straight from registers: 16 bytes, or wasteful. */
    if (v->family == FAMILY_STREAM && p->ldd % 4) return false;
    if (gemm_family_short_k(v->family) && p->k > v->bk) return false;
    if (ceil_div(p->m, v->bm) * ceil_div(p->n, v->bn) > MAX_TILES) return false;
    if (!offsets_fit(v, load.a, v->bm, p->lda) || !offsets_fit(v, load.b, v->bn, p->ldb)) return false;
    return gemm_variant_shared_bytes(v, load.a, load.b) <= d->smem_per_block;
}

bool gemm_variant_fits(const struct gemm_variant *v, const struct gemm_problem *p, const struct gemm_device *d) {
    return sizes_fit(p) && variant_fits(v, p, d, (struct loaders){gemm_loader_a(p), gemm_loader_b(p)});
}

/* Rates of zero, as an unknown driver may report them, make no model. */
static bool device_usable(const struct gemm_device *d) {
    return d->sm_count > 0 && d->ffma_flops_per_s > 0 && d->dram_bytes_per_s > 0;
}

/* Scratch that there may be for a variant. */
static int64_t room(const struct gemm_variant *v, const struct gemm_limits *limits) {
    int64_t bytes = gemm_family_needs_scratch(v->family) ? limits->planes_bytes : limits->scratch_bytes;
    if (bytes == INT64_MAX) bytes--; /* a size that nobody could count fits nowhere */
    return bytes > 0 ? bytes : 0;
}

/* The most splits, up to `wanted`, that scratch and grid allow. */
static int splits_allowed(const struct gemm_problem *p, const struct gemm_variant *v, const struct gemm_limits *limits,
                          int wanted) {
    if (wanted <= 1 || p->batch > MAX_SPLIT_BATCH) return 1;
    int64_t two = gemm_split_scratch_bytes(p, v, 2), left = room(v, limits) - gemm_scratch_bytes(p, v, 1);
    if (two > left || two == INT64_MAX) return 1;
    int64_t most = left / (two / 2), tiles = ceil_div(p->m, v->bm) * ceil_div(p->n, v->bn) * p->batch;
    if (most > MAX_TILES / tiles) most = MAX_TILES / tiles; /* kernels count both in 32 bits */
    if (most < 1) return 1;
    return most < wanted ? (int)most : wanted;
}

/* One plan in the making: what is fixed, and the cheapest choice so far. */
struct search {
    struct gemm_problem part; /* the problem, or one chunk of its K */
    int chunks;
    double chunk_s; /* what each chunk costs on top: it adds to C */
    const struct gemm_variant *variant;
    double weight; /* by which its costs count for more: what it may lose (may_lose) */
    struct gemm_cost_terms terms;
    uint32_t k_tiles;
    int slots; /* CTAs that run at a time */
    struct gemm_plan *best;
    double least; /* weighed cost of the best */
};

static double of_all_chunks(const struct search *s, double cost) {
    return s->chunks == 1 ? cost : s->chunks * (cost + s->chunk_s);
}

/* Whether a plan of this cost would be no better than the best, which it else becomes. */
static bool no_better(struct search *s, double cost) {
    if (s->best->variant && cost * s->weight >= s->least) return true;
    s->least = cost * s->weight;
    return false;
}

/*
 * A product of planes in place of one by the TF32 kernels is expected to win by so much: they are the ones that run
 * after all, behind it, where rows turn out to be too wide.
 */
static double may_lose(const struct gemm_variant *v) {
    return v->family == FAMILY_FP16X1 ? 1.06 : 1;
}

/* Costs the split with slices as long as `splits` would give, none of them empty: of 10 k tiles, 6 splits are 5. */
static void consider(struct search *s, int splits) {
    uint32_t tiles = (s->k_tiles - 1) / (uint32_t)splits + 1;
    splits = (int)((s->k_tiles - 1) / tiles) + 1;
    double cost = of_all_chunks(s, gemm_cost_of_split(&s->terms, splits, (int64_t)tiles * s->variant->bk));
    if (no_better(s, cost)) return;
    s->best->variant = s->variant;
    s->best->k_chunk = s->part.k;
    s->best->split_k = splits;
    s->best->ctas = gemm_variant_persists(s->variant) ? s->slots : 0;
    s->best->shared_tiles = 0;
    s->best->predicted_s = cost;
}

/* Bytes, of operands that go through it first too. */
static int64_t scratch_to_share(const struct gemm_problem *p, const struct gemm_variant *v, int ctas) {
    const int64_t operands = gemm_scratch_bytes(p, v, 1), shares = gemm_variant_share_floats(v, ctas) * 4;
    return operands < INT64_MAX - shares ? operands + shares : INT64_MAX;
}

/* Where whole tiles leave SMs idle in the last round, those of that round can be shared. */
static void consider_sharing(struct search *s, const struct gemm_limits *limits) {
    if (!gemm_variant_shares_tiles(s->variant) || s->terms.ctas > (double)MAX_TILES) return;
    int shared = (int)((int64_t)s->terms.ctas % s->slots);
    /* In parts of equal length: two or more of each, and beside whole tiles, else it is a split. */
    const bool parts = !gemm_variant_persists(s->variant);
    if (parts && (shared == 0 || s->slots / shared < 2 || s->terms.ctas < s->slots)) return;
    /* Kernels count them in 32 bits, for groups of rows where tiles at the edge have fewer (simt_rows_works.cuh). */
    const int64_t k_tiles = (int64_t)shared * s->k_tiles,
                  groups = s->variant->family == FAMILY_SIMT_ROWS ? SIMT_ROWS_FULL : 1;
    if (k_tiles < (int64_t)s->slots * MIN_SLICE_TILES || k_tiles > INT32_MAX / groups) return;
    if (scratch_to_share(&s->part, s->variant, s->slots) > room(s->variant, limits)) return;
    double cost = gemm_cost_of_sharing(&s->terms, s->slots, shared, parts);
    if (no_better(s, cost)) return;
    s->best->variant = s->variant;
    s->best->k_chunk = s->part.k;
    s->best->split_k = 1;
    s->best->ctas = s->slots;
    s->best->shared_tiles = shared;
    s->best->predicted_s = cost;
}

/*
 * Of the splits whose CTAs take the same number of rounds over the SMs, the largest does the least arithmetic in each:
 * only these are costed, from the smallest number of rounds up.
 */
static void consider_splits(struct search *s, int least, int most) {
    double rounds_per_split = s->terms.ctas / s->terms.sm_count;
    consider(s, least);
    for (int last = least, tries = 0; tries < MAX_TRIES && last < most; tries++) {
        if (of_all_chunks(s, gemm_cost_bound(&s->terms, last + 1)) * s->weight >= s->least) return;
        double fills = gemm_round_up((last + 1) * rounds_per_split) / rounds_per_split;
        int splits = fills < most ? (int)fills : most;
        last = splits > last ? splits : last + 1;
        consider(s, last);
    }
}

/* A long sum of a tensor core's short ones is no better than one in fp32: cuBLAS, which splits it, would be. */
static int least_splits(const struct gemm_problem *p, const struct gemm_variant *v) {
    const int most = v->family == FAMILY_FUSED ? MAX_SLICE_FUSED : MAX_SLICE;
    const bool planes = gemm_family_splits(v->family) && v->contract == CONTRACT_FP32;
    const bool sums = planes || gemm_family_split_mma(v->family) || v->family == FAMILY_FUSED;
    int64_t least = sums ? ceil_div(p->k, most) : 1;
    return least < INT32_MAX ? (int)least : INT32_MAX;
}

static void consider_variant(struct search *s, const struct gemm_device *d, const struct toggles *t,
                             const struct gemm_limits *limits) {
    const struct gemm_problem *p = &s->part;
    s->weight = may_lose(s->variant);
    s->terms = gemm_cost_prepare(p, d, s->variant);
    s->k_tiles = (uint32_t)ceil_div(p->k, s->variant->bk);
    s->slots = (d->sm_count < MAX_SMS ? d->sm_count : MAX_SMS) * s->variant->ctas_per_sm;
    if (t->split_k) {
        uint32_t wanted = (uint32_t)t->split_k < s->k_tiles ? (uint32_t)t->split_k : s->k_tiles;
        consider(s, splits_allowed(p, s->variant, limits, (int)wanted));
        return;
    }
    uint32_t shortest = s->variant->bk == 64 ? MIN_SLICE_PLANES : MIN_SLICE_TILES;
    uint32_t worth = (s->k_tiles - 1) / (shortest - 1); /* the last slice may be shorter */
    int most = splits_allowed(p, s->variant, limits, worth < MAX_SPLIT ? (int)worth : MAX_SPLIT);
    int least = least_splits(p, s->variant);
    if (least <= most) consider_splits(s, least, most);
    consider_sharing(s, limits);
}

/*
 * Makes the part as much of K as its scratch has room for; all of K where it can be. Chunks are for planes alone: the
 * product would still be over twice as fast. False: not even a small part fits.
 */
static bool find_part(struct search *s, const struct gemm_problem *p, const struct gemm_device *d,
                      const struct toggles *t, const struct gemm_limits *limits) {
    const int most = gemm_family_splits(s->variant->family) ? MAX_CHUNKS : 1;
    s->part = *p;
    s->chunk_s = 8.0 * (double)p->m * (double)p->n * (double)p->batch / d->dram_bytes_per_s;
    for (s->chunks = 1; s->chunks <= most; s->chunks++) {
        if (s->chunks > 1) s->part.k = ceil_div(ceil_div(p->k, s->chunks), s->variant->bk) * s->variant->bk;
        const int splits = t->split_k ? 1 : least_splits(&s->part, s->variant);
        if (gemm_scratch_bytes(&s->part, s->variant, splits) <= room(s->variant, limits)) return true;
    }
    return false;
}

/* Odd rows, which no bank conflict slows down, of matrices that fill its tiles and lie there as in memory. */
static bool fills_kept(const struct gemm_problem *p, const struct gemm_variant *v) {
    const bool odd = p->lda % 2 && p->ldb % 2 && p->op_b == GEMM_OP_N;
    return p->batch > 1 && odd && p->m <= v->bm && 4 * p->m > 3 * v->bm && 4 * p->k > 3 * v->bk &&
           4 * p->n > 3 * v->bn * ceil_div(p->n, v->bn) && p->lda <= v->bm + 4 && p->ldb <= v->bk + 3;
}

/* Whether a variant may be chosen where the user forces none. */
static bool may_be_chosen(const struct gemm_variant *v, const struct gemm_problem *p, const struct gemm_device *d) {
    /* Where cuBLAS may use TF32, no fp32 kernel is a match for it. */
    if (p->cublas_tf32 && v->contract != CONTRACT_TF32) return false;
    if (v->family != FAMILY_TF32_BATCH && measured_tf32_small(p)) return false;
    if (v->family == FAMILY_TF32_KEPT && !fills_kept(p, v)) return false;
    /* Sectors that two of its warps share leave the L2 cache before both have written: slow (measured). */
    if (v->family == FAMILY_STREAM && p->ldd % 8) return false;
    /* Persistent CTAs are as fast where less is written than caches hold, and where both operands lie across. */
    if (v->family == FAMILY_TF32_OUTER && gemm_loader_a(p) == LOAD_K4 && gemm_loader_b(p) != LOAD_K4) return false;
    if (v->family == FAMILY_TF32_OUTER) return (double)p->m * (double)p->n * (double)p->batch >= OUTER_ELEMENTS;
    /* Of its tiles' short side there is one, on the side that is short. */
    if (v->family == FAMILY_SKINNY && (v->bm > v->bn ? p->n > v->bn : p->m > v->bm)) return false;
    /* Their CTAs take a tile each and store float by float, which only a long K pays for (measured). */
    if (gemm_variant_fitted(v) && gemm_profile_of(p) != PROFILE_huge_k) return false;
    /* Hopper has a faster form, and elsewhere no built-in entry speaks for it. */
    if (gemm_family_split_mma(v->family) && d->arch != 80) return false;
    if (v->family == FAMILY_FP16X1_MMA && d->wgmma) return false; /* as wgmma it is faster */
    /* Launches overlap in such a build alone; a short K was not measured. */
    if (v->family == FAMILY_SIMT_ROWS) return d->wgmma && p->k >= ROWS_ROUTED_K;
    return v->family != FAMILY_FUSED || p->k >= FUSED_ROUTED_K;
}

/* The cheapest variant with its split, none where no variant's conditions hold. */
static void choose(struct gemm_plan *best, const struct gemm_problem *p, const struct gemm_device *d,
                   const struct toggles *t, const struct gemm_limits *limits) {
    struct search search = {.best = best};
    struct loaders load = {gemm_loader_a(p), gemm_loader_b(p)};
    for (int i = 0; i < VARIANT_COUNT; i++) {
        search.variant = &gemm_variants[i];
        if (t->kernel >= 0 ? t->kernel != i : !may_be_chosen(search.variant, p, d)) continue;
        if (!variant_fits(search.variant, p, d, load)) continue;
        if (find_part(&search, p, d, t, limits)) consider_variant(&search, d, t, limits);
    }
}

/* Why no variant's conditions hold. */
static enum gemm_reason reason_without_kernel(const struct gemm_device *d, const struct toggles *t) {
    if (t->kernel >= 0) return REASON_forced_kernel;
    for (int i = 0; i < VARIANT_COUNT; i++)
        if (d->arch >= gemm_variants[i].min_arch) return REASON_no_kernel;
    return REASON_arch;
}

/* Whether a chosen kernel may take the call; a forced one may, on the user's word. */
static enum gemm_reason reason_to_forward(const struct gemm_problem *p, const struct gemm_device *d,
                                          const struct toggles *t, const struct gemm_plan *plan) {
    if (t->kernel >= 0) return REASON_routed;
    return measured_verdict(p, d, plan);
}

/* Groups of tile rows, never more than there are: kernels count the CTAs of one group in 32 bits. */
static int choose_raster(const struct gemm_problem *p, const struct gemm_variant *v, int forced) {
    const bool stores = gemm_family_wgmma(v->family) && p->k <= SHORT_K && 4 * p->m * p->k <= WALKED_BYTES;
    const int64_t rows = ceil_div(p->m, v->bm);
    int64_t usual = gemm_family_splits(v->family) ? RASTER_PLANES : RASTER;
    if (gemm_family_short_k(v->family)) usual = RASTER_SHORT_K;
    const int64_t wanted = forced ? forced : stores && !gemm_family_short_k(v->family) ? rows : usual;
    return (int)(rows < wanted ? rows : wanted);
}

static struct gemm_plan forward(enum gemm_profile profile, enum gemm_reason reason) {
    return (struct gemm_plan){.profile = profile, .reason = reason, .split_k = 1, .raster = 1};
}

struct gemm_plan gemm_plan_make(const struct gemm_problem *p, const struct gemm_device *d, const struct toggles *t,
                                const struct gemm_limits *limits) {
    struct gemm_plan plan = {.profile = gemm_profile_of(p), .reason = REASON_routed};
    if (!t->enabled) return forward(plan.profile, REASON_off);
    if (p->m < 1 || p->n < 1 || p->k < 1 || p->batch < 1) return forward(plan.profile, REASON_empty);
    if (!(t->profiles >> plan.profile & 1)) return forward(plan.profile, REASON_profile_off);
    if (!device_usable(d)) return forward(plan.profile, REASON_no_device);
    if (!sizes_fit(p)) return forward(plan.profile, REASON_too_large);
    choose(&plan, p, d, t, limits);
    plan.reason = plan.variant ? reason_to_forward(p, d, t, &plan) : reason_without_kernel(d, t);
    if (plan.reason != REASON_routed) return forward(plan.profile, plan.reason);
    struct gemm_problem part = *p;
    part.k = plan.k_chunk;
    plan.scratch_bytes = plan.shared_tiles ? scratch_to_share(&part, plan.variant, plan.ctas)
                                           : gemm_scratch_bytes(&part, plan.variant, plan.split_k);
    plan.raster = choose_raster(p, plan.variant, t->raster);
    return plan;
}
