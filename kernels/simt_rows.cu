/*
 * The pass that brings operands of an FFMA product to rows along m or n (simt_rows.h). A CTA takes a square of an
 * operand; where that lies along K it goes by way of shared memory, so that reads and writes are whole rows of the
 * square.
 */
#include "simt_rows.h"

#include "ptx_grid.cuh"

enum { SIDE = SIMT_ROWS_UNIT, QUADS = SIDE / 4, ROUNDS = SIDE * SIDE / SIMT_ROWS_THREADS };

/*
 * Where four neighbouring rows of one k lie in the square: the swizzle puts those of eight neighbouring quads of k, as
 * of eight quads of rows, into different banks.
 */
DEVICE int place_of(int k, int quad) {
    return k * SIDE + 4 * (quad ^ (k / 4 % QUADS));
}

/* A block of 4 by 4 to a thread, turned round in its registers. Outside the operand: zeros. */
DEVICE void turn_quads(float *square, const float *from, int64_t ld, int rows, int depth) {
    const int k = threadIdx.x % QUADS * 4, quad = threadIdx.x / QUADS;
    float x[4][4];
#pragma unroll
    for (int i = 0; i < 4; i++) {
        *(float4 *)x[i] = make_float4(0, 0, 0, 0);
        if (4 * quad + i < rows && k < depth) *(float4 *)x[i] = *(const float4 *)(from + (4 * quad + i) * ld + k);
    }
#pragma unroll
    for (int i = 0; i < 4; i++)
        *(float4 *)(square + place_of(k + i, quad)) = make_float4(x[0][i], x[1][i], x[2][i], x[3][i]);
}

/* The same of rows that begin anywhere, float by float. */
DEVICE void turn_singles(float *square, const float *from, int64_t ld, int rows, int depth) {
    const int k = threadIdx.x % SIDE, first = threadIdx.x / SIDE;
    float x[ROUNDS];
#pragma unroll
    for (int i = 0; i < ROUNDS; i++) {
        const int row = first + i * (SIMT_ROWS_THREADS / SIDE);
        x[i] = row < rows && k < depth ? from[row * ld + k] : 0.0f;
    }
#pragma unroll
    for (int i = 0; i < ROUNDS; i++) {
        const int row = first + i * (SIMT_ROWS_THREADS / SIDE);
        square[place_of(k, row / 4) + row % 4] = x[i];
    }
}

/* Rows end in a pad, so four of them can be stored where one is. */
DEVICE void store_square(const float *square, float *to, int64_t ld, int rows, int depth) {
    const int quad = threadIdx.x % QUADS;
#pragma unroll
    for (int i = 0; i < ROUNDS / 4; i++) {
        const int k = threadIdx.x / QUADS + i * (SIMT_ROWS_THREADS / QUADS);
        if (4 * quad < rows && k < depth)
            *(float4 *)(to + k * ld + 4 * quad) = *(const float4 *)(square + place_of(k, quad));
    }
}

/* What lies along m or n already, but begins anywhere. */
DEVICE void shift(const float *from, int64_t ld, float *to, int64_t to_ld, int rows, int depth) {
    const int row = threadIdx.x % SIDE, first = threadIdx.x / SIDE;
    float x[ROUNDS];
#pragma unroll
    for (int i = 0; i < ROUNDS; i++) {
        const int k = first + i * (SIMT_ROWS_THREADS / SIDE);
        if (row < rows && k < depth) x[i] = from[k * ld + row];
    }
#pragma unroll
    for (int i = 0; i < ROUNDS; i++) {
        const int k = first + i * (SIMT_ROWS_THREADS / SIDE);
        if (row < rows && k < depth) to[k * to_ld + row] = x[i];
    }
}

/* One square of one operand, which begins at k. */
DEVICE void bring_unit(float *square, const struct simt_rows &o, int unit, int k, int all_k) {
    int matrix = 0;
    if (o.units > o.row_units) matrix = unit / o.row_units;
    const int row = (unit - matrix * o.row_units) * SIDE, rows = o.rows - row, depth = all_k - k;
    const float *from = o.list ? o.list[matrix] : o.from + matrix * o.stride;
    float *to = o.to + matrix * o.to_stride + k * o.to_ld + row;
    from += o.along_k ? row * o.ld + k : k * o.ld + row;
    if (!o.along_k) {
        shift(from, o.ld, to, o.to_ld, rows, depth);
        return;
    }
    if (((uintptr_t)from % 16 | o.ld % 4 | all_k % 4) == 0)
        turn_quads(square, from, o.ld, rows, depth);
    else
        turn_singles(square, from, o.ld, rows, depth);
    __syncthreads();
    store_square(square, to, o.to_ld, rows, depth);
}

KERNEL_OF(struct simt_rows_pass, simt_rows, SIMT_ROWS_THREADS, 6) {
    __shared__ float4 quads[SIDE * QUADS];
    float *const square = (float *)quads;
    const int units = args.a.units + args.b.units, chunk = blockIdx.x / units, unit = blockIdx.x - chunk * units;
    grid_launch_next();
    if (unit < args.a.units)
        bring_unit(square, args.a, unit, chunk * SIDE, args.k);
    else
        bring_unit(square, args.b, unit - args.a.units, chunk * SIDE, args.k);
}
