/*
 * Operands on the device: as many sets of A, B and C as push each other out of L2, with guard bands round each C.
 */
#ifndef FASTGEMM_BENCH_BUFFERS_H
#define FASTGEMM_BENCH_BUFFERS_H

#include "bench.h"

enum { GUARD_FLOATS = 1024 };

struct buffers {
    float *arena;
    int64_t set_floats, c_floats; /* c_floats: C with both guards */
    int64_t at_a, at_b, at_c;     /* within a set, in floats */
    int sets;
    float *second_c; /* for the engine that is compared against */
};

/* Allocates and fills; sets problem->align_*. False: there is not memory enough. */
bool buffers_make(struct buffers *buffers, struct gemm_problem *problem, const struct bench_settings *settings,
                  int64_t l2_bytes, uint64_t seed);
struct operands buffers_set(const struct buffers *buffers, int64_t turn);
/* Makes C of set 0, or the second C, untouched. Returns set 0 with that C. */
struct operands buffers_untouched(const struct buffers *buffers, bool second);
void buffers_free(struct buffers *buffers);

#endif
