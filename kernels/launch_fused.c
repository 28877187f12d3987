/* The product, and the kernel that looks after it whether its sums will do, adds them, or multiplies again. */
#include "launch_fused.h"

#include <stddef.h>

#include "launch_hopper.h"

extern void sgemm_fused_128x128(void), sgemm_fused_after(void);

static cudaError_t load(int device, int *sm_count) {
    static const enum cudaFuncAttribute bytes = cudaFuncAttributeMaxDynamicSharedMemorySize;
    cudaError_t error = cudaDeviceGetAttribute(sm_count, cudaDevAttrMultiProcessorCount, device);
    if (error == cudaSuccess)
        error = cudaFuncSetAttribute((const void *)sgemm_fused_128x128, bytes, FUSED_SHARED_BYTES);
    if (error == cudaSuccess) error = cudaFuncSetAttribute((const void *)sgemm_fused_after, bytes, FUSED_SHARED_BYTES);
    return error;
}

static bool quads(const float *matrix, int64_t ld, int64_t stride, int batch) {
    return (uintptr_t)matrix % 16 == 0 && ld % 4 == 0 && (batch == 1 || stride % 4 == 0);
}

int fused_launch(struct fused_args args, void *scratch, void *stream) {
    static atomic_int known[LAUNCH_DEVICES];
    const struct gemm_args *g = &args.gemm;
    const int64_t items = (int64_t)g->tiles_m * g->tiles_n * g->splits * g->batch;
    int sm_count = 0;
    cudaError_t error = launch_make_ready(known, load, &sm_count);
    int ctas = g->ctas > 0 && g->ctas < sm_count ? g->ctas : sm_count;
    if (ctas > FUSED_MOST_CTAS) ctas = FUSED_MOST_CTAS;
    const int busy = items < ctas ? (int)items : ctas;
    args.a_aligned = quads(g->a, g->lda, g->stride_a, g->batch);
    args.b_aligned = quads(g->b, g->ldb, g->stride_b, g->batch);
    fused_args_place(&args, busy, scratch);
    /* With partial sums to add, every SM has something to do. */
    const int after = g->partial ? ctas : busy;
    struct launch_shape product = {
        .grid = {(unsigned)busy, 1, 1}, .threads = FUSED_THREADS, .shared = FUSED_SHARED_BYTES};
    struct launch_shape then = {
        .grid = {(unsigned)after, 1, 1}, .threads = FUSED_THREADS, .shared = FUSED_SHARED_BYTES, .overlaps = true};
    if (error == cudaSuccess) error = launch_overlapping(sgemm_fused_128x128, product, &args, stream);
    if (error == cudaSuccess) error = launch_overlapping(sgemm_fused_after, then, &args, stream);
    if (error != cudaSuccess) cudaGetLastError(); /* not the program's error: it must not find it */
    return error;
}
