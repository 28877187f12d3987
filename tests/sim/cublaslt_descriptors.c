/*
 * The stand-in's descriptors: a table says where an attribute lies in its opaque struct. What an older cublasLt does
 * not know is refused as there. FASTGEMM_SIM_LT=reversed: a copy that keeps attributes otherwise, their bytes reversed.
 */
#include "cublaslt_standin.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct attribute {
    int which, offset, size, since; /* the version that brought it */
};

#define ATTRIBUTE(which, at, type)                                                                                     \
    { which, at, sizeof(type), 0 }
static const struct attribute of_desc[] = {
    ATTRIBUTE(CUBLASLT_MATMUL_DESC_COMPUTE_TYPE, 8, int32_t),
    ATTRIBUTE(CUBLASLT_MATMUL_DESC_SCALE_TYPE, 12, int32_t),
    ATTRIBUTE(CUBLASLT_MATMUL_DESC_POINTER_MODE, 16, int32_t),
    ATTRIBUTE(CUBLASLT_MATMUL_DESC_TRANSA, 20, int32_t),
    ATTRIBUTE(CUBLASLT_MATMUL_DESC_TRANSB, 24, int32_t),
    ATTRIBUTE(CUBLASLT_MATMUL_DESC_TRANSC, 28, int32_t),
    ATTRIBUTE(CUBLASLT_MATMUL_DESC_FILL_MODE, 32, int32_t),
    ATTRIBUTE(CUBLASLT_MATMUL_DESC_EPILOGUE, 36, uint32_t),
    ATTRIBUTE(CUBLASLT_MATMUL_DESC_BIAS_POINTER, 40, void *),
    ATTRIBUTE(CUBLASLT_MATMUL_DESC_BIAS_BATCH_STRIDE, 48, int64_t),
    ATTRIBUTE(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, 56, void *),
    ATTRIBUTE(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, 64, int64_t),
    ATTRIBUTE(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_BATCH_STRIDE, 72, int64_t),
    ATTRIBUTE(CUBLASLT_MATMUL_DESC_SM_COUNT_TARGET, 88, int32_t),
    ATTRIBUTE(CUBLASLT_MATMUL_DESC_AMAX_D_POINTER, 96, void *),
    ATTRIBUTE(CUBLASLT_MATMUL_DESC_A_SCALE_POINTER, 104, void *),
    ATTRIBUTE(CUBLASLT_MATMUL_DESC_B_SCALE_POINTER, 112, void *),
    ATTRIBUTE(CUBLASLT_MATMUL_DESC_C_SCALE_POINTER, 120, void *),
    ATTRIBUTE(CUBLASLT_MATMUL_DESC_D_SCALE_POINTER, 128, void *),
    ATTRIBUTE(CUBLASLT_MATMUL_DESC_FAST_ACCUM, 156, int8_t),
    ATTRIBUTE(CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, 160, int32_t),
    {31, 164, 4, 120800}, /* A_SCALE_MODE and the next: 12.8 brought them */
    {32, 168, 4, 120800},
    {33, 172, 4, 120800},
    {34, 176, 4, 120800},
    {37, 184, 4, 120800},
    {36, 192, 8, 120800}, /* D_OUT_SCALE_POINTER */
    {38, 200, 8, 130100}, /* EMULATION_DESCRIPTOR */
};
static const struct attribute of_layout[] = {
    ATTRIBUTE(CUBLASLT_MATRIX_LAYOUT_TYPE, 0, int32_t),
    ATTRIBUTE(CUBLASLT_MATRIX_LAYOUT_ORDER, 4, int32_t),
    ATTRIBUTE(CUBLASLT_MATRIX_LAYOUT_ROWS, 8, uint64_t),
    ATTRIBUTE(CUBLASLT_MATRIX_LAYOUT_COLS, 16, uint64_t),
    ATTRIBUTE(CUBLASLT_MATRIX_LAYOUT_LD, 24, int64_t),
    ATTRIBUTE(CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, 32, int32_t),
    {8, 36, 4, 130000}, /* BATCH_MODE */
    ATTRIBUTE(CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, 40, int64_t),
    ATTRIBUTE(CUBLASLT_MATRIX_LAYOUT_PLANE_OFFSET, 48, int64_t),
};
#define COUNT(table) (sizeof(table) / sizeof *(table))

static const struct attribute *find(const struct attribute *table, size_t count, int which) {
    for (size_t i = 0; i < count; i++)
        if (table[i].which == which && table[i].since <= STANDIN_VERSION) return &table[i];
    return NULL;
}

static atomic_ullong attributes_read;

uint64_t fgsim_cublaslt_attributes_read(void) {
    return atomic_load(&attributes_read);
}

static bool reversed(void) {
    const char *value = getenv("FASTGEMM_SIM_LT");
    return value && strcmp(value, "reversed") == 0;
}

static void copy(char *to, const char *from, int size) {
    const bool backwards = reversed();
    for (int i = 0; i < size; i++) to[i] = from[backwards ? size - 1 - i : i];
}

