/*
 * Reading cublasLt's descriptors. cuBLAS API reference: cublasLtMatmulDescAttributes_t,
 * cublasLtMatrixLayoutAttribute_t, cublasLtEpilogue_t. What is not known to be neutral forwards the call.
 */
#include "lt_call.h"

#include <stddef.h>

#include "../policy/measured.h"
#include "lt_fields.h"
#include "verdicts.h"

/* ---- attributes ---- */

/* A copy of cublasLt, and where its attributes lie, if that is known of this call's descriptor: else NULL. */
struct reader {
    const struct real_cublas *real;
    const struct lt_fields *fields;
};

static inline bool desc_get(const struct reader *reader, cublasLtMatmulDesc_t desc,
                            cublasLtMatmulDescAttributes_t which, void *value, size_t size) {
    if (reader->fields) return lt_field_get(reader->fields->desc[which], desc, value, size);
    size_t written = 0;
    return reader->real->cublasLtMatmulDescGetAttribute(desc, which, value, size, &written) == CUBLAS_STATUS_SUCCESS &&
           written == size;
}

static inline bool layout_get(const struct reader *reader, cublasLtMatrixLayout_t layout,
                              cublasLtMatrixLayoutAttribute_t which, void *value, size_t size) {
    if (reader->fields) return lt_field_get(reader->fields->layout[which], layout, value, size);
    size_t written = 0;
    return reader->real->cublasLtMatrixLayoutGetAttribute(layout, which, value, size, &written) ==
               CUBLAS_STATUS_SUCCESS &&
           written == size;
}

#define DESC(which, value)   desc_get(reader, desc, CUBLASLT_MATMUL_DESC_##which, value, sizeof *(value))
#define LAYOUT(which, value) layout_get(reader, layout, CUBLASLT_MATRIX_LAYOUT_##which, value, sizeof *(value))

/* A matrix as its layout has it. */
struct matrix {
    int32_t type, order, batch;
    uint64_t rows, cols;
    int64_t ld, stride;
};

/* The two at the end are zero where a copy does not know them. */
static bool read_layout(const struct reader *reader, cublasLtMatrixLayout_t layout, struct matrix *x) {
    int64_t plane = 0;
    uint32_t mode = 0;
    bool read = LAYOUT(TYPE, &x->type) && LAYOUT(ORDER, &x->order) && LAYOUT(ROWS, &x->rows) &&
                LAYOUT(COLS, &x->cols) && LAYOUT(LD, &x->ld) && LAYOUT(BATCH_COUNT, &x->batch) &&
                LAYOUT(STRIDED_BATCH_OFFSET, &x->stride);
    LAYOUT(PLANE_OFFSET, &plane);
    layout_get(reader, layout, (cublasLtMatrixLayoutAttribute_t)8, &mode, sizeof mode); /* BATCH_MODE, since 12.9 */
    return read && plane == 0 && mode == 0 && (x->order == CUBLASLT_ORDER_COL || x->order == CUBLASLT_ORDER_ROW);
}

struct operation {
    int32_t compute, scale, pointer_mode, op_a, op_b, op_c, fill, bias_type, sm_count_target;
    uint32_t epilogue;
    const void *bias;
    int64_t bias_stride;
};

/* Scales, other outputs and emulation: pointers, then modes, by number, since older headers lack some. */
static bool is_plain(const struct reader *reader, cublasLtMatmulDesc_t desc) {
    static const int pointers[] = {17, 18, 19, 20, 21, 36, 38}, modes[] = {31, 32, 33, 34, 37};
    for (size_t i = 0; i < sizeof pointers / sizeof *pointers; i++) {
        const void *pointer = NULL;
        desc_get(reader, desc, (cublasLtMatmulDescAttributes_t)pointers[i], &pointer, sizeof pointer);
        if (pointer) return false;
    }
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        int32_t mode = 0;
        desc_get(reader, desc, (cublasLtMatmulDescAttributes_t)modes[i], &mode, sizeof mode);
        if (mode) return false;
    }
    int8_t fast = 0; /* sums of fp8 products */
    DESC(FAST_ACCUM, &fast);
    return !fast;
}

static bool read_operation(const struct reader *reader, cublasLtMatmulDesc_t desc, struct operation *x) {
    return DESC(COMPUTE_TYPE, &x->compute) && DESC(SCALE_TYPE, &x->scale) && DESC(POINTER_MODE, &x->pointer_mode) &&
           DESC(TRANSA, &x->op_a) && DESC(TRANSB, &x->op_b) && DESC(TRANSC, &x->op_c) && DESC(FILL_MODE, &x->fill) &&
           DESC(EPILOGUE, &x->epilogue) && DESC(BIAS_POINTER, &x->bias) && DESC(BIAS_BATCH_STRIDE, &x->bias_stride) &&
           DESC(BIAS_DATA_TYPE, &x->bias_type) && DESC(SM_COUNT_TARGET, &x->sm_count_target);
}

