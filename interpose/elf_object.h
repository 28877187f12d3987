/*
 * Loaded ELF objects: which one holds an address, and which version of cuBLAS its own references ask for.
 */
#ifndef FASTGEMM_ELF_OBJECT_H
#define FASTGEMM_ELF_OBJECT_H

#include <elf.h>
#include <link.h>
#include <stdbool.h>
#include <stdint.h>

struct elf_object {
    uintptr_t base;
    const char *path; /* "" for the program itself; the loader's string, valid while the object is loaded */
    const ElfW(Dyn) * dynamic;
    unsigned long long unloads; /* how often this process had unloaded an object at the time of the question */
};

/* The object whose code or data holds the address. Takes no lock that a library's constructor runs under. */
bool elf_object_at(const void *address, struct elf_object *out);

/* Calls `visit` for each object in the order of loading until it returns true. No dl function may be called there. */
void elf_object_each(bool (*visit)(const struct elf_object *object, void *context), void *context);

/* DT_SONAME, "" without one. */
const char *elf_object_soname(const struct elf_object *object);

/*
 * Whether the object refers to a function of libcublas by name, as a linked program does. `version` becomes the
 * version node that the reference asks for ("libcublas.so.13"), NULL when it asks for none.
 */
bool elf_object_refers_to_cublas(const struct elf_object *object, const char **version);
bool elf_object_refers_to_cublaslt(const struct elf_object *object, const char **version); /* of libcublasLt */

/*
 * The address of a function that the object itself defines, whatever its version; NULL when it defines none. Needs
 * nothing of libc: it may be asked when a sanitizer has taken libc's functions and is not ready yet.
 */
const void *elf_object_function(const struct elf_object *object, const char *name);

/* strcmp(a, b) == 0, likewise. */
bool elf_same_name(const char *a, const char *b);

#endif
