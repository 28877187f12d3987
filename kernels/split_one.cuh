/*
 * fp16x1 (split.h): the choice after bands, made by every CTA of the kernel after them.
 */
#ifndef FASTGEMM_SPLIT_ONE_CUH
#define FASTGEMM_SPLIT_ONE_CUH

#include "split_notes.cuh"
#include "split_units.cuh"

/* All threads of a CTA of THREADS get it. */
template <int THREADS> DEVICE uint32_t choice_after_bands(const struct split_args &args) {
    __shared__ struct split_notes of_warps[THREADS / 32];
    struct split_notes notes = nothing_noted();
    for (int at = threadIdx.x; at < args.band_ctas; at += THREADS) notes = worse(notes, args.notes[at]);
    notes = notes_of_warp(notes);
    if (threadIdx.x % 32 == 0) of_warps[threadIdx.x / 32] = notes;
    __syncthreads();
    for (int warp = 0; warp < THREADS / 32; warp++) notes = worse(notes, of_warps[warp]);
    return choice_by_notes(notes, args.gemm.k);
}

#endif
