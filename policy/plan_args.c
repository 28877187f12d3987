/* The kernels' struct, filled from a problem and its plan. */
#include "plan_args.h"

#include "cost.h"

static int tiles(int64_t extent, int tile) {
    return (int)((extent + tile - 1) / tile);
}

struct gemm_args gemm_plan_args(const struct gemm_problem *p, const struct gemm_plan *plan) {
    const struct gemm_variant *v = plan->variant;
    struct gemm_problem part = *p;
    part.k = plan->k_chunk;
    return (struct gemm_args){
        .lda = p->lda,
        .ldb = p->ldb,
        .ldc = p->ldc,
        .ldd = p->ldd,
        .stride_a = p->stride_a,
        .stride_b = p->stride_b,
        .stride_c = p->stride_c,
        .stride_d = p->stride_d,
        .ld_partial = gemm_split_ld(p),
        .m = (int)p->m,
        .n = (int)p->n,
        .k = (int)p->k,
        .batch = (int)p->batch,
        .splits = plan->split_k,
        .k_per_split = (int)(plan->split_k > 1 ? gemm_split_slice(&part, v, plan->split_k) : p->k),
        .k_chunk = (int)plan->k_chunk,
        .tiles_m = tiles(p->m, v->bm),
        .tiles_n = tiles(p->n, v->bn),
        .raster = plan->raster,
        .ctas = plan->ctas,
        .shared_tiles = plan->shared_tiles,
    };
}
