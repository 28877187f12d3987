/*
 * The cuBLAS names in use: those that we serve (exported) and those that we only call. One list; the struct of real
 * functions, the look-ups and the export map are made from it.
 */
#ifndef FASTGEMM_CUBLAS_NAMES_H
#define FASTGEMM_CUBLAS_NAMES_H

#include <cublas_v2.h>

#define SERVED_FUNCTIONS(X)                                                                                            \
    X(cublasSgemm_v2)                                                                                                  \
    X(cublasSgemm_v2_64)                                                                                               \
    X(cublasSgemmEx)                                                                                                   \
    X(cublasSgemmEx_64)                                                                                                \
    X(cublasGemmEx)                                                                                                    \
    X(cublasGemmEx_64)                                                                                                 \
    X(cublasSgemmStridedBatched)                                                                                       \
    X(cublasSgemmStridedBatched_64)                                                                                    \
    X(cublasGemmStridedBatchedEx)                                                                                      \
    X(cublasGemmStridedBatchedEx_64)                                                                                   \
    X(cublasSetWorkspace_v2)                                                                                           \
    X(cublasSetStream_v2)                                                                                              \
    X(cublasDestroy_v2)

#define REAL_FUNCTIONS(X)                                                                                              \
    SERVED_FUNCTIONS(X)                                                                                                \
    X(cublasGetStream_v2)                                                                                              \
    X(cublasGetPointerMode_v2)                                                                                         \
    X(cublasGetMathMode)                                                                                               \
    X(cublasGetAtomicsMode)                                                                                            \
    X(cublasGetSmCountTarget)

#endif
