/* The fused family's kernels: the product, and what looks after it whether that will do. */
#include "sgemm_fused.cuh"
#include "split_rows.cuh"

/* Shared memory, its barriers and notes as they have to be at first. */
DEVICE struct fused_ring make_ring(float *memory) {
    const int thread = threadIdx.x;
    uint8_t *shared = (uint8_t *)memory + (-shared_address(memory) & 1023);
    uint64_t *barriers = (uint64_t *)(shared + FUSED_BARRIERS_AT);
    if (thread < 2 * WARPGROUP) ((double2 *)(shared + FUSED_MOMENTS_AT))[thread] = make_double2(0, 0);
    if (thread < 4) ((float *)(shared + FUSED_FLAGS_AT))[thread] = 0;
    if (thread == 0) {
        for (int i = 0; i < FUSED_STAGES; i++) {
            mbarrier_init(barriers + i, 2 * WARPGROUP);
            mbarrier_init(barriers + FUSED_STAGES + i, CONSUMERS * WARPGROUP);
        }
        fence_barrier_init();
    }
    __syncthreads();
    struct fused_ring ring = {shared_address(shared), 0};
    return ring;
}

template <int CHOICE, int SIDE> DEVICE void convert(const struct fused_args &args, const struct fused_ring &ring) {
    if (SIDE ? args.b_along_k : args.a_along_k) {
        struct converter<CHOICE, FUSED_K, SIDE> c;
        c.run(args, ring);
    } else {
        struct converter<CHOICE, FUSED_MN, SIDE> c;
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

template <int CHOICE> DEVICE void sgemm_fused(const struct fused_args &args, float *memory) {
    static const int REGISTERS = fused_planes<CHOICE>::REGISTERS; /* of a consumer's thread */
    const struct fused_ring ring = make_ring(memory);
    const int warpgroup = threadIdx.x / WARPGROUP;
    if (warpgroup >= CONSUMERS) {
        setmaxnreg_dec<256 - REGISTERS>();
        if (warpgroup == CONSUMERS) {
            convert<CHOICE, 0>(args, ring);
            if (CHOICE == FUSED_DONE) write_notes<0>(args, memory);
        } else {
            convert<CHOICE, 1>(args, ring);
            if (CHOICE == FUSED_DONE) write_notes<1>(args, memory);
        }
    } else {
        setmaxnreg_inc<REGISTERS>();
        consume<CHOICE>(args, ring, warpgroup, threadIdx.x % WARPGROUP);
    }
}

KERNEL_OF(struct fused_args, sgemm_fused_128x128, FUSED_THREADS, 1) {
    SHARED_MEMORY(memory);
    grid_launch_next();
    const int tiles = args.gemm.tiles_m * args.gemm.tiles_n * args.gemm.batch;
    for (int i = blockIdx.x * FUSED_THREADS + threadIdx.x; i < tiles; i += gridDim.x * FUSED_THREADS) args.done[i] = 0;
    sgemm_fused<FUSED_DONE>(args, memory);
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
    if (args.gemm.k < FUSED_LEAST_K) return FUSED_EXACT;
    if (a.dominated || b.dominated || few_elements(a, b, args.gemm.k, args.gemm.batch)) return FUSED_EXACT;
    return a.wide || b.wide ? FUSED_WIDE : FUSED_DONE;
}

/*
 * A warp takes 32 / SHARES quads of a column at a time, SHARES lanes to a quad, each with every SHARES-th split;
 * several at once, for the way to the L2 cache and back.
 */
template <int SHARES> DEVICE void add_splits(const struct gemm_args &g) {
    static const int AT_ONCE = 4, QUADS = 32 / SHARES;
    const struct scalars s = read_scalars(g);
    const uint32_t per_column = (uint32_t)((g.ld_partial / 4 + QUADS - 1) / QUADS), columns = (uint32_t)g.n * g.batch;
    const uint32_t count = per_column * columns, warps = gridDim.x * (FUSED_THREADS / 32);
    const int64_t next = (int64_t)columns * g.ld_partial;
    const int lane = threadIdx.x % 32, share = lane % SHARES;
    for (uint32_t first = blockIdx.x * (FUSED_THREADS / 32) + threadIdx.x / 32; first < count;
         first += AT_ONCE * warps) {
        float4 sum[AT_ONCE];
        const float *from[AT_ONCE];
        int m[AT_ONCE], n[AT_ONCE], batch[AT_ONCE];
#pragma unroll
        for (int i = 0; i < AT_ONCE; i++) {
            const uint32_t item = first + i * warps, column = item / per_column;
            m[i] = item < count ? 4 * (int)((item - column * per_column) * QUADS + lane / SHARES) : g.m;
            batch[i] = (int)(column / g.n);
            n[i] = (int)(column - (uint32_t)batch[i] * g.n);
            sum[i] = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
            from[i] = g.partial + (int64_t)column * g.ld_partial + m[i];
        }
#pragma unroll 2
        for (int split = share; split < g.splits; split += SHARES) {
#pragma unroll
            for (int i = 0; i < AT_ONCE; i++)
                if (m[i] < g.m) sum[i] = added(sum[i], *(const float4 *)(from[i] + split * next));
        }
#pragma unroll
        for (int i = 0; i < AT_ONCE; i++) {
#pragma unroll
            for (int far = 1; far < SHARES; far *= 2) {
                sum[i].x += __shfl_xor_sync(0xffffffffu, sum[i].x, far);
                sum[i].y += __shfl_xor_sync(0xffffffffu, sum[i].y, far);
                sum[i].z += __shfl_xor_sync(0xffffffffu, sum[i].z, far);
                sum[i].w += __shfl_xor_sync(0xffffffffu, sum[i].w, far);
            }
            if (share == 0 && m[i] < g.m) store_rows(g, s, batch[i], m[i], n[i], sum[i]);
        }
    }
}

KERNEL_OF(struct fused_args, sgemm_fused_after, FUSED_THREADS, 1) {
    SHARED_MEMORY(memory);
    grid_wait();
    const enum fused_choice choice = choice_by_notes(args);
    if (choice == FUSED_DONE) {
        if (!args.gemm.partial) return;
        if (args.gemm.splits > 8)
            add_splits<8>(args.gemm);
        else
            add_splits<1>(args.gemm);
    } else if (choice == FUSED_WIDE) {
        sgemm_fused<FUSED_WIDE>(args, memory);
    } else {
        sgemm_fused<FUSED_EXACT>(args, memory);
    }
}
