/*
 * The family TF32_KEPT: TF32 tensor cores by mma.sync for batches of small products, of which a CTA keeps a tile of A
 * with all of its k in shared memory while it goes over tiles of B. Contract tf32: operands rounded to nearest, sums in
 * fp32. It reads each matrix once, where kernels with a tile to a CTA read A again for each tile of columns.
 *
 *   CTA tile     BM x BN, BM = 64 WARPS_M + 8 as in sgemm_tf32_batch.cuh, whose copies and addresses these are
 *   warp tile    64 x 64, and for the warps at the end of m eight rows more
 *   A            along m alone, of up to BK k: comes in slabs of 32 k, after the first tile of B
 *   B            with all of its k too, 64 columns for each group of WARPS_M warps, the next while results are stored:
 *                groups wait for each other in the first tile alone
 *   results      eight columns of a warp's tile at a time by way of its strip of shared memory, in full lines
 */
#ifndef FASTGEMM_SGEMM_TF32_KEPT_CUH
#define FASTGEMM_SGEMM_TF32_KEPT_CUH

#include "ptx_bulk.cuh"
#include "ptx_grid.cuh"
#include "sgemm_tf32_batch.cuh"

/* Columns of a warp, and so of a group of warps that share them. */
static const int KEPT_COLUMNS = 64;

/*
 * Rows of what is contiguous in memory on their way into shared memory, LD floats apart, a row to a warp at a time. One
 * that starts off a 16-byte boundary is copied from the boundary before it on, as in mma_loader.cuh; nothing outside
 * the matrix is read. TURNED: in the order of mma_row, which puts what a warp reads at once into different banks.
 */
template <int LD, int WARPS, bool TURNED>
DEVICE void copy_rows(uint32_t to, const float *matrix, int64_t ld, int begin, int end, int width, bool at_start,
                      int warp) {
    const int lane = threadIdx.x % 32;
#pragma unroll 1
    for (int row = begin + warp; row < end; row += WARPS) {
        const float *const from = matrix + row * ld;
        const int phase = phase_of(from), all = phase + width;
        const uint32_t at = to + 4 * LD * (TURNED ? mma_row(row) : row);
#pragma unroll
        for (int i = 0; i < (LD + 127) / 128; i++) {
            const int chunk = 4 * (lane + 32 * i);
            const bool before = chunk == 0 && phase && row == 0 && at_start;
            cp_async_16_to(at + 4 * chunk, from - phase + chunk, chunk + 4 <= all && !before);
            if (before)
                for (int e = phase; e < 4 && e < all; e++) cp_async_4_to(at + 4 * e, from - phase + e, true);
            else if (chunk < all && chunk + 4 > all)
                cp_async_16_part(at + 4 * chunk, from - phase + chunk, 4 * (all - chunk));
        }
    }
}

/* Waits for the slabs of A up to number `slab` of SLABS, each of which was a group of copies. */
template <int SLABS> DEVICE void wait_for_slab(int slab) {
    if (slab == 0) cp_async_wait<SLABS - 1>();
    if (slab == 1) cp_async_wait<SLABS - 2>();
    if (slab == 2) cp_async_wait<SLABS - 3>();
    if (slab == 3) cp_async_wait<SLABS - 4>();
    if (slab >= 4) cp_async_wait<0>();
}

/*
 * A tile as it lies in shared memory, rows of what is contiguous `ld` floats apart from `at` on. An `image` is all that
 * lies from its first element to its last, gaps between rows included, as far from a 16-byte boundary as in memory.
 */
struct kept_tile {
    uint32_t at; /* of an image: its first element */
    int ld;
    bool image;
};

/* Where a row's first element is; rows have the phases of theirs in `matrix`. */
DEVICE uint32_t kept_row(const struct kept_tile &t, int row, const float *matrix, int64_t ld) {
    return t.at + 4 * (row * t.ld + (t.image ? 0 : phase_of(matrix + row * ld)));
}

/* Floats of an image of `rows` rows of `width`. */
DEVICE int64_t image_floats(int rows, int64_t ld, int width) {
    return (rows - 1) * ld + width;
}

/*
 * All of an image between its first and its last 16-byte boundary, by bulk copies of one thread; the others of the few
 * floats beside those copy them.
 */
struct kept_image {
    const char *from;    /* the boundary before the image's first element */
    uint32_t begin, end; /* of the image, in bytes from there */
    char *to;

