/*
 * One scaled fp16 product for callers who allow TF32 (split_notes in split.h): what is noted of rows, and what follows.
 */
#ifndef FASTGEMM_SPLIT_NOTES_CUH
#define FASTGEMM_SPLIT_NOTES_CUH

#include "split_rows.cuh"

static const int OBVIOUS = 8; /* wide rows of 32 that a warp has looked at in part: no need to look at the rest */

DEVICE struct split_notes nothing_noted(void) {
    struct split_notes n = {0, 0, {0, 0}};
    return n;
}

/* From the exponent of the largest down to that of the smallest but zero. */
DEVICE int spread_of(const struct extremes &e) {
    return e.most ? (int)(e.most >> 23) - (int)((e.least + 1) >> 23) : 0;
}

/* What is said of a row that is not looked at to its end. */
DEVICE struct extremes hopeless(void) {
    struct extremes e = {0x7f800000u, 0, 0.0f};
    return e;
}

/* Of a row, from its word (`packed`). */
DEVICE struct split_notes notes_of_row(uint32_t word) {
    const int most = word & 0xff, least = 255 - (int)(word >> 16);
    struct split_notes n = nothing_noted();
    n.hopeless = word != 0 && (most == 255 || most <= 15);
    n.wide = word != 0 && most - least > SPLIT_ONE_SPREAD;
    return n;
}

/* K over which solid elements are counted. */
DEVICE int slice_of(int k) {
    return min(k, (int)SPLIT_SLICE_K);
}

/*
 * And of its elements over the slice. A wide row with hardly a solid one is not worth the wait for what all others are
 * like: whoever sees it may have all stop.
 */
DEVICE void note_lacking(struct split_notes *n, bool of_a, uint32_t lacking, int k) {
    n->lacking[0] = of_a ? lacking : 0;
    n->lacking[1] = of_a ? 0 : lacking;
    if (n->wide && 4 * lacking > 3 * (uint32_t)slice_of(k)) n->hopeless = 1;
}

/* Brings its largest element into [2^14, 2^15). */
DEVICE float inverse_of_row(uint32_t word) {
    const int most = word & 0xff;
    return word == 0 || most == 255 || most <= 15 ? 1.0f : power_of_two(most - 127 - 14);
}

DEVICE bool solid(float x, int most) {
    return (int)(float_bits(x) >> 23 & 0xff) + SPLIT_SOLID >= most;
}

DEVICE struct split_notes worse(struct split_notes x, const struct split_notes &y) {
    x.hopeless |= y.hopeless;
    x.wide |= y.wide;
    x.lacking[0] = max(x.lacking[0], y.lacking[0]);
    x.lacking[1] = max(x.lacking[1], y.lacking[1]);
    return x;
}

DEVICE struct split_notes notes_of_warp(struct split_notes n) {
#pragma unroll
    for (int far = 16; far; far /= 2) {
        struct split_notes other;
        other.hopeless = __shfl_xor_sync(0xffffffffu, n.hopeless, far);
        other.wide = __shfl_xor_sync(0xffffffffu, n.wide, far);
        other.lacking[0] = __shfl_xor_sync(0xffffffffu, n.lacking[0], far);
        other.lacking[1] = __shfl_xor_sync(0xffffffffu, n.lacking[1], far);
        n = worse(n, other);
    }
    return n;
}

/* What follows from what is noted of all rows. */
DEVICE uint32_t choice_by_notes(const struct split_notes &n, int k) {
    const bool spoilt = n.wide && n.lacking[0] + n.lacking[1] >= (uint32_t)slice_of(k);
    return n.hopeless || spoilt ? SPLIT_TF32 : SPLIT_FP16X1;
}

#endif
