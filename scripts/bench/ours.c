/* Our kernels as an engine. */
#include "ours.h"

#include "../../kernels/launch.h"
#include "../../policy/plan_args.h"
#include "../../policy/profile.h"
#include "timing.h"

static struct toggles defaults(void) {
    struct toggles toggles;
    toggles_parse(&toggles, NULL, NULL, NULL);
    return toggles;
}

static struct gemm_plan plan_forced(const struct gemm_problem *p, const struct gemm_device *d, int64_t scratch,
                                    int kernel, int split, int raster) {
    struct toggles toggles = defaults();
    struct gemm_limits limits = {.scratch_bytes = scratch, .planes_bytes = scratch};
    toggles.kernel = kernel, toggles.split_k = split, toggles.raster = raster;
    return gemm_plan_make(p, d, &toggles, &limits);
}

static bool forces(const struct bench_settings *s) {
    return s->kernel >= 0 || s->split || s->raster;
}

bool ours_plan(const struct gemm_problem *p, const struct gemm_device *d, const struct bench_settings *s,
               struct gemm_plan *plan, enum gemm_reason *route) {
    *plan = plan_forced(p, d, s->scratch_bytes, -1, 0, 0);
    *route = plan->reason;
    if (plan->variant && !forces(s)) return true;
    plan->variant = NULL;
    for (int kernel = 0; kernel < VARIANT_COUNT; kernel++) {
        if (s->kernel >= 0 && kernel != s->kernel) continue;
        struct gemm_plan one = plan_forced(p, d, s->scratch_bytes, kernel, s->split, s->raster);
        if (one.variant && (!plan->variant || one.predicted_s < plan->predicted_s)) *plan = one;
    }
    return plan->variant != NULL;
}

static int run(const struct engine *engine, const struct operands *o, cudaStream_t stream) {
    const struct ours *ours = engine->state;
    const struct gemm_problem *p = engine->problem;
    struct gemm_args args = gemm_plan_args(p, &ours->plan);
    args.a = o->a, args.b = o->b, args.c = args.d = o->c;
    args.partial = ours->plan.scratch_bytes ? ours->scratch : NULL;
    args.alpha = 1.0f, args.beta = 0.0f;
    return gemm_launch(ours->plan.variant, gemm_loader_a(p), gemm_loader_b(p), args, stream);
}

struct engine ours_engine(const struct gemm_problem *problem, struct ours *state) {
    return (struct engine){.label = state->plan.variant->name, .run = run, .problem = problem, .state = state};
}

struct tuning {
    const struct gemm_problem *problem;
    const struct buffers *buffers;
    float *scratch;
    struct gemm_plan best;
    double seconds;  /* of the best */
    double hopeless; /* a first run above this is enough */
};

static double try_plan(struct tuning *t, struct gemm_plan plan) {
    struct ours state = {plan, t->scratch};
    struct engine engine = ours_engine(t->problem, &state);
    double seconds = timing_quick(&engine, t->buffers, 3, t->hopeless);
    if (seconds <= 0) return seconds;
    printf("    %-30s split %4d  raster %3d  %10.4f ms  %7.2f TFLOP/s  (model %.4f ms)\n", plan.variant->name,
           plan.split_k, plan.raster, seconds * 1e3, gemm_flops(t->problem) / seconds * 1e-12, plan.predicted_s * 1e3);
    fflush(stdout);
    if (t->seconds <= 0 || seconds < t->seconds) t->best = plan, t->seconds = seconds;
    return seconds;
}

static void try_splits(struct tuning *t, const struct gemm_device *d, const struct bench_settings *s, int kernel) {
    static const int splits[] = {0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 512};
    const struct gemm_problem *p = t->problem;
    int last = 0, slower = 0;
    for (size_t i = 0; i < sizeof splits / sizeof *splits && slower < 3; i++) {
        int split = s->split ? s->split : splits[i]; /* 0: the policy's choice */
        struct gemm_plan plan = plan_forced(p, d, s->scratch_bytes, kernel, split, s->raster);
        /* Splits that do not fit come back smaller. */
        if (!plan.variant || (split && plan.split_k != split) || plan.split_k == last) continue;
        if (!s->split && split > 1 && p->k / split < 8 * plan.variant->bk) break;
        double before = t->seconds, seconds = try_plan(t, plan);
        slower = before > 0 && seconds > 1.3 * before && split > t->best.split_k ? slower + 1 : 0;
        last = plan.split_k;
    }
}

static void try_rasters(struct tuning *t) {
    static const int rasters[] = {1, 2, 4, 8, 16, 32};
    struct gemm_plan plan = t->best;
    if (!plan.variant) return;
    int64_t rows = (t->problem->m + plan.variant->bm - 1) / plan.variant->bm;
    int chosen = plan.raster;
    for (size_t i = 0; i < sizeof rasters / sizeof *rasters; i++) {
        plan.raster = rasters[i];
        if (plan.raster <= rows && plan.raster != chosen) try_plan(t, plan);
    }
}

void ours_tune(const struct gemm_problem *p, const struct gemm_device *d, const struct bench_settings *s,
               const struct buffers *buffers, float *scratch, struct gemm_plan *plan) {
    struct tuning all = {.problem = p, .buffers = buffers, .scratch = scratch};
    double planned = try_plan(&all, *plan);
    for (int kernel = 0; kernel < VARIANT_COUNT; kernel++) {
        struct tuning own = {.problem = p, .buffers = buffers, .scratch = scratch, .hopeless = 4 * all.seconds};
        if (s->kernel >= 0 && kernel != s->kernel) continue;
        try_splits(&own, d, s, kernel);
        if (own.seconds > 0 && !s->raster) try_rasters(&own);
        if (own.seconds > 0 && (all.seconds <= 0 || own.seconds < all.seconds))
            all.best = own.best, all.seconds = own.seconds;
    }
    if (all.seconds <= 0 || !all.best.variant) return;
    printf("    best: %s, split %d, raster %d; the plan first above takes %.3f times as long\n", all.best.variant->name,
           all.best.split_k, all.best.raster, planned / all.seconds);
    *plan = all.best;
}
