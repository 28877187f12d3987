/*
 * mma.sync: each lane brings its fragments and its sums, and the last one to arrive multiplies for all of them, so that
 * each element is converted once and not by every lane that needs it. Fragments: kernels/ptx_mma.cuh, ptx_split.cuh.
 */
#include <math.h>

#include "sim_cta.h"
#include "sim_half.h"

enum { ROWS = 16, COLUMNS = 8, MAX_K = 16 };

struct matrices {
    double a[ROWS][MAX_K], b[MAX_K][COLUMNS], d[ROWS][COLUMNS];
};

/* The `which`th element of a word, as the tensor core sees it. */
static double element(enum sim_mma kind, uint32_t word, int which) {
    const uint32_t half = word >> 16 * which & 0xffff, bits = kind == SIM_MMA_TF32 ? word & 0xffffe000u : half << 16;
    float x;
    if (kind == SIM_MMA_F16) return sim_float_of_half((uint16_t)half);
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* A sum of exact products, cut off after 24 bits. */
static float truncated(double sum) {
    const float nearest = (float)sum;
    return fabs((double)nearest) > fabs(sum) && !isinf(sum) ? nextafterf(nearest, 0.0f) : nearest;
}

static void gather(struct matrices *x, enum sim_mma kind, int lane, const struct sim_thread *thread) {
    const uint64_t *const words = thread->value[thread->warp_operations % 2];
    const int g = lane / 4, c = lane % 4, in_word = kind == SIM_MMA_TF32 ? 1 : 2, half = 4 * in_word;
    for (int i = 0; i < 4; i++)
        for (int e = 0; e < in_word; e++)
            x->a[g + i % 2 * 8][in_word * c + i / 2 * half + e] =
                element(kind, (uint32_t)(words[i / 2] >> i % 2 * 32), e);
    for (int i = 0; i < 2; i++)
        for (int e = 0; e < in_word; e++)
            x->b[in_word * c + i * half + e][g] = element(kind, (uint32_t)(words[2] >> i * 32), e);
    for (int i = 0; i < 4; i++) x->d[g + i / 2 * 8][2 * c + i % 2] = thread->sums[i];
}

static void multiply(struct matrices *x, int k_count) {
    for (int i = 0; i < ROWS; i++)
        for (int k = 0; k < k_count; k++)
            for (int j = 0; j < COLUMNS; j++) x->d[i][j] += x->a[i][k] * x->b[k][j];
}

void sim_mma(enum sim_mma kind, const uint32_t a[4], const uint32_t b[2], float d[4]) {
    const uint64_t mine[3] = {a[0] | (uint64_t)a[1] << 32, a[2] | (uint64_t)a[3] << 32, b[0] | (uint64_t)b[1] << 32};
    struct sim_thread *const self = sim_cta.self;
    const int index = (int)(self - sim_cta.threads);
    struct sim_thread *const warp = self - index % 32;
    const int lanes = sim_cta.thread_count - index / 32 * 32 < 32 ? sim_cta.thread_count % 32 : 32;
    self->sums = d;
    if (!sim_warp_meet("mma", 0xffffffffu, mine, 3)) return; /* who was last has done it meanwhile */
    struct matrices x = {0};
    for (int lane = 0; lane < lanes; lane++) gather(&x, kind, lane, &warp[lane]);
    multiply(&x, kind == SIM_MMA_TF32 ? 8 : 16);
    for (int lane = 0; lane < lanes; lane++)
        for (int i = 0; i < 4; i++) warp[lane].sums[i] = truncated(x.d[lane / 4 + i / 2 * 8][2 * (lane % 4) + i % 2]);
}
