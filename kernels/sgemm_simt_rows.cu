/* The SIMT family's kernel for operands that a pass brings to rows along m or n meanwhile (simt_rows.h). */
#define LISTED_MATRIX DEVICE
#include "ptx_grid.cuh"
#include "sgemm_simt.cuh"
#include "simt_rows.h"

/* What has been brought: of both operands from k = 0 on, in whole chunks. Each thread looks for its own copies. */
struct operands_brought {
    const unsigned *counts;
    unsigned units;
    int k, there;

    /* Rows in scratch are padded; others are whole quads. */
    static DEVICE_MEMBER int extent(int mn) { return (mn + 3) / 4 * 4; }
    template <int BK> DEVICE_MEMBER int tiles_there(int tiles, int k_end) {
        if (there >= k) return tiles;
        const int next = k_end - (tiles - 1) * BK;
        /* As far as it goes: the pass is soon ahead, and looking takes time. */
        while (there < k) {
            if (ld_acquire(counts + there / SIMT_ROWS_K) == units)
                there += SIMT_ROWS_K;
            else if (there >= next)
                break;
        }
        return min(tiles, (there - next) / BK + 1);
    }
};

/* Two CTAs leave an SM room for one of the pass. */
#define VARIANT(name, family, contract, arch, bm, bn, bk, tm, tn, stages, threads, ctas, wide)                         \
    KERNEL_OF_WITH_REGISTERS(struct simt_rows_args, name, threads, 224) {                                              \
        struct operands_brought brought = {args.there, args.units, args.gemm.k, args.units ? 0 : args.gemm.k};         \
        sgemm_simt<bm, bn, bk, tm, tn, stages, 1, LOAD_MN16, LOAD_MN16, wide>(args.gemm, brought);                     \
    }
GEMM_SIMT_ROWS_VARIANTS(VARIANT)
