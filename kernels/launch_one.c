/*
 * One scaled fp16 product and, behind it, the TF32 product that the device may choose instead, one after another in the
 * stream; each kernel may start while the one before drains (programmatic dependent launch), but for the look at long
 * rows. Whichever of the two the device did not choose reads one word and leaves.
 */
#include "launch_one.h"

#include <stddef.h>

#include "launch_hopper.h"
#include "launch_split.h"
#include "launch_tf32.h"

extern void split_one_extremes(void), split_one_choose(void), split_one_planes(void), split_one_begin(void),
    split_one_bands_16(void), split_one_bands_8(void), sgemm_fp16x1_256x128(void), split_sum(void);

static cudaError_t load(int device, int *sm_count) {
    struct cudaFuncAttributes attributes;
    void (*const passes[])(void) = {split_one_extremes, split_one_choose,  split_one_planes, split_one_begin,
                                    split_one_bands_16, split_one_bands_8, split_sum};
    cudaError_t error = cudaDeviceGetAttribute(sm_count, cudaDevAttrMultiProcessorCount, device);
    for (size_t i = 0; i < sizeof passes / sizeof *passes && error == cudaSuccess; i++)
        error = cudaFuncGetAttributes(&attributes, (const void *)passes[i]);
    if (error != cudaSuccess) return error;
    return cudaFuncSetAttribute((const void *)sgemm_fp16x1_256x128, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                SPLIT_SHARED_BYTES);
}

/* Long rows, or few: they are looked at in chunks, then planes are written. */
static cudaError_t launch_looks(struct split_args *args, int ctas, cudaStream_t stream) {
    enum { PLANES_PER_SM = 16 }; /* CTAs, four at a time */
    const int64_t units = (int64_t)(args->rows / SPLIT_UNIT_ROWS) * args->k_units * args->gemm.batch;
    const int64_t most = (int64_t)PLANES_PER_SM * ctas;
    const struct launch_shape planes = {.grid = {(unsigned)(units < most ? units : most), 1, 1},
                                        .threads = 256,
                                        .shared = SPLIT_PLANE_BYTES,
                                        .overlaps = true};
    const cudaError_t error = (cudaError_t)split_launch_looks(split_one_extremes, split_one_choose, args, stream);
    return error == cudaSuccess ? launch_overlapping(split_one_planes, planes, args, stream) : error;
}

static cudaError_t launch_passes(struct split_args *args, int ctas, cudaStream_t stream) {
    const struct launch_shape bands = {.grid = {(unsigned)args->band_ctas, 1, 1}, .threads = 256, .overlaps = true};
    const struct launch_shape begin = {.grid = {1, 1, 1}, .threads = 32, .overlaps = true};
    if (!args->band_ctas) return launch_looks(args, ctas, stream);
    const cudaError_t error = launch_overlapping(split_one_begin, begin, args, stream);
    if (error != cudaSuccess) return error;
    return launch_overlapping(args->gemm.k <= SPLIT_BAND_K ? split_one_bands_16 : split_one_bands_8, bands, args,
                              stream);
}

static cudaError_t launch_product(struct split_args *args, int ctas, cudaStream_t stream) {
    const struct gemm_args *g = &args->gemm;
    const int64_t items = (int64_t)g->tiles_m * g->tiles_n * g->splits * g->batch;
    const int64_t most = g->shared_tiles ? g->ctas : items < ctas ? items : ctas;
    const struct launch_shape product = {
        .grid = {(unsigned)most, 1, 1}, .threads = 384, .shared = SPLIT_SHARED_BYTES, .overlaps = true};
    return launch_overlapping(sgemm_fp16x1_256x128, product, args, stream);
}

int one_launch(const struct gemm_variant *variant, enum gemm_loader a, enum gemm_loader b, const struct gemm_args *gemm,
               void *stream) {
    static atomic_int known[LAUNCH_DEVICES];
    struct split_args args = {.gemm = *gemm, .a_along_k = a == LOAD_K4, .b_along_k = b == LOAD_K4};
    char *const scratch = (char *)gemm->partial;
    const int64_t operands = tf32_second_operand_bytes(a, b, gemm);
    const int64_t before = split_one_scratch_bytes(gemm->m, gemm->n, gemm->k, gemm->batch, operands);
    args.gemm.partial = gemm->splits > 1 ? (float *)(scratch + before) : NULL;
    args.gemm.shares = gemm->shared_tiles ? (float *)(scratch + before) : NULL;
    split_args_place(&args, SPLIT_FP16X1, scratch);
    struct tf32_second second;
    int sm_count = 0;
    cudaError_t error = launch_make_ready(known, load, &sm_count);
    const int ctas = gemm->ctas > 0 && gemm->ctas < sm_count ? gemm->ctas : sm_count;
    /* Its operands take the place of planes, which nobody reads then. */
    if (error == cudaSuccess)
        error = (cudaError_t)tf32_second_prepare(&second, a, b, &args.gemm, args.choice, args.planes);
    if (error == cudaSuccess) error = launch_passes(&args, ctas, stream);
    if (error == cudaSuccess) error = launch_product(&args, ctas, stream);
    if (error == cudaSuccess) error = (cudaError_t)tf32_second_launch(&second, stream);
    if (error == cudaSuccess && args.gemm.partial) error = (cudaError_t)split_launch_sum(&args.gemm, stream);
    if (error == cudaSuccess && args.gemm.shares) error = (cudaError_t)tf32_add_shares(variant, &args.gemm, stream);
    if (error != cudaSuccess) cudaGetLastError(); /* not the program's error: it must not find it */
    return error;
}
