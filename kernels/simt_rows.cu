/*
 * The pass that brings operands of an FFMA product to rows along m or n while the product runs (simt_rows.h). Each warp
 * takes units of 32 rows by 64 k, all units of a chunk of K before the next chunk's. Beside the product a warp is
 * seldom given an instruction, so there are few: a lane turns blocks of 4 by 4 in its registers, with 16-byte loads and
 * stores where the operand has them.
 */
#include "simt_rows.h"

#include "ptx_grid.cuh"

static const int WARPS = SIMT_ROWS_THREADS / 32;
static const int BLOCKS = SIMT_ROWS_UNIT * SIMT_ROWS_K / (16 * 32); /* to a lane */

/*
 * Where a lane's block begins in the unit. Eight lanes stand side by side along the rows, which are stored in whole
 * lines then; or along k where that is read in single floats.
 */
template <int ALONG_K, int VECTOR> DEVICE int row_of_block(int block) {
    const int lane = threadIdx.x % 32;
    return 4 * (!ALONG_K ? lane % 8 : VECTOR ? lane / 4 : block / 2 * 4 + lane / 8);
}
template <int ALONG_K, int VECTOR> DEVICE int k_of_block(int block) {
    const int lane = threadIdx.x % 32;
    return 4 * (!ALONG_K ? block * 4 + lane / 8 : VECTOR ? block * 4 + lane % 4 : block % 2 * 8 + lane % 8);
}

/* Four lines of a block, each of four floats. Outside the operand, which ends after `along` by `across`: zeros. */
template <int VECTOR, int WHOLE>
DEVICE void load_block(float (&x)[4][4], const float *from, int64_t ld, int along, int across) {
#pragma unroll
    for (int i = 0; i < 4; i++) {
        const float *line = from + i * ld;
        if (VECTOR) {
            *(float4 *)x[i] = make_float4(0, 0, 0, 0);
            if (WHOLE || (i < across && along > 0)) *(float4 *)x[i] = *(const float4 *)line;
        } else {
#pragma unroll
            for (int j = 0; j < 4; j++) {
                x[i][j] = 0.0f;
                if (WHOLE || (i < across && j < along)) x[i][j] = line[j];
            }
        }
    }
}

/* Rows end in a pad, so four of them can be stored where one is. */
template <int ALONG_K, int WHOLE>
DEVICE void store_block(const float (&x)[4][4], float *to, int64_t ld, int rows, int depth) {
#pragma unroll
    for (int i = 0; i < 4; i++) {
        const float4 quad = ALONG_K ? make_float4(x[0][i], x[1][i], x[2][i], x[3][i]) : *(const float4 *)x[i];
        if (WHOLE || (i < depth && rows > 0)) *(float4 *)(to + i * ld) = quad;
    }
}

template <int ALONG_K, int VECTOR, int WHOLE>
DEVICE void bring_blocks(const struct simt_rows &o, const float *from, float *to, int rows, int depth) {
#pragma unroll 1
    for (int block = 0; block < BLOCKS; block++) {
        const int row = row_of_block<ALONG_K, VECTOR>(block), k = k_of_block<ALONG_K, VECTOR>(block);
        const int along = ALONG_K ? k : row, across = ALONG_K ? row : k;
        float x[4][4];
        load_block<VECTOR, WHOLE>(x, from + across * o.ld + along, o.ld, (ALONG_K ? depth : rows) - along,
                                  (ALONG_K ? rows : depth) - across);
        store_block<ALONG_K, WHOLE>(x, to + k * o.to_ld + row, o.to_ld, rows - row, depth - k);
    }
}

template <int ALONG_K, int VECTOR>
DEVICE void bring(const struct simt_rows &o, const float *from, float *to, int rows, int depth) {
    if (rows >= SIMT_ROWS_UNIT && depth >= SIMT_ROWS_K)
        bring_blocks<ALONG_K, VECTOR, 1>(o, from, to, rows, depth);
    else
        bring_blocks<ALONG_K, VECTOR, 0>(o, from, to, rows, depth);
}

/* One unit of one operand, from row and k on. */
DEVICE void bring_unit(const struct simt_rows &o, int unit, int k, int all_k) {
    int matrix = 0;
    if (o.units > o.row_units) matrix = unit / o.row_units;
    const int row = (unit - matrix * o.row_units) * SIMT_ROWS_UNIT, rows = o.rows - row, depth = all_k - k;
    const float *from = o.list ? o.list[matrix] : o.from + matrix * o.stride;
    float *to = o.to + matrix * o.to_stride + k * o.to_ld + row;
    from += o.along_k ? row * o.ld + k : k * o.ld + row;
    if (!o.along_k)
        bring<0, 0>(o, from, to, rows, depth);
    else if (((uintptr_t)from % 16 | o.ld % 4 | all_k % 4) == 0)
        bring<1, 1>(o, from, to, rows, depth);
    else
        bring<1, 0>(o, from, to, rows, depth);
}

KERNEL_OF_WITH_REGISTERS(struct simt_rows_pass, simt_rows, SIMT_ROWS_THREADS, SIMT_ROWS_REGISTERS) {
    const int units = args.a.units + args.b.units;
    int unit = blockIdx.x * WARPS + threadIdx.x / 32;
    grid_launch_next();
#pragma unroll 1
    for (int chunk = 0; chunk < args.chunks; chunk++) {
#pragma unroll 1
        for (; unit < units; unit += gridDim.x * WARPS) {
            if (unit < args.a.units)
                bring_unit(args.a, unit, chunk * SIMT_ROWS_K, args.k);
            else
                bring_unit(args.b, unit - args.a.units, chunk * SIMT_ROWS_K, args.k);
            __syncwarp();
            if (threadIdx.x % 32 == 0) { /* its fence is for all of the warp */
                __threadfence();
                atomicAdd(args.there + chunk, 1u);
            }
        }
        unit -= units; /* the next chunk's */
    }
}
