/*
 * cublasLtMatmul forwarded, seen from a linked program: each call that is not ours arrives at the stand-in cublasLt
 * once, with every argument as it was passed, and its status comes back. A kernel is forced, so that only what the call
 * itself says can keep it from being served; the unspoiled call is.
 */
#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <cublasLt.h>
#include <cublas_v2.h>
#include <cuda_runtime_api.h>

#include "sim_api.h"

enum { M = 24, N = 20, K = 16, FLOATS = 1 << 12, WORKSPACE = 4096 };

struct call {
    cublasLtHandle_t handle;
    cublasLtMatmulDesc_t desc;
    const float *alpha, *beta;
    const void *a, *b, *c;
    void *d;
    cublasLtMatrixLayout_t layout_a, layout_b, layout_c, layout_d;
    const cublasLtMatmulAlgo_t *algo;
    void *workspace;
    size_t workspace_bytes;
    cudaStream_t stream;
};

static __typeof__(cublasLtMatmul) *real_matmul;
static cublasLtHandle_t handle;
static cudaStream_t stream;
static float *memory;
static void *workspace;
static const float one = 1, two = 2, zero = 0;
static const cublasLtMatmulAlgo_t blank;
static struct call valid;

static cublasLtMatrixLayout_t layout(cudaDataType type, uint64_t rows, uint64_t cols, int64_t ld) {
    cublasLtMatrixLayout_t made;
    assert_int_equal(cublasLtMatrixLayoutCreate(&made, type, rows, cols, ld), CUBLAS_STATUS_SUCCESS);
    return made;
}

/* A valid call, made anew for each test. C apart from D, with a leading dimension of its own. */
static int make_call(void **state) {
    (void)state;
    valid = (struct call){.handle = handle,
                          .alpha = &one,
                          .beta = &two,
                          .a = memory,
                          .b = memory + FLOATS,
                          .c = memory + 2 * FLOATS,
                          .d = memory + 3 * FLOATS,
                          .layout_a = layout(CUDA_R_32F, M, K, M + 1),
                          .layout_b = layout(CUDA_R_32F, K, N, K + 2),
                          .layout_c = layout(CUDA_R_32F, M, N, M + 3),
                          .layout_d = layout(CUDA_R_32F, M, N, M + 4),
                          .workspace = workspace,
                          .workspace_bytes = WORKSPACE,
                          .stream = stream};
    return cublasLtMatmulDescCreate(&valid.desc, CUBLAS_COMPUTE_32F, CUDA_R_32F) == CUBLAS_STATUS_SUCCESS ? 0 : -1;
}

static int drop_call(void **state) {
    (void)state;
    cublasLtMatrixLayout_t layouts[] = {valid.layout_a, valid.layout_b, valid.layout_c, valid.layout_d};
    for (int i = 0; i < 4; i++) cublasLtMatrixLayoutDestroy(layouts[i]);
    return cublasLtMatmulDescDestroy(valid.desc) == CUBLAS_STATUS_SUCCESS ? 0 : -1;
}

static cublasStatus_t call(__typeof__(cublasLtMatmul) *matmul, const struct call *x) {
    return matmul(x->handle, x->desc, x->alpha, x->a, x->layout_a, x->b, x->layout_b, x->beta, x->c, x->layout_c, x->d,
                  x->layout_d, x->algo, x->workspace, x->workspace_bytes, x->stream);
}

static void check_forwarding(const struct call *x) {
    struct fgsim_cublas_call direct, through;
    fgsim_cublaslt_reset();
    const cublasStatus_t expected = call(real_matmul, x);
    assert_int_equal(fgsim_cublaslt_calls(&direct, 1), 1);
    fgsim_reset();
    fgsim_cublaslt_reset();
    const cublasStatus_t status = call(cublasLtMatmul, x);
    assert_int_equal(fgsim_cublaslt_calls(&through, 1), 1);
    assert_int_equal(fgsim_cublas_compare(&direct, &through), -1);
    assert_int_equal(status, expected);
    assert_int_equal(through.status, expected);
    assert_int_equal(fgsim_launches("sgemm_"), 0);
    assert_int_equal(cudaPeekAtLastError(), cudaSuccess);
}

