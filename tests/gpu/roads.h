/* Which road the device took, where it decides by looking at rows: read from what the looks have left in scratch. */
#ifndef FASTGEMM_GPU_ROADS_H
#define FASTGEMM_GPU_ROADS_H

#include <stdbool.h>

#include "../../kernels/split.h"
#include "../../kernels/variants.h"

/* Whether the device decides about products of this variant, and says so where this can read it. */
bool road_is_told(const struct gemm_variant *variant);

/*
 * What the last product, of m x n x k and scratch at this address of the device, was multiplied as, as far as a row of
 * op(A) is concerned.
 */
enum split_planes road_taken(const struct gemm_variant *variant, int m, int n, int k, int row, void *scratch);

#endif
