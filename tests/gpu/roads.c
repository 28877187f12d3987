/* Where each family notes its choice: kernels/split.c and fp16_fragments.c place it. */
#include "roads.h"

#include <stdio.h>
#include <stdlib.h>

#include <cuda_runtime_api.h>

#include "../../kernels/fp16_fragments.h"

bool road_is_told(const struct gemm_variant *v) {
    return gemm_family_splits(v->family) || gemm_family_split_mma(v->family) || v->family == FAMILY_FP16X1_MMA;
}

static void fetch(void *to, const void *from, size_t bytes) {
    if (cudaMemcpy(to, from, bytes, cudaMemcpyDeviceToHost) == cudaSuccess) return;
    fprintf(stderr, "roads: scratch cannot be read\n");
    abort();
}

static enum split_planes choice_in(const struct split_args *args) {
    uint32_t choice;
    fetch(&choice, args->choice, sizeof choice);
    return (enum split_planes)choice;
}

/* As choice_by_notes in kernels/split_notes.cuh. */
static enum split_planes choice_by_notes(const struct split_args *args, int k) {
    const uint32_t slice = k < SPLIT_SLICE_K ? (uint32_t)k : SPLIT_SLICE_K;
    struct split_notes notes;
    fetch(&notes, args->notes, sizeof notes);
    const bool spoilt = notes.wide && notes.lacking[0] + notes.lacking[1] >= slice;
    return notes.hopeless || spoilt ? SPLIT_TF32 : SPLIT_FP16X1;
}

/* Split in registers: a row that is too wide decides for its tiles alone, and has a negative scale. */
static enum split_planes choice_of_row(const struct split_args *args, int row) {
    const enum split_planes choice = choice_in(args);
    float inverse_scale;
    fetch(&inverse_scale, args->inverse_scales + row, sizeof inverse_scale);
    return choice == SPLIT_FP16X3 && inverse_scale < 0 ? SPLIT_BF16X6 : choice;
}

/* The product itself decides, and has planes written anew where those that it finds do not do. */
static enum split_planes choice_after_bands(const struct split_args *args) {
    uint32_t written;
    fetch(&written, args->written, sizeof written);
    return written ? SPLIT_BF16X6 : (enum split_planes)args->first_choice;
}

enum split_planes road_taken(const struct gemm_variant *v, int m, int n, int k, int row, void *scratch) {
    struct split_args args = {.gemm = {.m = m, .n = n, .k = k, .batch = 1}};
    switch (v->family) {
    case FAMILY_FP16X1_MMA:
        split_args_place_looks(&args, SPLIT_FP16X1, scratch);
        return choice_by_notes(&args, k);
    case FAMILY_FP16X3_MMA:
    case FAMILY_BF16X6_MMA:
        split_args_place_looks(&args, v->family == FAMILY_FP16X3_MMA ? SPLIT_FP16X3 : SPLIT_BF16X6, scratch);
        return choice_of_row(&args, row);
    case FAMILY_FP16X1:
        split_args_place(&args, SPLIT_FP16X1, scratch);
        return choice_in(&args);
    default:
        split_args_place(&args, v->family == FAMILY_FP16X3 ? SPLIT_FP16X3 : SPLIT_BF16X6, scratch);
        return args.band_ctas ? choice_after_bands(&args) : choice_in(&args);
    }
}