static void check_served(const struct call *x) {
    fgsim_reset();
    fgsim_cublaslt_reset();
    assert_int_equal(call(cublasLtMatmul, x), CUBLAS_STATUS_SUCCESS);
    assert_int_equal(fgsim_cublaslt_calls(NULL, 0), 0);
    assert_int_equal(fgsim_launches("sgemm_simt_64x64x8"), 1);
    assert_int_equal(cudaDeviceSynchronize(), cudaSuccess);
}

#define SET_DESC(which, type, value)                                                                                   \
    do {                                                                                                               \
        const type set = (value);                                                                                      \
        assert_int_equal(                                                                                              \
            cublasLtMatmulDescSetAttribute(valid.desc, (cublasLtMatmulDescAttributes_t)(which), &set, sizeof set), 0); \
    } while (0)
#define SET_LAYOUT(which_layout, which, type, value)                                                                   \
    do {                                                                                                               \
        const type set = (value);                                                                                      \
        assert_int_equal(cublasLtMatrixLayoutSetAttribute(valid.layout_##which_layout,                                 \
                                                          (cublasLtMatrixLayoutAttribute_t)(which), &set, sizeof set), \
                         0);                                                                                           \
    } while (0)
#define SET_ALL(which, type, value)                                                                                    \
    SET_LAYOUT(a, which, type, value);                                                                                 \
    SET_LAYOUT(b, which, type, value);                                                                                 \
    SET_LAYOUT(c, which, type, value);                                                                                 \
    SET_LAYOUT(d, which, type, value)

