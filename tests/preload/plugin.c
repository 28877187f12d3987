/*
 * A plugin that uses cuBLAS as a linked library does. Built once per copy; with PLUGIN_CONSTRUCTOR also from its own
 * constructor, alone and from threads.
 */
#include "plugin.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>

#include "sim_api.h"

/* Invalid in a way that both copies answer: nothing needs device memory, and every such call is forwarded. */
static cublasStatus_t product(cublasHandle_t handle) {
    static const float one = 1;
    return cublasSgemm_v2(handle, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, &one, NULL, 1, NULL, 1, &one, NULL, 1);
}

static const char *use(void) {
    Dl_info info;
    cublasHandle_t handle;
    if (!dladdr((void *)cublasSgemm_v2, &info) || !strstr(info.dli_fname, "libfastgemm")) return "not intercepted";
    if (cublasCreate_v2(&handle) != CUBLAS_STATUS_SUCCESS) return "create failed";
    if (cublasSetStream_v2(handle, NULL) != CUBLAS_STATUS_SUCCESS) return "set stream failed";
    if (cublasSetAtomicsMode(handle, CUBLAS_ATOMICS_NOT_ALLOWED) != CUBLAS_STATUS_SUCCESS)
        return "another copy's handle";
    if (product(handle) != CUBLAS_STATUS_INVALID_VALUE) return "the product's status is not cuBLAS's";
    if (cublasDestroy_v2(handle) != CUBLAS_STATUS_SUCCESS) return "destroy failed";
    return fgsim_cublas_foreign_handles() ? "a handle went to another copy" : NULL;
}

static cublasStatus_t create(cublasHandle_t *handle) {
    cublasStatus_t status = cublasCreate_v2(handle);
    return status ? status : cublasSetAtomicsMode(*handle, CUBLAS_ATOMICS_NOT_ALLOWED);
}

static cublasStatus_t destroy(cublasHandle_t handle) {
    cublasStatus_t status = cublasDestroy_v2(handle);
    return status;
}

/* Under optimisation this is a jump: who is seen to call is the program. */
static cublasStatus_t tail(cublasHandle_t handle) {
    return product(handle);
}

static unsigned long products(void) {
    static struct fgsim_cublas_call calls[4096];
    unsigned long count = 0, total = fgsim_cublas_calls(calls, 4096);
    for (unsigned long i = 0; i < total && i < 4096; i++) count += strcmp(calls[i].function, "cublasSgemm_v2") == 0;
    return count;
}

static unsigned long foreign(void) {
    return fgsim_cublas_foreign_handles();
}

__attribute__((visibility("default"))) struct plugin plugin = {0, use, create, tail, destroy, products, foreign, NULL};

#ifdef PLUGIN_CONSTRUCTOR
static void *product_in_thread(void *handle) {
    return product(handle) == CUBLAS_STATUS_INVALID_VALUE ? handle : NULL;
}

/* The loader's lock is held here: a thread that needs it would wait for ever. */
static const char *use_in_threads(void) {
    cublasHandle_t handle;
    pthread_t thread[4];
    void *result = NULL;
    if (create(&handle) != CUBLAS_STATUS_SUCCESS) return "create failed";
    for (int i = 0; i < 4; i++)
        if (pthread_create(&thread[i], NULL, product_in_thread, handle)) return "no thread";
    for (int i = 0; i < 4; i++)
        if (pthread_join(thread[i], &result) || !result) return "a thread's product failed";
    return destroy(handle) == CUBLAS_STATUS_SUCCESS ? NULL : "destroy failed";
}
#endif

__attribute__((constructor)) static void start(void) {
    cublasGetVersion_v2(NULL, &plugin.version);
#ifdef PLUGIN_CONSTRUCTOR
    plugin.of_constructor = use();
    if (!plugin.of_constructor) plugin.of_constructor = use_in_threads();
#else
    plugin.of_constructor = "no constructor";
#endif
}
