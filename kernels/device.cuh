/*
 * What a kernel source needs around it: how a kernel is declared, where its shared memory is, and the built-in
 * variables and barriers. One side for nvcc, one for the host simulation (tests/sim), which compiles the same kernels
 * for the CPU with FASTGEMM_SIM defined.
 */
#ifndef FASTGEMM_DEVICE_CUH
#define FASTGEMM_DEVICE_CUH

#include <stdint.h>

#include "gemm_args.h"

#ifdef FASTGEMM_SIM
#include "sim_device.h" /* float4, threadIdx, blockIdx, __syncthreads, __syncwarp, sim_* */
#define DEVICE        static inline
#define DEVICE_MEMBER inline
#define DEVICE_APART  static inline
/* The simulated cudaLaunchKernel calls a kernel that has registered itself through its argument vector. */
#define KERNEL_OF(type, name, threads, ctas_per_sm)                                                                    \
    static void name##_body(const type &args);                                                                         \
    extern "C" void name(void **argv) {                                                                                \
        name##_body(*(const type *)argv[0]);                                                                           \
    }                                                                                                                  \
    SIM_REGISTER(name, threads, sizeof(type))                                                                          \
    static void name##_body(const type &args)
#define KERNEL_OF_WITH_REGISTERS(type, name, threads, registers) KERNEL_OF(type, name, threads, 1)
#define SHARED_MEMORY(name)                                      float *name = (float *)sim_shared_memory()
#define __shared__                                               static /* CTAs run one after another */
#else
#define DEVICE        __device__ __forceinline__
#define DEVICE_MEMBER __device__ __forceinline__
#define DEVICE_APART  static __device__ __noinline__ /* a call */
#define KERNEL_OF(type, name, threads, ctas_per_sm)                                                                    \
    extern "C" __global__ void __launch_bounds__(threads, ctas_per_sm) name(const __grid_constant__ type args)
/* The most registers of a thread, where the number of CTAs that share an SM would allow more. */
#define KERNEL_OF_WITH_REGISTERS(type, name, threads, registers)                                                       \
    extern "C" __global__ void __maxnreg__(registers) name(const __grid_constant__ type args)
#define SHARED_MEMORY(name) extern __shared__ __align__(128) float name[]
#endif
#define KERNEL(name, threads, ctas_per_sm) KERNEL_OF(struct gemm_args, name, threads, ctas_per_sm)
#define KERNEL_WITH_REGISTERS(name, threads, registers)                                                                \
    KERNEL_OF_WITH_REGISTERS(struct gemm_args, name, threads, registers)

#endif
