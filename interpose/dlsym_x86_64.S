/*
 * The exported dlsym and dlvsym. Each asks dlsym.c for an answer; without one it jumps to the next function of its
 * name with arguments, stack and return address as they came, so that it sees the program as its caller. In C a
 * compiler may, at -O0 does, make a call of that jump, and RTLD_NEXT would then mean "after this library".
 * System V ABI, AMD64: arguments in rdi, rsi, rdx, rcx; result in rax.
 */
#if defined(__CET__)
#include <cet.h>
#else
#define _CET_ENDBR
#endif

/* After the pushes the return address is at 24(%rsp) and the stack is aligned for a call. */
#define ENTRY(name, caller_argument, answer, next)                                                                     \
    .globl name;                                                                                                       \
    .type name, @function;                                                                                             \
    .p2align 4;                                                                                                        \
name:                                                                                                                  \
    .cfi_startproc;                                                                                                    \
    _CET_ENDBR;                                                                                                        \
    pushq %rdi;                                                                                                        \
    .cfi_adjust_cfa_offset 8;                                                                                          \
    pushq %rsi;                                                                                                        \
    .cfi_adjust_cfa_offset 8;                                                                                          \
    pushq %rdx;                                                                                                        \
    .cfi_adjust_cfa_offset 8;                                                                                          \
    movq 24(%rsp), caller_argument;                                                                                    \
    call answer;                                                                                                       \
    popq %rdx;                                                                                                         \
    .cfi_adjust_cfa_offset -8;                                                                                         \
    popq %rsi;                                                                                                         \
    .cfi_adjust_cfa_offset -8;                                                                                         \
    popq %rdi;                                                                                                         \
    .cfi_adjust_cfa_offset -8;                                                                                         \
    testq %rax, %rax;                                                                                                  \
    jnz 1f;                                                                                                            \
    jmp *next(%rip);                                                                                                   \
1:  ret;                                                                                                               \
    .cfi_endproc;                                                                                                      \
    .size name, . - name

    .text
    ENTRY(dlsym, %rdx, fastgemm_dlsym, fastgemm_dlsym_next)
    ENTRY(dlvsym, %rcx, fastgemm_dlvsym, fastgemm_dlvsym_next)

    .section .note.GNU-stack, "", @progbits
