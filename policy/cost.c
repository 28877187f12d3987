/*
 * The cost model. A CTA's time is its FMAs over its share of an SM; an SM's is that of the CTAs that fall to it; the
 * whole is the slower of arithmetic and memory, and a split pays for writing and reading its partial sums.
 */
#include "cost.h"

#include "profile.h"

#include "../kernels/fused.h"
#include "../kernels/simt_rows.h"
#include "../kernels/split.h"
#include "tf32_operands.h"

static double larger(double a, double b) {
    return a > b ? a : b;
}
static int64_t ceil_div(int64_t a, int64_t b) {
    return a / b + (a % b > 0);
}

double gemm_round_up(double x) {
    if (x >= 0x1p53) return x;
    double down = (double)(int64_t)x;
    return down < x ? down + 1 : down;
}

/* a * b, or INT64_MAX where that is too much: a size that no limit allows. */
static int64_t times(int64_t a, int64_t b) {
    int64_t product = 0;
    return __builtin_mul_overflow(a, b, &product) ? INT64_MAX : product;
}

static const double LAUNCH_S = 2.5e-6;       /* start and drain of one kernel */
static const double EARLY_LAUNCH_S = 1.3e-6; /* of one that is set up while another drains */
static const double CTA_START_K = 26;        /* prologue and epilogue of a CTA, in k steps of its main loop */
static const double CTA_START_K_SINGLE = 60; /* the same where results are stored one by one */
static const double CTA_START_K_SLICED = 40; /* and by all warps of the CTA */
static const double STREAM_START_K = 5;      /* the same where a CTA's stores overlap another's tile */
static const double SKINNY_START_K = 20;
static const double PASSES_S = 14e-6; /* the kernels before the product, and its start */
static const double ONE_PASSES_S = 24e-6, ONE_PASSES_S_BANDS = 16e-6; /* before and behind one product of planes, */
static const double ONE_BANDWIDTH = 0.78, ONE_BANDWIDTH_BANDS = 1.27; /* their share of the chip's: bands read twice, */
static const double ONE_BANDWIDTH_STORES = 0.55; /* the second time from a cache; and the product's where K is short */
enum { ONE_CACHED_K = 5120 };
static const double PACK_S = 2e-6;      /* one that overlaps */
static const double TF32_START_K = 120; /* as CTA_START_K, where the loop is faster and results are 16-byte stores */
static const double TF32_START_K_SINGLE = 260;   /* or single ones */
static const double TF32_START_K_IN_TURNS = 110; /* or where another tile is multiplied meanwhile */
static const double SPLIT_START_K_SINGLE = 600;  /* the same of split operands */
static const double ONE_START_K = 350,
                    ONE_START_K_SINGLE = 600; /* of one product of planes: its loop is faster still */
static const double TF32_MMA_START_K = 110;
static const double TF32_KEPT_START_K = 218, TF32_KEPT_RATE = 3.5;           /* as measured on the H200 */
static const double TF32_BATCH_START_K = 160, TF32_BATCH_START_K_TALL = 105; /* of tiles of 136, or 264 rows */
static const double LOOKS_S = 8e-6; /* of the two kernels before a product that splits in registers */
static const double FUSED_START_K = 120;
static const double PACK_BANDWIDTH = 0.68;          /* of the chip's */
static const double TF32_BANDWIDTH = 0.84;          /* of the chip's, where bytes decide and large tiles are full */
static const double TF32_BANDWIDTH_IN_TURNS = 0.82; /* or where most are stores, under which tiles are multiplied, */
static const double TF32_BANDWIDTH_IN_TURNS_BATCHED = 0.85; /* into matrices of their own */
static const double TF32_BANDWIDTH_SINGLE = 0.38; /* or where results are stored one by one, and K is short: */
enum { TF32_SHORT_K = 384 };
static const double TF32_BANDWIDTH_OUTER = 0.87, TF32_BANDWIDTH_OUTER_SINGLE = 0.48; /* or of CTAs for a tile each */
static const double TF32_BANDWIDTH_SMALL = 0.80, TF32_BANDWIDTH_SMALLEST = 0.76, TF32_BANDWIDTH_NOT_FULL = 0.78;
static const double FITTED_WARP = 2.0 / 3;      /* of one that the main loop keeps busier */
static const double L2_BYTES_PER_S = 4.5e12;    /* partial sums mostly stay in L2 */
static const double SHARE_BYTES_PER_S = 2.6e12; /* the same where all CTAs write theirs at once */
static const double FFMA_UNHIDDEN = 0.02; /* of the shorter of arithmetic and memory, that the longer does not hide */
static const double ROWS_S = 4e-6, ROWS_BANDWIDTH = 0.88;        /* of a pass that brings operands, and of the chip's */
static const double ROWS_RATE = 0.855, ROWS_RATE_SINGLE = 0.842; /* of the product behind it, where D is not aligned */
/* What others lose where they turn an operand round, or both, and their rates do not say. */
static const double ROWS_GAIN = 1.02, ROWS_GAIN_BOTH = 1.035;
static const double SINGLE_COPIES = 0.95; /* of the rate, where an operand across K is copied by single floats */

