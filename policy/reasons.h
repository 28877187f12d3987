/*
 * Why a call went where it went: the one enumeration, with the words that a person reads.
 */
#ifndef FASTGEMM_REASONS_H
#define FASTGEMM_REASONS_H

#define GEMM_REASONS(X)                                                                                                \
    X(routed, "runs on a fastgemm kernel")                                                                             \
    X(off, "FASTGEMM=off")                                                                                             \
    X(invalid, "not plainly valid: cuBLAS answers")                                                                    \
    X(empty, "m, n, k or the batch is 0")                                                                              \
    X(not_fp32, "operands or compute type are not fp32")                                                               \
    X(math_mode, "math mode, compute type or algorithm is not one that we serve")                                      \
    X(pedantic, "PEDANTIC prescribes cuBLAS's own order of operations")                                                \
    X(emulation, "an emulation mode of cuBLAS is set")                                                                 \
    X(tf32_allowed, "the caller allowed TF32 and no TF32 kernel of ours applies")                                      \
    X(lt_descriptor, "cublasLt is asked for a layout, epilogue or scaling that we do not serve")                       \
    X(pointer_mode, "the pointer mode is not known")                                                                   \
    X(too_large, "a size is beyond what the kernels index")                                                            \
    X(too_small, "too small to gain from another kernel")                                                              \
    X(slower, "cuBLAS is expected to be at least as fast")                                                             \
    X(no_device, "no usable CUDA device or runtime")                                                                   \
    X(driver_too_old, "the driver is older than this build's CUDA")                                                    \
    X(arch, "no kernel for this GPU architecture")                                                                     \
    X(foreign_stream, "the stream belongs to another device than the current one")                                     \
    X(capture, "the stream is in capture and the call cannot be captured safely")                                      \
    X(profile_off, "FASTGEMM_PROFILES leaves this profile out")                                                        \
    X(not_measured, "no measurement or built-in entry supports a route here")                                          \
    X(forced_kernel, "FASTGEMM_KERNEL names a kernel that cannot run this")                                            \
    X(no_kernel, "no kernel's conditions hold")                                                                        \
    X(no_scratch, "scratch for split-K could not be had")                                                              \
    X(launch_failed, "the launch was refused")

enum gemm_reason {
#define X(name, text) REASON_##name,
    GEMM_REASONS(X)
#undef X
        REASON_COUNT
};

const char *gemm_reason_name(enum gemm_reason reason); /* "no_scratch" */
const char *gemm_reason_text(enum gemm_reason reason); /* the sentence above */

#endif