    DEVICE_MEMBER void init(const float *matrix, int64_t floats, float *tile) {
        begin = (uint32_t)((uintptr_t)matrix % 16);
        end = begin + (uint32_t)(4 * floats);
        from = (const char *)matrix - begin;
        to = (char *)tile;
    }

    /* The boundary at or after byte `x`, but within the image. */
    DEVICE_MEMBER uint32_t boundary(uint32_t x) const { return min((x + 15) & ~15u, end & ~15u); }

    /* What lies between the boundaries at `first` and `last`. */
    DEVICE_MEMBER void copy(uint32_t first, uint32_t last, uint64_t *barrier) const {
        const int bytes = last > first ? (int)(last - first) : 0;
        mbarrier_arrive_expect_tx(barrier, bytes);
        if (bytes) cp_async_bulk(to + first, from + first, bytes, barrier);
    }

    /* By threads 0 to 7. */
    DEVICE_MEMBER void copy_ends(int thread) const {
        const uint32_t head = begin + 4 * thread, tail = (end & ~15u) + 4 * (thread - 4);
        if (thread < 4 && head < min((begin + 15) & ~15u, end)) *(float *)(to + head) = *(const float *)(from + head);
        if (thread >= 4 && thread < 8 && tail < end && tail >= ((begin + 15) & ~15u))
            *(float *)(to + tail) = *(const float *)(from + tail);
    }
};

/* A group's columns of B from n0 on, 64 of them, with all of k; by `thread` of the group. */
template <int LD, int WARPS, bool ALONG_K>
DEVICE void kept_copy_b(const struct gemm_args &args, float *to, bool whole, int n0, int batch, uint64_t *barrier,
                        int thread) {
    const int columns = min(KEPT_COLUMNS, args.n - n0);
    if (columns <= 0) {
        if (whole && thread == 0) mbarrier_arrive_expect_tx(barrier, 0);
        return;
    }
    const float *const tile = matrix_b(args, batch) + n0 * (ALONG_K ? args.ldb : 1);
    if (!whole) {
        copy_rows<LD, WARPS, ALONG_K>(shared_at(to), tile, args.ldb, 0, ALONG_K ? columns : args.k,
                                      ALONG_K ? args.k : columns, n0 == 0, thread / 32);
        return;
    }
    struct kept_image image;
    image.init(tile, image_floats(columns, args.ldb, args.k), to);
    image.copy_ends(thread);
    if (thread == 0) image.copy(image.boundary(image.begin), image.boundary(image.end), barrier);
}

/*
 * A lane's fragments of eight k: of each 32 rows it holds those that batch_reader of sgemm_tf32_batch.cuh gives it, and
 * of each 32 columns number 4 g + j; of k, c and c + 4. They are loaded a step before they are multiplied. Past
 * the last row of an image lies the next k, of a slab that may be on its way (racecheck reports it): no such row of D
 * is stored.
 */
template <bool ALONG_K> struct kept_reader {
    uint32_t a[2], extra[2], b[2][4], half_b;
    uint32_t step_a, step_b; /* bytes of eight k */
    float x[2][8], y[2][2][4], z[2];

    /* `b_at`: the first element of the group's columns. */
    DEVICE_MEMBER void init(const struct gemm_args &args, const float *a_at, const float *b_at,
                            const struct kept_tile &tile_a, const struct kept_tile &tile_b, int warp_m, int last_m,
                            int g, int c) {
        const int place = g >> 1 | (g & 1) << 2;
#pragma unroll
        for (int half = 0; half < 2; half++) {
            const uint32_t row = kept_row(tile_a, c + 4 * half, a_at, args.lda);
            a[half] = row + 4 * (warp_m + 4 * place);
            extra[half] = row + 4 * (last_m + g);
        }
#pragma unroll
        for (int j = 0; j < 8; j++) {
            const int n = 32 * (j / 4) + 4 * g + j % 4;
            if (ALONG_K) /* rows that are not an image lie in the order of mma_row */
                b[j / 4][j % 4] =
                    kept_row(tile_b, n, b_at, args.ldb) + 4 * c + (tile_b.image ? 0 : 4 * (mma_row(n) - n) * tile_b.ld);
            else
                b[j / 4][j % 4] = kept_row(tile_b, c, b_at, args.ldb) + 4 * n;
        }
        step_a = 32 * tile_a.ld;
        step_b = ALONG_K ? 32 : 32 * tile_b.ld;
        half_b = step_b / 2;
    }

    DEVICE_MEMBER void load(bool has_extra) {
#pragma unroll
        for (int half = 0; half < 2; half++) {
#pragma unroll
            for (int i = 0; i < 8; i++) x[half][i] = load_shared_4(a[half] + 4 * (i % 4) + 128 * (i / 4));
#pragma unroll
            for (int j = 0; j < 8; j++)
                y[j / 4][half][j % 4] = load_shared_4(b[j / 4][j % 4] + half * (ALONG_K ? 16 : half_b));
            if (has_extra) z[half] = load_shared_4(extra[half]);
        }
#pragma unroll
        for (int half = 0; half < 2; half++) a[half] += step_a, extra[half] += step_a;
#pragma unroll
        for (int j = 0; j < 8; j++) b[j / 4][j % 4] += step_b;
    }
};

