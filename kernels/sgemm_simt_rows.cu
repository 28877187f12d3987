/*
 * The SIMT family's kernel for operands that both lie along m and n, each row from 16 bytes on; a pass before it brings
 * others there (simt_rows.h).
 *
 * A thread tile of 12 x 16 takes 7 loads of 16 bytes for 192 FMAs, one of 8 x 16 takes 6 for 128; a load costs about
 * three issue slots (measured), so this is what the larger tile is for. Its accumulators and operands leave a thread
 * some twenty registers: what copies need is noted in shared memory and looked up once for a run of k tiles, the loop
 * over k is unrolled by two alone, and a quad of B gives its registers to that of the next k as soon as it is done
 * with.
 *
 * Four warps stand along m, each with 16 rows for each quad of a thread; a tile at the edge of fewer rows takes fewer
 * quads of all of them. A stage of shared memory holds for each k the rows of A, then those of B.
 */
#define LISTED_MATRIX DEVICE
#include "epilogue.cuh"
#include "ptx_grid.cuh"
#include "simt_rows_works.cuh"

enum {
    STAGES = 3,
    STEPS = 2, /* that the loop over k is unrolled by: the loads of the next k of A turn between two sets */
    ROW_BYTES = 4 * (ROWS_BM + ROWS_BN),
    STAGE_BYTES = ROWS_BK * ROW_BYTES,
    COPY_LANES = ROWS_THREADS / ROWS_BK, /* threads that copy one k */
    COPY_ROWS = 4 * COPY_LANES,
    COPIES_A = ROWS_BM / COPY_ROWS,
    COPIES_B = ROWS_BN / COPY_ROWS,
    WORKS_AHEAD = 8
};

/*
 * What a CTA notes of the pieces under way (sgemm_simt.cuh). Every thread notes the same: none waits for another
 * (racecheck reports it).
 */
struct rows_noted {
    int m0, n0, split, batch, groups, share;
    int k_tiles;
};
struct rows_plan {
    struct rows_works works;
    struct rows_noted work[WORKS_AHEAD];
};

/* A thread's part of the copies, which run ahead of its sums, into the next pieces of work too. */
struct rows_copies {
    const char *a, *b;    /* the first of the k tile that is next */
    int quads_a, quads_b; /* how many lie inside the matrices */
    uint32_t to;          /* where the first goes in the first stage */
    int aimed, done;      /* pieces of work that were begun, and that are done with */
    int todo;             /* k tiles of the piece that is worked on */
    int left, short_k;    /* k tiles of the last of them that are still to be copied; k of the next, if that is short */
};
static_assert(sizeof(struct rows_plan) % 8 == 0 &&
                  sizeof(struct rows_plan) + ROWS_THREADS * sizeof(struct rows_copies) <= 4 * GEMM_SIMT_ROWS_NOTES,
              "the notes have room");

/* Shared memory: stages, a strip for each warp's stores, notes. */
enum {
    STRIP_COLUMNS = 32,
    STRIP_LD =
        GEMM_SIMT_ROWS_STRIP_LD, /* of a column: four lanes side by side, and two columns, on banks of their own */
    STRIP_FLOATS = STRIP_COLUMNS * STRIP_LD,
    STRIPS_AT = STAGES * STAGE_BYTES / 4,
    PLAN_AT = STRIPS_AT + ROWS_THREADS / 32 * STRIP_FLOATS
};

DEVICE volatile struct rows_plan &plan_in(float *shared) {
    return *(volatile struct rows_plan *)(shared + PLAN_AT);
}

DEVICE volatile struct rows_copies &copies_in(float *shared) {
    return ((volatile struct rows_copies *)(shared + PLAN_AT + sizeof(struct rows_plan) / 4))[thread_again()];
}

/* All of it is ints. */
enum { WORKS_INTS = sizeof(struct rows_works) / sizeof(int) };

DEVICE void note_works(volatile struct rows_plan &plan, const struct rows_works &works) {
#pragma unroll
    for (int i = 0; i < WORKS_INTS; i++) ((volatile int *)&plan.works)[i] = ((const int *)&works)[i];
}

/* The piece that is worked on. */
DEVICE const volatile struct rows_noted &work_in(float *shared) {
    return plan_in(shared).work[copies_in(shared).done % WORKS_AHEAD];
}

/* Rows in scratch are padded; others are whole quads. */
DEVICE int quads_inside(int mn_end, int mn) {
    return (mn_end - mn + COPY_ROWS - 1) / COPY_ROWS;
}

