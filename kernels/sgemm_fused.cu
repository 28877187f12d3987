/* The fused family's kernels: the product, what looks after it whether that will do, and adds or multiplies again. */
#include "fused_sample.cuh"
#include "fused_sum.cuh"
#include "sgemm_fused.cuh"

/* Shared memory, its barriers and notes as they have to be at first. */
template <int CHOICE> DEVICE struct fused_ring make_ring(const struct fused_args &args, float *memory) {
    const int thread = threadIdx.x;
    /* In EXACT a box arrives as one, where the copy engine brings it; threads that copy do one by one. */
    const int arriving = CHOICE != FUSED_EXACT ? 2 * WARPGROUP
                                               : (args.a_boxes ? WARPGROUP / 32 : WARPGROUP) +
                                                     (args.b_boxes ? WARPGROUP / 32 : WARPGROUP);
    uint8_t *shared = (uint8_t *)memory + (-shared_address(memory) & 1023);
    uint64_t *barriers = (uint64_t *)(shared + FUSED_BARRIERS_AT);
    if (thread < 2 * WARPGROUP) ((double2 *)(shared + FUSED_MOMENTS_AT))[thread] = make_double2(0, 0);
    if (thread < 4) ((float *)(shared + FUSED_FLAGS_AT))[thread] = 0;
    if (thread == 0) {
        for (int i = 0; i < fused_stages<CHOICE>::COUNT; i++) {
            mbarrier_init(barriers + i, arriving);
            mbarrier_init(barriers + FUSED_MOST_STAGES + i, CONSUMERS * WARPGROUP);
        }
        for (int i = 0; i < 2 * WARPGROUP / 32; i++) mbarrier_init((uint64_t *)(shared + FUSED_COPIED_AT) + i, 1);
        fence_barrier_init();
    }
    __syncthreads();
    struct fused_ring ring = {shared_address(shared), 0};
    return ring;
}

/* Known to be the same for a warp: what follows from it is kept in registers that a warp shares. */
DEVICE int warpgroup_of_warp(void) {
    return __shfl_sync(0xffffffffu, threadIdx.x / WARPGROUP, 0);
}

template <int SIDE> DEVICE void convert(const struct fused_args &args, const struct fused_ring &ring) {
    if (SIDE ? args.b_along_k : args.a_along_k) {
        struct converter<FUSED_K, SIDE> c;
        c.run(args, ring);
    } else {
        struct converter<FUSED_MN, SIDE> c;
        c.run(args, ring);
    }
}

/* The notes of a converter's threads, put together where the next kernel finds them. */
template <int SIDE> DEVICE void write_notes(const struct fused_args &args, float *memory) {
    static __shared__ struct split_moments of_warps[WARPGROUP / 32];
    const int thread = threadIdx.x % WARPGROUP;
    const uint8_t *shared = (const uint8_t *)memory + (-shared_address(memory) & 1023);
    const double2 own = ((const double2 *)(shared + FUSED_MOMENTS_AT))[SIDE * WARPGROUP + thread];
    const float *flags = (const float *)(shared + FUSED_FLAGS_AT) + 2 * SIDE;
    struct split_moments m = {own.x, own.y, 0, 0, 0};
    m = sum_over_lanes(m);
    if (thread % 32 == 0) of_warps[thread / 32] = m;
    barrier_sync<1 + SIDE>(WARPGROUP);
    if (thread) return;
    m = sum_of_warps(of_warps, WARPGROUP / 32);
    m.wide = flags[0] != 0;
    m.dominated = flags[1] != 0;
    args.seen[SIDE * args.ctas + blockIdx.x] = m;
}

