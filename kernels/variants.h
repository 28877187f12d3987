/*
 * The list of kernels: the only one. Policy, launcher, tests, bench and the compiled-code check are made from it.
 * Plain data, no CUDA.
 *
 * VARIANT(name, family, contract, min_arch, bm, bn, bk, tm, tn, stages, threads, ctas_per_sm, wide)
 *   name         the variant; but for split operands its kernels are name_<a><b>, by the loaders of A and B below: v,
 *                s or t
 *   family       how it computes
 *   contract     the accuracy that it keeps
 *   min_arch     the oldest architecture that runs it: 80 means sm_80
 *   bm, bn, bk   CTA tile;  tm, tn: thread tile;  stages: of cp.async
 *   threads      per CTA;  ctas_per_sm: CTAs that share an SM, as registers and shared memory are budgeted
 *   wide         1: takes leading dimensions of any size; 0: a tile's bytes must be within 2^32 of its first
 */
#ifndef FASTGEMM_VARIANTS_H
#define FASTGEMM_VARIANTS_H

#include <stdint.h>

#define GEMM_SIMT_VARIANTS(VARIANT)                                                                                    \
    VARIANT(sgemm_simt_256x128x8, SIMT, IEEE, 80, 256, 128, 8, 8, 16, 4, 256, 1, 0)                                    \
    VARIANT(sgemm_simt_128x128x8, SIMT, IEEE, 80, 128, 128, 8, 8, 16, 4, 128, 2, 0)                                    \
    VARIANT(sgemm_simt_64x128x8, SIMT, IEEE, 80, 64, 128, 8, 8, 16, 3, 64, 4, 0)                                       \
    VARIANT(sgemm_simt_64x64x8, SIMT, IEEE, 80, 64, 64, 8, 8, 4, 4, 128, 4, 1)                                         \
    VARIANT(sgemm_simt_64x32x16, SIMT, IEEE, 80, 64, 32, 16, 8, 4, 3, 64, 4, 0)

/* An SM to each CTA, for products of few tiles (sgemm_sliced.cuh). */
#define GEMM_SLICED_VARIANTS(VARIANT) VARIANT(sgemm_sliced_64x128x32, SIMT, IEEE, 80, 64, 128, 32, 8, 16, 3, 256, 1, 0)

/* For those pairs of loaders that their registers hold: a tile whose sides are no powers of two. */
#define GEMM_SIMT_FEW_VARIANTS(VARIANT) VARIANT(sgemm_simt_192x96x16, SIMT, IEEE, 80, 192, 96, 16, 12, 12, 3, 256, 1, 0)

/* Tiles that fit sizes which no power of two does: thread tiles that are not all quads (GEMM_FITTED). */
#define GEMM_SIMT_FITTED_VARIANTS(VARIANT)                                                                             \
    VARIANT(sgemm_simt_104x104x16, SIMT, IEEE, 80, 104, 104, 16, 13, 13, 3, 256, 1, 0)                                 \
    VARIANT(sgemm_simt_112x112x8, SIMT, IEEE, 80, 112, 112, 8, 7, 14, 3, 128, 3, 0)

/* One kernel for each of these, whatever the loaders: a pass brings any layout to rows along m or n (simt_rows.h). */
#define GEMM_SIMT_ROWS_VARIANTS(VARIANT)                                                                               \
    VARIANT(sgemm_simt_rows_192x128x16, SIMT_ROWS, IEEE, 90, 192, 128, 16, 12, 16, 3, 128, 2, 0)

/* All of K, up to bk, in shared memory, and persistent CTAs; stages: of the rows of A that a warp works on. */
#define GEMM_STREAM_VARIANTS(VARIANT)                                                                                  \
    VARIANT(sgemm_stream_256x256x32, STREAM, IEEE, 90, 256, 256, 32, 8, 16, 2, 256, 1, 1)                              \
    VARIANT(sgemm_stream_128x128x32, STREAM, IEEE, 80, 128, 128, 32, 8, 16, 2, 128, 1, 1)

