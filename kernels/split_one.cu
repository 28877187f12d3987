/*
 * The one plane of each operand for callers who allow TF32 (fp16x1 in split.h), where it will do.
 */
#include "split_bands.cuh"
#include "split_one.cuh"

/* After the looks: a unit's plane by a CTA, by way of shared memory; or none. */
KERNEL_OF(struct split_args, split_one_planes, UNIT_THREADS, 4) {
    grid_wait();
    grid_launch_next();
    SHARED_MEMORY(shared);
    const uint32_t choice = choice_by_notes(*args.notes, args.gemm.k);
    if (blockIdx.x + threadIdx.x == 0) *args.choice = choice;
    if (choice != SPLIT_FP16X1) return;
    const int units = args.rows / SPLIT_UNIT_ROWS * args.k_units * args.gemm.batch;
    for (int index = blockIdx.x; index < units; index += gridDim.x) {
        write_unit<true>(args, (uint8_t *)shared, index, false);
        __syncthreads();
    }
}

/* How many of a thread's elements, in the order of its pieces, are in the slice and not solid. */
template <int LANES>
DEVICE uint32_t lacking_in_pieces(const struct split_args &args, const float (&x)[PIECES][8], int piece, int most) {
    const int slice = slice_of(args.gemm.k);
    uint32_t lacking = 0;
#pragma unroll
    for (int i = 0; i < 8 * PIECES; i++)
        if (8 * (piece + LANES * (i / 8)) + i % 8 < slice) lacking += !solid(x[i / 8][i % 8], most);
    return lacking;
}

/* What the threads of a band tell each other of its rows. */
template <int ROWS> struct of_rows {
    uint32_t lacking[ROWS];
    int obvious; /* wide rows; one without hope is as bad as all */
};

/* A band's plane, and what is to be noted of a thread's row. */
template <int VECTOR, int LANES, int ROWS>
DEVICE struct split_notes do_band(const struct split_args &args, const struct band &b,
                                  struct extremes (*seen)[LANES + 1], struct of_rows<ROWS> *told) {
    static const int AT_ONCE = LANES * PIECES;
    const int pieces = 4 * args.k_units;
    float x[PIECES][8];
    const bool stopped = threadIdx.x == 0 && *(volatile const uint32_t *)args.choice == SPLIT_TF32; /* by any CTA */
    if (b.piece == 0) told->lacking[b.in_band] = 0;
    if (threadIdx.x == 0) told->obvious = 0;
    const struct extremes e = look_at_band<VECTOR, LANES>(args, b, x, seen, 0);
    const uint32_t word = packed(e, args.gemm.k);
    const float inverse = inverse_of_row(word), factor = inverse_power_of_two(inverse);
    struct split_notes notes = notes_of_row(word);
    if (b.piece == 0) {
        args.inverse_scales[(int64_t)b.batch * args.rows + b.row] = inverse;
        if (notes.hopeless || notes.wide) atomicAdd(&told->obvious, notes.hopeless ? ROWS : 1);
    }
    for (int first = 0; first < pieces; first += AT_ONCE) {
        if (pieces > AT_ONCE) load_pieces<VECTOR, LANES>(x, b, first + b.piece); /* from a cache */
        if (first == 0 && word) {
            const uint32_t mine = lacking_in_pieces<LANES>(args, x, b.piece, word & 0xff);
            if (mine) atomicAdd(&told->lacking[b.in_band], mine);
        }
        write_pieces<1, LANES>(args, b, x, first + b.piece, factor);
    }
    if (stopped) atomicAdd(&told->obvious, ROWS);
    __syncthreads();
    note_lacking(&notes, b.row < args.rows_a, told->lacking[b.in_band], args.gemm.k);
    if (b.piece == 0 && notes.hopeless) *(volatile uint32_t *)args.choice = SPLIT_TF32;
    return notes;
}

