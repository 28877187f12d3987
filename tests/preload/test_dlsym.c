/*
 * Look-ups by hand: whose function a program gets for a name and a handle, and that every other look-up means what it
 * means without the library. argv[1] names the scenario, each in a process of its own.
 */
#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <cuda_runtime_api.h>

#include "../../interpose/cublas_names.h"
#include "sim_api.h"

typedef const char *name_function(void);

static const char *const served[] = {
#define NAME(name) #name,
    SERVED_FUNCTIONS(NAME)};
static const char *const served_by_lt[] = {LT_SERVED_FUNCTIONS(NAME)};
#undef NAME
static const char *const not_served[] = {"cublasSetAtomicsMode", "cublasGetMathMode", "cublasDgemm_v2",
                                         "cublasGetVersion_v2"};
#define COUNT(list) (sizeof(list) / sizeof *(list))

static void *load(const char *path, int flags) {
    void *library = dlopen(path, RTLD_NOW | flags);
    if (!library) fail_msg("%s", dlerror());
    return library;
}

static bool lies_in(const void *function, const char *library) {
    Dl_info info;
    return function && dladdr(function, &info) && strstr(info.dli_fname, library) != NULL;
}

static void check_all(void *library, const char *const *names, size_t count, const char *whose) {
    for (size_t i = 0; i < count; i++) {
        void *found = dlsym(library, names[i]);
        if (!lies_in(found, whose)) fail_msg("%s: %p is not of %s", names[i], found, whose);
        assert_null(dlerror());
    }
}

/* ---- which functions ---- */

static void test_served(void **state) {
    (void)state;
    void *cublas = load(CUBLAS_13, RTLD_LOCAL), *lt = load(CUBLASLT_13, RTLD_LOCAL);
    check_all(cublas, served, COUNT(served), "libfastgemm");
    check_all(lt, served_by_lt, COUNT(served_by_lt), "libfastgemm");
    check_all(cublas, not_served, COUNT(not_served), "libcublas.so.13");
    assert_true(lies_in(dlvsym(cublas, "cublasSgemm_v2", "libcublas.so.13"), "libfastgemm"));
    assert_true(lies_in(dlvsym(lt, "cublasLtMatmul", "libcublasLt.so.13"), "libfastgemm"));
    check_all(load(CUBLASLT_12, RTLD_LOCAL), served_by_lt, COUNT(served_by_lt),
              "libcublasLt.so.12"); /* a second copy */
    assert_null(dlvsym(cublas, "cublasSgemm_v2", "libcublas.so.7"));
    assert_non_null(dlerror());
}

/* This copy lacks a function that the library looks for: no error is left of that. */
static void test_served_12(void **state) {
    (void)state;
    check_all(load(CUBLAS_12, RTLD_LOCAL), served, COUNT(served), "libfastgemm");
}

/* With FASTGEMM_DLSYM=off, FASTGEMM=off. */
static void test_off(void **state) {
    (void)state;
    void *cublas = load(CUBLAS_13, RTLD_LOCAL), *lt = load(CUBLASLT_13, RTLD_LOCAL);
    check_all(cublas, served, COUNT(served), "libcublas.so.13");
    check_all(lt, served_by_lt, COUNT(served_by_lt), "libcublasLt.so.13");
    assert_true(lies_in(dlvsym(cublas, "cublasSgemm_v2", "libcublas.so.13"), "libcublas.so.13"));
}

static void test_another_library(void **state) {
    (void)state;
    void *impostor = load(IMPOSTOR, RTLD_LOCAL);
    int (*sgemm)(void) = dlsym(impostor, "cublasSgemm_v2"), (*matmul)(void) = dlsym(impostor, "cublasLtMatmul");
    assert_true(lies_in((void *)sgemm, "libimpostor") && lies_in((void *)matmul, "libimpostor"));
    assert_int_equal(sgemm(), 4711);
    assert_int_equal(matmul(), 4712);
    assert_null(dlsym(impostor, "cublasGemmEx"));
    assert_null(dlsym(NULL, "no_such_function"));
}

/* The message is about what was asked for. */
static void test_errors(void **state) {
    (void)state;
    void *cublas = load(CUBLAS_13, RTLD_LOCAL);
    assert_null(dlsym(cublas, "cublasNoSuchFunction"));
    const char *message = dlerror();
    assert_non_null(message);
    assert_non_null(strstr(message, "cublasNoSuchFunction"));
    assert_null(dlerror());
    assert_non_null(dlsym(cublas, "cublasSgemm_v2"));
    assert_null(dlerror());
    assert_null(dlsym(cublas, "cublasNoSuchFunction"));
    assert_non_null(dlsym(cublas, "cublasSgemm_v2")); /* a success forgets the error before it, as glibc's own does */
    assert_null(dlerror());
    assert_null(dlvsym(cublas, "cublasSgemm_v2", "libcublas.so.7"));
    message = dlerror();
    assert_non_null(message);
    assert_non_null(strstr(message, "cublasSgemm_v2"));
    assert_null(dlsym(load(IMPOSTOR, RTLD_LOCAL), "cublasGemmEx")); /* a name of ours, not in that library */
    message = dlerror();
    assert_non_null(message);
    assert_true(strstr(message, "cublasGemmEx") && strstr(message, "impostor"));
}

