/* The road of one call. */
#include "dispatch.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include <cuda_runtime_api.h>

#include "../kernels/launch.h"
#include "../policy/cost.h"
#include "../policy/plan.h"
#include "../policy/profile.h"
#include "device_traits.h"
#include "handle_state.h"
#include "report.h"
#include "scratch.h"

static struct toggles toggles;

static void complain(void *context, const char *line) {
    (void)context;
    report_line(&toggles, line);
}

static void read_toggles(void) { toggles_parse(&toggles, environ, complain, NULL); }

static const struct toggles *settings(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, read_toggles);
    return &toggles;
}

/* What the compile-time words of the call say; the handle's modes come later. */
static enum gemm_reason guard_call(const struct gemm_call *c) {
    if (!c->handle || !c->alpha || !c->beta || !c->c) return REASON_invalid;
    if (c->op_a < CUBLAS_OP_N || c->op_a > CUBLAS_OP_C || c->op_b < CUBLAS_OP_N || c->op_b > CUBLAS_OP_C)
        return REASON_invalid;
    if (c->type_a != CUDA_R_32F || c->type_b != CUDA_R_32F || c->type_c != CUDA_R_32F) return REASON_not_fp32;
    if (!c->has_compute || c->compute == CUBLAS_COMPUTE_32F) return REASON_routed;
    if (c->compute == CUBLAS_COMPUTE_32F_PEDANTIC) return REASON_pedantic;
    if (c->compute == CUBLAS_COMPUTE_32F_FAST_TF32) return REASON_tf32_allowed;
    return REASON_math_mode;
}

static enum gemm_reason guard_modes(const struct handle_modes *modes) {
    if (modes->pointer_mode != CUBLAS_POINTER_MODE_HOST && modes->pointer_mode != CUBLAS_POINTER_MODE_DEVICE)
        return REASON_pointer_mode;
    if (modes->math_mode & CUBLAS_PEDANTIC_MATH) return REASON_pedantic;
    if (modes->math_mode == CUBLAS_TF32_TENSOR_OP_MATH) return REASON_tf32_allowed;
    return modes->math_mode == CUBLAS_DEFAULT_MATH ? REASON_routed : REASON_math_mode;
}

static enum gemm_scalar scalar_of(const void *scalar, bool on_device) {
    if (on_device) return SCALAR_DEVICE;
    float value = *(const float *)scalar;
    return value == 0.0f ? SCALAR_ZERO : value == 1.0f ? SCALAR_ONE : SCALAR_OTHER;
}

static void describe(struct gemm_problem *p, const struct gemm_call *c) {
    memset(p, 0, sizeof *p);
    p->op_a = c->op_a == CUBLAS_OP_N ? GEMM_OP_N : GEMM_OP_T;
    p->op_b = c->op_b == CUBLAS_OP_N ? GEMM_OP_N : GEMM_OP_T;
    p->m = c->m, p->n = c->n, p->k = c->k, p->batch = c->batch;
    p->lda = c->lda, p->ldb = c->ldb, p->ldc = p->ldd = c->ldc;
    p->stride_a = c->stride_a, p->stride_b = c->stride_b, p->stride_c = p->stride_d = c->stride_c;
    p->align_a = gemm_alignment(c->a), p->align_b = gemm_alignment(c->b);
    p->contract = CONTRACT_FP32;
}

static void fill_args(struct gemm_args *args, const struct gemm_call *c, const struct gemm_problem *p,
                      const struct gemm_plan *plan, bool device_scalars, float *partial) {
    *args = (struct gemm_args){
        .a = c->a, .b = c->b, .c = c->c, .d = c->c, .partial = plan->split_k > 1 ? partial : NULL,
        .lda = p->lda, .ldb = p->ldb, .ldc = p->ldc, .ldd = p->ldd,
        .stride_a = p->stride_a, .stride_b = p->stride_b, .stride_c = p->stride_c, .stride_d = p->stride_d,
        .ld_partial = gemm_split_ld(p), .m = (int)p->m, .n = (int)p->n, .k = (int)p->k, .batch = (int)p->batch,
        .splits = plan->split_k, .k_per_split = (int)p->k, .raster = plan->raster,
    };
    if (plan->split_k > 1) args->k_per_split = (int)gemm_split_slice(p, plan->variant, plan->split_k);
    args->tiles_m = (args->m + plan->variant->bm - 1) / plan->variant->bm;
    args->tiles_n = (args->n + plan->variant->bn - 1) / plan->variant->bn;
    if (device_scalars)
        args->alpha_ptr = c->alpha, args->beta_ptr = c->beta;
    else
        args->alpha = *(const float *)c->alpha, args->beta = *(const float *)c->beta;
}

