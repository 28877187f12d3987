/* mma.sync of the simulated GPU, for the kernels that it compiles and for the simulator itself. */
#ifndef FASTGEMM_SIM_MMA_H
#define FASTGEMM_SIM_MMA_H

#include <stdint.h>

enum sim_mma { SIM_MMA_TF32, SIM_MMA_F16, SIM_MMA_BF16 };

#ifdef __cplusplus
extern "C"
#endif
    /* d += a b, of a whole warp's 16 x 8 by 8 x 8, or where two elements share a word 16 x 16 by 16 x 8. */
    void
    sim_mma(enum sim_mma kind, const uint32_t a[4], const uint32_t b[2], float d[4]);

#endif
