/*
 * The SIMT family where a product has about as many tiles as the chip has SMs: a CTA has a tile and an SM to itself.
 * Contract ieee; warp and thread tiles, and the main loop, are those of sgemm_simt.cuh.
 *
 * The warps of a CTA stand in SLICES, each with the whole tile and a part of every k tile. At last a slice adds a part
 * of each thread tile's columns, sends the others theirs by way of shared memory, and stores its own: all warps are at
 * work to the end. On sm_90 the kernel starts while the one before it drains.
 */
#ifndef FASTGEMM_SGEMM_SLICED_CUH
#define FASTGEMM_SGEMM_SLICED_CUH

#include "ptx_grid.cuh"
#include "sgemm_simt.cuh"

/*
 * One thread's part in copying a tile that lies along k, transposed on its way. A warp copies RUN k of 32 / RUN rows at
 * a time: the more rows, the fewer of its writes to shared memory fall on one bank, and the more lines it reads. A
 * thread notes an offset a row; its further runs of k lie at fixed distances.
 */
template <int EXTENT, int BK, int THREADS> struct run_loader {
    static const int RUN = 16, ROUNDS = BK / RUN, STEP = THREADS / RUN, ROWS = EXTENT / STEP, COUNT = ROWS * ROUNDS;
    static const int LD = EXTENT + 4, STAGE_BYTES = 4 * BK * LD;
    static_assert(BK % RUN == 0 && EXTENT % STEP == 0, "the tile divides among threads");

    const char *tile; /* of the k tile that is copied next */
    uint32_t at[ROWS];
    int run, row; /* this thread's first copy */
    uint32_t to;

    DEVICE_MEMBER void place(int thread, uint32_t stage) {
        run = thread % RUN;
        row = thread / RUN;
        to = kept(stage + 4 * (run * LD + row));
    }

    /* Rows past the edge read the last one: their results are never stored. */
    DEVICE_MEMBER void aim(const float *matrix, int64_t ld, int mn0, int mn_end, int k0, int k_count) {
        (void)k_count;
        tile = (const char *)(matrix + mn0 * ld + k0);
#pragma unroll
        for (int i = 0; i < ROWS; i++)
            at[i] = 4 * ((uint32_t)min(row + i * STEP, mn_end - mn0 - 1) * (uint32_t)ld + run);
    }

    DEVICE_MEMBER uint32_t destination(uint32_t stage, int i) const {
        return to + stage + 4 * (i % ROUNDS * RUN * LD + i / ROUNDS * STEP);
    }
    DEVICE_MEMBER const char *source(int i) const {
        return tile + at[i / ROUNDS] + 4 * RUN * (i % ROUNDS);
    }

    DEVICE_MEMBER void copy_short(uint32_t stage, int k_count) {
#pragma unroll
        for (int i = 0; i < COUNT; i++)
            cp_async_4_fill(destination(stage, i), source(i), run + i % ROUNDS * RUN < k_count);
        tile += 4 * k_count;
    }

    /* The part of a whole tile's copies that goes with step `kk` of STEPS; none of it where not `yes`. */
    template <int STEPS> DEVICE_MEMBER void copy_step(uint32_t stage, int kk, bool yes) {
#pragma unroll
        for (int i = 0; i < COUNT; i++)
            if (i * STEPS / COUNT == kk) cp_async_4_to(destination(stage, i), source(i), yes);
        if (kk == STEPS - 1) tile += 4 * BK;
    }

    DEVICE_MEMBER void copy(uint32_t stage) {
        copy_step<1>(stage, 0, true);
    }
};

/*
 * Single floats along m or n. What a tile at the edge has no rows for is read from the tile before it: lanes that all
 * read the last row again, as elsewhere, take turns (a tile of one row took 2.3 times as long).
 */
template <int EXTENT, int BK, int THREADS> struct edge_loader : operand_loader<LOAD_MN4, EXTENT, BK, THREADS, 0> {
    typedef operand_loader<LOAD_MN4, EXTENT, BK, THREADS, 0> plain;

    DEVICE_MEMBER void aim(const float *matrix, int64_t ld, int mn0, int mn_end, int k0, int k_count) {
        const int beyond = mn_end - mn0, back = mn0 >= EXTENT && beyond < EXTENT ? EXTENT : 0;
        plain::aim(matrix, ld, mn0 - back, mn_end, k0, k_count);
        if (back == 0) return;
#pragma unroll
        for (int i = 0; i < plain::COUNT; i++)
            if (this->fast + i % plain::ROUNDS * plain::FAST < beyond) this->at[i] += 4 * EXTENT;
    }
};

