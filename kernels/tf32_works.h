/*
 * Which pieces of a TF32 product each CTA of Hopper's kernels works on: whole tiles, a grid apart, then, where the last
 * tiles would leave most SMs idle, a part of one of those along K. All CTAs are at the same k at a time there: what one
 * reads another finds in L2, which even shares of unequal parts would forgo. Index arithmetic alone, so that a test
 * without a GPU can see that every k of every tile is done once. Plain C, and device code.
 */
#ifndef FASTGEMM_TF32_WORKS_H
#define FASTGEMM_TF32_WORKS_H

#include "fast_division.h"
#include "gemm_args.h"
#include "tf32.h"
#include "tf32_place.h"

#include <stdbool.h>

struct tf32_piece {
    int unit;        /* tile, counted through splits and matrices */
    int first, last; /* of its k tiles; last 0: all of the split */
    int share;       /* where its sums go in gemm_args.shares, negative: it is all of a tile or of a split */
};

/* What it takes to find a tile without a division: of units by tiles and splits, of tiles by groups and their rows. */
struct tf32_walk {
    struct fast_divisor tiles, splits, group, rows, last_rows;
    int last_group;
};

static inline struct tf32_walk tf32_walk_of(const struct gemm_args *g) {
    struct tf32_walk w;
    const int groups = (g->tiles_m - 1) / g->raster + 1;
    w.tiles = fast_divisor_of(g->tiles_m * g->tiles_n);
    w.splits = fast_divisor_of(g->splits);
    w.group = fast_divisor_of(g->raster * g->tiles_n);
    w.rows = fast_divisor_of(g->raster);
    w.last_group = groups - 1;
    w.last_rows = fast_divisor_of(g->tiles_m - w.last_group * g->raster);
    return w;
}

/* As raster_tile (tile.cuh) has it. */
TF32_INLINE void tf32_tile_at(const struct gemm_args *g, const struct tf32_walk *w, int index, int *tile_m,
                              int *tile_n) {
    const int group = fast_quotient(index, w->group), inside = index - group * w->group.value;
    const bool last = group == w->last_group;
    *tile_n = last ? fast_quotient(inside, w->last_rows) : fast_quotient(inside, w->rows);
    *tile_m = group * g->raster + inside - *tile_n * (last ? w->last_rows.value : w->rows.value);
}

/* Parts of each tile that is shared. */
TF32_INLINE int tf32_parts(const struct gemm_args *g, int ctas) {
    return ctas / g->shared_tiles;
}

TF32_INLINE int tf32_whole_tiles(const struct gemm_args *g) {
    return g->tiles_m * g->tiles_n * g->splits * g->batch - g->shared_tiles;
}

/* How many pieces a CTA has. */
TF32_INLINE int tf32_pieces(const struct gemm_args *g, int cta, int ctas) {
    const int whole = tf32_whole_tiles(g), own = whole > cta ? (whole - 1 - cta) / ctas + 1 : 0;
    return own + (g->shared_tiles && cta < g->shared_tiles * tf32_parts(g, ctas) ? 1 : 0);
}

TF32_INLINE struct tf32_piece tf32_piece_at(const struct gemm_args *g, int cta, int ctas, int index) {
    struct tf32_piece p;
    p.unit = cta + index * ctas;
    p.first = p.last = 0;
    p.share = -1;
    if (g->shared_tiles && p.unit >= tf32_whole_tiles(g)) {
        const int k_tiles = (g->k - 1) / TF32_TILE_K + 1, parts = tf32_parts(g, ctas), part = cta / g->shared_tiles;
        p.unit = tf32_whole_tiles(g) + cta - part * g->shared_tiles;
        p.first = (int)((int64_t)k_tiles * part / parts);
        p.last = (int)((int64_t)k_tiles * (part + 1) / parts);
        p.share = cta;
    }
    return p;
}

#endif
