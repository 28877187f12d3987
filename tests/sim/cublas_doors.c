/* The stand-in's products with int sizes, and their _64 twins: the same text with another integer. */
#include "cublas_standin.h"

#define INT            int
#define NAME(function) function
#include "cublas_doors.inc"
#undef INT
#undef NAME

#define INT            int64_t
#define NAME(function) function##_64
#include "cublas_doors.inc"
