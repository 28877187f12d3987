/*
 * How to multiply after bands (split_planes.cu), which wrote planes by the first choice: each CTA of the kernel after
 * them adds up what they saw and comes to the same end. Where that kernel is the product itself and the first choice
 * was wrong, its CTAs write the units anew before they multiply. They take units by turns, so that a CTA waits for
 * running ones alone, however many there are.
 */
#ifndef FASTGEMM_SPLIT_AGAIN_CUH
#define FASTGEMM_SPLIT_AGAIN_CUH

#include "ptx_sm90.cuh"
#include "split_units.cuh"

/* Half of the threads that work on units sum A's moments, half B's; all of the CTA learn the result. */
DEVICE uint32_t choice_by_bands(const struct split_args &args) {
    static const int MOST_EACH = SPLIT_BAND_CTAS / (UNIT_THREADS / 2);
    __shared__ struct split_moments of_warps[UNIT_THREADS / 32];
    const int side = threadIdx.x / (UNIT_THREADS / 2), first = threadIdx.x % (UNIT_THREADS / 2);
    if (side < 2) {
        struct split_moments m[MOST_EACH], sum = {0, 0, 0, 0, 0};
#pragma unroll
        for (int i = 0; i < MOST_EACH; i++) {
            const int at = first + i * (UNIT_THREADS / 2);
            m[i] = sum;
            if (at < args.band_ctas) m[i] = args.moments[side * args.band_ctas + at];
        }
#pragma unroll
        for (int i = 0; i < MOST_EACH; i++) sum = sum_of_moments(sum, m[i]);
        sum = sum_over_lanes(sum);
        if (threadIdx.x % 32 == 0) of_warps[threadIdx.x / 32] = sum;
    }
    __syncthreads();
    const int half = UNIT_THREADS / 64;
    return choice_for(args, sum_of_warps(of_warps, half), sum_of_warps(of_warps + half, half), args.gemm.batch);
}

/* The next units for the threads that work on them. */
DEVICE int take_units(const struct split_args &args, int count) {
    __shared__ int first;
    sync_unit_threads();
    if (threadIdx.x == 0) first = (int)atomicAdd(args.taken, (uint32_t)count);
    sync_unit_threads();
    return first;
}

/* All the planes anew, by all CTAs; they may be copied when this returns. `images`: room for two units of floats. */
DEVICE void write_units_again(const struct split_args &args, uint8_t *images, uint32_t choice) {
    const int units = args.rows / SPLIT_UNIT_ROWS * args.k_units * args.gemm.batch;
    if (threadIdx.x < UNIT_THREADS) {
        for (int first = take_units(args, 2); first < units; first = take_units(args, 2)) {
            const int second = first + 1 < units ? first + 1 : first;
            if (choice == SPLIT_EXACT) {
                copy_units(args, images, first, second);
            } else {
                write_unit(args, images, first, true);
                sync_unit_threads();
                write_unit(args, images, second, true);
            }
            fence_proxy_async_all(); /* the copy engine is to read it */
            __threadfence();
            sync_unit_threads();
            if (threadIdx.x == 0) atomicAdd(args.written, (uint32_t)(1 + second - first));
        }
    }
    if (threadIdx.x == 0)
        while (ld_acquire(args.written) < (uint32_t)units)
            ;
    __syncthreads();
    fence_proxy_async_all();
}

#endif
