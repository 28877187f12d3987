/*
 * The doors of cublasLt: its product, and the making and ending of its handles, which tell the copy that a handle
 * belongs to. A cuBLAS handle may be passed for a cublasLt one. cuBLAS API reference, "Using the cuBLASLt API".
 *
 * Frameworks always name an algorithm that cublasLtMatmulAlgoGetHeuristic gave them. It chooses among cuBLAS's kernels
 * and promises no bits across versions or chips, so a product that names one is served like any other. Whether it is
 * one is not looked into, but for one that is all zero, as a heuristic leaves it that found none: cuBLAS answers that.
 */
#include "device_traits.h"
#include "lt_call.h"
#include "scratch.h"
#include "settings.h"

#define CALLER() __builtin_extract_return_addr(__builtin_return_address(0))

/* The two kinds of handle never have the same address, so one table holds both. */
static cublasHandle_t key_of(cublasLtHandle_t handle) {
    return (cublasHandle_t)(void *)handle;
}

static struct handle_view find(cublasLtHandle_t handle, const void *caller) {
    struct handle_view view = handle_state_known(key_of(handle));
    if (view.real && view.real->cublasLtMatmul) return view;
    return (struct handle_view){.real = real_cublaslt_for(caller)};
}

cublasStatus_t cublasLtCreate(cublasLtHandle_t *handle) {
    const struct real_cublas *real = real_cublaslt_for(CALLER());
    if (!real || !real->cublasLtCreate) return CUBLAS_STATUS_NOT_INITIALIZED;
    cublasStatus_t status = real->cublasLtCreate(handle);
    if (status != CUBLAS_STATUS_SUCCESS) return status;
    handle_state_created(key_of(*handle), real, settings()->toggles.enabled ? device_current() : DEVICE_UNKNOWN);
    return status;
}

/* Forgotten first: once it is destroyed, another thread may be given the same address. */
cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
    const struct handle_view view = find(handle, CALLER());
    if (!view.real || !view.real->cublasLtDestroy) return CUBLAS_STATUS_NOT_INITIALIZED;
    struct handle_scratch *kept = handle_state_forget(key_of(handle));
    cublasStatus_t status = view.real->cublasLtDestroy(handle);
    scratch_drop(kept);
    return status;
}

static bool is_blank(const cublasLtMatmulAlgo_t *algo) {
    uint64_t set = 0;
    for (size_t i = 0; i < sizeof algo->data / sizeof *algo->data; i++) set |= algo->data[i];
    return !set;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, const void *alpha, const void *A,
                              cublasLtMatrixLayout_t layout_a, const void *B, cublasLtMatrixLayout_t layout_b,
                              const void *beta, const void *C, cublasLtMatrixLayout_t layout_c, void *D,
                              cublasLtMatrixLayout_t layout_d, const cublasLtMatmulAlgo_t *algo, void *workspace,
                              size_t workspace_bytes, cudaStream_t stream) {
    const struct handle_view view = find(handle, CALLER());
    if (!view.real || !view.real->cublasLtMatmul) return CUBLAS_STATUS_NOT_INITIALIZED;
    const struct toggles *toggles = &settings()->toggles;
    if (toggles->enabled) {
        struct lt_part part = {0};
        struct gemm_call call = {.entry = __func__, .handle = key_of(handle)};
        const struct lt_arguments arguments = {.desc = desc,
                                               .alpha = alpha,
                                               .a = A,
                                               .b = B,
                                               .beta = beta,
                                               .c = C,
                                               .d = D,
                                               .layout_a = layout_a,
                                               .layout_b = layout_b,
                                               .layout_c = layout_c,
                                               .layout_d = layout_d,
                                               .workspace = {workspace, workspace_bytes},
                                               .stream = stream};
        const bool asked = lt_call_describe(&call, &part, &arguments, view, toggles);
        /* A handle that nobody has made, for all we know; or no algorithm. */
        if (!view.state || (algo && is_blank(algo))) call.refused = REASON_invalid;
        if (asked && dispatch(&call, view)) return CUBLAS_STATUS_SUCCESS;
    }
    return view.real->cublasLtMatmul(handle, desc, alpha, A, layout_a, B, layout_b, beta, C, layout_c, D, layout_d,
                                     algo, workspace, workspace_bytes, stream);
}
