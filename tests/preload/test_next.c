/*
 * RTLD_NEXT and RTLD_DEFAULT keep their meaning: they depend on the caller's address, which the exported dlsym hands
 * on. Also: a program whose malloc looks up the next one, a look-up inside a look-up before anything is set up.
 */
#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

typedef const char *name_function(void);
name_function *next_by_dlsym(void), *next_by_dlvsym(void), *default_by_dlsym(void);
const char *next_name(void);

#ifdef OWN_MALLOC
static int depth, deepest, calls;
static char early[1 << 16];
static size_t used;

/* The next malloc; what its own look-up asks for meanwhile comes out of `early`. */
void *malloc(size_t size) {
    static void *(*next)(size_t);
    calls++;
    if (++depth > deepest) deepest = depth;
    if (!next && depth == 1) *(void **)&next = dlsym(RTLD_NEXT, "malloc");
    void *memory = next ? next(size) : early + used;
    if (!next) used += (size + 15) / 16 * 16;
    depth--;
    return memory;
}

static void test_own_malloc(void **state) {
    (void)state;
    assert_true(calls > 0);
    assert_true(deepest <= 2);
    assert_true(used < sizeof early);
}
#endif

static void test_next(void **state) {
    (void)state;
    assert_string_equal(next_name(), "first");
    assert_non_null(next_by_dlsym());
    assert_string_equal(next_by_dlsym()(), "second");
    assert_non_null(next_by_dlvsym());
    assert_string_equal(next_by_dlvsym()(), "second");
    assert_string_equal(default_by_dlsym()(), "first");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_next),
#ifdef OWN_MALLOC
        cmocka_unit_test(test_own_malloc),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
