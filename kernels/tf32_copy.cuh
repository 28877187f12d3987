/* The producer of the TF32 kernels for Hopper: one thread has the copy engine fill the stages. */
#ifndef FASTGEMM_TF32_COPY_CUH
#define FASTGEMM_TF32_COPY_CUH

#include "tf32_work.cuh"

/* A's part of a stage in one box, or, where its rows are no whole boxes of 32, in boxes that end with them. */
template <int BM, int A>
DEVICE void copy_a(const struct tf32_args &args, uint8_t *to, int m, int k, int matrix, uint64_t *full) {
    const int whole = args.whole_boxes ? m / TF32_BOX_ROWS : 0, row = args.whole_boxes ? 0 : m;
    if (A == TF32_A_ALONG_K && args.order == TF32_QUADS && !args.whole_boxes) {
#pragma unroll
        for (int box = 0; box < BM / TF32_BOX_ROWS; box++)
            cp_async_bulk_tensor(to + box * TF32_BOX_BYTES, &args.a, k, (m + TF32_BOX_ROWS * box) / TF32_GROUPS, 0,
                                 matrix, full);
    } else if (A == TF32_A_ALONG_K) {
        cp_async_bulk_tensor(to, &args.a, k, row, whole, matrix, full);
    } else if (args.whole_boxes) {
        cp_async_bulk_tensor(to, &args.a, 0, k, whole, matrix, full);
    } else {
#pragma unroll
        for (int box = 0; box < BM / TF32_BOX_ROWS; box++)
            cp_async_bulk_tensor(to + box * TF32_BOX_BYTES, &args.a, m + TF32_BOX_ROWS * box, k, 0, matrix, full);
    }
}

/* A shifted A: for each 128 rows the slots of each k % 4. */
template <int BM>
DEVICE void copy_shifted(const struct tf32_shifted_args &args, uint8_t *to, int m, int k, int batch, uint64_t *full) {
    const int matrix = args.every > 1 ? batch / TF32_SHIFTS : batch * args.of_all.a_step;
    const CUtensorMap *const maps = args.a[args.every > 1 ? batch % TF32_SHIFTS : 0];
#pragma unroll
    for (int at = 0; at < BM / ROWS * TF32_SHIFTS; at++)
        cp_async_bulk_tensor(to + at * TF32_CLASS_BYTES, maps + at % TF32_SHIFTS, m + at / TF32_SHIFTS * ROWS,
                             k / TF32_SHIFTS, 0, matrix, full);
}

template <int BM, int BN, int A>
DEVICE void produce(const struct tf32_args &args, const struct tf32_shifted_args *shifted, uint8_t *stages,
                    struct ring ring) {
    typedef tile<BM, BN, A> tile;
    const int works = tf32_pieces(&args.gemm, blockIdx.x, gridDim.x);
    for (int index = 0; index < works; index++) {
        const struct work w = work_item(args, index);
        for (int stage = 0; stage < w.stages; stage++) {
            const int k = w.k0 + stage * TF32_TILE_K;
            uint8_t *to = stages + ring.stage * tile::BYTES;
            uint64_t *full = ring.full + ring.stage;
            mbarrier_wait(ring.empty + ring.stage, ring.parity ^ 1);
            mbarrier_arrive_expect_tx(full, tile::A_COPIED + tile::B_BYTES);
            if (A == TF32_A_SHIFTED)
                copy_shifted<BM>(*shifted, to, w.tile_m * BM, k, w.batch, full);
            else
                copy_a<BM, A>(args, to, w.tile_m * BM, k, w.batch * args.a_step, full);
            cp_async_bulk_tensor(to + tile::A_BYTES, &args.b, k, w.tile_n * BN, 0, w.batch * args.b_step, full);
            advance<tile::STAGES>(&ring);
        }
    }
}

#endif