KERNEL_OF(struct fused_args, sgemm_fused_128x128, FUSED_THREADS, 1) {
    SHARED_MEMORY(memory);
    grid_launch_next();
    if (args.gemm.k < FUSED_LEAST_K || hopeless(args)) {
        const struct split_moments beyond = {0, 0, 0, 1, 0};
        if (threadIdx.x < 2) args.seen[threadIdx.x * args.ctas + blockIdx.x] = beyond;
        return;
    }
    const struct fused_ring ring = make_ring<FUSED_DONE>(args, memory);
    const int warpgroup = warpgroup_of_warp();
    if (warpgroup >= CONSUMERS) {
        setmaxnreg_dec<256 - fused_stages<FUSED_DONE>::REGISTERS>();
        if (warpgroup == CONSUMERS) {
            convert<0>(args, ring);
            write_notes<0>(args, memory);
        } else {
            convert<1>(args, ring);
            write_notes<1>(args, memory);
        }
    } else {
        setmaxnreg_inc<fused_stages<FUSED_DONE>::REGISTERS>();
        consume(args, ring, warpgroup, threadIdx.x % WARPGROUP);
    }
}

/* ---- after the product ---- */

/* What the product's notes say; each CTA works it out for itself. Half its threads sum A's, half B's. */
DEVICE enum fused_choice choice_by_notes(const struct fused_args &args) {
    static const int WARPS = FUSED_THREADS / 32;
    static __shared__ struct split_moments of_warps[WARPS];
    const int side = threadIdx.x / (FUSED_THREADS / 2);
    struct split_moments m = {0, 0, 0, 0, 0};
    for (int i = threadIdx.x % (FUSED_THREADS / 2); i < args.ctas; i += FUSED_THREADS / 2)
        m = sum_of_moments(m, args.seen[side * args.ctas + i]);
    sum_over_warps(m, of_warps);
    const struct split_moments a = sum_of_warps(of_warps, WARPS / 2), b = sum_of_warps(of_warps + WARPS / 2, WARPS / 2);
    if (a.dominated || b.dominated || a.wide || b.wide) return FUSED_EXACT;
    return few_elements(a, b, args.gemm.k, args.gemm.batch) ? FUSED_EXACT : FUSED_DONE;
}

template <int SIDE> DEVICE void copy_side(const struct fused_args &args, const struct fused_ring &ring) {
    if (SIDE ? args.b_along_k : args.a_along_k)
        copy_exact<FUSED_K, SIDE>(args, ring);
    else
        copy_exact<FUSED_MN, SIDE>(args, ring);
}

DEVICE void multiply_again(const struct fused_args &args, const struct fused_ring &ring, int warp, int lane) {
    if (args.a_along_k && args.b_along_k)
        consume_exact<1, 1>(args, ring, warp, lane);
    else if (args.a_along_k)
        consume_exact<1, 0>(args, ring, warp, lane);
    else if (args.b_along_k)
        consume_exact<0, 1>(args, ring, warp, lane);
    else
        consume_exact<0, 0>(args, ring, warp, lane);
}

KERNEL_OF(struct fused_args, sgemm_fused_after, FUSED_THREADS, 1) {
    SHARED_MEMORY(memory);
    grid_wait();
    grid_launch_next();
    const enum fused_choice choice = choice_by_notes(args);
    if (blockIdx.x + threadIdx.x == 0) *args.choice = choice;
    if (choice == FUSED_DONE) {
        if (args.gemm.partial) add_splits<FUSED_DONE>(args.gemm);
        return;
    }
    const struct fused_ring ring = make_ring<FUSED_EXACT>(args, memory);
    const int warpgroup = warpgroup_of_warp();
    if (warpgroup >= CONSUMERS) {
        setmaxnreg_dec<256 - fused_stages<FUSED_EXACT>::REGISTERS>();
        if (warpgroup == CONSUMERS)
            copy_side<0>(args, ring);
        else
            copy_side<1>(args, ring);
    } else {
        setmaxnreg_inc<fused_stages<FUSED_EXACT>::REGISTERS>();
        multiply_again(args, ring, threadIdx.x / 32, threadIdx.x % 32);
    }
}

/* After a product whose K is split. */
KERNEL_OF(struct fused_args, sgemm_fused_sum, FUSED_THREADS, 1) {
    grid_wait();
    if (*args.choice == FUSED_EXACT) add_splits<FUSED_EXACT>(args.gemm);
}
