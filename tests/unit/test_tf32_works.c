/* Index arithmetic between the tiles of the TF32 kernels for Hopper (kernels/tf32_works.h), and its divisions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../kernels/tf32_works.h"

static void assert_quotient(int64_t dividend, int divisor) {
    if (dividend < 0 || dividend > INT32_MAX) return;
    assert_int_equal(fast_quotient((int)dividend, fast_divisor_of(divisor)), dividend / divisor);
}

/* Every divisor up to some, then ever larger ones; dividends beside multiples, where a quotient changes. */
static void quotients_are_exact(void **state) {
    (void)state;
    for (int64_t divisor = 1; divisor <= INT32_MAX; divisor = divisor < 2000 ? divisor + 1 : divisor * 17 / 16) {
        const int64_t most = INT32_MAX / divisor;
        for (int64_t times = 0; times <= most; times = times < 40 ? times + 1 : times * 3 / 2)
            for (int off = -1; off <= 1; off++) assert_quotient(times * divisor + off, (int)divisor);
        for (int off = -1; off <= 1; off++) assert_quotient(most * divisor + off, (int)divisor);
        assert_quotient(INT32_MAX, (int)divisor);
    }
    assert_quotient(INT32_MAX, INT32_MAX);
    assert_quotient(INT32_MAX - 1, INT32_MAX);
}

/* Groups of `raster` tile rows, column after column in each: every tile once, in that order. */
static void tiles_are_walked_in_groups(void **state) {
    (void)state;
    for (int tiles_m = 1; tiles_m < 20; tiles_m++)
        for (int tiles_n = 1; tiles_n < 9; tiles_n++)
            for (int raster = 1; raster <= tiles_m; raster++) {
                const struct gemm_args g = {.tiles_m = tiles_m, .tiles_n = tiles_n, .raster = raster, .splits = 1};
                const struct tf32_walk walk = tf32_walk_of(&g);
                int index = 0;
                for (int first = 0; first < tiles_m; first += raster)
                    for (int n = 0; n < tiles_n; n++)
                        for (int m = first; m < first + raster && m < tiles_m; m++) {
                            int tile_m = -1, tile_n = -1;
                            tf32_tile_at(&g, &walk, index++, &tile_m, &tile_n);
                            assert_int_equal(tile_m, m);
                            assert_int_equal(tile_n, n);
                        }
            }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quotients_are_exact),
        cmocka_unit_test(tiles_are_walked_in_groups),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