/* Each keeps a valid call from being ours in one respect. */
#define SPOILERS(X)                                                                                                    \
    X(null_handle, valid.handle = NULL)                                                                                \
    X(null_desc, valid.desc = NULL)                                                                                    \
    X(null_layout, valid.layout_c = NULL)                                                                              \
    X(null_alpha, valid.alpha = NULL)                                                                                  \
    X(null_beta, valid.beta = NULL)                                                                                    \
    X(null_a, valid.a = NULL)                                                                                          \
    X(null_c, valid.c = NULL)                                                                                          \
    X(null_d, valid.d = NULL)                                                                                          \
    X(null_workspace, valid.workspace = NULL)                                                                          \
    X(shifted_workspace, valid.workspace = (char *)workspace + 128; valid.workspace_bytes -= 128)                      \
    X(blank_algorithm, valid.algo = &blank)                                                                            \
    X(alpha_zero, valid.alpha = &zero)                                                                                 \
    X(half, SET_ALL(CUBLASLT_MATRIX_LAYOUT_TYPE, int32_t, CUDA_R_16F))                                                 \
    X(half_in, SET_LAYOUT(a, CUBLASLT_MATRIX_LAYOUT_TYPE, int32_t, CUDA_R_16F);                                        \
      SET_LAYOUT(b, CUBLASLT_MATRIX_LAYOUT_TYPE, int32_t, CUDA_R_16F))                                                 \
    X(half_b, SET_LAYOUT(b, CUBLASLT_MATRIX_LAYOUT_TYPE, int32_t, CUDA_R_16F))                                         \
    X(half_c, SET_LAYOUT(c, CUBLASLT_MATRIX_LAYOUT_TYPE, int32_t, CUDA_R_16F))                                         \
    X(ld_small, SET_LAYOUT(a, CUBLASLT_MATRIX_LAYOUT_LD, int64_t, 3))                                                  \
    X(ld_small_of_d, SET_LAYOUT(d, CUBLASLT_MATRIX_LAYOUT_LD, int64_t, 3))                                             \
    X(k_differs, SET_LAYOUT(b, CUBLASLT_MATRIX_LAYOUT_ROWS, uint64_t, K - 1))                                          \
    X(m_differs, SET_LAYOUT(d, CUBLASLT_MATRIX_LAYOUT_ROWS, uint64_t, M - 1))                                          \
    X(c_differs, SET_LAYOUT(c, CUBLASLT_MATRIX_LAYOUT_COLS, uint64_t, N - 1))                                          \
    X(k_zero, SET_LAYOUT(a, CUBLASLT_MATRIX_LAYOUT_COLS, uint64_t, 0);                                                 \
      SET_LAYOUT(b, CUBLASLT_MATRIX_LAYOUT_ROWS, uint64_t, 0))                                                         \
    X(order_differs, SET_LAYOUT(c, CUBLASLT_MATRIX_LAYOUT_ORDER, int32_t, CUBLASLT_ORDER_ROW))                         \
    X(order_32, SET_LAYOUT(a, CUBLASLT_MATRIX_LAYOUT_ORDER, int32_t, CUBLASLT_ORDER_COL32);                            \
      SET_LAYOUT(a, CUBLASLT_MATRIX_LAYOUT_LD, int64_t, 1))                                                            \
    X(batch_differs, SET_LAYOUT(a, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, int32_t, 2))                                    \
    X(batch_in_one_place, SET_ALL(CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, int32_t, 2))                                     \
    X(in_place_elsewhere, valid.c = valid.d)                                                                           \
    X(pedantic, SET_DESC(CUBLASLT_MATMUL_DESC_COMPUTE_TYPE, int32_t, CUBLAS_COMPUTE_32F_PEDANTIC))                     \
    X(fast_16f, SET_DESC(CUBLASLT_MATMUL_DESC_COMPUTE_TYPE, int32_t, CUBLAS_COMPUTE_32F_FAST_16F))                     \
    X(op_c, SET_DESC(CUBLASLT_MATMUL_DESC_TRANSC, int32_t, CUBLAS_OP_T))                                               \
    X(lower, SET_DESC(CUBLASLT_MATMUL_DESC_FILL_MODE, int32_t, CUBLAS_FILL_MODE_LOWER))                                \
    X(vector_of_alphas, SET_DESC(CUBLASLT_MATMUL_DESC_POINTER_MODE, int32_t, CUBLASLT_POINTER_MODE_DEVICE_VECTOR))     \
    X(relu_aux, SET_DESC(CUBLASLT_MATMUL_DESC_EPILOGUE, uint32_t, CUBLASLT_EPILOGUE_RELU_AUX))                         \
    X(gelu_aux_bias, SET_DESC(CUBLASLT_MATMUL_DESC_EPILOGUE, uint32_t, CUBLASLT_EPILOGUE_GELU_AUX_BIAS))               \
    X(drelu, SET_DESC(CUBLASLT_MATMUL_DESC_EPILOGUE, uint32_t, CUBLASLT_EPILOGUE_DRELU))                               \
    X(bias_gradient, SET_DESC(CUBLASLT_MATMUL_DESC_EPILOGUE, uint32_t, CUBLASLT_EPILOGUE_BGRADA))                      \
    X(bias_null, SET_DESC(CUBLASLT_MATMUL_DESC_EPILOGUE, uint32_t, CUBLASLT_EPILOGUE_BIAS))                            \
    X(bias_half, SET_DESC(CUBLASLT_MATMUL_DESC_EPILOGUE, uint32_t, CUBLASLT_EPILOGUE_BIAS);                            \
      SET_DESC(CUBLASLT_MATMUL_DESC_BIAS_POINTER, void *, memory);                                                     \
      SET_DESC(CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, int32_t, CUDA_R_16F))                                              \
    X(scale_a, SET_DESC(CUBLASLT_MATMUL_DESC_A_SCALE_POINTER, void *, memory))                                         \
    X(scale_d, SET_DESC(CUBLASLT_MATMUL_DESC_D_SCALE_POINTER, void *, memory))                                         \
    X(amax_d, SET_DESC(CUBLASLT_MATMUL_DESC_AMAX_D_POINTER, void *, memory))                                           \
    X(scale_mode, SET_DESC(31, int32_t, 1))                                                                            \
    X(scale_mode_of_b, SET_DESC(32, int32_t, 1))                                                                       \
    X(scale_mode_of_c, SET_DESC(33, int32_t, 1))                                                                       \
    X(scale_mode_of_d, SET_DESC(34, int32_t, 1))                                                                       \
    X(scale_mode_of_out, SET_DESC(37, int32_t, 1))                                                                     \
    X(scale_b, SET_DESC(CUBLASLT_MATMUL_DESC_B_SCALE_POINTER, void *, memory))                                         \
    X(scale_c, SET_DESC(CUBLASLT_MATMUL_DESC_C_SCALE_POINTER, void *, memory))                                         \
    X(scale_out, SET_DESC(36, void *, memory))                                                                         \
    X(emulation, SET_DESC(38, void *, memory))                                                                         \
    X(fast_sums, SET_DESC(CUBLASLT_MATMUL_DESC_FAST_ACCUM, int8_t, 1))

