/*
 * The cost model. A CTA's time is its FMAs over its share of an SM; an SM's is that of the CTAs that fall to it; the
 * whole is the slower of arithmetic and memory, and a split pays for writing and reading its partial sums.
 */
#include "cost.h"

static double larger(double a, double b) { return a > b ? a : b; }
static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

static const double LAUNCH_S = 2.5e-6;      /* start and drain of one kernel */
static const double CTA_START_K = 24;       /* prologue and epilogue of a CTA, in k steps of its main loop */
static const double L2_BYTES_PER_S = 4.5e12; /* partial sums mostly stay in L2 */

int64_t gemm_split_ld(const struct gemm_problem *p) { return ceil_div(p->m, 4) * 4; }

int64_t gemm_split_scratch_bytes(const struct gemm_problem *p, int split_k) {
    return split_k == 1 ? 0 : split_k * p->batch * p->n * gemm_split_ld(p) * 4;
}

int64_t gemm_split_slice(const struct gemm_problem *p, const struct gemm_variant *v, int split_k) {
    return ceil_div(ceil_div(p->k, split_k), v->bk) * v->bk;
}

static double bytes_moved(const struct gemm_problem *p) {
    double c = p->beta == SCALAR_ZERO ? 1 : 2;
    return 4.0 * (double)p->batch * ((double)p->m * p->k + (double)p->k * p->n + c * (double)p->m * p->n);
}

double gemm_floor(const struct gemm_problem *p, const struct gemm_device *d) {
    double flops = 2.0 * (double)p->m * (double)p->n * (double)p->k * (double)p->batch;
    return larger(flops / d->ffma_flops_per_s, bytes_moved(p) / d->dram_bytes_per_s);
}

/* Share of the FFMA peak that a full SM reaches in the main loop. */
static double efficiency(const struct gemm_variant *v) {
    int tile = v->tm * v->tn;
    return tile >= 128 ? 0.86 : tile >= 64 ? 0.80 : 0.66;
}

double gemm_cost(const struct gemm_problem *p, const struct gemm_device *d, const struct gemm_variant *v, int split_k) {
    double slice = (double)gemm_split_slice(p, v, split_k) + CTA_START_K;
    int64_t ctas = ceil_div(p->m, v->bm) * ceil_div(p->n, v->bn) * split_k * p->batch;
    double sm_rate = d->ffma_flops_per_s / d->sm_count * efficiency(v);
    /* An SM that holds fewer warps than it wants hides less latency. */
    int64_t per_sm = ceil_div(ctas, d->sm_count);
    double warps = (double)(per_sm < v->ctas_per_sm ? per_sm : v->ctas_per_sm) * v->threads / 32;
    if (warps < 8) sm_rate *= 0.5 + 0.5 * warps / 8;
    double arithmetic = (double)per_sm * 2.0 * v->bm * v->bn * slice / sm_rate;
    double time = larger(arithmetic, bytes_moved(p) / d->dram_bytes_per_s) + LAUNCH_S;
    if (split_k > 1) time += LAUNCH_S + 2.0 * (double)gemm_split_scratch_bytes(p, split_k) / L2_BYTES_PER_S;
    return time;
}
