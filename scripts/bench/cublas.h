/*
 * cuBLAS as the bench sees it: loaded when the program runs, its default call and the best candidate of cublasLt.
 */
#ifndef FASTGEMM_BENCH_CUBLAS_H
#define FASTGEMM_BENCH_CUBLAS_H

#include "bench.h"
#include "buffers.h"

/* Loads and initialises; ends the program with a line when that fails. Returns the version. */
int cublas_open(const char *path);

/* The library's default for this problem: Sgemm, or SgemmStridedBatched; TF32 math where the contract allows it. */
struct engine cublas_engine(const struct gemm_problem *problem);

/*
 * Tries the candidates of cublasLt's heuristic and leaves the quickest in `engine`. False: there is no cublasLt, or no
 * candidate. To be closed.
 */
bool cublaslt_engine(const struct gemm_problem *problem, const struct buffers *buffers, struct engine *engine);
void cublaslt_close(struct engine *engine);

#endif
