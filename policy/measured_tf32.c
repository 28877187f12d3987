/*
 * TF32 routes. cuBLAS's rates with TF32 allowed differ by a factor of four with layout and alignment, so what decides
 * is its expected time against that of the plan. The rates are those of cuBLAS 13.1 on an H200.
 */
#include "measured_tf32.h"

#include "cost.h"
#include "profile.h"

static const double LEAST_FLOPS = 1e9;
static const double MARGIN = 1.06; /* by which a plan must be expected to win */
static const double WIDE = 1.5;    /* the same where there is only the model, */
static const double FEW = 1.2;     /* or below LEAST_FLOPS: of 74 batches it was true, by 7 % and more */

/* cuBLAS on an H200. */
static const double ALIGNED = 385e12;       /* FLOP/s */
static const double BOTH_ALONG_MN = 245e12; /* op(A) as it is, op(B) transposed: neither lies along k */
static const double UNALIGNED = 117e12;     /* leading dimensions or addresses that break 16 bytes: an sm_80 kernel */
static const double OUTPUT_UNALIGNED = 130e12; /* C's alone */
static const double LONG_K = 235e12, FEW_LONG_UNALIGNED = 81e12;
static const double BYTES_PER_S = 3.4e12, BYTES_PER_S_BATCHED = 4.0e12;
static const double BYTES_PER_S_ALONG_K = 3.9e12; /* op(A) transposed, op(B) as it is: both lie along k */
static const double LAUNCH_S = 3e-6;
static const double MOST_IDLE = 1.6, MOST_IDLE_ALIGNED = 1.85,
                    MOST_IDLE_ALONG_K = 1.5; /* loss to idle SMs before it does something about it */
static const double ONE_ROUND_S = 4.0e-6, ONE_ROUND_S_PER_K = 9.3e-9;
static const double LEAST_ROUND = 44, MOST_ROUND = 66, MOST_ROUND_K = 1280; /* tiles; a longer K it splits again */
/* Batches of small products that break 16 bytes: a tile's start is worth 120 k, and few hide it (within 10 %). */
static const double SMALL_START_S = 6.0e-6, SMALL_TILE_S = 3.8e-6, SMALL_TILE_S_PER_K = 3.16e-8; /* to an SM */
enum {
    TILE = 128,
    TILE_ALIGNED = 256,
    OUTER_K = 32,
    SMS = 132,
    FEW_TILES = 32,
    SMALL = 320,
    LEAST_SMALL = 97,
    SMALL_K = 544
};

static bool operand_aligned(int64_t ld, int64_t stride, int64_t batch, unsigned align) {
    return ld % 4 == 0 && align == 16 && (batch == 1 || stride % 4 == 0);
}

static double tiles_of(const struct gemm_problem *p, int m, int n) {
    return gemm_round_up((double)p->m / m) * gemm_round_up((double)p->n / n) * (double)p->batch;
}

/* What idle SMs in the last round over the tiles make of the time, up to `most`. */
static double idle(double tiles, double most) {
    const double loss = gemm_round_up(tiles / SMS) * SMS / tiles;
    return loss < most ? loss : most;
}

static double operations_s(const struct gemm_problem *p, double flops) {
    const bool aligned = operand_aligned(p->lda, p->stride_a, p->batch, p->align_a) &&
                         operand_aligned(p->ldb, p->stride_b, p->batch, p->align_b);
    const double tiles = tiles_of(p, TILE, TILE);
    if (gemm_profile_of(p) == PROFILE_huge_k)
        return flops / (aligned ? LONG_K : tiles < FEW_TILES ? FEW_LONG_UNALIGNED : UNALIGNED);
    if (!aligned) return flops / UNALIGNED * idle(tiles, MOST_IDLE);
    if (p->ldc % 4) return flops / OUTPUT_UNALIGNED * idle(tiles, MOST_IDLE);
    if (p->op_a == GEMM_OP_N && p->op_b == GEMM_OP_T) return flops / BOTH_ALONG_MN * idle(tiles, MOST_IDLE);
    const double most = p->op_a == GEMM_OP_T ? MOST_IDLE_ALONG_K : MOST_IDLE_ALIGNED;
    const double upright = idle(tiles_of(p, TILE_ALIGNED, TILE), most);
    const double across = idle(tiles_of(p, TILE, TILE_ALIGNED), most);
    return flops / ALIGNED * (upright < across ? upright : across);
}

