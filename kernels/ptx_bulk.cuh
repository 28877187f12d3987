/*
 * Contiguous copies by the copy engine, and the barriers in shared memory that count their bytes (sm_90): what kernels
 * without wgmma use of ptx_sm90.cuh, for the host simulation too. There a barrier has one arrival.
 */
#ifndef FASTGEMM_PTX_BULK_CUH
#define FASTGEMM_PTX_BULK_CUH

#ifdef FASTGEMM_SIM

#include "ptx_shared.cuh"

extern "C" {
void sim_mbarrier_init(uint64_t *barrier, int arrivals);
void sim_mbarrier_arrive_expect_tx(uint64_t *barrier, int bytes);
void sim_mbarrier_wait(uint64_t *barrier, int parity);
void sim_barrier_of(int number, int threads);
void sim_cp_async_bulk(void *shared, const void *global, int bytes, uint64_t *barrier);
}

DEVICE void mbarrier_init(uint64_t *barrier, int arrivals) {
    sim_mbarrier_init(barrier, arrivals);
}
DEVICE void mbarrier_arrive_expect_tx(uint64_t *barrier, int bytes) {
    sim_mbarrier_arrive_expect_tx(barrier, bytes);
}
DEVICE void mbarrier_wait(uint64_t *barrier, int parity) {
    sim_mbarrier_wait(barrier, parity);
}
DEVICE void cp_async_bulk(void *shared, const void *global, int bytes, uint64_t *barrier) {
    sim_cp_async_bulk(shared, global, bytes, barrier);
}
DEVICE void barrier_of(int number, int threads) {
    sim_barrier_of(number, threads);
}
DEVICE void fence_barrier_init(void) {}
DEVICE void fence_proxy_async(void) {}

#else
#include "ptx_tf32_sm90.cuh"
#endif
#endif
