/* The road of one call. The cheapest questions come first, so that a call that is forwarded loses little. */
#include "dispatch.h"

#include <stdlib.h>
#include <string.h>

#include <cuda_runtime_api.h>

#include "../kernels/driver.h"
#include "../kernels/launch.h"
#include "../policy/measured.h"
#include "../policy/plan_args.h"
#include "../policy/profile.h"
#include "contract.h"
#include "cuda_use.h"
#include "device_traits.h"
#include "plan_cache.h"
#include "report.h"
#include "scratch.h"
#include "scratch_pool.h"
#include "settings.h"
#include "verdicts.h"

/* What the words of the call say; the handle's modes come later. */
static enum gemm_reason guard_call(const struct gemm_call *c) {
    if (c->refused != REASON_routed) return c->refused;
    if (!c->handle || !c->alpha || !c->beta || !c->c) return REASON_invalid;
    if (c->op_a < CUBLAS_OP_N || c->op_a > CUBLAS_OP_C || c->op_b < CUBLAS_OP_N || c->op_b > CUBLAS_OP_C)
        return REASON_invalid;
    return contract_of_call(c);
}

static void describe(struct gemm_problem *p, const struct gemm_call *c) {
    memset(p, 0, sizeof *p); /* problems are compared as bytes */
    p->op_a = c->op_a == CUBLAS_OP_N ? GEMM_OP_N : GEMM_OP_T;
    p->op_b = c->op_b == CUBLAS_OP_N ? GEMM_OP_N : GEMM_OP_T;
    p->m = c->m, p->n = c->n, p->k = c->k, p->batch = c->batch;
    p->lda = c->lda, p->ldb = c->ldb, p->ldc = p->ldd = c->ldc;
    p->stride_a = c->stride_a, p->stride_b = c->stride_b, p->stride_c = p->stride_d = c->stride_c;
    p->pointer_array = c->pointer_array;
    p->align_a = p->align_b = 4; /* of pointers on the device nothing is known */
    if (!c->pointer_array) p->align_a = gemm_alignment(c->a), p->align_b = gemm_alignment(c->b);
    p->alpha = p->beta = SCALAR_OTHER; /* until the pointer mode is known */
    p->contract = CONTRACT_FP32;
    if (!c->lt) return;
    p->ldd = c->lt->ldd, p->stride_d = c->lt->stride_d;
    p->activation = c->lt->activation;
    p->bias = c->lt->bias != NULL;
}

static void *results_of(const struct gemm_call *c) {
    return c->lt ? c->lt->d : c->c;
}

static enum gemm_reason guard_problem(const struct gemm_problem *p, const struct gemm_call *c) {
    if (!gemm_problem_valid(p)) return REASON_invalid;
    if (!p->m || !p->n || !p->k || !p->batch) return REASON_empty;
    if (!c->a || !c->b) return REASON_invalid;
    const unsigned least = c->pointer_array ? sizeof(void *) : sizeof(float);
    if (gemm_alignment(c->a) < least || gemm_alignment(c->b) < least || gemm_alignment(c->c) < least)
        return REASON_invalid;
    if (c->lt && (gemm_alignment(c->lt->d) < 4 || gemm_alignment(c->lt->bias) < 4)) return REASON_invalid;
    const bool in_one_place = p->batch > 1 && !p->pointer_array && p->stride_d == 0;
    return in_one_place ? REASON_invalid : REASON_routed;
}

static enum gemm_scalar scalar_of(const void *scalar) {
    float value = *(const float *)scalar;
    return value == 0.0f ? SCALAR_ZERO : value == 1.0f ? SCALAR_ONE : SCALAR_OTHER;
}

