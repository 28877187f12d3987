/*
 * Handles in open-addressed tables that readers walk without a lock. Who adds or removes a handle, which is rare,
 * holds one; when no slot near a handle's place is free, another table of twice the size is added, so no handle is
 * ever dropped.
 *
 * Two threads that use one handle take turns by cuBLAS's own rules, so the fields need no more than to be atomic.
 */
#include "handle_state.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_SLOTS_LOG2 = 8, PROBES = 16, MAX_TABLES = 20 };

/* One cache line. */
struct handle_state {
    _Alignas(64) _Atomic(cublasHandle_t) handle; /* NULL: never used; GONE: free again, but others may lie beyond */
    _Atomic(const struct real_cublas *) real;
    _Atomic(void *) workspace;
    atomic_size_t workspace_size;
    _Atomic(struct handle_scratch *) scratch;
    atomic_int device;
    atomic_int math_mode; /* MATH_UNKNOWN: nobody told */
    atomic_bool tunes;
};

static char gone;
#define GONE ((cublasHandle_t)(void *)&gone)

static struct handle_state first_table[1 << FIRST_SLOTS_LOG2];
static _Atomic(struct handle_state *) tables[MAX_TABLES] = {first_table};
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of those who add and remove */

static void hold(void) {
    pthread_mutex_lock(&lock);
}
static void release(void) {
    pthread_mutex_unlock(&lock);
}
static void survive_fork(void) {
    pthread_atfork(hold, release, release);
}

static void hold_for_change(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, survive_fork);
    hold();
}

static struct handle_state *slot_of(int table, struct handle_state *slots, cublasHandle_t handle, unsigned probe) {
    int bits = FIRST_SLOTS_LOG2 + table;
    uint64_t hash = (uint64_t)(uintptr_t)handle * UINT64_C(0x9e3779b97f4a7c15) >> (64 - bits);
    return &slots[(hash + probe) & ((UINT64_C(1) << bits) - 1)];
}

static struct handle_state *find(cublasHandle_t handle) {
    struct handle_state *first = slot_of(0, first_table, handle, 0); /* nearly always: nothing else is fetched */
    if (atomic_load_explicit(&first->handle, memory_order_acquire) == handle) return first;
    for (int table = 0; table < MAX_TABLES; table++) {
        struct handle_state *slots = atomic_load_explicit(&tables[table], memory_order_acquire);
        if (!slots) return NULL;
        for (unsigned probe = 0; probe < PROBES; probe++) {
            struct handle_state *slot = slot_of(table, slots, handle, probe);
            cublasHandle_t there = atomic_load_explicit(&slot->handle, memory_order_acquire);
            if (there == handle) return slot;
            if (!there) break;
        }
    }
    return NULL;
}

static struct handle_state *new_table(size_t count) {
    struct handle_state *slots = aligned_alloc(_Alignof(struct handle_state), count * sizeof *slots);
    return slots ? memset(slots, 0, count * sizeof *slots) : NULL;
}

/* Under the lock. */
static struct handle_state *free_slot(cublasHandle_t handle) {
    for (int table = 0; table < MAX_TABLES; table++) {
        struct handle_state *slots = atomic_load_explicit(&tables[table], memory_order_relaxed);
        if (!slots) {
            slots = new_table((size_t)1 << (FIRST_SLOTS_LOG2 + table));
            if (!slots) return NULL;
            atomic_store_explicit(&tables[table], slots, memory_order_release);
        }
        for (unsigned probe = 0; probe < PROBES; probe++) {
            struct handle_state *slot = slot_of(table, slots, handle, probe);
            cublasHandle_t there = atomic_load_explicit(&slot->handle, memory_order_relaxed);
            if (!there || there == GONE) return slot;
        }
    }
    return NULL;
}

/* Under the lock: the handle's slot, which says `real`, without a workspace. */
static struct handle_state *bind(cublasHandle_t handle, const struct real_cublas *real, int device, int math_mode) {
    struct handle_state *slot = find(handle);
    if (!slot) slot = free_slot(handle);
    if (!slot) return NULL;
    atomic_store_explicit(&slot->real, real, memory_order_relaxed);
    atomic_store_explicit(&slot->workspace, NULL, memory_order_relaxed);
    atomic_store_explicit(&slot->workspace_size, 0, memory_order_relaxed);
    atomic_store_explicit(&slot->device, device, memory_order_relaxed);
    atomic_store_explicit(&slot->math_mode, math_mode, memory_order_relaxed);
    atomic_store_explicit(&slot->tunes, false, memory_order_relaxed);
    atomic_store_explicit(&slot->handle, handle, memory_order_release);
    return slot;
}

struct handle_view handle_state_known(cublasHandle_t handle) {
    struct handle_view view = {.state = handle ? find(handle) : NULL};
    if (view.state) view.real = atomic_load_explicit(&view.state->real, memory_order_relaxed);
    return view;
}

