/*
 * The passes of fp16x1 (kernels/split.h) on the simulated GPU, by looks and by bands: scales, the plane's every element
 * where the product looks for it, and what is decided about rows that fp16 does not hold.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <cuda_runtime_api.h>

#include "sim_api.h"
#include "split.h"

extern void split_one_extremes(void), split_one_choose(void), split_one_planes(void), split_one_begin(void),
    split_one_bands_16(void), split_one_bands_8(void);

/* An operand of rows x k, and where its elements lie. */
struct side {
    float *at;
    int rows, along_k;
    int64_t ld;
};

static struct {
    struct split_args args;
    struct side sides[2];
    void *scratch;
} made;

static float *element(int side, int row, int k) {
    const struct side *s = &made.sides[side];
    return s->at + (s->along_k ? row * s->ld + k : k * s->ld + row);
}

static void *device_memory(int64_t bytes) {
    void *memory = NULL;
    assert_int_equal(cudaMalloc(&memory, (size_t)bytes), cudaSuccess);
    return memory;
}

static void make_side(int side, int rows, int k, int along_k) {
    struct side *s = &made.sides[side];
    *s = (struct side){.rows = rows, .along_k = along_k, .ld = (along_k ? k : rows) + 3};
    s->at = device_memory(s->ld * (along_k ? rows : k) * 4);
    for (int row = 0; row < rows; row++)
        for (int i = 0; i < k; i++) {
            const int random = rand() % 20000 - 10000;
            *element(side, row, i) = ldexpf((float)random + 0.37f, row % 40 - 30); /* 2^-14 to 2^15 or so in a row */
        }
}

static void make(int m, int n, int k, int a_along_k, int b_along_k) {
    struct gemm_args *g = &made.args.gemm;
    memset(&made.args, 0, sizeof made.args);
    srand(1);
    make_side(0, m, k, a_along_k);
    make_side(1, n, k, b_along_k);
    g->a = made.sides[0].at, g->lda = made.sides[0].ld;
    g->b = made.sides[1].at, g->ldb = made.sides[1].ld;
    g->m = m, g->n = n, g->k = k, g->batch = 1;
    made.args.a_along_k = a_along_k, made.args.b_along_k = b_along_k;
    made.scratch = device_memory(split_one_scratch_bytes(m, n, k, 1, 0));
    split_args_place(&made.args, SPLIT_FP16X1, made.scratch);
}

static void drop(void) {
    assert_int_equal(fgsim_check_guards(), 0);
    cudaFree(made.sides[0].at), cudaFree(made.sides[1].at), cudaFree(made.scratch);
}

static void launch(void (*kernel)(void), unsigned x, unsigned y, unsigned threads, int shared) {
    void *argv[] = {&made.args};
    dim3 grid = {x, y, 1}, block = {threads, 1, 1};
    assert_int_equal(cudaLaunchKernel((const void *)kernel, grid, block, argv, (size_t)shared, NULL), cudaSuccess);
    assert_int_equal(cudaDeviceSynchronize(), cudaSuccess);
}

/* What the notes of bands come to: of a few, so that each CTA has several bands. */
static uint32_t run_bands(void) {
    struct split_notes all = {0, 0, {0, 0}};
    if (made.args.band_ctas > 7) made.args.band_ctas = 7;
    launch(split_one_begin, 1, 1, 32, 0);
    launch(made.args.gemm.k <= SPLIT_BAND_K ? split_one_bands_16 : split_one_bands_8, (unsigned)made.args.band_ctas, 1,
           256, 0);
    for (int i = 0; i < made.args.band_ctas; i++) {
        const struct split_notes *n = &made.args.notes[i];
        all.hopeless |= n->hopeless, all.wide |= n->wide;
        for (int side = 0; side < 2; side++)
            if (n->lacking[side] > all.lacking[side]) all.lacking[side] = n->lacking[side];
    }
    const int slice = made.args.gemm.k < SPLIT_SLICE_K ? made.args.gemm.k : SPLIT_SLICE_K;
    const int spoilt = all.wide && (int)(all.lacking[0] + all.lacking[1]) >= slice;
    return all.hopeless || spoilt ? SPLIT_TF32 : SPLIT_FP16X1;
}

static uint32_t run(void) {
    if (made.args.band_ctas) return run_bands();
    const unsigned tiles = (unsigned)(made.args.rows / SPLIT_UNIT_ROWS);
    launch(split_one_extremes, tiles, (unsigned)made.args.chunks, 256, 12 * SPLIT_UNIT_ROWS);
    launch(split_one_choose, tiles, 1, SPLIT_UNIT_ROWS, 0);
    launch(split_one_planes, 3, 1, 256, SPLIT_PLANE_BYTES);
    return *made.args.choice;
}