template <int LOAD, int EXTENT, int BK, int THREADS> struct sliced_loader {
    typedef operand_loader<LOAD, EXTENT, BK, THREADS, 0> type;
};
template <int EXTENT, int BK, int THREADS> struct sliced_loader<LOAD_K4, EXTENT, BK, THREADS> {
    typedef run_loader<EXTENT, BK, THREADS> type;
};
template <int EXTENT, int BK, int THREADS> struct sliced_loader<LOAD_MN4, EXTENT, BK, THREADS> {
    typedef edge_loader<EXTENT, BK, THREADS> type;
};

/*
 * Each slice's columns of the thread tile, summed over all slices: its own, then those of the others in their order.
 * In shared memory they lie [slice that adds][slice that sends][quad][thread].
 */
template <int TM, int TN, int THREADS, int SLICES>
DEVICE void exchange_slices(float *shared, const float (&acc)[TN][TM], float (&sum)[TN / SLICES][TM], int thread,
                            int slice) {
    static const int COLUMNS = TN / SLICES, QUADS = TM / 4 * COLUMNS;
    float4 *const sums = (float4 *)shared + thread;
    __syncthreads(); /* all k tiles are read */
#pragma unroll
    for (int to = 0; to < SLICES; to++) {
        float4 *const box = sums + (to * (SLICES - 1) + slice - (slice > to)) * QUADS * THREADS;
#pragma unroll
        for (int q = 0; q < QUADS; q++) {
            const float *x = &acc[to * COLUMNS + q / (TM / 4)][q % (TM / 4) * 4];
            float *own = &sum[q / (TM / 4)][q % (TM / 4) * 4];
            if (to == slice)
                own[0] = x[0], own[1] = x[1], own[2] = x[2], own[3] = x[3];
            else
                box[q * THREADS] = make_float4(x[1], x[0], x[3], x[2]);
        }
    }
    __syncthreads();
#pragma unroll
    for (int from = 0; from < SLICES - 1; from++) {
#pragma unroll
        for (int q = 0; q < QUADS; q++) {
            const float4 other = sums[((slice * (SLICES - 1) + from) * QUADS + q) * THREADS];
            float *x = &sum[q / (TM / 4)][q % (TM / 4) * 4];
            x[1] += other.x, x[0] += other.y, x[3] += other.z, x[2] += other.w;
        }
    }
    __syncthreads(); /* the epilogue's strips lie there too */
}

/* The tile of C, and the part of K, that a CTA works on. */
template <int BM, int BN> DEVICE struct simt_work sliced_work(const struct gemm_args &args) {
    const int tiles = args.tiles_m * args.tiles_n, plane = blockIdx.x / tiles;
    struct simt_work x;
    int tile_m, tile_n;
    raster_tile(args, blockIdx.x - plane * tiles, &tile_m, &tile_n);
    x.batch = plane / args.splits;
    x.split = plane - x.batch * args.splits;
    x.m0 = tile_m * BM;
    x.n0 = tile_n * BN;
    x.k_begin = x.split * args.k_per_split;
    x.k_count = min(args.k - x.k_begin, args.k_per_split);
    x.share = -1;
    return x;
}

