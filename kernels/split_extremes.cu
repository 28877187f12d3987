/*
 * The first passes over long or few rows: how large each row's elements are, chunk by chunk, then each row's scale and
 * how to multiply. See split.h.
 */
#include "split_notes.cuh"

/*
 * One thread's share of a row that is not contiguous along k: every `stride`-th element. ONE: it ends where many rows
 * of the warp are seen to be wide.
 */
template <bool ONE> DEVICE struct extremes look_along_row(struct row r, int k, int k_end, int stride) {
    static const int LOADS = 16; /* under way */
    struct extremes e = nothing_seen();
    const uint32_t lanes = ONE ? __ballot_sync(0xffffffffu, r.inside) : 0;
    if (!r.inside) return e;
    for (; k + stride * (LOADS - 1) < k_end; k += stride * LOADS) {
        float x[LOADS];
#pragma unroll
        for (int i = 0; i < LOADS; i++) x[i] = r.at[(k + stride * i) * r.step];
#pragma unroll
        for (int i = 0; i < LOADS; i++) look_at(&e, x[i]);
        if (ONE && __popc(__ballot_sync(lanes, spread_of(e) > SPLIT_ONE_SPREAD)) >= OBVIOUS) return hopeless();
    }
    for (; k < k_end; k += stride) look_at(&e, r.at[k * r.step]);
    return e;
}

/* A warp's look at four rows that are contiguous along k; each lane's share. */
static const int ROWS = 4;
DEVICE void look_at_rows(struct extremes (&e)[ROWS], const struct row (&r)[ROWS], int k, int k_end) {
    for (; k + 32 < k_end; k += 64) {
        float x[ROWS][2];
#pragma unroll
        for (int i = 0; i < ROWS; i++) {
            x[i][0] = r[i].inside ? r[i].at[k] : 0.0f;
            x[i][1] = r[i].inside ? r[i].at[k + 32] : 0.0f;
        }
#pragma unroll
        for (int i = 0; i < ROWS; i++) {
            look_at(&e[i], x[i][0]);
            look_at(&e[i], x[i][1]);
        }
    }
    if (k < k_end) {
#pragma unroll
        for (int i = 0; i < ROWS; i++) look_at(&e[i], r[i].inside ? r[i].at[k] : 0.0f);
    }
}

/* blockIdx: x the unit of 128 rows, y the chunk of K, z the batch. */
template <bool ONE> DEVICE void look_at_chunk(const struct split_args &args) {
    SHARED_MEMORY(shared);
    struct extremes *halves = (struct extremes *)shared; /* 128: of the threads of the second half */
    const int thread = threadIdx.x, lane = thread % 32, first_row = blockIdx.x * SPLIT_UNIT_ROWS, batch = blockIdx.z;
    const int k0 = blockIdx.y * args.chunk, k1 = k0 + min(args.chunk, args.gemm.k - k0);
    const bool along_k = first_row < args.rows_a ? args.a_along_k : args.b_along_k;
    if (!ONE && blockIdx.x + blockIdx.y + thread == 0) args.done[batch] = 0;
    if (blockIdx.x + blockIdx.y + blockIdx.z + thread == 0) {
        *args.choice = args.first_choice;
        if (ONE) *args.notes = nothing_noted();
    }
    uint32_t *out = args.extremes + ((int64_t)batch * args.chunks + blockIdx.y) * args.rows + first_row;
    if (!along_k) {
        struct extremes e =
            look_along_row<ONE>(row_of(args, first_row + thread % 128, batch), k0 + thread / 128, k1, 2);
        if (thread >= 128) halves[thread - 128] = e;
        __syncthreads();
        if (thread < 128) {
            see_also(&e, halves[thread]);
            out[thread] = packed(e, args.gemm.k);
        }
        return;
    }
    bool obvious = false;
    for (int first = thread / 32 * ROWS; first < SPLIT_UNIT_ROWS; first += 8 * ROWS) {
        struct row r[ROWS];
        struct extremes e[ROWS];
#pragma unroll
        for (int i = 0; i < ROWS; i++) {
            r[i] = row_of(args, first_row + first + i, batch);
            e[i] = nothing_seen();
        }
        if (!obvious) look_at_rows(e, r, k0 + lane, k1);
        int wide = 0;
#pragma unroll
        for (int i = 0; i < ROWS; i++) {
            for (int far = 16; far; far /= 2) {
                struct extremes other;
                other.most = __shfl_xor_sync(0xffffffffu, e[i].most, far);
                other.least = __shfl_xor_sync(0xffffffffu, e[i].least, far);
                other.sum = __shfl_xor_sync(0xffffffffu, e[i].sum, far);
                see_also(&e[i], other);
            }
            if (ONE) wide += spread_of(e[i]) > SPLIT_ONE_SPREAD;
            if (obvious) e[i] = hopeless();
            if (lane == 0) out[first + i] = packed(e[i], args.gemm.k);
        }
        obvious |= ONE && wide >= OBVIOUS / 4;
    }
}

