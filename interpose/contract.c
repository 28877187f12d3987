/*
 * Accuracy owed. cuBLAS API reference: cublasComputeType_t, cublasMath_t, "Floating Point Emulation";
 * NVIDIA_TF32_OVERRIDE from the same page. Any doubt forwards. Whether a kernel
 * of ours serves a contract is the policy's to say.
 */
#include "contract.h"

enum gemm_reason contract_of_call(const struct gemm_call *call) {
    if (call->type_a != CUDA_R_32F || call->type_b != CUDA_R_32F || call->type_c != CUDA_R_32F) return REASON_not_fp32;
    /* A numbered algorithm is the caller's own choice of a kernel. */
    if (call->algo != CUBLAS_GEMM_DEFAULT && call->algo != CUBLAS_GEMM_DEFAULT_TENSOR_OP) return REASON_math_mode;
    if (!call->has_compute) return REASON_routed;
    switch ((int)call->compute) {
    case CUBLAS_COMPUTE_32F:
    case CUBLAS_COMPUTE_32F_FAST_TF32:
        return REASON_routed;
    case CUBLAS_COMPUTE_32F_PEDANTIC:
        return REASON_pedantic;
    case 78: /* CUBLAS_COMPUTE_32F_EMULATED_16BFX9, new in cuBLAS 13 */
        return REASON_emulation;
    case CUBLAS_COMPUTE_32F_FAST_16F:
    case CUBLAS_COMPUTE_32F_FAST_16BF:
        return REASON_math_mode;
    default:
        return REASON_not_fp32;
    }
}

/* The mode without the bit that only concerns fp16 reductions. */
static int mode_for_fp32(cublasMath_t mode) {
    return (int)mode & ~CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION;
}

static enum gemm_reason read_math_mode(cublasMath_t mode, bool *tf32) {
    switch (mode_for_fp32(mode)) {
    case CUBLAS_DEFAULT_MATH:
        return REASON_routed;
    case CUBLAS_TF32_TENSOR_OP_MATH:
        *tf32 = true;
        return REASON_routed;
    case CUBLAS_PEDANTIC_MATH:
        return REASON_pedantic;
    case 4: /* CUBLAS_FP32_EMULATED_BF16X9_MATH */
    case 8: /* CUBLAS_FP64_EMULATED_FIXEDPOINT_MATH */
        return REASON_emulation;
    default:
        return REASON_math_mode;
    }
}

enum gemm_reason contract_owed(const struct gemm_call *call, const struct handle_modes *modes,
                               const struct settings *settings, struct gemm_problem *problem) {
    bool tf32 = call->has_compute && call->compute == CUBLAS_COMPUTE_32F_FAST_TF32;
    enum gemm_reason reason = read_math_mode(modes->math_mode, &tf32);
    if (reason != REASON_routed) return reason;
    if (modes->emulation || settings->emulation) return REASON_emulation;
    if (settings->tf32 == TF32_FORCED) tf32 = true;
    problem->cublas_tf32 = tf32 && settings->tf32 != TF32_FORBIDDEN;
    if (settings->toggles.precision == PRECISION_TF32) tf32 = true;
    if (settings->tf32 == TF32_FORBIDDEN) tf32 = false;
    problem->contract = tf32 ? CONTRACT_TF32 : CONTRACT_FP32;
    if (settings->toggles.precision == PRECISION_FP32) problem->contract = CONTRACT_FP32;
    if (settings->toggles.precision == PRECISION_IEEE) problem->contract = CONTRACT_IEEE;
    return REASON_routed;
}
