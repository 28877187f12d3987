/*
 * One pass over rows of moderate length, by bands: what each CTA reads of a few rows, how large their elements are and,
 * at once, their planes.
 */
#ifndef FASTGEMM_SPLIT_BANDS_CUH
#define FASTGEMM_SPLIT_BANDS_CUH

#include "split_rows.cuh"

/*
 * A thread's place in a band of rows: 16 or 32 threads to a row, and each takes pieces of 8 neighbours along k, by
 * turns. Neighbouring threads read along the operand's contiguous side.
 */
struct band {
    struct row r;
    int row, in_band, piece, batch, k_end; /* k_end: 0 where the row is padding */
};

template <int ROWS> DEVICE struct band band_of(const struct split_args &args, int index) {
    static const int LANES = 256 / ROWS;
    const int bands = args.rows / ROWS, thread = threadIdx.x;
    struct band b;
    b.batch = index / bands;
    const int first_row = (index - b.batch * bands) * ROWS;
    const bool along_k = first_row < args.rows_a ? args.a_along_k : args.b_along_k;
    b.in_band = along_k ? thread / LANES : thread % ROWS;
    b.piece = along_k ? thread % LANES : thread / ROWS;
    b.row = first_row + b.in_band;
    b.r = row_of(args, b.row, b.batch);
    b.k_end = b.r.inside ? args.gemm.k : 0;
    return b;
}

/* Whole pieces by 16-byte loads, or single elements. */
template <int VECTOR> DEVICE void load_piece(float (&x)[8], const struct band &b, int piece) {
    const int k = 8 * piece;
    if (VECTOR) {
        *(float4 *)x = k < b.k_end ? *(const float4 *)(b.r.at + k) : make_float4(0, 0, 0, 0);
        *(float4 *)(x + 4) = k < b.k_end ? *(const float4 *)(b.r.at + k + 4) : make_float4(0, 0, 0, 0);
    } else {
#pragma unroll
        for (int j = 0; j < 8; j++) x[j] = k + j < b.k_end ? b.r.at[(k + j) * b.r.step] : 0.0f;
    }
}

/* Pieces of a thread, from one on, all under way at once. */
static const int PIECES = 4;
template <int VECTOR, int LANES> DEVICE void load_pieces(float (&x)[PIECES][8], const struct band &b, int piece) {
#pragma unroll
    for (int i = 0; i < PIECES; i++) load_piece<VECTOR>(x[i], b, piece + LANES * i);
}

template <int PLANES, int LANES>
DEVICE void write_pieces(const struct split_args &args, const struct band &b, float (&x)[PIECES][8], int piece,
                         float factor) {
    static const int UNIT = PLANES * SPLIT_PLANE_BYTES;
    const int place = b.row % SPLIT_UNIT_ROWS, tiles = args.rows / SPLIT_UNIT_ROWS;
    uint8_t *tile = args.planes + ((int64_t)b.batch * tiles + b.row / SPLIT_UNIT_ROWS) * args.k_units * UNIT;
    tile += (int64_t)(piece / 4) * UNIT + piece_offset(b.row < args.rows_a ? place_of(place) : place, piece % 4);
#pragma unroll
    for (int i = 0; i < PIECES; i++) {
        if (piece + LANES * i >= 4 * args.k_units) return;
#pragma unroll
        for (int j = 0; j < 8; j++) x[i][j] = factor == factor ? x[i][j] * factor : 0.0f;
        store_pieces<PLANES>(tile + LANES / 4 * i * UNIT, x[i]);
    }
}

/*
 * A thread's look at its part of a row, counted in `moments` if there are; the whole row's for all. The last pieces of
 * each thread stay in `x`. All threads are through with `seen` when they meet next.
 */
template <int VECTOR, int LANES>
DEVICE struct extremes look_at_band(const struct split_args &args, const struct band &b, float (&x)[PIECES][8],
                                    struct extremes (*seen)[LANES + 1], struct split_moments *moments) {
    struct extremes e = nothing_seen();
    for (int first = 0; first < 4 * args.k_units; first += LANES * PIECES) {
        load_pieces<VECTOR, LANES>(x, b, first + b.piece);
#pragma unroll
        for (int i = 0; i < 8 * PIECES; i++) look_at(&e, x[i / 8][i % 8]);
    }
    if (moments && e.most) count_part(moments, e.most >> 23);
    __syncthreads();
    seen[b.in_band][b.piece] = e;
    __syncthreads();
    e = nothing_seen();
#pragma unroll
    for (int i = 0; i < LANES; i++) see_also(&e, seen[b.in_band][i]);
    return e;
}

/* CTAs of 256; bounds as of 304 leave registers for other kernels' CTAs. */
enum { BAND_BOUND = 304 };

#endif
