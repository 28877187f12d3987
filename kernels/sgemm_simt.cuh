/*
 * The SIMT family: fp32 FFMA, contract ieee. One CTA computes a BM x BN tile of C over its slice of K.
 *
 *   CTA tile     BM x BN, k in steps of BK, STAGES of them in shared memory, filled by cp.async
 *   warp tile    (4 TM) x (8 TN): lanes stand 4 along m by 8 along n
 *   thread tile  TM x TN, in quads: quad q of a thread lies at 16 q + 4 lane_m along m, 32 q + 4 lane_n along n;
 *                what is left of TM or TN follows in pairs of all lanes, then singly
 *
 * Thread tiles that are not all quads make CTA tiles that fit sizes which no power of two does (GEMM_FITTED). Their
 * CTAs have one piece of work each, copies take their offsets from shared memory, and a short k tile takes only as many
 * steps as it has: what registers and steps there are is for accumulators.
 *
 * Two things are worth 10 % (measured): a thread walks its tile like a snake, so that one operand of
 * each FMA stays in the register reuse cache; and its accumulators leave as quads in the order (1, 0, 3, 2), which
 * makes the compiler put an accumulator and its operand of A into different register banks.
 */
#ifndef FASTGEMM_SGEMM_SIMT_CUH
#define FASTGEMM_SGEMM_SIMT_CUH

#include "epilogue.cuh"
#include "tile.cuh"

/* The quads of a lane's T rows or columns. */
template <int T, int LANES> DEVICE void load_quads(float *x, uint32_t from) {
#pragma unroll
    for (int q = 0; q < T / 4; q++) load_shared_16(x + 4 * q, from + 16 * LANES * q);
}

/* Where a lane's T of a warp's rows or columns lie in shared memory (place_along of tile.cuh), and how they are loaded.
 */
template <int T, int LANES> struct fragment {
    static const int QUADS = T / 4, PAIR = T & 2, ONE = T & 1;
    uint32_t quads, pair, one; /* addresses of the first k of the first stage */

    /* What the quads' address leaves open; `from`: address of the warp's first. */
    DEVICE_MEMBER void place_rest(uint32_t from, int lane) {
        if (PAIR) pair = kept(from + 4 * place_along<T, LANES>(lane, 4 * QUADS));
        if (ONE) one = kept(from + 4 * place_along<T, LANES>(lane, T - 1));
    }

    /* `stage`: bytes to the stage; `row`: to its k. */
    DEVICE_MEMBER void load(float *x, uint32_t stage, uint32_t row) const {
        load_quads<T, LANES>(x, quads + stage + row);
        if (PAIR) load_shared_8(x + 4 * QUADS, pair + stage + row);
        if (ONE) load_shared_4(x + T - 1, one + stage + row);
    }

    /* Those of which `i` is the last. */
    DEVICE_MEMBER void load_behind(float *x, int i, uint32_t stage, uint32_t row) const {
        if (i % 4 == 3) load_shared_16(x + i - 3, quads + stage + row + 16 * LANES * (i / 4));
        if (PAIR && i == 4 * QUADS + 1) load_shared_8(x + i - 1, pair + stage + row);
        if (ONE && i == T - 1) load_shared_4(x + i, one + stage + row);
    }
};

/* Columns FIRST to END of the thread tile. */
template <int FIRST, int END, int TM, int TN>
DEVICE void multiply_add(float (&acc)[TN][TM], const float *a, const float *b) {
#pragma unroll
    for (int j = FIRST; j < END; j++) {
#pragma unroll
        for (int step = 0; step < TM; step++) {
            const int i = j & 1 ? TM - 1 - step : step;
            acc[j][i] = fmaf(a[i], b[j], acc[j][i]);
        }
    }
}

/* The whole thread tile. As soon as a quad of B is done with, that of the next k takes its registers. */
template <int TM, int TN>
DEVICE void multiply_add_rolling(float (&acc)[TN][TM], const float *a, float *b, const fragment<TN, 8> &from_b,
                                 uint32_t stage, uint32_t row) {
#pragma unroll
    for (int j = 0; j < TN; j++) {
#pragma unroll
        for (int step = 0; step < TM; step++) {
            const int i = j & 1 ? TM - 1 - step : step;
            acc[j][i] = fmaf(a[i], b[j], acc[j][i]);
        }
        from_b.load_behind(b, j, stage, row);
    }
}

