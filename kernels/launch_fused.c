/*
 * The product; the kernel that looks whether its sums will do, and adds them or multiplies again; one that adds those.
 */
#include "launch_fused.h"

#include <stddef.h>

#include "fused_args.h"
#include "launch_hopper.h"

extern void sgemm_fused_128x128(void), sgemm_fused_after(void), sgemm_fused_sum(void);

static cudaError_t load(int device, int *sm_count) {
    static const enum cudaFuncAttribute bytes = cudaFuncAttributeMaxDynamicSharedMemorySize;
    cudaError_t error = cudaDeviceGetAttribute(sm_count, cudaDevAttrMultiProcessorCount, device);
    if (error == cudaSuccess)
        error = cudaFuncSetAttribute((const void *)sgemm_fused_128x128, bytes, FUSED_SHARED_BYTES);
    if (error == cudaSuccess) error = cudaFuncSetAttribute((const void *)sgemm_fused_after, bytes, FUSED_SHARED_BYTES);
    return error;
}

/*
 * Has the copy engine read an operand in boxes of 32 rows, where it can; along k, of half a block. False: its rows are
 * not multiples of 16 bytes, or too far apart.
 */
static bool describe(CUtensorMap *map, const float *at, int along_k, int64_t rows, int64_t ld, int64_t stride,
                     const struct gemm_args *g) {
    static const int64_t MOST_STEP = INT64_C(1) << 37;
    const int64_t matrices = stride ? g->batch : 1, step = matrices > 1 ? stride : ld;
    if ((uintptr_t)at % 16 || ld % 4 || ld >= MOST_STEP || step < 0 || step % 4 || step >= MOST_STEP) return false;
    const struct launch_tensor along_rows = {.size = {rows, g->k, 1, 1, matrices},
                                             .step = {ld, ld, ld, step},
                                             .box = {FUSED_BOX_ROWS, FUSED_TILE_K, 1, 1, 1}};
    const struct launch_tensor along = {.size = {g->k, rows, 1, 1, matrices},
                                        .step = {ld, ld, ld, step},
                                        .box = {FUSED_TILE_K / 2, FUSED_BOX_ROWS, 1, 1, 1}};
    return launch_describe(map, CU_TENSOR_MAP_DATA_TYPE_FLOAT32, CU_TENSOR_MAP_SWIZZLE_128B, at,
                           along_k ? &along : &along_rows) == cudaSuccess;
}

/* Fills everything after b_along_k, for at most FUSED_MOST_CTAS. */
static void complete(struct fused_args *args, int ctas, void *scratch) {
    const struct gemm_args *gemm = &args->gemm;
    args->a_boxes = describe(&args->a, gemm->a, args->a_along_k, gemm->m, gemm->lda, gemm->stride_a, gemm);
    args->b_boxes = describe(&args->b, gemm->b, args->b_along_k, gemm->n, gemm->ldb, gemm->stride_b, gemm);
    args->a_step = gemm->stride_a != 0;
    args->b_step = gemm->stride_b != 0;
    args->k_blocks = (int)(((int64_t)gemm->k + FUSED_TILE_K - 1) / FUSED_TILE_K);
    args->blocks_per_split = gemm->splits > 1 ? gemm->k_per_split / FUSED_TILE_K : args->k_blocks;
    args->ctas = ctas;
    args->spread = split_spread(gemm->k);
    args->seen = (struct split_moments *)scratch;
    args->choice = (uint32_t *)((uint8_t *)scratch + FUSED_SEEN_BYTES);
}

int fused_launch(const struct gemm_args *g, int a_along_k, int b_along_k, void *scratch, void *stream) {
    static atomic_int known[LAUNCH_DEVICES];
    struct fused_args args = {.gemm = *g, .a_along_k = a_along_k, .b_along_k = b_along_k};
    const int64_t items = (int64_t)g->tiles_m * g->tiles_n * g->splits * g->batch;
    int sm_count = 0;
    cudaError_t error = launch_make_ready(known, load, &sm_count);
    int ctas = g->ctas > 0 && g->ctas < sm_count ? g->ctas : sm_count;
    if (ctas > FUSED_MOST_CTAS) ctas = FUSED_MOST_CTAS;
    const int busy = items < ctas ? (int)items : ctas;
    complete(&args, busy, scratch);
    /* With partial sums to add, every SM has something to do. */
    const int after = g->partial ? ctas : busy;
    struct launch_shape product = {
        .grid = {(unsigned)busy, 1, 1}, .threads = FUSED_THREADS, .shared = FUSED_SHARED_BYTES};
    struct launch_shape then = {
        .grid = {(unsigned)after, 1, 1}, .threads = FUSED_THREADS, .shared = FUSED_SHARED_BYTES, .overlaps = true};
    if (error == cudaSuccess) error = launch_overlapping(sgemm_fused_128x128, product, &args, stream);
    struct launch_shape last = {.grid = {(unsigned)ctas, 1, 1}, .threads = FUSED_THREADS, .overlaps = true};
    if (error == cudaSuccess) error = launch_overlapping(sgemm_fused_after, then, &args, stream);
    if (error == cudaSuccess && g->splits > 1) error = launch_overlapping(sgemm_fused_sum, last, &args, stream);
    if (error != cudaSuccess) cudaGetLastError(); /* not the program's error: it must not find it */
    return error;
}