static cublasStatus_t get(const struct attribute *a, const void *from, void *to, size_t size, size_t *written) {
    atomic_fetch_add(&attributes_read, 1);
    if (!a || !from || size < (size_t)a->size) return CUBLAS_STATUS_INVALID_VALUE;
    copy(to, (const char *)from + a->offset, a->size);
    if (written) *written = (size_t)a->size;
    return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t set(const struct attribute *a, void *to, const void *from, size_t size) {
    if (!a || !to || !from || size < (size_t)a->size) return CUBLAS_STATUS_INVALID_VALUE;
    copy((char *)to + a->offset, from, a->size);
    return CUBLAS_STATUS_SUCCESS;
}

/* ---- the product's ---- */

cublasStatus_t cublasLtMatmulDescGetAttribute(cublasLtMatmulDesc_t desc, cublasLtMatmulDescAttributes_t which,
                                              void *value, size_t size, size_t *written) {
    return get(find(of_desc, COUNT(of_desc), (int)which), desc, value, size, written);
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t desc, cublasLtMatmulDescAttributes_t which,
                                              const void *value, size_t size) {
    return set(find(of_desc, COUNT(of_desc), (int)which), desc, value, size);
}

cublasStatus_t cublasLtMatmulDescInit_internal(cublasLtMatmulDesc_t desc, size_t size, cublasComputeType_t compute,
                                               cudaDataType_t scale) {
    const int32_t full = CUBLAS_FILL_MODE_FULL, none = -1;
    const uint32_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
    if (!desc || size < sizeof *desc) return CUBLAS_STATUS_INVALID_VALUE;
    memset(desc, 0, sizeof *desc);
    cublasLtMatmulDescSetAttribute(desc, CUBLASLT_MATMUL_DESC_COMPUTE_TYPE, &compute, 4);
    cublasLtMatmulDescSetAttribute(desc, CUBLASLT_MATMUL_DESC_SCALE_TYPE, &scale, 4);
    cublasLtMatmulDescSetAttribute(desc, CUBLASLT_MATMUL_DESC_FILL_MODE, &full, 4);
    cublasLtMatmulDescSetAttribute(desc, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, 4);
    return cublasLtMatmulDescSetAttribute(desc, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, &none, 4);
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *desc, cublasComputeType_t compute, cudaDataType_t scale) {
    *desc = malloc(sizeof **desc);
    return *desc ? cublasLtMatmulDescInit_internal(*desc, sizeof **desc, compute, scale) : CUBLAS_STATUS_ALLOC_FAILED;
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t desc) {
    free(desc);
    return CUBLAS_STATUS_SUCCESS;
}

int64_t standin_lt_attribute(cublasLtMatmulDesc_t desc, cublasLtMatmulDescAttributes_t which) {
    const struct attribute *a = find(of_desc, COUNT(of_desc), (int)which);
    int64_t wide = 0;
    int32_t word = 0;
    if (a->size == 8) {
        copy((char *)&wide, (const char *)desc + a->offset, 8);
        return wide;
    }
    copy((char *)&word, (const char *)desc + a->offset, a->size);
    return word;
}

/* ---- a matrix's ---- */

cublasStatus_t cublasLtMatrixLayoutGetAttribute(cublasLtMatrixLayout_t layout, cublasLtMatrixLayoutAttribute_t which,
                                                void *value, size_t size, size_t *written) {
    return get(find(of_layout, COUNT(of_layout), (int)which), layout, value, size, written);
}

cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t layout, cublasLtMatrixLayoutAttribute_t which,
                                                const void *value, size_t size) {
    return set(find(of_layout, COUNT(of_layout), (int)which), layout, value, size);
}

cublasStatus_t cublasLtMatrixLayoutInit_internal(cublasLtMatrixLayout_t layout, size_t size, cudaDataType type,
                                                 uint64_t rows, uint64_t cols, int64_t ld) {
    const int32_t one = 1;
    if (!layout || size < sizeof *layout) return CUBLAS_STATUS_INVALID_VALUE;
    memset(layout, 0, sizeof *layout);
    cublasLtMatrixLayoutSetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_TYPE, &type, 4);
    cublasLtMatrixLayoutSetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_ROWS, &rows, 8);
    cublasLtMatrixLayoutSetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_COLS, &cols, 8);
    cublasLtMatrixLayoutSetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_LD, &ld, 8);
    return cublasLtMatrixLayoutSetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &one, 4);
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *layout, cudaDataType type, uint64_t rows,
                                          uint64_t cols, int64_t ld) {
    *layout = malloc(sizeof **layout);
    if (!*layout) return CUBLAS_STATUS_ALLOC_FAILED;
    return cublasLtMatrixLayoutInit_internal(*layout, sizeof **layout, type, rows, cols, ld);
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) {
    free(layout);
    return CUBLAS_STATUS_SUCCESS;
}

struct lt_matrix standin_lt_matrix(cublasLtMatrixLayout_t layout, const void *at) {
    struct lt_matrix x = {.at = at};
    size_t written;
    cublasLtMatrixLayoutGetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_TYPE, &x.type, 4, &written);
    cublasLtMatrixLayoutGetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_ORDER, &x.order, 4, &written);
    cublasLtMatrixLayoutGetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &x.batch, 4, &written);
    cublasLtMatrixLayoutGetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_ROWS, &x.rows, 8, &written);
    cublasLtMatrixLayoutGetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_COLS, &x.cols, 8, &written);
    cublasLtMatrixLayoutGetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_LD, &x.ld, 8, &written);
    cublasLtMatrixLayoutGetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &x.stride, 8, &written);
    return x;
}