/* One side of C short, the shorter one of the tile. Four kernels for each, by the order that each operand lies in. */
#define GEMM_SKINNY_VARIANTS(VARIANT)                                                                                  \
    VARIANT(sgemm_skinny_64x4x128, SKINNY, IEEE, 80, 64, 4, 128, 2, 4, 2, 128, 1, 1)                                   \
    VARIANT(sgemm_skinny_64x8x128, SKINNY, IEEE, 80, 64, 8, 128, 4, 4, 2, 128, 1, 1)                                   \
    VARIANT(sgemm_skinny_64x16x128, SKINNY, IEEE, 80, 64, 16, 128, 4, 8, 2, 128, 1, 1)                                 \
    VARIANT(sgemm_skinny_4x64x128, SKINNY, IEEE, 80, 4, 64, 128, 4, 2, 2, 128, 1, 1)                                   \
    VARIANT(sgemm_skinny_8x64x128, SKINNY, IEEE, 80, 8, 64, 128, 4, 4, 2, 128, 1, 1)                                   \
    VARIANT(sgemm_skinny_16x64x128, SKINNY, IEEE, 80, 16, 64, 128, 8, 4, 2, 128, 1, 1)

#define GEMM_TF32_MMA_VARIANTS(VARIANT)                                                                                \
    VARIANT(sgemm_tf32_mma_128x256x16, TF32_MMA, TF32, 80, 128, 256, 16, 16, 8, 3, 256, 1, 0)                          \
    VARIANT(sgemm_tf32_mma_64x64x16, TF32_MMA, TF32, 80, 64, 64, 16, 8, 4, 4, 128, 2, 0)

/* For batches of products just over a power of two: a tile takes eight rows more (sgemm_tf32_batch.cuh). */
#define GEMM_TF32_BATCH_VARIANTS(VARIANT)                                                                              \
    VARIANT(sgemm_tf32_batch_264x64x16, TF32_BATCH, TF32, 90, 264, 64, 16, 16, 4, 3, 256, 2, 0)                        \
    VARIANT(sgemm_tf32_batch_136x128x16, TF32_BATCH, TF32, 90, 136, 128, 16, 16, 4, 3, 256, 2, 0)                      \
    VARIANT(sgemm_tf32_batch_136x64x16, TF32_BATCH, TF32, 80, 136, 64, 16, 16, 4, 3, 128, 2, 0)

/* The same with tiles of all of K, up to bk, in shared memory, of which a CTA keeps that of A (sgemm_tf32_kept.cuh). */
#define GEMM_TF32_KEPT_VARIANTS(VARIANT)                                                                               \
    VARIANT(sgemm_tf32_kept_264x128x129, TF32_KEPT, TF32, 90, 264, 128, 129, 16, 8, 1, 256, 1, 1)

/* One kernel for each of these, whatever the loaders: a pass before it packs any layout (tf32_fragments.h). */
#define GEMM_TF32_PACKED_VARIANTS(VARIANT)                                                                             \
    VARIANT(sgemm_tf32_packed_128x256x32, TF32_PACKED, TF32, 90, 128, 256, 32, 16, 8, 4, 256, 1, 1)                    \
    VARIANT(sgemm_tf32_packed_128x128x32, TF32_PACKED, TF32, 80, 128, 128, 32, 16, 8, 3, 128, 1, 1)                    \
    VARIANT(sgemm_tf32_packed_64x64x32, TF32_PACKED, TF32, 80, 64, 64, 32, 8, 4, 3, 128, 2, 1)

/* The same of operands that passes scale and pack as fp16 (fp16_fragments.h). */
#define GEMM_FP16X1_MMA_VARIANTS(VARIANT)                                                                              \
    VARIANT(sgemm_fp16x1_mma_128x256x32, FP16X1_MMA, TF32, 80, 128, 256, 32, 16, 8, 4, 256, 1, 1)                      \
    VARIANT(sgemm_fp16x1_mma_128x128x32, FP16X1_MMA, TF32, 80, 128, 128, 32, 16, 8, 3, 128, 2, 1)                      \
    VARIANT(sgemm_fp16x1_mma_64x64x32, FP16X1_MMA, TF32, 80, 64, 64, 32, 8, 4, 4, 128, 2, 1)

