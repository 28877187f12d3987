/*
 * A million random products on random chips, under random limits and toggles. No plan may name a kernel whose
 * conditions do not hold: they are written down here once more, from what the kernels do (kernels/launch.c, tile.cuh,
 * sgemm_simt.cuh), in arithmetic that cannot overflow. And no plan may depend on when, in which order or by which
 * thread it is made.
 *
 *   test_plan_property [seed [count]]
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../../kernels/split.h"
#include "fixtures.h"

#include "cost.h"
#include "measured.h"

enum { DEFAULT_COUNT = 1000000, BLOCK = 10000, SETTINGS = 64, THREADS = 4, TIME_BOX_S = 20, LEAST_COUNT = 50000 };

static uint64_t seed = 20240607;
static int wanted = DEFAULT_COUNT;

typedef __int128 wide;

struct question {
    struct gemm_problem problem;
    struct gemm_device device;
    struct gemm_limits limits;
    int settings;
};

static struct toggles settings[SETTINGS];
static struct question questions[BLOCK];
static struct gemm_plan answers[BLOCK];

/* What was seen, so that the test can tell that it tested something. */
static struct {
    int64_t asked, routed, split, shared, forced, reasons[REASON_COUNT], variants[VARIANT_COUNT], loaders[LOADER_COUNT];
    int64_t wide_only, scratch_bound, shuffled, threaded;
} seen;

/* splitmix64 */
static uint64_t state;
static uint64_t next(void) {
    uint64_t z = state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}
static int64_t below(int64_t bound) {
    return (int64_t)(next() % (uint64_t)bound);
}
static bool one_in(int64_t n) {
    return below(n) == 0;
}

/* Any magnitude alike, up to 2^bits. */
static int64_t any_size(int bits) {
    return below(INT64_C(1) << (1 + below(bits)));
}

static int64_t extent(void) {
    static const int64_t edges[] = {0,          1,          2,         INT32_MAX - 4097,       INT32_MAX - 4096,
                                    INT32_MAX,  UINT32_MAX, INT64_MAX, INT64_C(1) << 31,       INT64_C(1) << 40,
                                    65535,      65536,      65537,     INT64_C(1) << 24,       INT64_MAX - 1,
                                    2147479552, 16384,      32768,     (INT64_C(1) << 32) - 8, INT64_C(1) << 62};
    if (one_in(150)) return edges[below(sizeof edges / sizeof *edges)];
    int64_t size = any_size(one_in(20) ? 32 : 14);
    return one_in(3) ? size : (size + 15) / 16 * 16;
}

static int64_t leading_dimension(int64_t rows) {
    if (rows < 1) rows = 1;
    if (one_in(3) || rows > INT64_C(1) << 61) return rows;
    int64_t ld = rows + any_size(one_in(10) ? 61 : 20);
    return one_in(2) ? ld : (ld + 3) / 4 * 4;
}

static int64_t stride(void) {
    if (one_in(200)) return one_in(2) ? INT64_MIN : INT64_MAX;
    return (one_in(8) ? -1 : 1) * any_size(one_in(100) ? 60 : 30);
}

static struct gemm_problem any_problem(void) {
    struct gemm_problem p = {0};
    p.op_a = (enum gemm_op)below(2), p.op_b = (enum gemm_op)below(2);
    p.m = extent(), p.n = extent(), p.k = one_in(4) ? any_size(24) : extent();
    p.batch = one_in(3) ? extent() : 1;
    if (one_in(20)) p.n = p.k = p.m;
    const bool short_k = one_in(15);
    if (short_k) p.k = 1 + below(32);
    p.lda = leading_dimension(p.op_a == GEMM_OP_N ? p.m : p.k);
    p.ldb = leading_dimension(p.op_b == GEMM_OP_N ? p.k : p.n);
    p.ldc = leading_dimension(p.m);
    p.ldd = one_in(2) ? p.ldc : leading_dimension(p.m);
    p.stride_a = stride(), p.stride_b = stride(), p.stride_c = stride(), p.stride_d = stride();
    p.align_a = one_in(3) ? 4u << below(3) : 16, p.align_b = one_in(3) ? 4u << below(3) : 16;
    p.alpha = (enum gemm_scalar)below(4), p.beta = (enum gemm_scalar)below(4);
    p.contract = (enum gemm_contract)(one_in(2) ? below(3) : CONTRACT_FP32);
    if (short_k || one_in(10)) p.contract = CONTRACT_TF32;
    p.cublas_tf32 = p.contract == CONTRACT_TF32 && !one_in(3);
    return p;
}

static struct gemm_device any_device(void) {
    static const int archs[] = {80, 89, 90, 90, 89, 80, 75, 86, 87, 100, 120, 0, INT32_MAX, INT32_MIN};
    struct gemm_device d = device_of_arch(archs[below(one_in(4) ? 14 : 6)]);
    d.wgmma = d.arch == 90 && !one_in(3);
    if (one_in(4)) d.sm_count = 1 + (int)any_size(8);
    if (one_in(50)) d.sm_count = one_in(2) ? INT32_MAX : (int)below(2) - 1;
    if (one_in(10)) d.smem_per_block = (int)any_size(18);
    if (one_in(50)) d.ffma_flops_per_s *= (double)below(3) * 1e-9;
    if (one_in(50)) d.dram_bytes_per_s *= (double)below(3) * 1e9;
    return d;
}