/* ---- what they mean ---- */

static bool is_valid_op(int32_t op) {
    return op == CUBLAS_OP_N || op == CUBLAS_OP_T || op == CUBLAS_OP_C;
}

/* Of an operand in row order the transpose lies in memory in column order. */
static cublasOperation_t op_in_columns(int32_t op, const struct matrix *x) {
    return (op == CUBLAS_OP_N) == (x->order == CUBLASLT_ORDER_COL) ? CUBLAS_OP_N : CUBLAS_OP_T;
}

static enum gemm_reason read_epilogue(struct lt_part *part, const struct operation *op, int32_t order_d,
                                      bool only_planned) {
    switch (op->epilogue & ~(uint32_t)CUBLASLT_EPILOGUE_BIAS) {
    case 0:
    case CUBLASLT_EPILOGUE_DEFAULT:
        part->activation = ACTIVATION_none;
        break;
    case CUBLASLT_EPILOGUE_RELU:
        part->activation = ACTIVATION_relu;
        break;
    case CUBLASLT_EPILOGUE_GELU:
        part->activation = ACTIVATION_gelu;
        break;
    default:
        return REASON_lt_descriptor;
    }
    if (!(op->epilogue & CUBLASLT_EPILOGUE_BIAS)) return op->epilogue ? REASON_routed : REASON_lt_descriptor;
    /* The bias runs along the rows of D; in row order cuBLAS has none (status 15). */
    if (op->epilogue == (CUBLASLT_EPILOGUE_DEFAULT | CUBLASLT_EPILOGUE_BIAS) || order_d != CUBLASLT_ORDER_COL)
        return REASON_lt_descriptor;
    if (only_planned) part->bias = (const float *)(uintptr_t)sizeof(float);
    if (!(op->bias || only_planned) || (op->bias_type != -1 && op->bias_type != CUDA_R_32F))
        return REASON_lt_descriptor;
    if (!only_planned) part->bias = op->bias;
    part->stride_bias = op->bias_stride;
    return REASON_routed;
}

static enum gemm_reason read_modes(struct lt_part *part, const struct operation *op) {
    if (op->compute != CUBLAS_COMPUTE_32F && op->compute != CUBLAS_COMPUTE_32F_FAST_TF32) return REASON_math_mode;
    if (op->scale != CUDA_R_32F) return REASON_not_fp32;
    if (op->pointer_mode != CUBLASLT_POINTER_MODE_HOST && op->pointer_mode != CUBLASLT_POINTER_MODE_DEVICE)
        return REASON_pointer_mode;
    if (!is_valid_op(op->op_a) || !is_valid_op(op->op_b) || op->op_c != CUBLAS_OP_N) return REASON_invalid;
    if (op->fill != CUBLAS_FILL_MODE_FULL || op->sm_count_target < 0) return REASON_lt_descriptor;
    part->modes.math_mode = CUBLAS_DEFAULT_MATH; /* the compute type says it all */
    part->modes.pointer_mode = (cublasPointerMode_t)op->pointer_mode;
    part->modes.sm_count_target = op->sm_count_target;
    return REASON_routed;
}

/* The sizes of op(A), op(B), C and D go together. */
static bool is_one_product(const struct operation *op, const struct matrix *a, const struct matrix *b,
                           const struct matrix *c, const struct matrix *d) {
    const bool na = op->op_a == CUBLAS_OP_N, nb = op->op_b == CUBLAS_OP_N;
    return (na ? a->rows : a->cols) == d->rows && (nb ? b->cols : b->rows) == d->cols &&
           (na ? a->cols : a->rows) == (nb ? b->rows : b->cols) && c->rows == d->rows && c->cols == d->cols &&
           c->order == d->order && a->batch == d->batch && b->batch == d->batch && c->batch == d->batch;
}

static void fill_operands(struct gemm_call *call, const struct lt_arguments *x, const struct operation *op,
                          const struct matrix *a, const struct matrix *b, const struct matrix *d) {
    *call = (struct gemm_call){.entry = call->entry,
                               .handle = call->handle,
                               .lt = call->lt,
                               .alpha = x->alpha,
                               .beta = x->beta,
                               .op_a = op_in_columns(op->op_a, a),
                               .op_b = op_in_columns(op->op_b, b),
                               .m = (int64_t)d->rows,
                               .n = (int64_t)d->cols,
                               .k = (int64_t)(op->op_a == CUBLAS_OP_N ? a->cols : a->rows),
                               .a = x->a,
                               .b = x->b,
                               .lda = a->ld,
                               .ldb = b->ld,
                               .stride_a = a->stride,
                               .stride_b = b->stride,
                               .batch = d->batch,
                               .type_a = (cudaDataType)a->type,
                               .type_b = (cudaDataType)b->type,
                               .type_c = (cudaDataType)d->type,
                               .has_compute = true,
                               .compute = (cublasComputeType_t)op->compute,
                               .algo = CUBLAS_GEMM_DEFAULT};
}

