/* Where the parts of a TF32 product on fp16 tensor cores lie in scratch. */
#include "fp16_fragments.h"

int64_t fp16_fragments_bytes(int m, int n, int k, int batch, int64_t matrices_a, int64_t matrices_b) {
    const int64_t a = tf32_fragment_bytes(m, k, matrices_a), b = tf32_fragment_bytes(n, k, matrices_b);
    int64_t both = 0;
    if (__builtin_add_overflow(a, b, &both)) return INT64_MAX;
    return __builtin_add_overflow(both, split_looks_bytes(m, n, k, batch), &both) ? INT64_MAX : both;
}

struct fp16_fragments_args fp16_fragments_place(struct split_args *looks, const struct gemm_args *gemm, int a_along_k,
                                                int b_along_k, void *scratch) {
    struct fp16_fragments_args args = {.product = *gemm};
    char *const packed = (char *)scratch + split_looks_bytes(gemm->m, gemm->n, gemm->k, gemm->batch);
    *looks = (struct split_args){.gemm = *gemm, .a_along_k = a_along_k, .b_along_k = b_along_k};
    split_args_place_looks(looks, SPLIT_FP16X1, scratch);
    const struct tf32_fragments_args fragments = tf32_fragments_place(&args.product, a_along_k, b_along_k, packed);
    args.a = fragments.a;
    args.b = fragments.b;
    args.rows_a = looks->rows_a;
    args.rows = looks->rows;
    args.notes = looks->notes;
    args.inverse_scales = looks->inverse_scales;
    return args;
}
