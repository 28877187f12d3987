/*
 * One product of scaled fp16 planes (fp16x1 in split.h) by Hopper's matrix instruction, contract TF32: as many bits as
 * TF32 has, at twice its rate. Where the device finds that planes will not do, it leaves at once, and what is launched
 * behind it does the work (launch_one.c).
 *
 *   CTA tile    256 m x 128 n, stored as split_store.cuh has it
 *   warpgroups  one producer, whose one thread fills the stages by bulk copies; two consumers of 64 n each
 *   stages      nine of 32 k
 *   grid        persistent: as many CTAs as there are SMs, or work items (tile, split, batch) if fewer
 *
 * Sums stay in the tensor cores over all of K, as those of TF32 do.
 */
#include "split_one.cuh"
#include "split_store.cuh"

static const int STAGES = 9, STAGE = 3 * SPLIT_PLANE_BYTES;
static_assert(STAGES * STAGE + 1024 <= SPLIT_SHARED_BYTES, "room for the stages and a pad");

DEVICE void produce(const struct split_args &args, uint8_t *stages, struct ring ring) {
    static const int UNIT = SPLIT_PLANE_BYTES;
    const int count = work_count(args);
    for (int index = blockIdx.x; index < count; index += gridDim.x) {
        const struct work w = work_item(args, index);
        const uint8_t *matrix = args.planes + (int64_t)w.batch * (args.rows / SPLIT_UNIT_ROWS) * args.k_units * UNIT;
        const int64_t tile = (int64_t)args.k_units * UNIT;
        const uint8_t *a = matrix + 2 * w.tile_m * tile + (int64_t)w.first_unit * UNIT;
        const uint8_t *b = matrix + (args.rows_a / SPLIT_UNIT_ROWS + w.tile_n) * tile + (int64_t)w.first_unit * UNIT;
        for (int unit = 0; unit < w.units; unit++) {
            const int64_t at = (int64_t)unit * UNIT;
            uint8_t *to = stages + ring.stage * STAGE;
            uint64_t *full = ring.full + ring.stage;
            mbarrier_wait(ring.empty + ring.stage, ring.parity ^ 1);
            mbarrier_arrive_expect_tx(full, STAGE);
            cp_async_bulk(to, b + at, UNIT, full);
            cp_async_bulk(to + UNIT, a + at, UNIT, full);
            cp_async_bulk(to + 2 * UNIT, a + at + tile, UNIT, full);
            advance<STAGES>(&ring);
        }
    }
}

/* The sums of one piece of work. While a stage is multiplied the next is asked for, and the one before is free. */
DEVICE void multiply(float (&acc)[2][64], const struct work &w, const uint8_t *stages, struct ring *ring, int warpgroup,
                     int thread) {
    int before = -1;
#pragma unroll
    for (int i = 0; i < 64; i++) acc[0][i] = acc[1][i] = 0.0f;
    for (int unit = 0; unit < w.units; unit++) {
        const uint8_t *stage = stages + ring->stage * STAGE;
        mbarrier_wait(ring->full + ring->stage, ring->parity);
        const uint64_t n_side = wgmma_descriptor(stage + warpgroup * 64 * 64);
        const uint64_t m_side = wgmma_descriptor(stage + SPLIT_PLANE_BYTES); /* both units of A, one after the other */
        wgmma_pin(acc[0]);
        wgmma_pin(acc[1]);
        wgmma_fence();
        wgmma_m64n256k16_f16(acc, n_side, m_side, unit > 0);
        wgmma_m64n256k16_f16(acc, n_side + 2, m_side + 2, 1);
        wgmma_commit();
        wgmma_wait<1>();
        wgmma_pin(acc[0]);
        wgmma_pin(acc[1]);
        if (before >= 0 && thread % 32 == 0) mbarrier_arrive(ring->empty + before, 32);
        before = ring->stage;
        advance<STAGES>(ring);
    }
    wgmma_wait<0>();
    wgmma_pin(acc[0]);
    wgmma_pin(acc[1]);
    if (before >= 0 && thread % 32 == 0) mbarrier_arrive(ring->empty + before, 32);
}

DEVICE void consume(const struct split_args &args, const uint8_t *stages, struct ring ring, int warpgroup, int thread) {
    const int count = work_count(args);
    float acc[2][64];
    for (int index = blockIdx.x; index < count; index += gridDim.x) {
        struct work w = work_item(args, index);
        multiply(acc, w, stages, &ring, warpgroup, thread);
        int place = warpgroup * WARPGROUP + thread;
        keep_below(&place, &w);
        store(args, acc, w, place);
    }
}

KERNEL_OF(struct split_args, sgemm_fp16x1_256x128, 384, 1) {
    static __shared__ uint64_t barriers[2 * STAGES];
    SHARED_MEMORY(shared);
    uint8_t *stages = (uint8_t *)shared + (-shared_address(shared) & 1023);
    const struct ring ring = {barriers, barriers + STAGES, 0, 0};
    if (threadIdx.x == 0) {
        for (int i = 0; i < STAGES; i++) {
            mbarrier_init(ring.full + i, 1);
            mbarrier_init(ring.empty + i, CONSUMERS * WARPGROUP);
        }
        fence_barrier_init();
    }
    __syncthreads();
    grid_wait();
    grid_launch_next();
    const uint32_t choice = args.band_ctas ? choice_after_bands<384>(args) : *args.choice;
    if (args.band_ctas && blockIdx.x + threadIdx.x == 0) *args.choice = choice;
    if (choice != SPLIT_FP16X1) return;
    const int warpgroup = threadIdx.x / WARPGROUP;
    if (warpgroup == CONSUMERS) {
        setmaxnreg_dec<40>();
        if (threadIdx.x == CONSUMERS * WARPGROUP) produce(args, stages, ring);
    } else {
        setmaxnreg_inc<232>();
        consume(args, stages, ring, warpgroup, threadIdx.x % WARPGROUP);
    }
}
