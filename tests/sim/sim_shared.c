/*
 * Shared memory of the simulated CTA: exactly as large as the launch asked for, between red zones, full of NaN at the
 * start; and the asynchronous copies into it.
 */
#include "sim_cta.h"

#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#define POISON(address, bytes)   __asan_poison_memory_region(address, bytes)
#define UNPOISON(address, bytes) __asan_unpoison_memory_region(address, bytes)
#else
#define POISON(address, bytes)   ((void)0)
#define UNPOISON(address, bytes) ((void)0)
#endif

enum { MAX_SHARED = 256 << 10, RED_ZONE = 1024, RED_BYTE = 0xfb };

static char *arena; /* red zone, shared memory, red zone */
static size_t shared_bytes;

bool sim_shared_prepare(size_t bytes) {
    if (!arena) {
        void *raw;
        if (posix_memalign(&raw, 1024, MAX_SHARED + 2 * RED_ZONE)) return false;
        arena = raw;
    }
    shared_bytes = bytes;
    sim_cta.shared = arena + RED_ZONE;
    UNPOISON(arena, MAX_SHARED + 2 * RED_ZONE);
    memset(arena, RED_BYTE, RED_ZONE);
    memset(sim_cta.shared, 0xff, bytes);
    memset(sim_cta.shared + bytes, RED_BYTE, RED_ZONE);
    POISON(arena, RED_ZONE);
    POISON(sim_cta.shared + bytes, MAX_SHARED + RED_ZONE - bytes);
    return true;
}

bool sim_shared_sound(void) {
    UNPOISON(arena, MAX_SHARED + 2 * RED_ZONE);
    for (int i = 0; i < RED_ZONE; i++)
        if ((unsigned char)arena[i] != RED_BYTE || (unsigned char)sim_cta.shared[shared_bytes + (size_t)i] != RED_BYTE)
            return false;
    return true;
}

bool sim_shared_holds(const void *address, size_t bytes) {
    uintptr_t offset = (uintptr_t)address - (uintptr_t)sim_cta.shared;
    return offset <= shared_bytes && bytes <= shared_bytes - offset;
}

void *sim_shared_memory(void) {
    return sim_cta.shared;
}

/* ---- asynchronous copies ---- */

static bool grow(void **array, int *capacity, int count, size_t element) {
    if (count < *capacity) return true;
    int larger = *capacity ? 2 * *capacity : 32;
    void *moved = realloc(*array, (size_t)larger * element);
    if (!moved) return false;
    *array = moved;
    *capacity = larger;
    return true;
}

void sim_copies_forget(struct sim_copies *c) {
    c->first = c->count = c->first_group = c->groups = 0;
}

void sim_cp_async(void *shared, const void *global, int width, int bytes) {
    struct sim_copies *c = &sim_cta.self->copies;
    if (bytes < 0 || bytes > width || (width != 4 && width != 8 && width != 16))
        sim_thread_fault(cudaErrorIllegalInstruction, "cp.async of %d bytes in a width of %d", bytes, width);
    if ((uintptr_t)shared % (unsigned)width || (uintptr_t)global % (unsigned)width)
        sim_thread_fault(cudaErrorMisalignedAddress, "cp.async of width %d is misaligned: shared %p, global %p", width,
                         shared, global);
    if (!sim_shared_holds(shared, (size_t)width))
        sim_thread_fault(cudaErrorIllegalAddress, "cp.async writes outside shared memory, at byte %td of %zu",
                         (char *)shared - sim_cta.shared, shared_bytes);
    if (bytes && !sim_memory_holds(global, (size_t)bytes))
        sim_thread_fault(cudaErrorIllegalAddress, "cp.async reads %d bytes at %p, which no block of memory holds",
                         bytes, global);
    if (!grow((void **)&c->copy, &c->capacity, c->count, sizeof *c->copy))
        sim_thread_fault(cudaErrorUnknown, "no memory for the list of copies");
    if (sim_watching_banks) sim_banks_note(shared, width, FGSIM_SHARED_COPY);
    c->copy[c->count++] = (struct sim_copy){shared, global, width, bytes};
    memset(shared, 0xff, (size_t)width);
}

void sim_cp_async_commit(void) {
    struct sim_copies *c = &sim_cta.self->copies;
    if (!grow((void **)&c->group_end, &c->group_capacity, c->groups, sizeof *c->group_end))
        sim_thread_fault(cudaErrorUnknown, "no memory for the list of copies");
    c->group_end[c->groups++] = c->count;
}

static void land(const struct sim_copy *copy) {
    memcpy(copy->to, copy->from, (size_t)copy->bytes);
    memset((char *)copy->to + copy->bytes, 0, (size_t)(copy->width - copy->bytes));
}

void sim_cp_async_wait(int pending) {
    struct sim_copies *c = &sim_cta.self->copies;
    while (c->groups - c->first_group > pending) {
        for (int end = c->group_end[c->first_group++]; c->first < end; c->first++) land(&c->copy[c->first]);
    }
    /* The lists move to the front when they run dry or grow long, so that they stay short. */
    if (c->first > 64 || c->first == c->count) {
        int gone = c->first;
        memmove(c->copy, c->copy + gone, (size_t)(c->count - gone) * sizeof *c->copy);
        memmove(c->group_end, c->group_end + c->first_group, (size_t)(c->groups - c->first_group) * sizeof(int));
        c->groups -= c->first_group;
        c->first_group = 0;
        for (int i = 0; i < c->groups; i++) c->group_end[i] -= gone;
        c->count -= gone;
        c->first = 0;
    }
}