/* Aligned products as they lie, of too few tiles to fill the chip but too many for cuBLAS to split: K decides. */
static double one_round_s(const struct gemm_problem *p) {
    const double tiles = tiles_of(p, TILE, TILE);
    const bool aligned = operand_aligned(p->lda, p->stride_a, p->batch, p->align_a) &&
                         operand_aligned(p->ldb, p->stride_b, p->batch, p->align_b) && p->ldc % 4 == 0;
    const bool one = aligned && p->op_a == GEMM_OP_N && p->op_b == GEMM_OP_N && tiles > LEAST_ROUND &&
                     tiles <= MOST_ROUND && p->k <= MOST_ROUND_K;
    return one ? ONE_ROUND_S + ONE_ROUND_S_PER_K * (double)p->k : 0;
}

static bool is_small(int64_t extent) {
    return extent >= LEAST_SMALL && extent <= SMALL;
}

/* Of 97 to 320 rows and columns, as measured; below, cuBLAS has smaller tiles. */
static double small_batch_s(const struct gemm_problem *p) {
    const bool aligned = operand_aligned(p->lda, p->stride_a, p->batch, p->align_a) &&
                         operand_aligned(p->ldb, p->stride_b, p->batch, p->align_b);
    if (aligned || p->batch == 1 || p->k > SMALL_K || !is_small(p->m) || !is_small(p->n)) return 0;
    return SMALL_START_S + tiles_of(p, TILE, TILE) / SMS * (SMALL_TILE_S + SMALL_TILE_S_PER_K * (double)p->k);
}

double cublas_tf32_seconds(const struct gemm_problem *p) {
    const double flops = gemm_flops(p);
    const double bytes = 4.0 * (double)p->batch *
                         ((double)p->m * (double)p->k + (double)p->k * (double)p->n + (double)p->m * (double)p->n);
    const double operations = operations_s(p, flops);
    const bool along_k = p->op_a == GEMM_OP_T && p->op_b == GEMM_OP_N;
    const bool batched = p->batch > 1 && p->k > OUTER_K;
    const double memory = bytes / (batched ? BYTES_PER_S_BATCHED : along_k ? BYTES_PER_S_ALONG_K : BYTES_PER_S);
    const double seconds = LAUNCH_S + (operations > memory ? operations : memory), one = one_round_s(p);
    const double small = small_batch_s(p), longer = one > seconds ? one : seconds;
    return small > longer ? small : longer;
}

bool measured_tf32_small(const struct gemm_problem *p) {
    if (!p->cublas_tf32 || gemm_flops(p) >= LEAST_FLOPS) return false;
    return p->op_a == GEMM_OP_N && p->lda % 4 && !p->pointer_array && small_batch_s(p) > 0;
}

/* With a CTA for each SM; what fewer take the model is too hopeful about. */
static bool small_and_many(const struct gemm_problem *p, const struct gemm_variant *v) {
    return measured_tf32_small(p) && v->family == FAMILY_TF32_BATCH && tiles_of(p, v->bm, v->bn) >= SMS;
}

enum gemm_reason measured_tf32_verdict(const struct gemm_problem *p, const struct gemm_device *device,
                                       const struct gemm_plan *plan) {
    const bool measured = device->arch == 90 && device->wgmma;
    if (p->cublas_tf32 && (!measured || plan->variant->contract != CONTRACT_TF32)) return REASON_tf32_allowed;
    const bool small = small_and_many(p, plan->variant);
    if (gemm_flops(p) < LEAST_FLOPS && !small) return REASON_too_small;
    /* On the user's word: cuBLAS computes in fp32, and that has a floor. */
    if (!p->cublas_tf32) return gemm_floor(p, device) >= WIDE * plan->predicted_s ? REASON_routed : REASON_slower;
    return (small ? FEW : MARGIN) * plan->predicted_s <= cublas_tf32_seconds(p) ? REASON_routed : REASON_slower;
}