/* One kernel for each of these, whatever the loaders: passes before it bring any layout into planes (split.h). */
#define GEMM_SPLIT_VARIANTS(VARIANT)                                                                                   \
    VARIANT(sgemm_fp16x3_wgmma_256x128x64, FP16X3, FP32, 90, 256, 128, 64, 8, 16, 4, 384, 1, 1)                        \
    VARIANT(sgemm_bf16x6_wgmma_256x128x64, BF16X6, FP32, 90, 256, 128, 64, 8, 16, 3, 384, 1, 1)                        \
    VARIANT(sgemm_fp16x1_wgmma_256x128x64, FP16X1, TF32, 90, 256, 128, 64, 8, 16, 8, 384, 1, 1)

/* Split in registers: four kernels for all of these, by the order that each operand lies in. */
#define GEMM_SPLIT_MMA_VARIANTS(VARIANT)                                                                               \
    VARIANT(sgemm_fp16x3_mma_128x128x16, FP16X3_MMA, FP32, 80, 128, 128, 16, 8, 8, 4, 256, 1, 0)                       \
    VARIANT(sgemm_bf16x6_mma_128x128x16, BF16X6_MMA, FP32, 80, 128, 128, 16, 8, 8, 4, 256, 1, 0)

/* One kernel, whatever the loaders, which converts the operands as it reads them (fused.h). */
#define GEMM_FUSED_VARIANTS(VARIANT)                                                                                   \
    VARIANT(sgemm_fused_wgmma_128x128x64, FUSED, FP32, 90, 128, 128, 64, 8, 8, 3, 512, 1, 1)

/* Three kernels for each of these, by how A lies (tf32.h). */
#define GEMM_TF32_WGMMA_VARIANTS(VARIANT)                                                                              \
    VARIANT(sgemm_tf32_wgmma_256x128x32, TF32_WGMMA, TF32, 90, 256, 128, 32, 4, 32, 4, 384, 1, 1)                      \
    VARIANT(sgemm_tf32_wgmma_128x256x32, TF32_WGMMA, TF32, 90, 128, 256, 32, 4, 32, 4, 384, 1, 1)                      \
    VARIANT(sgemm_tf32_wgmma_128x192x32, TF32_WGMMA, TF32, 90, 128, 192, 32, 4, 24, 4, 384, 1, 1)                      \
    VARIANT(sgemm_tf32_wgmma_128x160x32, TF32_WGMMA, TF32, 90, 128, 160, 32, 4, 20, 5, 384, 1, 1)                      \
    VARIANT(sgemm_tf32_wgmma_128x144x32, TF32_WGMMA, TF32, 90, 128, 144, 32, 4, 18, 5, 384, 1, 1)                      \
    VARIANT(sgemm_tf32_wgmma_128x128x32, TF32_WGMMA, TF32, 90, 128, 128, 32, 4, 32, 6, 384, 1, 1)                      \
    VARIANT(sgemm_tf32_wgmma_128x64x32, TF32_WGMMA, TF32, 90, 128, 64, 32, 4, 8, 8, 384, 1, 1)

/* All of K, up to bk, at once, and a CTA for each tile. Two kernels for each of these, by how A lies (tf32.h). */
#define GEMM_TF32_OUTER_VARIANTS(VARIANT)                                                                              \
    VARIANT(sgemm_tf32_outer_256x64x32, TF32_OUTER, TF32, 90, 256, 64, 32, 4, 16, 1, 256, 3, 1)