template <int BM, int BN, int BK, int TM, int TN, int STAGES, int SLICES, int LOAD_A, int LOAD_B>
DEVICE void sgemm_sliced(const struct gemm_args &args) {
    static const int WARPS_M = BM / (4 * TM), WARPS = WARPS_M * BN / (8 * TN), STEPS = BK / SLICES;
    static const int COLUMNS = TN / SLICES;
    static_assert(TM % 4 == 0 && COLUMNS % 4 == 0, "a slice stores quads of columns");
    typedef typename sliced_loader<LOAD_A, BM, BK, 32 * WARPS * SLICES>::type loader_a;
    typedef typename sliced_loader<LOAD_B, BN, BK, 32 * WARPS * SLICES>::type loader_b;
    static const uint32_t STAGE_BYTES = loader_a::STAGE_BYTES + loader_b::STAGE_BYTES;

    SHARED_MEMORY(shared);
    const uint32_t stage_a = shared_at(shared), stage_b = stage_a + loader_a::STAGE_BYTES;
    const int warp = threadIdx.x / 32 % WARPS, slice = threadIdx.x / 32 / WARPS, lane = threadIdx.x % 32;
    const int lane_m = lane_along_m(lane), lane_n = lane_along_n(lane);
    const int warp_m = warp % WARPS_M * 4 * TM, warp_n = warp / WARPS_M * 8 * TN;
    const struct simt_work work = sliced_work<BM, BN>(args);
    loader_a copy_a;
    loader_b copy_b;
    copy_a.place(threadIdx.x, stage_a);
    copy_b.place(threadIdx.x, stage_b);

    grid_wait(); /* before anything in global memory is looked at */
    grid_launch_next();
    copy_a.aim(matrix_a(args, work.batch), args.lda, work.m0, args.m, work.k_begin, work.k_count);
    copy_b.aim(matrix_b(args, work.batch), args.ldb, work.n0, args.n, work.k_begin, work.k_count);
    int left = (work.k_count + BK - 1) / BK, to_copy = left, short_k = work.k_count % BK;
#pragma unroll 1
    for (int stage = 0; stage < STAGES - 1; stage++, to_copy--) {
        if (short_k) {
            copy_a.copy_short(stage * STAGE_BYTES, short_k);
            copy_b.copy_short(stage * STAGE_BYTES, short_k);
            short_k = 0;
        } else if (to_copy > 0) {
            copy_a.copy(stage * STAGE_BYTES);
            copy_b.copy(stage * STAGE_BYTES);
        }
        cp_async_commit();
    }

    uint32_t read = 0, write = (STAGES - 1) * STAGE_BYTES;
    float a[2][TM], b[2][TN], acc[TN][TM];
    fragment<TM, 4> from_a;
    fragment<TN, 8> from_b;
    from_a.quads = kept(stage_a + 4 * (warp_m + 4 * lane_m + slice * STEPS * loader_a::LD));
    from_b.quads = kept(stage_b + 4 * (warp_n + 4 * lane_n + slice * STEPS * loader_b::LD));
#pragma unroll
    for (int j = 0; j < TN; j++)
#pragma unroll
        for (int i = 0; i < TM; i++) acc[j][i] = 0.0f;
    cp_async_wait<STAGES - 2>();
    __syncthreads();
    from_a.load(a[0], read, 0);
    from_b.load(b[0], read, 0);
#pragma unroll 1
    for (; left > 0; left--, to_copy--) {
        const bool copying = to_copy > 0;
#pragma unroll
        for (int kk = 0; kk < STEPS; kk++) {
            copy_a.template copy_step<STEPS>(write, kk, copying);
            copy_b.template copy_step<STEPS>(write, kk, copying);
            if (kk == STEPS - 1) { /* the next tile has landed, and this one is read, by all */
                cp_async_commit();
                cp_async_wait<STAGES - 2>();
                __syncthreads();
                write = read;
                read = read == (STAGES - 1) * STAGE_BYTES ? 0 : read + STAGE_BYTES;
            }
            const int next = (kk + 1) % STEPS;
            from_b.load(b[(kk + 1) % 2], read, 4 * next * loader_b::LD);
            multiply_add<0, TN / 2>(acc, a[kk % 2], b[kk % 2]);
            from_a.load(a[(kk + 1) % 2], read, 4 * next * loader_a::LD);
            multiply_add<TN / 2, TN>(acc, a[kk % 2], b[kk % 2]);
        }
    }
    cp_async_wait<0>();
    float sum[COLUMNS][TM];
    exchange_slices<TM, TN, 32 * WARPS, SLICES>(shared, acc, sum, threadIdx.x % (32 * WARPS), slice);
    store_tile<TM, COLUMNS, 1>(args, shared + threadIdx.x / 32 * stage_floats<TM>(), sum, work.m0 + warp_m,
                               work.n0 + warp_n + slice * 8 * COLUMNS, work.split, work.batch, lane);
}

#endif