int64_t gemm_split_ld(const struct gemm_problem *p) {
    return times(ceil_div(p->m, 4), 4);
}

/* Of one partial C. */
static int64_t partial_bytes(const struct gemm_problem *p) {
    return times(times(p->n, gemm_split_ld(p)), times(p->batch, 4));
}

int64_t gemm_split_scratch_bytes(const struct gemm_problem *p, const struct gemm_variant *v, int split_k) {
    const int floats = v->family == FAMILY_FUSED ? 2 : 1; /* to a partial sum: fp64's, should it come to that */
    return split_k == 1 ? 0 : times(times(partial_bytes(p), split_k), floats);
}

/* Of operands that are brought to rows along m or n. */
static int64_t rows_bytes(const struct gemm_problem *p) {
    const struct simt_operand a = {p->m, p->stride_a || p->pointer_array ? p->batch : 1, gemm_loader_a(p)};
    const struct simt_operand b = {p->n, p->stride_b || p->pointer_array ? p->batch : 1, gemm_loader_b(p)};
    return simt_rows_bytes(a, b, p->k);
}

int64_t gemm_scratch_bytes(const struct gemm_problem *p, const struct gemm_variant *v, int split_k) {
    int64_t sums = gemm_split_scratch_bytes(p, v, split_k), total = 0;
    if (gemm_family_tf32_copied(v->family)) {
        int64_t operands = tf32_operand_bytes(p, v);
        return __builtin_add_overflow(operands, sums, &total) ? INT64_MAX : total;
    }
    if (v->family == FAMILY_SIMT_ROWS) {
        int64_t operands = rows_bytes(p);
        return __builtin_add_overflow(operands, sums, &total) ? INT64_MAX : total;
    }
    if (v->family == FAMILY_TF32_PACKED) {
        int64_t operands = tf32_fragments_bytes(p);
        return __builtin_add_overflow(operands, sums, &total) ? INT64_MAX : total;
    }
    if (v->family == FAMILY_FP16X1_MMA) {
        int64_t operands = fp16_operand_bytes(p);
        return __builtin_add_overflow(operands, sums, &total) ? INT64_MAX : total;
    }
    if (v->family == FAMILY_FUSED) {
        /* Sums that C is added to wait there until it is known that they will do. */
        if (split_k == 1 && p->beta != SCALAR_ZERO) sums = partial_bytes(p);
        return __builtin_add_overflow(FUSED_SCRATCH_BYTES, sums, &total) ? INT64_MAX : total;
    }
    const bool looks = gemm_family_split_mma(v->family), one = v->family == FAMILY_FP16X1;
    if (!gemm_family_splits(v->family) && !looks) return sums;
    double rows = (double)p->m + (double)p->n + SPLIT_TILE_M + SPLIT_TILE_N;
    if (rows > INT32_MAX || rows * ((double)p->k + SPLIT_UNIT_K) * (double)p->batch > 0x1p50) return INT64_MAX;
    const int64_t operands = one ? tf32_operand_bytes(p, v) : 0; /* of the second road */
    if (operands == INT64_MAX) return INT64_MAX;
    int64_t notes = (looks ? split_looks_bytes : split_scratch_bytes)((int)p->m, (int)p->n, (int)p->k, (int)p->batch);
    if (one) notes = split_one_scratch_bytes((int)p->m, (int)p->n, (int)p->k, (int)p->batch, operands);
    return __builtin_add_overflow(notes, sums, &total) ? INT64_MAX : total;
}