static enum gemm_reason describe_scalars(struct gemm_problem *p, const struct gemm_call *c,
                                         const struct handle_modes *modes) {
    if (modes->pointer_mode == CUBLAS_POINTER_MODE_DEVICE) {
        p->alpha = p->beta = SCALAR_DEVICE;
        return REASON_routed;
    }
    if (modes->pointer_mode != CUBLAS_POINTER_MODE_HOST) return REASON_pointer_mode;
    p->alpha = scalar_of(c->alpha);
    p->beta = scalar_of(c->beta);
    return p->alpha == SCALAR_ZERO ? REASON_empty : REASON_routed;
}

static struct gemm_args fill_args(const struct gemm_call *c, const struct gemm_problem *p, const struct gemm_plan *plan,
                                  float *scratch) {
    struct gemm_args args = gemm_plan_args(p, plan);
    if (c->pointer_array)
        args.a_list = c->a, args.b_list = c->b, args.c_list = c->c, args.d_list = c->c;
    else
        args.a = c->a, args.b = c->b, args.c = c->c, args.d = results_of(c);
    if (c->lt) {
        args.bias = c->lt->bias, args.stride_bias = c->lt->stride_bias;
        args.activation = (int)c->lt->activation;
    }
    args.partial = plan->scratch_bytes ? scratch : NULL;
    if (p->alpha == SCALAR_DEVICE)
        args.alpha_ptr = c->alpha, args.beta_ptr = c->beta;
    else
        args.alpha = *(const float *)c->alpha, args.beta = *(const float *)c->beta;
    return args;
}

/* One device as the caller lets us use it, and the handle's place in it. */
struct place {
    struct gemm_device traits;
    int device;
    bool asked, capturing; /* the stream, into a graph: asked where the workspace does not suffice */
    bool tunes;            /* the handle's user: handle_state.h */
    struct handle_modes modes;
    struct workspace workspace;
    struct handle_state *state;
};

static enum gemm_reason find_place(struct place *place, const struct gemm_call *c, struct handle_view view) {
    enum gemm_reason reason = REASON_no_device;
    if (cuda_use_lost()) return reason;
    place->device = device_current();
    const struct gemm_device *traits = device_traits_of(place->device, &reason);
    if (!traits) return reason;
    cuda_use_note();
    int made_on = handle_state_device(view.state);
    if (made_on != DEVICE_UNKNOWN && made_on != place->device) return REASON_foreign_stream;
    place->traits = *traits;
    if (place->modes.sm_count_target > 0 && place->modes.sm_count_target < traits->sm_count)
        place->traits.sm_count = place->modes.sm_count_target;
    place->workspace = c->lt ? c->lt->workspace : handle_state_workspace(view.state);
    place->state = view.state;
    place->tunes = handle_state_record(view.state).tunes;
    return REASON_routed;
}

static enum gemm_reason ask_capture(struct place *place) {
    enum cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
    if (driver_capture_status(place->modes.stream, &status) != cudaSuccess) {
        cudaGetLastError(); /* not the program's error: it must not find it */
        return REASON_capture;
    }
    place->asked = true;
    place->capturing = status == cudaStreamCaptureStatusActive;
    return status == cudaStreamCaptureStatusInvalidated ? REASON_capture : REASON_routed;
}

/* A plan with fewer splits than it should have may be this much slower; beyond, no measurement speaks for it. */
static const double SLOWER_UNSPLIT = 1.05;

/*
 * A plan and what it may use are settled together. First as if there were all the scratch that the user allows: most
 * calls that are forwarded need no more, and the stream is asked only for those that run here and may allocate; others
 * are the same launches, captured or not. The workspace is used where it suffices, but does not change the plan: the
 * same call gets the same split, and the same bits, on every handle.
 */
