/*
 * A hash table of plans. An entry is written once and then stays for good, so readers need no lock; when the places of
 * a problem are taken, its plan is made anew each time.
 */
#include "plan_cache.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 1024, PROBES = 4 };

/* All that a plan depends on; compared as bytes. */
struct key {
    struct gemm_problem problem;
    int64_t scratch_bytes, planes_bytes;
    int device, sm_count;
};

struct entry {
    struct key key;
    struct gemm_plan plan;
};

static _Atomic(const struct entry *) table[SLOTS];

static uint64_t mix(uint64_t hash, int64_t value) {
    hash = (hash ^ (uint64_t)value) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 32;
}

static unsigned hash_of(const struct key *key) {
    const struct gemm_problem *p = &key->problem;
    uint64_t hash = mix((uint64_t)p->m, p->n);
    hash = mix(mix(hash, p->k), p->lda + (p->ldb << 20) + (p->ldc << 40));
    return (unsigned)mix(hash, p->batch * 64 + (int)p->op_a * 2 + (int)p->op_b);
}

static struct key key_of(const struct gemm_problem *problem, int device, const struct gemm_device *traits,
                         const struct gemm_limits *limits) {
    struct key key;
    memcpy(&key.problem, problem, sizeof key.problem); /* padding too */
    key.scratch_bytes = limits->scratch_bytes;
    key.planes_bytes = limits->planes_bytes;
    key.device = device;
    key.sm_count = traits->sm_count;
    return key;
}

static void keep(_Atomic(const struct entry *) *slot, const struct key *key, const struct gemm_plan *plan) {
    const struct entry *nothing = NULL;
    struct entry *entry = malloc(sizeof *entry);
    if (!entry) return;
    entry->key = *key;
    entry->plan = *plan;
    if (!atomic_compare_exchange_strong(slot, &nothing, entry)) free(entry); /* another thread was quicker */
}

struct gemm_plan plan_cached(const struct gemm_problem *problem, int device, const struct gemm_device *traits,
                             const struct toggles *toggles, const struct gemm_limits *limits) {
    const struct key key = key_of(problem, device, traits, limits);
    unsigned hash = hash_of(&key);
    for (unsigned probe = 0; probe < PROBES; probe++) {
        _Atomic(const struct entry *) *slot = &table[(hash + probe) % SLOTS];
        const struct entry *entry = atomic_load_explicit(slot, memory_order_acquire);
        if (entry && memcmp(&entry->key, &key, sizeof key) == 0) return entry->plan;
        if (entry) continue;
        struct gemm_plan plan = gemm_plan_make(problem, traits, toggles, limits);
        keep(slot, &key, &plan);
        return plan;
    }
    return gemm_plan_make(problem, traits, toggles, limits);
}