int64_t gemm_split_slice(const struct gemm_problem *p, const struct gemm_variant *v, int split_k) {
    return times(ceil_div(ceil_div(p->k, split_k), v->bk), v->bk);
}

static double bytes_moved(const struct gemm_problem *p) {
    double c = p->beta == SCALAR_ZERO ? 1 : 2;
    return 4.0 * (double)p->batch *
           ((double)p->m * (double)p->k + (double)p->k * (double)p->n + c * (double)p->m * (double)p->n);
}

double gemm_flops(const struct gemm_problem *p) {
    return 2.0 * (double)p->m * (double)p->n * (double)p->k * (double)p->batch;
}

double gemm_floor(const struct gemm_problem *p, const struct gemm_device *d) {
    return larger(gemm_flops(p) / d->ffma_flops_per_s, bytes_moved(p) / d->dram_bytes_per_s);
}

/*
 * What is left of the rate where rows of 128 bytes, as the copy engine reads them, straddle lines, which makes them
 * twice the requests, or come in more and smaller boxes. `direct`: B is read as it lies too.
 */
static double tf32_lines(const struct gemm_problem *p, bool direct) {
    const bool a_direct = p->lda % 4 == 0 && p->align_a == 16, straddles = p->lda % 32;
    if (p->op_a == GEMM_OP_N) return !a_direct || (p->m % 32 == 0 && !straddles) ? 1 : direct ? 0.75 : 0.85;
    if (direct && (straddles || p->ldb % 32)) return 0.6;
    if (a_direct && straddles) return 0.8;
    return a_direct && p->m % 32 && p->m % 4 == 0 ? 0.85 : 1;
}

/*
 * The larger the tile, the fewer bytes through shared memory for each product; an A along m goes through registers, in
 * more and smaller copies where its rows are no whole boxes of 32.
 */
static double tf32_wgmma_efficiency(const struct gemm_problem *p, const struct gemm_variant *v) {
    const int tile = v->bm * v->bn;
    const bool direct = tf32_operand_bytes(p, v) == 0, along_k = p->op_a == GEMM_OP_T;
    double rate = 6.1;
    if (!direct && gemm_profile_of(p) == PROFILE_huge_k) rate = 5.5;
    if (tile < 256 * 128) rate = 5.3;
    if (tile < 128 * 192) rate = direct && along_k ? 5.5 : tile > 128 * 128 ? 4.9 : 4.5;
    if (tile < 128 * 128) rate = 3.37;
    return rate * (tf32_shifted_a(p, v) ? 0.93 : tf32_lines(p, direct));
}

static bool read_in_quads(const struct gemm_problem *p) {
    return (p->lda | p->ldb) % 4 == 0 && p->align_a == 16 && p->align_b == 16;
}

/*
 * TF32 by mma.sync. The chips' rates over that of FFMA: 8 on the A100, as much on Ada's consumer chips, by their data
 * sheets; 5 on the H200, measured. There an instruction takes six issue slots and each other one its own, which leaves
 * large tiles little more than half of it, and less where rows break 16 bytes: copies and sectors too many.
 */
static double tf32_mma_efficiency(const struct gemm_problem *p, const struct gemm_variant *v,
                                  const struct gemm_device *d) {
    const double rate = (d->arch == 80 ? 8 : d->arch == 90 ? 5 : 1) * (read_in_quads(p) ? 1 : 0.83);
    const int tile = v->bm * v->bn;
    return rate * (tile >= 128 * 256 ? 0.52 : tile >= 128 * 128 ? 0.44 : tile >= 64 * 128 ? 0.32 : 0.26);
}

