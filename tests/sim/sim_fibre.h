/*
 * Fibres: stacks that a program switches between by itself. A simulated CUDA thread is one. Here: how to make one,
 * start it and switch.
 */
#ifndef FASTGEMM_SIM_FIBRE_H
#define FASTGEMM_SIM_FIBRE_H

#include <stdbool.h>
#include <stddef.h>

/* FASTGEMM_SIM_UCONTEXT: the portable switch on x86-64 too, to try it. */
#if defined(__x86_64__) && !defined(FASTGEMM_SIM_UCONTEXT)
#define FIBRE_OWN_SWITCH 1
#else
#define FIBRE_OWN_SWITCH 0
#include <ucontext.h>
#endif

struct fibre {
    void *stack; /* lowest usable byte; a guard page lies below it */
    size_t stack_size;
    void *fake_stack; /* AddressSanitizer's own book-keeping */
#if FIBRE_OWN_SWITCH
    void *sp;
#else
    ucontext_t context;
#endif
};

/* A stack for a fibre. False when there is no memory. */
bool fibre_allocate(struct fibre *fibre);

/* Forgets the frames that a fibre which did not end has left on its stack. */
void fibre_clean(struct fibre *fibre);

/* The next switch to `fibre` calls `entry`, which ends with fibre_leave() and never returns. */
void fibre_prepare(struct fibre *fibre, void (*entry)(void));

/* From the host's stack (`host` keeps it) to a fibre, and back, or on to another fibre that has run before. */
void fibre_run(struct fibre *host, struct fibre *fibre);
void fibre_yield(struct fibre *fibre, struct fibre *to);
void fibre_leave(struct fibre *fibre, struct fibre *host) __attribute__((noreturn));

bool fibre_owns(const struct fibre *fibre, const void *address);

#endif
