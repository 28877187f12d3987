/* A problem's operands as kernels/tf32.h and kernels/tf32_fragments.h describe them. */
#include "tf32_operands.h"

#include "../kernels/fp16_fragments.h"
#include "../kernels/tf32.h"
#include "../kernels/tf32_fragments.h"

int64_t tf32_fragments_bytes(const struct gemm_problem *p) {
    const int64_t a = tf32_fragment_bytes(p->m, p->k, p->stride_a || p->pointer_array ? p->batch : 1);
    const int64_t b = tf32_fragment_bytes(p->n, p->k, p->stride_b || p->pointer_array ? p->batch : 1);
    int64_t both = 0;
    return __builtin_add_overflow(a, b, &both) ? INT64_MAX : both;
}

int64_t fp16_operand_bytes(const struct gemm_problem *p) {
    const double rows = (double)p->m + (double)p->n + SPLIT_TILE_M + SPLIT_TILE_N;
    if (rows > INT32_MAX || rows * (double)p->batch > 0x1p40) return INT64_MAX;
    return fp16_fragments_bytes((int)p->m, (int)p->n, (int)p->k, (int)p->batch,
                                p->stride_a || p->pointer_array ? p->batch : 1,
                                p->stride_b || p->pointer_array ? p->batch : 1);
}

static struct tf32_operand a_of(const struct gemm_problem *p, const struct gemm_variant *v) {
    return (struct tf32_operand){.rows = p->m,
                                 .k = p->k,
                                 .batch = p->batch,
                                 .ld = p->lda,
                                 .stride = p->stride_a,
                                 .along_k = p->op_a == GEMM_OP_T,
                                 .align = p->align_a,
                                 .shifts = v->family == FAMILY_TF32_WGMMA && tf32_shifts(p->n, v->bn)};
}

bool tf32_shifted_a(const struct gemm_problem *p, const struct gemm_variant *v) {
    const struct tf32_operand a = a_of(p, v);
    return tf32_shifted(&a, true);
}

int64_t tf32_operand_bytes(const struct gemm_problem *p, const struct gemm_variant *v) {
    const struct tf32_operand a = a_of(p, v);
    const struct tf32_operand b = {.rows = p->n,
                                   .k = p->k,
                                   .batch = p->batch,
                                   .ld = p->ldb,
                                   .stride = p->stride_b,
                                   .along_k = p->op_b == GEMM_OP_N,
                                   .align = p->align_b};
    const int64_t of_a = tf32_packed(&a, true) ? tf32_packed_bytes(&a) : 0;
    const int64_t of_b = tf32_packed(&b, false) ? tf32_packed_bytes(&b) : 0;
    int64_t both = 0;
    return __builtin_add_overflow(of_a, of_b, &both) ? INT64_MAX : both;
}
