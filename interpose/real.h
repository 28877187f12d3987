/*
 * The real cuBLAS: which copy a caller would have reached without us, and its functions.
 */
#ifndef FASTGEMM_REAL_H
#define FASTGEMM_REAL_H

#include <stdbool.h>

#include "cublas_names.h"

/* The functions of one loaded copy of cuBLAS that we call; a function that this copy lacks is NULL. */
struct real_cublas {
#define REAL(name) __typeof__(name) *name;
    REAL_FUNCTIONS(REAL)
#undef REAL
};

/*
 * The copy that code at `caller` would have reached without us; NULL while none is loaded. The answer for a caller
 * does not change once it is found. Safe from any thread, from constructors and after fork.
 */
const struct real_cublas *real_cublas_for(const void *caller);

#endif
