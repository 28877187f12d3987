/*
 * The cuBLAS names in use: those that we serve (exported) and those that we only call. One list: the struct of real
 * functions and the look-ups are made from it, exports.map is tested against it.
 *
 * cublasCreate_v2 is served so that a handle is bound to its copy of cuBLAS at birth: a later call may hide its true
 * caller (a compiler turns a wrapper's last call into a jump), a handle cannot be mistaken. It also tells the handle's
 * device, and that an address that comes back is a new handle.
 */
#ifndef FASTGEMM_CUBLAS_NAMES_H
#define FASTGEMM_CUBLAS_NAMES_H

#include <cublasLt.h>
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
    X(cublasSgemmBatched)                                                                                              \
    X(cublasSgemmBatched_64)                                                                                           \
    X(cublasGemmBatchedEx)                                                                                             \
    X(cublasGemmBatchedEx_64)                                                                                          \
    X(cublasSgemmGroupedBatched)                                                                                       \
    X(cublasSgemmGroupedBatched_64)                                                                                    \
    X(cublasGemmGroupedBatchedEx)                                                                                      \
    X(cublasGemmGroupedBatchedEx_64)                                                                                   \
    X(cublasSetWorkspace_v2)                                                                                           \
    X(cublasSetMathMode)                                                                                               \
    X(cublasSetStream_v2)                                                                                              \
    X(cublasCreate_v2)                                                                                                 \
    X(cublasDestroy_v2)

/*
 * Of libcublasLt; cublasLtCreate and cublasLtDestroy for the same reasons as their kin above. The heuristic tells who
 * tunes, and how much workspace it is worth to bring.
 */
#define LT_SERVED_FUNCTIONS(X)                                                                                         \
    X(cublasLtMatmul)                                                                                                  \
    X(cublasLtMatmulAlgoGetHeuristic)                                                                                  \
    X(cublasLtCreate)                                                                                                  \
    X(cublasLtDestroy)

#define LT_FUNCTIONS(X)                                                                                                \
    LT_SERVED_FUNCTIONS(X)                                                                                             \
    X(cublasLtMatmulDescGetAttribute)                                                                                  \
    X(cublasLtMatmulDescInit_internal)                                                                                 \
    X(cublasLtMatmulPreferenceGetAttribute)                                                                            \
    X(cublasLtMatrixLayoutGetAttribute)                                                                                \
    X(cublasLtMatrixLayoutInit_internal)

/* Only cuBLAS 13 has it. */
#if CUBLAS_VERSION >= 130000
#define EMULATION_FUNCTIONS(X) X(cublasGetEmulationStrategy)
#else
#define EMULATION_FUNCTIONS(X)
#endif

#define REAL_FUNCTIONS(X)                                                                                              \
    SERVED_FUNCTIONS(X)                                                                                                \
    EMULATION_FUNCTIONS(X)                                                                                             \
    X(cublasGetStream_v2)                                                                                              \
    X(cublasGetPointerMode_v2)                                                                                         \
    X(cublasGetMathMode)                                                                                               \
    X(cublasGetSmCountTarget)

#endif