DEVICE void aim(const struct gemm_args &args, float *shared) {
    volatile struct rows_plan &plan = plan_in(shared);
    volatile struct rows_copies &c = copies_in(shared);
    const struct rows_work x = rows_work_at(args, plan.works, c.aimed);
    volatile struct rows_noted &noted = plan.work[c.aimed % WORKS_AHEAD];
    const int thread = thread_again(), mn = thread % COPY_LANES * 4, k = x.k_begin + thread / COPY_LANES;
    noted.m0 = x.m0;
    noted.n0 = x.n0;
    noted.split = x.split;
    noted.batch = x.batch;
    noted.groups = x.groups;
    noted.share = x.share;
    noted.k_tiles = c.left = (x.k_count + ROWS_BK - 1) / ROWS_BK;
    c.short_k = x.k_count % ROWS_BK;
    c.aimed = c.aimed + 1;
    c.quads_a = quads_inside(min(args.m, x.m0 + ROWS_GROUP * x.groups), x.m0 + mn);
    c.quads_b = quads_inside(min(args.n, x.n0 + ROWS_BN), x.n0 + mn);
    c.a = (const char *)(matrix_a(args, x.batch) + x.m0 + mn + k * args.lda);
    c.b = (const char *)(matrix_b(args, x.batch) + x.n0 + mn + k * args.ldb);
}

/* What the main loop keeps of the copies. */
struct rows_copying {
    const char *a, *b;
    int quads_a, quads_b;
    uint32_t to, step_a, step_b; /* bytes from one k tile to the next */

    /* A whole k tile. */
    DEVICE_MEMBER void copy(uint32_t stage) {
#pragma unroll
        for (int i = 0; i < COPIES_A; i++)
            cp_async_16_to(to + stage + 4 * COPY_ROWS * i, a + 4 * COPY_ROWS * i, i < quads_a);
#pragma unroll
        for (int i = 0; i < COPIES_B; i++)
            cp_async_16_to(to + stage + 4 * (ROWS_BM + COPY_ROWS * i), b + 4 * COPY_ROWS * i, i < quads_b);
        a += step_a;
        b += step_b;
    }
};

/* A short k tile of one operand: what is missing becomes zeros. */
DEVICE const char *copy_short(const char *from, int64_t ld, int quads, uint32_t to, int k_count) {
    const int k = thread_again() / COPY_LANES;
    const char *first = k < k_count ? from : from - 4 * k * ld;
#pragma unroll 1
    for (int i = 0; i < quads; i++) cp_async_16_fill(to + 4 * COPY_ROWS * i, first + 4 * COPY_ROWS * i, k < k_count);
    return from + 4 * k_count * ld;
}

/* How many of `most` k tiles can be copied, or worked on without copies, one like the other; a short one is copied. */
DEVICE int begin_run(const struct gemm_args &args, float *shared, struct rows_copying &copying, uint32_t stage,
                     int most) {
    volatile struct rows_copies &c = copies_in(shared);
    if (c.left == 0 && c.aimed < plan_in(shared).works.count) aim(args, shared);
    copying.quads_a = copying.quads_b = 0;
    copying.step_a = 4 * ROWS_BK * (uint32_t)args.lda;
    copying.step_b = 4 * ROWS_BK * (uint32_t)args.ldb;
    if (c.left == 0) return most;
    const int short_k = c.short_k, run = short_k ? 1 : min(most, c.left);
    c.left = c.left - run;
    copying.to = c.to;
    copying.a = c.a;
    copying.b = c.b;
    if (short_k) {
        c.a = copy_short(c.a, args.lda, c.quads_a, c.to + stage, short_k);
        c.b = copy_short(c.b, args.ldb, c.quads_b, c.to + stage + 4 * ROWS_BM, short_k);
        c.short_k = 0;
    } else {
        c.a = c.a + (int64_t)run * 4 * ROWS_BK * args.lda;
        c.b = c.b + (int64_t)run * 4 * ROWS_BK * args.ldb;
        copying.quads_a = c.quads_a;
        copying.quads_b = c.quads_b;
    }
    return run;
}

template <int QUADS> DEVICE void load_a(float *a, uint32_t from) {
#pragma unroll
    for (int q = 0; q < QUADS; q++) load_shared_16(a + 4 * q, from + 64 * q);
}

DEVICE void load_b(float *b, int quad, uint32_t from) {
    load_shared_16(b + 4 * quad, from + 128 * quad);
}

