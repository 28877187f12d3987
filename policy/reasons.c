/* The words for each reason. */
#include "reasons.h"

const char *gemm_reason_name(enum gemm_reason reason) {
    static const char *const names[REASON_COUNT] = {
#define X(name, text) #name,
        GEMM_REASONS(X)
#undef X
    };
    return names[reason];
}

const char *gemm_reason_text(enum gemm_reason reason) {
    static const char *const texts[REASON_COUNT] = {
#define X(name, text) text,
        GEMM_REASONS(X)
#undef X
    };
    return texts[reason];
}