static enum gemm_reason make_plan(struct gemm_plan *plan, const struct gemm_problem *p, struct place *place,
                                  const struct toggles *toggles, bool planned) {
    const int64_t allowed = scratch_limit(&place->workspace, (int64_t)toggles->workspace_mb << 20);
    struct gemm_limits limits = {.scratch_bytes = allowed, .planes_bytes = allowed};
    if (!planned) *plan = plan_cached(p, place->device, &place->traits, toggles, &limits);
    if (!plan->variant) return plan->reason;
    if (plan->scratch_bytes <= scratch_limit(&place->workspace, 0)) return REASON_routed;
    enum gemm_reason reason = ask_capture(place);
    if (reason != REASON_routed) return reason;
    /* Who tunes has to find every time what he found when he tried, captured or not. */
    const int64_t pool = place->capturing || place->tunes ? 0 : scratch_pool_bytes(place->device, allowed);
    const int64_t room = scratch_limit(&place->workspace, pool);
    if (plan->scratch_bytes <= room) return reason;
    limits.planes_bytes = room; /* there may be a kernel that needs none */
    *plan = plan_cached(p, place->device, &place->traits, toggles, &limits);
    if (!plan->variant || plan->scratch_bytes <= room) return plan->reason;
    const double with_scratch = plan->predicted_s;
    limits.scratch_bytes = room;
    *plan = plan_cached(p, place->device, &place->traits, toggles, &limits);
    if (!plan->variant || toggles->kernel >= 0) return plan->reason;
    return plan->predicted_s > SLOWER_UNSPLIT * with_scratch ? REASON_no_scratch : REASON_routed;
}

/* A workspace that would suffice may be another thread's at the moment: then more has to be known. */
static struct scratch take_scratch(struct place *place, int64_t bytes) {
    struct scratch_order order = {bytes, place->device, place->modes.stream, place->asked && !place->capturing};
    struct scratch scratch = scratch_take(place->state, &place->workspace, &order);
    if (scratch.address || place->asked || ask_capture(place) != REASON_routed) return scratch;
    order.allocates = !place->capturing;
    return scratch_take(place->state, &place->workspace, &order);
}

static enum gemm_reason run(const struct gemm_call *c, const struct gemm_problem *p, const struct gemm_plan *plan,
                            struct place *place) {
    struct scratch scratch = {0};
    if (plan->scratch_bytes) {
        scratch = take_scratch(place, plan->scratch_bytes);
        if (!scratch.address) return REASON_no_scratch;
    }
    struct gemm_args args = fill_args(c, p, plan, scratch.address);
    if (!args.ctas) args.ctas = place->traits.sm_count;
    int error = gemm_launch(plan->variant, gemm_loader_a(p), gemm_loader_b(p), args, place->modes.stream);
    if (plan->scratch_bytes) scratch_give(&scratch, place->modes.stream);
    return error ? REASON_launch_failed : REASON_routed;
}

/* One call on its way. */
struct road {
    const struct gemm_call *call;
    struct handle_view view;
    uint64_t fingerprint; /* verdicts.h */
    struct gemm_problem problem;
    struct gemm_plan plan;
    struct place place;
    struct handle_modes recorded; /* what refuse_by_record went by, where it made a plan */
    bool planned;
};

/* Whether a product that its plan forwards is forwarded whatever its scalars are: of them only a beta of 0 counts. */
static bool forwards_any_scalars(const struct gemm_problem *p, const struct gemm_device *traits,
                                 const struct gemm_limits *limits) {
    struct gemm_problem other = *p;
    other.beta = p->beta == SCALAR_ZERO ? SCALAR_OTHER : SCALAR_ZERO;
    return gemm_plan_make(&other, traits, &settings()->toggles, limits).variant == NULL;
}

/*
 * Refuses what needs no more than the handle's record to be refused, and keeps that verdict. A question to cuBLAS costs
 * tens of nanoseconds when its code has to be fetched first, and most calls that are forwarded need but one; only
 * cuBLAS's own answers let a call run here, so a setting that went past our doors does no harm.
 */
