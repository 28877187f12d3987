/*
 * A TF32 product that is only run if the device chooses so: what its kernels take, and what the host launches. Plain C.
 */
#ifndef FASTGEMM_TF32_SECOND_H
#define FASTGEMM_TF32_SECOND_H

#include "tf32_args.h"
#include "tf32_pack.h"

struct tf32_second_args {
    struct tf32_args of_all;
    const uint32_t *choice; /* enum split_planes */
};

/* All that is to be launched, made ready before the product that it stands behind. */
struct tf32_second {
    struct tf32_second_args product;
    struct tf32_pack_second_args pass;
    void (*kernel)(void);
    unsigned copiers, ctas; /* CTAs of the pass, 0: none; and of the product */
};

#endif
