/*
 * Runs a kernel: CTA after CTA, each thread a fibre that runs until it meets a barrier or a warp operation. When
 * nobody can go on, either all have ended, or all stand at the same barrier, or the kernel is wrong and is told so.
 */
#include "sim_cta.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sim_cta sim_cta;

/* ---- what a thread does ---- */

const struct sim_position *sim_self(void) {
    return &sim_cta.self->position;
}

/* Whose turn comes after this one, of those that can run: of the threads that take turns, in the launch's order. */
static int next_turn(void) {
    for (int turn = sim_cta.turn + 1, left = sim_cta.turns; left > 0; turn++, left--) {
        if (turn == sim_cta.first_turn + sim_cta.turns) turn = sim_cta.first_turn;
        if (sim_cta.threads[sim_order_thread(turn)].state == THREAD_READY) return turn;
    }
    return -1;
}

/* On to the next thread; a thread's first turn comes from the host. */
static void give_up_turn(enum sim_thread_state state) {
    struct sim_thread *const self = sim_cta.self;
    self->state = state;
    const int turn = next_turn();
    struct sim_thread *const next = turn < 0 ? NULL : &sim_cta.threads[sim_order_thread(turn)];
    if (!next || !next->started) {
        fibre_yield(&self->fibre, &sim_cta.host);
        return;
    }
    sim_cta.turn = turn;
    sim_cta.self = next;
    fibre_yield(&self->fibre, &next->fibre);
}

void sim_give_turn(void) {
    give_up_turn(THREAD_WAITING);
}

static void thread_entry(void) {
    sim_cta.launch->kernel->function((void *[]){sim_cta.launch->argument});
    sim_cta.self->state = THREAD_EXITED;
    sim_cta.exited++;
    fibre_leave(&sim_cta.self->fibre, &sim_cta.host);
}

