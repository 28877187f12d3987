/*
 * The calls behind cublas_statuses.h: one valid product for each function, and each defect applied to it. Works with
 * any cuBLAS that is linked, stand-in or real.
 */
#ifndef FASTGEMM_CUBLAS_CASES_H
#define FASTGEMM_CUBLAS_CASES_H

#include <stdbool.h>

#include <cublas_api.h>

struct cublas_case {
    const char *name, *function, *defect;
    int status;
};

extern const struct cublas_case cublas_cases[];
extern const int cublas_case_count;

/* Device memory for the calls: three matrices of two batches of 8 x 8 floats, and their arrays of two pointers. */
struct cublas_case_memory {
    float *a, *b, *c;
    float **a_array, **b_array, **c_array;
};

/* False when there is no device memory. */
bool cublas_case_allocate(struct cublas_case_memory *memory);
void cublas_case_free(struct cublas_case_memory *memory);

/* Makes the call, or its _64 twin, and returns its status; -1 when the table names an unknown function or defect. */
int cublas_case_call(const struct cublas_case *which, cublasHandle_t handle, const struct cublas_case_memory *memory,
                     bool twin);

#endif
