/*
 * Products that the library's own choice forwards, seen from a linked program: from the second on, cuBLAS is asked
 * nothing before it is given the call. What differs in anything that counts is looked at anew.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <cublasLt.h>
#include <cuda_runtime_api.h>

#include "routed.h"
#include "sim_api.h"

enum { SQUARE = 376, NARROW = 64, HUGE_K = 1 << 15, ASKED = 1, NOT_ASKED = 0 };

static const float one = 1, zero = 0;

static cublasHandle_t new_handle(void) {
    cublasHandle_t made;
    assert_int_equal(cublasCreate_v2(&made), CUBLAS_STATUS_SUCCESS);
    return made;
}

/* Forwarded, after questions to cuBLAS or without. */
static void check_forwarded_by(const struct door *door, const struct door_call *call, int asked) {
    fgsim_reset();
    fgsim_cublas_reset();
    const uint64_t before = fgsim_cublas_settings_read();
    assert_int_equal(door->call(door->linked, call), CUBLAS_STATUS_SUCCESS);
    assert_int_equal(fgsim_cublas_settings_read() > before, asked);
    assert_int_equal(fgsim_cublas_calls(NULL, 0), 1);
    assert_int_equal(fgsim_launches("sgemm_"), 0);
}

static void check_forwarded(const struct door_call *call, int asked) {
    check_forwarded_by(&doors[0], call, asked);
}

static void check_ours(const struct door_call *call) {
    fgsim_reset();
    fgsim_cublas_reset();
    assert_int_equal(doors[0].call(doors[0].linked, call), CUBLAS_STATUS_SUCCESS);
    assert_int_equal(fgsim_cublas_calls(NULL, 0), 0);
    assert_int_equal(fgsim_launches("sgemm_"), 1);
}

static void test_forwarded_at_once(void **state) {
    (void)state;
    struct door_call call = product_of(new_handle(), SQUARE, SQUARE, SQUARE);
    check_forwarded(&call, ASKED);
    check_forwarded(&call, NOT_ASKED);
    call.beta = &zero; /* whatever the scalars */
    check_forwarded(&call, NOT_ASKED);
    call.op_a = CUBLAS_OP_T;
    check_forwarded(&call, ASKED);
    check_forwarded(&call, NOT_ASKED);
    call.op_a = CUBLAS_OP_N;
    int64_t *const sizes[] = {&call.m, &call.n, &call.k};
    for (int i = 0; i < 3; i++) {
        --*sizes[i];
        check_forwarded(&call, ASKED);
        check_forwarded(&call, NOT_ASKED);
        ++*sizes[i];
    }
    call.handle = new_handle(); /* the same device: what holds for one handle holds for the other */
    check_forwarded(&call, NOT_ASKED);
    assert_int_equal(cublasDestroy_v2(call.handle), CUBLAS_STATUS_SUCCESS);
    release(&call);
}

/* Matrices that lie otherwise are another product. */
static void test_strides_of_a_batch(void **state) {
    (void)state;
    const struct door *door = doors;
    while (!door->batch || door->pointers) door++;
    struct door_call call = product_of(new_handle(), SQUARE, SQUARE, SQUARE);
    int64_t *const strides[] = {&call.stride_a, &call.stride_b, &call.stride_c};
    check_forwarded_by(door, &call, ASKED);
    check_forwarded_by(door, &call, NOT_ASKED);
    for (int i = 0; i < 3; i++) {
        *strides[i] -= 4; /* those of C then overlap, which cuBLAS does not look at */
        check_forwarded_by(door, &call, ASKED);
        check_forwarded_by(door, &call, NOT_ASKED);
        *strides[i] += 4;
    }
    assert_int_equal(cublasDestroy_v2(call.handle), CUBLAS_STATUS_SUCCESS);
    release(&call);
}