static struct gemm_limits any_limits(void) {
    struct gemm_limits limits = {.scratch_bytes = INT64_C(256) << 20};
    if (one_in(2)) limits.scratch_bytes = any_size(36);
    if (one_in(20)) limits.scratch_bytes = one_in(2) ? INT64_MAX : -1;
    limits.planes_bytes = one_in(2) ? limits.scratch_bytes : any_size(40);
    return limits;
}

static struct toggles any_settings(void) {
    struct toggles t = default_toggles();
    t.enabled = !one_in(30);
    if (one_in(8)) t.profiles = (unsigned)below(1 << PROFILE_COUNT);
    if (one_in(2)) t.kernel = (int)below(VARIANT_COUNT);
    if (one_in(3)) t.split_k = (int)below(1025);
    if (one_in(3)) t.raster = (int)below(1025);
    t.precision = (enum toggle_precision)below(3);
    return t;
}

/* --- the conditions, once more --- */

static wide up(wide a, wide b) {
    return (a + b - 1) / b;
}

/* 16-byte copies: of whole vectors, from addresses that are all multiples of 16 bytes. */
static bool vectors(int64_t side, int64_t ld, int64_t stride, int64_t batch, unsigned align) {
    return align % 16 == 0 && side % 4 == 0 && (wide)ld * 4 % 16 == 0 && (batch == 1 || (wide)stride * 4 % 16 == 0);
}

static enum gemm_loader expected_loader(bool along_k, bool vector) {
    return along_k ? LOAD_K4 : vector ? LOAD_MN16 : LOAD_MN4;
}

static enum gemm_loader loader_a(const struct gemm_problem *p) {
    return expected_loader(p->op_a == GEMM_OP_T, vectors(p->m, p->lda, p->stride_a, p->batch, p->align_a));
}

static enum gemm_loader loader_b(const struct gemm_problem *p) {
    return expected_loader(p->op_b == GEMM_OP_N, vectors(p->n, p->ldb, p->stride_b, p->batch, p->align_b));
}

/* The furthest element of one tile from its first. */
static wide tile_reach(enum gemm_loader loader, wide side, wide bk, wide ld) {
    return loader == LOAD_K4 ? (side - 1) * ld + bk - 1 : (bk - 1) * ld + side - 1;
}

static wide matrix_reach(wide rows, wide columns, wide ld, wide batch, wide stride) {
    return (columns - 1) * ld + rows - 1 + (batch - 1) * (stride < 0 ? -stride : stride);
}

static bool addresses_fit(const struct gemm_problem *p, wide most) {
    bool ta = p->op_a == GEMM_OP_T, tb = p->op_b == GEMM_OP_T;
    return matrix_reach(ta ? p->k : p->m, ta ? p->m : p->k, p->lda, p->batch, p->stride_a) <= most &&
           matrix_reach(tb ? p->n : p->k, tb ? p->k : p->n, p->ldb, p->batch, p->stride_b) <= most &&
           matrix_reach(p->m, p->n, p->ldc, p->batch, p->stride_c) <= most &&
           matrix_reach(p->m, p->n, p->ldd, p->batch, p->stride_d) <= most;
}

/* Floats in a row of an operand tile: 16-byte copies want a power of two. */
static int row_of_tile(int extent, enum gemm_loader loader) {
    if (loader == LOAD_K4) return extent + 4;
    for (int power = 32;; power *= 2)
        if (power >= extent) return power;
}

/* A tile's rows are copied in whole rounds of all threads, and each copy's offset noted, four of a thread at a time. */
static wide fitted_operand_bytes(const struct gemm_variant *v, int extent, enum gemm_loader loader) {
    const int a_round = v->threads / v->bk, along_k = loader == LOAD_K4;
    int rows = along_k ? 0 : row_of_tile(extent, loader);
    while (rows < extent) rows += a_round;
    const int copies = rows * v->bk / (loader == LOAD_MN16 ? 4 : 1), quads = (copies / v->threads + 3) / 4;
    return (wide)v->stages * v->bk * (rows + 4 * along_k) * 4 + (wide)quads * v->threads * 16;
}

/* Of tiles that fit: slices are added where stages and offsets were, and strips of padded columns follow them. */
static wide fitted_bytes(const struct gemm_variant *v, enum gemm_loader a, enum gemm_loader b) {
    const wide loop = fitted_operand_bytes(v, v->bm, a) + fitted_operand_bytes(v, v->bn, b);
    const wide warps = v->bm * v->bn / (v->tm * v->tn) / 32, slices = v->threads / 32 / warps;
    const wide column = v->tm == 13 ? 64 + 16 : 32 + 16,
               after = slices / 2 * v->bm * v->bn * 4 + warps * 8 * column * 4;
    return (loop > after ? loop : after) + 64 * 4;
}

