/*
 * The pass that packs the operands of a TF32 product into fragments of scaled fp16, or of TF32 (fp16_fragments.h), by
 * way of shared memory.
 */
#include "fp16_fragments.h"

#include "fragments_unit.cuh"
#include "split_notes.cuh"

/* A lane's eight values of 16 k: of A rows come first, of B k, as the instruction has its operands. */
DEVICE void store_fp16(char *to, const float *tile, const float *scales, bool is_a) {
#pragma unroll
    for (int i = 0; i < LOADS / 8; i++) {
        const int quad = threadIdx.x + i * THREADS, lane = quad % 32, step = quad / 32 % 2, block = quad / 64;
        const int row = block / 2 * 32 + row_of_lane(is_a, lane) + block % 2 * 2;
        const float *at = tile + row * LD + 16 * step + lane % 4;
        uint32_t word[2][2]; /* row, k */
#pragma unroll
        for (int r = 0; r < 2; r++)
#pragma unroll
            for (int k = 0; k < 2; k++) {
                const float *pair = at + r * LD + 8 * k;
                word[r][k] = cvt_f16x2(pair[0] * scales[row + r], pair[4] * scales[row + r]);
            }
        *(uint4 *)(to + 16 * quad) = is_a ? make_uint4(word[0][0], word[0][1], word[1][0], word[1][1])
                                          : make_uint4(word[0][0], word[1][0], word[0][1], word[1][1]);
    }
}

/* A lane's four values of 8 k; a unit has two k tiles, `step` bytes apart. */
DEVICE void store_tf32(char *to, int64_t step, const float *tile, bool is_a) {
#pragma unroll
    for (int i = 0; i < LOADS / 4; i++) {
        const int quad = threadIdx.x + i * THREADS, lane = quad % 32, k8 = quad / 32 % 4, block = quad / 128;
        const float *at = tile + (block / 2 * 32 + row_of_lane(is_a, lane) + block % 2 * 2) * LD + 8 * k8 + lane % 4;
        float x[4] = {at[0], at[4], at[LD], at[LD + 4]};
#pragma unroll
        for (int j = 0; j < 4; j++) x[j] = rounded(x[j]);
        *(float4 *)(to + k8 / 2 * step + ((block * 2 + k8 % 2) * 32 + lane) * 16) =
            is_a ? make_float4(x[0], x[1], x[2], x[3]) : make_float4(x[0], x[2], x[1], x[3]);
    }
}

KERNEL_OF(struct fp16_fragments_args, fp16_fragments, TF32_FRAGMENT_THREADS, 6) {
    SHARED_MEMORY(tile);
    float *const scales = tile + ROWS * LD;
    const bool is_a = (int)blockIdx.x < args.a.units;
    const struct tf32_fragments &o = is_a ? args.a : args.b;
    const struct packed_unit u = load_packed_unit<0>(tile, o, blockIdx.x - (is_a ? 0 : args.a.units));
    const int64_t tile_bytes = rows_padded(o) * FP16_FRAGMENT_BYTES;
    char *const to = (char *)(o.to + u.matrix * o.to_stride) + u.row * FP16_FRAGMENT_BYTES;
    if (choice_by_notes(*args.notes, args.product.k) != SPLIT_FP16X1) {
        store_tf32(to + 2 * u.k_tile * tile_bytes, tile_bytes, tile, is_a);
        return;
    }
    const float *inverse = args.inverse_scales + (int64_t)u.matrix * args.rows + (is_a ? 0 : args.rows_a) + u.row;
    if (threadIdx.x < ROWS) scales[threadIdx.x] = inverse_power_of_two(inverse[threadIdx.x]);
    __syncthreads();
    store_fp16(to + u.k_tile * tile_bytes, tile, scales, is_a);
}
