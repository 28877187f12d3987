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
    struct gemm_limits limits = {.scratch_bytes = scratch};
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
    double seconds;
};

static double try_plan(struct tuning *t, struct gemm_plan plan) {
    struct ours state = {plan, t->scratch};
    struct engine engine = ours_engine(t->problem, &state);
    double seconds = timing_quick(&engine, t->buffers, 3);
    if (seconds <= 0) return seconds;
    printf("    %-30s split %4d  raster %3d  %10.4f ms  %7.2f TFLOP/s  (model %.4f ms)\n", plan.variant->name,
           plan.split_k, plan.raster, seconds * 1e3, bench_flops(t->problem) / seconds * 1e-12, plan.predicted_s * 1e3);
    fflush(stdout);
    if (t->seconds <= 0 || seconds < t->seconds) t->best = plan, t->seconds = seconds;
    return seconds;
}

void ours_tune(const struct gemm_problem *p, const struct gemm_device *d, const struct bench_settings *s,
               const struct buffers *buffers, float *scratch, struct gemm_plan *plan) {
    static const int splits[] = {0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 512};
    static const int rasters[] = {1, 2, 4, 8, 16, 32};
    struct tuning t = {.problem = p, .buffers = buffers, .scratch = scratch};
    for (int kernel = 0; kernel < VARIANT_COUNT; kernel++) {
        struct tuning own = t; /* the best of this variant */
        int last = 0, slower = 0;
        own.seconds = 0;
        for (size_t i = 0; i < sizeof splits / sizeof *splits; i++) {
            struct gemm_plan one = plan_forced(p, d, s->scratch_bytes, kernel, splits[i], s->raster);
            /* Splits that do not fit come back smaller; 0 is the policy's choice. */
            if (!one.variant || (splits[i] && one.split_k != splits[i]) || one.split_k == last) continue;
            if (splits[i] > 1 && p->k / splits[i] < 8 * one.variant->bk) break;
            double before = own.seconds;
            last = one.split_k;
            double seconds = try_plan(&own, one);
            slower = before > 0 && seconds > 1.3 * before ? slower + 1 : 0;
            if (slower == 3) break;
        }
        if (own.seconds <= 0) continue;
        struct gemm_plan best = own.best;
        int64_t rows = (p->m + best.variant->bm - 1) / best.variant->bm;
        for (size_t i = 0; i < sizeof rasters / sizeof *rasters && !s->raster; i++) {
            if (rasters[i] > rows || rasters[i] == best.raster) continue;
            struct gemm_plan one = best;
            one.raster = rasters[i];
            try_plan(&own, one);
        }
        if (t.seconds <= 0 || own.seconds < t.seconds) t.best = own.best, t.seconds = own.seconds;
    }
    if (t.seconds > 0) *plan = t.best;
}
