/*
 * Which copy of cuBLAS a call goes to, in a program that links none: loaded privately, later, by a constructor, from
 * 64 threads at once, in a forked child, and several copies in one process. Every scenario needs a process of its own:
 * argv[1] names it.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "plugin.h"

enum { V12 = 120900, V13 = 130100 };

static void *load(const char *path, int flags) {
    void *library = dlopen(path, RTLD_NOW | flags);
    if (!library) fail_msg("%s", dlerror());
    return library;
}

static const struct plugin *load_plugin(const char *path) {
    return dlsym(load(path, RTLD_LOCAL), "plugin");
}

static void check_use(const struct plugin *plugin, int version) {
    unsigned long before = plugin->products();
    const char *wrong = plugin->use();
    if (wrong) fail_msg("copy %d: %s", version, wrong);
    assert_int_equal(plugin->version, version);
    assert_int_equal(plugin->products(), before + 1);
    assert_int_equal(plugin->foreign(), 0);
}

static void test_local(void **state) {
    (void)state;
    check_use(load_plugin(PLUGIN_13), V13);
}

static void test_local_12(void **state) {
    (void)state;
    check_use(load_plugin(PLUGIN_12), V12);
}

static void test_12_beside_13(void **state) {
    (void)state;
    const struct plugin *first = load_plugin(PLUGIN_12), *second = load_plugin(PLUGIN_13);
    for (int i = 0; i < 3; i++) {
        check_use(second, V13);
        check_use(first, V12);
    }
}

/* In the global scope the version that a reference asks for decides. */
static void test_12_beside_13_global(void **state) {
    (void)state;
    load(CUBLAS_13, RTLD_GLOBAL);
    load(CUBLAS_12, RTLD_GLOBAL);
    test_12_beside_13(state);
}

static void check_distinct(const struct plugin *a, const struct plugin *b) {
    unsigned long before_a = a->products(), before_b = b->products();
    check_use(a, V13);
    assert_int_equal(b->products(), before_b);
    check_use(b, V13);
    assert_int_equal(a->products(), before_a + 1);
}

static void test_same_soname(void **state) {
    (void)state;
    const struct plugin *a = load_plugin(PLUGIN_13), *b = load_plugin(PLUGIN_SECOND);
    assert_true((void *)a->products != (void *)b->products);
    for (int i = 0; i < 3; i++) check_distinct(a, b);
}

/* The loader gives a plugin that asks for the soname the copy that is there already. */
static void test_same_soname_shared(void **state) {
    (void)state;
    const struct plugin *b = load_plugin(PLUGIN_SECOND), *a = load_plugin(PLUGIN_13);
    check_use(b, V13);
    check_use(a, V13);
    assert_int_equal(a->products(), 2);
    assert_int_equal(b->products(), 2);
}

/* A copy in the global scope goes before the one that a plugin depends on. */
static void test_same_soname_global(void **state) {
    (void)state;
    const struct plugin *a = load_plugin(PLUGIN_13);
    check_use(a, V13);
    load(CUBLAS_SECOND, RTLD_GLOBAL);
    const struct plugin *b = load_plugin(PLUGIN_SECOND), *late = load_plugin(PLUGIN_CONSTRUCTOR);
    for (int i = 0; i < 3; i++) check_distinct(a, b);
    unsigned long before_a = a->products(), before_b = b->products();
    check_use(late, V13);
    assert_int_equal(a->products(), before_a);
    assert_int_equal(b->products(), before_b + 1);
}

/* The plugin's last act is the call, so that it seems to come from here, where no copy is known. */
static void test_tail_call(void **state) {
    (void)state;
    const struct plugin *plugins[] = {load_plugin(PLUGIN_12), load_plugin(PLUGIN_13), load_plugin(PLUGIN_SECOND)};
    cublasHandle_t handle[3];
    for (int i = 0; i < 3; i++) assert_int_equal(plugins[i]->create(&handle[i]), CUBLAS_STATUS_SUCCESS);
    for (int i = 0; i < 3; i++) assert_int_equal(plugins[i]->tail(handle[i]), CUBLAS_STATUS_INVALID_VALUE);
    for (int i = 0; i < 3; i++) assert_int_equal(plugins[i]->products(), 1);
    for (int i = 0; i < 3; i++) assert_int_equal(plugins[i]->destroy(handle[i]), CUBLAS_STATUS_SUCCESS);
    for (int i = 0; i < 3; i++) assert_int_equal(plugins[i]->foreign(), 0);
}

/* A pointer got before any cuBLAS is there answers as cuBLAS does without a handle, and works once one is loaded. */
static void test_later(void **state) {
    (void)state;
    cublasHandle_t handle = NULL;
    cublasStatus_t (*create)(cublasHandle_t *) = dlsym(RTLD_DEFAULT, "cublasCreate_v2");
    cublasStatus_t (*destroy)(cublasHandle_t) = dlsym(RTLD_DEFAULT, "cublasDestroy_v2");
    assert_non_null(create);
    assert_int_equal(create(&handle), CUBLAS_STATUS_NOT_INITIALIZED);
    void *library = load(CUBLAS_12, RTLD_LOCAL);
    assert_int_equal(create(&handle), CUBLAS_STATUS_SUCCESS);
    cublasStatus_t (*own)(cublasHandle_t, cublasAtomicsMode_t) = dlsym(library, "cublasSetAtomicsMode");
    assert_int_equal(own(handle, CUBLAS_ATOMICS_NOT_ALLOWED), CUBLAS_STATUS_SUCCESS);
    assert_int_equal(destroy(handle), CUBLAS_STATUS_SUCCESS);
    check_use(load_plugin(PLUGIN_13), V13);
}