/* The step that `r` holds, `left` k of it; meanwhile the next is loaded, of which nothing is used after the last. */
template <class READER>
DEVICE void multiply_kept(struct batch_sums (&sums)[2], READER &r, int left, int c, bool has_extra) {
    uint32_t x[2][8], y[2][2][4], z[2] = {0, 0};
#pragma unroll
    for (int half = 0; half < 2; half++) {
        const bool there = c + 4 * half < left;
#pragma unroll
        for (int i = 0; i < 8; i++) x[half][i] = there ? round_to_tf32(r.x[half][i]) : 0;
#pragma unroll
        for (int j = 0; j < 8; j++) y[j / 4][half][j % 4] = there ? round_to_tf32(r.y[j / 4][half][j % 4]) : 0;
        if (has_extra) z[half] = there ? round_to_tf32(r.z[half]) : 0;
    }
    if (left >= 8) r.load(has_extra);
#pragma unroll
    for (int block = 0; block < 2; block++)
#pragma unroll
        for (int j = 0; j < 4; j += 2) {
            float(&of)[4][16] = sums[block].of, (&extra)[4][2] = sums[block].extra;
            const uint32_t columns[4] = {y[block][0][j], y[block][0][j + 1], y[block][1][j], y[block][1][j + 1]};
#pragma unroll
            for (int i = 0; i < 8; i++) {
                const int quad = i / 4 * 8 + i % 4;
                const uint32_t rows[2] = {x[0][i], x[1][i]};
                mma_m16n8k8_tf32(of[j][quad], of[j][quad + 4], of[j + 1][quad], of[j + 1][quad + 4], columns, rows);
            }
            if (has_extra) mma_m16n8k8_tf32(extra[j][0], extra[j][1], extra[j + 1][0], extra[j + 1][1], columns, z);
        }
}

/* Where a warp's tile goes: what there is of it, and its strip. */
struct kept_place {
    int m0, n0, rows, columns, batch;
    float *strip;
};

/* Floats from one column to the next in a strip: 64 rows and eight, and neighbours' 16 bytes in different banks. */
static const int KEPT_STRIP_LD = 80;

/* Every fourth column from number `first` on, eight of them, which lie in the strip: a column at a time. */
DEVICE void store_strip(const struct gemm_args &args, const struct output &o, const struct kept_place &place, int first,
                        bool plain, int lane) {
    const float *from = place.strip + lane;
    const int64_t at = (place.n0 + first) * o.ldd + place.m0 + lane;
    float *to = o.d + at;
    if (plain) {
        const int columns_low = lane < place.rows ? place.columns : 0;
        const int columns_high = lane + 32 < place.rows ? place.columns : 0;
#pragma unroll
        for (int i = 0; i < 8; i++, from += KEPT_STRIP_LD, to += 4 * o.ldd) {
            const float low = scale(o.s, from[0], 0), high = scale(o.s, from[32], 0);
            store_global_4(to, low, first + 4 * i < columns_low);
            store_global_4(to + 32, high, first + 4 * i < columns_high);
        }
        return;
    }
    const float *c = o.c + (place.n0 + first) * o.ldc + place.m0 + lane;
#pragma unroll 1
    for (int i = 0; i < 8; i++, from += KEPT_STRIP_LD, to += 4 * o.ldd, c += 4 * o.ldc)
#pragma unroll 1
        for (int m = 0; m < 64; m += 32) {
            if (first + 4 * i >= place.columns || lane + m >= place.rows) continue;
            const float value = scale(o.s, from[m], c + m);
            to[m] = finish(args, value, bias_of(args, place.batch, place.m0 + lane + m));
        }
}

