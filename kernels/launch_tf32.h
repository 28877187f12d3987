/*
 * The launches of one TF32 product by Hopper's matrix instruction (tf32.h).
 */
#ifndef FASTGEMM_LAUNCH_TF32_H
#define FASTGEMM_LAUNCH_TF32_H

#include "gemm_args.h"
#include "tf32_second.h"
#include "variants.h"

/*
 * Runs a product: operands into `scratch` where they have to be, then the kernel; `gemm.partial` holds the partial sums
 * alone, and adding them up is left to the caller. At most `gemm.ctas` CTAs (0: as many as SMs), on the stream (a
 * cudaStream_t) of the current device. Never synchronises. Returns a cudaError_t; on an error nothing was written to D.
 */
int tf32_launch(const struct gemm_variant *variant, enum gemm_loader a, enum gemm_loader b,
                const struct gemm_args *gemm, void *scratch, void *stream);

/* Bytes at the start of scratch for the operands of this product. */
int64_t tf32_launch_operand_bytes(const struct gemm_variant *variant, enum gemm_loader a, enum gemm_loader b,
                                  const struct gemm_args *gemm);

/* Adds up the tiles that the CTAs of a product shared (tf32_works.h), of the variant's tile. */
int tf32_add_shares(const struct gemm_variant *variant, const struct gemm_args *gemm, void *stream);

/*
 * The same as tf32_launch behind a product by SPLIT_TILE_* that has done the work unless the device chose SPLIT_TF32:
 * `choice`, on the device, is read when the kernels run. Partial sums go where that product's would. Made ready, with
 * operands into `scratch` where they have to be; launched.
 */
int tf32_second_prepare(struct tf32_second *second, enum gemm_loader a, enum gemm_loader b,
                        const struct gemm_args *gemm, const uint32_t *choice, void *scratch);
int tf32_second_launch(struct tf32_second *second, void *stream);
int64_t tf32_second_operand_bytes(enum gemm_loader a, enum gemm_loader b, const struct gemm_args *gemm);

#endif