/* Unloaded and loaded again, other plugins at its addresses. */
static void test_reload(void **state) {
    (void)state;
    static const struct {
        const char *path;
        int version;
    } turns[] = {{PLUGIN_12, V12}, {PLUGIN_13, V13}, {PLUGIN_12, V12}, {PLUGIN_SECOND, V13}, {PLUGIN_13, V13}};
    for (unsigned i = 0; i < sizeof turns / sizeof *turns; i++) {
        void *library = load(turns[i].path, RTLD_LOCAL);
        check_use(dlsym(library, "plugin"), turns[i].version);
        assert_int_equal(dlclose(library), 0);
    }
}

/* The same plugin again, when the global scope has changed: what was found for it the first time holds no more. */
static void test_reload_elsewhere(void **state) {
    (void)state;
    void *library = load(PLUGIN_13, RTLD_LOCAL);
    load(CUBLAS_SECOND, RTLD_LOCAL);
    check_use(dlsym(library, "plugin"), V13);
    assert_int_equal(dlclose(library), 0);
    load(CUBLAS_SECOND, RTLD_GLOBAL | RTLD_NOLOAD); /* from now on in the global scope; nothing moves */
    const struct plugin *again = load_plugin(PLUGIN_13), *second = load_plugin(PLUGIN_SECOND);
    unsigned long before = second->products();
    check_use(again, V13);
    assert_int_equal(second->products(), before + 1);
}

static void test_constructor(void **state) {
    (void)state;
    alarm(60);
    const struct plugin *plugin = load_plugin(PLUGIN_CONSTRUCTOR);
    if (plugin->of_constructor) fail_msg("from the constructor: %s", plugin->of_constructor);
    check_use(plugin, V13);
    alarm(0);
}

static pthread_barrier_t barrier;

static void *use_at_once(void *argument) {
    const struct plugin *plugin = argument;
    pthread_barrier_wait(&barrier);
    return (void *)(uintptr_t)plugin->use();
}

static void test_64_threads(void **state) {
    (void)state;
    enum { THREADS = 64 };
    pthread_t thread[THREADS];
    void *plugins[] = {(void *)(uintptr_t)load_plugin(PLUGIN_12), (void *)(uintptr_t)load_plugin(PLUGIN_13)};
    pthread_barrier_init(&barrier, NULL, THREADS);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, use_at_once, plugins[i % 2]), 0);
    for (int i = 0; i < THREADS; i++) {
        void *wrong;
        assert_int_equal(pthread_join(thread[i], &wrong), 0);
        if (wrong) fail_msg("thread %d: %s", i, (const char *)wrong);
    }
    for (int i = 0; i < 2; i++) assert_int_equal(((const struct plugin *)plugins[i])->products(), THREADS / 2);
}

/* What use() says in a child: 0 for nothing wrong, 1 for something, others for a crash. */
static int use_in_child(const struct plugin *plugin) {
    pid_t child = fork();
    if (child == 0) _exit(plugin->use() != NULL);
    int status = -1;
    if (waitpid(child, &status, 0) != child) return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Before the parent used CUDA a child can; afterwards it gets cuBLAS's refusal, and the parent is none the worse. */
static void test_fork(void **state) {
    (void)state;
    const struct plugin *plugin = load_plugin(PLUGIN_13);
    assert_int_equal(use_in_child(plugin), 0);
    check_use(plugin, V13);
    assert_int_equal(use_in_child(plugin), 1);
    check_use(plugin, V13);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_local),
        cmocka_unit_test(test_local_12),
        cmocka_unit_test(test_12_beside_13),
        cmocka_unit_test(test_12_beside_13_global),
        cmocka_unit_test(test_same_soname),
        cmocka_unit_test(test_same_soname_shared),
        cmocka_unit_test(test_same_soname_global),
        cmocka_unit_test(test_tail_call),
        cmocka_unit_test(test_later),
        cmocka_unit_test(test_reload),
        cmocka_unit_test(test_reload_elsewhere),
        cmocka_unit_test(test_constructor),
        cmocka_unit_test(test_64_threads),
        cmocka_unit_test(test_fork),
    };
    for (unsigned i = 0; argc > 1 && i < sizeof tests / sizeof *tests; i++) {
        const struct CMUnitTest one[] = {tests[i]};
        if (strcmp(tests[i].name + 5, argv[1]) == 0) return cmocka_run_group_tests(one, NULL, NULL);
    }
    fprintf(stderr, "usage: %s SCENARIO, as test_SCENARIO in the source\n", argv[0]);
    return 2;
}