/* Both operand tiles in every stage, rows of a transposing loader padded; the epilogue has its strips there too. */
static wide shared_bytes(const struct gemm_variant *v, enum gemm_loader a, enum gemm_loader b) {
    wide bytes = 0, strips = 0;
    const int slices = v->threads * v->tm * v->tn / (v->bm * v->bn);
    switch (v->family) {
    case FAMILY_SIMT_ROWS: /* stages; 32 padded columns for each warp; what is noted of pieces and copies */
        return ((wide)v->stages * v->bk * (v->bm + v->bn) + v->threads / 32 * 32 * (v->bm / 4 + 4) + 1744) * 4;
    case FAMILY_SIMT: /* strips beside the stages, as CTAs stay; slices are added where the stages were; notes */
        if (v->tm % 4 || v->tn % 4) return fitted_bytes(v, a, b);
        bytes = (wide)v->stages * v->bk * (row_of_tile(v->bm, a) + row_of_tile(v->bn, b)) * 4;
        if (slices > 1 && v->tn == 16) { /* all but a slice's own sums, where the stages and then the strips are */
            const wide sent = (wide)(slices - 1) * v->bm * v->bn * 4;
            return bytes > sent ? bytes : sent;
        }
        if (slices > 1 && bytes < (wide)slices / 2 * v->bm * v->bn * 4) bytes = (wide)slices / 2 * v->bm * v->bn * 4;
        return bytes + (wide)(v->bm * v->bn / (v->tm * v->tn) / 32) * 8 * (4 * v->tm + 16) * 4 + 64 * 4;
    case FAMILY_STREAM: /* B's tile and each warp's 32 rows of A, twice, and the epilogue's strips */
        bytes = (wide)v->bk * 2 * (v->bn + (b == LOAD_K4 ? 4 : 0) + v->bm) * 4 + (wide)v->bm / 32 * 8 * 48 * 4;
        break;
    case FAMILY_SKINNY: { /* a warp's rows of the long side, padded along k, and all of the short one; sums of all */
        const bool long_m = v->bm > v->bn, along_k = (long_m ? a : b) == LOAD_K4, turns = (long_m ? b : a) == LOAD_K4;
        const wide longer = long_m ? v->bm : v->bn, shorter = long_m ? v->bn : v->bm;
        const wide rows = (wide)v->tm * v->tn * 32 / shorter, k = v->bk * longer / rows / (v->threads / 32);
        const wide quad = 4, row = along_k ? k + quad : k, turned = shorter >= 8 && turns ? shorter + quad : shorter;
        bytes = (wide)v->threads / 32 * v->stages * (rows * row + k * turned) * 4;
        strips = v->bk / k * shorter * (longer + 4) * 4;
        break;
    }
    case FAMILY_FP16X1: /* eight stages of one plane, lines, a pad: as many bytes */
    case FAMILY_FP16X3: /* four stages of two planes, but the two families share a kernel */
    case FAMILY_BF16X6: /* three stages of three planes of 384 rows, 32 k each; a pad for alignment */
        bytes = 3 * 3 * 384 * 32 * 2 + 1024;
        break;
    case FAMILY_FUSED: /* twelve planes of 128 rows, 64 k each; scales of four blocks; notes; barriers; a pad */
        bytes = 12 * 128 * 64 * 2 + 4 * 256 * 2 + 256 * 16 + 4 * 4 + 14 * 8 + 1024;
        break;
    case FAMILY_TF32_WGMMA: /* four stages of 384 rows and 8 k of 128, or more of fewer, 32 k each; a pad */
        bytes = 4 * (384 * 32 + 8 * 32) * 4 + 1024;
        break;
    case FAMILY_TF32_OUTER: /* 320 rows of 32 k; a pad */
        bytes = (256 + 64) * 32 * 4 + 1024;
        break;
    case FAMILY_TF32_PACKED: /* packed rows of 32 k, nothing beside them */
    case FAMILY_FP16X1_MMA:  /* the same in fp16 */
        bytes = (wide)v->stages * 32 * (v->bm + v->bn) * (v->family == FAMILY_FP16X1_MMA ? 2 : 4);
        strips = (wide)(v->threads / 32) * 8 * (4 * v->tm + 16) * 4;
        break;
    case FAMILY_TF32_BATCH: /* rows of either kind have a chunk more than a tile; or all results, columns as long */
        bytes = (wide)v->stages * 4 *
                ((a == LOAD_K4 ? v->bm * (v->bk + 4) : v->bk * (v->bm + 4)) +
                 (b == LOAD_K4 ? v->bn * (v->bk + 4) : v->bk * (v->bn + 4)));
        strips = (wide)v->bn * (v->bm + 4) * 4;
        break;
    case FAMILY_TF32_KEPT: /* barriers; all k of both, rows with up to three floats before them; strips of eight padded
                              columns */
        bytes = (wide)4 * v->bk * (v->bm + 4) + (wide)4 * (b == LOAD_K4 ? v->bn * 132 : v->bk * (v->bn + 8)) +
                (wide)4 * v->threads / 32 * 8 * 80 + 128;
        break;
    case FAMILY_FP16X3_MMA:
    case FAMILY_BF16X6_MMA: /* the same, and a note */
    case FAMILY_TF32_MMA:   /* rows along k have a chunk more than a tile; the others are padded */
        bytes = (wide)v->stages * 4 *
                ((a == LOAD_K4 ? v->bm * (v->bk + 4) : v->bk * (v->bm + 4)) +
                 (b == LOAD_K4 ? v->bn * (v->bk + 4) : v->bk * (v->bn + 8)));
        if (v->family != FAMILY_TF32_MMA) bytes += 16;
        strips = (wide)(v->threads / 32) * 8 * (4 * v->tm + 16) * 4;
        break;
    }
    return bytes > strips ? bytes : strips;
}

