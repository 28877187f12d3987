/* The wgmma family's kernel: one for both kinds of planes, since only the device knows which it got. */
#include "sgemm_wgmma.cuh"
#include "split_exact.cuh"
#include "split_short.cuh"

KERNEL_OF(struct split_args, sgemm_wgmma_256x128, 384, 1) {
    static __shared__ uint64_t barriers[2 * MOST_STAGES];
    SHARED_MEMORY(shared);
    uint8_t *stages = (uint8_t *)shared + (-shared_address(shared) & 1023);
    struct ring ring = {barriers, barriers + MOST_STAGES, 0, 0};
    if (threadIdx.x == 0) init_ring(ring);
    __syncthreads();
    grid_wait();
    grid_launch_next();
    if (*args.choice == SPLIT_FP16X3 && args.k_units == 1 && plain_results(args))
        sgemm_short(args, stages, ring);
    else if (*args.choice == SPLIT_FP16X3)
        sgemm_wgmma<SPLIT_FP16X3, false>(args, stages, ring);
    else if (*args.choice == SPLIT_BF16X6)
        sgemm_wgmma<SPLIT_BF16X6, false>(args, stages, ring);
    else
        sgemm_exact(args, stages, ring);
}
