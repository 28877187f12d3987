/* What a plugin that uses cuBLAS offers to the program that loads it. Each is linked to one copy of cuBLAS. */
#ifndef FASTGEMM_TEST_PLUGIN_H
#define FASTGEMM_TEST_PLUGIN_H

#include <cublas_v2.h>

struct plugin {
    int version; /* of the copy that the loader bound it to */
    /* Makes a handle, asks for a product with it, destroys it: NULL, or what went wrong. Safe from many threads. */
    const char *(*use)(void);
    /* The same three steps apart. `tail` asks for the product as its last act, so that it leaves no return address. */
    cublasStatus_t (*create)(cublasHandle_t *handle);
    cublasStatus_t (*tail)(cublasHandle_t handle);
    cublasStatus_t (*destroy)(cublasHandle_t handle);
    /* Of its copy: products that arrived there, calls with another copy's handle. */
    unsigned long (*products)(void);
    unsigned long (*foreign)(void);
    const char *of_constructor; /* what use() said from the constructor, where there is one */
};

#endif