/* One k, walked like a snake (sgemm_simt.cuh), and the loads of the next, from_a and from_b. */
template <int QUADS>
DEVICE void multiply_add(float (&acc)[ROWS_TN][4 * QUADS], const float *a, float *b, float *next_a, uint32_t from_a,
                         uint32_t from_b) {
    load_a<QUADS>(next_a, from_a);
#pragma unroll
    for (int j = 0; j < ROWS_TN; j++) {
#pragma unroll
        for (int step = 0; step < 4 * QUADS; step++) {
            const int i = j & 1 ? 4 * QUADS - 1 - step : step;
            acc[j][i] = fmaf(a[i], b[j], acc[j][i]);
        }
        if (j % 4 == 3) load_b(b, j / 4, from_b);
    }
}

/* The sums of a piece of a tile, a group after the other, all threads side by side (simt_rows_shares.cu). */
template <int QUADS>
DEVICE void store_share(const struct gemm_args &args, const float (&acc)[ROWS_TN][4 * QUADS], int share) {
    float4 *const to = (float4 *)(args.shares + (int64_t)share * (ROWS_BM * ROWS_BN)) + thread_again();
#pragma unroll
    for (int q = 0; q < QUADS; q++) {
#pragma unroll
        for (int j = 0; j < ROWS_TN; j++) {
            const float *x = &acc[j][4 * q];
            to[(q * ROWS_TN + j) * ROWS_THREADS] = make_float4(x[1], x[0], x[3], x[2]);
        }
    }
}

/*
 * Where D is not aligned: four columns of each thread at a time by way of the warp's strip, in a loop of few
 * instructions, since what is run once a tile comes from far off each time (unrolled it took 35 us).
 */
template <int QUADS>
DEVICE void store_strips(const struct gemm_args &args, const struct output &o, float *strip,
                         const float (&acc)[ROWS_TN][4 * QUADS], int m0, int n0, int lane) {
    static const int ROWS = 16 * QUADS, HALF = ROWS % 32; /* 16 rows are left: of two columns at a time */
    float *const to = strip + 4 * lane_along_n(lane) * STRIP_LD + 4 * lane_along_m(lane);
#pragma unroll
    for (int quad = 0; quad < ROWS_TN / 4; quad++) {
        __syncwarp();
#pragma unroll
        for (int j = 0; j < 4; j++) {
#pragma unroll
            for (int q = 0; q < QUADS; q++) {
                const float *x = &acc[4 * quad + j][4 * q];
                *(float4 *)(to + j * STRIP_LD + 16 * q) = make_float4(x[1], x[0], x[3], x[2]);
            }
        }
        __syncwarp();
#pragma unroll 2
        for (int column = 0; column < STRIP_COLUMNS; column += 2) {
#pragma unroll
            for (int i = 0; i < (HALF ? 3 : 2); i++) {
                const int at = column + (i < 2 ? i : lane / 16), row = i < 2 ? lane : 32 + lane % 16;
                const int m = m0 + row, n = n0 + STRIP_COLUMNS * quad + at;
                if (m < args.m && n < args.n)
                    o.d[n * o.ldd + m] = scale(o.s, strip[at * STRIP_LD + (row ^ 1)], o.c + n * o.ldc + m);
            }
        }
    }
}

/* As store_tile does (epilogue.cuh). */
template <int QUADS>
DEVICE void store_warp_tile(const struct gemm_args &args, float *shared, const float (&acc)[ROWS_TN][4 * QUADS]) {
    const volatile struct rows_noted &work = work_in(shared);
    const int thread = thread_again(), lane = thread % 32, warp = thread / 32;
    const int m0 = work.m0 + 16 * QUADS * warp, n0 = work.n0, batch = work.batch;
    const struct output o = output_of(args, work.split, batch);
    const bool inside = m0 + 16 * QUADS <= args.m && n0 + ROWS_BN <= args.n;
    if (o.quads && inside && o.s.beta == 0.0f && o.s.alpha != 0.0f)
        store_whole<4 * QUADS, ROWS_TN>(o.d + (n0 + 4 * lane_along_n(lane)) * o.ldd + m0 + 4 * lane_along_m(lane),
                                        o.ldd, o.s.alpha, o.past_l2, acc);
    else if (o.quads)
        store_quads<4 * QUADS, ROWS_TN>(args, o, acc, m0, n0, lane);
    else
        store_strips<QUADS>(args, o, shared + STRIPS_AT + warp * STRIP_FLOATS, acc, m0, n0, lane);
    if (finishes(args) && !args.partial) finish_tile(args, batch, m0, n0, 16 * QUADS, ROWS_BN, lane);
}

/* The stage that was read last. */
DEVICE uint32_t stage_before(uint32_t stage) {
    return stage == 0 ? (STAGES - 1) * STAGE_BYTES : stage - STAGE_BYTES;
}

