/*
 * TF32 products by Hopper's matrix instruction, operands as tf32.h has them.
 *
 *   CTA tile    a consumer warpgroup has 128 m x N n, and two of them share a tile, side by side along m or n. Of 128 x
 *               128 each takes a tile of its own, in turns: one stores while the other multiplies. Of 128 x 64 both
 *               have the whole tile, each every other stage, and add up their sums in the end
 *   warpgroups  one producer, whose one thread has the copy engine fill the stages of 32 k; two consumers
 *   A           along k: from shared memory. Along m: from registers, loaded half a stage ahead, four rows at once, or,
 *               with an odd leading dimension, one by one
 *   grid        persistent: as many CTAs as there are SMs, or work items (tile, split, batch) if fewer
 *
 * A warpgroup beyond the edge of D multiplies nothing, and one with at most 32 of 72 or more columns inside no more
 * than these.
 */
#ifndef FASTGEMM_SGEMM_TF32_WGMMA_CUH
#define FASTGEMM_SGEMM_TF32_WGMMA_CUH

#include "tf32_copy.cuh"
#include "tf32_store.cuh"

/* Where a thread's part of the stages is: addresses in the first. */
struct reader {
    uint32_t a, near, far, b; /* near, far: as tf32_load_offset has it, or tf32_slot_offset */
};

template <int BM, int BN, int A> DEVICE struct reader reader_of(const uint8_t *stages, int warpgroup, int thread) {
    typedef tile<BM, BN, A> tile;
    const int place = tile::TOGETHER ? warpgroup : 0, m = tile::ALONG_M > 1 ? place : 0;
    const int n = tile::ALONG_M > 1 ? 0 : place;
    struct reader r;
    r.a = shared_address(stages) + m * (A == TF32_A_SHIFTED ? TF32_SLOTS_BYTES : ROWS * TF32_ROW_BYTES);
    if (A == TF32_A_SHIFTED) {
        r.near = r.a + tf32_slot_offset(thread, 0);
        r.far = r.a + tf32_slot_offset(thread, 1);
    } else {
        r.near = r.a + thread / 32 * TF32_BOX_BYTES + tf32_load_offset(thread, 0);
        r.far = r.a + thread / 32 * TF32_BOX_BYTES + tf32_load_offset(thread, 1);
    }
    r.b = shared_address(stages) + tile::A_BYTES + n * tile::N * TF32_ROW_BYTES;
    return r;
}

/* Bytes by which a thread's rows of a shifted A lie behind the 16 from which they were copied. */
DEVICE uint32_t shift_of(const struct gemm_args &g, int batch, int thread) {
    return ((uint32_t)(uintptr_t)g.a + 4 * ((uint32_t)batch * (uint32_t)g.stride_a + thread % 4 * (uint32_t)g.lda)) &
           12;
}

/* Half a stage of A in registers: for each step of 8 k and each half of the rows, as the instruction wants it. */
struct fragments {
    uint32_t a[BATCH][2][4];
};

/* From 8 k to the next. */
template <int A> DEVICE constexpr uint32_t step_bytes(void) {
    return A == TF32_A_SHIFTED ? 2 * TF32_SLOT_BYTES : 8 * TF32_ROW_BYTES;
}

template <int A> DEVICE void load_fragments(struct fragments *f, uint32_t near, uint32_t far) {
#pragma unroll
    for (int step = 0; step < BATCH; step++) {
#pragma unroll
        for (int i = 0; i < 2; i++) {
            const uint32_t at = (i ? far : near) + step * step_bytes<A>();
            uint32_t rows[4];
            if (A == TF32_A_SHIFTED) {
#pragma unroll
                for (int r = 0; r < 4; r++) rows[r] = ld_shared(at + 4 * r);
            } else {
                ld_shared_v4(rows, at);
            }
#pragma unroll
            for (int r = 0; r < 4; r++) f->a[step][r / 2][r % 2 + 2 * i] = rows[r];
        }
    }
}

/* Hands back a stage, or none (-1). */
DEVICE void release(const struct ring &ring, int stage, int thread) {
    if (stage >= 0 && thread % 32 == 0) mbarrier_arrive(ring.empty + stage);
}

/* A along k: a stage is issued, and the one before it waited for. */
template <int N, int FLOATS>
DEVICE void multiply_stage(float (&acc)[2][FLOATS], uint32_t a_at, uint64_t b, int accumulate) {
    const uint64_t a = wgmma_descriptor_128(a_at, 2 * TF32_GROUP_BYTES);
    wgmma_fence();
#pragma unroll
    for (int step = 0; step < STEPS; step++) {
#pragma unroll
        for (int half = 0; half < 2; half++)
            wgmma_tf32<N>::multiply(acc[half], a + half * (TF32_GROUP_BYTES >> 4) + 2 * step, b + 2 * step,
                                    accumulate | step);
    }
    wgmma_commit();
    wgmma_wait<1>();
}

