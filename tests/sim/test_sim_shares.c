/*
 * Shared tiles of the TF32 kernels for Hopper, as far as it goes without their instructions: CTAs' pieces of work
 * (kernels/tf32_works.h) cover every k of every tile once, and the kernel that adds up what they leave (tf32_shares),
 * on the simulated GPU, finds each of them and nothing else.
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
#include "tf32_shares.h"
#include "tf32_works.h"

extern void tf32_shares(void);

static const float UNTOUCHED = -77.0f;

static float *device_floats(int64_t count, float value) {
    float *floats = NULL;
    assert_int_equal(cudaMalloc((void **)&floats, (size_t)count * sizeof *floats), cudaSuccess);
    for (int64_t i = 0; i < count; i++) floats[i] = value;
    return floats;
}

/* A product on `ctas` CTAs that share the tiles of the last round. */
static struct tf32_shares_args product(int m, int n, int k, int batch, int bm, int bn, int ctas) {
    struct tf32_shares_args args = {.bm = bm, .bn = bn};
    struct gemm_args *g = &args.gemm;
    g->m = m, g->n = n, g->k = g->k_per_split = k, g->batch = batch;
    g->tiles_m = (m + bm - 1) / bm, g->tiles_n = (n + bn - 1) / bn;
    g->splits = 1, g->raster = 2, g->ctas = ctas;
    g->shared_tiles = g->tiles_m * g->tiles_n * batch % ctas;
    g->ldc = g->ldd = m + 3, g->stride_c = g->stride_d = g->ldd * n;
    g->alpha = 2.0f;
    return args;
}

static void tile_at(const struct gemm_args *g, int index, int *tile_m, int *tile_n) {
    const int per_group = g->raster * g->tiles_n, first = index / per_group * g->raster;
    const int rows = g->tiles_m - first < g->raster ? g->tiles_m - first : g->raster;
    *tile_m = first + index % per_group % rows;
    *tile_n = index % per_group / rows;
}

/* What a piece adds to an element: a power of two for each k tile would run out, so their number and a name. */
static float piece_sum(const struct tf32_piece *p, int i, int j) {
    return (float)((p->last - p->first) * 64 + i % 8 + j % 4);
}

/* Leaves a piece's sums, but for rows and columns past the edge; NaN there. */
static void leave(const struct tf32_shares_args *args, const struct tf32_piece *p, int m0, int n0) {
    float *to = args->gemm.shares + (int64_t)p->share * args->bm * args->bn;
    for (int j = 0; j < args->bn && n0 + j < args->gemm.n; j++)
        for (int i = 0; i < args->bm && m0 + i < args->gemm.m; i++) to[j * args->bm + i] = piece_sum(p, i, j);
}

/* Runs through the pieces of every CTA; `expected` of the shared tiles' elements, UNTOUCHED elsewhere. */
static void share(struct tf32_shares_args *args, float *expected) {
    const struct gemm_args *g = &args->gemm;
    const int tiles = g->tiles_m * g->tiles_n, units = tiles * g->batch, k_tiles = (g->k + 31) / 32;
    int *done = calloc((size_t)units * (size_t)k_tiles, sizeof *done);
    for (int cta = 0; cta < g->ctas; cta++)
        for (int index = 0; index < tf32_pieces(g, cta, g->ctas); index++) {
            const struct tf32_piece p = tf32_piece_at(g, cta, g->ctas, index);
            int tile_m = 0, tile_n = 0;
            assert_in_range(p.unit, 0, units - 1);
            for (int k = p.last ? p.first : 0; k < (p.last ? p.last : k_tiles); k++) done[p.unit * k_tiles + k]++;
            assert_int_equal(p.share < 0, p.last == 0);
            if (p.share < 0) continue;
            assert_in_range(p.share, 0, g->ctas - 1);
            tile_at(g, p.unit % tiles, &tile_m, &tile_n);
            leave(args, &p, tile_m * args->bm, tile_n * args->bn);
            for (int j = 0; j < args->bn && tile_n * args->bn + j < g->n; j++)
                for (int i = 0; i < args->bm && tile_m * args->bm + i < g->m; i++) {
                    float *x = expected + p.unit / tiles * g->stride_d + (tile_n * args->bn + j) * g->ldd +
                               tile_m * args->bm + i;
                    *x = (*x == UNTOUCHED ? 0.0f : *x) + g->alpha * piece_sum(&p, i, j);
                }
        }
    for (int i = 0; i < units * k_tiles; i++) assert_int_equal(done[i], 1);
    free(done);
}

static void run(struct tf32_shares_args args) {
    struct gemm_args *g = &args.gemm;
    const int64_t floats = g->stride_d * g->batch;
    float *expected = device_floats(floats, UNTOUCHED);
    g->shares = device_floats((int64_t)g->ctas * args.bm * args.bn, NAN);
    g->d = device_floats(floats, UNTOUCHED);
    g->c = g->d;
    share(&args, expected);
    void *argv[] = {&args};
    dim3 grid = {(unsigned)(args.bm * args.bn / 4 / TF32_SHARES_THREADS), (unsigned)g->shared_tiles, 1};
    dim3 block = {TF32_SHARES_THREADS, 1, 1};
    assert_int_equal(cudaLaunchKernel((const void *)tf32_shares, grid, block, argv, 0, NULL), cudaSuccess);
    assert_int_equal(cudaDeviceSynchronize(), cudaSuccess);
    for (int64_t i = 0; i < floats; i++) assert_true(g->d[i] == expected[i]);
    assert_int_equal(fgsim_check_guards(), 0);
    cudaFree(g->shares), cudaFree(g->d), cudaFree(expected);
}

static void pieces_cover_k_and_are_added_up(void **state) {
    (void)state;
    run(product(300, 200, 320, 1, 128, 64, 5));  /* 12 tiles: 2 by 5, in two parts each */
    run(product(300, 200, 321, 1, 128, 64, 11)); /* 1 by 11 */
    run(product(257, 129, 999, 2, 256, 128, 7)); /* 8 tiles of two matrices: 1 by 7 */
    run(product(129, 65, 1280, 3, 128, 64, 11)); /* 12 tiles: 1 by 11 */
    run(product(130, 66, 1000, 3, 128, 64, 9));  /* 3 by 9 */
    run(product(500, 300, 640, 1, 128, 64, 9));  /* 20 tiles: 2 by 9, and one CTA has none */
    run(product(500, 300, 97, 1, 128, 64, 8));   /* 4 by 8 */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_cover_k_and_are_added_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
