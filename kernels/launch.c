/* From a complete struct gemm_args to kernel launches. */
#include "launch.h"

#include "driver.h"
#include "fp16_fragments.h"
#include "simt_rows.h"
#include "split.h"
#include "tf32_fragments.h"

#ifdef FASTGEMM_HOPPER
#include "fused.h"
#include "launch_fused.h"
#include "launch_hopper.h"
#include "launch_one.h"
#include "launch_split.h"
#include "launch_tf32.h"
#endif

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include <cuda_runtime_api.h>

/* A kernel's host symbol is what cudaLaunchKernel wants; its true parameter list is of no interest here. */
#define DECLARE(name, suffix, load_a, load_b) extern void name##_##suffix(void);
#define ADDRESS(name, suffix, load_a, load_b) [load_a][load_b] = (const void *)name##_##suffix,
#define ALL_PAIRS(name, ...)                  GEMM_LOADER_PAIRS(DECLARE, name)
#define FEW_PAIRS(name, ...)                  GEMM_FEW_LOADER_PAIRS(DECLARE, name)
#define STREAM_PAIRS(name, ...)               GEMM_STREAM_PAIRS(DECLARE, name)
#define UNALIGNED_PAIRS(name, ...)            GEMM_UNALIGNED_PAIRS(DECLARE, name)
#define A_ALONG_M_PAIRS(name, ...)            GEMM_A_ALONG_M_PAIRS(DECLARE, name)
#define SHARES(name, ...)                     extern void name##_shares(void);
GEMM_SIMT_VARIANTS(ALL_PAIRS)
GEMM_SIMT_VARIANTS(SHARES)
GEMM_SIMT_ROWS_VARIANTS(SHARES)
GEMM_SLICED_VARIANTS(ALL_PAIRS)
GEMM_SIMT_FEW_VARIANTS(FEW_PAIRS)
GEMM_SIMT_FITTED_VARIANTS(ALL_PAIRS)
GEMM_STREAM_VARIANTS(STREAM_PAIRS)
GEMM_SKINNY_VARIANTS(UNALIGNED_PAIRS)
GEMM_TF32_MMA_VARIANTS(ALL_PAIRS)
GEMM_TF32_BATCH_VARIANTS(A_ALONG_M_PAIRS)
GEMM_TF32_KEPT_VARIANTS(A_ALONG_M_PAIRS)
GEMM_UNALIGNED_PAIRS(DECLARE, sgemm_split_mma_128x128x16)
#define PACKED(name, ...) extern void name(void);
GEMM_SIMT_ROWS_VARIANTS(PACKED)
GEMM_TF32_PACKED_VARIANTS(PACKED)
GEMM_FP16X1_MMA_VARIANTS(PACKED)
#undef ALL_PAIRS
#undef FEW_PAIRS
#undef STREAM_PAIRS
#undef UNALIGNED_PAIRS
#undef A_ALONG_M_PAIRS
#undef SHARES
#undef PACKED
extern void splitk_reduce(void), split_extremes(void), split_choose(void), tf32_fragments(void),
    split_one_extremes(void), split_one_choose(void), fp16_fragments(void), simt_rows(void);