#define SPOILER(name, change)                                                                                          \
    static void test_##name(void **state) {                                                                            \
        (void)state;                                                                                                   \
        const struct call before = valid;                                                                              \
        change;                                                                                                        \
        check_forwarding(&valid);                                                                                      \
        valid = before;                                                                                                \
    }
SPOILERS(SPOILER)

/* What is ours: the valid call, and what does not matter about it. */
static void test_served(void **state) {
    (void)state;
    check_served(&valid);
    SET_DESC(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, void *, memory); /* of no epilogue here */
    check_served(&valid);
    valid.beta = &zero, valid.c = NULL;
    check_served(&valid);
    valid.workspace = NULL, valid.workspace_bytes = 0;
    check_served(&valid);
}

/* The handle of cuBLAS serves as cublasLt's; one that nobody has made, or that is gone, is cuBLAS's to refuse. */
static void test_handles(void **state) {
    (void)state;
    cublasHandle_t cublas;
    cublasLtHandle_t gone;
    assert_int_equal(cublasCreate(&cublas), CUBLAS_STATUS_SUCCESS);
    valid.handle = (cublasLtHandle_t)(void *)cublas;
    check_served(&valid);
    assert_int_equal(cublasDestroy(cublas), CUBLAS_STATUS_SUCCESS);
    check_forwarding(&valid);
    assert_int_equal(cublasLtCreate(&gone), CUBLAS_STATUS_SUCCESS);
    valid.handle = gone;
    check_served(&valid);
    assert_int_equal(cublasLtDestroy(gone), CUBLAS_STATUS_SUCCESS);
    check_forwarding(&valid);
    assert_int_equal(cublasLtDestroy(gone), CUBLAS_STATUS_NOT_INITIALIZED);
    valid.handle = handle;
}

static uint64_t attributes_for(const struct call *x) {
    const uint64_t before = fgsim_cublaslt_attributes_read();
    check_served(x);
    return fgsim_cublaslt_attributes_read() - before;
}

/*
 * Attributes are read from where this copy keeps them, and asked for where that is not known: of a copy that keeps them
 * otherwise (FASTGEMM_SIM_LT), or of a descriptor of another version. The spoilers above hold for either.
 */
static void test_attributes(void **state) {
    (void)state;
    const bool known = !getenv("FASTGEMM_SIM_LT");
    check_served(&valid); /* learns */
    const uint64_t read = attributes_for(&valid);
    if (known) assert_int_equal(read, 0);
    if (!known) assert_true(read > 40);
    valid.desc->data[0] ^= 1;
    assert_true(attributes_for(&valid) > 40);
    valid.desc->data[0] ^= 1;
    SET_DESC(CUBLASLT_MATMUL_DESC_EPILOGUE, uint32_t, CUBLASLT_EPILOGUE_RELU_BIAS);
    SET_DESC(CUBLASLT_MATMUL_DESC_BIAS_POINTER, void *, memory);
    assert_int_equal(attributes_for(&valid), read);
    SET_DESC(CUBLASLT_MATMUL_DESC_BIAS_POINTER, void *, NULL);
    check_forwarding(&valid);
}

static int start(void **state) {
    (void)state;
    void *library = dlopen("libcublasLt.so.13", RTLD_NOLOAD | RTLD_LAZY);
    if (!library || cudaMalloc((void **)&memory, 4 * FLOATS * sizeof(float)) || cudaMalloc(&workspace, WORKSPACE))
        return -1;
    cudaMemset(memory, 0, 4 * FLOATS * sizeof(float));
    *(void **)&real_matmul = dlsym(library, "cublasLtMatmul");
    if (!real_matmul || real_matmul == cublasLtMatmul || cudaStreamCreate(&stream)) return -1;
    return cublasLtCreate(&handle) == CUBLAS_STATUS_SUCCESS ? 0 : -1;
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_call, drop_call)
    const struct CMUnitTest tests[] = {TEST(test_served), TEST(test_handles), TEST(test_attributes),
#define SPOILER_TEST(name, change) TEST(test_##name),
                                       SPOILERS(SPOILER_TEST)
#undef SPOILER_TEST
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
