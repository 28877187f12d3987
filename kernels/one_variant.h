/*
 * Which of a family's variants an object holds: all of them, or, since each takes long to compile, one. The build makes
 * a source for each variant, which defines GEMM_ONE_VARIANT and, for the name that it wants, GEMM_ONE_<name> as "~,",
 * and includes the family's source.
 */
#ifndef FASTGEMM_ONE_VARIANT_H
#define FASTGEMM_ONE_VARIANT_H

#ifdef GEMM_ONE_VARIANT
#define GEMM_SECOND_OF(first, second, ...) second
#define GEMM_SECOND(...)                   GEMM_SECOND_OF(__VA_ARGS__)
#define GEMM_NOTHING(...)
/* X for a name that is wanted: its "~," makes X the second argument, where otherwise GEMM_NOTHING is. */
#define GEMM_WANTED(name, X) GEMM_SECOND(GEMM_ONE_##name X, GEMM_NOTHING, ~)
#else
#define GEMM_WANTED(name, X) X
#endif

#endif