/* ---- what becomes of a thread's sums ---- */

/*
 * Slices of a CTA, which summed over different k, are added in a fixed order by way of shared memory: 3 + 1, 2 + 0...
 * Quads at a time, or where the accumulators are none, floats.
 */
template <int TM, int TN, int THREADS, int SLICES>
DEVICE void add_slices(float *shared, float (&acc)[TN][TM], int thread, int slice) {
    static const int QUADS = TM / 4 * TN, SINGLE = TM % 4 ? TM * TN : 0;
    float4 *const sums = (float4 *)shared + thread;
    float *const singles = shared + thread;
    cp_async_wait<0>();
#pragma unroll
    for (int half = SLICES / 2; half > 0; half /= 2) {
        __syncthreads();
        if (slice >= half && slice < 2 * half) {
#pragma unroll
            for (int q = 0; q < (SINGLE ? 0 : QUADS); q++) {
                const float *x = &acc[q / (TM / 4)][q % (TM / 4) * 4];
                sums[((slice - half) * QUADS + q) * THREADS] = make_float4(x[1], x[0], x[3], x[2]);
            }
#pragma unroll
            for (int i = 0; i < SINGLE; i++) singles[((slice - half) * SINGLE + i) * THREADS] = acc[i / TM][i % TM];
        }
        __syncthreads();
        if (slice < half) {
#pragma unroll
            for (int q = 0; q < (SINGLE ? 0 : QUADS); q++) {
                float *x = &acc[q / (TM / 4)][q % (TM / 4) * 4];
                const float4 other = sums[(slice * QUADS + q) * THREADS];
                x[1] += other.x, x[0] += other.y, x[3] += other.z, x[2] += other.w;
            }
#pragma unroll
            for (int i = 0; i < SINGLE; i++) acc[i / TM][i % TM] += singles[(slice * SINGLE + i) * THREADS];
        }
    }
}

/* The sums of a piece of a tile, as the accumulators lie: quad after quad, all threads side by side. */
template <int FLOATS, int TM, int TN, int THREADS>
DEVICE void store_share(const struct gemm_args &args, const float (&acc)[TN][TM], int share, int thread) {
    float4 *const to = (float4 *)(args.shares + (int64_t)share * FLOATS) + thread;
#pragma unroll
    for (int q = 0; q < TM / 4 * TN; q++) {
        const float *x = &acc[q / (TM / 4)][q % (TM / 4) * 4];
        to[q * THREADS] = make_float4(x[1], x[0], x[3], x[2]);
    }
}

/* ---- which tiles, and which part of K, a CTA works on ---- */

/* One piece of work: a tile of C over a range of K. */
struct simt_work {
    int m0, n0, split, batch;
    int k_begin, k_count;
    int share; /* where its sums go in gemm_args.shares, negative: it is all of a tile or of a split */
};

/* A CTA's pieces in turn: whole tiles, a grid apart, then its share of the k tiles of those that all CTAs share. */
struct simt_works {
    int whole_tiles; /* of the product */
    int whole, count;
    int k_tiles;    /* of a shared tile */
    int begin, end; /* the share, in k tiles, counted on from tile to tile */
};

template <int BK> DEVICE struct simt_works simt_works_of(const struct gemm_args &args, int cta, int ctas) {
    struct simt_works w;
    w.whole_tiles = args.tiles_m * args.tiles_n * args.splits * args.batch - args.shared_tiles;
    w.whole = w.count = w.whole_tiles > cta ? (w.whole_tiles - 1 - cta) / ctas + 1 : 0;
    w.k_tiles = (args.k - 1) / BK + 1;
    w.begin = w.end = 0;
    if (args.shared_tiles) {
        const int64_t all = (int64_t)args.shared_tiles * w.k_tiles;
        w.begin = (int)(all * cta / ctas);
        w.end = (int)(all * (cta + 1) / ctas);
        if (w.begin < w.end) w.count += w.begin / w.k_tiles == (w.end - 1) / w.k_tiles ? 1 : 2;
    }
    return w;
}

