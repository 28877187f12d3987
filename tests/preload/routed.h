/*
 * Products of small whole numbers, any order of whose summation is exact, run on our kernels through a linked door.
 * For cmocka tests on the stand-ins.
 */
#ifndef FASTGEMM_TEST_ROUTED_H
#define FASTGEMM_TEST_ROUTED_H

#include <stddef.h>
#include <stdint.h>

#include "doors.h"

enum { M = 66, N = 35, K = 50, BATCH = 2, LONG_K = 1024 }; /* LONG_K: long enough to be split */

float *device_floats(size_t count);

/* C = 1.5 A B - 0.5 C of these sizes, BATCH of them, with operands of its own. */
struct door_call product_of(cublasHandle_t handle, int m, int n, int k);
struct door_call product(cublasHandle_t handle, int k); /* M x N */
void release(struct door_call *call);

/* Compares C with the exact product that one call gives. */
void check_result(const struct door_call *call, int batches);

/* Runs the call; exactly one product ran on our kernel and cuBLAS saw none. Returns how many sums of slices ran. */
unsigned run_routed(const struct door *door, const struct door_call *call);

/* What was allocated and given back in stream order since the last run_routed began. */
uint64_t stream_allocations(void);
uint64_t stream_frees(void);

#endif