/* A along m: half a stage is loaded while the half before it is multiplied. */
template <int A, int N, int FLOATS>
DEVICE void multiply_half_stage(float (&acc)[2][FLOATS], struct fragments *f, uint32_t near, uint32_t far, uint64_t b,
                                int accumulate) {
    load_fragments<A>(f, near, far);
    wgmma_fence();
#pragma unroll
    for (int step = 0; step < BATCH; step++) {
#pragma unroll
        for (int half = 0; half < 2; half++)
            wgmma_tf32<N>::multiply(acc[half], f->a[step][half], b + 2 * step, accumulate | step);
    }
    wgmma_commit();
    wgmma_wait<1>();
}

template <int FLOATS> DEVICE void pin(float (&acc)[2][FLOATS]) {
#pragma unroll
    for (int i = 0; i < 2 * FLOATS; i++) asm volatile("" : "+f"(acc[i / FLOATS][i % FLOATS])::"memory");
}

/* Goes on by so many stages. */
template <int STAGES> DEVICE void skip(struct ring *ring, int count) {
    const int stage = ring->stage + count, rounds = stage / STAGES;
    ring->stage = stage - rounds * STAGES;
    ring->parity ^= rounds & 1;
}

/* The main loop: the sums of one piece of work, of N columns, over every EVERY-th stage from the `first` on. */
template <class TILE, int A, int N, int FLOATS>
DEVICE void multiply(float (&acc)[2][FLOATS], const struct work &w, const struct reader &reader, struct ring ring,
                     int first, int thread) {
    static const uint32_t HALF = BATCH * step_bytes<A>();
    struct fragments f[2];
    int before = -1;
    pin(acc);
    skip<TILE::STAGES>(&ring, first);
    for (int stage = first; stage < w.stages; stage += TILE::EVERY) {
        const uint32_t offset = ring.stage * TILE::BYTES, near = reader.near + offset, far = reader.far + offset;
        const uint64_t b = wgmma_descriptor_128(reader.b + offset, TF32_GROUP_BYTES);
        mbarrier_wait(ring.full + ring.stage, ring.parity);
        if (A == TF32_A_ALONG_K)
            multiply_stage<N>(acc, reader.a + offset, b, before >= 0);
        else
            multiply_half_stage<A, N>(acc, &f[0], near, far, b, before >= 0);
        release(ring, before, thread);
        if (A != TF32_A_ALONG_K) multiply_half_stage<A, N>(acc, &f[1], near + HALF, far + HALF, b + 2 * BATCH, 1);
        before = ring.stage;
        for (int i = 0; i < TILE::EVERY; i++) advance<TILE::STAGES>(&ring);
    }
    wgmma_wait<0>();
    pin(acc);
    release(ring, before, thread);
}

/* The stages of a piece of work without anything to do in it. */
template <int STAGES> DEVICE void pass_by(const struct work &w, struct ring ring, int thread) {
    for (int stage = 0; stage < w.stages; stage++) {
        mbarrier_wait(ring.full + ring.stage, ring.parity);
        release(ring, ring.stage, thread);
        advance<STAGES>(&ring);
    }
}

/*
 * Two warpgroups with sums of the same tile over different stages end up with the whole sums of half of its columns
 * each. `both`: there was more than one stage, else the second has none.
 */
template <int FLOATS>
DEVICE void add_up(float (&half)[2][FLOATS / 2], const float (&acc)[2][FLOATS], float *sums, bool both, int warpgroup,
                   int thread) {
    static const int HALF = FLOATS / 2;
    float *const to = sums + warpgroup * FLOATS * WARPGROUP + thread;
    const float *const from = sums + (warpgroup ^ 1) * FLOATS * WARPGROUP + thread;
    const bool some = both || warpgroup == 0;
#pragma unroll
    for (int i = 0; i < 2 * HALF; i++) {
        const float low = acc[i / HALF][i % HALF], high = acc[i / HALF][i % HALF + HALF];
        half[i / HALF][i % HALF] = some ? (warpgroup ? high : low) : 0.0f;
        to[i * WARPGROUP] = some ? (warpgroup ? low : high) : 0.0f;
    }
    barrier_sync<1>(CONSUMERS * WARPGROUP);
#pragma unroll
    for (int i = 0; i < 2 * HALF; i++) half[i / HALF][i % HALF] += from[i * WARPGROUP];
    barrier_sync<2>(CONSUMERS * WARPGROUP);
}

/* The turns of two warpgroups, by a barrier for each. */
DEVICE void turn_wait(int warpgroup) {
    if (warpgroup == 0)
        barrier_sync<3>(CONSUMERS * WARPGROUP);
    else
        barrier_sync<4>(CONSUMERS * WARPGROUP);
}
DEVICE void turn_pass(int warpgroup) {
    if (warpgroup == 0)
        barrier_arrive<4>(CONSUMERS * WARPGROUP);
    else
        barrier_arrive<3>(CONSUMERS * WARPGROUP);
}

