/*
 * The planes of the operands, from what split_extremes.cu found out or, where rows are short, in one pass by bands.
 */
#include "split_again.cuh"

/* A CTA for each unit, or fewer: where bands wrote planes already, there is mostly nothing left to do. */
KERNEL_OF(struct split_args, split_planes, UNIT_THREADS, 4) {
    grid_wait();
    grid_launch_next();
    SHARED_MEMORY(shared);
    uint32_t choice;
    if (args.band_ctas) {
        choice = choice_by_bands(args);
        if (blockIdx.x + threadIdx.x == 0) *args.choice = choice;
        if (choice == (uint32_t)args.first_choice) return;
    } else {
        choice = *args.choice;
    }
    const int units = args.rows / SPLIT_UNIT_ROWS * args.k_units * args.gemm.batch, stride = gridDim.x;
    if (choice == SPLIT_EXACT) {
        for (int index = blockIdx.x; index < units; index += 2 * stride) {
            copy_units(args, (uint8_t *)shared, index, index + stride < units ? index + stride : index);
            __syncthreads();
        }
        return;
    }
    for (int index = blockIdx.x; index < units; index += stride) {
        write_unit(args, (uint8_t *)shared, index, choice != SPLIT_FP16X3);
        __syncthreads();
    }
}

/* ---- by bands ---- */

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

/* All there is to do for a band before the product, as long as the first choice is the last. */
template <int VECTOR, int LANES>
DEVICE void do_band(const struct split_args &args, const struct band &b, struct extremes (*seen)[LANES + 1],
                    struct split_moments *moments) {
    static const int AT_ONCE = LANES * PIECES;
    const int pieces = 4 * args.k_units;
    float x[PIECES][8];
    struct extremes e = nothing_seen();
    for (int first = 0; first < pieces; first += AT_ONCE) {
        load_pieces<VECTOR, LANES>(x, b, first + b.piece);
#pragma unroll
        for (int i = 0; i < 8 * PIECES; i++) look_at(&e, x[i / 8][i % 8]);
    }
    if (e.most) count_part(moments, e.most >> 23);
    __syncthreads();
    seen[b.in_band][b.piece] = e;
    __syncthreads();
    e = nothing_seen();
#pragma unroll
    for (int i = 0; i < LANES; i++) see_also(&e, seen[b.in_band][i]);
    struct split_moments of_row = {0, 0, 0, 0, 0};
    const float inverse = count_row(&of_row, packed(e, args.gemm.k), args.spread);
    const float factor = inverse_power_of_two(inverse);
    if (b.piece == 0) {
        *moments = sum_of_moments(*moments, of_row);
        args.inverse_scales[(int64_t)b.batch * args.rows + b.row] = inverse;
    }
    for (int first = 0; first < pieces; first += AT_ONCE) {
        if (pieces > AT_ONCE) load_pieces<VECTOR, LANES>(x, b, first + b.piece); /* from a cache */
        if (args.first_choice == SPLIT_FP16X3)
            write_pieces<2, LANES>(args, b, x, first + b.piece, factor);
        else
            write_pieces<3, LANES>(args, b, x, first + b.piece, factor);
    }
}

/* Persistent CTAs, each with bands of both operands. */
template <int ROWS> DEVICE void do_bands(const struct split_args &args) {
    static const int LANES = 256 / ROWS;
    __shared__ struct extremes seen[ROWS][LANES + 1];
    __shared__ struct split_moments of_warps[8];
    const int bands = args.rows / ROWS * args.gemm.batch;
    if (blockIdx.x + threadIdx.x == 0) *args.taken = *args.written = 0;
    struct split_moments sides[2] = {{0, 0, 0, 0, 0}, {0, 0, 0, 0, 0}};
    for (int index = blockIdx.x; index < bands; index += gridDim.x) {
        const struct band b = band_of<ROWS>(args, index);
        const bool is_a = b.row < args.rows_a;
        const int64_t ld = is_a ? args.gemm.lda : args.gemm.ldb;
        /* The same for all threads: their rows are a multiple of ld apart. */
        const bool vector = b.r.step == 1 && args.gemm.k % 8 == 0 && ld % 4 == 0 && (uintptr_t)b.r.at % 16 == 0;
        struct split_moments moments = {0, 0, 0, 0, 0};
        if (vector)
            do_band<1, LANES>(args, b, seen, &moments);
        else
            do_band<0, LANES>(args, b, seen, &moments);
        if (is_a)
            sides[0] = sum_of_moments(sides[0], moments);
        else
            sides[1] = sum_of_moments(sides[1], moments);
    }
#pragma unroll
    for (int side = 0; side < 2; side++) {
        sum_over_warps(sides[side], of_warps);
        if (threadIdx.x == 0) args.moments[side * gridDim.x + blockIdx.x] = sum_of_warps(of_warps, 8);
        __syncthreads();
    }
}

/* CTAs of 256; bounds as of 304 leave registers for other kernels' CTAs. */
enum { BAND_BOUND = 304 };

KERNEL_OF(struct split_args, split_bands_16, BAND_BOUND, 2) {
    grid_wait();
    grid_launch_next();
    do_bands<16>(args);
}

KERNEL_OF(struct split_args, split_bands_8, BAND_BOUND, 2) {
    grid_wait();
    grid_launch_next();
    do_bands<8>(args);
}
