/* Which operands of a TF32 product go through scratch. */
#include "tf32.h"

#include "tf32_place.h"

static const int64_t MOST_STEP = INT64_C(1) << 36; /* floats; the copy engine's steps are below 2^40 bytes */
static const double MOST_TILES = 1 << 30;          /* of the pass, counted in 32 bits; a tile has 32 k or more */
enum { SCRATCH_ALIGN = 256, MOST_SHIFTED_N = 5000, LEAST_SHIFTED_TILE = 128 };

static int64_t round_up(int64_t value, int64_t unit) {
    return (value + unit - 1) / unit * unit;
}

int64_t tf32_matrices(const struct tf32_operand *o) {
    return o->stride == 0 ? 1 : o->batch;
}

bool tf32_readable(const struct tf32_operand *o) {
    if (o->align % 16 || o->ld % 4 || o->ld >= MOST_STEP) return false;
    return tf32_matrices(o) == 1 || (o->stride > 0 && o->stride % 4 == 0 && o->stride < MOST_STEP);
}

bool tf32_shifts(int64_t n, int tile_n) {
    return n <= MOST_SHIFTED_N && tile_n >= LEAST_SHIFTED_TILE;
}

/*
 * Were the leading dimension even, rows of different k would lie in the same banks. Rows are four leading dimensions
 * apart, in shared memory 16 bytes more than 128 of them: where both are as much past 128 bytes, lines stay lines.
 */
bool tf32_shifted(const struct tf32_operand *o, bool is_a) {
    if (!is_a || !o->shifts || o->along_k || tf32_readable(o) || o->ld % 8 != 1 || o->k < TF32_SHIFTS) return false;
    return o->ld < MOST_STEP / TF32_SHIFTS && o->stride >= 0 && o->stride < MOST_STEP / TF32_SHIFTS;
}

bool tf32_packed(const struct tf32_operand *o, bool is_a) {
    if (tf32_shifted(o, is_a)) return false;
    return !tf32_readable(o) || (!is_a && !o->along_k);
}

int64_t tf32_packed_rows(const struct tf32_operand *o) {
    return round_up(o->rows, TF32_PACKED_ROWS);
}

int64_t tf32_packed_ld(const struct tf32_operand *o) {
    return round_up(o->k, TF32_TILE_K);
}

int64_t tf32_packed_bytes(const struct tf32_operand *o) {
    const double tiles = ((double)o->rows / 32 + 1) * ((double)o->k / 32 + 1) * (double)tf32_matrices(o);
    if (tiles > MOST_TILES) return INT64_MAX;
    return round_up(tf32_matrices(o) * tf32_packed_rows(o) * tf32_packed_ld(o) * 4, SCRATCH_ALIGN);
}
