/*
 * Finding the real cuBLAS.
 *
 * Without us the loader would have searched, for the object that calls, the global scope (the program, what it links,
 * what was loaded RTLD_GLOBAL) and then what the object itself depends on, for the version that its reference asks for.
 * The same is done here, starting behind ourselves. An object that has no reference of its own (it was given a
 * pointer, or its call is the tail of somebody else's) may still reach the copy that it, or the dlsym wrapper, told us.
 *
 * No lock of ours is held over a dl function: those wait for the loader's lock, under which constructors run, which
 * may call us.
 */
#include "real.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "dlsym.h"
#include "elf_object.h"

/* The two libraries, each with the function by which it is found. */
enum kind { CUBLAS, CUBLASLT };
static const struct {
    const char *probe, *soname;
    bool (*refers)(const struct elf_object *object, const char **version);
} kinds[] = {
    [CUBLAS] = {"cublasSgemm_v2", "libcublas.so.", elf_object_refers_to_cublas},
    [CUBLASLT] = {"cublasLtMatmul", "libcublasLt.so.", elf_object_refers_to_cublaslt},
};

struct copy {
    struct real_cublas functions; /* first: what callers hold */
    struct copy *next;
};

/* How sure we are that an object reaches a copy: a guess gives way to knowledge. */
enum certainty { GUESSED, KNOWN };

/* What was found for the object of a caller. Objects come and go, so it holds until one was unloaded. */
struct finding {
    uintptr_t base;
    unsigned long long unloads;
    enum kind kind;
    enum certainty certainty;
    bool learned;
    const struct copy *copy;
    struct finding *next;
    char path[];
};

static struct copy *copies;
static struct finding *findings;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards the two lists, memory only */

static void hold(void) {
    pthread_mutex_lock(&lock);
}
static void release(void) {
    pthread_mutex_unlock(&lock);
}
static void survive_fork(void) {
    pthread_atfork(hold, release, release);
}

static void prepare(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, survive_fork);
}

/* ---- one copy ---- */

/* Never ourselves: an address in our own object counts as not found. */
static bool is_ours(const void *address) {
    static const char anchor = 0;
    struct elf_object ours, its;
    return elf_object_at(&anchor, &ours) && elf_object_at(address, &its) && ours.base == its.base;
}

static void *look_up(void *scope, const char *name, const char *version) {
    void *found = version ? dlvsym_next(scope, name, version) : dlsym_next(scope, name);
    return found && !is_ours(found) ? found : NULL;
}

static bool is_soname(enum kind kind, const char *soname) {
    return strncmp(soname, kinds[kind].soname, strlen(kinds[kind].soname)) == 0;
}

/* Keeps the object of a function loaded for good, and returns dlopen's handle of it. */
static void *pin(const void *function) {
    Dl_info info;
    if (!dladdr(function, &info) || !info.dli_fname) return NULL;
    return dlopen(info.dli_fname, RTLD_NOLOAD | RTLD_LAZY | RTLD_NODELETE);
}

/*
 * The functions as a scope has them; all from one library, and what it depends on, when it is the true one that was
 * found there. The version is the kind's own.
 */
static bool read_copy(enum kind kind, void *scope, const char *version, struct real_cublas *out) {
    void *probe = look_up(scope, kinds[kind].probe, version);
    struct elf_object object;
    if (!probe || !elf_object_at(probe, &object)) return false;
    void *library = pin(probe);
    if (library && is_soname(kind, elf_object_soname(&object))) scope = library;
    const char *lt_version = kind == CUBLASLT ? version : NULL;
#define REAL(name) *(void **)&out->name = look_up(scope, #name, version);
#define LT(name)   *(void **)&out->name = look_up(scope, #name, lt_version);
    if (kind == CUBLAS) {
        REAL_FUNCTIONS(REAL)
    }
    LT_FUNCTIONS(LT)
#undef REAL
#undef LT
    return kind == CUBLAS ? out->cublasSgemm_v2 != NULL : out->cublasLtMatmul != NULL;
}

/* The one record of a copy. */
static const struct copy *record(const struct real_cublas *functions) {
    hold();
    struct copy *copy = copies;
    while (copy && memcmp(&copy->functions, functions, sizeof *functions) != 0) copy = copy->next;
    if (!copy && (copy = malloc(sizeof *copy))) {
        copy->functions = *functions;
        copy->next = copies;
        copies = copy;
    }
    release();
    return copy;
}

static const struct copy *copy_in(enum kind kind, void *scope, const char *version) {
    struct real_cublas functions;
    memset(&functions, 0, sizeof functions);
    return read_copy(kind, scope, version, &functions) ? record(&functions) : NULL;
}