KERNEL_OF(struct split_args, split_extremes, 256, 4) {
    grid_wait();
    grid_launch_next();
    look_at_chunk<false>(args);
}

/* The same for fp16x1. */
KERNEL_OF(struct split_args, split_one_extremes, 256, 4) {
    grid_wait();
    grid_launch_next();
    look_at_chunk<true>(args);
}

/* The moments of each unit are put into scratch; the CTA that comes last has all of its matrix, and chooses. */
DEVICE void choose_by_moments(const struct split_args &args, int batch, struct split_moments own) {
    __shared__ struct split_moments of_warps[4];
    __shared__ bool last;
    const int units = args.rows / SPLIT_UNIT_ROWS, units_a = args.rows_a / SPLIT_UNIT_ROWS;
    struct split_moments *moments = args.moments + (int64_t)batch * units;
    sum_over_warps(own, of_warps);
    if (threadIdx.x == 0) {
        moments[blockIdx.x] = sum_of_warps(of_warps, 4);
        __threadfence();
        last = atomicAdd(args.done + batch, 1u) == (uint32_t)units - 1;
        __threadfence();
    }
    __syncthreads();
    if (!last) return;
    struct split_moments sides[2] = {{0, 0, 0, 0, 0}, {0, 0, 0, 0, 0}};
#pragma unroll
    for (int side = 0; side < 2; side++) {
        for (int unit = (side ? units_a : 0) + threadIdx.x; unit < (side ? units : units_a); unit += 128)
            sides[side] = sum_of_moments(sides[side], moments[unit]);
        sum_over_warps(sides[side], of_warps);
        sides[side] = sum_of_warps(of_warps, 4);
        __syncthreads();
    }
    if (threadIdx.x == 0) atomicMax(args.choice, choice_for(args, sides[0], sides[1], 1));
}

/* One thread per row; blockIdx.y is the batch. */
KERNEL_OF(struct split_args, split_choose, 128, 8) {
    grid_wait();
    grid_launch_next();
    const int index = blockIdx.x * 128 + threadIdx.x, batch = blockIdx.y;
    const uint32_t *word = args.extremes + (int64_t)batch * args.chunks * args.rows + index;
    struct split_moments moments = {0, 0, 0, 0, 0};
    uint32_t both = 0;
#pragma unroll 8
    for (int chunk = 0; chunk < args.chunks; chunk++) {
        const uint32_t one = word[(int64_t)chunk * args.rows];
        both = wider(both, one);
        if (one) count_part(&moments, one & 0xff);
    }
    float inverse = count_row(&moments, both, args.spread);
    if (!args.planes && moments.wide) inverse = -inverse, moments.wide = 0; /* for tiles to choose by */
    args.inverse_scales[(int64_t)batch * args.rows + index] = inverse;
    choose_by_moments(args, batch, moments);
}

/* A row's elements over the slice that are not solid, its largest being of this exponent. */
DEVICE uint32_t lacking_in_row(const struct split_args &args, const struct row &r, int most) {
    static const int LOADS = 16;
    const int slice = slice_of(args.gemm.k);
    uint32_t lacking = 0;
    for (int k = 0; k < slice; k += LOADS) {
        float x[LOADS];
#pragma unroll
        for (int i = 0; i < LOADS; i++)
            x[i] = k + i < slice ? r.at[(k + i) * r.step] : bits_float((uint32_t)most << 23);
#pragma unroll
        for (int i = 0; i < LOADS; i++) lacking += !solid(x[i], most);
    }
    return lacking;
}

/* Each row's scale for fp16x1, and what is to be noted of it. One thread per row; blockIdx.y is the batch. */
KERNEL_OF(struct split_args, split_one_choose, 128, 8) {
    grid_wait();
    grid_launch_next();
    const int index = blockIdx.x * 128 + threadIdx.x, batch = blockIdx.y;
    const uint32_t *word = args.extremes + (int64_t)batch * args.chunks * args.rows + index;
    uint32_t both = 0;
#pragma unroll 8
    for (int chunk = 0; chunk < args.chunks; chunk++) both = wider(both, word[(int64_t)chunk * args.rows]);
    args.inverse_scales[(int64_t)batch * args.rows + index] = inverse_of_row(both);
    struct split_notes notes = notes_of_row(both);
    if (both && !notes.hopeless)
        note_lacking(&notes, index < args.rows_a, lacking_in_row(args, row_of(args, index, batch), both & 0xff),
                     args.gemm.k);
    notes = notes_of_warp(notes);
    if (threadIdx.x % 32 == 0) {
        if (notes.hopeless) atomicMax(&args.notes->hopeless, 1u);
        if (notes.wide) atomicMax(&args.notes->wide, 1u);
#pragma unroll
        for (int side = 0; side < 2; side++)
            if (notes.lacking[side]) atomicMax(&args.notes->lacking[side], notes.lacking[side]);
    }
}
