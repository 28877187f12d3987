/* Where the parts of a fused product lie in scratch. */
#include "fused.h"

enum { SCRATCH_ALIGN = 256 };

static int64_t round_up(int64_t value, int64_t unit) {
    return (value + unit - 1) / unit * unit;
}

static const int64_t SEEN_BYTES = 2 * FUSED_MOST_CTAS * sizeof(struct split_moments);

int64_t fused_scratch_bytes(int64_t m, int64_t n, int64_t batch) {
    const int64_t tiles = round_up(m, FUSED_TILE) / FUSED_TILE * (round_up(n, FUSED_TILE) / FUSED_TILE);
    return SEEN_BYTES + round_up(tiles * batch * (int64_t)sizeof(uint32_t), SCRATCH_ALIGN);
}

static int log2_of(int value) {
    int log = 0;
    while (value >>= 1) log++;
    return log;
}

void fused_args_place(struct fused_args *args, int ctas, void *scratch) {
    const struct gemm_args *gemm = &args->gemm;
    args->k_blocks = (int)(((int64_t)gemm->k + FUSED_TILE_K - 1) / FUSED_TILE_K);
    args->blocks_per_split = gemm->splits > 1 ? gemm->k_per_split / FUSED_TILE_K : args->k_blocks;
    args->exact_splits = gemm->splits > 3 ? gemm->splits / 2 : 1;
    args->exact_blocks_per_split = (args->k_blocks + args->exact_splits - 1) / args->exact_splits;
    args->exact_splits = (args->k_blocks + args->exact_blocks_per_split - 1) / args->exact_blocks_per_split;
    args->ctas = ctas;
    args->spread = 25 + log2_of(gemm->k); /* as in split.c */
    args->seen = (struct split_moments *)scratch;
    args->done = (uint32_t *)((uint8_t *)scratch + SEEN_BYTES);
}
