/*
 * The pass over operands that need one, the product, and the sum of tiles that CTAs shared, one after another in the
 * stream; each may start while the one before drains (programmatic dependent launch).
 */
#include "launch_tf32.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include <cuda_runtime_api.h>

#include "driver.h"
#include "launch_hopper.h"
#include "tf32.h"
#include "tf32_args.h"
#include "tf32_pack.h"
#include "tf32_place.h"
#include "split.h"
#include "tf32_second.h"
#include "tf32_shares.h"

#define DECLARE(name, ...) extern void name##_m(void), name##_k(void), name##_s(void);
#define ADDRESSES(name, ...)                                                                                           \
    [VARIANT_##name - FIRST] = {[TF32_A_ALONG_M] = name##_m, [TF32_A_ALONG_K] = name##_k, [TF32_A_SHIFTED] = name##_s},
GEMM_TF32_WGMMA_VARIANTS(DECLARE)
#define DECLARE_OUTER(name, ...) extern void name##_m(void), name##_k(void);
#define ADDRESSES_OUTER(name, ...)                                                                                     \
    [VARIANT_##name - FIRST] = {[TF32_A_ALONG_M] = name##_m, [TF32_A_ALONG_K] = name##_k},
GEMM_TF32_OUTER_VARIANTS(DECLARE_OUTER)
extern void tf32_pack(void), tf32_shares(void), splitk_reduce(void);
extern void tf32_pack_second(void), sgemm_tf32_second_m(void), sgemm_tf32_second_k(void);

enum { SECOND_THREADS = 384, SECOND_RASTER = 8 };
static const struct gemm_variant *const SECOND = &gemm_variants[VARIANT_sgemm_tf32_wgmma_256x128x32];
enum {
#define COUNT(...) +1
    KERNELS = 0 GEMM_TF32_WGMMA_VARIANTS(COUNT) GEMM_TF32_OUTER_VARIANTS(COUNT),
#undef COUNT
    FIRST = VARIANT_sgemm_tf32_wgmma_256x128x32
};
static void (*const kernels[KERNELS][TF32_A_COUNT])(void) = {GEMM_TF32_WGMMA_VARIANTS(ADDRESSES)
                                                                 GEMM_TF32_OUTER_VARIANTS(ADDRESSES_OUTER)};

/* Whatever the loaders. */
static int shared_bytes(const struct gemm_variant *v) {
    return gemm_variant_shared_bytes(v, LOAD_MN4, LOAD_MN4);
}

/* What a device needs before the first launch. */
static cudaError_t load(int device, int *sm_count) {
    struct cudaFuncAttributes attributes;
    cudaError_t error = cudaDeviceGetAttribute(sm_count, cudaDevAttrMultiProcessorCount, device);
    for (int i = 0; i < TF32_A_COUNT * KERNELS && error == cudaSuccess; i++) {
        void (*const kernel)(void) = kernels[i / TF32_A_COUNT][i % TF32_A_COUNT];
        if (kernel)
            error = cudaFuncSetAttribute((const void *)kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                         shared_bytes(&gemm_variants[FIRST + i / TF32_A_COUNT]));
    }
    if (error == cudaSuccess) error = cudaFuncGetAttributes(&attributes, (const void *)tf32_pack);
    if (error == cudaSuccess) error = cudaFuncGetAttributes(&attributes, (const void *)tf32_shares);
    if (error == cudaSuccess) error = cudaFuncGetAttributes(&attributes, (const void *)splitk_reduce);
    return error;
}

static cudaError_t make_ready(int *sm_count) {
    static atomic_int known[LAUNCH_DEVICES];
    return launch_make_ready(known, load, sm_count);
}

/* One side of the product: as the caller has it, then as the kernel reads it. */
struct side {
    const float *at;
    struct tf32_operand operand;
    bool packed, shifted;
};

static struct side side_of(const struct gemm_variant *v, const struct gemm_args *g, enum gemm_loader loader, bool a) {
    const float *at = a ? g->a : g->b;
    struct side side = {.at = at};
    side.operand = (struct tf32_operand){.rows = a ? g->m : g->n,
                                         .k = g->k,
                                         .batch = g->batch,
                                         .ld = a ? g->lda : g->ldb,
                                         .stride = a ? g->stride_a : g->stride_b,
                                         .along_k = loader == LOAD_K4,
                                         .align = (uintptr_t)at % 16 ? 4 : 16,
                                         .shifts = tf32_shifts(g->n, v->bn)};
    side.packed = tf32_packed(&side.operand, a);
    side.shifted = tf32_shifted(&side.operand, a);
    return side;
}

static int64_t packed_bytes(const struct side *side) {
    return side->packed ? tf32_packed_bytes(&side->operand) : 0;
}

int64_t tf32_launch_operand_bytes(const struct gemm_variant *v, enum gemm_loader a, enum gemm_loader b,
                                  const struct gemm_args *gemm) {
    const struct side side_a = side_of(v, gemm, a, true), side_b = side_of(v, gemm, b, false);
    return packed_bytes(&side_a) + packed_bytes(&side_b);
}

static int tiles(int64_t extent, int tile) {
    return (int)((extent + tile - 1) / tile);
}

/* Has the pass bring this side to `to`, and describes it as it lies there. */
static struct tf32_copy pack(struct side *side, float *to) {
    struct tf32_operand *o = &side->operand;
    struct tf32_copy copy = {.from = side->at,
                             .to = to,
                             .ld = o->ld,
                             .stride = o->stride,
                             .to_ld = tf32_packed_ld(o),
                             .to_stride = tf32_packed_rows(o) * tf32_packed_ld(o),
                             .rows = (int)o->rows,
                             .k = (int)o->k,
                             .along_k = o->along_k,
                             .row_tiles = tiles(o->rows, TF32_PACK_ROWS),
                             .k_tiles = tiles(o->k, TF32_PACK_K)};
    copy.tiles = copy.row_tiles * copy.k_tiles * (int)tf32_matrices(o);
    side->at = to;
    o->rows = tf32_packed_rows(o);
    o->ld = copy.to_ld;
    if (o->stride) o->stride = copy.to_stride;
    o->along_k = true;
    return copy;
}

static cudaError_t describe(CUtensorMap *map, const float *at, const struct launch_tensor *t) {
    return launch_describe(map, CU_TENSOR_MAP_DATA_TYPE_TFLOAT32, CU_TENSOR_MAP_SWIZZLE_128B, at, t);
}

/* An operand along k, `rows` of it a box. */
static cudaError_t describe_rows(CUtensorMap *map, const struct side *side, int rows) {
    const struct tf32_operand *o = &side->operand;
    const int64_t ld = o->ld, matrices = tf32_matrices(o);
    const struct launch_tensor t = {.size = {o->k, o->rows, 1, 1, matrices},
                                    .step = {ld, ld, ld, matrices > 1 ? o->stride : ld},
                                    .box = {TF32_TILE_K, rows, 1, 1, 1}};
    return describe(map, side->at, &t);
}

/* A along k, each fourth row of 32 together (tf32_place.h). */
static cudaError_t describe_quads(CUtensorMap *map, const struct side *side, int rows) {
    const struct tf32_operand *o = &side->operand;
    const int64_t ld = o->ld, matrices = tf32_matrices(o);
    const struct launch_tensor t = {.size = {o->k, TF32_GROUP_ROWS, TF32_GROUPS, o->rows / TF32_BOX_ROWS, matrices},
                                    .step = {TF32_GROUPS * ld, ld, TF32_BOX_ROWS * ld, matrices > 1 ? o->stride : ld},
                                    .box = {TF32_TILE_K, TF32_GROUP_ROWS, TF32_GROUPS, rows / TF32_BOX_ROWS, 1}};
    return describe(map, side->at, &t);
}

/* The same where A has no whole 32 rows, but whole quads: a box of 32 rows at a time. */
static cudaError_t describe_single_quads(CUtensorMap *map, const struct side *side) {
    const struct tf32_operand *o = &side->operand;
    const int64_t ld = o->ld, matrices = tf32_matrices(o);
    const struct launch_tensor t = {.size = {o->k, o->rows / TF32_GROUPS, TF32_GROUPS, 1, matrices},
                                    .step = {TF32_GROUPS * ld, ld, ld, matrices > 1 ? o->stride : ld},
                                    .box = {TF32_TILE_K, TF32_GROUP_ROWS, TF32_GROUPS, 1, 1}};
    return describe(map, side->at, &t);
}

/* A along m: boxes of 32 m by 32 k, `rows` of them in one if A has whole ones only. */
static cudaError_t describe_columns(CUtensorMap *map, const struct side *side, int rows, bool whole) {
    const struct tf32_operand *o = &side->operand;
    const int64_t ld = o->ld, matrices = tf32_matrices(o);
    const struct launch_tensor t = {
        .size = {whole ? TF32_BOX_ROWS : o->rows, o->k, 1, whole ? o->rows / TF32_BOX_ROWS : 1, matrices},
        .step = {ld, ld, whole ? TF32_BOX_ROWS : ld, matrices > 1 ? o->stride : ld},
        .box = {TF32_BOX_ROWS, TF32_TILE_K, 1, whole ? rows / TF32_BOX_ROWS : 1, 1}};
    return describe(map, side->at, &t);
}

/* Every fourth k of a shifted A, from the `k`-th on, of every `every`-th matrix from the `matrix`-th on. */
static cudaError_t describe_class(CUtensorMap *map, const struct side *side, int matrix, int k, int every) {
    const struct tf32_operand *o = &side->operand;
    const int64_t matrices = (tf32_matrices(o) - matrix + every - 1) / every, step = TF32_SHIFTS * o->ld;
    const uintptr_t at = (uintptr_t)(side->at + matrix * o->stride + k * o->ld);
    const struct launch_tensor t = {.size = {o->rows + (int64_t)(at % 16 / sizeof(float)),
                                             (o->k - k + TF32_SHIFTS - 1) / TF32_SHIFTS, 1, 1, matrices},
                                    .step = {step, step, step, matrices > 1 ? every * o->stride : step},
                                    .box = {TF32_SLOT_FLOATS, TF32_TILE_K / TF32_SHIFTS, 1, 1, 1}};
    return launch_describe(map, CU_TENSOR_MAP_DATA_TYPE_TFLOAT32, CU_TENSOR_MAP_SWIZZLE_NONE,
                           (const float *)(at - at % 16), &t);
}

static cudaError_t describe_shifted(struct tf32_shifted_args *args, const struct side *a) {
    const int64_t matrices = tf32_matrices(&a->operand);
    const int every = matrices > 1 && a->operand.stride % TF32_SHIFTS ? TF32_SHIFTS : 1;
    cudaError_t error = cudaSuccess;
    args->every = every;
    for (int at = 0; at < every * TF32_SHIFTS && at / TF32_SHIFTS < matrices && error == cudaSuccess; at++)
        error =
            describe_class(&args->a[at / TF32_SHIFTS][at % TF32_SHIFTS], a, at / TF32_SHIFTS, at % TF32_SHIFTS, every);
    return error;
}

/* Whether D, or the partial sums, can be stored in quads (epilogue.cuh). */
static bool takes_quads(const struct gemm_args *g) {
    const int64_t steps = g->partial ? g->m : g->m | g->ldc | g->ldd;
    return steps % 4 == 0 && (g->partial || ((uintptr_t)g->c | (uintptr_t)g->d) % 16 == 0);
}

static cudaError_t describe_a(struct tf32_args *args, const struct side *a, int rows) {
    const bool whole = a->operand.rows % TF32_BOX_ROWS == 0, along_k = a->operand.along_k;
    const bool quads = a->operand.rows % TF32_GROUPS == 0 && takes_quads(&args->gemm);
    args->order = along_k && quads ? TF32_QUADS : TF32_PLAIN;
    args->whole_boxes = whole && (quads || !along_k);
    if (!along_k) return describe_columns(&args->a, a, rows, whole);
    if (!quads) return describe_rows(&args->a, a, rows);
    return whole ? describe_quads(&args->a, a, rows) : describe_single_quads(&args->a, a);
}

int tf32_add_shares(const struct gemm_variant *v, const struct gemm_args *gemm, void *stream) {
    struct tf32_shares_args args = {.gemm = *gemm, .bm = v->bm, .bn = v->bn};
    const struct launch_shape shape = {
        .grid = {(unsigned)(v->bm * v->bn / 4 / TF32_SHARES_THREADS), (unsigned)gemm->shared_tiles, 1},
        .threads = TF32_SHARES_THREADS,
        .overlaps = true};
    return launch_overlapping(tf32_shares, shape, &args, stream);
}

static void (*kernel_of(const struct gemm_variant *v, const struct side *a))(void) {
    const enum tf32_a way = a->shifted ? TF32_A_SHIFTED : a->operand.along_k ? TF32_A_ALONG_K : TF32_A_ALONG_M;
    return kernels[v - gemm_variants - FIRST][way];
}

/* Of those that stay; of others one for each tile. */
static unsigned ctas_of(const struct gemm_variant *v, const struct gemm_args *gemm, int sm_count) {
    const int64_t items = (int64_t)gemm->tiles_m * gemm->tiles_n * gemm->splits * gemm->batch;
    if (v->family == FAMILY_TF32_OUTER) return (unsigned)items;
    const int64_t most = gemm->ctas > 0 && gemm->ctas < sm_count ? gemm->ctas : sm_count;
    if (gemm->shared_tiles) return (unsigned)gemm->ctas;
    return (unsigned)(items < most ? items : most);
}

/*
 * Whether the first kernel may be set up while what is before it in the stream, whatever that is, runs to its end: its
 * grid_wait comes before it reads or writes. Not under capture, where that would be another kind of edge.
 */
static bool may_start_early(cudaStream_t stream) {
    enum cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
    const cudaError_t error = driver_capture_status(stream, &status);
    if (error != cudaSuccess) cudaGetLastError();
    return error == cudaSuccess && status == cudaStreamCaptureStatusNone;
}

static cudaError_t run(const struct gemm_variant *v, struct side *a, struct side *b, const struct gemm_args *gemm,
                       char *scratch, cudaStream_t stream) {
    struct tf32_shifted_args shifted;
    struct tf32_args *const args = &shifted.of_all;
    struct tf32_pack_args pass = {.a = {.tiles = 0}};
    float *const second = (float *)(scratch + packed_bytes(a));
    int sm_count = 0;
    if (a->packed) pass.a = pack(a, (float *)scratch);
    if (b->packed) pass.b = pack(b, second);
    args->gemm = *gemm;
    args->walk = tf32_walk_of(gemm);
    args->a_step = a->operand.stride != 0;
    args->b_step = b->operand.stride != 0;
    cudaError_t error = make_ready(&sm_count);
    if (error == cudaSuccess) error = a->shifted ? describe_shifted(&shifted, a) : describe_a(args, a, v->bm);
    if (error == cudaSuccess) error = describe_rows(&args->b, b, v->bn);
    const unsigned copies = (unsigned)(pass.a.tiles + pass.b.tiles);
    const bool early = may_start_early(stream);
    if (error == cudaSuccess && copies)
        error = launch_overlapping(
            tf32_pack, (struct launch_shape){{copies, 1, 1}, TF32_PACK_THREADS, TF32_PACK_SHARED_BYTES, early}, &pass,
            stream);
    if (error != cudaSuccess) return error;
    const struct launch_shape product = {
        {ctas_of(v, gemm, sm_count), 1, 1}, v->threads, shared_bytes(v), early || copies > 0};
    error = launch_overlapping(kernel_of(v, a), product, &shifted, stream);
    return error == cudaSuccess && gemm->shared_tiles ? (cudaError_t)tf32_add_shares(v, gemm, stream) : error;
}

int tf32_launch(const struct gemm_variant *variant, enum gemm_loader a, enum gemm_loader b,
                const struct gemm_args *gemm, void *scratch, void *stream) {
    struct side side_a = side_of(variant, gemm, a, true), side_b = side_of(variant, gemm, b, false);
    cudaError_t error = run(variant, &side_a, &side_b, gemm, scratch, stream);
    if (error != cudaSuccess) cudaGetLastError(); /* not the program's error: it must not find it */
    return error;
}

/* ---- behind a product that may have been done (split.h) ---- */

/* As the product before it reads it: no tensors of shifted rows. */
static struct side second_side(const struct gemm_args *g, enum gemm_loader loader, bool a) {
    struct side side = side_of(SECOND, g, loader, a);
    side.operand.shifts = side.shifted = false;
    side.packed = tf32_packed(&side.operand, a);
    return side;
}

int64_t tf32_second_operand_bytes(enum gemm_loader a, enum gemm_loader b, const struct gemm_args *gemm) {
    const struct side side_a = second_side(gemm, a, true), side_b = second_side(gemm, b, false);
    return packed_bytes(&side_a) + packed_bytes(&side_b);
}

static cudaError_t load_second(int device, int *sm_count) {
    struct cudaFuncAttributes attributes;
    void (*const products[])(void) = {sgemm_tf32_second_m, sgemm_tf32_second_k};
    cudaError_t error = cudaDeviceGetAttribute(sm_count, cudaDevAttrMultiProcessorCount, device);
    for (int i = 0; i < 2 && error == cudaSuccess; i++)
        error = cudaFuncSetAttribute((const void *)products[i], cudaFuncAttributeMaxDynamicSharedMemorySize,
                                     TF32_SHARED_BYTES);
    return error == cudaSuccess ? cudaFuncGetAttributes(&attributes, (const void *)tf32_pack_second) : error;
}

int tf32_second_prepare(struct tf32_second *second, enum gemm_loader loader_a, enum gemm_loader loader_b,
                        const struct gemm_args *gemm, const uint32_t *choice, void *scratch) {
    enum { PACKS_PER_SM = 4 };
    static atomic_int known[LAUNCH_DEVICES];
    struct side a = second_side(gemm, loader_a, true), b = second_side(gemm, loader_b, false);
    struct tf32_args *const args = &second->product.of_all;
    struct tf32_pack_args pass = {.a = {.tiles = 0}};
    float *const behind = (float *)((char *)scratch + packed_bytes(&a));
    int sm_count = 0;
    cudaError_t error = launch_make_ready(known, load_second, &sm_count);
    if (a.packed) pass.a = pack(&a, scratch);
    if (b.packed) pass.b = pack(&b, behind);
    args->gemm = *gemm;
    /* Tiles that are shared are added up in the same order whichever product left them. */
    if (!gemm->shared_tiles) args->gemm.raster = gemm->tiles_m < SECOND_RASTER ? gemm->tiles_m : SECOND_RASTER;
    args->walk = tf32_walk_of(&args->gemm);
    args->a_step = a.operand.stride != 0;
    args->b_step = b.operand.stride != 0;
    if (error == cudaSuccess) error = describe_a(args, &a, SPLIT_TILE_M);
    if (error == cudaSuccess) error = describe_rows(&args->b, &b, SPLIT_TILE_N);
    const unsigned copies = (unsigned)(pass.a.tiles + pass.b.tiles), most = (unsigned)(PACKS_PER_SM * sm_count);
    second->pass = (struct tf32_pack_second_args){.of_all = pass, .choice = choice};
    second->product.choice = choice;
    second->kernel = a.operand.along_k ? sgemm_tf32_second_k : sgemm_tf32_second_m;
    second->copiers = copies < most ? copies : most;
    second->ctas = ctas_of(SECOND, gemm, sm_count);
    return error;
}

int tf32_second_launch(struct tf32_second *second, void *stream) {
    const struct launch_shape pass = {{second->copiers, 1, 1}, TF32_PACK_THREADS, TF32_PACK_SHARED_BYTES, true};
    const struct launch_shape product = {{second->ctas, 1, 1}, SECOND_THREADS, TF32_SHARED_BYTES, true};
    cudaError_t error = cudaSuccess;
    if (second->copiers) error = launch_overlapping(tf32_pack_second, pass, &second->pass, stream);
    return error == cudaSuccess ? launch_overlapping(second->kernel, product, &second->product, stream) : error;
}