/* A pass packs operands by 128 rows of 32 k, and counts these in 32 bits with room to spare. */
static bool units_too_many(int64_t rows, const struct gemm_problem *p, int64_t stride) {
    const double matrices = stride || p->pointer_array ? (double)p->batch : 1;
    return ((double)rows / 128 + 1) * ((double)p->k / 32 + 1) * matrices > 0x1p29;
}

/* Another goes through both operands by squares of 64 by 64. */
static bool rows_too_many(const struct gemm_problem *p) {
    const double all_a = p->stride_a || p->pointer_array ? (double)p->batch : 1;
    const double all_b = p->stride_b || p->pointer_array ? (double)p->batch : 1;
    const double rows = ((double)p->m / 64 + 1) * all_a + ((double)p->n / 64 + 1) * all_b;
    return rows * ((double)p->k / 64 + 1) > 0x1p29 || p->m > 1 << 25 || p->n > 1 << 25;
}

/* Why this kernel must not run this product on this chip, NULL where it may. */
static const char *objection_to_variant(const struct gemm_variant *v, const struct question *q) {
    const struct gemm_problem *p = &q->problem;
    enum gemm_loader a = loader_a(p), b = loader_b(p);
    if (p->m < 1 || p->n < 1 || p->k < 1 || p->batch < 1) return "nothing to do";
    if (q->device.arch < v->min_arch) return "architecture";
    const bool hopper = v->family == FAMILY_FP16X3 || v->family == FAMILY_BF16X6 || v->family == FAMILY_FP16X1 ||
                        v->family == FAMILY_FUSED || v->family == FAMILY_TF32_WGMMA || v->family == FAMILY_TF32_OUTER;
    if (hopper && !q->device.wgmma) return "sm_90a code";
    if ((hopper || gemm_family_split_mma(v->family)) && p->batch > 65535) return "grid z";
    if (gemm_family_packed(v->family) && (units_too_many(p->m, p, p->stride_a) || units_too_many(p->n, p, p->stride_b)))
        return "units of the pass";
    if (v->family == FAMILY_SIMT_ROWS && rows_too_many(p)) return "units of the pass";
    if ((v->family == FAMILY_STREAM || v->family == FAMILY_TF32_OUTER) && p->k > v->bk) return "all of k in one tile";
    if (v->family == FAMILY_STREAM && p->ldd % 4) return "16-byte stores";
    if (v->family == FAMILY_STREAM && (a == LOAD_MN4 || b == LOAD_MN4)) return "loaders";
    if (v->bm == 192 && v->family == FAMILY_SIMT && (a == LOAD_MN4 || b == LOAD_MN4 || (a == LOAD_K4 && b == LOAD_K4)))
        return "few loaders";
    if ((v->family == FAMILY_TF32_BATCH || v->family == FAMILY_TF32_KEPT) && a == LOAD_K4) return "A along k";
    if (v->family == FAMILY_TF32_KEPT && p->k > v->bk) return "all of k in shared memory";
    if (v->contract > p->contract) return "contract";
    if ((wide)p->m + v->bm > INT32_MAX || (wide)p->n + v->bn > INT32_MAX) return "rows or columns in 32 bits";
    if ((wide)p->k + (wide)v->bk * v->stages > INT32_MAX || p->batch > INT32_MAX) return "k or batch in 32 bits";
    if (up(p->m, v->bm) * up(p->n, v->bn) > INT32_MAX) return "grid";
    if (!v->wide && 4 * tile_reach(a, v->bm, v->bk, p->lda) > UINT32_MAX) return "offsets in a tile of A";
    if (!v->wide && 4 * tile_reach(b, v->bn, v->bk, p->ldb) > UINT32_MAX) return "offsets in a tile of B";
    if (v->wide && tile_reach(a, v->bm, v->bk, p->lda) > INT64_MAX / 4) return "64-bit offsets in a tile of A";
    if (v->wide && tile_reach(b, v->bn, v->bk, p->ldb) > INT64_MAX / 4) return "64-bit offsets in a tile of B";
    if (!addresses_fit(p, INT64_MAX / 4)) return "64-bit addresses";
    if (shared_bytes(v, a, b) > q->device.smem_per_block) return "shared memory";
    return NULL;
}