static const void *const kernels[VARIANT_COUNT][LOADER_COUNT][LOADER_COUNT] = {
#define ALL_PAIRS(name, ...)       [VARIANT_##name] = {GEMM_LOADER_PAIRS(ADDRESS, name)},
#define FEW_PAIRS(name, ...)       [VARIANT_##name] = {GEMM_FEW_LOADER_PAIRS(ADDRESS, name)},
#define STREAM_PAIRS(name, ...)    [VARIANT_##name] = {GEMM_STREAM_PAIRS(ADDRESS, name)},
#define UNALIGNED_PAIRS(name, ...) [VARIANT_##name] = {GEMM_UNALIGNED_PAIRS(ADDRESS, name)},
#define A_ALONG_M_PAIRS(name, ...) [VARIANT_##name] = {GEMM_A_ALONG_M_PAIRS(ADDRESS, name)},
#define PACKED(name, ...)          [VARIANT_##name] = {{(const void *)name}},
#define SPLIT_MMA(name, ...)       [VARIANT_##name] = {GEMM_UNALIGNED_PAIRS(ADDRESS, sgemm_split_mma_128x128x16)},
    GEMM_SIMT_VARIANTS(ALL_PAIRS) GEMM_SLICED_VARIANTS(ALL_PAIRS) GEMM_SIMT_FEW_VARIANTS(FEW_PAIRS)
        GEMM_SIMT_FITTED_VARIANTS(ALL_PAIRS) GEMM_STREAM_VARIANTS(STREAM_PAIRS) GEMM_SIMT_ROWS_VARIANTS(PACKED)
            GEMM_SKINNY_VARIANTS(UNALIGNED_PAIRS) GEMM_TF32_MMA_VARIANTS(ALL_PAIRS)
                GEMM_TF32_BATCH_VARIANTS(A_ALONG_M_PAIRS) GEMM_TF32_KEPT_VARIANTS(A_ALONG_M_PAIRS)
                    GEMM_TF32_PACKED_VARIANTS(PACKED) GEMM_FP16X1_MMA_VARIANTS(PACKED)
                        GEMM_SPLIT_MMA_VARIANTS(SPLIT_MMA)
#undef ALL_PAIRS
#undef FEW_PAIRS
#undef STREAM_PAIRS
#undef UNALIGNED_PAIRS
#undef A_ALONG_M_PAIRS
#undef SPLIT_MMA
#undef PACKED
};

/* Of persistent variants: the kernel that adds what CTAs left of shared tiles. */
static const void *const shares_kernels[VARIANT_COUNT] = {
#define SHARES(name, ...) [VARIANT_##name] = (const void *)name##_shares,
    GEMM_SIMT_VARIANTS(SHARES) GEMM_SIMT_ROWS_VARIANTS(SHARES)
#undef SHARES
};

enum {
    MAX_DEVICES = 64,
    MAX_GRID_YZ = 65535,
    DEFAULT_SHARED_BYTES = 48 * 1024,
    EXTREMES_THREADS = 256,
    REDUCE_ROWS = 128,
    REDUCE_THREADS = 256,
    REDUCE_SHARED_BYTES = REDUCE_THREADS * 16,
    REDUCE_COLUMNS = REDUCE_THREADS / (REDUCE_ROWS / 4),
    SHARES_FLOATS = 256 * 4 /* of a CTA of simt_shares.cu */
};

static int index_of(const struct gemm_variant *variant) {
    return (int)(variant - gemm_variants);
}

static const void *kernel_of(const struct gemm_variant *v, enum gemm_loader a, enum gemm_loader b) {
    const bool any = gemm_family_split_mma(v->family) || v->family == FAMILY_SKINNY || v->family == FAMILY_TF32_BATCH ||
                     v->family == FAMILY_TF32_KEPT; /* alignment */
    if (gemm_family_packed(v->family) || v->family == FAMILY_SIMT_ROWS) return kernels[index_of(v)][0][0];
    return kernels[index_of(v)][any && a == LOAD_MN16 ? LOAD_MN4 : a][any && b == LOAD_MN16 ? LOAD_MN4 : b];
}

