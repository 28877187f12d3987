/*
 * The pass that packs the operands of a TF32 product into fragments (tf32_fragments.h): a CTA takes 128 rows of one k
 * tile by way of shared memory, which it reads and writes along the operand's contiguous side.
 */
#include "fragments_unit.cuh"

/* Four values of a lane: of A rows come first, of B k, as the instruction has its operands. */
DEVICE void store_unit(float *to, const float *tile, bool is_a) {
#pragma unroll
    for (int i = 0; i < LOADS / 4; i++) {
        const int quad = threadIdx.x + i * THREADS, lane = quad % 32, step = quad / 32 % 4, block = quad / 128;
        const float *at = tile + (block / 2 * 32 + row_of_lane(is_a, lane) + block % 2 * 2) * LD + 8 * step + lane % 4;
        *(float4 *)(to + 4 * quad) =
            is_a ? make_float4(at[0], at[4], at[LD], at[LD + 4]) : make_float4(at[0], at[LD], at[4], at[LD + 4]);
    }
}

KERNEL_OF(struct tf32_fragments_args, tf32_fragments, TF32_FRAGMENT_THREADS, 6) {
    SHARED_MEMORY(tile);
    const bool is_a = (int)blockIdx.x < args.a.units;
    const struct tf32_fragments &o = is_a ? args.a : args.b;
    const struct packed_unit u = load_packed_unit<1>(tile, o, blockIdx.x - (is_a ? 0 : args.a.units));
    store_unit(o.to + u.matrix * o.to_stride + (u.k_tile * rows_padded(o) + u.row) * DEPTH, tile, is_a);
}