/* An operand that a pass turns round or shifts: rows and k padded to 32. */
static wide packed(int64_t rows, int64_t k, int64_t batch) {
    return up(rows, 32) * 32 * up(k, 32) * 32 * 4 * batch;
}

static bool copied_in_vectors(int64_t ld, int64_t stride, int64_t batch, unsigned align) {
    return vectors(4, ld, stride, batch, align) && ld < INT64_C(1) << 36 &&
           (batch == 1 || (stride >= 0 && stride < INT64_C(1) << 36));
}

/* Scratch for operands, whatever the split. */
static wide operand_bytes(const struct gemm_variant *v, const struct gemm_problem *p) {
    wide bytes = 0;
    if (v->family == FAMILY_FP16X3 || v->family == FAMILY_BF16X6)
        return split_scratch_bytes((int)p->m, (int)p->n, (int)p->k, (int)p->batch);
    if (v->family == FAMILY_FP16X3_MMA || v->family == FAMILY_BF16X6_MMA)
        return split_looks_bytes((int)p->m, (int)p->n, (int)p->k, (int)p->batch);
    if (v->family == FAMILY_FUSED) return 2 * 256 * 32 + 256; /* notes of 256 CTAs on both sides, and a word */
    if (v->family == FAMILY_SIMT_ROWS) {                      /* rows padded to 32 */
        const bool all_a = p->stride_a || p->pointer_array, all_b = p->stride_b || p->pointer_array;
        if (loader_a(p) != LOAD_MN16) bytes += up(p->m, 32) * 32 * p->k * (all_a ? p->batch : 1) * 4;
        if (loader_b(p) != LOAD_MN16) bytes += up(p->n, 32) * 32 * p->k * (all_b ? p->batch : 1) * 4;
        return bytes;
    }
    if (gemm_family_packed(v->family)) { /* rows padded to 256, k to 32 */
        const wide looks =
            v->family == FAMILY_TF32_PACKED ? 0 : split_looks_bytes((int)p->m, (int)p->n, (int)p->k, (int)p->batch);
        const bool all_a = p->stride_a || p->pointer_array, all_b = p->stride_b || p->pointer_array;
        return looks + (up(p->m, 256) * (all_a ? p->batch : 1) + up(p->n, 256) * (all_b ? p->batch : 1)) * 256 *
                           up(p->k, 32) * 32 * 4;
    }
    if (v->family != FAMILY_TF32_WGMMA && v->family != FAMILY_TF32_OUTER && v->family != FAMILY_FP16X1) return 0;
    const bool shifted = v->family == FAMILY_TF32_WGMMA && p->op_a == GEMM_OP_N && p->lda % 8 == 1 && p->k >= 4 &&
                         p->n <= 5000 && v->bn >= 128 && p->stride_a >= 0 && p->stride_a < INT64_C(1) << 34 &&
                         p->lda < INT64_C(1) << 34;
    if (!copied_in_vectors(p->lda, p->stride_a, p->batch, p->align_a) && !shifted)
        bytes += packed(p->m, p->k, p->stride_a ? p->batch : 1);
    if (p->op_b == GEMM_OP_T || !copied_in_vectors(p->ldb, p->stride_b, p->batch, p->align_b))
        bytes += packed(p->n, p->k, p->stride_b ? p->batch : 1);
    if (v->family == FAMILY_FP16X1) /* its planes, or what TF32 packs in their place */
        return split_one_scratch_bytes((int)p->m, (int)p->n, (int)p->k, (int)p->batch, (int64_t)bytes);
    return bytes;
}

/* Less than all of K at a time only for want of room for planes. */
static const char *objection_to_chunks(const struct gemm_plan *plan, const struct question *q) {
    const int64_t k = q->problem.k, chunk = plan->k_chunk;
    if (chunk == k) return NULL;
    if (!gemm_family_splits(plan->variant->family)) return "chunks without planes";
    if (chunk < 1 || chunk > k || chunk % plan->variant->bk) return "size of a chunk";
    if (up(k, chunk) > 64) return "number of chunks";
    const wide room = q->limits.planes_bytes - operand_bytes(plan->variant, &q->problem);
    return room >= 0 && settings[q->settings].split_k ? "chunks where there is room" : NULL;
}