/* fp16: what its bits say, and the nearest to a number. */
static float of_half(uint16_t bits) {
    const int exponent = bits >> 10 & 31, mantissa = bits & 1023;
    const float size = ldexpf((float)(exponent ? mantissa + 1024 : mantissa), (exponent ? exponent : 1) - 25);
    return bits >> 15 ? -size : size;
}

static float rounded_to_half(float x) {
    const int exponent = x == 0.0f || ilogbf(x) < -14 ? -14 : ilogbf(x);
    return ldexpf(rintf(ldexpf(x, 10 - exponent)), exponent - 10);
}

/* Where the product finds an element: units of 128 rows x 32 k; 16-byte pieces of 8 k, swizzled by pairs of rows. */
static float in_plane(int side, int row, int k) {
    const int padded = row + (side ? made.args.rows_a : 0), unit_row = padded % SPLIT_UNIT_ROWS;
    const int in_16 = unit_row % 16; /* wgmma gives a thread pairs of each 8: four neighbours of A */
    const int of_a = unit_row - in_16 + (in_16 & 1) + in_16 / 4 * 2 + (in_16 & 2) * 4;
    const int place = side ? unit_row : of_a, piece = k % 32 / 8;
    const int64_t unit = (int64_t)(padded / SPLIT_UNIT_ROWS) * made.args.k_units + k / SPLIT_UNIT_K;
    uint16_t half;
    memcpy(&half, made.args.planes + unit * SPLIT_PLANE_BYTES + place * 64 + (piece ^ (place / 2 % 4)) * 16 + k % 8 * 2,
           sizeof half);
    return of_half(half);
}

static void check_planes(void) {
    const int k_padded = made.args.k_units * SPLIT_UNIT_K;
    for (int side = 0; side < 2; side++)
        for (int row = 0; row < made.sides[side].rows; row++) {
            const float inverse = made.args.inverse_scales[row + (side ? made.args.rows_a : 0)];
            float most = 0;
            for (int k = 0; k < k_padded; k++) {
                const float x = k < made.args.gemm.k ? *element(side, row, k) / inverse : 0.0f;
                if (fabsf(x) > most) most = fabsf(x);
                assert_true(in_plane(side, row, k) == rounded_to_half(x));
            }
            assert_true(most >= 0x1p14f && most < 0x1p15f);
        }
}

/* Sizes that looks take, in one chunk and in many, and that bands take, of 16 rows and of 8. */
static const int sizes[][3] = {{70, 30, 40}, {130, 300, 200}, {200, 100, 4000}, {700, 900, 300}, {500, 400, 777}};
enum { SIZES = sizeof sizes / sizeof *sizes };

static void every_element_is_where_it_is_looked_for(void **state) {
    (void)state;
    for (int i = 0; i < 2 * SIZES; i++) {
        make(sizes[i / 2][0], sizes[i / 2][1], sizes[i / 2][2], i % 2, (i / 2 + i) % 2);
        assert_int_equal(made.args.band_ctas != 0, i / 2 >= 3);
        assert_int_equal(run(), SPLIT_FP16X1);
        check_planes();
        drop();
    }
}

enum harm { NOTHING, TINY, TINY_AND_SPARSE, INFINITE, SUBNORMAL_ROW, STEEP_ROW, WIDE };

static void do_harm(enum harm harm, int k_of) {
    const int k = made.args.gemm.k;
    if (harm == TINY || harm == TINY_AND_SPARSE) *element(0, 5, k_of) = 0x1p-100f;
    if (harm == TINY_AND_SPARSE) /* some column of B is zero but for one element */
        for (int i = 0; i < k; i++)
            if (i != k_of) *element(1, 7, i) = 0.0f;
    if (harm == INFINITE) *element(1, 9, k_of) = INFINITY;
    if (harm == SUBNORMAL_ROW)
        for (int i = 0; i < k; i++) *element(1, 3, i) = 1e-40f;
    if (harm == STEEP_ROW)
        for (int i = 0; i < k; i++) *element(0, 6, i) = ldexpf(1, i ? -10 - i % 30 : 0);
    if (harm == WIDE)
        for (int row = 0; row < made.sides[0].rows; row++)
            for (int i = 0; i < k; i++) *element(0, row, i) *= ldexpf(1, rand() % 60);
}

/* A tiny element does no harm where every row meets every column in large ones; an infinity does wherever it is. */
static void what_fp16_does_not_hold_is_noticed(void **state) {
    (void)state;
    for (int i = 0; i < 2 * SIZES; i++)
        for (enum harm harm = NOTHING; harm <= WIDE; harm++) {
            make(sizes[i / 2][0], sizes[i / 2][1], sizes[i / 2][2], i % 2, (i / 2 + i) % 2);
            do_harm(harm, (i + 1) * 37 % made.args.gemm.k);
            assert_int_equal(run(), harm == NOTHING || harm == TINY ? SPLIT_FP16X1 : SPLIT_TF32);
            drop();
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_element_is_where_it_is_looked_for),
        cmocka_unit_test(what_fp16_does_not_hold_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
