/*
 * A library that asks for what comes after it, and for what its own scope holds: answers that depend on who asks. Built
 * twice as NEXT_NAME, the first linked to the second, and once as a plugin with a scope of its own.
 */
#include <dlfcn.h>

const char *next_name(void);
const char *next_name(void) {
    return NEXT_NAME;
}

#ifdef NEXT_ASKS
/* Volatile: a result that is used keeps these calls calls, so that the caller is this library at every -O. */
typedef const char *name_function(void);
name_function *next_by_dlsym(void);
name_function *next_by_dlsym(void) {
    void *volatile found = dlsym(RTLD_NEXT, "next_name");
    return (name_function *)found;
}
name_function *next_by_dlvsym(void);
name_function *next_by_dlvsym(void) {
    void *volatile found = dlvsym(RTLD_NEXT, "next_name", "NEXT_1");
    return (name_function *)found;
}
name_function *default_by_dlsym(void);
name_function *default_by_dlsym(void) {
    void *volatile found = dlsym(RTLD_DEFAULT, "next_name");
    return (name_function *)found;
}
#endif
