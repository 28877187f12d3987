/*
 * Which tiles of C, and which part of K, a CTA of sgemm_simt_rows.cu works on. Rows of C count in groups of 64, of
 * which a full tile has three. Two that are left over make a row of tiles with two; one and the last full tile's three
 * make two such rows: few sizes leave much of a tile empty. CTAs' shares of the last tiles (stream-K) are equal in
 * groups.
 */
#ifndef FASTGEMM_SIMT_ROWS_WORKS_CUH
#define FASTGEMM_SIMT_ROWS_WORKS_CUH

#include "simt_rows.h"
#include "tile.cuh"

enum {
    ROWS_BM = 192,
    ROWS_BN = 128,
    ROWS_BK = 16,
    ROWS_TN = 16,
    ROWS_THREADS = 128,
    ROWS_GROUP = SIMT_ROWS_GROUP,
    ROWS_FULL = SIMT_ROWS_FULL,
    ROWS_EDGE = SIMT_ROWS_EDGE
};

struct rows_works {
    int full_m, edges; /* rows of full tiles, and after them of edge tiles */
    int full_tiles;    /* of the product; edge tiles come after them */
    int whole_tiles;   /* of the product: those that no CTAs share come first */
    int whole, count;  /* pieces of work of this CTA: whole tiles, a grid apart, and its share of the others */
    int k_tiles;       /* of a shared tile */
    int shared_full;   /* full ones among the shared tiles */
    int cta, ctas;     /* of the grid */
    int begin, end;    /* the share, in k tiles of a group, counted on from tile to tile */
};

/* One piece of work: a tile of C over a range of K. */
struct rows_work {
    int m0, n0, split, batch, groups;
    int k_begin, k_count;
    int share; /* where its sums go in gemm_args.shares, negative: it is all of a tile or of a split */
};

/* Where a shared tile begins. WORKS: struct rows_works, in registers or, volatile, where it was noted. */
template <class WORKS> DEVICE int rows_tile_begin(const WORKS &w, int tile) {
    const int full = min(tile, w.shared_full);
    return w.k_tiles * (ROWS_FULL * full + ROWS_EDGE * (tile - full));
}

template <class WORKS> DEVICE int rows_groups(const WORKS &w, int tile) {
    return tile < w.shared_full ? ROWS_FULL : ROWS_EDGE;
}

template <class WORKS> DEVICE int rows_tile_at(const WORKS &w, int position) {
    const int full = w.k_tiles * ROWS_FULL * w.shared_full;
    if (position < full) return position / (w.k_tiles * ROWS_FULL);
    return w.shared_full + (position - full) / (w.k_tiles * ROWS_EDGE);
}

/* Where a CTA's share of `all` begins: with a whole k tile. */
template <class WORKS> DEVICE int rows_share_begin(const WORKS &w, int all, int cta, int ctas) {
    const int each = all / ctas, position = each * cta + min(cta, all - each * ctas);
    const int tile = rows_tile_at(w, position), begin = rows_tile_begin(w, tile), groups = rows_groups(w, tile);
    return begin + (position - begin) / groups * groups;
}

DEVICE struct rows_works rows_works_of(const struct gemm_args &args, int cta, int ctas) {
    struct rows_works w;
    const int groups = (args.m - 1) / ROWS_GROUP + 1, planes = args.tiles_n * args.splits * args.batch;
    w.edges = groups % ROWS_FULL == 0 ? 0 : groups % ROWS_FULL == ROWS_EDGE || groups == 1 ? 1 : 2;
    w.full_m = args.tiles_m - w.edges;
    w.full_tiles = w.full_m * planes;
    w.whole_tiles = args.tiles_m * planes - args.shared_tiles;
    w.cta = cta;
    w.ctas = ctas;
    w.whole = w.count = w.whole_tiles > cta ? (w.whole_tiles - 1 - cta) / ctas + 1 : 0;
    w.k_tiles = (args.k - 1) / ROWS_BK + 1;
    w.shared_full = max(0, w.full_tiles - w.whole_tiles);
    w.begin = w.end = 0;
    if (args.shared_tiles) {
        const int all = rows_tile_begin(w, args.shared_tiles);
        w.begin = rows_share_begin(w, all, cta, ctas);
        w.end = rows_share_begin(w, all, cta + 1, ctas);
        if (w.begin < w.end) w.count += rows_tile_at(w, w.end - 1) - rows_tile_at(w, w.begin) + 1;
    }
    return w;
}

/* Of a tile, in the order that the product's are worked on. */
template <class WORKS> DEVICE struct rows_work rows_tile(const struct gemm_args &args, const WORKS &w, int unit) {
    struct rows_work x;
    int plane, tile_n;
    if (unit < w.full_tiles) {
        const int full_m = w.full_m, tiles = full_m * args.tiles_n, per_group = args.raster * args.tiles_n;
        plane = unit / tiles;
        const int index = unit - plane * tiles, group = index / per_group, inside = index - group * per_group;
        const int first = group * args.raster, rows = min(args.raster, full_m - first);
        tile_n = inside / rows;
        x.m0 = (first + inside - tile_n * rows) * ROWS_BM;
        x.groups = ROWS_FULL;
    } else {
        const int edges = w.edges, tiles = edges * args.tiles_n;
        plane = (unit - w.full_tiles) / tiles;
        const int index = unit - w.full_tiles - plane * tiles;
        tile_n = index / edges;
        x.m0 = w.full_m * ROWS_BM + (index - tile_n * edges) * ROWS_EDGE * ROWS_GROUP;
        x.groups = ROWS_EDGE;
    }
    x.n0 = tile_n * ROWS_BN;
    x.batch = plane / args.splits;
    x.split = plane - x.batch * args.splits;
    return x;
}

/* The short k tile, if there is one, comes first: the main loop then has no predicates. */
template <class WORKS> DEVICE struct rows_work rows_work_at(const struct gemm_args &args, const WORKS &w, int index) {
    const int cta = w.cta;
    if (index < w.whole) {
        struct rows_work x = rows_tile(args, w, cta + index * w.ctas);
        x.share = -1;
        x.k_begin = x.split * args.k_per_split;
        x.k_count = min(args.k - x.k_begin, args.k_per_split);
        return x;
    }
    const int part = index - w.whole, tile = rows_tile_at(w, w.begin) + part;
    const int first = rows_tile_begin(w, tile), groups = rows_groups(w, tile);
    const int from = part ? 0 : (w.begin - first) / groups, to = min((w.end - first) / groups, w.k_tiles);
    const int short_k = args.k - (w.k_tiles - 1) * ROWS_BK;
    struct rows_work x = rows_tile(args, w, w.whole_tiles + tile);
    x.share = from > 0 || to < w.k_tiles ? 2 * cta + (part > 0) : -1;
    x.k_begin = from ? short_k + (from - 1) * ROWS_BK : 0;
    x.k_count = short_k + (to - 1) * ROWS_BK - x.k_begin;
    return x;
}

#endif
