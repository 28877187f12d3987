/*
 * The wgmma family's kernel for small products after bands: it decides for itself while its first copies are under way,
 * which saves a launch. launch_split.c says where that is worth more than the quicker copies of sgemm_wgmma.cu.
 */
#include "sgemm_wgmma.cuh"
#include "split_again.cuh"
#include "split_exact.cuh"
#include "split_short.cuh"

/* The first planes do not do: waits for the copies under way, has the right ones written, and begins anew. */
DEVICE void begin_again(const struct split_args &args, uint8_t *stages, const struct ring &ring, uint32_t choice) {
    const int ahead = units_ahead<SPLIT_FP16X3>(args) + units_ahead<SPLIT_BF16X6>(args);
    for (int i = 0; i < ahead; i++) mbarrier_wait(ring.full + i, 0);
    __syncthreads();
    write_units_again(args, stages, choice);
    if (threadIdx.x == 0) {
        for (int i = 0; i < 2 * MOST_STAGES; i++) mbarrier_inval(ring.full + i);
        init_ring(ring);
    }
    __syncthreads();
}

/* The choice; after bands the copies by the first one begin before it is known. */
DEVICE uint32_t choose(const struct split_args &args, uint8_t *stages, const struct ring &ring) {
    if (!args.band_ctas) return *args.choice;
    if (threadIdx.x == CONSUMERS * WARPGROUP) {
        produce_ahead<SPLIT_FP16X3>(args, stages, ring);
        produce_ahead<SPLIT_BF16X6>(args, stages, ring);
    }
    const uint32_t choice = choice_by_bands(args);
    if (choice != (uint32_t)args.first_choice) begin_again(args, stages, ring, choice);
    return choice;
}

KERNEL_OF(struct split_args, sgemm_wgmma_ahead_256x128, 384, 1) {
    static __shared__ uint64_t barriers[2 * MOST_STAGES];
    SHARED_MEMORY(shared);
    uint8_t *stages = (uint8_t *)shared + (-shared_address(shared) & 1023);
    const struct ring ring = {barriers, barriers + MOST_STAGES, 0, 0};
    if (threadIdx.x == 0) init_ring(ring);
    __syncthreads();
    grid_wait();
    grid_launch_next();
    const uint32_t choice = choose(args, stages, ring);
    if (choice == SPLIT_FP16X3 && args.k_units == 1 && plain_results(args))
        sgemm_short(args, stages, ring);
    else if (choice == SPLIT_FP16X3)
        sgemm_wgmma<SPLIT_FP16X3, true>(args, stages, ring);
    else if (choice == SPLIT_BF16X6)
        sgemm_wgmma<SPLIT_BF16X6, true>(args, stages, ring);
    else
        sgemm_exact(args, stages, ring);
}