/* The same of small odd products in batches, over the rate of FFMA as measured on the H200. */
static double tf32_batch_efficiency(const struct gemm_variant *v, const struct gemm_device *d) {
    const double rate = d->arch == 80 ? 8.0 / 5 : d->arch == 90 ? 1 : 1.0 / 5;
    return rate * (v->bm > 136 ? 1.85 : v->bn > 64 ? 2.25 : 1.4);
}

/* The same of packed operands, which leave little but the instructions, whatever the layout. */
static double tf32_packed_efficiency(const struct gemm_variant *v, const struct gemm_device *d) {
    const int tile = v->bm * v->bn;
    const double rate = d->arch == 80 ? 8 : d->arch == 90 ? 5 : 1;
    return rate * (tile >= 128 * 256 ? 0.75 : tile >= 128 * 128 ? 0.70 : 0.50);
}

/*
 * Split products by mma.sync, over the rate of FFMA. On the H200 measured; there an instruction of the tensor cores
 * holds up all others. The A100's figures assume no better: per 16 k of a warp's tile 96 or 48 of them at 8 clocks by
 * its data sheet, and the 430 or 367 others at the 1.5 clocks that they take on the H200.
 */
static double split_mma_efficiency(const struct gemm_variant *v, const struct gemm_device *d) {
    const bool three = v->family == FAMILY_FP16X3_MMA;
    return d->arch == 80 ? (three ? 2.2 : 1.45) : d->arch == 90 ? (three ? 1.0 : 0.8) : 0.5;
}

/*
 * As measured on the H200. Up to FUSED_FINE_K sums are cut more often; copies of 4 bytes are four times as many; below
 * FUSED_LEAST_K all is multiplied in fp64.
 */
static double fused_efficiency(const struct gemm_problem *p) {
    if (p->k < FUSED_LEAST_K) return 0.5;
    return read_in_quads(p) ? (p->k <= FUSED_FINE_K ? 1.25 : 1.6) : 1.0;
}

/* Thread tiles that are not all quads: more instructions beside the FMAs, whose registers' banks collide more often. */
static double fitted_efficiency(const struct gemm_variant *v, bool single) {
    return v->tm * v->tn > 128 ? (single ? 0.66 : 0.77) : single ? 0.73 : 0.81;
}

static bool long_m(const struct gemm_variant *v) {
    return v->bm > v->bn;
}

/*
 * As measured on the H200: mostly the bandwidth, of which a lane that turns rows along k, and copies of single floats,
 * leave less. The more so the wider the short side.
 */
static double skinny_efficiency(const struct gemm_problem *p, const struct gemm_variant *v,
                                const struct gemm_device *d) {
    const enum gemm_loader loader = long_m(v) ? gemm_loader_a(p) : gemm_loader_b(p);
    const int64_t ld = long_m(v) ? p->lda : p->ldb;
    const bool along_k = loader == LOAD_K4, single = ld % 4 || (long_m(v) ? p->align_a : p->align_b) < 16;
    const int products = long_m(v) ? v->bn : v->bm; /* of each float that is read */
    const double read = 0.5 * products * d->dram_bytes_per_s / d->ffma_flops_per_s * (along_k ? 0.78 : 0.87);
    const double most = along_k ? 0.39 : 0.50;
    return (read < most ? read : most) * (!single ? 1 : along_k ? 0.85 : 0.74);
}

/* Of a skinny kernel's CTAs an SM takes two, where it has the shared memory. */
static int skinny_ctas(const struct gemm_problem *p, const struct gemm_variant *v, const struct gemm_device *d) {
    return d->smem_per_sm / 2 > gemm_variant_shared_bytes(v, gemm_loader_a(p), gemm_loader_b(p)) ? 2 : 1;
}

/* Tiles at the edge of C, of fewer rows, take that much less time (simt_rows_works.cuh). */
static double rows_efficiency(const struct gemm_problem *p, const struct gemm_variant *v) {
    const int64_t groups = ceil_div(p->m, SIMT_ROWS_GROUP), all = ceil_div(p->m, v->bm) * SIMT_ROWS_FULL;
    const int turned = (gemm_loader_a(p) == LOAD_K4) + (gemm_loader_b(p) == LOAD_K4);
    const double rate = (p->m | p->ldd) % 4 ? ROWS_RATE_SINGLE : ROWS_RATE;
    const double gain = turned == 2 ? ROWS_GAIN_BOTH : turned ? ROWS_GAIN : 1;
    return rate * gain * (double)all / (double)(groups > SIMT_ROWS_EDGE ? groups : SIMT_ROWS_EDGE);
}

