/* The second half of stream-K (simt_shares.cu) for operands along m and n (sgemm_simt_rows.cu). */
#include "epilogue.cuh"
#include "ptx_grid.cuh"
#include "simt_rows.h"
#include "simt_rows_works.cuh"

enum { SHARES_THREADS = 256, QUADS = SIMT_ROWS_SHARES_QUADS, COLUMNS = SHARES_THREADS / ROWS_THREADS };

/*
 * blockIdx.x walks the quads of a tile, blockIdx.y the shared tiles; args.ctas is the grid that shared them. A thread
 * has several quads of one group, since where to find what CTAs left takes longer than to add it.
 */
DEVICE void add_shares(const struct gemm_args &args) {
    const int first = blockIdx.x * SHARES_THREADS * QUADS + threadIdx.x, tile = blockIdx.y;
    const int thread = first % ROWS_THREADS, j = first / ROWS_THREADS % ROWS_TN, q = first / ROWS_THREADS / ROWS_TN;
    const struct rows_works w = rows_works_of(args, 0, 1);
    const struct rows_work x = rows_tile(args, w, w.whole_tiles + tile);
    const int m = x.m0 + 16 * (x.groups * (thread / 32) + q) + 4 * lane_along_m(thread % 32);
    if (q >= x.groups || m >= args.m) return;
    const int all = rows_tile_begin(w, args.shared_tiles), begin = rows_tile_begin(w, tile);
    const int end = rows_tile_begin(w, tile + 1);
    int cta = min(begin / max(all / args.ctas, 1), args.ctas - 1);
    while (rows_share_begin(w, all, cta, args.ctas) > begin) cta--; /* the last that begins at or before the tile */
    float4 sums[QUADS];
#pragma unroll
    for (int i = 0; i < QUADS; i++) sums[i] = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
    grid_wait();
    for (int from, to = rows_share_begin(w, all, cta, args.ctas); to < end; cta++) {
        from = to;
        to = rows_share_begin(w, all, cta + 1, args.ctas);
        if (from <= begin && to >= end) return; /* it did all of the tile */
        if (to <= begin || from == to) continue;
        const float4 *left = (const float4 *)(args.shares + (int64_t)(2 * cta + (from < begin)) * (ROWS_BM * ROWS_BN));
#pragma unroll
        for (int i = 0; i < QUADS; i++) {
            const float4 y = left[first + i * SHARES_THREADS], sum = sums[i];
            sums[i] = make_float4(sum.x + y.y, sum.y + y.x, sum.z + y.w, sum.w + y.z);
        }
    }
    const struct scalars s = read_scalars(args);
#pragma unroll
    for (int i = 0; i < QUADS; i++) {
        const int column = j + i * COLUMNS, n = x.n0 + column / 4 * 32 + column % 4 + 4 * lane_along_n(thread % 32);
        if (n < args.n) store_rows(args, s, x.batch, m, n, sums[i]);
    }
}

#define VARIANT(name, ...)                                                                                             \
    KERNEL(name##_shares, SHARES_THREADS, 1) {                                                                         \
        add_shares(args);                                                                                              \
    }
GEMM_SIMT_ROWS_VARIANTS(VARIANT)
