/* Where the parts of a split product lie: inside the scratch that was asked for, in order, none over another. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "../../kernels/split.h"

static uint8_t *const SCRATCH = (uint8_t *)4096;

static struct split_args placed(int m, int n, int k, int batch) {
    struct split_args args;
    memset(&args, 0, sizeof args);
    args.gemm.m = m, args.gemm.n = n, args.gemm.k = k, args.gemm.batch = batch;
    split_args_place(&args, SPLIT_FP16X3, SCRATCH);
    return args;
}

/* From one part to the next there is room for what the kernels write there. */
static void check(int m, int n, int k, int batch) {
    struct split_args args = placed(m, n, k, batch);
    int64_t rows = args.rows, words = rows * batch * 4;
    assert_true(args.rows_a >= m && args.rows_a % SPLIT_TILE_M == 0 && args.rows_a - m < SPLIT_TILE_M);
    assert_true(rows - args.rows_a >= n && rows % SPLIT_TILE_N == 0 && rows - args.rows_a - n < SPLIT_TILE_N);
    assert_true(args.k_units * (int64_t)SPLIT_UNIT_K >= k && (args.k_units - 1) * (int64_t)SPLIT_UNIT_K < k);
    assert_true((int64_t)args.chunk * args.chunks >= k && (int64_t)args.chunk * (args.chunks - 1) < k);
    assert_true(args.chunks <= 64);
    assert_ptr_equal(args.choice, SCRATCH);
    assert_true((uint8_t *)args.done >= SCRATCH + sizeof *args.choice);
    assert_true((uint8_t *)args.moments >= (uint8_t *)(args.done + (args.band_ctas ? 0 : batch)));
    int64_t moments = args.band_ctas ? 2 * args.band_ctas : rows / SPLIT_UNIT_ROWS * batch;
    assert_true((uint8_t *)args.extremes >= (uint8_t *)(args.moments + moments));
    assert_true((uint8_t *)args.inverse_scales >=
                (uint8_t *)args.extremes + (args.band_ctas ? 0 : words * args.chunks));
    assert_true(args.planes >= (uint8_t *)args.inverse_scales + words);
    assert_int_equal(((uintptr_t)args.moments | (uintptr_t)args.inverse_scales | (uintptr_t)args.planes) % 256, 0);
    /* A pass by bands fills no more CTAs than there are bands, and takes rows that caches hold. */
    assert_true(args.band_ctas <= rows * batch / 8 && (!args.band_ctas || k <= 4096));
    assert_true(k >= SPLIT_SHORT_K || args.chunks == 1);
    int64_t end = args.planes - SCRATCH;
    end += rows / SPLIT_UNIT_ROWS * args.k_units * batch * (int64_t)SPLIT_MAX_PLANES * SPLIT_PLANE_BYTES;
    assert_int_equal(split_scratch_bytes(m, n, k, batch), end);
    assert_int_equal(end % 256, 0);
}

/* One plane, or what takes its place; notes that lie on no other part, apart from moments, of which there are none. */
static void check_one(int m, int n, int k, int batch) {
    struct split_args args = {.gemm = {.m = m, .n = n, .k = k, .batch = batch}};
    split_args_place(&args, SPLIT_FP16X1, SCRATCH);
    const uint8_t *notes = (uint8_t *)args.notes;
    assert_int_equal(args.first_choice, SPLIT_FP16X1);
    assert_int_equal(args.spread, 28);
    assert_true(notes >= SCRATCH + sizeof *args.choice);
    assert_true(notes + sizeof *args.notes * (size_t)(args.band_ctas ? args.band_ctas : 1) <=
                (args.band_ctas ? (uint8_t *)args.extremes : (uint8_t *)args.done));
    const int64_t before = args.planes - SCRATCH;
    const int64_t planes = (int64_t)args.rows / SPLIT_UNIT_ROWS * args.k_units * batch * SPLIT_PLANE_BYTES;
    assert_int_equal(split_one_scratch_bytes(m, n, k, batch, 0), before + planes);
    assert_int_equal(split_one_scratch_bytes(m, n, k, batch, planes + 1), before + planes + 256);
}

static void parts_follow_each_other(void **state) {
    (void)state;
    static const int sizes[] = {1, 31, 32, 33, 127, 128, 129, 255, 256, 257, 2949, 4096, 50257};
    enum { COUNT = sizeof sizes / sizeof *sizes };
    for (int i = 0; i < COUNT * COUNT * COUNT; i++)
        for (int batch = 1; batch < 8; batch += 3) {
            check(sizes[i % COUNT], sizes[i / COUNT % COUNT], sizes[i / COUNT / COUNT], batch);
            check_one(sizes[i % COUNT], sizes[i / COUNT % COUNT], sizes[i / COUNT / COUNT], batch);
        }
    check(256, 256, 524288, 1);
    check(1, 1, INT32_MAX - 4096, 1);
}

static void large_products_are_counted_in_64_bits(void **state) {
    (void)state;
    assert_true(split_scratch_bytes(65536, 65536, 65536, 4) > INT64_C(6) * 131072 * 65536 * 4);
}

static void longer_sums_allow_more_spread(void **state) {
    (void)state;
    assert_int_equal(placed(8, 8, 32, 1).spread, 30);
    assert_int_equal(placed(8, 8, 4096, 1).spread, 37);
}

static void short_sums_take_every_bit(void **state) {
    (void)state;
    assert_int_equal(placed(256, 128, 15, 1).first_choice, SPLIT_BF16X6);
    assert_int_equal(placed(256, 128, 16, 1).first_choice, SPLIT_FP16X3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_follow_each_other),
        cmocka_unit_test(large_products_are_counted_in_64_bits),
        cmocka_unit_test(longer_sums_allow_more_spread),
        cmocka_unit_test(short_sums_take_every_bit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