static enum gemm_reason refuse_by_record(struct road *r) {
    const struct toggles *toggles = &settings()->toggles;
    struct gemm_problem *p = &r->problem;
    struct handle_modes *modes = &r->place.modes;
    const struct handle_record record = handle_state_record(r->view.state);
    *modes = (struct handle_modes){.math_mode = (cublasMath_t)record.math_mode};
    if (r->call->lt) *modes = r->call->lt->modes;
    if (record.device == DEVICE_UNKNOWN || (!r->call->lt && record.math_mode == MATH_UNKNOWN) || cuda_use_lost())
        return REASON_routed;
    enum gemm_reason reason = contract_owed(r->call, modes, settings(), p);
    if (reason != REASON_routed) {
        verdict_keep_forward(r->fingerprint);
        return reason;
    }
    if (!r->call->lt && !handle_state_pointer_mode(r->view.real, r->call->handle, &modes->pointer_mode))
        return REASON_invalid;
    reason = describe_scalars(p, r->call, modes);
    const struct gemm_device *known = reason == REASON_routed ? device_traits_of(record.device, &reason) : NULL;
    if (!known) return reason;
    struct gemm_device traits = *known;
    if (modes->sm_count_target > 0 && modes->sm_count_target < traits.sm_count)
        traits.sm_count = modes->sm_count_target;
    const struct workspace workspace = r->call->lt ? r->call->lt->workspace : record.workspace;
    const int64_t allowed = scratch_limit(&workspace, (int64_t)toggles->workspace_mb << 20);
    const struct gemm_limits limits = {.scratch_bytes = allowed, .planes_bytes = allowed};
    const struct gemm_plan plan = plan_cached(p, record.device, &traits, toggles, &limits);
    if (!plan.variant && forwards_any_scalars(p, &traits, &limits)) verdict_keep_forward(r->fingerprint);
    r->plan = plan, r->recorded = *modes, r->planned = true;
    return plan.reason;
}

/* Whether cuBLAS answered what was recorded, and the call is on the handle's device: find_place saw to that. */
static bool plan_holds(const struct road *r) {
    const struct handle_modes *asked = &r->place.modes, *recorded = &r->recorded;
    return r->planned && asked->math_mode == recorded->math_mode && asked->sm_count_target == recorded->sm_count_target;
}

/* Everything but the launch. */
static enum gemm_reason settle(struct road *r) {
    struct gemm_problem *p = &r->problem;
    enum gemm_reason reason = guard_call(r->call);
    if (reason == REASON_routed) reason = guard_problem(p, r->call);
    if (reason != REASON_routed) return reason;
    if (settings()->toggles.kernel < 0 && measured_too_small(p->m, p->n, p->k, p->batch)) return REASON_too_small;
    reason = refuse_by_record(r);
    if (reason != REASON_routed) return reason;
    if (r->call->lt)
        r->place.modes = r->call->lt->modes;
    else if (!handle_state_modes(r->view.real, r->call->handle, &r->place.modes, r->planned))
        return REASON_invalid;
    reason = contract_owed(r->call, &r->place.modes, settings(), p);
    if (reason == REASON_routed) reason = describe_scalars(p, r->call, &r->place.modes);
    if (reason == REASON_routed) reason = find_place(&r->place, r->call, r->view);
    if (reason == REASON_routed) reason = make_plan(&r->plan, p, &r->place, &settings()->toggles, plan_holds(r));
    return reason;
}

static void set_out(struct road *r, const struct gemm_call *call, struct handle_view view, uint64_t fingerprint) {
    r->call = call;
    r->view = view;
    r->fingerprint = fingerprint;
    describe(&r->problem, call);
    r->plan = (struct gemm_plan){.profile = gemm_profile_of(&r->problem)};
    r->planned = r->place.asked = false;
}

/* Why a route was taken, for the log. */
static const char *support_of(const struct road *r) {
    const struct toggles *toggles = &settings()->toggles;
    if (toggles->log == LOG_OFF) return "";
    return toggles->kernel >= 0 ? "forced" : measured_source(&r->place.traits, r->plan.profile);
}