/* A math mode that is cuBLAS's is so while it is set. */
static void test_math_mode(void **state) {
    (void)state;
    struct door_call call = product_of(new_handle(), NARROW, NARROW / 2, HUGE_K);
    call.beta = &zero, call.alpha = &one;
    check_ours(&call);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(cublasSetMathMode(call.handle, CUBLAS_PEDANTIC_MATH), CUBLAS_STATUS_SUCCESS);
        for (int i = 0; i < 2; i++) check_forwarded(&call, NOT_ASKED);
        assert_int_equal(cublasSetMathMode(call.handle, CUBLAS_DEFAULT_MATH), CUBLAS_STATUS_SUCCESS);
        check_ours(&call);
    }
    check_result(&call, 1);
    assert_int_equal(cublasDestroy_v2(call.handle), CUBLAS_STATUS_SUCCESS);
    release(&call);
}

/* What one call does not say, another's verdict does not say for it. */
static void test_others_are_looked_at(void **state) {
    (void)state;
    struct door_call ours = product_of(new_handle(), NARROW, NARROW / 2, HUGE_K);
    struct door_call theirs = product_of(ours.handle, SQUARE, SQUARE, SQUARE);
    ours.beta = &zero, ours.alpha = &one;
    for (int i = 0; i < 2; i++) {
        check_forwarded(&theirs, NOT_ASKED);
        check_ours(&ours);
    }
    check_result(&ours, 1);
    assert_int_equal(cublasDestroy_v2(ours.handle), CUBLAS_STATUS_SUCCESS);
    release(&ours);
    release(&theirs);
}

/* ---- cublasLt ---- */

struct lt_product {
    cublasLtHandle_t handle;
    cublasLtMatmulDesc_t desc;
    cublasLtMatrixLayout_t a, b, d;
    float *memory;
};

static void set_size(cublasLtMatrixLayout_t layout, uint64_t rows, uint64_t cols) {
    const int64_t ld = (int64_t)rows;
    assert_int_equal(cublasLtMatrixLayoutSetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_ROWS, &rows, sizeof rows), 0);
    assert_int_equal(cublasLtMatrixLayoutSetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_COLS, &cols, sizeof cols), 0);
    assert_int_equal(cublasLtMatrixLayoutSetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_LD, &ld, sizeof ld), 0);
}

/* Whether it ran here. */
static int lt_runs_here(const struct lt_product *p, void *workspace, size_t bytes) {
    fgsim_reset();
    fgsim_cublaslt_reset();
    assert_int_equal(cublasLtMatmul(p->handle, p->desc, &one, p->memory, p->a, p->memory, p->b, &zero, p->memory, p->d,
                                    p->memory + (1 << 22), p->d, NULL, workspace, bytes, NULL),
                     CUBLAS_STATUS_SUCCESS);
    const int ours = (int)fgsim_launches("sgemm_");
    assert_int_equal(fgsim_cublaslt_calls(NULL, 0), !ours);
    return ours;
}

/* The same descriptors, with other sizes. */
static int lt_is_ours(const struct lt_product *p, uint64_t m, uint64_t n, uint64_t k) {
    set_size(p->a, m, k), set_size(p->b, k, n), set_size(p->d, m, n);
    return lt_runs_here(p, NULL, 0);
}

static struct lt_product new_lt_product(void) {
    struct lt_product p = {.memory = device_floats(1 << 23)};
    cublasLtMatrixLayout_t *const layouts[] = {&p.a, &p.b, &p.d};
    cudaMemset(p.memory, 0, sizeof(float) << 23);
    assert_int_equal(cublasLtCreate(&p.handle), CUBLAS_STATUS_SUCCESS);
    assert_int_equal(cublasLtMatmulDescCreate(&p.desc, CUBLAS_COMPUTE_32F, CUDA_R_32F), CUBLAS_STATUS_SUCCESS);
    for (int i = 0; i < 3; i++)
        assert_int_equal(cublasLtMatrixLayoutCreate(layouts[i], CUDA_R_32F, 1, 1, 1), CUBLAS_STATUS_SUCCESS);
    return p;
}

static void drop_lt_product(const struct lt_product *p) {
    const cublasLtMatrixLayout_t layouts[] = {p->a, p->b, p->d};
    for (int i = 0; i < 3; i++) cublasLtMatrixLayoutDestroy(layouts[i]);
    cublasLtMatmulDescDestroy(p->desc);
    assert_int_equal(cublasLtDestroy(p->handle), CUBLAS_STATUS_SUCCESS);
    cudaFree(p->memory);
}

