/* The list of kernels as a table, and what follows from a row. */
#include "variants.h"

#include "fused.h"
#include "split.h"
#include "tf32.h"

const struct gemm_variant gemm_variants[VARIANT_COUNT] = {
#define VARIANT(name, family, contract, arch, bm, bn, bk, tm, tn, stages, threads, ctas, wide)                         \
    {#name, FAMILY_##family, CONTRACT_##contract, arch, bm, bn, bk, tm, tn, stages, threads, ctas, wide},
    GEMM_VARIANTS(VARIANT)
#undef VARIANT
};

int gemm_variant_takes(const struct gemm_variant *v, enum gemm_loader a, enum gemm_loader b) {
#define PAIR(unused, suffix, load_a, load_b) || (a == (load_a) && b == (load_b))
    if (v->family == FAMILY_STREAM) return 0 GEMM_STREAM_PAIRS(PAIR, unused);
    if (v->family == FAMILY_TF32_BATCH || v->family == FAMILY_TF32_KEPT) return a != LOAD_K4;
    const int any = (v->bm & (v->bm - 1)) == 0 || gemm_variant_fitted(v) || v->family == FAMILY_SIMT_ROWS;
    return any GEMM_FEW_LOADER_PAIRS(PAIR, unused);
#undef PAIR
}

/* A row of a tile (tile.cuh): where copies transpose, whole rounds of them and a pad of four; else a power of two. */
static int row_floats(const struct gemm_variant *v, int extent, enum gemm_loader loader) {
    const int round = v->threads > v->bk ? v->threads / v->bk : 1;
    int power = 1;
    if (loader == LOAD_K4) return (extent + round - 1) / round * round + 4;
    while (power < extent) power *= 2;
    return power;
}

/* The offsets of all threads' copies of a tile, in fours, where no registers hold them (tile.cuh). */
static int offset_floats(const struct gemm_variant *v, int extent, enum gemm_loader loader) {
    const int along_k = loader == LOAD_K4, vector = loader == LOAD_MN16 ? 4 : 1;
    const int copies = (row_floats(v, extent, loader) - 4 * along_k) * v->bk / vector / v->threads;
    return (copies + 3) / 4 * 4 * v->threads;
}

/*
 * sgemm_simt.cuh: stages, where slices are added too; a strip per warp that stores; what is noted of pieces of work. Of
 * fitted tiles: what is noted of copies beside the stages, and strips where all that was, but for the slices.
 */
static int simt_floats(const struct gemm_variant *v, enum gemm_loader a, enum gemm_loader b, int stages) {
    const int slices = gemm_variant_slices(v), added = slices / 2 * v->bm * v->bn;
    const int strips = v->threads / 32 / slices * 8 * GEMM_STRIP_LD(v->tm);
    const int exchanged = (slices - 1) * v->bm * v->bn; /* sgemm_sliced.cuh: where the stages were; then the strips */
    if (gemm_variant_slices_store(v)) return stages > exchanged ? stages : exchanged;
    if (!gemm_variant_fitted(v)) return (stages > added ? stages : added) + strips + GEMM_SIMT_NOTES;
    stages += offset_floats(v, v->bm, a) + offset_floats(v, v->bn, b);
    return (stages > added + strips ? stages : added + strips) + GEMM_SIMT_NOTES;
}

/* sgemm_simt_rows.cu: stages, a strip per warp that stores, notes. */
static int rows_floats(const struct gemm_variant *v) {
    return v->stages * v->bk * (v->bm + v->bn) + v->threads * GEMM_SIMT_ROWS_STRIP_LD + GEMM_SIMT_ROWS_NOTES;
}

/* sgemm_stream.cuh: columns of B twice, and each warp's rows of A in stages and its strip. */
static int stream_floats(const struct gemm_variant *v, enum gemm_loader b) {
    const int rows = 4 * v->tm;
    return v->bk * 2 * row_floats(v, v->bn, b) + v->threads / 32 * (v->stages * v->bk * rows + 8 * (rows + 16));
}

/* A tile of one operand for the tensor cores, rows padded against bank conflicts (mma_loader.cuh). */
static int mma_tile_floats(int extent, int bk, enum gemm_loader loader, int pad) {
    return loader == LOAD_K4 ? extent * (bk + 4) : bk * (extent + pad);
}

/* sgemm_skinny.cuh: each warp's stages, with padded rows of what lies along k, where all sums are added at last. */
static int skinny_floats(const struct gemm_variant *v, enum gemm_loader a, enum gemm_loader b) {
    const int longer = v->bm > v->bn ? v->bm : v->bn, shorter = v->bm > v->bn ? v->bn : v->bm;
    const int rows = 32 * v->tm * v->tn / shorter, warps = v->threads / 32, warps_k = warps * rows / longer;
    const int chunk = v->bk / warps_k, pad_long = (v->bm > v->bn ? a : b) == LOAD_K4 ? 4 : 0;
    const int pad_short = (v->bm > v->bn ? b : a) == LOAD_K4 && shorter >= 8 ? 4 : 0;
    const int stage = rows * (chunk + pad_long) + chunk * (shorter + pad_short);
    const int stages = warps * v->stages * stage, sums = warps_k * shorter * (longer + 4);
    return stages > sums ? stages : sums;
}

/* sgemm_tf32_batch.cuh: stages, where all of the tile's results go afterwards. */
static int batch_floats(const struct gemm_variant *v, enum gemm_loader a, enum gemm_loader b) {
    const int stage = mma_tile_floats(v->bm, v->bk, a, 4) + mma_tile_floats(v->bn, v->bk, b, 4);
    const int results = v->bn * (v->bm + 4);
    return v->stages * stage > results ? v->stages * stage : results;
}

/* sgemm_tf32_kept.cuh: barriers, both tiles, rows with room for a phase, and a strip of eight columns per warp. */
static int kept_floats(const struct gemm_variant *v, enum gemm_loader b) {
    const int tile_b = b == LOAD_K4 ? v->bn * (v->bk + 3) : v->bk * (v->bn + v->bn / 64 * 4), strip_ld = 80;
    return 32 + v->bk * (v->bm + 4) + tile_b + v->threads / 32 * 8 * strip_ld;
}

int gemm_variant_shared_bytes(const struct gemm_variant *v, enum gemm_loader a, enum gemm_loader b) {
    if (gemm_family_splits(v->family)) return SPLIT_SHARED_BYTES;
    if (v->family == FAMILY_FUSED) return FUSED_SHARED_BYTES;
    if (v->family == FAMILY_TF32_WGMMA) return TF32_SHARED_BYTES;
    if (v->family == FAMILY_TF32_OUTER) return (v->bm + v->bn) * v->bk * 4 + TF32_ALIGN;
    int stages = v->stages * v->bk * (row_floats(v, v->bm, a) + row_floats(v, v->bn, b));
    if (v->family == FAMILY_STREAM) return stream_floats(v, b) * 4;
    if (v->family == FAMILY_SKINNY) return skinny_floats(v, a, b) * 4;
    if (v->family == FAMILY_SIMT) return simt_floats(v, a, b, stages) * 4;
    if (v->family == FAMILY_SIMT_ROWS) return rows_floats(v) * 4;
    if (v->family == FAMILY_TF32_BATCH) return batch_floats(v, a, b) * 4;
    if (v->family == FAMILY_TF32_KEPT) return kept_floats(v, b) * 4;
    if (v->family == FAMILY_TF32_PACKED) stages = v->stages * v->bk * (v->bm + v->bn);
    if (v->family == FAMILY_FP16X1_MMA) stages = v->stages * v->bk / 2 * (v->bm + v->bn);
    const int mma_stages = v->stages * (mma_tile_floats(v->bm, v->bk, a, 4) + mma_tile_floats(v->bn, v->bk, b, 8));
    if (v->family == FAMILY_TF32_MMA) stages = mma_stages;
    if (gemm_family_split_mma(v->family)) stages = mma_stages + GEMM_SPLIT_MMA_NOTES;
    int epilogue = v->threads / 32 * 8 * (4 * v->tm + 16); /* epilogue.cuh: one strip per warp */
    return (stages > epilogue ? stages : epilogue) * 4;
}