/* What a full SM reaches in the main loop, over the FFMA peak, as measured on the H200. */
static double efficiency(const struct gemm_problem *p, const struct gemm_variant *v, const struct gemm_device *d) {
    if (v->family == FAMILY_TF32_MMA) return tf32_mma_efficiency(p, v, d);
    if (v->family == FAMILY_TF32_BATCH) return tf32_batch_efficiency(v, d);
    if (v->family == FAMILY_TF32_KEPT) return TF32_KEPT_RATE;
    if (v->family == FAMILY_TF32_PACKED) return tf32_packed_efficiency(v, d);
    if (v->family == FAMILY_FP16X1_MMA) return 2 * tf32_packed_efficiency(v, d);
    if (gemm_family_split_mma(v->family)) return split_mma_efficiency(v, d);
    if (v->family == FAMILY_FP16X3) return 3.3;
    if (v->family == FAMILY_BF16X6) return 2.05;
    if (v->family == FAMILY_FP16X1) return 11.3;
    if (v->family == FAMILY_FUSED) return fused_efficiency(p);
    if (gemm_family_tf32_copied(v->family)) return tf32_wgmma_efficiency(p, v);
    if (v->family == FAMILY_STREAM) return v->threads < 256 ? 0.55 : 0.78;
    if (v->family == FAMILY_SKINNY) return skinny_efficiency(p, v, d);
    if (v->family == FAMILY_SIMT_ROWS) return rows_efficiency(p, v);
    const int tile = v->tm * v->tn;
    const bool single = gemm_loader_a(p) == LOAD_MN4 || gemm_loader_b(p) == LOAD_MN4; /* copies */
    const bool both_along_k = gemm_loader_a(p) == LOAD_K4 && gemm_loader_b(p) == LOAD_K4;
    if (gemm_variant_fitted(v)) return fitted_efficiency(v, single);
    if (gemm_variant_slices_store(v)) return single ? 0.81 : both_along_k ? 0.80 : 0.83;
    if (gemm_variant_slices(v) > 1) return single ? 0.62 : both_along_k ? 0.76 : 0.85;
    double rate = tile >= 64 ? 0.80 : v->bn >= 64 ? 0.70 : 0.68;
    if (tile >= 128) rate = v->ctas_per_sm == 2 ? 0.83 : v->ctas_per_sm == 1 ? 0.82 : 0.815;
    /* Small tiles wait for shared memory: every row of such a copy is a write of its own there. */
    if (tile < 64 && both_along_k) rate *= v->bn >= 64 ? 0.90 : 0.78;
    return single ? rate * SINGLE_COPIES : rate;
}

/* Both operands are read twice and written once as planes, or looked at once. */
static double passes(const struct gemm_problem *p, const struct gemm_device *d, const struct gemm_variant *v) {
    const double elements = ((double)p->m + (double)p->n) * (double)p->k * (double)p->batch;
    if (gemm_family_tf32_copied(v->family)) {
        const double packed = (double)tf32_operand_bytes(p, v);
        return packed > 0 ? PACK_S + 2 * packed / (PACK_BANDWIDTH * d->dram_bytes_per_s) : 0;
    }
    if (v->family == FAMILY_TF32_PACKED)
        return LAUNCH_S + 2 * (double)tf32_fragments_bytes(p) / (PACK_BANDWIDTH * d->dram_bytes_per_s);
    if (v->family == FAMILY_FP16X1_MMA) /* of fp16 half as many bytes are written, but all is read twice */
        return LOOKS_S + LAUNCH_S + 2.5 * (double)tf32_fragments_bytes(p) / (PACK_BANDWIDTH * d->dram_bytes_per_s);
    if (v->family == FAMILY_SIMT_ROWS) {
        const double bytes = (double)rows_bytes(p);
        return bytes > 0 ? ROWS_S + 2 * bytes / (ROWS_BANDWIDTH * d->dram_bytes_per_s) : 0;
    }
    if (v->family == FAMILY_FUSED) return LAUNCH_S; /* the look at the notes, after the product */
    const bool looks = gemm_family_split_mma(v->family);
    if (!gemm_family_splits(v->family) && !looks) return 0;
    if (looks) return LOOKS_S + 4 * elements / (0.75 * d->dram_bytes_per_s);
    if (v->family == FAMILY_FP16X1) {
        const bool cached = p->k <= ONE_CACHED_K; /* a band of it, until it is read again */
        const bool bands = cached && split_one_by_bands((int)p->m, (int)p->n, (int)p->k, (int)p->batch);
        const double share = bands ? ONE_BANDWIDTH_BANDS : ONE_BANDWIDTH;
        return (bands ? ONE_PASSES_S_BANDS : ONE_PASSES_S) + 10 * elements / (share * d->dram_bytes_per_s);
    }
    const double bytes = 8 + (v->family == FAMILY_FP16X3 ? 4 : 6);
    return PASSES_S + bytes * elements / (0.75 * d->dram_bytes_per_s);
}

