/*
 * The functions of the loaded libcublas itself, read from its symbol table: the library under test may answer dlsym.
 */
#ifndef FASTGEMM_GPU_REAL_CUBLAS_H
#define FASTGEMM_GPU_REAL_CUBLAS_H

/* NULL when no libcublas.so.N is loaded or it does not define the name. */
void *real_cublas_function(const char *name);

/* The same of libcublasLt. */
void *real_cublaslt_function(const char *name);

#endif