struct handle_view handle_state_find(cublasHandle_t handle, const void *caller) {
    struct handle_view view = {.state = handle ? find(handle) : NULL};
    if (view.state) {
        view.real = atomic_load_explicit(&view.state->real, memory_order_relaxed);
        return view;
    }
    view.real = real_cublas_for(caller);
    if (!handle || !view.real) return view;
    hold_for_change();
    view.state = find(handle); /* another thread's first call with it */
    if (!view.state) view.state = bind(handle, view.real, DEVICE_UNKNOWN, MATH_UNKNOWN);
    release();
    if (view.state) view.real = atomic_load_explicit(&view.state->real, memory_order_relaxed);
    return view;
}

void handle_state_created(cublasHandle_t handle, const struct real_cublas *real, int device) {
    if (!handle) return;
    hold_for_change();
    bind(handle, real, device, CUBLAS_DEFAULT_MATH);
    release();
}

struct handle_scratch *handle_state_forget(cublasHandle_t handle) {
    struct handle_scratch *scratch = NULL;
    hold_for_change();
    struct handle_state *slot = handle ? find(handle) : NULL;
    if (slot) {
        scratch = atomic_exchange(&slot->scratch, NULL);
        atomic_store_explicit(&slot->handle, GONE, memory_order_release);
    }
    release();
    return scratch;
}

_Atomic(struct handle_scratch *) *handle_state_scratch(struct handle_state *state) {
    return &state->scratch;
}

void handle_state_set_workspace(struct handle_state *state, void *address, size_t size) {
    if (!state) return;
    atomic_store_explicit(&state->workspace, address, memory_order_relaxed);
    atomic_store_explicit(&state->workspace_size, address ? size : 0, memory_order_relaxed);
}

struct workspace handle_state_workspace(const struct handle_state *state) {
    struct workspace workspace = {NULL, 0};
    if (!state) return workspace;
    workspace.address = atomic_load_explicit(&state->workspace, memory_order_relaxed);
    workspace.size = atomic_load_explicit(&state->workspace_size, memory_order_relaxed);
    return workspace;
}

int handle_state_device(const struct handle_state *state) {
    return state ? atomic_load_explicit(&state->device, memory_order_relaxed) : DEVICE_UNKNOWN;
}

void handle_state_set_tunes(struct handle_state *state) {
    if (state) atomic_store_explicit(&state->tunes, true, memory_order_relaxed);
}

void handle_state_set_math_mode(struct handle_state *state, cublasMath_t mode) {
    if (state) atomic_store_explicit(&state->math_mode, (int)mode, memory_order_relaxed);
}

struct handle_record handle_state_record(const struct handle_state *state) {
    if (!state) return (struct handle_record){.device = DEVICE_UNKNOWN, .math_mode = MATH_UNKNOWN};
    return (struct handle_record){.device = atomic_load_explicit(&state->device, memory_order_relaxed),
                                  .math_mode = atomic_load_explicit(&state->math_mode, memory_order_relaxed),
                                  .tunes = atomic_load_explicit(&state->tunes, memory_order_relaxed),
                                  .workspace = handle_state_workspace(state)};
}

bool handle_state_pointer_mode(const struct real_cublas *real, cublasHandle_t handle, cublasPointerMode_t *mode) {
    return real->cublasGetPointerMode_v2 && real->cublasGetPointerMode_v2(handle, mode) == CUBLAS_STATUS_SUCCESS;
}

/*
 * Not asked: the atomics mode. It allows results that differ from run to run; ours never do.
 */
bool handle_state_modes(const struct real_cublas *real, cublasHandle_t handle, struct handle_modes *out,
                        bool pointer_mode_known) {
    *out = (struct handle_modes){.pointer_mode = out->pointer_mode};
    if (!real->cublasGetStream_v2 || !real->cublasGetMathMode) return false;
    if (real->cublasGetMathMode(handle, &out->math_mode) != CUBLAS_STATUS_SUCCESS) return false;
    if (!pointer_mode_known && !handle_state_pointer_mode(real, handle, &out->pointer_mode)) return false;
    if (real->cublasGetStream_v2(handle, &out->stream) != CUBLAS_STATUS_SUCCESS) return false;
#if CUBLAS_VERSION >= 130000
    cublasEmulationStrategy_t strategy = CUBLAS_EMULATION_STRATEGY_DEFAULT;
    if (real->cublasGetEmulationStrategy &&
        real->cublasGetEmulationStrategy(handle, &strategy) != CUBLAS_STATUS_SUCCESS)
        return false;
    out->emulation = strategy != CUBLAS_EMULATION_STRATEGY_DEFAULT;
#endif
    return !real->cublasGetSmCountTarget ||
           real->cublasGetSmCountTarget(handle, &out->sm_count_target) == CUBLAS_STATUS_SUCCESS;
}
