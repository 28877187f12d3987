/*
 * A library that loads cuBLAS by hand in its constructor, uses it there, from threads as well, and looks for what is
 * not there: as cuDNN's libraries do while they are loaded.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>

#include <cublas_v2.h>

static void *library;
static __typeof__(cublasSgemm_v2) *sgemm;

static void *product(void *handle) {
    static const float one = 1;
    return sgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, &one, NULL, 1, NULL, 1, &one, NULL, 1) ==
                   CUBLAS_STATUS_INVALID_VALUE
               ? handle
               : NULL;
}

static const char *use(void) {
    __typeof__(cublasCreate_v2) *create = NULL;
    __typeof__(cublasDestroy_v2) *destroy = NULL;
    cublasHandle_t handle = NULL;
    pthread_t thread[4];
    void *result = NULL;
    *(void **)&create = dlsym(library, "cublasCreate_v2");
    *(void **)&destroy = dlsym(library, "cublasDestroy_v2");
    *(void **)&sgemm = dlvsym(library, "cublasSgemm_v2", CUBLAS_NODE);
    if (!create || !destroy || !sgemm) return "not found";
    if (dlsym(RTLD_DEFAULT, "no_such_function") || dlsym(library, "no_such_function")) return "found what is not there";
    if (create(&handle) != CUBLAS_STATUS_SUCCESS || !product(handle)) return "a product failed";
    for (int i = 0; i < 4; i++)
        if (pthread_create(&thread[i], NULL, product, handle)) return "no thread";
    for (int i = 0; i < 4; i++)
        if (pthread_join(thread[i], &result) || !result) return "a thread's product failed";
    return destroy(handle) == CUBLAS_STATUS_SUCCESS ? NULL : "destroy failed";
}

const char *by_hand_wrong = "the constructor did not run";
int by_hand_is_ours;

__attribute__((constructor)) static void start(void) {
    Dl_info info;
    library = dlopen(CUBLAS_PATH, RTLD_NOW | RTLD_LOCAL);
    by_hand_wrong = library ? use() : "no library";
    by_hand_is_ours = sgemm && dladdr((void *)sgemm, &info) && strstr(info.dli_fname, "libfastgemm") != NULL;
}
