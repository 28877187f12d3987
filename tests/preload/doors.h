/*
 * Every door that the library serves, called from one description: as a linked program calls it, and the same function
 * of a given copy of cuBLAS directly.
 */
#ifndef FASTGEMM_TEST_DOORS_H
#define FASTGEMM_TEST_DOORS_H

#include <stdint.h>

#include <cublas_v2.h>

struct door_call {
    cublasHandle_t handle;
    int op_a, op_b;
    int64_t m, n, k;
    const void *alpha, *beta;
    const void *a, *b;
    void *c;
    int64_t lda, ldb, ldc, stride_a, stride_b, stride_c, batch;
    int type_a, type_b, type_c, compute, algo;
};

struct door {
    const char *name;
    cublasStatus_t (*call)(void *function, const struct door_call *call);
    void *linked; /* the function that a linked program reaches */
    int wide;     /* 64-bit sizes */
    int types, batch, compute;
    int pointers; /* a, b and c of the call are arrays of pointers on the device; one group where groups are wanted */
};

enum { DOOR_COUNT = 18 };
extern const struct door doors[DOOR_COUNT];

#endif
