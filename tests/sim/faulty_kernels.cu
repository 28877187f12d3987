/*
 * Kernels with planted faults, which prove that the simulated GPU sees them: a real SIMT kernel whose barriers and
 * waits can be taken out one by one, and small ones that each break one rule. Compiled for the host only.
 */
#include "device.cuh"

#include "faulty_kernels.h"

struct planted planted;

static int barriers_met[1024], waits_met[1024];

static inline void planted_barrier(void) {
    int met = ++barriers_met[threadIdx.x];
    if (met > planted.barriers) planted.barriers = met;
    bool skip = planted.skip_barrier && met >= planted.skip_barrier && met <= planted.skip_barrier + planted.skip_more;
    if (!skip) __syncthreads();
}

static inline void planted_wait(int pending) {
    int met = ++waits_met[threadIdx.x];
    if (met > planted.waits) planted.waits = met;
    if (met != planted.skip_wait) sim_cp_async_wait(pending);
}

#define __syncthreads     planted_barrier
#define sim_cp_async_wait planted_wait
#include "sgemm_simt.cuh"
#undef __syncthreads
#undef sim_cp_async_wait

KERNEL(faulty_sgemm, 128, 1) {
    struct gemm_args spoilt = args;
    barriers_met[threadIdx.x] = waits_met[threadIdx.x] = 0;
    spoilt.m -= planted.lost_rows;
    spoilt.k -= planted.lost_k;
    spoilt.k_per_split -= planted.lost_k;
    sgemm_simt<64, 64, 8, 8, 4, 4, 1, LOAD_MN4, LOAD_K4, 1>(spoilt);
}

/* In the small kernels a holds m floats, d n. */
KERNEL(read_past_end, 32, 1) {
    args.d[threadIdx.x] = args.a[args.m - 31 + threadIdx.x];
}

KERNEL(write_past_end, 32, 1) {
    args.d[args.n - 31 + threadIdx.x] = 1.0f;
}

KERNEL(copy_past_end, 32, 1) {
    SHARED_MEMORY(shared);
    cp_async_4(shared + threadIdx.x, args.a + args.m - 31 + threadIdx.x);
    cp_async_commit();
    cp_async_wait<0>();
    args.d[threadIdx.x] = shared[threadIdx.x];
}

KERNEL(write_past_shared, 32, 1) {
    SHARED_MEMORY(shared);
    shared[1 + threadIdx.x] = 1.0f; /* 32 floats were asked for */
    __syncthreads();
    args.d[threadIdx.x] = 1.0f;
}

/* UBSan would see this one first, and only print. */
__attribute__((no_sanitize("undefined"))) KERNEL(misaligned_vector, 32, 1) {
    SHARED_MEMORY(shared);
    *(float4 *)(shared + threadIdx.x) = make_float4(0, 0, 0, 0);
    args.d[0] = 1.0f;
}

KERNEL(misaligned_copy, 32, 1) {
    SHARED_MEMORY(shared);
    cp_async_16(shared, args.a + 1);
}

KERNEL(barrier_in_a_branch, 64, 1) {
    if (threadIdx.x < 40)
        __syncthreads();
    else
        __syncwarp(0xffffff00u);
    args.d[0] = 1.0f;
    if (threadIdx.x >= 40) __shfl_sync(0xffffffffu, 1, 0);
}

KERNEL(barrier_after_an_exit, 64, 1) {
    if (threadIdx.x == 63) return;
    __syncthreads();
    args.d[0] = 1.0f;
}

KERNEL(warp_against_barrier, 32, 1) {
    if (threadIdx.x == 5)
        __syncthreads();
    else
        __syncwarp();
    args.d[0] = 1.0f;
}

KERNEL(shared_never_written, 32, 1) {
    SHARED_MEMORY(shared);
    args.d[threadIdx.x] = shared[threadIdx.x];
}

KERNEL(copy_never_waited_for, 32, 1) {
    SHARED_MEMORY(shared);
    shared[threadIdx.x] = 7.0f;
    cp_async_4(shared + threadIdx.x, args.a + threadIdx.x);
    cp_async_commit();
    args.d[threadIdx.x] = shared[threadIdx.x];
}

KERNEL(copy_source_overwritten, 32, 1) {
    SHARED_MEMORY(shared);
    args.d[threadIdx.x] = 1.0f;
    cp_async_4(shared + threadIdx.x, args.d + threadIdx.x);
    cp_async_commit();
    args.d[threadIdx.x] = 2.0f;
    cp_async_wait<0>();
    args.d[threadIdx.x] = shared[threadIdx.x];
}

KERNEL(sound_warp_operations, 64, 1) {
    int lane = threadIdx.x % 32;
    float sum = (float)lane;
    for (int bits = 16; bits; bits /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, bits);
    unsigned odd = __ballot_sync(0xffffffffu, lane & 1);
    int below = __shfl_up_sync(0xffffffffu, lane, 1), above = __shfl_down_sync(0xffffffffu, lane, 1);
    bool right = sum == 496.0f && odd == 0xaaaaaaaau && __any_sync(0xffffffffu, lane == 3) &&
                 !__all_sync(0xffffffffu, lane < 31) && below == max(lane - 1, 0) && above == min(lane + 1, 31) &&
                 __shfl_sync(0xffffffffu, lane, 9) == 9;
    args.d[threadIdx.x] = right ? 1.0f : 0.0f;
}

KERNEL(column_of_shared, 32, 1) {
    SHARED_MEMORY(shared);
    float4 *const mine = (float4 *)(shared + threadIdx.x * args.m);
    *mine = make_float4(1.0f, 2.0f, 3.0f, 4.0f);
    const float4 back = *mine;
    args.d[threadIdx.x] = back.w;
}