/* Loads what a launch needs. This may be the first call in a process that is capturing: loading is no part of that. */
static cudaError_t load(const struct gemm_variant *v, const void *kernel, int shared_bytes) {
    const void *shares = shares_kernels[index_of(v)];
    const bool scales = v->family == FAMILY_FP16X1_MMA, packs = v->family == FAMILY_TF32_PACKED;
    const bool looks = gemm_family_split_mma(v->family), rows = v->family == FAMILY_SIMT_ROWS;
    enum cudaStreamCaptureMode mode = cudaStreamCaptureModeRelaxed;
    struct cudaFuncAttributes attributes;
    cudaError_t error = cudaThreadExchangeStreamCaptureMode(&mode);
    if (error != cudaSuccess) return error;
    error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, shared_bytes);
    if (error == cudaSuccess) error = cudaFuncGetAttributes(&attributes, (const void *)splitk_reduce);
    if (error == cudaSuccess && looks) error = cudaFuncGetAttributes(&attributes, (const void *)split_extremes);
    if (error == cudaSuccess && looks) error = cudaFuncGetAttributes(&attributes, (const void *)split_choose);
    if (error == cudaSuccess && scales) error = cudaFuncGetAttributes(&attributes, (const void *)split_one_extremes);
    if (error == cudaSuccess && scales) error = cudaFuncGetAttributes(&attributes, (const void *)split_one_choose);
    if (error == cudaSuccess && scales) error = cudaFuncGetAttributes(&attributes, (const void *)fp16_fragments);
    if (error == cudaSuccess && packs) error = cudaFuncGetAttributes(&attributes, (const void *)tf32_fragments);
    if (error == cudaSuccess && shares) error = cudaFuncGetAttributes(&attributes, shares);
    if (error == cudaSuccess && rows) error = cudaFuncGetAttributes(&attributes, (const void *)simt_rows);
    cudaThreadExchangeStreamCaptureMode(&mode);
    return error;
}

#ifdef FASTGEMM_HOPPER
/* Scratch is shared out between planes and partial sums. */
static int launch_chunk(enum gemm_family family, enum gemm_loader a, enum gemm_loader b, const struct gemm_args *args,
                        void *stream) {
    if (family == FAMILY_FP16X1)
        return one_launch(&gemm_variants[VARIANT_sgemm_fp16x1_wgmma_256x128x64], a, b, args, stream);
    struct split_args split = {.gemm = *args, .a_along_k = a == LOAD_K4, .b_along_k = b == LOAD_K4};
    char *scratch = (char *)args->partial;
    split.gemm.partial = NULL;
    if (args->splits > 1)
        split.gemm.partial = (float *)(scratch + split_scratch_bytes(args->m, args->n, args->k, args->batch));
    return split_launch(split, family == FAMILY_FP16X3 ? SPLIT_FP16X3 : SPLIT_BF16X6, scratch, args->ctas, stream);
}
#endif

/* The families of split operands, a chunk of K after the other. */
static int launch_planes(enum gemm_family family, enum gemm_loader a, enum gemm_loader b, const struct gemm_args *args,
                         void *stream) {
#ifdef FASTGEMM_HOPPER
    int error = cudaSuccess;
    for (int64_t k = 0; k < args->k && error == cudaSuccess; k += args->k_chunk) {
        struct gemm_args part = *args;
        part.a += k * (a == LOAD_K4 ? 1 : args->lda);
        part.b += k * (b == LOAD_K4 ? 1 : args->ldb);
        part.k = (int)(args->k - k < args->k_chunk ? args->k - k : args->k_chunk);
        if (k) { /* adds to what the chunk before left in D */
            part.c = part.d, part.ldc = part.ldd, part.stride_c = part.stride_d;
            part.beta = 1.0f, part.beta_ptr = NULL;
        }
        if (k + part.k < args->k) part.bias = NULL, part.activation = ACTIVATION_none;
        error = launch_chunk(family, a, b, &part, stream);
    }
    return error;
#else
    (void)family, (void)a, (void)b, (void)args, (void)stream;
    return cudaErrorNotSupported;
#endif
}

int gemm_launch_prepare(const struct gemm_variant *variant, enum gemm_loader a, enum gemm_loader b) {
    static atomic_bool ready[MAX_DEVICES][VARIANT_COUNT][LOADER_COUNT][LOADER_COUNT];
    int device = 0;
    if (gemm_family_wgmma(variant->family)) return cudaSuccess; /* at its launch */
    cudaError_t error = driver_current_device(&device);
    if (error != cudaSuccess) return error;
    atomic_bool *done = device < MAX_DEVICES ? &ready[device][index_of(variant)][a][b] : NULL;
    if (done && atomic_load_explicit(done, memory_order_acquire)) return cudaSuccess;
    error = load(variant, kernel_of(variant, a, b), gemm_variant_shared_bytes(variant, a, b));
    if (error != cudaSuccess) {
        cudaGetLastError(); /* not the program's error: it must not find it */
        return error;
    }
    if (done) atomic_store_explicit(done, true, memory_order_release);
    return cudaSuccess;
}

