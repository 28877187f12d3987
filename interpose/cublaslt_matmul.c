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

/* All that is not forwarded at sight; apart, so that what is has less code to fetch. */
__attribute__((noinline)) static bool serve(cublasLtHandle_t handle, const struct lt_arguments *arguments,
                                            const cublasLtMatmulAlgo_t *algo, struct handle_view view,
                                            uint64_t fingerprint) {
    struct lt_part part = {.fingerprint = fingerprint};
    struct gemm_call call = {.entry = "cublasLtMatmul", .handle = key_of(handle)};
    lt_call_describe(&call, &part, arguments, view.real);
    /* A handle that nobody has made, for all we know; or no algorithm. */
    if (!view.state || (algo && is_blank(algo))) call.refused = REASON_invalid;
    return dispatch(&call, view);
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
        uint64_t fingerprint;
        if (!lt_call_is_forwarded(&arguments, view, toggles, &fingerprint) &&
            serve(handle, &arguments, algo, view, fingerprint))
            return CUBLAS_STATUS_SUCCESS;
    }
    return view.real->cublasLtMatmul(handle, desc, alpha, A, layout_a, B, layout_b, beta, C, layout_c, D, layout_d,
                                     algo, workspace, workspace_bytes, stream);
}

/* ---- who tunes ---- */

static size_t most_workspace(const struct real_cublas *real, cublasLtMatmulPreference_t preference) {
    uint64_t most = 0;
    size_t written = 0;
    const bool known =
        real->cublasLtMatmulPreferenceGetAttribute &&
        real->cublasLtMatmulPreferenceGetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &most,
                                                   sizeof most, &written) == CUBLAS_STATUS_SUCCESS;
    return known ? most : 0;
}

/*
 * XLA asks for all the algorithms there are, times each, and from then on brings the workspace that the quickest was
 * said to need. Of what it allows, it is told to bring what a kernel of ours would use; it could not have it otherwise
 * when the product is captured, where cuBLAS would then run an algorithm that was chosen by the time of our kernels.
 */
static void ask_for_workspace(const struct lt_arguments *arguments, struct handle_view view, size_t most,
                              cublasLtMatmulHeuristicResult_t *results, int count) {
    struct lt_part part = {0};
    struct gemm_call call = {.entry = __func__, .handle = (cublasHandle_t)(void *)view.state};
    lt_call_describe(&call, &part, arguments, view.real);
    const size_t bytes = dispatch_workspace(&call, view, most);
    for (int i = 0; i < count; i++)
        if (results[i].state == CUBLAS_STATUS_SUCCESS && results[i].workspaceSize < bytes)
            results[i].workspaceSize = bytes;
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc,
                                              cublasLtMatrixLayout_t layout_a, cublasLtMatrixLayout_t layout_b,
                                              cublasLtMatrixLayout_t layout_c, cublasLtMatrixLayout_t layout_d,
                                              cublasLtMatmulPreference_t preference, int wanted,
                                              cublasLtMatmulHeuristicResult_t *results, int *found) {
    static const float one = 1, zero = 0;
    static _Alignas(16) char data; /* stands for the operands' */
    const struct handle_view view = find(handle, CALLER());
    if (!view.real || !view.real->cublasLtMatmulAlgoGetHeuristic) return CUBLAS_STATUS_NOT_INITIALIZED;
    const cublasStatus_t status = view.real->cublasLtMatmulAlgoGetHeuristic(
        handle, desc, layout_a, layout_b, layout_c, layout_d, preference, wanted, results, found);
    if (status != CUBLAS_STATUS_SUCCESS || wanted <= 1 || !view.state || !settings()->toggles.enabled) return status;
    handle_state_set_tunes(view.state);
    const struct lt_arguments arguments = {.desc = desc,
                                           .alpha = &one,
                                           .a = &data,
                                           .b = &data,
                                           .beta = &zero,
                                           .c = &data,
                                           .d = &data,
                                           .layout_a = layout_a,
                                           .layout_b = layout_b,
                                           .layout_c = layout_c,
                                           .layout_d = layout_d,
                                           .only_planned = true};
    const size_t most = most_workspace(view.real, preference);
    if (most) ask_for_workspace(&arguments, view, most, results, *found);
    return status;
}