static const char *objection_to_split(const struct gemm_plan *plan, const struct question *q) {
    struct gemm_problem part = q->problem, *p = &part;
    part.k = plan->k_chunk;
    int split = plan->split_k;
    if (split < 1 || split > 1024) return "number of splits";
    const wide planes = operand_bytes(plan->variant, p);
    const bool room = gemm_family_needs_scratch(plan->variant->family);
    int64_t limit = room ? q->limits.planes_bytes : q->limits.scratch_bytes;
    if (plan->scratch_bytes > (limit > 0 ? limit : 0)) return "scratch limit";
    if (plan->shared_tiles) {
        const struct gemm_variant *v = plan->variant;
        wide tiles = up(p->m, v->bm) * up(p->n, v->bn) * p->batch, k_tiles = up(p->k, v->bk);
        const bool simt = v->family == FAMILY_SIMT_ROWS ||
                          (v->family == FAMILY_SIMT && v->threads == v->bm * v->bn / (v->tm * v->tn));
        if (!simt && v->family != FAMILY_TF32_WGMMA && v->family != FAMILY_FP16X1) return "who shares";
        const int groups = v->family == FAMILY_SIMT_ROWS ? 3 : 1;
        if (split != 1 || tiles > INT32_MAX || plan->shared_tiles * k_tiles * groups > INT32_MAX)
            return "what is shared";
        /* A share is of two tiles at most, and no tile has shares without k. */
        if (plan->shared_tiles >= plan->ctas || plan->shared_tiles * k_tiles < plan->ctas) return "how it is shared";
        if ((tiles - plan->shared_tiles) % plan->ctas) return "whole rounds";
        if (!simt && (plan->shared_tiles * 2 > plan->ctas || tiles <= plan->ctas)) return "parts";
        if (plan->scratch_bytes != planes + (simt ? 2 : 1) * (wide)plan->ctas * v->bm * v->bn * 4)
            return "room for shares";
        seen.shared++;
        return NULL;
    }
    const bool waits = plan->variant->family == FAMILY_FUSED && p->beta != SCALAR_ZERO; /* its sums, with C to add */
    const wide sums = waits ? (wide)p->n * up(p->m, 4) * 4 * p->batch * 4 : 0;
    if (split == 1) return plan->scratch_bytes != planes + sums ? "scratch without a split" : NULL;
    if (p->batch > 65535) return "grid z";
    wide slice = gemm_split_slice(p, plan->variant, split);
    if (slice > INT32_MAX || slice % plan->variant->bk) return "slice";
    if (slice * (split - 1) >= p->k) return "an empty slice";
    if (slice * split < p->k) return "k not covered";
    const int floats = plan->variant->family == FAMILY_FUSED ? 2 : 1; /* to a partial sum */
    const wide partial = (wide)floats * split * p->batch * p->n * up(p->m, 4) * 16;
    return plan->scratch_bytes != planes + partial ? "scratch size" : NULL;
}

static const char *objection_to_toggles(const struct gemm_plan *plan, const struct question *q) {
    const struct toggles *t = &settings[q->settings];
    if (!t->enabled) return "off";
    if (!(t->profiles >> plan->profile & 1)) return "profile is off";
    if (t->kernel >= 0 && plan->variant != &gemm_variants[t->kernel]) return "not the forced kernel";
    if (t->split_k && plan->split_k > t->split_k) return "more than the forced splits";
    if (t->raster && plan->raster > t->raster) return "more than the forced raster";
    if (t->kernel >= 0) return NULL;
    if (!*measured_source(&q->device, plan->profile)) return "no measurement and no entry";
    return q->problem.cublas_tf32 && plan->variant->contract != CONTRACT_TF32 ? "TF32 is allowed" : NULL;
}

static const char *objection_to_route(const struct gemm_plan *plan, const struct question *q) {
    const struct gemm_variant *v = plan->variant;
    const char *objection = objection_to_variant(v, q);
    if (!objection) objection = objection_to_chunks(plan, q);
    if (!objection) objection = objection_to_split(plan, q);
    if (!objection) objection = objection_to_toggles(plan, q);
    if (objection) return objection;
    wide rows = up(q->problem.m, v->bm), columns = up(q->problem.n, v->bn);
    if (plan->raster < 1 || plan->raster > rows) return "raster";
    if (plan->raster * columns > INT32_MAX) return "CTAs of a raster group in 32 bits";
    return plan->predicted_s > 0 && plan->predicted_s < 1e300 ? NULL : "prediction";
}

/* Plainly within every limit: such a product must not be turned away for want of a kernel. */
static bool plainly_fits(const struct question *q) {
    const struct gemm_problem *p = &q->problem;
    const int64_t most = INT64_C(1) << 24;
    return q->device.arch >= 80 && q->device.smem_per_block >= 99 << 10 && p->m < 1 << 20 && p->n < 1 << 20 &&
           p->k < most && p->batch < most && p->lda < most / 8 && p->ldb < most / 8 && p->ldc < INT64_C(1) << 40 &&
           p->ldd < INT64_C(1) << 40 && addresses_fit(p, INT64_MAX / 32) && p->contract != CONTRACT_IEEE;
}