/* clang-format off */
#define GEMM_VARIANTS(VARIANT)                                                                                         \
    GEMM_SIMT_VARIANTS(VARIANT) GEMM_SLICED_VARIANTS(VARIANT)                                                          \
    GEMM_SIMT_FEW_VARIANTS(VARIANT) GEMM_SIMT_FITTED_VARIANTS(VARIANT)                                                 \
    GEMM_SIMT_ROWS_VARIANTS(VARIANT)                                                                                   \
    GEMM_STREAM_VARIANTS(VARIANT) GEMM_SKINNY_VARIANTS(VARIANT) GEMM_SPLIT_VARIANTS(VARIANT)                           \
    GEMM_SPLIT_MMA_VARIANTS(VARIANT) GEMM_FUSED_VARIANTS(VARIANT)                                                      \
    GEMM_TF32_MMA_VARIANTS(VARIANT) GEMM_TF32_BATCH_VARIANTS(VARIANT) GEMM_TF32_KEPT_VARIANTS(VARIANT)                 \
    GEMM_TF32_PACKED_VARIANTS(VARIANT) GEMM_FP16X1_MMA_VARIANTS(VARIANT)                                               \
    GEMM_TF32_WGMMA_VARIANTS(VARIANT) GEMM_TF32_OUTER_VARIANTS(VARIANT)
/* clang-format on */

/*
 *   SIMT    fp32 FFMA
 *   SIMT_ROWS  the same, of operands that a pass brings to rows along m or n first
 *   STREAM  fp32 FFMA for a small K, which stays in shared memory
 *   SKINNY  fp32 FFMA for a short side of C, by warps that each have k of their own
 *   FP16X3  three products of fp16 planes where the operands allow it, else as BF16X6: the device decides
 *   BF16X6  six products of bf16 planes
 *   FP16X1  one product of scaled fp16 planes where the operands allow it, else as TF32_WGMMA: the device decides
 *   FP16X3_MMA, BF16X6_MMA  the same by warps (mma.sync), split in registers
 *   FUSED   three products of fp16 planes, scaled and split in shared memory; else, the device decides, bf16 or fp64
 *   TF32_MMA    TF32 tensor cores, by warps (mma.sync)
 *   TF32_BATCH  the same, for batches of small products of odd sizes
 *   TF32_KEPT   the same, where a CTA keeps what it reads of A for all columns of B
 *   TF32_PACKED the same, of operands that a pass packs first
 *   FP16X1_MMA  fp16 tensor cores, by warps, of scaled operands that have TF32's 11 bits; else TF32: the device decides
 *   TF32_WGMMA  TF32 tensor cores, by warpgroups (wgmma)
 *   TF32_OUTER  the same for a small K and a large C, most of whose time goes into stores
 */
enum gemm_family {
    FAMILY_SIMT,
    FAMILY_SIMT_ROWS,
    FAMILY_STREAM,
    FAMILY_SKINNY,
    FAMILY_FP16X3,
    FAMILY_BF16X6,
    FAMILY_FP16X1,
    FAMILY_FP16X3_MMA,
    FAMILY_BF16X6_MMA,
    FAMILY_FUSED,
    FAMILY_TF32_MMA,
    FAMILY_TF32_BATCH,
    FAMILY_TF32_KEPT,
    FAMILY_TF32_PACKED,
    FAMILY_FP16X1_MMA,
    FAMILY_TF32_WGMMA,
    FAMILY_TF32_OUTER
};

/* The accuracy owed to a caller, strictest first; a variant of a stricter contract may serve a laxer one. */
enum gemm_contract { CONTRACT_IEEE, CONTRACT_FP32, CONTRACT_TF32 };

/*
 * How an operand tile is read. "mn" is the operand's side in C: m for A, n for B.
 *   MN16 (v)  contiguous along mn, every address a multiple of 16 bytes: 16-byte copies
 *   MN4  (s)  contiguous along mn, any alignment: 4-byte copies
 *   K4   (t)  contiguous along k, any alignment: 4-byte copies that transpose on their way
 * The families on tensor cores have ways of their own with the latter two (mma_loader.cuh, tf32.h).
 */
enum gemm_loader { LOAD_MN16, LOAD_MN4, LOAD_K4, LOADER_COUNT };