/* ---- scopes ---- */

static const struct copy *copy_in_object(enum kind kind, const char *path, const char *version) {
    void *handle = *path ? dlopen(path, RTLD_NOLOAD | RTLD_LAZY) : NULL;
    if (!handle) return NULL;
    const struct copy *copy = copy_in(kind, handle, version);
    dlclose(handle);
    return copy;
}

enum { MAX_LIBRARIES = 16, MAX_PATH = 1024 };
struct libraries {
    enum kind kind;
    int count;
    char path[MAX_LIBRARIES][MAX_PATH];
};

static bool note_library(const struct elf_object *object, void *context) {
    struct libraries *list = context;
    if (!is_soname(list->kind, elf_object_soname(object)) || strlen(object->path) >= MAX_PATH) return false;
    strcpy(list->path[list->count++], object->path);
    return list->count == MAX_LIBRARIES;
}

/* A library that is loaded where neither scope reaches: the first that has the version. */
static const struct copy *copy_loaded_anywhere(enum kind kind, const char *version) {
    struct libraries list;
    const struct copy *copy = NULL;
    list.kind = kind;
    list.count = 0;
    elf_object_each(note_library, &list);
    for (int i = 0; i < list.count && !copy; i++) copy = copy_in_object(kind, list.path[i], version);
    return copy;
}

static const struct copy *find_copy(enum kind kind, const struct elf_object *caller, const char *version) {
    const struct copy *copy = copy_in(kind, RTLD_NEXT, version);
    if (!copy) copy = copy_in_object(kind, caller->path, version);
    if (!copy) copy = copy_loaded_anywhere(kind, version);
    return copy;
}

/* ---- what is known of callers ---- */

/* Under the lock. */
static struct finding *finding_of(enum kind kind, const struct elf_object *caller) {
    struct finding *finding = findings;
    while (finding &&
           (finding->kind != kind || finding->base != caller->base || strcmp(finding->path, caller->path) != 0))
        finding = finding->next;
    return finding;
}

/* What was learned cannot be found again: it stays as long as the same file lies at the same place. */
static bool recall(enum kind kind, const struct elf_object *caller, struct finding *out) {
    hold();
    const struct finding *finding = finding_of(kind, caller);
    bool holds = finding && (finding->learned || finding->unloads == caller->unloads);
    if (holds) *out = *finding;
    release();
    return holds;
}

static void remember(enum kind kind, const struct elf_object *caller, const struct copy *copy, enum certainty certainty,
                     bool learned) {
    hold();
    struct finding *finding = finding_of(kind, caller);
    if (!finding && (finding = malloc(sizeof *finding + strlen(caller->path) + 1))) {
        strcpy(finding->path, caller->path);
        finding->next = findings;
        findings = finding;
    }
    if (finding) {
        finding->kind = kind;
        finding->base = caller->base;
        finding->unloads = caller->unloads;
        finding->certainty = certainty;
        finding->learned = learned;
        finding->copy = copy;
    }
    release();
}

static const struct real_cublas *find_for(enum kind kind, const void *caller) {
    struct elf_object object;
    struct finding finding;
    const char *version = NULL;
    prepare();
    if (!elf_object_at(caller, &object)) object = (struct elf_object){.path = ""}; /* generated code */
    if (recall(kind, &object, &finding)) return &finding.copy->functions;
    bool refers = kinds[kind].refers(&object, &version);
    const struct copy *copy = find_copy(kind, &object, version);
    if (!copy) return NULL;
    remember(kind, &object, copy, refers ? KNOWN : GUESSED, false);
    return &copy->functions;
}

static bool learn(enum kind kind, const void *caller, void *library) {
    struct elf_object object;
    struct finding finding;
    prepare();
    if (!elf_object_at(caller, &object)) return false;
    const struct copy *copy = copy_in(kind, library, NULL);
    if (!copy) return false;
    const char *version;
    if (kinds[kind].refers(&object, &version)) find_for(kind, caller);
    if (recall(kind, &object, &finding) && finding.certainty == KNOWN) return finding.copy == copy;
    remember(kind, &object, copy, KNOWN, true);
    return true;
}

const struct real_cublas *real_cublas_for(const void *caller) {
    return find_for(CUBLAS, caller);
}
bool real_cublas_learn(const void *caller, void *library) {
    return learn(CUBLAS, caller, library);
}
const struct real_cublas *real_cublaslt_for(const void *caller) {
    return find_for(CUBLASLT, caller);
}
bool real_cublaslt_learn(const void *caller, void *library) {
    return learn(CUBLASLT, caller, library);
}