static cudaError_t launch(const void *kernel, dim3 grid, int threads, int shared, void *args, cudaStream_t stream) {
    void *argv[] = {args};
    cudaError_t error = cudaLaunchKernel(kernel, grid, (dim3){(unsigned)threads, 1, 1}, argv, (size_t)shared, stream);
    if (error != cudaSuccess) cudaGetLastError();
    return error;
}

/* A CTA per tile, or as many as stay. */
static unsigned simt_ctas(const struct gemm_variant *v, struct gemm_args *args) {
    const int tiles = args->tiles_m * args->tiles_n * args->splits * args->batch;
    const int room = gemm_variant_persists(v) && args->ctas > 0 ? args->ctas : tiles;
    args->ctas = args->shared_tiles || tiles > room ? room : tiles;
    return (unsigned)args->ctas;
}

/* A kernel that, where it `overlaps`, waits itself for the one before it, and may start while that drains. */
static cudaError_t launch_early(const void *kernel, dim3 grid, int threads, int shared, bool overlaps, void *args,
                                cudaStream_t stream) {
#ifdef FASTGEMM_HOPPER
    if (overlaps) {
        const struct launch_shape shape = {grid, threads, shared, true};
        cudaError_t error = launch_overlapping((void (*)(void))kernel, shape, args, stream);
        if (error != cudaSuccess) cudaGetLastError(); /* not the program's error: it must not find it */
        return error;
    }
#else
    (void)overlaps;
#endif
    return launch(kernel, grid, threads, shared, args, stream);
}

/* The variant's own kernel. */
static cudaError_t launch_product(const struct gemm_variant *v, enum gemm_loader a, enum gemm_loader b, dim3 grid,
                                  bool overlaps, void *args, cudaStream_t stream) {
    return launch_early(kernel_of(v, a, b), grid, v->threads, gemm_variant_shared_bytes(v, a, b), overlaps, args,
                        stream);
}

/* What CTAs shared is added. */
static cudaError_t launch_shares(const struct gemm_variant *v, struct gemm_args *args, cudaStream_t stream) {
    const bool rows = v->family == FAMILY_SIMT_ROWS;
    const int floats = rows ? SIMT_ROWS_SHARES_QUADS * SHARES_FLOATS : SHARES_FLOATS;
    const dim3 grid = {(unsigned)(v->bm * v->bn / floats), (unsigned)args->shared_tiles, 1};
    if (!args->shared_tiles) return cudaSuccess;
    return launch_early(shares_kernels[index_of(v)], grid, SHARES_FLOATS / 4, 0, rows, args, stream);
}

/* Whether the current device starts kernels early. */
static bool starts_early(void) {
    int device = 0, major = 0;
    if (driver_current_device(&device) != cudaSuccess) return false;
    return cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device) == cudaSuccess && major >= 9;
}

static cudaError_t launch_simt(const struct gemm_variant *v, enum gemm_loader a, enum gemm_loader b,
                               struct gemm_args *args, cudaStream_t stream) {
    dim3 grid = {simt_ctas(v, args), 1, 1};
    const bool overlaps = gemm_variant_slices_store(v) && starts_early();
    cudaError_t error = launch_product(v, a, b, grid, overlaps, args, stream);
    return error == cudaSuccess ? launch_shares(v, args, stream) : error;
}

/* Of splitk_reduce.cu: a block's warps take a column each, or share one where there are many splits. */
static dim3 reduce_grid(const struct gemm_args *args) {
    int columns = args->splits > REDUCE_COLUMNS ? 1 : REDUCE_COLUMNS, groups = (args->n + columns - 1) / columns;
    return (dim3){(unsigned)((args->m + REDUCE_ROWS - 1) / REDUCE_ROWS),
                  (unsigned)(groups < MAX_GRID_YZ ? groups : MAX_GRID_YZ), (unsigned)args->batch};
}