#define GEMM_LOADER_PAIRS(X, ...)                                                                                      \
    X(__VA_ARGS__, vv, LOAD_MN16, LOAD_MN16)                                                                           \
    X(__VA_ARGS__, vs, LOAD_MN16, LOAD_MN4)                                                                            \
    X(__VA_ARGS__, vt, LOAD_MN16, LOAD_K4)                                                                             \
    X(__VA_ARGS__, sv, LOAD_MN4, LOAD_MN16)                                                                            \
    X(__VA_ARGS__, ss, LOAD_MN4, LOAD_MN4)                                                                             \
    X(__VA_ARGS__, st, LOAD_MN4, LOAD_K4)                                                                              \
    X(__VA_ARGS__, tv, LOAD_K4, LOAD_MN16)                                                                             \
    X(__VA_ARGS__, ts, LOAD_K4, LOAD_MN4)                                                                              \
    X(__VA_ARGS__, tt, LOAD_K4, LOAD_K4)

/* Those of variants that with more 4-byte copies would need more registers than there are. */
#define GEMM_FEW_LOADER_PAIRS(X, ...)                                                                                  \
    X(__VA_ARGS__, vv, LOAD_MN16, LOAD_MN16)                                                                           \
    X(__VA_ARGS__, vt, LOAD_MN16, LOAD_K4)                                                                             \
    X(__VA_ARGS__, tv, LOAD_K4, LOAD_MN16)

/* Those of kernels that store 16 bytes at a time anyway. */
#define GEMM_STREAM_PAIRS(X, ...)                                                                                      \
    GEMM_FEW_LOADER_PAIRS(X, __VA_ARGS__)                                                                              \
    X(__VA_ARGS__, tt, LOAD_K4, LOAD_K4)

/* Those of kernels that want A along m, of any alignment: v is s. */
#define GEMM_A_ALONG_M_PAIRS(X, ...)                                                                                   \
    X(__VA_ARGS__, ss, LOAD_MN4, LOAD_MN4)                                                                             \
    X(__VA_ARGS__, st, LOAD_MN4, LOAD_K4)

/* Those of kernels that take any alignment: v is s. */
#define GEMM_UNALIGNED_PAIRS(X, ...)                                                                                   \
    X(__VA_ARGS__, ss, LOAD_MN4, LOAD_MN4)                                                                             \
    X(__VA_ARGS__, st, LOAD_MN4, LOAD_K4)                                                                              \
    X(__VA_ARGS__, ts, LOAD_K4, LOAD_MN4)                                                                              \
    X(__VA_ARGS__, tt, LOAD_K4, LOAD_K4)

struct gemm_variant {
    const char *name;
    enum gemm_family family;
    enum gemm_contract contract;
    int min_arch;
    int bm, bn, bk, tm, tn, stages, threads, ctas_per_sm, wide;
};

/* In the order of the list. */
enum gemm_variant_index {
#define VARIANT(name, ...) VARIANT_##name,
    GEMM_VARIANTS(VARIANT)
#undef VARIANT
        VARIANT_COUNT
};
extern const struct gemm_variant gemm_variants[VARIANT_COUNT];

/* Whether the operands are split into planes in scratch first. Runs on 9.0 alone, by sm_90a code. */
static inline int gemm_family_splits(enum gemm_family family) {
    return family == FAMILY_FP16X3 || family == FAMILY_BF16X6 || family == FAMILY_FP16X1;
}

/* Whether they are split in registers instead, but for a look at how large they are (split.h), noted in scratch. */
static inline int gemm_family_split_mma(enum gemm_family family) {
    return family == FAMILY_FP16X3_MMA || family == FAMILY_BF16X6_MMA;
}

/* Whether the copy engine reads its operands, rounded to TF32, as they lie or from scratch (tf32.h). */
static inline int gemm_family_tf32_copied(enum gemm_family family) {
    return family == FAMILY_TF32_WGMMA || family == FAMILY_TF32_OUTER;
}

/* Whether it runs on 9.0 alone, by sm_90a code, and may need scratch for operands. */
static inline int gemm_family_wgmma(enum gemm_family family) {
    return gemm_family_splits(family) || family == FAMILY_FUSED || gemm_family_tf32_copied(family);
}

/* Whether it takes no longer a K than bk. */
static inline int gemm_family_short_k(enum gemm_family family) {
    return family == FAMILY_STREAM || family == FAMILY_TF32_OUTER || family == FAMILY_TF32_KEPT;
}