static const char *objection_to_forwarding(const struct gemm_plan *plan, const struct question *q) {
    const struct gemm_problem *p = &q->problem;
    const struct toggles *t = &settings[q->settings];
    bool table = *measured_source(&q->device, plan->profile);
    if (plan->split_k != 1 || plan->raster != 1 || plan->scratch_bytes) return "leftovers";
    switch (plan->reason) {
    case REASON_off:
        return t->enabled ? "it is on" : NULL;
    case REASON_empty:
        return p->m && p->n && p->k && p->batch ? "it is not empty" : NULL;
    case REASON_profile_off:
        return t->profiles >> plan->profile & 1 ? "the profile is on" : NULL;
    case REASON_no_device:
        return q->device.sm_count > 0 && q->device.ffma_flops_per_s > 0 && q->device.dram_bytes_per_s > 0
                   ? "the chip is good"
                   : NULL;
    case REASON_arch:
        return q->device.arch >= 80 ? "there is a kernel" : NULL;
    case REASON_forced_kernel:
        if (t->kernel < 0) return "no kernel was forced";
        return plainly_fits(q) && gemm_variants[t->kernel].family == FAMILY_SIMT && gemm_variants[t->kernel].bm != 192
                   ? "the forced kernel fits"
                   : NULL;
    case REASON_too_large:
    case REASON_no_kernel:
        return plainly_fits(q) ? "a kernel fits" : NULL;
    case REASON_not_measured:
        return t->kernel >= 0 || (table && p->contract != CONTRACT_TF32) ? "there is an entry, or no need of one"
                                                                         : NULL;
    case REASON_too_small:
    case REASON_slower:
        return t->kernel >= 0 || !table ? "there is no entry, or no need of one" : NULL;
    case REASON_tf32_allowed:
        return t->kernel >= 0 || !p->cublas_tf32 ? "TF32 is not allowed" : NULL;
    default:
        return "a reason that is none of the policy's";
    }
}

/* --- asking --- */

static struct gemm_plan ask(int i) {
    const struct question *q = &questions[i];
    return gemm_plan_make(&q->problem, &q->device, &settings[q->settings], &q->limits);
}

static void print_question(int i, const char *objection) {
    const struct question *q = &questions[i];
    const struct gemm_problem *p = &q->problem;
    const struct gemm_plan *plan = &answers[i];
    const struct toggles *t = &settings[q->settings];
    print_error("seed %llu: %s\n", (unsigned long long)seed, objection);
    print_error("%c%c m %lld n %lld k %lld batch %lld ld %lld %lld %lld %lld contract %d\n", "NT"[p->op_a],
                "NT"[p->op_b], (long long)p -> m, (long long)p -> n, (long long)p -> k, (long long)p -> batch,
                (long long)p -> lda, (long long)p -> ldb, (long long)p -> ldc, (long long)p -> ldd, p -> contract);
    print_error("arch %d, %d SMs, %d bytes shared, scratch %lld; kernel %d split %d raster %d forced\n", q->device.arch,
                q->device.sm_count, q->device.smem_per_block, (long long)q->limits.scratch_bytes, t->kernel, t->split_k,
                t->raster);
    print_error("%s (%s), split %d, raster %d, scratch %lld\n", plan->variant ? plan->variant->name : "forwarded",
                gemm_reason_name(plan->reason), plan->split_k, plan->raster, (long long)plan->scratch_bytes);
}

static void note(int i) {
    const struct question *q = &questions[i];
    const struct gemm_plan *plan = &answers[i];
    seen.asked++;
    seen.reasons[plan->reason]++;
    if (!plan->variant) return;
    seen.routed++;
    seen.split += plan->split_k > 1;
    seen.forced += settings[q->settings].kernel >= 0;
    seen.variants[plan->variant - gemm_variants]++;
    seen.loaders[gemm_loader_a(&q->problem)]++;
    wide one_more = plan->scratch_bytes ? (wide)plan->scratch_bytes / plan->split_k * (plan->split_k + 1) : 0;
    seen.scratch_bound += one_more > q->limits.scratch_bytes;
    seen.wide_only += plan->variant->wide && q->problem.lda > (INT64_C(1) << 30);
}

static void ask_block(int count) {
    for (int i = 0; i < SETTINGS; i++) settings[i] = any_settings();
    for (int i = 0; i < count; i++) {
        questions[i] = (struct question){any_problem(), any_device(), any_limits(), (int)below(SETTINGS)};
        assert_true(gemm_problem_valid(&questions[i].problem));
        assert_int_equal(gemm_loader_a(&questions[i].problem), loader_a(&questions[i].problem));
        assert_int_equal(gemm_loader_b(&questions[i].problem), loader_b(&questions[i].problem));
        answers[i] = ask(i);
        const char *objection =
            (answers[i].variant ? objection_to_route : objection_to_forwarding)(&answers[i], &questions[i]);
        if ((answers[i].variant == NULL) == (answers[i].reason == REASON_routed))
            objection = "variant and reason disagree";
        if (objection) print_question(i, objection);
        assert_null(objection);
        note(i);
    }
}

/* Byte for byte, the prediction included. */
static bool same_answer(int i) {
    struct gemm_plan again = ask(i);
    const char *left = (const char *)&again, *right = (const char *)&answers[i];
    return memcmp(left, right, sizeof again) == 0;
}

static void ask_shuffled(int count) {
    static int order[BLOCK];
    for (int i = 0; i < count; i++) order[i] = i;
    for (int i = count - 1; i > 0; i--) {
        int j = (int)below(i + 1), other = order[i];
        order[i] = order[j], order[j] = other;
    }
    for (int i = 0; i < count; i++) {
        if (!same_answer(order[i])) print_question(order[i], "another plan in another order");
        assert_true(same_answer(order[i]));
        seen.shuffled++;
    }
}

