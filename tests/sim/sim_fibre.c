/*
 * Fibres: the switch (a few instructions on x86-64, ucontext elsewhere), the stacks with their guard pages, and what
 * AddressSanitizer wants to be told at each switch.
 */
#define _GNU_SOURCE
#include "sim_fibre.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#define STACK_BYTES ((size_t)256 * 1024) /* instrumented frames are large */
#else
#define STACK_BYTES ((size_t)64 * 1024)
#endif

static struct fibre *running_host;
static void (*running_entry)(void);

bool fibre_allocate(struct fibre *fibre) {
    static size_t count;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *low =
        mmap(NULL, STACK_BYTES + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (low == MAP_FAILED) return false;
    mprotect(low, page, PROT_NONE);
    fibre->stack = low + page;
    /* Stacks that end at like addresses would all have their last frames in the same few lines of the CPU's cache. */
    fibre->stack_size = STACK_BYTES - count++ % 48 * 64;
    return true;
}

bool fibre_owns(const struct fibre *fibre, const void *address) {
    return (uintptr_t)address - (uintptr_t)fibre->stack < fibre->stack_size;
}

static void announce_switch(void **save, const struct fibre *to) {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(save, to->stack, to->stack_size);
#else
    (void)save, (void)to;
#endif
}

static void arrived(struct fibre *here, struct fibre *from) {
#if defined(__SANITIZE_ADDRESS__)
    const void *bottom;
    size_t size;
    __sanitizer_finish_switch_fiber(here ? here->fake_stack : NULL, &bottom, &size);
    if (from) from->stack = (void *)(uintptr_t)bottom, from->stack_size = size;
#else
    (void)here, (void)from;
#endif
}

/* The first code on a fresh stack. Only now does the sanitizer tell where the host's own stack lies. */
__attribute__((noreturn, used)) static void fibre_begin(void) {
    arrived(NULL, running_host);
    running_entry();
    abort();
}

#if FIBRE_OWN_SWITCH

/* Saves the registers that a function must keep, on the old stack, and takes them from the new one. */
void sim_fibre_swap(void **save_sp, void *load_sp);
__asm__(".text\n"
        ".p2align 4\n"
        ".hidden sim_fibre_swap\n"
        ".globl sim_fibre_swap\n"
        ".type sim_fibre_swap, @function\n"
        "sim_fibre_swap:\n"
        "    pushq %rbp\n"
        "    pushq %rbx\n"
        "    pushq %r12\n"
        "    pushq %r13\n"
        "    pushq %r14\n"
        "    pushq %r15\n"
        "    movq %rsp, (%rdi)\n"
        "    movq %rsi, %rsp\n"
        "    popq %r15\n"
        "    popq %r14\n"
        "    popq %r13\n"
        "    popq %r12\n"
        "    popq %rbx\n"
        "    popq %rbp\n"
        "    ret\n"
        ".size sim_fibre_swap, . - sim_fibre_swap\n");

static void swap(struct fibre *from, struct fibre *to) {
    sim_fibre_swap(&from->sp, to->sp);
}

static void place_entry(struct fibre *fibre) {
    /* From the top down: a null return address, as if by a call from an aligned stack; the entry; six registers. */
    uintptr_t *top = (uintptr_t *)((char *)fibre->stack + fibre->stack_size);
    *--top = 0;
    *--top = (uintptr_t)fibre_begin;
    for (int i = 0; i < 6; i++) *--top = 0;
    fibre->sp = top;
}

#else

static void swap(struct fibre *from, struct fibre *to) {
    swapcontext(&from->context, &to->context);
}

static void place_entry(struct fibre *fibre) {
    getcontext(&fibre->context);
    fibre->context.uc_stack.ss_sp = fibre->stack;
    fibre->context.uc_stack.ss_size = fibre->stack_size;
    fibre->context.uc_link = NULL;
    makecontext(&fibre->context, fibre_begin, 0);
}

#endif

void fibre_clean(struct fibre *fibre) {
#if defined(__SANITIZE_ADDRESS__)
    if (fibre->stack) __asan_unpoison_memory_region(fibre->stack, fibre->stack_size);
#else
    (void)fibre;
#endif
}

void fibre_prepare(struct fibre *fibre, void (*entry)(void)) {
    fibre->fake_stack = NULL;
    running_entry = entry;
    place_entry(fibre);
}

void fibre_run(struct fibre *host, struct fibre *fibre) {
    running_host = host;
    announce_switch(&host->fake_stack, fibre);
    swap(host, fibre);
    arrived(host, NULL);
}

void fibre_yield(struct fibre *fibre, struct fibre *to) {
    announce_switch(&fibre->fake_stack, to);
    swap(fibre, to);
    arrived(fibre, NULL);
}

void fibre_leave(struct fibre *fibre, struct fibre *host) {
    announce_switch(NULL, host);
    swap(fibre, host);
    abort();
}