/* D in row order is D' in column order, and D' = op(B)' op(A)'. */
static void swap_operands(struct gemm_call *call) {
    const struct gemm_call row = *call;
    call->op_a = row.op_b == CUBLAS_OP_N ? CUBLAS_OP_T : CUBLAS_OP_N;
    call->op_b = row.op_a == CUBLAS_OP_N ? CUBLAS_OP_T : CUBLAS_OP_N;
    call->m = row.n, call->n = row.m;
    call->a = row.b, call->b = row.a;
    call->lda = row.ldb, call->ldb = row.lda;
    call->stride_a = row.stride_b, call->stride_b = row.stride_a;
}

/* Where beta is 0, C is not looked at, and may be NULL. */
static enum gemm_reason fill_results(struct gemm_call *call, struct lt_part *part, const struct lt_arguments *x,
                                     const struct matrix *c, const struct matrix *d) {
    part->d = x->d;
    part->ldd = d->ld, part->stride_d = d->stride;
    if (!x->d || !x->beta) return REASON_invalid;
    /* In place, but an element would overwrite another's C: cuBLAS refuses it (status 7) whatever beta is. */
    if (x->c == x->d && (c->ld != d->ld || (d->batch > 1 && c->stride != d->stride))) return REASON_invalid;
    const bool unused = part->modes.pointer_mode == CUBLAS_POINTER_MODE_HOST && *(const float *)x->beta == 0.0f;
    call->c = unused ? x->d : (void *)(uintptr_t)x->c;
    call->ldc = unused ? d->ld : c->ld;
    call->stride_c = unused ? d->stride : c->stride;
    return REASON_routed;
}

/* As cuBLAS 13.1 has it: another one gets status 7. */
static bool is_workspace(const struct workspace *workspace) {
    return !workspace->size || (workspace->address && (uintptr_t)workspace->address % 256 == 0);
}

static bool is_fp32(const struct reader *reader, cublasLtMatrixLayout_t layout) {
    int32_t type = -1;
    return LAYOUT(TYPE, &type) && type == CUDA_R_32F;
}

static enum gemm_reason describe(struct gemm_call *call, struct lt_part *part, const struct lt_arguments *x,
                                 const struct reader *reader) {
    struct operation op = {0};
    struct matrix a = {0}, b = {0}, c = {0}, d = {0};
    if (!read_operation(reader, x->desc, &op) || !read_layout(reader, x->layout_a, &a) ||
        !read_layout(reader, x->layout_b, &b) || !read_layout(reader, x->layout_d, &d))
        return REASON_lt_descriptor;
    fill_operands(call, x, &op, &a, &b, &d);
    if (d.order == CUBLASLT_ORDER_ROW) swap_operands(call);
    if (a.type != CUDA_R_32F || b.type != CUDA_R_32F || d.type != CUDA_R_32F) return REASON_not_fp32;
    c = d;
    if (x->layout_c != x->layout_d && !read_layout(reader, x->layout_c, &c)) return REASON_lt_descriptor;
    if (c.type != CUDA_R_32F) return REASON_not_fp32;
    if (!is_one_product(&op, &a, &b, &c, &d)) return REASON_invalid;
    enum gemm_reason reason = read_modes(part, &op);
    if (reason == REASON_routed) reason = read_epilogue(part, &op, d.order, x->only_planned);
    if (reason == REASON_routed && !is_plain(reader, x->desc)) reason = REASON_lt_descriptor;
    return reason == REASON_routed ? fill_results(call, part, x, &c, &d) : reason;
}

/* The call is filled anew on the way. */
static void describe_into(struct gemm_call *call, struct lt_part *part, const struct lt_arguments *x,
                          const struct reader *reader) {
    enum gemm_reason reason = describe(call, part, x, reader);
    if (reason == REASON_routed && !is_workspace(&x->workspace)) reason = REASON_invalid;
    call->refused = reason;
}

