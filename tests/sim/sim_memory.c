/*
 * Device memory: blocks of the host's, aligned to 256 bytes, full of NaN, between two guard bands (of another NaN)
 * which are checked when the block is freed and when the device is synchronised. Under AddressSanitizer the guard
 * bands are poisoned, so that the first byte past the end is caught.
 */
#include "sim_internal.h"

#include <stdio.h>
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

enum { GUARD = 256 };

/* The guard bands hold a NaN that no computation makes: a sum with it stands out, and so does a write. */
static unsigned char guard_byte(size_t i) {
    return (const unsigned char[4]){0xa5, 0x5a, 0xf5, 0x7f}[i % 4];
}

static void fill_guard(char *band, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) band[i] = (char)guard_byte(i);
}

static struct sim_block *blocks;
static const struct sim_block *recent[4]; /* found last: a kernel asks about few blocks, and often */
static unsigned recent_next;

static size_t tail_bytes(const struct sim_block *b) {
    return GUARD + (16 - b->bytes % 16) % 16;
}

void *sim_memory_allocate(size_t bytes, int device, enum cudaMemoryType type) {
    struct sim_block *b = malloc(sizeof *b);
    void *raw = NULL;
    if (!b || bytes > SIZE_MAX / 2 || posix_memalign(&raw, 256, bytes + 2 * GUARD + 16)) {
        free(b);
        return NULL;
    }
    *b = (struct sim_block){(char *)raw + GUARD, bytes, device, type, raw, blocks};
    blocks = b;
    fill_guard(raw, GUARD);
    memset(b->start, 0xff, bytes);
    fill_guard(b->start + bytes, tail_bytes(b));
    POISON(raw, GUARD);
    POISON(b->start + bytes, tail_bytes(b));
    sim_counters.live_blocks++;
    sim_counters.live_bytes += bytes;
    return b->start;
}

/* How many bytes of a band were written; 0 for a sound one. */
static size_t damaged(const char *band, size_t bytes) {
    size_t count = 0;
    for (size_t i = 0; i < bytes; i++) count += (unsigned char)band[i] != guard_byte(i);
    return count;
}

static bool guards_sound(const struct sim_block *b) {
    UNPOISON(b->raw, GUARD);
    UNPOISON(b->start + b->bytes, tail_bytes(b));
    size_t before = damaged(b->raw, GUARD), after = damaged(b->start + b->bytes, tail_bytes(b));
    POISON(b->raw, GUARD);
    POISON(b->start + b->bytes, tail_bytes(b));
    if (before || after)
        sim_fault(cudaErrorIllegalAddress,
                  "a block of %zu bytes was written outside: %zu bytes before it, %zu after it", b->bytes, before,
                  after);
    return !before && !after;
}

int sim_memory_check_guards(void) {
    int broken = 0;
    for (struct sim_block *b = blocks; b; b = b->next) broken += !guards_sound(b);
    return broken;
}

bool sim_memory_free(void *address) {
    struct sim_block **link = &blocks;
    while (*link && (*link)->start != address) link = &(*link)->next;
    struct sim_block *b = *link;
    if (!b) return false;
    guards_sound(b);
    *link = b->next;
    memset(recent, 0, sizeof recent);
    sim_counters.live_blocks--;
    sim_counters.live_bytes -= b->bytes;
    UNPOISON(b->raw, b->bytes + 2 * GUARD + 16);
    free(b->raw);
    free(b);
    return true;
}

void sim_memory_free_all(int device) {
    struct sim_block *next;
    for (struct sim_block *b = blocks; b; b = next) {
        next = b->next;
        if (b->device == device && b->type == cudaMemoryTypeDevice) sim_memory_free(b->start);
    }
}

static bool holds(const struct sim_block *b, const void *address, size_t bytes) {
    size_t offset = (size_t)((uintptr_t)address - (uintptr_t)b->start);
    return offset <= b->bytes && bytes <= b->bytes - offset;
}

const struct sim_block *sim_memory_find(const void *address) {
    for (struct sim_block *b = blocks; b; b = b->next)
        if (holds(b, address, b->bytes ? 1 : 0)) return b;
    return NULL;
}

bool sim_memory_holds(const void *address, size_t bytes) {
    for (int i = 0; i < 4; i++)
        if (recent[i] && holds(recent[i], address, bytes)) return true;
    const struct sim_block *b = sim_memory_find(address);
    if (!b || !holds(b, address, bytes)) return false;
    recent[recent_next++ % 4] = b;
    return true;
}

int fgsim_check_guards(void) {
    sim_lock();
    int broken = sim_memory_check_guards();
    sim_unlock();
    return broken;
}

int fgsim_is_device_memory(const void *address, size_t bytes) {
    sim_lock();
    int holds_all = sim_memory_holds(address, bytes);
    sim_unlock();
    return holds_all;
}