/* In k steps; a CTA that has an SM to itself and a small tile is as long about it as one with a large tile. */
static double start_k(const struct gemm_problem *p, const struct gemm_variant *v) {
    if (v->family == FAMILY_STREAM || v->family == FAMILY_TF32_OUTER) return STREAM_START_K;
    if (v->family == FAMILY_SKINNY) return SKINNY_START_K;
    if (v->family == FAMILY_TF32_KEPT) return TF32_KEPT_START_K;
    if (v->family == FAMILY_TF32_BATCH) return v->bm > 136 ? TF32_BATCH_START_K_TALL : TF32_BATCH_START_K;
    if (v->family == FAMILY_TF32_MMA || gemm_family_packed(v->family) || gemm_family_split_mma(v->family))
        return TF32_MMA_START_K;
    if (v->family == FAMILY_FP16X1) return (p->m | p->ldd) % 4 ? ONE_START_K_SINGLE : ONE_START_K;
    if (gemm_family_splits(v->family)) return (p->m | p->ldd) % 4 ? SPLIT_START_K_SINGLE : CTA_START_K;
    if (v->family == FAMILY_FUSED) return FUSED_START_K;
    const bool single = (p->m | p->ldd) % 4 || gemm_variant_fitted(v);
    if (v->family == FAMILY_TF32_WGMMA && v->bm == v->bn) return TF32_START_K_IN_TURNS;
    if (v->family == FAMILY_TF32_WGMMA) return single ? TF32_START_K_SINGLE : TF32_START_K;
    const double start = !single ? CTA_START_K : gemm_variant_slices_store(v) ? CTA_START_K_SLICED : CTA_START_K_SINGLE;
    return gemm_variant_slices(v) > 1 ? start * (256.0 * 128) / (v->bm * v->bn) : start;
}

/* Share of the chip's bandwidth that a kernel reaches. Of TF32's small tiles one reads again what another has read. */
static double bandwidth(const struct gemm_problem *p, const struct gemm_variant *v) {
    if (v->family == FAMILY_FP16X1) return ONE_BANDWIDTH_STORES;
    if (v->family == FAMILY_TF32_OUTER) return (p->m | p->ldd) % 4 ? TF32_BANDWIDTH_OUTER_SINGLE : TF32_BANDWIDTH_OUTER;
    if (v->family != FAMILY_TF32_WGMMA) return 1;
    if (p->k <= TF32_SHORT_K && (p->m | p->ldd) % 4) return TF32_BANDWIDTH_SINGLE;
    if (v->bm * v->bn < 128 * 128) return TF32_BANDWIDTH_SMALLEST;
    if (v->bm == v->bn && p->k <= 128) return p->batch > 1 ? TF32_BANDWIDTH_IN_TURNS_BATCHED : TF32_BANDWIDTH_IN_TURNS;
    if (v->bm * v->bn < 256 * 128) return TF32_BANDWIDTH_SMALL;
    return p->m < v->bm || p->n < v->bn ? TF32_BANDWIDTH_NOT_FULL : TF32_BANDWIDTH;
}