static cudaError_t launch_reduce(struct gemm_args *args, cudaStream_t stream) {
    return launch((const void *)splitk_reduce, reduce_grid(args), REDUCE_THREADS, REDUCE_SHARED_BYTES, args, stream);
}

/* Looks at the operands, chunk by chunk, and what follows from it. */
static cudaError_t launch_looks(struct split_args *looks, const void *extremes, const void *choose,
                                cudaStream_t stream) {
    const unsigned units = (unsigned)(looks->rows / SPLIT_UNIT_ROWS), batch = (unsigned)looks->gemm.batch;
    cudaError_t error = launch(extremes, (dim3){units, (unsigned)looks->chunks, batch}, EXTREMES_THREADS,
                               12 * SPLIT_UNIT_ROWS, looks, stream);
    return error == cudaSuccess ? launch(choose, (dim3){units, batch, 1}, SPLIT_UNIT_ROWS, 0, looks, stream) : error;
}

/* The pass, where an operand has to be brought, and the product of what lies there then. */
static cudaError_t launch_rows(const struct gemm_variant *v, enum gemm_loader a, enum gemm_loader b,
                               const struct gemm_args *args, cudaStream_t stream) {
    struct gemm_args product = *args;
    struct simt_rows_pass pass = simt_rows_place(&product, a, b, args->partial);
    const unsigned units = (unsigned)(pass.a.units + pass.b.units) * (unsigned)pass.chunks; /* none without k */
    const dim3 grid = {simt_ctas(v, &product), 1, 1};
    cudaError_t error = cudaSuccess;
    if (units) error = launch((const void *)simt_rows, (dim3){units, 1, 1}, SIMT_ROWS_THREADS, 0, &pass, stream);
    if (error == cudaSuccess) error = launch_product(v, a, b, grid, units > 0, &product, stream);
    if (error == cudaSuccess) error = launch_shares(v, &product, stream);
    return error == cudaSuccess && args->splits > 1 ? launch_reduce(&product, stream) : error;
}

/* A look at the operands, the product by what was seen, and the sum of a split. Of scratch the notes come first. */
static cudaError_t launch_split_mma(const struct gemm_variant *v, enum gemm_loader a, enum gemm_loader b,
                                    const struct gemm_args *args, cudaStream_t stream) {
    struct split_args split = {.gemm = *args, .a_along_k = a == LOAD_K4, .b_along_k = b == LOAD_K4};
    char *const scratch = (char *)args->partial;
    const int64_t notes = split_looks_bytes(args->m, args->n, args->k, args->batch);
    split.gemm.partial = args->splits > 1 ? (float *)(scratch + notes) : NULL;
    split_args_place_looks(&split, v->family == FAMILY_FP16X3_MMA ? SPLIT_FP16X3 : SPLIT_BF16X6, scratch);
    cudaError_t error = launch_looks(&split, (const void *)split_extremes, (const void *)split_choose, stream);
    if (error != cudaSuccess) return error;
    dim3 grid = {(unsigned)(args->tiles_m * args->tiles_n), (unsigned)args->splits, (unsigned)args->batch};
    error = launch_product(v, a, b, grid, false, &split, stream);
    return error == cudaSuccess && args->splits > 1 ? launch_reduce(&split.gemm, stream) : error;
}

/* Both operands packed into scratch, the product of what lies there, and the sum of a split. */
static cudaError_t launch_packed(const struct gemm_variant *v, enum gemm_loader a, enum gemm_loader b,
                                 const struct gemm_args *args, cudaStream_t stream) {
    struct gemm_args product = *args;
    struct tf32_fragments_args pass = tf32_fragments_place(&product, a == LOAD_K4, b == LOAD_K4, args->partial);
    const unsigned units = (unsigned)(pass.a.units + pass.b.units); /* none without k */
    cudaError_t error = cudaSuccess;
    if (units)
        error = launch((const void *)tf32_fragments, (dim3){units, 1, 1}, TF32_FRAGMENT_THREADS,
                       TF32_FRAGMENT_SHARED_BYTES, &pass, stream);
    dim3 grid = {(unsigned)(args->tiles_m * args->tiles_n), (unsigned)args->splits, (unsigned)args->batch};
    if (error == cudaSuccess) error = launch_product(v, a, b, grid, false, &product, stream);
    return error == cudaSuccess && args->splits > 1 ? launch_reduce(&product, stream) : error;
}