void sim_thread_fault(cudaError_t error, const char *format, ...) {
    const struct sim_position *p = sim_self();
    char what[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    sim_fault(error, "kernel %s, CTA (%u,%u,%u), thread %d: %s", sim_cta.launch->kernel->name, p->block.x, p->block.y,
              p->block.z, (int)(sim_cta.self - sim_cta.threads), what);
    sim_cta.failed = true;
    fibre_leave(&sim_cta.self->fibre, &sim_cta.host);
}

void sim_misaligned(const void *address, int width) {
    if ((uintptr_t)address % (unsigned)width == 0) return;
    if (fibre_owns(&sim_cta.self->fibre, address)) return; /* a thread's own array: registers on a GPU */
    sim_thread_fault(cudaErrorMisalignedAddress, "a vector access of %d bytes is misaligned: %p", width, address);
}

/* ---- barriers ---- */

static void release_all(void) {
    for (int i = 0; i < sim_cta.thread_count; i++) sim_cta.threads[i].state = THREAD_READY;
    sim_cta.at_barrier = 0;
}

void sim_cta_barrier(void) {
    if (++sim_cta.at_barrier == sim_cta.thread_count) {
        release_all();
        return; /* the last to arrive just goes on */
    }
    give_up_turn(THREAD_AT_BARRIER);
}

/* Whether all of the mask's lanes (those that the CTA has) wait in the same operation. */
static bool warp_complete(int first, const struct sim_thread *self) {
    const int lanes = sim_cta.thread_count - first < 32 ? sim_cta.thread_count - first : 32;
    const unsigned present = lanes < 32 ? (1u << lanes) - 1 : 0xffffffffu;
    if (sim_cta.waiting[first / 32] + 1 < __builtin_popcount(self->mask & present)) return false;
    for (int lane = 0; lane < lanes; lane++) {
        const struct sim_thread *t = &sim_cta.threads[first + lane];
        if (!(self->mask >> lane & 1) || t == self) continue;
        if (t->state != THREAD_IN_WARP || t->mask != self->mask) return false;
        if (t->operation != self->operation && strcmp(t->operation, self->operation) != 0) return false;
    }
    return true;
}

static void release_warp(int first, unsigned mask) {
    for (int lane = 0; lane < 32 && first + lane < sim_cta.thread_count; lane++) {
        struct sim_thread *t = &sim_cta.threads[first + lane];
        if (!(mask >> lane & 1)) continue;
        sim_cta.waiting[first / 32] -= t->state == THREAD_IN_WARP;
        t->state = THREAD_READY;
    }
}

int sim_warp_meet(const char *operation, unsigned mask, const uint64_t *values, int words) {
    struct sim_thread *self = sim_cta.self;
    int index = (int)(self - sim_cta.threads), first = index / 32 * 32;
    self->operation = operation;
    self->mask = mask;
    self->warp_operations++;
    for (int i = 0; i < words; i++) self->value[self->warp_operations % 2][i] = values[i];
    if (!(mask >> index % 32 & 1))
        sim_thread_fault(cudaErrorLaunchFailure, "%s without its own lane in the mask", operation);
    if (!warp_complete(first, self)) {
        sim_cta.waiting[first / 32]++;
        give_up_turn(THREAD_IN_WARP);
        return 0;
    }
    release_warp(first, mask);
    return 1;
}

const uint64_t *sim_warp_values(int lane) {
    static const uint64_t nothing[SIM_WARP_WORDS];
    int index = (int)(sim_cta.self - sim_cta.threads) / 32 * 32 + lane;
    if (index >= sim_cta.thread_count) return nothing;
    return sim_cta.threads[index].value[sim_cta.self->warp_operations % 2];
}

/* ---- the scheduler ---- */

/* Lets those threads of [first, first + count) run that can, in the launch's order, until none can. */
static void run_ready(int first, int count) {
    sim_cta.first_turn = first;
    sim_cta.turns = count;
    sim_cta.turn = first - 1;
    for (int turn; !sim_cta.failed && (turn = next_turn()) >= 0;) {
        sim_cta.turn = turn;
        sim_cta.self = &sim_cta.threads[sim_order_thread(turn)];
        sim_cta.self->started = true;
        fibre_run(&sim_cta.host, &sim_cta.self->fibre);
    }
}

static void report_deadlock(void) {
    const struct sim_thread *warp = NULL;
    const struct sim_position *p = &sim_cta.threads[0].position;
    int in_warp = 0;
    for (int i = 0; i < sim_cta.thread_count; i++)
        if (sim_cta.threads[i].state == THREAD_IN_WARP) in_warp++, warp = &sim_cta.threads[i];
    sim_fault(
        cudaErrorLaunchFailure,
        "kernel %s, CTA (%u,%u,%u): divergence, nobody can go on: of %d threads %d wait at __syncthreads, %d in a "
        "warp operation (%s), %d have ended",
        sim_cta.launch->kernel->name, p->block.x, p->block.y, p->block.z, sim_cta.thread_count, sim_cta.at_barrier,
        in_warp, warp ? warp->operation : "none", sim_cta.exited);
    sim_cta.failed = true;
}

static void place_threads(unsigned x, unsigned y, unsigned z) {
    const struct sim_launch *launch = sim_cta.launch;
    for (int i = 0; i < sim_cta.thread_count; i++) {
        struct sim_thread *t = &sim_cta.threads[i];
        unsigned u = (unsigned)i, bx = launch->block.x, by = launch->block.y;
        t->position = (struct sim_position){{u % bx, u / bx % by, u / bx / by},
                                            {x, y, z},
                                            {bx, by, launch->block.z},
                                            {launch->grid.x, launch->grid.y, launch->grid.z}};
        t->state = THREAD_READY;
        t->started = false;
        t->warp_operations = 0;
        sim_copies_forget(&t->copies);
        fibre_prepare(&t->fibre, thread_entry);
    }
}

static void run_cta(unsigned x, unsigned y, unsigned z) {
    const struct sim_launch *launch = sim_cta.launch;
    sim_cta.at_barrier = sim_cta.exited = 0;
    memset(sim_cta.waiting, 0, sizeof sim_cta.waiting);
    sim_shared_prepare(launch->shared_bytes);
    sim_bulk_forget();
    place_threads(x, y, z);
    int slice = sim_order_by_warps() ? 32 : sim_cta.thread_count;
    while (sim_cta.exited < sim_cta.thread_count && !sim_cta.failed) {
        bool could = false;
        for (int i = 0; i < sim_cta.thread_count; i++) {
            struct sim_thread *t = &sim_cta.threads[i];
            if (t->state == THREAD_WAITING) t->state = THREAD_READY;
            could = could || t->state == THREAD_READY;
        }
        if (!could) return report_deadlock();
        for (int first = 0; first < sim_cta.thread_count; first += slice)
            run_ready(first, first + slice > sim_cta.thread_count ? sim_cta.thread_count - first : slice);
    }
    if (sim_watching_banks) sim_banks_end_cta();
    if (!sim_cta.failed && !sim_shared_sound()) {
        sim_fault(cudaErrorIllegalAddress, "kernel %s, CTA (%u,%u,%u): wrote outside its %zu bytes of shared memory",
                  launch->kernel->name, x, y, z, launch->shared_bytes);
        sim_cta.failed = true;
    }
}

static bool make_threads(int count) {
    if (!sim_cta.threads) sim_cta.threads = calloc(SIM_MAX_THREADS, sizeof *sim_cta.threads);
    if (!sim_cta.threads) return false;
    for (int i = 0; i < count; i++)
        if (!sim_cta.threads[i].fibre.stack && !fibre_allocate(&sim_cta.threads[i].fibre)) return false;
    return sim_shared_prepare(0);
}

bool sim_run_kernel(const struct sim_launch *launch) {
    int threads = (int)(launch->block.x * launch->block.y * launch->block.z);
    uint64_t plane = (uint64_t)launch->grid.x * launch->grid.y, ctas = plane * launch->grid.z;
    if (!make_threads(threads)) {
        sim_fault(cudaErrorMemoryAllocation, "no memory for %d threads", threads);
        return false;
    }
    for (int i = 0; i < SIM_MAX_THREADS && sim_cta.failed; i++) fibre_clean(&sim_cta.threads[i].fibre);
    sim_cta.launch = launch;
    sim_cta.thread_count = threads;
    sim_cta.failed = false;
    sim_order_begin_launch(threads, ctas);
    for (uint64_t turn = 0; turn < ctas && !sim_cta.failed; turn++) {
        uint64_t cta = sim_order_cta(turn);
        run_cta((unsigned)(cta % launch->grid.x), (unsigned)(cta / launch->grid.x % launch->grid.y),
                (unsigned)(cta / plane));
    }
    return !sim_cta.failed;
}
