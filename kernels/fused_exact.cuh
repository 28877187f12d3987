/*
 * The one-pass product's other way (FUSED_EXACT): floats as they are, multiplied and summed in fp64 on tensor cores. A
 * product of two floats is exact there, a sum as good as, and a result rounded once. Infinities, NaNs and any exponents
 * need no care.
 *
 * Here the stages hold the boxes as they are copied; the converters do no more than have them copied. Of the tile a
 * consumer's warp takes 64 m by 32 n: 96 rows to widen for 2048 results.
 */
#ifndef FASTGEMM_FUSED_EXACT_CUH
#define FASTGEMM_FUSED_EXACT_CUH

#include "fused_convert.cuh"
#include "fused_store.cuh"

/* One thread of those that have blocks of A or B (SIDE) copied. */
template <int LOADER, int SIDE> DEVICE void copy_exact(const struct fused_args &args, struct fused_ring ring) {
    struct converter<LOADER, SIDE> c;
    c.index = blockIdx.x;
    if (c.index >= fused_work_count(args)) return;
    c.aim(args);
    for (bool more = true; more; more = c.next(args), ring.count++) {
        const uint32_t full = full_barrier<FUSED_EXACT>(ring);
        mbarrier_wait(empty_barrier<FUSED_EXACT>(ring), parity_of<FUSED_EXACT>(ring) ^ 1);
        c.copy(args, exact_box(ring, SIDE, c.thread() / 32), full);
        if (!c.boxes(args)) cp_async_arrive(full);
    }
}

/*
 * Of 32 rows, 16 k: a lane's four rows are neighbours, and so are its four k. Those are not the rows and k that the
 * matrix instruction counts so, but the same for both operands.
 */
DEVICE void load_exact(float (&x)[4][4], uint32_t box, bool along_k, int k16, int lane) {
    const int group = lane / 4, quad = lane % 4;
#pragma unroll
    for (int i = 0; i < 4; i++) {
        const int line = along_k ? 4 * group + i : 16 * k16 + 4 * quad + i;
        const int piece = along_k ? k16 % 2 * 4 + quad : group;
        load_shared_16(x[i],
                       box + (along_k ? k16 / 2 * (FUSED_BOX_BYTES / 2) : 0) + line * 128 + (piece ^ line % 8) * 16);
    }
    if (along_k) return;
#pragma unroll
    for (int i = 0; i < 4; i++) {
#pragma unroll
        for (int j = 0; j < i; j++) {
            const float other = x[i][j];
            x[i][j] = x[j][i];
            x[j][i] = other;
        }
    }
}

/* A warp's share of a block. sum: [pair of n][32 of m][one m of four][two n, two m that are four apart]. */
template <int A_ALONG_K, int B_ALONG_K>
DEVICE void multiply_exact(double (&sum)[2][2][4][4], uint32_t boxes_m, uint32_t box_n, int lane) {
#pragma unroll 1
    for (int k16 = 0; k16 < FUSED_TILE_K / 16; k16++) {
        float x[4][4];
        double n_side[2][8];
        load_exact(x, box_n, B_ALONG_K, k16, lane);
#pragma unroll
        for (int i = 0; i < 16; i++) n_side[i / 8][i % 4 * 2 + i / 4 % 2] = x[i / 4][i % 4];
#pragma unroll
        for (int half = 0; half < 2; half++) {
            load_exact(x, boxes_m + half * FUSED_BOX_BYTES, A_ALONG_K, k16, lane);
#pragma unroll
            for (int i = 0; i < 4; i++) {
                const double m_side[4] = {x[i][0], x[i][1], x[i][2], x[i][3]};
                mma_m16n8k16_f64(sum[0][half][i], n_side[0], m_side);
                mma_m16n8k16_f64(sum[1][half][i], n_side[1], m_side);
            }
        }
    }
}

/* A partial sum as two floats: one that is finite is not to overflow in the first, nor an infinity to leave a rest. */
DEVICE float first_float(double x) {
    const float most = 0x1.fffffep127f;
    return fabs(x) < 0x1p129 ? fminf(fmaxf((float)x, -most), most) : (float)x;
}
DEVICE float second_float(double x) {
    return fabs(x) < 0x1p129 ? (float)(x - first_float(x)) : 0.0f;
}

enum exact_part { EXACT_ALL, EXACT_FIRST, EXACT_SECOND };

/* A pair of n of what a warp summed. */
template <int PART> DEVICE void round_exact(float (&to)[32], const double (&sum)[2][4][4]) {
#pragma unroll
    for (int i = 0; i < 32; i++) {
        const double x = sum[i / 16][i / 4 % 4][i % 4];
        to[i] = PART == EXACT_ALL ? (float)x : PART == EXACT_FIRST ? first_float(x) : second_float(x);
    }
}

template <int A_ALONG_K, int B_ALONG_K>
DEVICE void consume_exact(const struct fused_args &args, struct fused_ring ring, int warp, int lane) {
    const int count = fused_work_count(args);
    const bool partial = args.gemm.splits > 1; /* each to two floats: the sum of all is rounded once */
    for (int index = blockIdx.x; index < count; index += gridDim.x) {
        const struct fused_work w = fused_work_item(args, index);
        const int m = w.tile_m * FUSED_TILE + warp % 2 * 64 + lane % 4 * 8;
        const int n = w.tile_n * FUSED_TILE + warp / 2 * 32 + lane / 4 * 4;
        double sum[2][2][4][4];
#pragma unroll
        for (int i = 0; i < 64; i++) sum[i / 32][i / 16 % 2][i / 4 % 4][i % 4] = 0;
        for (int block = 0; block < w.blocks; block++, ring.count++) {
            mbarrier_wait(full_barrier<FUSED_EXACT>(ring), parity_of<FUSED_EXACT>(ring));
            multiply_exact<A_ALONG_K, B_ALONG_K>(sum, exact_box(ring, 0, warp % 2 * 2), exact_box(ring, 1, warp / 2),
                                                 lane);
            fence_proxy_async(); /* what was read is for the copy engine to write again */
            mbarrier_arrive(empty_barrier<FUSED_EXACT>(ring));
        }
        const struct output o = output_in(args.gemm, partial, partial ? 2 * w.split : 0, w.batch);
        const struct output rest = output_in(args.gemm, true, 2 * w.split + 1, w.batch);
#pragma unroll
        for (int pair = 0; pair < 2; pair++) {
            float x[32];
            if (partial) {
                round_exact<EXACT_FIRST>(x, sum[pair]);
                store_sums<0, 2>(args.gemm, o, x, m, n + 2 * pair, true);
                round_exact<EXACT_SECOND>(x, sum[pair]);
                store_sums<0, 2>(args.gemm, rest, x, m, n + 2 * pair, true);
                continue;
            }
            round_exact<EXACT_ALL>(x, sum[pair]);
            if (o.s.beta != 0.0f)
                store_sums<1, 2>(args.gemm, o, x, m, n + 2 * pair, false);
            else
                store_sums<0, 2>(args.gemm, o, x, m, n + 2 * pair, false);
        }
        if (!partial) finish_half(args.gemm, w, warp / 4, (warp * 32 + lane) % WARPGROUP);
    }
}

#endif