/* A verdict is about what the descriptors say at the call, wherever and whenever they were made. */
static void test_lt(void **state) {
    (void)state;
    const int32_t row = CUBLASLT_ORDER_ROW, column = CUBLASLT_ORDER_COL;
    struct lt_product p = new_lt_product();
    for (int round = 0; round < 2; round++) {
        assert_int_equal(lt_is_ours(&p, SQUARE, SQUARE, SQUARE), 0);
        assert_int_equal(lt_is_ours(&p, NARROW, NARROW / 2, HUGE_K), 1);
    }
    for (int i = 0; i < 2; i++) { /* D' = B' A' */
        assert_int_equal(cublasLtMatrixLayoutSetAttribute(p.d, CUBLASLT_MATRIX_LAYOUT_ORDER, &row, sizeof row), 0);
        assert_int_equal(lt_is_ours(&p, SQUARE, SQUARE, SQUARE), 0);
        assert_int_equal(cublasLtMatrixLayoutSetAttribute(p.d, CUBLASLT_MATRIX_LAYOUT_ORDER, &column, sizeof row), 0);
        assert_int_equal(lt_is_ours(&p, NARROW, NARROW / 2, HUGE_K), 1);
    }
    drop_lt_product(&p);
}

/* What the heuristic says that a product needs, of the most that the caller would bring. */
static size_t workspace_wanted(const struct lt_product *p, int algorithms, uint64_t most) {
    cublasLtMatmulPreference_t preference;
    cublasLtMatmulHeuristicResult_t results[4];
    int found = 0;
    assert_int_equal(cublasLtMatmulPreferenceCreate(&preference), CUBLAS_STATUS_SUCCESS);
    assert_int_equal(
        cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &most, sizeof most),
        CUBLAS_STATUS_SUCCESS);
    assert_int_equal(cublasLtMatmulAlgoGetHeuristic(p->handle, p->desc, p->a, p->b, p->d, p->d, preference, algorithms,
                                                    results, &found),
                     CUBLAS_STATUS_SUCCESS);
    assert_int_equal(found, 1);
    cublasLtMatmulPreferenceDestroy(preference);
    return results[0].workspaceSize;
}

/*
 * Who asks for several algorithms, to time them, is told what workspace a split here would use; and has it only from
 * there, so that a product that is captured later runs where it ran when it was timed.
 */
static void test_lt_tuned(void **state) {
    (void)state;
    enum { MOST = 16 << 20 };
    struct lt_product p = new_lt_product();
    float *workspace = device_floats(MOST / sizeof(float));
    assert_int_equal(lt_is_ours(&p, NARROW, NARROW / 2, HUGE_K), 1);
    assert_int_equal(workspace_wanted(&p, 1, MOST), 0); /* no tuner */
    assert_int_equal(lt_is_ours(&p, NARROW, NARROW / 2, HUGE_K), 1);
    const size_t wanted = workspace_wanted(&p, 4, MOST);
    assert_true(wanted > 0 && wanted <= MOST);
    assert_int_equal(lt_runs_here(&p, workspace, wanted), 1);
    assert_int_equal(fgsim_launches("splitk_reduce"), 1);
    assert_int_equal(lt_runs_here(&p, NULL, 0), 0);
    assert_int_equal(workspace_wanted(&p, 4, 0), 0);
    assert_int_equal(lt_is_ours(&p, SQUARE, SQUARE, SQUARE), 0);
    assert_int_equal(workspace_wanted(&p, 4, MOST), 0); /* a product that is cuBLAS's */
    drop_lt_product(&p);
    cudaFree(workspace);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forwarded_at_once),
        cmocka_unit_test(test_strides_of_a_batch),
        cmocka_unit_test(test_math_mode),
        cmocka_unit_test(test_others_are_looked_at),
        cmocka_unit_test(test_lt),
        cmocka_unit_test(test_lt_tuned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
