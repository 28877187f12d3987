/*
 * Kernels of one stream that overlap (programmatic dependent launch, sm_90 and up): elsewhere, and where a launch does
 * not ask for it, one starts when the one before is done. PTX ISA: "griddepcontrol".
 */
#ifndef FASTGEMM_PTX_GRID_CUH
#define FASTGEMM_PTX_GRID_CUH

#include "device.cuh"

/* Waits until the kernels before this one in the stream are done and their writes are seen. */
DEVICE void grid_wait(void) {
#if !defined(FASTGEMM_SIM) && __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

/* Lets the next kernel of the stream start, as far as its own grid_wait. */
DEVICE void grid_launch_next(void) {
#if !defined(FASTGEMM_SIM) && __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

/* threadIdx.x, asked for anew wherever it is used: no register keeps it, or what follows from it. */
DEVICE int thread_again(void) {
#ifdef FASTGEMM_SIM
    return (int)threadIdx.x;
#else
    int x;
    asm volatile("mov.u32 %0, %tid.x;" : "=r"(x));
    return x;
#endif
}

/* What is written by who releases what is read here, is seen. */
DEVICE uint32_t ld_acquire(const uint32_t *global) {
#ifdef FASTGEMM_SIM
    return *global;
#else
    uint32_t x;
    asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(x) : "l"(global) : "memory");
    return x;
#endif
}

#endif
