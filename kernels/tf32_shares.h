/*
 * The kernel that adds up the tiles which CTAs of a TF32 product share: what it takes. Plain C.
 */
#ifndef FASTGEMM_TF32_SHARES_H
#define FASTGEMM_TF32_SHARES_H

#include "gemm_args.h"
#include "tf32.h"

enum { TF32_SHARES_THREADS = 256 };

struct tf32_shares_args {
    struct gemm_args gemm; /* ctas: those that shared */
    int bm, bn;            /* the tile */
};

#endif