static void record(struct road *r, enum gemm_reason reason) {
    r->plan.reason = reason;
    if (reason != REASON_routed) r->plan.variant = NULL;
    report_call(&settings()->toggles, r->call, &r->problem, &r->plan, reason == REASON_routed ? support_of(r) : "");
}

/*
 * What most calls of a program are that does not use fp32, or small matrices: nothing more is looked at, unless for the
 * log. Between two calls the caches are the program's, and each line of code or data fetched costs tens of nanoseconds.
 */
static bool plainly_forwarded(const struct gemm_call *c) {
    if (c->type_a != CUDA_R_32F || c->type_c != CUDA_R_32F) return true;
    return measured_too_small(c->m, c->n, c->k, c->batch);
}

/* All that is not forwarded at sight. */
__attribute__((noinline)) static bool travel(const struct gemm_call *call, struct handle_view view,
                                             uint64_t fingerprint) {
    struct road road;
    set_out(&road, call, view, fingerprint);
    enum gemm_reason reason = settle(&road);
    if (reason == REASON_routed) reason = run(road.call, &road.problem, &road.plan, &road.place);
    record(&road, reason);
    return reason == REASON_routed;
}

bool dispatch(const struct gemm_call *call, struct handle_view view) {
    const struct toggles *toggles = &settings()->toggles;
    if (!toggles->enabled) return false;
    if (toggles->log != LOG_OFF || toggles->kernel >= 0) return travel(call, view, 0);
    if (plainly_forwarded(call)) return false;
    const uint64_t fingerprint = verdict_fingerprint(call, view.state, toggles);
    return !verdict_is_forward(fingerprint) && travel(call, view, fingerprint);
}

size_t dispatch_workspace(const struct gemm_call *call, struct handle_view view, size_t most) {
    struct road road;
    set_out(&road, call, view, 0);
    if (guard_call(call) != REASON_routed || guard_problem(&road.problem, call) != REASON_routed) return 0;
    if (refuse_by_record(&road) != REASON_routed || !road.planned) return 0;
    enum gemm_reason reason = REASON_routed;
    const struct gemm_device *traits = device_traits_of(handle_state_device(view.state), &reason);
    const struct gemm_limits limits = {.scratch_bytes = (int64_t)most, .planes_bytes = (int64_t)most};
    if (!traits || !road.plan.scratch_bytes) return 0;
    return (size_t)gemm_plan_make(&road.problem, traits, &settings()->toggles, &limits).scratch_bytes;
}

/* ---- groups ---- */

/* All groups settled: the first that has a reason against it speaks for the call. */
static enum gemm_reason settle_groups(struct road *roads, const struct gemm_call *calls, int64_t count,
                                      struct handle_view view) {
    for (int64_t i = 0; i < count; i++) {
        set_out(&roads[i], &calls[i], view, 0);
        enum gemm_reason reason = settle(&roads[i]);
        if (reason == REASON_routed) continue;
        record(&roads[i], reason);
        return reason;
    }
    return REASON_routed;
}

/* How many were launched. */
static int64_t run_groups(struct road *roads, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        struct road *r = &roads[i];
        enum gemm_reason reason = run(r->call, &r->problem, &r->plan, &r->place);
        record(&roads[i], reason);
        if (reason != REASON_routed) return i;
    }
    return count;
}

bool dispatch_groups(const struct gemm_call *calls, int64_t count, struct handle_view view, cublasStatus_t *status) {
    if (!settings()->toggles.enabled) return false;
    struct road *roads = malloc((size_t)count * sizeof *roads);
    int64_t launched = 0;
    if (roads && settle_groups(roads, calls, count, view) == REASON_routed) launched = run_groups(roads, count);
    free(roads);
    /* When a launch is refused after others, cuBLAS can no longer be asked: C may have been read and written. */
    *status = launched < count ? CUBLAS_STATUS_EXECUTION_FAILED : CUBLAS_STATUS_SUCCESS;
    return launched > 0;
}
