/*
 * The passes over the operands, the product and, for split-K, the sum of the splits, one after another in the stream.
 * Each may start while the one before drains (programmatic dependent launch), but for the look at long rows. Nothing of
 * the program's is read or written before all that came before in the stream is done.
 */
#include "launch_split.h"

#include <stddef.h>

#include "launch_hopper.h"

extern void split_extremes(void), split_choose(void), split_bands_16(void), split_bands_8(void), split_planes(void),
    sgemm_wgmma_256x128(void), sgemm_wgmma_ahead_256x128(void), split_sum(void);

static cudaError_t load(int device, int *sm_count) {
    cudaError_t error = cudaDeviceGetAttribute(sm_count, cudaDevAttrMultiProcessorCount, device);
    if (error != cudaSuccess) return error;
    void (*const products[])(void) = {sgemm_wgmma_256x128, sgemm_wgmma_ahead_256x128};
    for (int i = 0; i < 2 && error == cudaSuccess; i++)
        error = cudaFuncSetAttribute((const void *)products[i], cudaFuncAttributeMaxDynamicSharedMemorySize,
                                     SPLIT_SHARED_BYTES);
    return error;
}

static cudaError_t make_ready(int *sm_count) {
    static atomic_int known[LAUNCH_DEVICES];
    return launch_make_ready(known, load, sm_count);
}

int split_launch_looks(void (*extremes_of)(void), void (*choose_of)(void), struct split_args *args, void *stream) {
    const unsigned units = (unsigned)(args->rows / SPLIT_UNIT_ROWS), batch = (unsigned)args->gemm.batch;
    struct launch_shape extremes = {
        .grid = {units, (unsigned)args->chunks, batch}, .threads = 256, .shared = 12 * SPLIT_UNIT_ROWS};
    struct launch_shape choose = {.grid = {units, batch, 1}, .threads = SPLIT_UNIT_ROWS, .overlaps = true};
    cudaError_t error = launch_overlapping(extremes_of, extremes, args, stream);
    return error == cudaSuccess ? launch_overlapping(choose_of, choose, args, stream) : error;
}

int split_launch_sum(struct gemm_args *gemm, void *stream) {
    const int64_t quads = gemm->ld_partial / 4 * gemm->n;
    struct launch_shape sum = {
        .grid = {(unsigned)((quads + 255) / 256), (unsigned)gemm->batch, 1}, .threads = 256, .overlaps = true};
    return launch_overlapping(split_sum, sum, gemm, stream);
}

static int64_t work_items(const struct gemm_args *g) {
    return (int64_t)g->tiles_m * g->tiles_n * g->splits * g->batch;
}

/*
 * Whether the product decides for itself after bands. A launch less is worth more than the quicker copies of the kernel
 * that is told where each CTA has one short piece: of 8 units it was (1024^3, 0.038 ms for 0.040), of 64 not (2048^3).
 */
static bool decides_itself(const struct split_args *args, int ctas) {
    enum { SHORT_PIECE = 16 };
    return args->band_ctas && work_items(&args->gemm) <= ctas && args->k_units <= SHORT_PIECE * args->gemm.splits;
}

static cudaError_t launch_passes(struct split_args *args, int ctas, cudaStream_t stream) {
    enum { PLANES_PER_SM = 2 }; /* CTAs after bands, which mostly leave at once */
    struct launch_shape bands = {.grid = {(unsigned)args->band_ctas, 1, 1}, .threads = 256, .overlaps = true};
    int64_t units = (int64_t)args->rows / SPLIT_UNIT_ROWS * args->k_units * args->gemm.batch;
    int64_t most = args->band_ctas ? (int64_t)PLANES_PER_SM * ctas : INT32_MAX;
    struct launch_shape planes = {.grid = {(unsigned)(units < most ? units : most), 1, 1},
                                  .threads = 256,
                                  .shared = SPLIT_PLANES_SHARED_BYTES,
                                  .overlaps = true};
    void (*bands_of)(void) = args->gemm.k <= SPLIT_BAND_K ? split_bands_16 : split_bands_8;
    cudaError_t error = args->band_ctas ? launch_overlapping(bands_of, bands, args, stream)
                                        : (cudaError_t)split_launch_looks(split_extremes, split_choose, args, stream);
    if (decides_itself(args, ctas)) return error;
    return error == cudaSuccess ? launch_overlapping(split_planes, planes, args, stream) : error;
}

static cudaError_t launch_product(struct split_args *args, int ctas, cudaStream_t stream) {
    struct gemm_args *g = &args->gemm;
    const int64_t items = work_items(g);
    void (*const kernel)(void) = decides_itself(args, ctas) ? sgemm_wgmma_ahead_256x128 : sgemm_wgmma_256x128;
    struct launch_shape product = {.grid = {(unsigned)(items < ctas ? items : ctas), 1, 1},
                                   .threads = 384,
                                   .shared = SPLIT_SHARED_BYTES,
                                   .overlaps = true};
    cudaError_t error = launch_overlapping(kernel, product, args, stream);
    return error == cudaSuccess && g->partial ? (cudaError_t)split_launch_sum(g, stream) : error;
}

int split_launch(struct split_args args, enum split_planes first_choice, void *scratch, int ctas, void *stream) {
    split_args_place(&args, first_choice, scratch);
    int sm_count = 0;
    cudaError_t error = make_ready(&sm_count);
    if (ctas <= 0 || ctas > sm_count) ctas = sm_count;
    if (error == cudaSuccess) error = launch_passes(&args, ctas, stream);
    if (error == cudaSuccess) error = launch_product(&args, ctas, stream);
    if (error != cudaSuccess) cudaGetLastError(); /* not the program's error: it must not find it */
    return error;
}