template <int BM, int BN, int A>
DEVICE void consume(const struct tf32_args &args, const uint8_t *stages, struct ring ring, int warpgroup, int thread) {
    typedef tile<BM, BN, A> tile;
    const struct reader placed = reader_of<BM, BN, A>(stages, warpgroup, thread);
    const int works = tf32_pieces(&args.gemm, blockIdx.x, gridDim.x);
    float acc[2][tile::N / 2];
#pragma unroll
    for (int i = 0; i < tile::N; i++) acc[i / (tile::N / 2)][i % (tile::N / 2)] = 0.0f;
    float *sums = (float *)(stages + tile::STAGES * tile::BYTES);
    for (int turn = 0; turn < works; turn++) {
        const struct work w = work_item(args, turn);
        const struct ring now = ring;
        const int place = tile::TOGETHER ? warpgroup : 0, first = tile::EVERY > 1 ? warpgroup : 0;
        const int m = w.tile_m * BM + (tile::ALONG_M > 1 ? place * ROWS : 0);
        const int n = w.tile_n * BN + (tile::ALONG_M > 1 ? 0 : place * tile::N);
        skip<tile::STAGES>(&ring, w.stages);
        if (tile::SHARING == TILES_IN_TURNS && turn % CONSUMERS != warpgroup) continue;
        /* Not before the other's stages: a barrier two phases behind looks as if it were where it is waited for. */
        if (tile::SHARING == TILES_IN_TURNS && turn > 0) turn_wait(warpgroup);
        if (m >= args.gemm.m || n >= args.gemm.n) {
            pass_by<tile::STAGES>(w, now, thread);
            continue;
        }
        struct reader reader = placed;
        if (A == TF32_A_SHIFTED) {
            const uint32_t shift = shift_of(args.gemm, w.batch, thread);
            reader.near += shift;
            reader.far += shift;
        }
        if (tile::N > 2 * NARROW && args.gemm.n - n <= NARROW)
            multiply<tile, A, NARROW>(acc, w, reader, now, first, thread);
        else
            multiply<tile, A, tile::N>(acc, w, reader, now, first, thread);
        if (tile::SHARING == TILES_IN_TURNS && turn + 1 < works) turn_pass(warpgroup);
        const int m_of_warp = m + thread / 32 * TF32_BOX_ROWS;
        static const int ALONG_K = A == TF32_A_ALONG_K;
        if (tile::SHARING == STAGES_IN_TURNS) {
            float half[2][tile::N / 4];
            add_up(half, acc, sums, w.stages > 1, warpgroup, thread);
            store<BM, BN, 0, ALONG_K>(args, half, w, m_of_warp, n + warpgroup * tile::N / 2, warpgroup, thread);
        } else if (tile::SHARING == TILES_IN_TURNS && args.gemm.k > SHORT_K) {
            store<BM, BN, 0, ALONG_K>(args, acc, w, m_of_warp, n, warpgroup, thread);
        } else {
            store<BM, BN, 1, ALONG_K>(args, acc, w, m_of_warp, n, warpgroup, thread);
        }
    }
}

template <int BM, int BN, int A>
DEVICE void sgemm_tf32_wgmma(const struct tf32_args &args, const struct tf32_shifted_args *shifted, uint8_t *shared,
                             uint64_t *barriers) {
    typedef tile<BM, BN, A> tile;
    static const int STAGES = tile::STAGES;
    uint8_t *stages = shared + (-shared_address(shared) & 1023);
    struct ring ring = {barriers, barriers + STAGES, 0, 0};
    const int warpgroup = threadIdx.x / WARPGROUP, thread = threadIdx.x % WARPGROUP;
    if (warpgroup == CONSUMERS) {
        setmaxnreg_dec<40>();
        if (thread == 0) {
            if (A != TF32_A_SHIFTED) prefetch_tensormap(&args.a);
            prefetch_tensormap(&args.b);
            for (int i = 0; i < STAGES; i++) {
                mbarrier_init(ring.full + i, 1);
                mbarrier_init(ring.empty + i, tile::READERS * WARPGROUP / 32); /* a warp each */
            }
            fence_barrier_init();
        }
        __syncwarp();
        barrier_arrive<7>((CONSUMERS + 1) * WARPGROUP); /* nobody to wait for: the first copies need not */
        grid_wait();
        grid_launch_next();
        if (thread == 0) produce<BM, BN, A>(args, shifted, stages, ring);
    } else {
        setmaxnreg_inc<232>();
        barrier_sync<7>((CONSUMERS + 1) * WARPGROUP);
        grid_wait();
        grid_launch_next();
        consume<BM, BN, A>(args, stages, ring, warpgroup, thread);
    }
}

#endif