/* The eight rows more of the same columns. */
DEVICE void store_extra(const struct gemm_args &args, const struct output &o, const struct kept_place &place, int first,
                        int lane) {
    const int n = first + 4 * (lane % 8);
    if (n >= place.columns) return;
    for (int m = 64 + lane / 8; m < place.rows && m < 72; m += 4) {
        const float value =
            scale(o.s, place.strip[lane % 8 * KEPT_STRIP_LD + m], o.c + (place.n0 + n) * o.ldc + place.m0 + m);
        o.d[(place.n0 + n) * o.ldd + place.m0 + m] = finish(args, value, bias_of(args, place.batch, place.m0 + m));
    }
}

DEVICE void store_kept(const struct gemm_args &args, const struct output &o, const struct kept_place &place,
                       const struct batch_sums (&sums)[2], bool has_extra, int lane) {
    const int g = lane / 4, c = lane % 4;
    const bool plain = o.s.beta == 0.0f && !finishes(args);
    float *const column = place.strip + g * KEPT_STRIP_LD;
#pragma unroll
    for (int j = 0; j < 8; j++) {
        const float(&of)[16] = sums[j / 4].of[j % 4], (&extra)[2] = sums[j / 4].extra[j % 4];
        __syncwarp();
#pragma unroll
        for (int i = 0; i < 16; i += 4)
            *(float4 *)(column + 4 * i + 4 * c) = make_float4(of[i], of[i + 1], of[i + 2], of[i + 3]);
        if (has_extra) column[64 + 2 * c] = extra[0], column[64 + 2 * c + 1] = extra[1];
        __syncwarp();
        store_strip(args, o, place, 32 * (j / 4) + j % 4, plain, lane);
        if (has_extra) store_extra(args, o, place, 32 * (j / 4) + j % 4, lane);
    }
}

/* All of k for a warp's tile; where A comes for the first time, slab after slab, of an image by barriers. */
template <int SLAB, int SLABS, class READER>
DEVICE void kept_main_loop(struct batch_sums (&sums)[2], READER &reader, int k_count, bool first, uint64_t *slabs,
                           int c, bool has_extra) {
    const int whole = k_count / 8, steps = (k_count + 7) / 8;
#pragma unroll 1
    for (int step = -1; step < whole; step++) {
        const int next = step + 1;
        if (first && next < steps && next % (SLAB / 8) == 0) {
            if (slabs) {
                mbarrier_wait(slabs + next / (SLAB / 8), 0);
            } else {
                wait_for_slab<SLABS>(next / (SLAB / 8));
                __syncthreads();
            }
        }
        if (step < 0)
            reader.load(has_extra);
        else
            multiply_kept(sums, reader, 8, c, has_extra);
    }
    if (steps > whole) multiply_kept(sums, reader, k_count - 8 * whole, c, has_extra);
}

