/*
 * Who holds what in the TF32 kernels for Hopper (kernels/tf32_place.h), against the layouts of the copy engine and of
 * the matrix instruction as their manual has them; and which operands go through scratch (kernels/tf32.h).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../kernels/tf32.h"
#include "../../kernels/tf32_place.h"

enum { THREADS = 128 }; /* of a warpgroup, with 128 rows of A */

/* The order of the rows, in 32 of A, for each way in which they may lie. */
static const struct way {
    int along_k;
    enum tf32_order order;
} ways[] = {{0, TF32_PLAIN}, {1, TF32_PLAIN}, {1, TF32_QUADS}};
enum { WAYS = sizeof ways / sizeof *ways };

static int row_of(const struct way *way, int thread, int half, int row) {
    return tf32_row_of(way->along_k, way->order, thread, half, row);
}

/* Every row of a warp's 32 belongs to one half and row of the instruction, and to four neighbouring lanes. */
static void rows_are_shared_out(void **state) {
    (void)state;
    for (int way = 0; way < WAYS; way++) {
        int owners[TF32_BOX_ROWS] = {0};
        for (int thread = 0; thread < 32; thread++)
            for (int i = 0; i < 4; i++) {
                int at = row_of(&ways[way], thread, i / 2, i % 2);
                assert_in_range(at, 0, TF32_BOX_ROWS - 1);
                assert_int_equal(at, row_of(&ways[way], thread / 4 * 4, i / 2, i % 2));
                owners[at]++;
            }
        for (int at = 0; at < TF32_BOX_ROWS; at++) assert_int_equal(owners[at], 4);
    }
}

/* A thread's four rows are neighbours, or eight apart; in the order in which store_columns takes them. */
static void a_thread_has_quads(void **state) {
    (void)state;
    for (int way = 0; way < WAYS; way++)
        for (int thread = 0; thread < THREADS; thread++)
            for (int i = 0; i < 4; i++) {
                int first = row_of(&ways[way], thread, 0, 0);
                int half = ways[way].along_k ? i % 2 : i / 2, row = ways[way].along_k ? i / 2 : i % 2;
                bool plain = ways[way].along_k && ways[way].order == TF32_PLAIN;
                if (!plain) assert_int_equal(first % 4, 0);
                assert_int_equal(row_of(&ways[way], thread, half, row), first + (plain ? TF32_GROUP_ROWS : 1) * i);
            }
}

/*
 * A along k: the copy engine writes groups of eight rows, in QUADS each fourth row of 32 to a group. The instruction
 * finds its row 16 warp + 8 row + lane / 4 of `half` in group `half`, and every other one from there.
 */
static void instructions_find_their_rows(void **state) {
    (void)state;
    for (int order = TF32_PLAIN; order <= TF32_QUADS; order++) {
        int rows[THREADS]; /* of A, as they lie in shared memory */
        for (int at = 0; at < THREADS; at++) {
            int box = at / 32, group = at % 32 / TF32_GROUP_ROWS, in_group = at % TF32_GROUP_ROWS;
            rows[at] = order == TF32_QUADS ? 32 * box + TF32_GROUPS * in_group + group : at;
        }
        for (int half = 0; half < 2; half++)
            for (int at = 0; at < 64; at++) {
                int place = (half + at / TF32_GROUP_ROWS * 2) * TF32_GROUP_ROWS + at % TF32_GROUP_ROWS;
                int thread = at / 16 * 32 + at % 8 * 4, row = at / 8 % 2;
                assert_int_equal(rows[place],
                                 thread / 32 * 32 + tf32_row_of(1, (enum tf32_order)order, thread, half, row));
            }
    }
}

/* A along m as the copy engine writes it: 128 bytes a k, 16-byte pieces swizzled by k; each word its own name. */
static void fill_box(uint32_t *box) {
    for (int k = 0; k < TF32_TILE_K; k++)
        for (int row = 0; row < TF32_BOX_ROWS; row++) {
            int at = k * TF32_ROW_BYTES + row * 4;
            at ^= (at >> 7 & 7) << 4;
            box[at / 4] = (uint32_t)(row << 8 | k);
        }
}

/* What a thread loads is what the instruction wants of it. */
static void loads_are_what_the_instruction_wants(void **state) {
    (void)state;
    static uint32_t box[TF32_BOX_BYTES / 4];
    fill_box(box);
    for (int thread = 0; thread < THREADS; thread++)
        for (int far = 0; far < 2; far++) {
            const uint32_t at = tf32_load_offset(thread, far);
            assert_int_equal(at % 16, 0); /* one vector load */
            for (int step = 0; step < TF32_TILE_K / 8; step++)
                for (int i = 0; i < 4; i++) {
                    int row = tf32_row_of(0, TF32_PLAIN, thread, i / 2, i % 2), k = 8 * step + thread % 4 + 4 * far;
                    assert_int_equal(box[at / 4 + (uint32_t)(step * 8 * TF32_ROW_BYTES / 4 + i)], row << 8 | k);
                }
        }
}

/* Shared memory serves 128 bytes at a time: the eight lanes of such a part of a load meet each bank once. */
static void loads_meet_no_bank_twice(void **state) {
    (void)state;
    for (int first = 0; first < THREADS; first += 8)
        for (int far = 0; far < 2; far++) {
            uint32_t banks = 0;
            for (int lane = 0; lane < 8; lane++)
                for (uint32_t word = 0; word < 4; word++)
                    banks |= 1u << (tf32_load_offset(first + lane, far) / 4 + word) % 32;
            assert_int_equal(banks, 0xffffffffu);
        }
}