/* ---- what they do ---- */

struct functions {
    __typeof__(cublasCreate_v2) *create;
    __typeof__(cublasDestroy_v2) *destroy;
    __typeof__(cublasSetMathMode) *set_math_mode;
    __typeof__(cublasSgemm_v2) *sgemm;
    __typeof__(fgsim_cublas_foreign_handles) *foreign;
};

static struct functions functions_of(void *library) {
    struct functions f;
    *(void **)&f.create = dlsym(library, "cublasCreate_v2");
    *(void **)&f.destroy = dlsym(library, "cublasDestroy_v2");
    *(void **)&f.set_math_mode = dlsym(library, "cublasSetMathMode");
    *(void **)&f.sgemm = dlsym(library, "cublasSgemm_v2");
    *(void **)&f.foreign = dlsym(library, "fgsim_cublas_foreign_handles");
    return f;
}

/* How many of its two products ran on a kernel of ours. */
static int use(const struct functions *f) {
    static const float one = 1, zero = 0;
    cublasHandle_t handle = NULL;
    float *x = NULL;
    uint64_t before = fgsim_launches("sgemm_");
    assert_int_equal(cudaMalloc((void **)&x, 3 * 64 * 64 * sizeof *x), cudaSuccess);
    for (int i = 0; i < 2 * 64 * 64; i++) x[i] = 2;
    assert_int_equal(f->create(&handle), CUBLAS_STATUS_SUCCESS);
    assert_int_equal(f->set_math_mode(handle, CUBLAS_DEFAULT_MATH), CUBLAS_STATUS_SUCCESS);
    for (int i = 0; i < 2; i++)
        assert_int_equal(
            f->sgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, 64, 64, 64, &one, x, 64, x + 4096, 64, &zero, x + 8192, 64),
            CUBLAS_STATUS_SUCCESS);
    assert_int_equal(cudaDeviceSynchronize(), cudaSuccess);
    for (int i = 0; i < 64 * 64; i++) assert_true(x[8192 + i] == 256);
    assert_int_equal(f->destroy(handle), CUBLAS_STATUS_SUCCESS);
    assert_int_equal(f->foreign(), 0);
    cudaFree(x);
    return (int)(fgsim_launches("sgemm_") - before);
}

static void test_calls_are_served(void **state) {
    (void)state;
    struct functions f = functions_of(load(CUBLAS_13, RTLD_LOCAL));
    assert_int_equal(use(&f), 2);
}

/* A later call would not tell for which copy it was meant: the second one stays the program's own. */
static void test_two_copies(void **state) {
    (void)state;
    struct functions a = functions_of(load(CUBLAS_12, RTLD_LOCAL)), b = functions_of(load(CUBLAS_13, RTLD_LOCAL));
    assert_true(lies_in((void *)a.sgemm, "libfastgemm"));
    assert_true(lies_in((void *)b.sgemm, "libcublas.so.13"));
    for (int i = 0; i < 2; i++) {
        assert_int_equal(use(&a), 2);
        assert_int_equal(use(&b), 0);
    }
}

static void test_constructor(void **state) {
    (void)state;
    alarm(60);
    void *library = load(BY_HAND, RTLD_LOCAL);
    const char *const *wrong = dlsym(library, "by_hand_wrong");
    const int *is_ours = dlsym(library, "by_hand_is_ours");
    if (*wrong) fail_msg("%s", *wrong);
    assert_true(*is_ours);
}

/* RTLD_DEFAULT reaches what only the asking library's own scope holds. */
static void test_default(void **state) {
    (void)state;
    void *library = load(NEXT_PLUGIN, RTLD_LOCAL);
    name_function *(*ask)(void) = dlsym(library, "default_by_dlsym");
    assert_non_null(ask);
    assert_non_null(ask());
    assert_string_equal(ask()(), "plugin");
    assert_null(dlsym(RTLD_DEFAULT, "next_name"));
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_served),           cmocka_unit_test(test_served_12),   cmocka_unit_test(test_off),
        cmocka_unit_test(test_another_library),  cmocka_unit_test(test_errors),      cmocka_unit_test(test_two_copies),
        cmocka_unit_test(test_calls_are_served), cmocka_unit_test(test_constructor), cmocka_unit_test(test_default),
    };
    for (unsigned i = 0; argc > 1 && i < COUNT(tests); i++) {
        const struct CMUnitTest one[] = {tests[i]};
        if (strcmp(tests[i].name + 5, argv[1]) == 0) return cmocka_run_group_tests(one, NULL, NULL);
    }
    fprintf(stderr, "usage: %s SCENARIO, as test_SCENARIO in the source\n", argv[0]);
    return 2;
}
