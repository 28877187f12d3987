/*
 * What the exported dlsym and dlvsym answer. Programs that load cuBLAS by hand (JAX, TensorFlow, cuDNN) ask for its
 * functions by name: for the names that we serve, found in cuBLAS or cublasLt, they get ours. Anything else is none of
 * our business: the entries, a few lines of assembly, jump on to the next dlsym with the caller's return address in
 * place, by which RTLD_NEXT and RTLD_DEFAULT are understood.
 *
 * A look-up may come at any time: from constructors that run before ours, from malloc, under the loader's lock. Until a
 * name is known to be ours, nothing here allocates, locks, reads settings or calls libc but to list the objects.
 */
#include "dlsym.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "elf_object.h"
#include "real.h"
#include "settings.h"

typedef void *dlsym_function(void *handle, const char *name);
typedef void *dlvsym_function(void *handle, const char *name, const char *version);

/* ---- the next ones ---- */

#ifdef FASTGEMM_WRAPS_DLSYM

/* The assembly jumps through these two, after one of the answers below found them. */
__attribute__((visibility("hidden"))) dlsym_function *fastgemm_dlsym_next;
__attribute__((visibility("hidden"))) dlvsym_function *fastgemm_dlvsym_next;

static void *no_dlsym(void *handle, const char *name) {
    (void)handle, (void)name;
    return NULL;
}
static void *no_dlvsym(void *handle, const char *name, const char *version) {
    (void)handle, (void)name, (void)version;
    return NULL;
}

/* glibc keeps them in libc, before 2.34 in libdl. */
static bool is_in_glibc(const struct elf_object *object, void *found) {
    const char *soname = elf_object_soname(object);
    if (!elf_same_name(soname, "libc.so.6") && !elf_same_name(soname, "libdl.so.2")) return false;
    *(const void **)found = elf_object_function(object, "dlvsym");
    return *(const void **)found != NULL;
}

/* Every name that this library looks up is found here first, so that glibc's dlvsym has to be read out of its file. */
static void find_next(void) {
    if (__atomic_load_n(&fastgemm_dlsym_next, __ATOMIC_ACQUIRE)) return;
    dlvsym_function *look_up = NULL, *next_dlvsym = NULL;
    dlsym_function *next_dlsym = NULL;
    elf_object_each(is_in_glibc, &look_up);
    static const char *const versions[] = {"GLIBC_2.34", "GLIBC_2.2.5"};
    for (int i = 0; look_up && i < 2; i++) {
        if (!next_dlsym) *(void **)&next_dlsym = look_up(RTLD_NEXT, "dlsym", versions[i]);
        if (!next_dlvsym) *(void **)&next_dlvsym = look_up(RTLD_NEXT, "dlvsym", versions[i]);
    }
    __atomic_store_n(&fastgemm_dlvsym_next, next_dlvsym ? next_dlvsym : no_dlvsym, __ATOMIC_RELEASE);
    __atomic_store_n(&fastgemm_dlsym_next, next_dlsym ? next_dlsym : no_dlsym, __ATOMIC_RELEASE);
}

void *dlsym_next(void *handle, const char *name) {
    find_next();
    return fastgemm_dlsym_next(handle, name);
}

void *dlvsym_next(void *handle, const char *name, const char *version) {
    find_next();
    return fastgemm_dlvsym_next(handle, name, version);
}

/* ---- the answers ---- */

struct served {
    const char *name;
    void *ours;
    bool (*learn)(const void *caller, void *library);
};

static const struct served *find_served(const char *name) {
    static const struct served list[] = {
#define SERVED(name) {#name, (void *)name, real_cublas_learn},
#define LT(name)     {#name, (void *)name, real_cublaslt_learn},
        SERVED_FUNCTIONS(SERVED) LT_SERVED_FUNCTIONS(LT)
#undef SERVED
#undef LT
    };
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        if (elf_same_name(list[i].name, name)) return &list[i];
    return NULL;
}

static bool is_cublas(const struct elf_object *object) {
    const char *name = elf_object_soname(object), *slash = strrchr(object->path, '/');
    if (!*name) name = slash ? slash + 1 : object->path;
    return strncmp(name, "libcublas.so.", 13) == 0 || strncmp(name, "libcublasLt.so.", 15) == 0;
}

/* NULL: the caller gets what the next one says. */
static void *answer(const struct served *served, const void *found, void *library, const void *caller) {
    struct elf_object object;
    if (!found || !elf_object_at(found, &object) || !is_cublas(&object)) return NULL;
    const struct toggles *toggles = &settings()->toggles;
    if (!toggles->enabled || !toggles->dlsym) return NULL;
    if (!served->learn(caller, library)) return NULL;
    dlerror(); /* a success leaves no error behind, whatever was looked for and not found on the way */
    return served->ours;
}

/* RTLD_DEFAULT and RTLD_NEXT find ours or the real one by the loader's own order, and are asked for `caller`. */
static const struct served *served_from(void *library, const char *name) {
    find_next();
    return library == RTLD_DEFAULT || library == RTLD_NEXT || !name ? NULL : find_served(name);
}

/* What the exported dlsym asks first. */
__attribute__((visibility("hidden"))) void *fastgemm_dlsym(void *library, const char *name, const void *caller) {
    const struct served *served = served_from(library, name);
    return served ? answer(served, fastgemm_dlsym_next(library, name), library, caller) : NULL;
}

__attribute__((visibility("hidden"))) void *fastgemm_dlvsym(void *library, const char *name, const char *version,
                                                            const void *caller) {
    const struct served *served = version ? served_from(library, name) : (find_next(), NULL);
    return served ? answer(served, fastgemm_dlvsym_next(library, name, version), library, caller) : NULL;
}

#else /* no assembly for this architecture: the loader's own, and programs that load cuBLAS by hand pass us by */

void *dlsym_next(void *handle, const char *name) {
    return dlsym(handle, name);
}

void *dlvsym_next(void *handle, const char *name, const char *version) {
    return dlvsym(handle, name, version);
}

#endif