/* Whether a band's rows are read in vectors. The same for all threads: their rows are a multiple of ld apart. */
DEVICE bool reads_vectors(const struct band &b, int k, int64_t ld) {
    return b.r.step == 1 && k % 8 == 0 && ld % 4 == 0 && (uintptr_t)b.r.at % 16 == 0;
}

/* In which order: from both ends, so that whichever operand is wide is met early. */
DEVICE int band_in_turn(int index, int bands) {
    return index % 2 ? bands - 1 - index / 2 : index / 2;
}

/*
 * Whether the first 8 LANES of k of a CTA's first band show already that rows are wide, before all of it is read and
 * written for nothing. It costs what a few loads take, once.
 */
template <int LANES, int ROWS>
DEVICE bool obvious_at_once(const struct split_args &args, struct extremes (*seen)[LANES + 1],
                            struct of_rows<ROWS> *told) {
    const int bands = args.rows / ROWS * args.gemm.batch;
    const struct band b = band_of<ROWS>(args, band_in_turn(blockIdx.x, bands));
    struct extremes e = nothing_seen();
    float x[8];
    if (threadIdx.x == 0) told->obvious = 0;
    load_piece<0>(x, b, b.piece);
#pragma unroll
    for (int i = 0; i < 8; i++) look_at(&e, x[i]);
    seen[b.in_band][b.piece] = e;
    __syncthreads();
    if (b.piece == 0) {
        for (int i = 1; i < LANES; i++) see_also(&e, seen[b.in_band][i]);
        if (spread_of(e) > SPLIT_ONE_SPREAD) atomicAdd(&told->obvious, 1);
    }
    __syncthreads();
    return told->obvious >= ROWS / 4;
}

/* Persistent CTAs, each with bands of both operands; none goes on when rows are obviously wide, or one without hope. */
template <int ROWS> DEVICE void do_bands(const struct split_args &args) {
    static const int LANES = 256 / ROWS;
    __shared__ struct extremes seen[ROWS][LANES + 1];
    __shared__ struct of_rows<ROWS> told[2];
    __shared__ struct split_notes of_warps[8];
    const int bands = args.rows / ROWS * args.gemm.batch;
    struct split_notes notes = nothing_noted();
    int turn = 0;
    bool stop = obvious_at_once<LANES>(args, seen, told + 1); /* all threads agree */
    for (int index = blockIdx.x; index < bands && !stop; index += gridDim.x, turn ^= 1) {
        const struct band b = band_of<ROWS>(args, band_in_turn(index, bands));
        const int64_t ld = b.row < args.rows_a ? args.gemm.lda : args.gemm.ldb;
        const struct split_notes more = reads_vectors(b, args.gemm.k, ld)
                                            ? do_band<1, LANES>(args, b, seen, told + turn)
                                            : do_band<0, LANES>(args, b, seen, told + turn);
        notes = worse(notes, more);
        stop = told[turn].obvious >= ROWS / 4;
    }
    if (stop) {
        notes.hopeless = 1;
        if (threadIdx.x == 0) *(volatile uint32_t *)args.choice = SPLIT_TF32;
    }
    notes = notes_of_warp(notes);
    if (threadIdx.x % 32 == 0) of_warps[threadIdx.x / 32] = notes;
    __syncthreads();
    for (int warp = 0; warp < 8; warp++) notes = worse(notes, of_warps[warp]);
    if (threadIdx.x == 0) args.notes[blockIdx.x] = notes;
}

/* Before them: nobody has given up. */
KERNEL_OF(struct split_args, split_one_begin, 32, 1) {
    grid_wait();
    grid_launch_next();
    if (threadIdx.x == 0) *args.choice = SPLIT_FP16X1;
}

KERNEL_OF(struct split_args, split_one_bands_16, BAND_BOUND, 2) {
    grid_wait();
    grid_launch_next();
    do_bands<16>(args);
}

KERNEL_OF(struct split_args, split_one_bands_8, BAND_BOUND, 2) {
    grid_wait();
    grid_launch_next();
    do_bands<8>(args);
}
