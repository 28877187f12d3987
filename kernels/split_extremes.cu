/*
 * The first passes over long or few rows: how large each row's elements are, chunk by chunk, then each row's scale and
 * how to multiply. See split.h.
 */
#include "split_rows.cuh"

/* One thread's share of a row that is not contiguous along k: every `stride`-th element. */
DEVICE struct extremes look_along_row(struct row r, int k, int k_end, int stride) {
    static const int LOADS = 16; /* under way */
    struct extremes e = nothing_seen();
    if (!r.inside) return e;
    for (; k + stride * (LOADS - 1) < k_end; k += stride * LOADS) {
        float x[LOADS];
#pragma unroll
        for (int i = 0; i < LOADS; i++) x[i] = r.at[(k + stride * i) * r.step];
#pragma unroll
        for (int i = 0; i < LOADS; i++) look_at(&e, x[i]);
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
KERNEL_OF(struct split_args, split_extremes, 256, 4) {
    grid_wait();
    grid_launch_next();
    SHARED_MEMORY(shared);
    struct extremes *halves = (struct extremes *)shared; /* 128: of the threads of the second half */
    const int thread = threadIdx.x, lane = thread % 32, first_row = blockIdx.x * SPLIT_UNIT_ROWS, batch = blockIdx.z;
    const int k0 = blockIdx.y * args.chunk, k1 = k0 + min(args.chunk, args.gemm.k - k0);
    const bool along_k = first_row < args.rows_a ? args.a_along_k : args.b_along_k;
    if (blockIdx.x + blockIdx.y + thread == 0) args.done[batch] = 0;
    if (blockIdx.x + blockIdx.y + blockIdx.z + thread == 0) *args.choice = args.first_choice;
    uint32_t *out = args.extremes + ((int64_t)batch * args.chunks + blockIdx.y) * args.rows + first_row;
    if (!along_k) {
        struct extremes e = look_along_row(row_of(args, first_row + thread % 128, batch), k0 + thread / 128, k1, 2);
        if (thread >= 128) halves[thread - 128] = e;
        __syncthreads();
        if (thread < 128) {
            see_also(&e, halves[thread]);
            out[thread] = packed(e, args.gemm.k);
        }
        return;
    }
    for (int first = thread / 32 * ROWS; first < SPLIT_UNIT_ROWS; first += 8 * ROWS) {
        struct row r[ROWS];
        struct extremes e[ROWS];
#pragma unroll
        for (int i = 0; i < ROWS; i++) {
            r[i] = row_of(args, first_row + first + i, batch);
            e[i] = nothing_seen();
        }
        look_at_rows(e, r, k0 + lane, k1);
#pragma unroll
        for (int i = 0; i < ROWS; i++) {
            for (int far = 16; far; far /= 2) {
                struct extremes other;
                other.most = __shfl_xor_sync(0xffffffffu, e[i].most, far);
                other.least = __shfl_xor_sync(0xffffffffu, e[i].least, far);
                other.sum = __shfl_xor_sync(0xffffffffu, e[i].sum, far);
                see_also(&e[i], other);
            }
            if (lane == 0) out[first + i] = packed(e[i], args.gemm.k);
        }
    }
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