/* Of a shifted A: every fourth k a tensor, which begins at 16 bytes before its first row; eight of them in a stage. */
static void fill_slots(uint32_t *slots, int64_t base, int64_t ld) {
    for (int k = 0; k < TF32_TILE_K; k++)
        for (int at = 0; at < TF32_SLOT_FLOATS; at++) {
            const int64_t row = at - (base + k % TF32_SHIFTS * ld) % 4;
            slots[k % TF32_SHIFTS * TF32_CLASS_BYTES / 4 + k / TF32_SHIFTS * TF32_SLOT_FLOATS + at] =
                (uint32_t)((row + 4) << 8 | k);
        }
}

/* A thread finds its rows behind the shift of its first k, and a warp's lanes meet no bank twice. */
static void shifted_loads_are_what_the_instruction_wants(void **state) {
    (void)state;
    static uint32_t slots[TF32_SLOTS_BYTES / 4];
    for (int64_t ld = 129; ld < 129 + 64; ld += 2)
        for (int64_t base = 0; base < 4; base++) {
            fill_slots(slots, base, ld);
            for (int i = 0; i < 4 * 2 * (TF32_TILE_K / 8); i++) { /* each warp's loads */
                const int far = i / 4 % 2, step = i / 8;
                uint32_t banks = 0;
                for (int thread = 0; thread < THREADS; thread++) {
                    const uint32_t shift = (uint32_t)(base + thread % 4 * ld) % 4;
                    const uint32_t at =
                        tf32_slot_offset(thread, far) / 4 + shift + (uint32_t)(step * 2 * TF32_SLOT_FLOATS + i % 4);
                    int row = thread / 32 * 32 + tf32_row_of(0, TF32_PLAIN, thread, i % 4 / 2, i % 2);
                    assert_int_equal(slots[at], (row + 4) << 8 | (8 * step + thread % 4 + 4 * far));
                    banks |= 1u << at % 32;
                    if (thread % 32 == 31) assert_int_equal(banks, 0xffffffffu);
                    if (thread % 32 == 31) banks = 0;
                }
            }
        }
}

static const struct tf32_operand good = {
    .rows = 100, .k = 200, .batch = 3, .ld = 128, .stride = 128 * 200, .along_k = false, .align = 16};

static void the_copy_engine_wants_whole_16_bytes(void **state) {
    (void)state;
    struct tf32_operand o = good;
    assert_true(tf32_readable(&o));
    o.rows = 97; /* the extent does not matter */
    assert_true(tf32_readable(&o));
    for (unsigned align = 4; align <= 8; align *= 2) {
        o = good;
        o.align = align;
        assert_false(tf32_readable(&o));
    }
    for (int off = 1; off < 4; off++) {
        o = good;
        o.ld += off;
        assert_false(tf32_readable(&o));
        o = good;
        o.stride += off;
        assert_false(tf32_readable(&o));
        o.batch = 1; /* then there is no second matrix */
        assert_true(tf32_readable(&o));
    }
    o = good;
    o.stride = -o.stride;
    assert_false(tf32_readable(&o));
    o = good;
    o.ld = INT64_C(1) << 38;
    assert_false(tf32_readable(&o));
}

static void what_goes_through_scratch(void **state) {
    (void)state;
    struct tf32_operand o = good;
    assert_false(tf32_packed(&o, true)); /* A may lie along m */
    assert_true(tf32_packed(&o, false));
    o.along_k = true;
    assert_false(tf32_packed(&o, false));
    o.align = 4;
    assert_true(tf32_packed(&o, true) && tf32_packed(&o, false));
    assert_int_equal(tf32_packed_ld(&o), 224);
    assert_int_equal(tf32_packed_rows(&o), 128);
    assert_int_equal(tf32_packed_bytes(&o), 3 * 128 * 224 * 4);
    o.stride = 0; /* the same matrix for all */
    assert_int_equal(tf32_packed_bytes(&o), 128 * 224 * 4);
    o = good;
    o.ld = 129;
    assert_true(!tf32_shifted(&o, true) && tf32_packed(&o, true));
    assert_true(tf32_shifts(5000, 128) && !tf32_shifts(5001, 128) && !tf32_shifts(5000, 64));
    o.shifts = true; /* every fourth k a tensor instead */
    assert_true(tf32_shifted(&o, true) && !tf32_packed(&o, true));
    assert_true(!tf32_shifted(&o, false) && tf32_packed(&o, false));
    for (o.ld = 130; o.ld < 137; o.ld++) assert_false(tf32_shifted(&o, true));
    assert_true(tf32_shifted(&o, true));
    o.along_k = true;
    assert_true(!tf32_shifted(&o, true) && tf32_packed(&o, true));
    o = good;
    assert_false(tf32_shifted(&o, true)); /* a tensor */
    o.rows = o.batch = INT32_MAX;         /* the pass counts its tiles in 32 bits */
    assert_int_equal(tf32_packed_bytes(&o), INT64_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_shared_out),          cmocka_unit_test(a_thread_has_quads),
        cmocka_unit_test(instructions_find_their_rows), cmocka_unit_test(loads_are_what_the_instruction_wants),
        cmocka_unit_test(loads_meet_no_bank_twice),     cmocka_unit_test(the_copy_engine_wants_whole_16_bytes),
        cmocka_unit_test(what_goes_through_scratch),    cmocka_unit_test(shifted_loads_are_what_the_instruction_wants),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