/* The short k tile, if there is one, comes first: the main loop then has no predicates. */
template <int BM, int BN, int BK>
DEVICE struct simt_work simt_work_at(const struct gemm_args &args, const volatile struct simt_works &w, int index) {
    const int cta = blockIdx.x, ctas = gridDim.x;
    struct simt_work x;
    int unit = cta + index * ctas, tile_m, tile_n;
    x.share = -1;
    if (index >= w.whole) {
        const int part = index - w.whole, tile = w.begin / w.k_tiles + part, first = tile * w.k_tiles;
        const int from = (part ? first : w.begin) - first, to = min(w.end - first, w.k_tiles);
        const int short_k = args.k - (w.k_tiles - 1) * BK;
        unit = w.whole_tiles + tile;
        if (from > 0 || to < w.k_tiles) x.share = 2 * cta + part;
        x.k_begin = from ? short_k + (from - 1) * BK : 0;
        x.k_count = short_k + (to - 1) * BK - x.k_begin;
    }
    const int tiles = args.tiles_m * args.tiles_n, plane = unit / tiles;
    raster_tile(args, unit - plane * tiles, &tile_m, &tile_n);
    x.batch = plane / args.splits;
    x.split = plane - x.batch * args.splits;
    x.m0 = tile_m * BM;
    x.n0 = tile_n * BN;
    if (index < w.whole) {
        x.k_begin = x.split * args.k_per_split;
        x.k_count = min(args.k - x.k_begin, args.k_per_split);
    }
    return x;
}

/*
 * What a CTA notes of the pieces under way, from the first copy to the last store: of as many as there are stages, and
 * one that a slower warp still stores. Every thread notes the same: none waits for another.
 */
enum { WORKS_AHEAD = 8 };
struct simt_noted {
    int m0, n0, split, batch, share, k_tiles;
};
struct simt_plan {
    struct simt_works works;
    struct simt_noted work[WORKS_AHEAD];
    int short_k[WORKS_AHEAD]; /* k of its first k tile, if that is short; noted where tiles are worked on so */
};

DEVICE void simt_note(volatile struct simt_noted &to, const struct simt_work &x, int k_tiles) {
    to.m0 = x.m0;
    to.n0 = x.n0;
    to.split = x.split;
    to.batch = x.batch;
    to.share = x.share;
    to.k_tiles = k_tiles;
}

/* The copies of a CTA, which run ahead of its sums, into its next pieces of work too. */
template <class LOADER_A, class LOADER_B> struct simt_copies {
    LOADER_A a;
    LOADER_B b;
    int aimed;   /* pieces of work that were begun */
    int left;    /* k tiles of the last of them that are still to be copied */
    int short_k; /* k of its first one, if that is next and short */

    template <int BM, int BN, int BK, bool NOTES_SHORT>
    DEVICE_MEMBER void aim(const struct gemm_args &args, volatile struct simt_plan &plan) {
        const struct simt_work x = simt_work_at<BM, BN, BK>(args, plan.works, aimed);
        left = (x.k_count + BK - 1) / BK;
        simt_note(plan.work[aimed % WORKS_AHEAD], x, left);
        if (NOTES_SHORT) plan.short_k[aimed % WORKS_AHEAD] = x.k_count % BK;
        aimed++;
        short_k = x.k_count % BK;
        a.aim(matrix_a(args, x.batch), args.lda, x.m0, args.m, x.k_begin, x.k_count);
        b.aim(matrix_b(args, x.batch), args.ldb, x.n0, args.n, x.k_begin, x.k_count);
    }

    DEVICE_MEMBER void copy(uint32_t stage) {
        a.copy(stage);
        b.copy(stage);
        left--;
    }

    DEVICE_MEMBER void copy_short(uint32_t stage) {
        a.copy_short(stage, short_k);
        b.copy_short(stage, short_k);
        short_k = 0;
        left--;
    }
};

/* ---- the kernel ---- */

