/* The kernels of family TF32_PACKED: each variant of variants.h. */
#include "sgemm_tf32_packed.cuh"
#include "variants.h"

/* Kernels for newer architectures are empty in the code of older ones. */
#ifdef __CUDA_ARCH__
#define COMPILED_FOR(arch) (__CUDA_ARCH__ >= (arch)*10)
#else
#define COMPILED_FOR(arch) true
#endif

#define VARIANT(name, family, contract, arch, bm, bn, bk, tm, tn, stages, threads, ctas, wide)                         \
    KERNEL(name, threads, ctas) {                                                                                      \
        if (COMPILED_FOR(arch)) sgemm_tf32_packed<bm, bn, tm, tn, stages>(args);                                       \
    }
GEMM_TF32_PACKED_VARIANTS(VARIANT)
