/*
 * A library between the program and cuBLAS, under cuBLAS's name: it notes when a product arrives and passes every call
 * on as it came. What lies between a program's call and its arrival here is what the library under test added; the
 * program calls the functions of relay_addresses without it.
 *
 * Each function is a few instructions, so that none has to be declared: the arguments stay where they are. lfence: the
 * time is read when everything before is done, memory included. System V ABI, AMD64: r10 and r11 are free at a call.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "../../interpose/cublas_names.h"
#include "relay.h"

#define EACH_PRODUCT(X) X(cublasGemmStridedBatchedEx) X(cublasSgemm_v2) X(cublasLtMatmul)
#define EACH_OTHER(X)                                                                                                  \
    X(cublasCreate_v2)                                                                                                 \
    X(cublasDestroy_v2)                                                                                                \
    X(cublasSetStream_v2)                                                                                              \
    X(cublasSetMathMode)                                                                                               \
    X(cublasSetWorkspace_v2)                                                                                           \
    X(cublasGetStream_v2)                                                                                              \
    X(cublasGetPointerMode_v2)                                                                                         \
    X(cublasGetMathMode)                                                                                               \
    X(cublasGetSmCountTarget)                                                                                          \
    X(cublasLtCreate)                                                                                                  \
    X(cublasLtDestroy)                                                                                                 \
    X(cublasLtMatmulDescInit_internal)                                                                                 \
    X(cublasLtMatmulDescGetAttribute)                                                                                  \
    X(cublasLtMatrixLayoutGetAttribute)                                                                                \
    X(cublasLtMatrixLayoutInit_internal)                                                                               \
    EMULATION_FUNCTIONS(X)

uint64_t relay_arrived;

#define POINTER(name) __attribute__((visibility("hidden"))) void *relay_to_##name;
EACH_PRODUCT(POINTER)
EACH_OTHER(POINTER)
#undef POINTER

#define FUNCTION(name, note)                                                                                           \
    __asm__(".text\n.globl " #name "\n.type " #name ", @function\n.p2align 4\n" #name ":\n endbr64\n" note             \
            " jmp *relay_to_" #name "(%rip)\n.size " #name ", . - " #name "\n");
/* The time through the table of addresses: the variable is another object's to see. */
#define NOTE                                                                                                           \
    " mov %rdx, %r11\n lfence\n rdtsc\n shl $32, %rdx\n or %rdx, %rax\n mov relay_arrived@GOTPCREL(%rip), %r10\n"      \
    " mov %rax, (%r10)\n mov %r11, %rdx\n"
#define PRODUCT(name) FUNCTION(name, NOTE)
#define OTHER(name)   FUNCTION(name, "")
EACH_PRODUCT(PRODUCT)
EACH_OTHER(OTHER)

/* `find` gives cuBLAS's own function of a name, or NULL. */
void relay_connect(void *(*find)(const char *name)) {
#define CONNECT(name) relay_to_##name = find(#name);
    EACH_PRODUCT(CONNECT)
    EACH_OTHER(CONNECT)
#undef CONNECT
}

void *relay_address(const char *name) {
#define ADDRESS(which)                                                                                                 \
    if (strcmp(name, #which) == 0) return (void *)which;
    EACH_PRODUCT(ADDRESS)
    EACH_OTHER(ADDRESS)
#undef ADDRESS
    return NULL;
}
