/*
 * Bank conflicts of shared memory: what each lane of a warp touches in its n-th access is one request of the warp. A
 * request moves 128 bytes at a time, so accesses of 16 bytes go by quarters of a warp; loads by halves where lanes that
 * are neighbours, or next but one, read the same. In each part a bank gives one 4-byte word: words beyond the first in
 * the fullest bank are conflicts.
 */
#include "sim_cta.h"

#include <stdlib.h>
#include <string.h>

enum { BANKS = 32, LANES = 32 };

struct access {
    uint32_t at; /* bytes into shared memory */
    uint8_t width, kind;
};

static struct accesses {
    struct access *access;
    size_t count, capacity;
} accesses[SIM_MAX_THREADS];

int sim_watching_banks;
static struct fgsim_bank_count counts[FGSIM_ACCESSES];

void fgsim_watch_banks(int on) {
    sim_lock();
    memset(counts, 0, sizeof counts);
    for (int i = 0; i < SIM_MAX_THREADS; i++) accesses[i].count = 0;
    sim_watching_banks = on;
    sim_unlock();
}

void fgsim_bank_counts(struct fgsim_bank_count out[FGSIM_ACCESSES]) {
    sim_lock();
    memcpy(out, counts, sizeof counts);
    sim_unlock();
}

void sim_banks_note(const void *address, int width, enum fgsim_access kind) {
    struct accesses *mine = &accesses[sim_cta.self - sim_cta.threads];
    if (!sim_shared_holds(address, (size_t)width)) return;
    if (mine->count == mine->capacity) {
        mine->capacity = mine->capacity ? 2 * mine->capacity : 1024;
        mine->access = realloc(mine->access, mine->capacity * sizeof *mine->access);
        if (!mine->access) abort();
    }
    uint32_t at = (uint32_t)((const char *)address - sim_cta.shared);
    mine->access[mine->count++] = (struct access){at, (uint8_t)width, (uint8_t)kind};
}

void sim_watch_vector(const void *to, const void *from, int width) {
    sim_banks_note(from, width, FGSIM_SHARED_LOAD);
    sim_banks_note(to, width, FGSIM_SHARED_STORE);
}

/* Words that the fullest bank has to give to `count` lanes, each word once. */
static int words_of_fullest_bank(const struct access *lane, int count) {
    uint32_t words[BANKS][LANES * 4];
    int in_bank[BANKS] = {0}, most = 0;
    for (int i = 0; i < count; i++)
        for (uint32_t word = lane[i].at / 4; word < (lane[i].at + lane[i].width) / 4; word++) {
            uint32_t bank = word % BANKS;
            int known = 0;
            while (known < in_bank[bank] && words[bank][known] != word) known++;
            if (known == in_bank[bank]) words[bank][in_bank[bank]++] = word;
            if (in_bank[bank] > most) most = in_bank[bank];
        }
    return most;
}

static bool all_read_as(const struct access *lane, int distance) {
    for (int i = 0; i < LANES; i++)
        if (lane[i].at != lane[i ^ distance].at) return false;
    return true;
}

static void count_request(const struct access *lane) {
    struct fgsim_bank_count *count = &counts[lane[0].kind];
    int together = LANES * 4 / lane[0].width, extra = 0;
    if (lane[0].kind == FGSIM_SHARED_LOAD && lane[0].width > 4 && (all_read_as(lane, 1) || all_read_as(lane, 2)))
        together *= 2;
    for (int first = 0; first < LANES; first += together) {
        int words = words_of_fullest_bank(lane + first, together);
        extra += words - 1;
        count->wavefronts += (uint64_t)words;
    }
    count->requests++;
    count->conflicts += (uint64_t)extra;
    if (extra > count->worst) count->worst = extra;
}

/* Lanes that do not all do the same make no request that could be told: they are counted as strayed. */
static void count_warp(const struct accesses *lanes) {
    for (size_t i = 0; i < lanes[0].count; i++) {
        struct access lane[LANES];
        bool alike = true;
        for (int l = 0; l < LANES && alike; l++) {
            alike = lanes[l].count == lanes[0].count;
            if (!alike) break;
            lane[l] = lanes[l].access[i];
            alike = lane[l].kind == lane[0].kind && lane[l].width == lane[0].width;
        }
        if (alike)
            count_request(lane);
        else
            counts[lanes[0].access[i].kind].strayed++;
    }
}

void sim_banks_end_cta(void) {
    for (int first = 0; first + LANES <= sim_cta.thread_count; first += LANES) count_warp(&accesses[first]);
    for (int i = 0; i < SIM_MAX_THREADS; i++) accesses[i].count = 0;
}