/* Whether a pass packs its operands into fragments, in scratch, for mma.sync. */
static inline int gemm_family_packed(enum gemm_family family) {
    return family == FAMILY_TF32_PACKED || family == FAMILY_FP16X1_MMA;
}

/* Whether it works on operands in scratch, or may: without it there is no product. */
static inline int gemm_family_needs_scratch(enum gemm_family family) {
    return gemm_family_wgmma(family) || gemm_family_packed(family) || family == FAMILY_SIMT_ROWS;
}

/* Whether a batch may be given by arrays of pointers. */
static inline int gemm_family_takes_pointers(enum gemm_family family) {
    return family == FAMILY_SIMT || family == FAMILY_SIMT_ROWS || family == FAMILY_SKINNY ||
           family == FAMILY_TF32_MMA || family == FAMILY_TF32_BATCH || family == FAMILY_TF32_KEPT ||
           gemm_family_packed(family) || gemm_family_split_mma(family);
}

/*
 * In how many slices the warps of a CTA share each k tile: more threads than the tile has thread tiles. Such CTAs fill
 * the SMs where a product has few tiles; they take one tile each.
 */
static inline int gemm_variant_slices(const struct gemm_variant *v) {
    return v->family == FAMILY_SIMT ? v->threads * v->tm * v->tn / (v->bm * v->bn) : 1;
}

/* Whether each of its slices adds and stores a part of every thread tile: whole quads of columns (sgemm_sliced.cuh). */
static inline int gemm_variant_slices_store(const struct gemm_variant *v) {
    const int slices = gemm_variant_slices(v);
    return slices > 1 && v->tn % (4 * slices) == 0;
}

/* Floats of shared memory in which a SIMT CTA notes its pieces of work (sgemm_simt.cuh). */
enum { GEMM_SIMT_NOTES = 64 };

/* The same of sgemm_simt_rows.cu, and floats of a column in a warp's strip. */
enum { GEMM_SIMT_ROWS_NOTES = 1744, GEMM_SIMT_ROWS_STRIP_LD = 52 };

/* Floats from one column to the next where a warp turns its tile round (epilogue.cuh). */
#define GEMM_STRIP_LD(tm) (((tm) % 4 ? (4 * (tm) + 31) / 32 * 32 : 4 * (tm)) + 16)

/* The same of a CTA of a family that splits in registers (sgemm_split_mma.cuh). */
enum { GEMM_SPLIT_MMA_NOTES = 4 };

/* Of the SIMT family: whether a thread tile is not all quads, and so the CTA tile one that fits odd sizes. */
#define GEMM_FITTED(tm, tn) ((tm) % 4 || (tn) % 4)
static inline int gemm_variant_fitted(const struct gemm_variant *v) {
    return v->family == FAMILY_SIMT && GEMM_FITTED(v->tm, v->tn);
}

/* Whether a SIMT variant's CTAs stay, to work on several tiles. */
static inline int gemm_variant_persists(const struct gemm_variant *v) {
    if (v->family == FAMILY_SIMT_ROWS) return 1;
    return v->family == FAMILY_SIMT && gemm_variant_slices(v) == 1 && !gemm_variant_fitted(v);
}

/* Whether CTAs may share the last tiles along K: evenly (stream-K, SIMT), or in equal parts of each (tf32_works.h). */
static inline int gemm_variant_shares_tiles(const struct gemm_variant *v) {
    return gemm_variant_persists(v) || v->family == FAMILY_TF32_WGMMA || v->family == FAMILY_FP16X1;
}

/* Floats of scratch that `ctas` CTAs need to share tiles: what is left of two tiles each, or of a part of one. */
static inline int64_t gemm_variant_share_floats(const struct gemm_variant *v, int ctas) {
    return (int64_t)(gemm_variant_persists(v) ? 2 : 1) * ctas * v->bm * v->bn;
}

/* Whether a variant has a kernel for these loaders. */
int gemm_variant_takes(const struct gemm_variant *variant, enum gemm_loader a, enum gemm_loader b);

/* Dynamic shared memory of a variant's kernel for these loaders, in bytes. */
int gemm_variant_shared_bytes(const struct gemm_variant *variant, enum gemm_loader a, enum gemm_loader b);

#endif
