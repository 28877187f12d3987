/*
 * The second half of stream-K: adds what CTAs left of the tiles that they share, in the order of K, so that the same
 * call gives the same bits, and finishes them. A kernel for each SIMT variant: sums lie as its accumulators did.
 */
#include "sgemm_simt.cuh"

enum { SHARES_THREADS = 256 };

/* blockIdx.x walks the quads of a tile, blockIdx.y the shared tiles; args.ctas is the grid that shared them. */
template <int BM, int BN, int BK, int TM, int TN> DEVICE void add_shares(const struct gemm_args &args) {
    static const int WARPS_M = BM / (4 * TM), THREADS = BM * BN / (TM * TN);
    const int quad = blockIdx.x * SHARES_THREADS + threadIdx.x, tile = blockIdx.y, k_tiles = (args.k - 1) / BK + 1;
    const int64_t all = (int64_t)args.shared_tiles * k_tiles, begin = (int64_t)tile * k_tiles, end = begin + k_tiles;
    int cta = (int)(((begin + 1) * args.ctas - 1) / all); /* the last whose share begins at or before `begin` */
    float4 sum = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
    for (;; cta++) {
        const int64_t from = all * cta / args.ctas, to = all * (cta + 1) / args.ctas;
        if (from >= end) break;
        if (from <= begin && to >= end) return; /* it did all of the tile */
        if (from == to) continue;
        const int share = 2 * cta + (from < begin);
        const float4 x = *((const float4 *)(args.shares + (int64_t)share * (BM * BN)) + quad);
        sum = make_float4(sum.x + x.y, sum.y + x.x, sum.z + x.w, sum.w + x.z);
    }
    const int thread = quad % THREADS, warp = thread / 32, j = quad / THREADS / (TM / 4), q = quad / THREADS % (TM / 4);
    const struct simt_works works = simt_works_of<BK>(args, 0, 1);
    const int unit = works.whole_tiles + tile, tiles = args.tiles_m * args.tiles_n, batch = unit / tiles;
    int tile_m, tile_n;
    raster_tile(args, unit - batch * tiles, &tile_m, &tile_n);
    const int m = tile_m * BM + warp % WARPS_M * 4 * TM + 16 * q + 4 * lane_along_m(thread % 32);
    const int n = tile_n * BN + warp / WARPS_M * 8 * TN + j / 4 * 32 + j % 4 + 4 * lane_along_n(thread % 32);
    if (m < args.m && n < args.n) store_rows(args, read_scalars(args), batch, m, n, sum);
}

#define VARIANT(name, family, contract, arch, bm, bn, bk, tm, tn, stages, threads, ctas, wide)                         \
    KERNEL(name##_shares, SHARES_THREADS, 1) {                                                                         \
        add_shares<bm, bn, bk, tm, tn>(args);                                                                          \
    }
GEMM_SIMT_VARIANTS(VARIANT)