struct gemm_cost_terms gemm_cost_prepare(const struct gemm_problem *p, const struct gemm_device *d,
                                         const struct gemm_variant *v) {
    double plane = (double)p->batch * (double)p->n * (double)p->m * 4; /* bytes of one partial C */
    const bool skinny = v->family == FAMILY_SKINNY;
    const int ctas_per_sm = skinny ? skinny_ctas(p, v, d) : v->ctas_per_sm;
    return (struct gemm_cost_terms){
        .ctas = (double)ceil_div(p->m, v->bm) * (double)ceil_div(p->n, v->bn) * (double)p->batch,
        .sm_count = d->sm_count,
        .k = (double)p->k,
        .step_s = 2.0 * v->bm * v->bn * d->sm_count / (d->ffma_flops_per_s * efficiency(p, v, d)),
        .memory_s = bytes_moved(p) / d->dram_bytes_per_s / bandwidth(p, v),
        .split_s = 2.0 * plane / L2_BYTES_PER_S,
        .share_s = 2.0 * 4 * v->bm * v->bn / SHARE_BYTES_PER_S,
        .start_k = start_k(p, v),
        .passes_s = passes(p, d, v),
        .launch_s = gemm_family_tf32_copied(v->family) ? EARLY_LAUNCH_S : LAUNCH_S,
        .ctas_per_sm = ctas_per_sm,
        .warps = skinny ? 8.0 / ctas_per_sm /* as many as there are are enough to read */
                        : v->threads / 32.0 * (gemm_variant_fitted(v) && v->ctas_per_sm > 1 ? FITTED_WARP : 1),
        .unhidden = v->contract == CONTRACT_IEEE ? FFMA_UNHIDDEN : 0,
    };
}

/* What comes on top of the arithmetic. */
static double whole(const struct gemm_cost_terms *t, int split_k, double arithmetic) {
    double time = larger(arithmetic, t->memory_s) + t->launch_s + t->passes_s;
    time += t->unhidden * (arithmetic < t->memory_s ? arithmetic : t->memory_s);
    return split_k > 1 ? time + t->launch_s + split_k * t->split_s : time;
}

/*
 * CTAs that an SM works off, in units of one CTA at the full rate. It takes as many at a time as it holds; eight warps
 * keep it busy, and fewer, in the last round, run no faster than they would beside others.
 */
static double rounds(const struct gemm_cost_terms *t, double ctas) {
    double slots = (double)t->ctas_per_sm * t->sm_count;
    double full = gemm_round_up(ctas / slots) - 1;
    double last = gemm_round_up((ctas - full * slots) / t->sm_count);
    double busy = last * t->warps / 8;
    return full * t->ctas_per_sm + (busy < 1 ? last / busy : last);
}

double gemm_cost_of_split(const struct gemm_cost_terms *t, int split_k, int64_t slice) {
    return whole(t, split_k, rounds(t, t->ctas * split_k) * ((double)slice + t->start_k) * t->step_s);
}

double gemm_cost_of_sharing(const struct gemm_cost_terms *t, int ctas, int shared_tiles, bool parts) {
    double rounds = (t->ctas - shared_tiles) / ctas;
    double tail = parts ? t->k / (double)(ctas / shared_tiles) : shared_tiles * t->k / ctas;
    double steps = rounds * (t->k + t->start_k) + tail + t->start_k;
    return whole(t, 1, steps * ctas / t->sm_count * t->step_s) + t->launch_s +
           (parts ? ctas : ctas + shared_tiles) * t->share_s;
}

double gemm_cost_bound(const struct gemm_cost_terms *t, int split_k) {
    return whole(t, split_k, t->ctas / t->sm_count * (t->k + split_k * t->start_k) * t->step_s);
}

double gemm_cost(const struct gemm_problem *p, const struct gemm_device *d, const struct gemm_variant *v, int split_k) {
    struct gemm_cost_terms terms = gemm_cost_prepare(p, d, v);
    return gemm_cost_of_split(&terms, split_k, gemm_split_slice(p, v, split_k));
}
