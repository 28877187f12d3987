/*
 * What cuBLAS answers to calls that are not plainly valid: a plain list, which the stand-in replays and the tests on a
 * GPU check again.
 *
 * CUBLAS_STATUSES(X): X(case, function, defect, status)
 *   function  its _64 twin answers alike
 *   defect    what is odd about an otherwise valid fp32 call of 8 x 8 x 8 (made by cublas_cases.c)
 *             (null alpha or beta is not here but for cublasSgemm: cuBLAS 13.1 crashes on it in the other functions)
 *   status    cublasStatus_t: 0 success, 1 not initialised, 7 invalid value, 13 execution failed,
 *             15 not supported
 */
#ifndef FASTGEMM_CUBLAS_STATUSES_H
#define FASTGEMM_CUBLAS_STATUSES_H

/* Recorded from cuBLAS 13.1 on an H200; tests/gpu/statuses.c checks it again. */
#define CUBLAS_STATUSES(X)                                                                                             \
    X(sgemm_null_handle, cublasSgemm_v2, NULL_HANDLE, 1)                                                               \
    X(sgemm_op_a, cublasSgemm_v2, OP_A, 7)                                                                             \
    X(sgemm_op_b, cublasSgemm_v2, OP_B, 7)                                                                             \
    X(sgemm_m_negative, cublasSgemm_v2, M_NEGATIVE, 7)                                                                 \
    X(sgemm_n_negative, cublasSgemm_v2, N_NEGATIVE, 7)                                                                 \
    X(sgemm_k_negative, cublasSgemm_v2, K_NEGATIVE, 7)                                                                 \
    X(sgemm_lda_small, cublasSgemm_v2, LDA_SMALL, 7)                                                                   \
    X(sgemm_ldb_small, cublasSgemm_v2, LDB_SMALL, 7)                                                                   \
    X(sgemm_ldc_small, cublasSgemm_v2, LDC_SMALL, 7)                                                                   \
    X(sgemm_lda_zero_empty, cublasSgemm_v2, LDA_ZERO_EMPTY, 7)                                                         \
    X(sgemm_null_alpha, cublasSgemm_v2, NULL_ALPHA, 7)                                                                 \
    X(sgemm_null_beta, cublasSgemm_v2, NULL_BETA, 7)                                                                   \
    X(sgemm_null_c, cublasSgemm_v2, NULL_C, 7)                                                                         \
    X(sgemm_empty, cublasSgemm_v2, EMPTY, 0)                                                                           \
    X(sgemm_null_a_empty, cublasSgemm_v2, NULL_A_EMPTY, 0)                                                             \
    X(gemm_ex_null_handle, cublasGemmEx, NULL_HANDLE, 1)                                                               \
    X(gemm_ex_op_a, cublasGemmEx, OP_A, 7)                                                                             \
    X(gemm_ex_op_b, cublasGemmEx, OP_B, 7)                                                                             \
    X(gemm_ex_m_negative, cublasGemmEx, M_NEGATIVE, 7)                                                                 \
    X(gemm_ex_n_negative, cublasGemmEx, N_NEGATIVE, 7)                                                                 \
    X(gemm_ex_k_negative, cublasGemmEx, K_NEGATIVE, 7)                                                                 \
    X(gemm_ex_lda_small, cublasGemmEx, LDA_SMALL, 7)                                                                   \
    X(gemm_ex_ldb_small, cublasGemmEx, LDB_SMALL, 7)                                                                   \
    X(gemm_ex_ldc_small, cublasGemmEx, LDC_SMALL, 7)                                                                   \
    X(gemm_ex_lda_zero_empty, cublasGemmEx, LDA_ZERO_EMPTY, 7)                                                         \
    X(gemm_ex_null_c, cublasGemmEx, NULL_C, 7)                                                                         \
    X(gemm_ex_empty, cublasGemmEx, EMPTY, 0)                                                                           \
    X(gemm_ex_null_a_empty, cublasGemmEx, NULL_A_EMPTY, 0)                                                             \
    X(gemm_ex_compute_16f, cublasGemmEx, COMPUTE_16F, 15)                                                              \
    X(gemm_ex_compute_16f_pedantic, cublasGemmEx, COMPUTE_16F_PEDANTIC, 15)                                            \
    X(gemm_ex_compute_64f, cublasGemmEx, COMPUTE_64F, 15)                                                              \
    X(gemm_ex_compute_32f, cublasGemmEx, COMPUTE_32F, 0)                                                               \
    X(gemm_ex_compute_32f_pedantic, cublasGemmEx, COMPUTE_32F_PEDANTIC, 0)                                             \
    X(gemm_ex_compute_32f_fast_16f, cublasGemmEx, COMPUTE_32F_FAST_16F, 0)                                             \
    X(gemm_ex_compute_32f_fast_16bf, cublasGemmEx, COMPUTE_32F_FAST_16BF, 0)                                           \
    X(gemm_ex_compute_32f_fast_tf32, cublasGemmEx, COMPUTE_32F_FAST_TF32, 0)                                           \
    X(gemm_ex_compute_32f_emulated, cublasGemmEx, COMPUTE_32F_EMULATED_16BFX9, 0)                                      \
    X(sgemm_strided_null_handle, cublasSgemmStridedBatched, NULL_HANDLE, 1)                                            \
    X(sgemm_strided_op_a, cublasSgemmStridedBatched, OP_A, 7)                                                          \
    X(sgemm_strided_op_b, cublasSgemmStridedBatched, OP_B, 7)                                                          \
    X(sgemm_strided_m_negative, cublasSgemmStridedBatched, M_NEGATIVE, 7)                                              \
    X(sgemm_strided_n_negative, cublasSgemmStridedBatched, N_NEGATIVE, 7)                                              \
    X(sgemm_strided_k_negative, cublasSgemmStridedBatched, K_NEGATIVE, 7)                                              \
    X(sgemm_strided_lda_small, cublasSgemmStridedBatched, LDA_SMALL, 7)                                                \
    X(sgemm_strided_ldb_small, cublasSgemmStridedBatched, LDB_SMALL, 7)                                                \
    X(sgemm_strided_ldc_small, cublasSgemmStridedBatched, LDC_SMALL, 7)                                                \
    X(sgemm_strided_lda_zero_empty, cublasSgemmStridedBatched, LDA_ZERO_EMPTY, 7)                                      \
    X(sgemm_strided_null_c, cublasSgemmStridedBatched, NULL_C, 7)                                                      \
    X(sgemm_strided_empty, cublasSgemmStridedBatched, EMPTY, 0)                                                        \
    X(sgemm_strided_null_a_empty, cublasSgemmStridedBatched, NULL_A_EMPTY, 0)                                          \
    X(sgemm_strided_batch_negative, cublasSgemmStridedBatched, BATCH_NEGATIVE, 7)                                      \
    X(sgemm_strided_batch_zero, cublasSgemmStridedBatched, BATCH_ZERO, 0)                                              \
    X(sgemm_ex_null_handle, cublasSgemmEx, NULL_HANDLE, 1)                                                             \
    X(sgemm_ex_op_a, cublasSgemmEx, OP_A, 7)                                                                           \
    X(sgemm_ex_op_b, cublasSgemmEx, OP_B, 7)                                                                           \
    X(sgemm_ex_m_negative, cublasSgemmEx, M_NEGATIVE, 7)                                                               \
    X(sgemm_ex_n_negative, cublasSgemmEx, N_NEGATIVE, 7)                                                               \
    X(sgemm_ex_k_negative, cublasSgemmEx, K_NEGATIVE, 7)                                                               \
    X(sgemm_ex_lda_small, cublasSgemmEx, LDA_SMALL, 7)                                                                 \
    X(sgemm_ex_ldb_small, cublasSgemmEx, LDB_SMALL, 7)                                                                 \
    X(sgemm_ex_ldc_small, cublasSgemmEx, LDC_SMALL, 7)                                                                 \
    X(sgemm_ex_lda_zero_empty, cublasSgemmEx, LDA_ZERO_EMPTY, 7)                                                       \
    X(sgemm_ex_null_c, cublasSgemmEx, NULL_C, 7)                                                                       \
    X(sgemm_ex_empty, cublasSgemmEx, EMPTY, 0)                                                                         \
    X(sgemm_ex_null_a_empty, cublasSgemmEx, NULL_A_EMPTY, 0)                                                           \
    X(gemm_strided_ex_null_handle, cublasGemmStridedBatchedEx, NULL_HANDLE, 1)                                         \
    X(gemm_strided_ex_op_a, cublasGemmStridedBatchedEx, OP_A, 7)                                                       \
    X(gemm_strided_ex_op_b, cublasGemmStridedBatchedEx, OP_B, 7)                                                       \
    X(gemm_strided_ex_m_negative, cublasGemmStridedBatchedEx, M_NEGATIVE, 7)                                           \
    X(gemm_strided_ex_n_negative, cublasGemmStridedBatchedEx, N_NEGATIVE, 7)                                           \
    X(gemm_strided_ex_k_negative, cublasGemmStridedBatchedEx, K_NEGATIVE, 7)                                           \
    X(gemm_strided_ex_lda_small, cublasGemmStridedBatchedEx, LDA_SMALL, 7)                                             \
    X(gemm_strided_ex_ldb_small, cublasGemmStridedBatchedEx, LDB_SMALL, 7)                                             \
    X(gemm_strided_ex_ldc_small, cublasGemmStridedBatchedEx, LDC_SMALL, 7)                                             \
    X(gemm_strided_ex_lda_zero_empty, cublasGemmStridedBatchedEx, LDA_ZERO_EMPTY, 7)                                   \
    X(gemm_strided_ex_null_c, cublasGemmStridedBatchedEx, NULL_C, 7)                                                   \
    X(gemm_strided_ex_empty, cublasGemmStridedBatchedEx, EMPTY, 0)                                                     \
    X(gemm_strided_ex_null_a_empty, cublasGemmStridedBatchedEx, NULL_A_EMPTY, 0)                                       \
    X(gemm_strided_ex_batch_negative, cublasGemmStridedBatchedEx, BATCH_NEGATIVE, 13)                                  \
    X(gemm_strided_ex_batch_zero, cublasGemmStridedBatchedEx, BATCH_ZERO, 0)                                           \
    X(gemm_strided_ex_compute_16f, cublasGemmStridedBatchedEx, COMPUTE_16F, 15)                                        \
    X(gemm_strided_ex_compute_16f_pedantic, cublasGemmStridedBatchedEx, COMPUTE_16F_PEDANTIC, 15)                      \
    X(gemm_strided_ex_compute_64f, cublasGemmStridedBatchedEx, COMPUTE_64F, 15)                                        \
    X(gemm_strided_ex_compute_32f, cublasGemmStridedBatchedEx, COMPUTE_32F, 0)                                         \
    X(gemm_strided_ex_compute_32f_pedantic, cublasGemmStridedBatchedEx, COMPUTE_32F_PEDANTIC, 0)                       \
    X(gemm_strided_ex_compute_32f_fast_16f, cublasGemmStridedBatchedEx, COMPUTE_32F_FAST_16F, 0)                       \
    X(gemm_strided_ex_compute_32f_fast_16bf, cublasGemmStridedBatchedEx, COMPUTE_32F_FAST_16BF, 0)                     \
    X(gemm_strided_ex_compute_32f_fast_tf32, cublasGemmStridedBatchedEx, COMPUTE_32F_FAST_TF32, 0)                     \
    X(gemm_strided_ex_compute_32f_emulated, cublasGemmStridedBatchedEx, COMPUTE_32F_EMULATED_16BFX9, 0)                \
    X(sgemm_batched_null_handle, cublasSgemmBatched, NULL_HANDLE, 1)                                                   \
    X(sgemm_batched_op_a, cublasSgemmBatched, OP_A, 7)                                                                 \
    X(sgemm_batched_op_b, cublasSgemmBatched, OP_B, 7)                                                                 \
    X(sgemm_batched_m_negative, cublasSgemmBatched, M_NEGATIVE, 7)                                                     \
    X(sgemm_batched_n_negative, cublasSgemmBatched, N_NEGATIVE, 7)                                                     \
    X(sgemm_batched_k_negative, cublasSgemmBatched, K_NEGATIVE, 7)                                                     \
    X(sgemm_batched_lda_small, cublasSgemmBatched, LDA_SMALL, 7)                                                       \
    X(sgemm_batched_ldb_small, cublasSgemmBatched, LDB_SMALL, 7)                                                       \
    X(sgemm_batched_ldc_small, cublasSgemmBatched, LDC_SMALL, 7)                                                       \
    X(sgemm_batched_lda_zero_empty, cublasSgemmBatched, LDA_ZERO_EMPTY, 7)                                             \
    X(sgemm_batched_null_c, cublasSgemmBatched, NULL_C, 7)                                                             \
    X(sgemm_batched_empty, cublasSgemmBatched, EMPTY, 0)                                                               \
    X(sgemm_batched_null_a_empty, cublasSgemmBatched, NULL_A_EMPTY, 0)                                                 \
    X(sgemm_batched_batch_negative, cublasSgemmBatched, BATCH_NEGATIVE, 7)                                             \
    X(sgemm_batched_batch_zero, cublasSgemmBatched, BATCH_ZERO, 0)                                                     \
    X(gemm_batched_ex_null_handle, cublasGemmBatchedEx, NULL_HANDLE, 1)                                                \
    X(gemm_batched_ex_op_a, cublasGemmBatchedEx, OP_A, 7)                                                              \
    X(gemm_batched_ex_op_b, cublasGemmBatchedEx, OP_B, 7)                                                              \
    X(gemm_batched_ex_m_negative, cublasGemmBatchedEx, M_NEGATIVE, 7)                                                  \
    X(gemm_batched_ex_n_negative, cublasGemmBatchedEx, N_NEGATIVE, 7)                                                  \
    X(gemm_batched_ex_k_negative, cublasGemmBatchedEx, K_NEGATIVE, 7)                                                  \
    X(gemm_batched_ex_lda_small, cublasGemmBatchedEx, LDA_SMALL, 7)                                                    \
    X(gemm_batched_ex_ldb_small, cublasGemmBatchedEx, LDB_SMALL, 7)                                                    \
    X(gemm_batched_ex_ldc_small, cublasGemmBatchedEx, LDC_SMALL, 7)                                                    \
    X(gemm_batched_ex_lda_zero_empty, cublasGemmBatchedEx, LDA_ZERO_EMPTY, 7)                                          \
    X(gemm_batched_ex_null_c, cublasGemmBatchedEx, NULL_C, 7)                                                          \
    X(gemm_batched_ex_empty, cublasGemmBatchedEx, EMPTY, 0)                                                            \
    X(gemm_batched_ex_null_a_empty, cublasGemmBatchedEx, NULL_A_EMPTY, 0)                                              \
    X(gemm_batched_ex_batch_negative, cublasGemmBatchedEx, BATCH_NEGATIVE, 13)                                         \
    X(gemm_batched_ex_batch_zero, cublasGemmBatchedEx, BATCH_ZERO, 0)                                                  \
    X(gemm_batched_ex_compute_16f, cublasGemmBatchedEx, COMPUTE_16F, 15)                                               \
    X(gemm_batched_ex_compute_16f_pedantic, cublasGemmBatchedEx, COMPUTE_16F_PEDANTIC, 15)                             \
    X(gemm_batched_ex_compute_64f, cublasGemmBatchedEx, COMPUTE_64F, 15)                                               \
    X(gemm_batched_ex_compute_32f, cublasGemmBatchedEx, COMPUTE_32F, 0)                                                \
    X(gemm_batched_ex_compute_32f_pedantic, cublasGemmBatchedEx, COMPUTE_32F_PEDANTIC, 0)                              \
    X(gemm_batched_ex_compute_32f_fast_16f, cublasGemmBatchedEx, COMPUTE_32F_FAST_16F, 0)                              \
    X(gemm_batched_ex_compute_32f_fast_16bf, cublasGemmBatchedEx, COMPUTE_32F_FAST_16BF, 0)                            \
    X(gemm_batched_ex_compute_32f_fast_tf32, cublasGemmBatchedEx, COMPUTE_32F_FAST_TF32, 0)                            \
    X(gemm_batched_ex_compute_32f_emulated, cublasGemmBatchedEx, COMPUTE_32F_EMULATED_16BFX9, 0)

#endif