/* A piece of work. `read`: bytes to the stage that is read, where the next one begins afterwards. */
template <int QUADS> DEVICE uint32_t work_on(const struct gemm_args &args, float *shared, uint32_t read) {
    const int lane = threadIdx.x % 32;
    const uint32_t from_a = kept(shared_at(shared) + 4 * (threadIdx.x / 32 * 16 * QUADS + 4 * lane_along_m(lane)));
    const uint32_t from_b = kept(shared_at(shared) + 4 * (ROWS_BM + 4 * lane_along_n(lane)));
    float a[STEPS][4 * QUADS], b[ROWS_TN], acc[ROWS_TN][4 * QUADS];
#pragma unroll
    for (int j = 0; j < ROWS_TN; j++)
#pragma unroll
        for (int i = 0; i < 4 * QUADS; i++) acc[j][i] = 0.0f;
    load_a<QUADS>(a[0], from_a + read);
#pragma unroll
    for (int quad = 0; quad < ROWS_TN / 4; quad++) load_b(b, quad, from_b + read);
    copies_in(shared).todo = work_in(shared).k_tiles;
#pragma unroll 1
    while (copies_in(shared).todo > 0) {
        struct rows_copying copying;
        int run = begin_run(args, shared, copying, stage_before(read), copies_in(shared).todo);
        copies_in(shared).todo = copies_in(shared).todo - run;
#pragma unroll 1
        for (; run > 0; run--) {
            copying.copy(stage_before(read));
            cp_async_commit();
            uint32_t row = ROW_BYTES; /* bytes to the k that is next in the stage */
#pragma unroll 1
            for (; row < STAGE_BYTES - ROW_BYTES; row += STEPS * ROW_BYTES) {
                multiply_add<QUADS>(acc, a[0], b, a[1], from_a + (read + row), from_b + (read + row));
                multiply_add<QUADS>(acc, a[1], b, a[0], from_a + (read + row) + ROW_BYTES,
                                    from_b + (read + row) + ROW_BYTES);
            }
            multiply_add<QUADS>(acc, a[0], b, a[1], from_a + (read + row), from_b + (read + row));
            /* The next tile has landed for this thread; the barrier says so for all, and that this one is read. */
            cp_async_wait<STAGES - 2>();
            __syncthreads();
            read = read == (STAGES - 1) * STAGE_BYTES ? 0 : read + STAGE_BYTES;
            multiply_add<QUADS>(acc, a[1], b, a[0], from_a + read, from_b + read);
        }
    }
    const int share = work_in(shared).share;
    if (share >= 0)
        store_share<QUADS>(args, acc, share);
    else
        store_warp_tile<QUADS>(args, shared, acc);
    return read;
}

DEVICE void sgemm_simt_rows(const struct gemm_args &args) {
    SHARED_MEMORY(shared);
    volatile struct rows_copies &c = copies_in(shared);
    const struct rows_works works = rows_works_of(args, blockIdx.x, gridDim.x);
    if (works.count == 0) return;
    note_works(plan_in(shared), works);
    c.to = shared_at(shared) + threadIdx.x / COPY_LANES * ROW_BYTES + threadIdx.x % COPY_LANES * 16;
    c.aimed = c.done = 0;
    grid_wait();
    aim(args, shared);
#pragma unroll 1
    for (int stage = 0; stage < STAGES - 1; stage++) {
        struct rows_copying copying;
        begin_run(args, shared, copying, stage * STAGE_BYTES, 1);
        copying.copy(stage * STAGE_BYTES);
        cp_async_commit();
    }
    cp_async_wait<STAGES - 2>();
    __syncthreads();
    uint32_t read = 0;
#pragma unroll 1
    while (copies_in(shared).done < plan_in(shared).works.count) {
        if (copies_in(shared).aimed == copies_in(shared).done) {
            __syncthreads(); /* nothing is copied without k, nor does any barrier hold the warps together */
            aim(args, shared);
        }
        if (work_in(shared).groups == ROWS_FULL)
            read = work_on<ROWS_FULL>(args, shared, read);
        else
            read = work_on<ROWS_EDGE>(args, shared, read);
        copies_in(shared).done = copies_in(shared).done + 1;
    }
    cp_async_wait<0>();
}

#define VARIANT(name, family, contract, arch, bm, bn, bk, tm, tn, stages, threads, ctas, wide)                         \
    static_assert(bm == ROWS_BM && bn == ROWS_BN && bk == ROWS_BK && tm == 4 * ROWS_FULL && tn == ROWS_TN, "");        \
    static_assert(stages == STAGES && threads == ROWS_THREADS, "");                                                    \
    KERNEL(name, threads, ctas) {                                                                                      \
        sgemm_simt_rows(args);                                                                                         \
    }
GEMM_SIMT_ROWS_VARIANTS(VARIANT)
