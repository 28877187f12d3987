/* A result against float64, against cuBLAS, and against what must not be touched. */
#ifndef FASTGEMM_BENCH_CHECK_H
#define FASTGEMM_BENCH_CHECK_H

#include "buffers.h"

/*
 * Runs both engines once into untouched outputs. Errors are against a float64 product of sampled rows and columns (all
 * of them where that is little work); every element of both outputs is looked at for NaN and infinity, for writes
 * beside C, and for distance between the engines. Returns the verdict: "ok", or what is wrong.
 */
const char *check_run(const struct engine *ours, const struct engine *cublas, const struct buffers *buffers,
                      uint64_t seed, struct accuracy error[2]);

#endif
