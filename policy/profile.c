/* From the words of a call to what kind of product it is. */
#include "profile.h"

static bool operand_valid(int64_t rows, int64_t ld) {
    return ld >= (rows > 1 ? rows : 1);
}

bool gemm_problem_valid(const struct gemm_problem *p) {
    if (p->m < 0 || p->n < 0 || p->k < 0 || p->batch < 0) return false;
    if (!operand_valid(p->op_a == GEMM_OP_N ? p->m : p->k, p->lda)) return false;
    if (!operand_valid(p->op_b == GEMM_OP_N ? p->k : p->n, p->ldb)) return false;
    return operand_valid(p->m, p->ldc) && operand_valid(p->m, p->ldd);
}

unsigned gemm_alignment(const void *operand) {
    uintptr_t low = (uintptr_t)operand % 16;
    return low == 0 ? 16 : (unsigned)(low & -low);
}

static bool vectors_fit(int64_t extent, int64_t ld, int64_t stride, int64_t batch, unsigned align) {
    return align == 16 && extent % 4 == 0 && ld % 4 == 0 && (batch == 1 || stride % 4 == 0);
}

enum gemm_loader gemm_loader_a(const struct gemm_problem *p) {
    if (p->op_a == GEMM_OP_T) return LOAD_K4;
    return vectors_fit(p->m, p->lda, p->stride_a, p->batch, p->align_a) ? LOAD_MN16 : LOAD_MN4;
}

enum gemm_loader gemm_loader_b(const struct gemm_problem *p) {
    if (p->op_b == GEMM_OP_N) return LOAD_K4;
    return vectors_fit(p->n, p->ldb, p->stride_b, p->batch, p->align_b) ? LOAD_MN16 : LOAD_MN4;
}

/* Sizes, leading dimensions and addresses with which some 16-byte access along a contiguous side is not possible. */
static bool breaks_alignment(const struct gemm_problem *p) {
    int64_t along_a = p->op_a == GEMM_OP_N ? p->m : p->k, along_b = p->op_b == GEMM_OP_N ? p->k : p->n;
    if (along_a % 4 || along_b % 4 || p->m % 4) return true;
    return p->lda % 4 || p->ldb % 4 || p->ldc % 4 || p->ldd % 4 || p->align_a < 16 || p->align_b < 16;
}

enum gemm_profile gemm_profile_of(const struct gemm_problem *p) {
    int64_t smaller = p->m < p->n ? p->m : p->n, larger = p->m < p->n ? p->n : p->m;
    if (p->batch > 1) return PROFILE_batched;
    if (p->k / 16 >= larger) return PROFILE_huge_k;
    if (p->k <= 128 && smaller / 8 >= p->k && smaller >= 1024) return PROFILE_outer_product;
    if (breaks_alignment(p)) return PROFILE_irregular;
    if (p->m == p->n && p->n == p->k) return PROFILE_square;
    if (p->op_a == GEMM_OP_T || p->op_b == GEMM_OP_T) return PROFILE_transposed;
    return PROFILE_general;
}

const char *gemm_profile_name(enum gemm_profile profile) {
    static const char *const names[PROFILE_COUNT] = {
#define X(name) #name,
        GEMM_PROFILES(X)
#undef X
    };
    return names[profile];
}
