/*
 * Reading loaded ELF objects: dl_iterate_phdr for the list, their dynamic sections for the rest. Formats: System V gABI
 * chapter 5, and the GNU extensions for symbol versions and DT_GNU_HASH.
 */
#include "elf_object.h"

#include <stddef.h>
#include <string.h>

struct search {
    uintptr_t address;
    struct elf_object *found;
    bool (*visit)(const struct elf_object *, void *);
    void *context;
};

static struct elf_object describe(const struct dl_phdr_info *info) {
    struct elf_object object = {info->dlpi_addr, info->dlpi_name ? info->dlpi_name : "", NULL, info->dlpi_subs};
    for (int i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_DYNAMIC)
            object.dynamic = (const ElfW(Dyn) *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
    return object;
}

static int holds(struct dl_phdr_info *info, size_t size, void *context) {
    struct search *search = context;
    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        if (segment->p_type != PT_LOAD) continue;
        if (search->address - (info->dlpi_addr + segment->p_vaddr) >= segment->p_memsz) continue;
        *search->found = describe(info);
        return 1;
    }
    return 0;
}

bool elf_object_at(const void *address, struct elf_object *out) {
    struct search search = {.address = (uintptr_t)address, .found = out};
    return dl_iterate_phdr(holds, &search) != 0;
}

static int visit_one(struct dl_phdr_info *info, size_t size, void *context) {
    struct search *search = context;
    (void)size;
    struct elf_object object = describe(info);
    return search->visit(&object, search->context);
}

void elf_object_each(bool (*visit)(const struct elf_object *object, void *context), void *context) {
    struct search search = {.visit = visit, .context = context};
    dl_iterate_phdr(visit_one, &search);
}

static const ElfW(Dyn) * entry(const struct elf_object *object, ElfW(Sxword) tag) {
    for (const ElfW(Dyn) *at = object->dynamic; at && at->d_tag != DT_NULL; at++)
        if (at->d_tag == tag) return at;
    return NULL;
}

/* The loader has relocated these addresses for most objects, not for all (the vDSO's stay as they were). */
static const void *table(const struct elf_object *object, ElfW(Sxword) tag) {
    const ElfW(Dyn) *found = entry(object, tag);
    if (!found) return NULL;
    return (const void *)(found->d_un.d_ptr < object->base ? object->base + found->d_un.d_ptr : found->d_un.d_ptr);
}

const char *elf_object_soname(const struct elf_object *object) {
    const char *strings = table(object, DT_STRTAB);
    const ElfW(Dyn) *soname = entry(object, DT_SONAME);
    return strings && soname ? strings + soname->d_un.d_val : "";
}

/* DT_GNU_HASH has no count: the last symbol ends the chain of the bucket that starts last. */
static uint32_t count_by_gnu_hash(const uint32_t *hash) {
    uint32_t buckets = hash[0], first = hash[1], bloom = hash[2], last = 0;
    const uint32_t *bucket = hash + 4 + bloom * (sizeof(ElfW(Addr)) / sizeof *hash);
    const uint32_t *chain = bucket + buckets;
    for (uint32_t i = 0; i < buckets; i++)
        if (bucket[i] > last) last = bucket[i];
    if (last < first) return first;
    while (!(chain[last - first] & 1)) last++;
    return last + 1;
}

static uint32_t symbol_count(const struct elf_object *object) {
    const uint32_t *sysv = table(object, DT_HASH), *gnu = table(object, DT_GNU_HASH);
    return sysv ? sysv[1] : gnu ? count_by_gnu_hash(gnu) : 0;
}

static const char *needed_version(const struct elf_object *object, const char *strings, unsigned index) {
    const char *at = table(object, DT_VERNEED);
    while (at) {
        const ElfW(Verneed) *need = (const void *)at;
        const char *aux_at = at + need->vn_aux;
        for (unsigned i = 0; i < need->vn_cnt; i++) {
            const ElfW(Vernaux) *aux = (const void *)aux_at;
            if ((aux->vna_other & 0x7fff) == index) return strings + aux->vna_name;
            aux_at += aux->vna_next;
        }
        at = need->vn_next ? at + need->vn_next : NULL;
    }
    return NULL;
}

/* cublasLt and cublasXt functions live in libraries, or serve purposes, of their own. */
static bool is_cublas_name(const char *name) {
    return strncmp(name, "cublas", 6) == 0 && strncmp(name + 6, "Lt", 2) != 0 && strncmp(name + 6, "Xt", 2) != 0;
}

static bool is_cublaslt_name(const char *name) {
    return strncmp(name, "cublasLt", 8) == 0;
}

static bool refers(const struct elf_object *object, bool (*wanted)(const char *name), const char **version) {
    const ElfW(Sym) *symbols = table(object, DT_SYMTAB);
    const char *strings = table(object, DT_STRTAB);
    const ElfW(Half) *versions = table(object, DT_VERSYM);
    *version = NULL;
    if (!symbols || !strings) return false;
    uint32_t count = symbol_count(object);
    for (uint32_t i = 1; i < count; i++) {
        if (symbols[i].st_shndx != SHN_UNDEF || !wanted(strings + symbols[i].st_name)) continue;
        unsigned index = versions ? versions[i] & 0x7fffu : VER_NDX_GLOBAL;
        if (index > VER_NDX_GLOBAL) *version = needed_version(object, strings, index);
        return true;
    }
    return false;
}

bool elf_object_refers_to_cublas(const struct elf_object *object, const char **version) {
    return refers(object, is_cublas_name, version);
}

bool elf_object_refers_to_cublaslt(const struct elf_object *object, const char **version) {
    return refers(object, is_cublaslt_name, version);
}

bool elf_same_name(const char *a, const char *b) {
    while (*a && *a == *b) a++, b++;
    return *a == *b;
}

const void *elf_object_function(const struct elf_object *object, const char *name) {
    const ElfW(Sym) *symbols = table(object, DT_SYMTAB);
    const char *strings = table(object, DT_STRTAB);
    uint32_t count = symbols && strings ? symbol_count(object) : 0;
    for (uint32_t i = 1; i < count; i++) {
        if (symbols[i].st_shndx == SHN_UNDEF || (symbols[i].st_info & 0xf) != STT_FUNC) continue;
        if (elf_same_name(strings + symbols[i].st_name, name))
            return (const void *)(object->base + symbols[i].st_value);
    }
    return NULL;
}
