/*
 * The pass that brings operands of a TF32 product into rows along k, on the simulated GPU: every layout, odd sizes and
 * addresses, batches, and two operands at once. What it writes is exactly the operand, and nothing beside it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <cuda_runtime_api.h>

#include "sim_api.h"
#include "tf32.h"
#include "tf32_pack.h"

extern void tf32_pack(void);

static const float UNTOUCHED = -77.0f;

struct operand {
    struct tf32_operand o;
    int offset; /* floats off alignment */
    float *from, *to;
    int64_t from_floats, to_floats;
};

static float *device_floats(int64_t count) {
    float *floats = NULL;
    assert_int_equal(cudaMalloc((void **)&floats, (size_t)count * sizeof *floats), cudaSuccess);
    return floats;
}

/* Element (row, k) of a matrix, named so that no two are alike. */
static float element(int64_t matrix, int64_t row, int64_t k) {
    return (float)(matrix * 1000000 + row * 1000 + k);
}

static int64_t place(const struct tf32_operand *o, int64_t matrix, int64_t row, int64_t k) {
    return matrix * o->stride + (o->along_k ? row * o->ld + k : k * o->ld + row);
}

static int tiles(int64_t extent, int tile) {
    return (int)((extent + tile - 1) / tile);
}

/* Not one float more is there than the last element; scratch is as large as the policy says. */
static struct tf32_copy make(struct operand *x) {
    const struct tf32_operand *o = &x->o;
    const int64_t matrices = tf32_matrices(o);
    x->from_floats = place(o, matrices - 1, o->rows - 1, o->k - 1) + 1;
    x->to_floats = tf32_packed_bytes(o) / 4;
    x->from = device_floats(x->from_floats + x->offset);
    x->to = device_floats(x->to_floats);
    for (int64_t i = 0; i < x->from_floats + x->offset; i++) x->from[i] = UNTOUCHED;
    for (int64_t i = 0; i < x->to_floats; i++) x->to[i] = UNTOUCHED;
    for (int64_t matrix = 0; matrix < matrices; matrix++)
        for (int64_t row = 0; row < o->rows; row++)
            for (int64_t k = 0; k < o->k; k++) x->from[x->offset + place(o, matrix, row, k)] = element(matrix, row, k);
    struct tf32_copy copy = {.from = x->from + x->offset,
                             .to = x->to,
                             .ld = o->ld,
                             .stride = o->stride,
                             .to_ld = tf32_packed_ld(o),
                             .to_stride = tf32_packed_rows(o) * tf32_packed_ld(o),
                             .rows = (int)o->rows,
                             .k = (int)o->k,
                             .along_k = o->along_k,
                             .row_tiles = tiles(o->rows, TF32_PACK_ROWS),
                             .k_tiles = tiles(o->k, TF32_PACK_K)};
    copy.tiles = copy.row_tiles * copy.k_tiles * (int)matrices;
    return copy;
}

/* The last quad of a row may reach into its padding, whose values nobody reads. */
static void check(const struct operand *x) {
    const int64_t ld = tf32_packed_ld(&x->o), rows = tf32_packed_rows(&x->o);
    for (int64_t i = 0; i < x->to_floats; i++) {
        int64_t k = i % ld, row = i / ld % rows, matrix = i / ld / rows;
        if (row < x->o.rows && k < x->o.k && matrix < tf32_matrices(&x->o))
            assert_true(x->to[i] == element(matrix, row, k));
        else if (row >= x->o.rows || k >= (x->o.k + 3) / 4 * 4)
            assert_true(x->to[i] == UNTOUCHED);
    }
}

static void pack(struct operand *a, struct operand *b) {
    struct tf32_pack_args args = {.a = {.tiles = 0}};
    if (a) args.a = make(a);
    if (b) args.b = make(b);
    void *argv[] = {&args};
    dim3 grid = {(unsigned)(args.a.tiles + args.b.tiles), 1, 1}, block = {TF32_PACK_THREADS, 1, 1};
    assert_int_equal(cudaLaunchKernel((const void *)tf32_pack, grid, block, argv, TF32_PACK_SHARED_BYTES, NULL),
                     cudaSuccess);
    assert_int_equal(cudaDeviceSynchronize(), cudaSuccess);
    if (a) check(a);
    if (b) check(b);
    assert_int_equal(fgsim_check_guards(), 0);
    if (a) cudaFree(a->from), cudaFree(a->to);
    if (b) cudaFree(b->from), cudaFree(b->to);
}

static struct operand operand(int64_t rows, int64_t k, bool along_k, int pad) {
    struct operand x = {.o = {.rows = rows, .k = k, .batch = 1, .along_k = along_k, .align = 4}};
    x.o.ld = (along_k ? k : rows) + pad;
    x.o.stride = x.o.ld * (along_k ? rows : k);
    return x;
}

static void every_layout_and_size(void **state) {
    (void)state;
    static const int sizes[][2] = {{1, 1}, {3, 5}, {64, 64}, {65, 63}, {63, 65}, {130, 7}, {7, 200}, {129, 131}};
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int along_k = 0; along_k < 2; along_k++)
            for (int pad = 0; pad < 3; pad++) {
                struct operand x = operand(sizes[i][0], sizes[i][1], along_k, pad);
                x.offset = pad;
                pack(&x, NULL);
                pack(NULL, &x);
            }
}

static void batches_with_gaps_and_repeats(void **state) {
    (void)state;
    for (int along_k = 0; along_k < 2; along_k++) {
        struct operand x = operand(70, 67, along_k, 1);
        x.o.batch = 3;
        pack(&x, NULL);
        x.o.stride += 5;
        pack(&x, NULL);
        x.o.stride = 0; /* one matrix for all: packed once */
        assert_int_equal(tf32_packed_bytes(&x.o), 96 * 96 * 4);
        pack(&x, NULL);
    }
}

static void both_operands_at_once(void **state) {
    (void)state;
    for (int ways = 0; ways < 4; ways++) {
        struct operand a = operand(97, 130, ways / 2, 1), b = operand(66, 130, ways % 2, 3);
        a.o.batch = b.o.batch = 2;
        a.offset = 1, b.offset = 3;
        pack(&a, &b);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_layout_and_size),
        cmocka_unit_test(batches_with_gaps_and_repeats),
        cmocka_unit_test(both_operands_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
