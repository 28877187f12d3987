/* Where the parts of a split product lie in scratch. */
#include "split.h"

enum { LEAST_CHUNK = 64, ENOUGH_CTAS = 1024, MOST_CHUNKS = 64, SCRATCH_ALIGN = 256, LEAST_FP16_K = 16 };

static int64_t round_up(int64_t value, int64_t unit) {
    return (value + unit - 1) / unit * unit;
}

/* Chunks of K small enough to occupy every SM, and no smaller. */
static int64_t chunk_of(int64_t k, int64_t units) {
    int64_t chunk = k * units / ENOUGH_CTAS;
    if (chunk < (k + MOST_CHUNKS - 1) / MOST_CHUNKS) chunk = (k + MOST_CHUNKS - 1) / MOST_CHUNKS;
    return round_up(chunk < k ? chunk : k, LEAST_CHUNK);
}

static void measure(struct split_args *args, int m, int n, int k, int batch) {
    args->rows_a = (int)round_up(m, SPLIT_TILE_M);
    args->rows = args->rows_a + (int)round_up(n, SPLIT_TILE_N);
    args->k_units = (int)(round_up(k, SPLIT_UNIT_K) / SPLIT_UNIT_K);
    args->chunk = (int)chunk_of(k, (int64_t)args->rows / SPLIT_UNIT_ROWS * batch);
    args->chunks = (int)(((int64_t)k + args->chunk - 1) / args->chunk);
}

static int64_t extremes_bytes(const struct split_args *args, int batch) {
    return round_up((int64_t)batch * args->chunks * args->rows * 4, SCRATCH_ALIGN);
}

static int64_t scales_bytes(const struct split_args *args, int batch) {
    return round_up((int64_t)batch * args->rows * 4, SCRATCH_ALIGN);
}

int64_t split_scratch_bytes(int m, int n, int k, int batch) {
    struct split_args args;
    measure(&args, m, n, k, batch);
    int64_t units = (int64_t)batch * (args.rows / SPLIT_UNIT_ROWS) * args.k_units;
    return SCRATCH_ALIGN + extremes_bytes(&args, batch) + scales_bytes(&args, batch) +
           units * SPLIT_MAX_PLANES * SPLIT_PLANE_BYTES;
}

static int log2_of(int value) {
    int log = 0;
    while (value >>= 1) log++;
    return log;
}

void split_args_place(struct split_args *args, enum split_planes first_choice, void *scratch) {
    const struct gemm_args *gemm = &args->gemm;
    uint8_t *at = scratch;
    measure(args, gemm->m, gemm->n, gemm->k, gemm->batch);
    /* The smallest element then keeps a relative error of k 2^-25: half of what a sum of k may lose in fp32. */
    args->spread = 25 + log2_of(gemm->k);
    /* Of a short sum as much is owed as of a single product: only three planes hold every bit. */
    args->first_choice = gemm->k < LEAST_FP16_K ? SPLIT_BF16X6 : first_choice;
    args->choice = (uint32_t *)at;
    at += SCRATCH_ALIGN;
    args->extremes = (uint32_t *)at;
    at += extremes_bytes(args, gemm->batch);
    args->inverse_scales = (float *)at;
    at += scales_bytes(args, gemm->batch);
    args->planes = at;
}
