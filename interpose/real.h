/*
 * The real cuBLAS: which copy a caller would have reached without us, and its functions.
 */
#ifndef FASTGEMM_REAL_H
#define FASTGEMM_REAL_H

#include <stdbool.h>

#include "cublas_names.h"

/*
 * The functions of one loaded copy of cuBLAS and of the cublasLt that it stands on; or, for who knows cublasLt alone,
 * of that. A function that is not there is NULL.
 */
struct real_cublas {
#define REAL(name) __typeof__(name) *name;
    REAL_FUNCTIONS(REAL)
    LT_FUNCTIONS(REAL)
#undef REAL
};

/*
 * The copy that code at `caller` would have reached without us; NULL while none is loaded, which is asked anew each
 * time. A copy once handed out stays loaded. Safe from any thread, from constructors and after fork. Costs
 * microseconds: callers with a handle go through handle_state_find, which asks once per handle.
 */
const struct real_cublas *real_cublas_for(const void *caller);

/*
 * Code at `caller` has got a cuBLAS function from the library handle `library` (dlopen's) and is to be given ours
 * instead: from now on its calls go to that library. False when its object is known to reach another copy; then it
 * must be given the real function, since a later call would not tell for which of the two it was meant.
 */
bool real_cublas_learn(const void *caller, void *library);

/* The same two for cublasLt, which an object may reach in another copy than the one its cuBLAS stands on. */
const struct real_cublas *real_cublaslt_for(const void *caller);
bool real_cublaslt_learn(const void *caller, void *library);

#endif
