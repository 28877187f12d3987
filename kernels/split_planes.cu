/*
 * The planes of the operands, from what split_extremes.cu found out or, where rows are short, in one pass by bands.
 */
#include "split_again.cuh"
#include "split_bands.cuh"

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

/* All there is to do for a band before the product, as long as the first choice is the last. */
template <int VECTOR, int LANES>
DEVICE void do_band(const struct split_args &args, const struct band &b, struct extremes (*seen)[LANES + 1],
                    struct split_moments *moments) {
    static const int AT_ONCE = LANES * PIECES;
    const int pieces = 4 * args.k_units;
    float x[PIECES][8];
    const struct extremes e = look_at_band<VECTOR, LANES>(args, b, x, seen, moments);
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
