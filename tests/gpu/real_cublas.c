/* Reading the symbol table of the loaded libcublas. */
#include "real_cublas.h"

#include <elf.h>
#include <link.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct search {
    const char *library, *name;
    void *found;
};

/* The loader has made the dynamic section's addresses absolute. */
static const void *entry(const ElfW(Dyn) * dynamic, ElfW(Sxword) tag) {
    for (; dynamic->d_tag != DT_NULL; dynamic++)
        if (dynamic->d_tag == tag) return (const void *)dynamic->d_un.d_ptr;
    return NULL;
}

static uint32_t gnu_hash(const char *name) {
    uint32_t hash = 5381;
    for (; *name; name++) hash = hash * 33 + (unsigned char)*name;
    return hash;
}

/* A look-up in DT_GNU_HASH: header, Bloom filter, buckets, and chains whose last hash has its lowest bit set. */
static void *look_up(uintptr_t base, const ElfW(Dyn) * dynamic, const char *name) {
    const uint32_t *table = entry(dynamic, DT_GNU_HASH);
    const ElfW(Sym) *symbols = entry(dynamic, DT_SYMTAB);
    const char *strings = entry(dynamic, DT_STRTAB);
    if (!table || !symbols || !strings) return NULL;
    const uint32_t count = table[0], first = table[1], words = table[2], hash = gnu_hash(name);
    const uint32_t *buckets = table + 4 + words * (sizeof(ElfW(Addr)) / 4), *chains = buckets + count;
    for (uint32_t i = buckets[hash % count]; i >= first; i++) {
        if (((chains[i - first] ^ hash) >> 1) == 0 && strcmp(strings + symbols[i].st_name, name) == 0)
            return (void *)(base + symbols[i].st_value);
        if (chains[i - first] & 1) break;
    }
    return NULL;
}

static int visit(struct dl_phdr_info *info, size_t size, void *context) {
    struct search *search = context;
    (void)size;
    if (!strstr(info->dlpi_name, search->library)) return 0;
    for (int i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_DYNAMIC)
            search->found =
                look_up(info->dlpi_addr, (const void *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr), search->name);
    return 1;
}

void *real_cublas_function(const char *name) {
    struct search search = {"/libcublas.so.", name, NULL};
    dl_iterate_phdr(visit, &search);
    return search.found;
}

void *real_cublaslt_function(const char *name) {
    struct search search = {"/libcublasLt.so.", name, NULL};
    dl_iterate_phdr(visit, &search);
    return search.found;
}
