/*
 * What this cuBLAS answers to invalid calls, compared with the committed table (tests/sim/cublas_statuses.h): prints a
 * line for each case that differs, or every case with --print, and exits with 1 if any differs. With the preload and
 * without it the answers have to be the same, and the device unharmed.
 */
#include <stdio.h>
#include <string.h>

#include <cublas_v2.h>
#include <cuda_runtime_api.h>

#include "cublas_cases.h"

int main(int argc, char **argv) {
    int print = argc > 1 && strcmp(argv[1], "--print") == 0, different = 0, version = 0;
    struct cublas_case_memory memory;
    cublasHandle_t handle;
    if (!cublas_case_allocate(&memory) || cublasCreate(&handle) != CUBLAS_STATUS_SUCCESS) {
        puts("skipped: no GPU here");
        return 77;
    }
    cublasGetVersion(handle, &version);
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ); /* if cuBLAS crashes on a call, the lines before it say on which */
    for (int i = 0; i < cublas_case_count; i++)
        for (int twin = 0; twin < 2; twin++) {
            const struct cublas_case *c = &cublas_cases[i];
            int status = cublas_case_call(c, handle, &memory, twin);
            int harmed = cudaDeviceSynchronize() != cudaSuccess;
            if (print) printf("%s, %s%s, %s, %d\n", c->name, c->function, twin ? "_64" : "", c->defect, status);
            if (status == c->status && !harmed) continue;
            different++;
            printf("%s%s, %s: table %d, cuBLAS %d answers %d%s\n", c->function, twin ? "_64" : "", c->defect, c->status,
                   version, status, harmed ? " and the device is harmed" : "");
        }
    printf("cuBLAS %d: %d cases, %d differ from the table\n", version, 2 * cublas_case_count, different);
    cublasDestroy(handle);
    cublas_case_free(&memory);
    return different || cublas_case_count == 0 ? 1 : 0;
}