template <int BM, int BN, int BK, int LOAD_A, int LOAD_B> DEVICE void sgemm_tf32_kept(const struct gemm_args &args) {
    static const int WARPS_M = BM / 64, GROUPS = BN / KEPT_COLUMNS, WARPS = WARPS_M * GROUPS;
    static const int SLAB = 32, SLABS = (BK + SLAB - 1) / SLAB;
    static const bool ALONG_K = LOAD_B == LOAD_K4;
    static const int LD_A = BM + 4, LD_B = ALONG_K ? BK + 3 : KEPT_COLUMNS + 4;
    static const int FLOATS_A = BK * LD_A, FLOATS_B = (ALONG_K ? KEPT_COLUMNS : BK) * LD_B, NOTES = 32;
    static_assert(BM % 64 == 8 && BN % KEPT_COLUMNS == 0 && LOAD_A == LOAD_MN4 && SLABS <= 5, "whole warps");
    static_assert(LD_B % 32 == 4 && FLOATS_A % 4 == 0 && FLOATS_B % 4 == 0, "rows along k in different banks");

    SHARED_MEMORY(shared);
    uint64_t *const barriers = (uint64_t *)shared; /* of groups' columns, and of A's slabs */
    float *const shared_a = shared + NOTES;
    const int thread = threadIdx.x, warp = thread / 32, lane = thread % 32, g = lane / 4, c = lane % 4;
    const int group = warp / WARPS_M, warp_m = 64 * (warp % WARPS_M), in_group = thread % (32 * WARPS_M);
    const int tile_m = blockIdx.x % args.tiles_m, step_n = BN * (gridDim.x / args.tiles_m);
    const int first_n = BN * (blockIdx.x / args.tiles_m) + KEPT_COLUMNS * group;
    const int m0 = tile_m * BM, batch = blockIdx.z, rows = min(BM, args.m - m0);
    const bool has_extra = warp_m == 64 * (WARPS_M - 1) && args.m - m0 > 64 * WARPS_M;
    float *const shared_b = shared_a + FLOATS_A + group * FLOATS_B;
    float *const strip = shared_a + FLOATS_A + GROUPS * FLOATS_B + warp * 8 * KEPT_STRIP_LD;

    /* Rows as they lie, if there is room. */
    const bool image_a = image_floats(args.k, args.lda, rows) <= FLOATS_A - 3;
    const bool image_b = ALONG_K && image_floats(min(KEPT_COLUMNS, args.n), args.ldb, args.k) <= FLOATS_B - 3;
    if (thread == 0) {
        for (int i = 0; i < GROUPS + SLABS; i++) mbarrier_init(barriers + i, 1);
        fence_barrier_init();
    }
    grid_wait();
    const float *const a = matrix_a(args, batch) + m0;
    const struct output o = output_of(args, 0, batch);
    struct kept_image image;
    __syncthreads();
    kept_copy_b<LD_B, WARPS_M, ALONG_K>(args, shared_b, image_b, first_n, batch, barriers + group, in_group);
    if (image_a) {
        image.init(a, image_floats(args.k, args.lda, rows), shared_a);
        image.copy_ends(thread);
        for (int slab = 0; thread == 0 && slab < SLABS; slab++) {
            const uint32_t first = image.begin + (uint32_t)(4 * slab * SLAB * args.lda);
            const uint32_t last = slab < SLABS - 1 ? first + (uint32_t)(4 * SLAB * args.lda) : image.end;
            image.copy(image.boundary(first), image.boundary(last), barriers + GROUPS + slab);
        }
        __syncthreads();
    }
#pragma unroll 1
    for (int slab = 0; slab < SLABS; slab++) {
        if (!image_a)
            copy_rows<LD_A, WARPS, false>(shared_at(shared_a), a, args.lda, slab * SLAB, min((slab + 1) * SLAB, args.k),
                                          rows, m0 == 0, warp);
        cp_async_commit();
    }
    const struct kept_tile tile_a = {shared_at(shared_a) + (image_a ? (uint32_t)((uintptr_t)a % 16) : 0),
                                     image_a ? (int)args.lda : LD_A, image_a};
    int parity = 0;
#pragma unroll 1
    for (int n0 = first_n; n0 - KEPT_COLUMNS * group < args.n; n0 += step_n, parity ^= 1) {
        const float *const b = matrix_b(args, batch) + n0 * (ALONG_K ? args.ldb : 1);
        const struct kept_tile tile_b = {shared_at(shared_b) + (image_b ? (uint32_t)((uintptr_t)b % 16) : 0),
                                         image_b ? (int)args.ldb : LD_B, image_b};
        kept_reader<ALONG_K> reader;
        reader.init(args, a, b, tile_a, tile_b, warp_m, 64 * WARPS_M, g, c);
        struct batch_sums sums[2];
        sums[0].clear();
        sums[1].clear();
        if (image_b) mbarrier_wait(barriers + group, parity);
        if (n0 > first_n) {
            cp_async_wait<0>();
            barrier_of(1 + group, 32 * WARPS_M);
        } else if (!image_b) {
            cp_async_wait<SLABS - 1>();
            __syncthreads();
        }
        kept_main_loop<SLAB, SLABS>(sums, reader, args.k, n0 == first_n, image_a ? barriers + GROUPS : 0, c, has_extra);
        if (image_b) fence_proxy_async();
        barrier_of(1 + group, 32 * WARPS_M); /* the group has read its columns */
        kept_copy_b<LD_B, WARPS_M, ALONG_K>(args, shared_b, image_b, n0 + step_n, batch, barriers + group, in_group);
        cp_async_commit();
        const struct kept_place place = {m0 + warp_m, n0, args.m - m0 - warp_m, args.n - n0, batch, strip};
        store_kept(args, o, place, sums, has_extra, lane);
    }
    cp_async_wait<0>();
}

#endif