/* A look at the operands, both scaled and packed into scratch, the product of what lies there, and the sum of a split.
 */
static cudaError_t launch_fp16x1_mma(const struct gemm_variant *v, enum gemm_loader a, enum gemm_loader b,
                                     const struct gemm_args *args, cudaStream_t stream) {
    struct split_args looks;
    struct fp16_fragments_args all = fp16_fragments_place(&looks, args, a == LOAD_K4, b == LOAD_K4, args->partial);
    const unsigned units = (unsigned)(all.a.units + all.b.units); /* none without k */
    dim3 grid = {(unsigned)(args->tiles_m * args->tiles_n), (unsigned)args->splits, (unsigned)args->batch};
    cudaError_t error = launch_looks(&looks, (const void *)split_one_extremes, (const void *)split_one_choose, stream);
    if (error == cudaSuccess && units)
        error = launch((const void *)fp16_fragments, (dim3){units, 1, 1}, TF32_FRAGMENT_THREADS,
                       FP16_FRAGMENT_SHARED_BYTES, &all, stream);
    if (error == cudaSuccess) error = launch_product(v, a, b, grid, false, &all, stream);
    return error == cudaSuccess && args->splits > 1 ? launch_reduce(&all.product, stream) : error;
}

static cudaError_t count_sms(int *sms) {
    int device = 0;
    cudaError_t error = driver_current_device(&device);
    return error == cudaSuccess ? cudaDeviceGetAttribute(sms, cudaDevAttrMultiProcessorCount, device) : error;
}

/* For each row of tiles a CTA, or as many as keep all SMs busy: each reads A. */
static cudaError_t launch_kept(const struct gemm_variant *v, enum gemm_loader a, enum gemm_loader b,
                               struct gemm_args *args, cudaStream_t stream) {
    int sms = args->ctas;
    cudaError_t error = sms > 0 ? cudaSuccess : count_sms(&sms);
    if (error != cudaSuccess) return error;
    const int busy = sms / (args->tiles_m * args->batch), sharing = busy < 1 ? 1 : busy;
    const unsigned columns = (unsigned)(sharing < args->tiles_n ? sharing : args->tiles_n);
    const dim3 grid = {(unsigned)args->tiles_m * columns, 1, (unsigned)args->batch};
    return launch_product(v, a, b, grid, true, args, stream);
}

static cudaError_t launch_batches(const struct gemm_variant *v, enum gemm_loader a, enum gemm_loader b,
                                  struct gemm_args *args, cudaStream_t stream) {
    dim3 grid = {(unsigned)(args->tiles_m * args->tiles_n), (unsigned)args->splits, (unsigned)args->batch};
    if (gemm_family_split_mma(v->family)) return launch_split_mma(v, a, b, args, stream);
    if (v->family == FAMILY_TF32_PACKED) return launch_packed(v, a, b, args, stream);
    if (v->family == FAMILY_FP16X1_MMA) return launch_fp16x1_mma(v, a, b, args, stream);
    if (v->family == FAMILY_SIMT_ROWS) return launch_rows(v, a, b, args, stream);
    if (v->family == FAMILY_TF32_KEPT) return launch_kept(v, a, b, args, stream);
    cudaError_t error = v->family == FAMILY_SIMT ? launch_simt(v, a, b, args, stream)
                                                 : launch_product(v, a, b, grid, false, args, stream);
    return error == cudaSuccess && args->splits > 1 ? launch_reduce(args, stream) : error;
}

