/*
 * Copies by the copy engine, of which a barrier in shared memory (mbarrier) counts the bytes. They land when the
 * barrier is waited at, and leave 0xff bytes until then. A barrier is two words: phases completed, and what the one
 * under way still waits for, an arrival counting as one.
 */
#include "sim_cta.h"

#include <string.h>

enum { MOST = 256, MOST_TURNS = 1 << 14, NUMBERS = 16 };
static struct bulk {
    uint32_t *barrier;
    struct sim_copy copy;
} bulks[MOST];
static int count;

/* Barriers of a part of the CTA's threads, by number. */
static struct { int arrived, generation; } parts[NUMBERS];

void sim_bulk_forget(void) {
    count = 0;
    memset(parts, 0, sizeof parts);
}

void sim_barrier_of(int number, int threads) {
    const int generation = parts[number].generation;
    if (++parts[number].arrived == threads) {
        parts[number].arrived = 0;
        parts[number].generation++;
    }
    for (int turn = 0; parts[number].generation == generation; turn++) {
        if (turn == MOST_TURNS) sim_thread_fault(cudaErrorLaunchFailure, "barrier %d misses threads", number);
        sim_give_turn();
    }
}

static void settle(uint32_t *barrier) {
    if (barrier[1]) return;
    barrier[0]++;
    barrier[1] = 1;
}

void sim_mbarrier_init(uint64_t *barrier, int arrivals) {
    uint32_t *words = (uint32_t *)barrier;
    if (arrivals != 1)
        sim_thread_fault(cudaErrorNotSupported, "a simulated mbarrier has one arrival, not %d", arrivals);
    words[0] = 0;
    words[1] = 1;
}

void sim_mbarrier_arrive_expect_tx(uint64_t *barrier, int bytes) {
    uint32_t *words = (uint32_t *)barrier;
    words[1] += (uint32_t)bytes - 1;
    settle(words);
}

void sim_cp_async_bulk(void *shared, const void *global, int bytes, uint64_t *barrier) {
    if (((uintptr_t)shared | (uintptr_t)global | (unsigned)bytes) % 16 || bytes <= 0)
        sim_thread_fault(cudaErrorMisalignedAddress, "a bulk copy of %d bytes is misaligned: shared %p, global %p",
                         bytes, shared, global);
    if (!sim_shared_holds(shared, (size_t)bytes))
        sim_thread_fault(cudaErrorIllegalAddress, "a bulk copy writes outside shared memory");
    if (!sim_memory_holds(global, (size_t)bytes))
        sim_thread_fault(cudaErrorIllegalAddress, "a bulk copy reads %d bytes at %p, which no block of memory holds",
                         bytes, global);
    if (count == MOST) sim_thread_fault(cudaErrorUnknown, "more than %d bulk copies under way", MOST);
    bulks[count++] = (struct bulk){(uint32_t *)barrier, {shared, global, bytes, bytes}};
    memset(shared, 0xff, (size_t)bytes);
}

static void land(uint32_t *barrier) {
    int left = 0;
    for (int i = 0; i < count; i++) {
        if (bulks[i].barrier != barrier) {
            bulks[left++] = bulks[i];
            continue;
        }
        memcpy(bulks[i].copy.to, bulks[i].copy.from, (size_t)bulks[i].copy.bytes);
        barrier[1] -= (uint32_t)bulks[i].copy.bytes;
    }
    count = left;
    settle(barrier);
}

void sim_mbarrier_wait(uint64_t *barrier, int parity) {
    uint32_t *words = (uint32_t *)barrier;
    for (int turn = 0; (int)(words[0] % 2) == parity; turn++) {
        if (turn == MOST_TURNS) sim_thread_fault(cudaErrorLaunchFailure, "nobody completes the phase of an mbarrier");
        land(words);
        if ((int)(words[0] % 2) == parity) sim_give_turn();
    }
}
