/*
 * The pass that brings operands of a TF32 product into scratch (tf32.h): what it takes. Plain C.
 */
#ifndef FASTGEMM_TF32_PACK_H
#define FASTGEMM_TF32_PACK_H

#include <stdint.h>

enum {
    TF32_PACK_ROWS = 64,
    TF32_PACK_K = 64,
    TF32_PACK_THREADS = 256,
    TF32_PACK_SHARED_BYTES = TF32_PACK_ROWS * (TF32_PACK_K + 1) * 4
};

/* One operand on its way into scratch. */
struct tf32_copy {
    const float *from;
    float *to;
    int64_t ld, stride, to_ld, to_stride;
    int rows, k, along_k;
    int row_tiles, k_tiles, tiles; /* tiles: of all matrices; 0: nothing to do */
};

struct tf32_pack_args {
    struct tf32_copy a, b;
};

/* The same for a product that is only run if the device chooses so (split.h). */
struct tf32_pack_second_args {
    struct tf32_pack_args of_all;
    const uint32_t *choice; /* enum split_planes */
};

#endif