static enum gemm_reason run(const struct gemm_call *c, const struct gemm_problem *p, const struct gemm_plan *plan,
                            const struct handle_modes *modes, const struct workspace *workspace) {
    struct scratch scratch = {0};
    if (plan->scratch_bytes) {
        scratch = scratch_take(workspace, plan->scratch_bytes, modes->stream);
        if (!scratch.address) return REASON_no_scratch;
    }
    struct gemm_args args;
    fill_args(&args, c, p, plan, modes->pointer_mode == CUBLAS_POINTER_MODE_DEVICE, scratch.address);
    int error = gemm_launch(plan->variant, gemm_loader_a(p), gemm_loader_b(p), args, modes->stream);
    scratch_give(scratch, modes->stream);
    return error ? REASON_launch_failed : REASON_routed;
}

/* From the handle to a plan; the problem is described by then. */
static enum gemm_reason plan_call(const struct gemm_call *c, struct gemm_problem *p, const struct real_cublas *real,
                                  struct gemm_plan *plan) {
    struct handle_modes modes;
    enum gemm_reason reason = REASON_routed;
    if (!handle_state_modes(real, c->handle, &modes)) return REASON_invalid;
    reason = guard_modes(&modes);
    if (reason != REASON_routed) return reason;
    const struct gemm_device *device = device_traits_current(&reason);
    if (!device) return reason;
    enum cudaStreamCaptureStatus capture = cudaStreamCaptureStatusNone;
    if (cudaStreamIsCapturing(modes.stream, &capture) != cudaSuccess) {
        cudaGetLastError();
        return REASON_capture;
    }
    bool on_device = modes.pointer_mode == CUBLAS_POINTER_MODE_DEVICE;
    p->alpha = scalar_of(c->alpha, on_device);
    p->beta = scalar_of(c->beta, on_device);
    if (p->alpha == SCALAR_ZERO) return REASON_empty;
    struct gemm_device allowed = *device;
    if (modes.sm_count_target > 0 && modes.sm_count_target < allowed.sm_count)
        allowed.sm_count = modes.sm_count_target;
    struct workspace workspace = handle_state_get_workspace(c->handle);
    struct gemm_limits limits = {0};
    limits.capturing = capture != cudaStreamCaptureStatusNone;
    limits.scratch_bytes = scratch_limit(&workspace, limits.capturing, (int64_t)settings()->workspace_mb << 20);
    *plan = gemm_plan_make(p, &allowed, settings(), &limits);
    if (!plan->variant) return plan->reason;
    return run(c, p, plan, &modes, &workspace);
}

bool dispatch(const struct gemm_call *call, const struct real_cublas *real) {
    const struct toggles *t = settings();
    if (!t->enabled) return false;
    struct gemm_problem problem;
    struct gemm_plan plan = {0};
    describe(&problem, call);
    enum gemm_reason reason = guard_call(call);
    if (reason == REASON_routed && !gemm_problem_valid(&problem)) reason = REASON_invalid;
    if (reason == REASON_routed && (!problem.m || !problem.n || !problem.k || !problem.batch)) reason = REASON_empty;
    if (reason == REASON_routed && (!call->a || !call->b)) reason = REASON_invalid;
    if (reason == REASON_routed) reason = plan_call(call, &problem, real, &plan);
    plan.reason = reason;
    if (reason != REASON_routed) plan.variant = NULL;
    report_call(t, call->entry, &problem, &plan);
    return reason == REASON_routed;
}
