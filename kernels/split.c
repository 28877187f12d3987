/* Where the parts of a split product lie in scratch. */
#include "split.h"

#include <stddef.h>

enum { SHORTEST_BAND = 256, LONGEST_BAND = 3072, LEAST_BANDS = 96 }; /* of the caches' size; enough for every SM */
enum { LONGEST_BAND_OF_ONE = 8192 }; /* where little is written, reading twice still is no slower than looking first */
enum { LEAST_CHUNK = 64, ENOUGH_CTAS = 1024, MOST_CHUNKS = 64, SCRATCH_ALIGN = 256, LEAST_FP16_K = 16 };

/* What passes write of the operands. */
enum stored { NOTHING, ONE_PLANE, PLANES };

static int64_t round_up(int64_t value, int64_t unit) {
    return (value + unit - 1) / unit * unit;
}

/* Chunks of K small enough to occupy every SM, and no smaller. */
static int64_t chunk_of(int64_t k, int64_t units) {
    int64_t chunk = k * units / ENOUGH_CTAS;
    if (chunk < (k + MOST_CHUNKS - 1) / MOST_CHUNKS) chunk = (k + MOST_CHUNKS - 1) / MOST_CHUNKS;
    if (k < SPLIT_SHORT_K) chunk = k;
    return round_up(chunk < k ? chunk : k, LEAST_CHUNK);
}

static void measure(struct split_args *args, int m, int n, int k, int batch, enum stored stored) {
    const int longest = stored == ONE_PLANE ? LONGEST_BAND_OF_ONE : LONGEST_BAND;
    if (k < 1) k = 1; /* one look, at nothing */
    args->rows_a = (int)round_up(m, SPLIT_TILE_M);
    args->rows = args->rows_a + (int)round_up(n, SPLIT_TILE_N);
    args->k_units = (int)(round_up(k, SPLIT_UNIT_K) / SPLIT_UNIT_K);
    const int64_t bands = (int64_t)args->rows / (k <= SPLIT_BAND_K ? 16 : 8) * batch;
    args->band_ctas = (int)(bands < SPLIT_BAND_CTAS ? bands : SPLIT_BAND_CTAS);
    if (k < SHORTEST_BAND || k > longest || bands < LEAST_BANDS || bands > INT32_MAX) args->band_ctas = 0;
    if (stored == NOTHING) args->band_ctas = 0;
    args->chunk = (int)chunk_of(k, (int64_t)args->rows / SPLIT_UNIT_ROWS * batch);
    args->chunks = (int)(((int64_t)k + args->chunk - 1) / args->chunk);
}

static int64_t extremes_bytes(const struct split_args *args, int batch) {
    if (args->band_ctas) return 0;
    return round_up((int64_t)batch * args->chunks * args->rows * 4, SCRATCH_ALIGN);
}

static int64_t scales_bytes(const struct split_args *args, int batch) {
    return round_up((int64_t)batch * args->rows * 4, SCRATCH_ALIGN);
}

static int64_t done_bytes(const struct split_args *args, int batch) {
    if (args->band_ctas) return 0;
    return round_up((int64_t)batch * 4, SCRATCH_ALIGN);
}

static int64_t moments_bytes(const struct split_args *args, int batch) {
    const int64_t count = args->band_ctas ? 2 * args->band_ctas : (int64_t)batch * (args->rows / SPLIT_UNIT_ROWS);
    return round_up(count * (int64_t)sizeof(struct split_moments), SCRATCH_ALIGN);
}

static int64_t notes_bytes(const struct split_args *args, int batch) {
    return SCRATCH_ALIGN + done_bytes(args, batch) + moments_bytes(args, batch) + extremes_bytes(args, batch) +
           scales_bytes(args, batch);
}

int64_t split_scratch_bytes(int m, int n, int k, int batch) {
    struct split_args args;
    measure(&args, m, n, k, batch, PLANES);
    int64_t units = (int64_t)batch * (args.rows / SPLIT_UNIT_ROWS) * args.k_units;
    return notes_bytes(&args, batch) + units * SPLIT_MAX_PLANES * SPLIT_PLANE_BYTES;
}

int64_t split_one_scratch_bytes(int m, int n, int k, int batch, int64_t operands) {
    struct split_args args;
    measure(&args, m, n, k, batch, ONE_PLANE);
    const int64_t planes = (int64_t)batch * (args.rows / SPLIT_UNIT_ROWS) * args.k_units * SPLIT_PLANE_BYTES;
    const int64_t most = round_up(planes > operands ? planes : operands, SCRATCH_ALIGN);
    return notes_bytes(&args, batch) + most;
}

bool split_one_by_bands(int m, int n, int k, int batch) {
    struct split_args args;
    measure(&args, m, n, k, batch, ONE_PLANE);
    return args.band_ctas > 0;
}

int64_t split_looks_bytes(int m, int n, int k, int batch) {
    struct split_args args;
    measure(&args, m, n, k, batch, NOTHING);
    return notes_bytes(&args, batch);
}

/* The smallest element then keeps a relative error of k 2^-25: half of what a sum of k may lose in fp32. */
int split_spread(int k) {
    int spread = 25;
    while (k >>= 1) spread++;
    return spread;
}

static void place(struct split_args *args, enum split_planes first_choice, void *scratch) {
    const struct gemm_args *gemm = &args->gemm;
    uint8_t *at = scratch;
    /* Of a short sum as much is owed as of a single product: only three planes hold every bit. */
    args->first_choice = first_choice != SPLIT_FP16X1 && gemm->k < LEAST_FP16_K ? SPLIT_BF16X6 : first_choice;
    if (first_choice == SPLIT_FP16X1) args->spread = SPLIT_ONE_SPREAD;
    args->choice = (uint32_t *)at;
    args->taken = args->choice + 1;
    args->written = args->choice + 2;
    at += SCRATCH_ALIGN;
    args->done = (uint32_t *)at;
    at += done_bytes(args, gemm->batch);
    args->moments = (struct split_moments *)at;
    args->notes = args->band_ctas ? (struct split_notes *)at : (struct split_notes *)(args->choice + 4);
    at += moments_bytes(args, gemm->batch);
    args->extremes = (uint32_t *)at;
    at += extremes_bytes(args, gemm->batch);
    args->inverse_scales = (float *)at;
    at += scales_bytes(args, gemm->batch);
    args->planes = at;
}

void split_args_place(struct split_args *args, enum split_planes first_choice, void *scratch) {
    measure(args, args->gemm.m, args->gemm.n, args->gemm.k, args->gemm.batch,
            first_choice == SPLIT_FP16X1 ? ONE_PLANE : PLANES);
    args->spread = split_spread(args->gemm.k);
    place(args, first_choice, scratch);
}

void split_args_place_looks(struct split_args *args, enum split_planes first_choice, void *scratch) {
    measure(args, args->gemm.m, args->gemm.n, args->gemm.k, args->gemm.batch, NOTHING);
    args->spread = split_spread(args->gemm.k) - SPLIT_LO_SHIFT; /* the low plane is not raised */
    place(args, first_choice, scratch);
    args->planes = NULL;
}