struct walk {
    int start, step, count;
    int64_t asked, different;
};

static void *ask_in_thread(void *data) {
    struct walk *walk = data;
    for (int i = 0, at = walk->start; i < walk->count; i++, at = (at + walk->step) % walk->count, walk->asked++)
        if (!same_answer(at)) walk->different++;
    return NULL;
}

static void ask_from_threads(int count) {
    static const int steps[THREADS] = {1, 7919, 3, 6007}; /* primes to BLOCK: each meets all */
    pthread_t threads[THREADS];
    struct walk walks[THREADS];
    for (int i = 0; i < THREADS; i++) {
        walks[i] = (struct walk){.start = i * count / THREADS, .step = steps[i], .count = count};
        assert_int_equal(pthread_create(&threads[i], NULL, ask_in_thread, &walks[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(walks[i].different, 0);
        seen.threaded += walks[i].asked;
    }
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* No padding, whose bytes would be anything. */
static void a_plan_can_be_compared(void **unused) {
    (void)unused;
    const size_t pointer = sizeof(void *), words = 6 * sizeof(int), rest = 2 * sizeof(int64_t) + sizeof(double);
    assert_int_equal(sizeof(struct gemm_plan), pointer + words + rest);
}

static void no_plan_breaks_a_condition_or_depends_on_order(void **unused) {
    (void)unused;
    print_message("seed %llu\n", (unsigned long long)seed);
    state = seed;
    double start = now();
    while (seen.asked < wanted && now() - start < TIME_BOX_S) {
        int count = wanted - seen.asked < BLOCK ? (int)(wanted - seen.asked) : BLOCK;
        ask_block(count);
        ask_shuffled(count);
        if (count == BLOCK) ask_from_threads(count);
    }
    print_message("%lld products, %lld routed, %lld of them split, %lld shared, in %.1f s\n", (long long)seen.asked,
                  (long long)seen.routed, (long long)seen.split, (long long)seen.shared, now() - start);
}

static void enough_of_everything_was_seen(void **unused) {
    (void)unused;
    if (wanted < LEAST_COUNT) skip();
    assert_true(seen.asked >= LEAST_COUNT);
    assert_true(seen.routed > seen.asked / 12);
    assert_true(seen.split > seen.routed / 20 && seen.shared > 100);
    assert_true(seen.forced > seen.routed / 10 && seen.forced < seen.routed);
    assert_true(seen.wide_only > 100 && seen.scratch_bound > 100);
    assert_true(seen.shuffled == seen.asked && seen.threaded >= THREADS * (seen.asked / BLOCK) * BLOCK);
    for (int i = 0; i < VARIANT_COUNT; i++) { /* some want much at once */
        if (seen.variants[i] <= 100) print_error("%s: %lld\n", gemm_variants[i].name, (long long)seen.variants[i]);
        assert_true(seen.variants[i] > 100);
    }
    for (int i = 0; i < LOADER_COUNT; i++) assert_true(seen.loaders[i] > seen.routed / 100);
    static const enum gemm_reason expected[] = {REASON_routed,    REASON_off,          REASON_empty,
                                                REASON_arch,      REASON_profile_off,  REASON_not_measured,
                                                REASON_too_small, REASON_tf32_allowed, REASON_forced_kernel,
                                                REASON_no_kernel, REASON_too_large,    REASON_no_device};
    for (unsigned i = 0; i < sizeof expected / sizeof *expected; i++) {
        if (!seen.reasons[expected[i]]) print_error("never seen: %s\n", gemm_reason_name(expected[i]));
        assert_true(seen.reasons[expected[i]] > 0);
    }
}

/* Printed, not judged: machines differ. A routed call may add 1 us in all. */
static void how_long_a_plan_takes(void **unused) {
    (void)unused;
    struct toggles toggles = default_toggles();
    struct gemm_limits limits = plenty_of_scratch();
    struct gemm_device device = device_of_arch(90);
    enum { TIMES = 20000 };
    for (int w = 0; w < PUBLISHED_COUNT; w++) {
        struct published published = published_workload(w);
        double start = now(), sum = 0;
        for (int i = 0; i < TIMES; i++) {
            published.problem.align_a = 16u >> (i & 1); /* another product each time */
            sum += gemm_plan_make(&published.problem, &device, &toggles, &limits).predicted_s;
        }
        assert_true(sum > 0);
        print_message("%-14s %4.0f ns a plan\n", published.what, (now() - start) / TIMES * 1e9);
    }
}

int main(int argc, char **argv) {
    if (argc > 1) seed = strtoull(argv[1], NULL, 0);
    if (argc > 2) wanted = atoi(argv[2]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plan_can_be_compared),
        cmocka_unit_test(no_plan_breaks_a_condition_or_depends_on_order),
        cmocka_unit_test(enough_of_everything_was_seen),
        cmocka_unit_test(how_long_a_plan_takes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
