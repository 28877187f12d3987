/*
 * Every PTX instruction that the kernels use, each in a small function named after it, each with the plain-C twin
 * that the host simulation compiles. PTX ISA, "Data Movement and Conversion Instructions: Asynchronous copy".
 */
#ifndef FASTGEMM_PTX_CUH
#define FASTGEMM_PTX_CUH

#include "device.cuh"

#ifdef FASTGEMM_SIM

/* The copy lands when it is waited for; `bytes` below the width fills the rest with zeros. */
DEVICE void cp_async_4(float *shared, const float *global, int bytes) {
    sim_cp_async(shared, global, 4, bytes);
}
DEVICE void cp_async_16(float *shared, const float *global, int bytes) {
    sim_cp_async(shared, global, 16, bytes);
}
DEVICE void cp_async_4(float *shared, const float *global) {
    sim_cp_async(shared, global, 4, 4);
}
DEVICE void cp_async_16(float *shared, const float *global) {
    sim_cp_async(shared, global, 16, 16);
}
DEVICE void cp_async_commit(void) {
    sim_cp_async_commit();
}
template <int PENDING> DEVICE void cp_async_wait(void) {
    sim_cp_async_wait(PENDING);
}

DEVICE float ex2_approx(float x) {
    return exp2f(x);
}
DEVICE float rcp_approx(float x) {
    return 1.0f / x;
}

#else

/* 2^x, within 2^-22 of it; what would be subnormal is 0. */
DEVICE float ex2_approx(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}
/* 1 / x, within 2^-23 of it. */
DEVICE float rcp_approx(float x) {
    float y;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

DEVICE uint32_t shared_address(const void *shared) {
    return (uint32_t)__cvta_generic_to_shared(shared);
}

/* Copies of 4 bytes go through L1 (.ca is the only form); those of 16 bypass it. */
DEVICE void cp_async_4(float *shared, const float *global) {
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"(shared_address(shared)), "l"(global) : "memory");
}

DEVICE void cp_async_16(float *shared, const float *global) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared_address(shared)), "l"(global) : "memory");
}

/* `bytes` below the width: the rest is filled with zeros, and with 0 nothing is read. */
DEVICE void cp_async_4(float *shared, const float *global, int bytes) {
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(shared_address(shared)), "l"(global), "r"(bytes)
                 : "memory");
}

DEVICE void cp_async_16(float *shared, const float *global, int bytes) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(shared)), "l"(global), "r"(bytes)
                 : "memory");
}

DEVICE void cp_async_commit(void) {
    asm volatile("cp.async.commit_group;" ::: "memory");
}

/* Returns when at most PENDING of this thread's newest groups are still under way. */
template <int PENDING> DEVICE void cp_async_wait(void) {
    asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory");
}

#endif
#endif