/* By a few attributes, whatever the order of the layouts: the product of the sizes is the same. */
static bool is_too_small(const struct lt_arguments *x, const struct reader *reader) {
    int32_t op_a = CUBLAS_OP_N;
    uint64_t rows = 0, cols = 0, k = 0;
    int32_t batch = 1;
    const bool read =
        desc_get(reader, x->desc, CUBLASLT_MATMUL_DESC_TRANSA, &op_a, sizeof op_a) &&
        layout_get(reader, x->layout_d, CUBLASLT_MATRIX_LAYOUT_ROWS, &rows, sizeof rows) &&
        layout_get(reader, x->layout_d, CUBLASLT_MATRIX_LAYOUT_COLS, &cols, sizeof cols) &&
        layout_get(reader, x->layout_d, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &batch, sizeof batch) &&
        layout_get(reader, x->layout_a, op_a == CUBLAS_OP_N ? CUBLASLT_MATRIX_LAYOUT_COLS : CUBLASLT_MATRIX_LAYOUT_ROWS,
                   &k, sizeof k);
    return read && measured_too_small((int64_t)rows, (int64_t)cols, (int64_t)k, batch);
}

/* ---- a verdict that was found before ---- */

/* A sum: the words are independent of each other. */
static inline uint64_t mix_layout(const struct lt_fields *fields, cublasLtMatrixLayout_t layout, uint64_t place) {
    uint64_t sum = 0, word;
    for (uint32_t i = 0; i < fields->layout_words; i++) {
        memcpy(&word, (const char *)layout + i * sizeof word, sizeof word);
        sum += verdict_mix(word, place + i);
    }
    return sum;
}

/*
 * Of what a verdict depends on. What else a descriptor may hold forwards a call, or changes no plan; of C only beta's
 * being 0 counts, as everywhere.
 */
static uint64_t fingerprint_of(const struct lt_arguments *x, const struct reader *reader, int device,
                               const struct toggles *toggles) {
    const cublasLtMatmulDesc_t desc = x->desc;
    int32_t compute = 0, op_a = 0, op_b = 0, sm_count_target = 0;
    uint32_t epilogue = 0;
    if (!reader->fields || device == DEVICE_UNKNOWN) return 0;
    DESC(COMPUTE_TYPE, &compute);
    DESC(TRANSA, &op_a);
    DESC(TRANSB, &op_b);
    DESC(SM_COUNT_TARGET, &sm_count_target);
    DESC(EPILOGUE, &epilogue);
    const uint64_t words = (uint64_t)(uint32_t)compute | (uint64_t)(uint8_t)op_a << 32 | (uint64_t)(uint8_t)op_b << 40 |
                           (uint64_t)(uint8_t)device << 48 | verdict_alignments(x->a, x->b) << 56;
    const uint64_t more = (uint64_t)epilogue << 32 | (uint32_t)sm_count_target;
    const uint64_t layouts = mix_layout(reader->fields, x->layout_a, 0) + mix_layout(reader->fields, x->layout_b, 64) +
                             mix_layout(reader->fields, x->layout_d, 128);
    const uint64_t hash =
        verdict_mix(verdict_mix(layouts, words), more ^ verdict_workspace(x->workspace.size, toggles));
    return hash ? hash : 1;
}

/* The fields of this call's descriptors, if they are known. */
static const struct lt_fields *fields_of(const struct real_cublas *real, cublasLtMatmulDesc_t desc) {
    const struct lt_fields *fields = lt_fields_of(real);
    return fields && lt_fields_fit(fields, desc) ? fields : NULL;
}

static bool is_whole(const struct lt_arguments *x) {
    return x->desc && x->layout_a && x->layout_b && x->layout_c && x->layout_d;
}

static bool can_read(const struct reader *reader) {
    return reader->fields ||
           (reader->real->cublasLtMatmulDescGetAttribute && reader->real->cublasLtMatrixLayoutGetAttribute);
}

/* Operands that are not fp32; what was found to be cuBLAS's before; what is too small, which is found here. */
bool lt_call_is_forwarded(const struct lt_arguments *x, struct handle_view view, const struct toggles *toggles,
                          uint64_t *fingerprint) {
    *fingerprint = 0;
    if (toggles->log != LOG_OFF || toggles->kernel >= 0 || !is_whole(x)) return false;
    const struct reader reader = {view.real, fields_of(view.real, x->desc)};
    if (!can_read(&reader)) return false;
    if (!is_fp32(&reader, x->layout_a)) return true;
    *fingerprint = fingerprint_of(x, &reader, handle_state_device(view.state), toggles);
    if (verdict_is_forward(*fingerprint)) return true;
    if (!is_too_small(x, &reader)) return false;
    verdict_keep_forward(*fingerprint);
    return true;
}

void lt_call_describe(struct gemm_call *call, struct lt_part *part, const struct lt_arguments *x,
                      const struct real_cublas *real) {
    call->lt = part;
    part->workspace = x->workspace.address ? x->workspace : (struct workspace){NULL, 0};
    part->modes.stream = x->stream;
    const struct reader reader = {real, is_whole(x) ? fields_of(real, x->desc) : NULL};
    if (is_whole(x) && can_read(&reader))
        describe_into(call, part, x, &reader);
    else
        call->refused = REASON_invalid;
}