/* Operands that are split as they are read. C is added to sums that are known to be good, so in partial ones. */
static int launch_fused(enum gemm_loader a, enum gemm_loader b, const struct gemm_args *args, void *stream) {
#ifdef FASTGEMM_HOPPER
    struct gemm_args product = *args;
    char *scratch = (char *)args->partial;
    const bool partial = args->splits > 1 || args->beta_ptr || args->beta != 0.0f;
    product.partial = partial ? (float *)(scratch + FUSED_SCRATCH_BYTES) : NULL;
    return fused_launch(&product, a == LOAD_K4, b == LOAD_K4, scratch, stream);
#else
    (void)a, (void)b, (void)args, (void)stream;
    return cudaErrorNotSupported;
#endif
}

/* TF32 on Hopper: operands that go through scratch first, partial sums after them. */
static cudaError_t launch_tf32(const struct gemm_variant *v, enum gemm_loader a, enum gemm_loader b,
                               struct gemm_args *args, cudaStream_t stream) {
#ifdef FASTGEMM_HOPPER
    char *scratch = (char *)args->partial;
    float *const sums = (float *)(scratch + tf32_launch_operand_bytes(v, a, b, args)); /* after the operands */
    args->partial = args->splits > 1 ? sums : NULL;
    args->shares = args->shared_tiles ? sums : NULL;
    cudaError_t error = (cudaError_t)tf32_launch(v, a, b, args, scratch, stream);
    if (error != cudaSuccess || args->splits <= 1) return error;
    return launch_early((const void *)splitk_reduce, reduce_grid(args), REDUCE_THREADS, REDUCE_SHARED_BYTES, true, args,
                        stream);
#else
    (void)v, (void)a, (void)b, (void)args, (void)stream;
    return cudaErrorNotSupported;
#endif
}

/* Persistent CTAs: as many as the SMs hold, or as there are tiles. */
static cudaError_t launch_stream(const struct gemm_variant *v, enum gemm_loader a, enum gemm_loader b,
                                 struct gemm_args *args, cudaStream_t stream) {
    int sms = args->ctas;
    cudaError_t error = gemm_launch_prepare(v, a, b);
    if (error == cudaSuccess && sms <= 0) error = count_sms(&sms);
    if (error != cudaSuccess) return error;
    int64_t tiles = (int64_t)args->tiles_m * args->tiles_n * args->batch, room = (int64_t)sms * v->ctas_per_sm;
    dim3 grid = {(unsigned)(tiles < room ? tiles : room), 1, 1};
    return launch_product(v, a, b, grid, false, args, stream);
}

int gemm_launch(const struct gemm_variant *variant, enum gemm_loader a, enum gemm_loader b, struct gemm_args args,
                void *stream) {
    if (gemm_family_splits(variant->family)) return launch_planes(variant->family, a, b, &args, stream);
    if (variant->family == FAMILY_FUSED) return launch_fused(a, b, &args, stream);
    if (gemm_family_tf32_copied(variant->family)) return launch_tf32(variant, a, b, &args, stream);
    if (variant->family == FAMILY_STREAM) return launch_stream(variant, a, b, &args, stream);
    cudaError_t error = gemm_launch_prepare(variant, a, b);
    const int64_t fit = INT32_MAX / ((int64_t)args.tiles_m * args.tiles_n * args.splits);
    const int most = fit > MAX_GRID_YZ ? MAX_GRID_YZ : fit > 1 ? (int)fit : 1; /* in one launch */
    int left = args.batch;
    if (args.shared_tiles && variant->family == FAMILY_SIMT) args.shares = args.partial, args.partial = NULL;
    while (error == cudaSuccess && left > 0) {
        args.batch = left < most ? left : most;
        error = launch_batches(variant, a, b, &args, stream);
        left -= args.batch;
        args.a += args.batch * args.stride_a;
        args.b += args.batch * args.stride_b;
        args.c += args.batch * args.stride_c;
        args.d += args.batch * args.stride_d;
        if (args.a_list) args.a_list += args.batch;
        if (args.b_list) args.b_list += args.batch;
        if (args.c_list) args.c_list += args.batch;
        if (args.d_list) args.d_list += args.batch;
        if (args.bias) args.bias += args.batch * args.stride_bias;
    }
    return error;
}
