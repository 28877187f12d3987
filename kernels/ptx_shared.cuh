/*
 * Shared memory by 32-bit address: a main loop needs one register for a thread's place in it and adds the stage, the
 * same for all threads, on the way. Also the vector store of results.
 */
#ifndef FASTGEMM_PTX_SHARED_CUH
#define FASTGEMM_PTX_SHARED_CUH

#include "ptx.cuh"

#ifdef FASTGEMM_SIM

DEVICE char *sim_shared_at(uint32_t address) {
    return (char *)sim_shared_memory() + address;
}
DEVICE uint32_t shared_at(const void *shared) {
    return (uint32_t)((const char *)shared - sim_shared_at(0));
}

/* What is loaded goes to registers, which have no alignment. */
DEVICE void load_shared_16(float *to, uint32_t address) {
    const float4 x = *(const float4 *)sim_shared_at(address);
    to[0] = x.x, to[1] = x.y, to[2] = x.z, to[3] = x.w;
}

DEVICE void load_shared_8(float *to, uint32_t address) {
    const float2 x = *(const float2 *)sim_shared_at(address);
    to[0] = x.x, to[1] = x.y;
}

DEVICE void load_shared_4(float *to, uint32_t address) {
    *to = *(const float *)sim_shared_at(address);
}

DEVICE void load_shared_16_again(uint32_t *to, uint32_t address) {
    for (int i = 0; i < 4; i++) to[i] = ((const uint32_t *)sim_shared_at(address))[i];
}
DEVICE void store_shared_4(uint32_t address, uint32_t x) {
    *(uint32_t *)sim_shared_at(address) = x;
}

DEVICE void cp_async_4_to(uint32_t address, const void *global, bool yes) {
    if (yes) sim_cp_async(sim_shared_at(address), global, 4, 4);
}
DEVICE void cp_async_16_to(uint32_t address, const void *global, bool yes) {
    if (yes) sim_cp_async(sim_shared_at(address), global, 16, 16);
}

DEVICE void cp_async_4_fill(uint32_t address, const void *global, bool yes) {
    sim_cp_async(sim_shared_at(address), global, 4, yes ? 4 : 0);
}
DEVICE void cp_async_16_fill(uint32_t address, const void *global, bool yes) {
    sim_cp_async(sim_shared_at(address), global, 16, yes ? 16 : 0);
}
DEVICE void cp_async_16_part(uint32_t address, const void *global, int bytes) {
    sim_cp_async(sim_shared_at(address), global, 16, bytes);
}

DEVICE void store_global_16(float *to, float4 value, bool past_l2) {
    (void)past_l2;
    *(float4 *)to = value;
}

DEVICE void store_global_4(float *to, float value, bool yes) {
    if (yes) *to = value;
}

DEVICE uint32_t kept(uint32_t x) {
    return x;
}

#else

DEVICE uint32_t shared_at(const void *shared) {
    return shared_address(shared);
}

DEVICE void load_shared_16(float *to, uint32_t address) {
    asm volatile("ld.shared.v4.f32 {%0, %1, %2, %3}, [%4];"
                 : "=f"(to[0]), "=f"(to[1]), "=f"(to[2]), "=f"(to[3])
                 : "r"(address));
}

DEVICE void load_shared_8(float *to, uint32_t address) {
    asm volatile("ld.shared.v2.f32 {%0, %1}, [%2];" : "=f"(to[0]), "=f"(to[1]) : "r"(address));
}

DEVICE void load_shared_4(float *to, uint32_t address) {
    asm volatile("ld.shared.f32 %0, [%1];" : "=f"(to[0]) : "r"(address));
}

/* What this thread stored there: loaded each time, never kept in registers. */
DEVICE void load_shared_16_again(uint32_t *to, uint32_t address) {
    asm volatile("ld.volatile.shared.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(address)
                 : "memory");
}

DEVICE void store_shared_4(uint32_t address, uint32_t x) {
    asm volatile("st.volatile.shared.u32 [%0], %1;" ::"r"(address), "r"(x) : "memory");
}

/* Copies that happen where `yes`: predicated, as a branch would cut the main loop in two. */
DEVICE void cp_async_4_to(uint32_t address, const void *global, bool yes) {
    asm volatile("{ .reg .pred p; setp.ne.b32 p, %2, 0; @p cp.async.ca.shared.global [%0], [%1], 4; }" ::"r"(address),
                 "l"(global), "r"((int)yes)
                 : "memory");
}

DEVICE void cp_async_16_to(uint32_t address, const void *global, bool yes) {
    asm volatile("{ .reg .pred p; setp.ne.b32 p, %2, 0; @p cp.async.cg.shared.global [%0], [%1], 16; }" ::"r"(address),
                 "l"(global), "r"((int)yes)
                 : "memory");
}

/* Copies, or zeros where not `yes`: then nothing is read. */
DEVICE void cp_async_4_fill(uint32_t address, const void *global, bool yes) {
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(address), "l"(global), "r"(yes ? 4 : 0)
                 : "memory");
}

DEVICE void cp_async_16_fill(uint32_t address, const void *global, bool yes) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address), "l"(global), "r"(yes ? 16 : 0)
                 : "memory");
}

/* The first `bytes` of 16, and zeros after them. */
DEVICE void cp_async_16_part(uint32_t address, const void *global, int bytes) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address), "l"(global), "r"(bytes) : "memory");
}

/* `past_l2`: the line leaves the L2 cache first; worth it for an output that does not fit there. */
DEVICE void store_global_16(float *to, float4 value, bool past_l2) {
    asm volatile("{ .reg .pred p; setp.ne.b32 p, %5, 0; @p st.global.cs.v4.f32 [%0], {%1, %2, %3, %4}; "
                 "@!p st.global.v4.f32 [%0], {%1, %2, %3, %4}; }" ::"l"(to),
                 "f"(value.x), "f"(value.y), "f"(value.z), "f"(value.w), "r"((int)past_l2)
                 : "memory");
}

/* Where `yes`: predicated, as branches would cost more than the stores. */
DEVICE void store_global_4(float *to, float value, bool yes) {
    asm volatile("{ .reg .pred p; setp.ne.b32 p, %2, 0; @p st.global.f32 [%0], %1; }" ::"l"(to), "f"(value),
                 "r"((int)yes)
                 : "memory");
}

/* `x`, as a value that the compiler cannot compute again: it stays in its register. */
DEVICE uint32_t kept(uint32_t x) {
    return __shfl_sync(0xffffffffu, x, threadIdx.x % 32);
}

#endif
#endif