template <int BM, int BN, int BK, int TM, int TN, int STAGES, int SLICES, int LOAD_A, int LOAD_B, int WIDE>
DEVICE void sgemm_simt(const struct gemm_args &args) {
    static const int WARPS_M = BM / (4 * TM), WARPS_N = BN / (8 * TN), WARPS = WARPS_M * WARPS_N;
    static const int THREADS = 32 * WARPS * SLICES, STEPS = BK / SLICES;
    static const bool FITTED = GEMM_FITTED(TM, TN);
    static const bool ROLLING = FITTED && TM * TN > 128; /* else registers hold the next k's B beside this one's */
    typedef operand_loader<LOAD_A, BM, BK, THREADS, WIDE, FITTED> loader_a;
    typedef operand_loader<LOAD_B, BN, BK, THREADS, WIDE, FITTED> loader_b;
    static const uint32_t STAGE_BYTES = loader_a::STAGE_BYTES + loader_b::STAGE_BYTES;

    SHARED_MEMORY(shared);
    const uint32_t stage_a = shared_at(shared), stage_b = stage_a + loader_a::STAGE_BYTES;
    static const int STAGE_FLOATS = STAGES * STAGE_BYTES / 4, ADDED = SLICES / 2 * BM * BN;
    static const int LOOP_FLOATS = STAGE_FLOATS + (loader_a::NOTED_BYTES + loader_b::NOTED_BYTES) / 4;
    static_assert(sizeof(struct simt_plan) <= 4 * GEMM_SIMT_NOTES && STAGES < WORKS_AHEAD, "the notes have room");
    static const int STRIPS = WARPS * stage_floats<TM>();
    /* A CTA's only strips lie where its stages did: what is read there after the main loop's last barrier, for a k that
     * does not follow, nobody uses (racecheck reports it). */
    static const int STRIPS_AT = !FITTED ? (STAGE_FLOATS > ADDED ? STAGE_FLOATS : ADDED) : SLICES > 1 ? ADDED : 0;
    static const int PLAN_AT = STRIPS_AT + STRIPS > LOOP_FLOATS ? STRIPS_AT + STRIPS : LOOP_FLOATS;
    float *const strips = shared + STRIPS_AT;
    const int thread = threadIdx.x, warp = thread / 32 % WARPS, slice = thread / 32 / WARPS, lane = thread % 32;
    const int lane_m = lane_along_m(lane), lane_n = lane_along_n(lane);
    const int warp_m = warp % WARPS_M * 4 * TM, warp_n = warp / WARPS_M * 8 * TN;
    /* What the main loop does not need lies in shared memory: registers are for accumulators. */
    volatile struct simt_plan &plan = *(volatile struct simt_plan *)(shared + PLAN_AT);
    const struct simt_works mine = simt_works_of<BK>(args, blockIdx.x, gridDim.x);
    if (mine.count == 0) return;
    const int works = FITTED ? 1 : mine.count;
    plan.works.whole_tiles = mine.whole_tiles;
    plan.works.whole = mine.whole;
    plan.works.k_tiles = mine.k_tiles;
    plan.works.begin = mine.begin;
    plan.works.end = mine.end;

    const uint32_t notes = stage_a + STAGES * STAGE_BYTES;
    simt_copies<loader_a, loader_b> copies;
    copies.a.place(thread, stage_a, notes);
    copies.b.place(thread, stage_b, notes + loader_a::NOTED_BYTES);
    copies.aimed = 0;
    copies.template aim<BM, BN, BK, FITTED>(args, plan);
#pragma unroll 1
    for (int stage = 0; stage < STAGES - 1; stage++) {
        if (copies.left == 0 && copies.aimed < works) copies.template aim<BM, BN, BK, FITTED>(args, plan);
        if (copies.short_k) {
            copies.copy_short(stage * STAGE_BYTES);
        } else if (copies.left) {
            copies.copy(stage * STAGE_BYTES);
        }
        cp_async_commit();
    }

    /* Stages count in bytes, the same for all threads; a tile's copies go where the tile before it was read. */
    uint32_t read = 0, write = (STAGES - 1) * STAGE_BYTES;
    float a[2][TM], b[2][TN], acc[TN][TM];
    fragment<TM, 4> from_a;
    fragment<TN, 8> from_b;
    from_a.quads = kept(stage_a + 4 * (warp_m + 4 * lane_m + slice * STEPS * loader_a::LD));
    from_b.quads = kept(stage_b + 4 * (warp_n + 4 * lane_n + slice * STEPS * loader_b::LD));
    from_a.place_rest(stage_a + 4 * (warp_m + slice * STEPS * loader_a::LD), lane_m);
    from_b.place_rest(stage_b + 4 * (warp_n + slice * STEPS * loader_b::LD), lane_n);
    cp_async_wait<STAGES - 2>();
    __syncthreads();

#pragma unroll 1
    for (int index = 0; index < works; index++) {
#pragma unroll
        for (int j = 0; j < TN; j++)
#pragma unroll
            for (int i = 0; i < TM; i++) acc[j][i] = 0.0f;
        from_a.load(a[0], read, 0);
        from_b.load(b[0], read, 0);
        /* Nothing is copied without k, nor does any barrier hold the warps together. */
        if (!FITTED && copies.aimed == index) {
            __syncthreads();
            copies.template aim<BM, BN, BK, FITTED>(args, plan);
        }
        /* As many k tiles at a time as nothing but copies and sums are to be done for. */
        int left = plan.work[index % WORKS_AHEAD].k_tiles;
        const int short_k = FITTED ? plan.short_k[index % WORKS_AHEAD] : 0;
        if (short_k) { /* no more steps than there is k */
            if (copies.left) copies.copy(write);
            cp_async_commit();
#pragma unroll 1
            for (int kk = 0; kk < min(short_k - slice * STEPS, STEPS); kk++) {
                from_a.load(a[0], read, 4 * kk * loader_a::LD);
                from_b.load(b[0], read, 4 * kk * loader_b::LD);
                multiply_add<0, TN>(acc, a[0], b[0]);
            }
            cp_async_wait<STAGES - 2>();
            __syncthreads();
            write = read;
            read = read == (STAGES - 1) * STAGE_BYTES ? 0 : read + STAGE_BYTES;
            from_a.load(a[0], read, 0);
            from_b.load(b[0], read, 0);
            left--;
        }
#pragma unroll 1
        while (left > 0) {
            if (copies.left == 0 && copies.aimed < works) copies.template aim<BM, BN, BK, FITTED>(args, plan);
            int run = left;
            const bool copying = copies.left > 0 && (FITTED || !copies.short_k);
            if (!FITTED && copies.short_k) {
                copies.copy_short(write);
                copies.a.back();
                copies.b.back();
                run = 1;
            } else if (copying) {
                run = min(left, copies.left);
                copies.left -= run;
            }
            left -= run;
#pragma unroll 1
            for (; run > 0; run--) {
#pragma unroll
                for (int kk = 0; kk < STEPS; kk++) {
                    copies.a.template copy_step<STEPS>(write, kk, copying);
                    copies.b.template copy_step<STEPS>(write, kk, copying);
                    if (kk == STEPS - 1) {
                        /* The next tile has landed for this thread; the barrier says so for all, and that this one is
                         * read. */
                        cp_async_commit();
                        cp_async_wait<STAGES - 2>();
                        __syncthreads();
                        write = read;
                        read = read == (STAGES - 1) * STAGE_BYTES ? 0 : read + STAGE_BYTES;
                    }
                    const int next = (kk + 1) % STEPS;
                    if (ROLLING) {
                        from_a.load(a[(kk + 1) % 2], read, 4 * next * loader_a::LD);
                        multiply_add_rolling<TM, TN>(acc, a[kk % 2], b[0], from_b, read, 4 * next * loader_b::LD);
                        continue;
                    }
                    /* B first: worth up to 4 % (measured) */
                    from_b.load(b[(kk + 1) % 2], read, 4 * next * loader_b::LD);
                    multiply_add<0, TN / 2>(acc, a[kk % 2], b[kk % 2]);
                    from_a.load(a[(kk + 1) % 2], read, 4 * next * loader_a::LD);
                    multiply_add<TN / 2, TN>(acc, a[kk % 2], b[kk % 2]);
                }
            }
        }
        if (SLICES > 1) {
            add_slices<TM, TN, 32 * WARPS, SLICES>(shared, acc, thread % (32 * WARPS), slice);
            if (slice) return; /* such a CTA has one piece of work */
        }
        const volatile struct simt_noted &work = plan.work[index % WORKS_AHEAD];
        if (!FITTED && work.share >= 0)
            store_share<BM * BN, TM, TN, THREADS>(args, acc, work.share, thread);
        else
            store_tile<TM, TN, 1>(args, strips + warp * stage_floats<TM>(), acc, work.m0 + warp_m, work.n0 + warp_n,
                                  work.split, work.batch, lane);
    }
    cp_async_wait<0>();
}

#endif
