/*
 * Adds up the parts along K of tiles that CTAs of a TF32 product share (tf32_works.h), in the order of K, so that the
 * same call gives the same bits, and finishes them.
 */
#include "epilogue.cuh"
#include "ptx_grid.cuh"
#include "tf32_shares.h"
#include "tf32_works.h"

DEVICE float4 add(float4 x, float4 y) {
    return make_float4(x.x + y.x, x.y + y.y, x.z + y.z, x.w + y.w);
}

/* blockIdx.x walks the quads of a tile, column after column, blockIdx.y the tiles. */
KERNEL_OF(struct tf32_shares_args, tf32_shares, TF32_SHARES_THREADS, 1) {
    const struct gemm_args &g = args.gemm;
    const int quad = blockIdx.x * TF32_SHARES_THREADS + threadIdx.x, quads = args.bm / 4;
    const int tiles = g.tiles_m * g.tiles_n, parts = tf32_parts(&g, g.ctas);
    const int unit = tf32_whole_tiles(&g) + blockIdx.y, batch = unit / tiles;
    int tile_m, tile_n;
    raster_tile(g, unit - batch * tiles, &tile_m, &tile_n);
    const int m = tile_m * args.bm + quad % quads * 4, n = tile_n * args.bn + quad / quads;
    if (m >= g.m || n >= g.n) return;

    const float4 *share = (const float4 *)(g.shares + (int64_t)blockIdx.y * args.bm * args.bn) + quad;
    const int64_t next = (int64_t)g.shared_tiles * args.bm * args.bn / 4;
    grid_wait();
    float4 sum = *share;
#pragma unroll 4
    for (int part = 1; part < parts; part++) sum = add(sum, share[part * next]);
    store_rows(g, read_scalars(g), batch, m, n, sum);
}
