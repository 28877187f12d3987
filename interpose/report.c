/*
 * Counters, log and summary.
 *
 * Rows lie in an open-addressed table; a row is published by its calls turning from 0, and never changes afterwards.
 * Only who adds one holds the lock.
 */
#include "report.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../policy/profile.h"
#include "dispatch.h"
#include "log_file.h"

enum { SLOTS = 8192, MAX_ROWS = 4096, MAX_LINE = 640 };

struct row {
    atomic_long calls; /* 0: free */
    int order;         /* of first sight */
    const char *entry;
    const char *support;
    struct gemm_problem problem;
    struct gemm_plan plan;
};

static _Atomic(struct row *) rows;
static int row_count;
static atomic_long other_routed, other_forwarded; /* calls of problems beyond the table */
static const struct toggles *settings_seen;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void hold(void) {
    pthread_mutex_lock(&lock);
}
static void release(void) {
    pthread_mutex_unlock(&lock);
}

/* A child counts its own calls; its parent prints the others. */
static void in_child(void) {
    struct row *table = atomic_load(&rows);
    for (int i = 0; table && i < SLOTS; i++) atomic_store(&table[i].calls, 0);
    row_count = 0;
    atomic_store(&other_routed, 0);
    atomic_store(&other_forwarded, 0);
    release();
}

static void survive_fork(void) {
    pthread_atfork(hold, release, in_child);
}

/* ---- words ---- */

static int words_of_route(char *out, size_t size, const struct row *row) {
    const struct gemm_plan *plan = &row->plan;
    if (!plan->variant) return snprintf(out, size, "cuBLAS: %s", gemm_reason_text(plan->reason));
    return snprintf(out, size, "%s split %d raster %d (%s)", plan->variant->name, plan->split_k, plan->raster,
                    row->support);
}

/* "bias", "gelu", "bias+gelu" or "none". */
static const char *words_of_epilogue(const struct gemm_problem *p) {
    static const char *const words[ACTIVATION_COUNT][2] = {
#define X(name) [ACTIVATION_##name] = {#name, "bias+" #name},
        GEMM_ACTIVATIONS(X)
#undef X
    };
    return p->activation == ACTIVATION_none && p->bias ? "bias" : words[p->activation][p->bias];
}

static int words_of_call(char *out, size_t size, const struct row *row) {
    const struct gemm_problem *p = &row->problem;
    const bool finishes = p->bias || p->activation != ACTIVATION_none;
    char where[200];
    words_of_route(where, sizeof where, row);
    return snprintf(out, size, "%s %c%c m=%lld n=%lld k=%lld batch=%lld ld=%lld,%lld,%lld%s%s [%s] -> %s", row->entry,
                    "NT"[p->op_a], "NT"[p->op_b], (long long)p -> m, (long long)p -> n, (long long)p -> k,
                    (long long)p -> batch, (long long)p -> lda, (long long)p -> ldb, (long long)p -> ldc,
                    finishes ? " epilogue=" : "", finishes ? words_of_epilogue(p) : "",
                    gemm_profile_name(row->plan.profile), where);
}

/*
 * A line that replays: `bench` and the problem as name=value pairs, in this order, none left out; last how often it
 * was called and where it went. alpha and beta are 0, 1, x (another value) or d (on the device).
 */
static int words_of_bench(char *out, size_t size, const struct row *row, long calls) {
    const struct gemm_problem *p = &row->problem;
    static const char *const contracts[] = {"ieee", "fp32", "tf32"};
    return snprintf(
        out, size,
        "bench entry=%s ops=%c%c m=%lld n=%lld k=%lld batch=%lld lda=%lld ldb=%lld ldc=%lld stride_a=%lld "
        "stride_b=%lld stride_c=%lld align_a=%u align_b=%u alpha=%c beta=%c epilogue=%s contract=%s calls=%ld route=%s",
        row->entry, "NT"[p->op_a], "NT"[p->op_b], (long long)p -> m, (long long)p -> n, (long long)p -> k,
        (long long)p -> batch, (long long)p -> lda, (long long)p -> ldb, (long long)p -> ldc, (long long)p -> stride_a,
        (long long)p -> stride_b, (long long)p -> stride_c, p -> align_a, p -> align_b, "01xd"[p->alpha],
        "01xd"[p->beta], words_of_epilogue(p), contracts[p->contract], calls,
        row -> plan.variant ? row->plan.variant->name : gemm_reason_name(row->plan.reason));
}

void report_line(const struct toggles *toggles, const char *line) {
    char text[MAX_LINE + 1600];
    int length = snprintf(text, sizeof text, "fastgemm: %s\n", line);
    if ((size_t)length >= sizeof text) length = (int)sizeof text - 1;
    log_write(toggles, text, (size_t)length);
}

/* ---- summary ---- */

static int by_order(const void *a, const void *b) {
    return (*(struct row *const *)a)->order - (*(struct row *const *)b)->order;
}

/* What the guard refused is no product that a bench could run. */
static bool replays(enum gemm_reason reason) {
    return reason != REASON_invalid && reason != REASON_empty && reason != REASON_not_fp32;
}

static void print_row(FILE *out, const struct row *row, long calls) {
    char line[MAX_LINE];
    if (settings_seen->log == LOG_BENCH) {
        if (!replays(row->plan.reason)) return;
        words_of_bench(line, sizeof line, row, calls);
        fprintf(out, "fastgemm: %s\n", line);
        return;
    }
    words_of_call(line, sizeof line, row);
    fprintf(out, "fastgemm: %8ld x %s\n", calls, line);
}

/* TF32 on the user's word alone: cuBLAS would have computed in fp32. */
static bool unasked_tf32(const struct row *row) {
    return row->plan.variant && row->plan.variant->contract == CONTRACT_TF32 && !row->problem.cublas_tf32;
}

static void print_rows(FILE *out, struct row **list, int count) {
    long unasked = 0;
    long routed = atomic_load(&other_routed), forwarded = atomic_load(&other_forwarded), other = routed + forwarded;
    for (int i = 0; i < count; i++) {
        long calls = atomic_load(&list[i]->calls);
        print_row(out, list[i], calls);
        if (list[i]->plan.variant)
            routed += calls;
        else
            forwarded += calls;
        if (unasked_tf32(list[i])) unasked += calls;
    }
    if (unasked)
        fprintf(out, "fastgemm: %8ld x TF32 for callers that did not ask for it (FASTGEMM_PRECISION=tf32)\n", unasked);
    if (other) fprintf(out, "fastgemm: %8ld x other problems, beyond the %d that are listed\n", other, MAX_ROWS);
    fprintf(out, "fastgemm: total %ld calls: %ld routed, %ld forwarded\n", routed + forwarded, routed, forwarded);
}

/* At unloading: after the program's exit handlers. Written in one piece; the lock is not held meanwhile. */
__attribute__((destructor)) static void print_summary(void) {
    struct row *table = atomic_load(&rows), **list = NULL;
    char *text = NULL;
    size_t length = 0;
    int count = 0;
    if (!table || !(list = malloc(SLOTS * sizeof *list))) return;
    for (int i = 0; i < SLOTS; i++)
        if (atomic_load(&table[i].calls)) list[count++] = &table[i];
    qsort(list, (size_t)count, sizeof *list, by_order);
    FILE *out = count ? open_memstream(&text, &length) : NULL;
    if (out) {
        fprintf(out, "fastgemm: summary of process %ld\n", (long)getpid());
        print_rows(out, list, count);
        fclose(out);
        log_write(settings_seen, text, length);
        free(text);
    }
    free(list);
}

/* ---- counting ---- */

static uint64_t mix(uint64_t hash, uint64_t value) {
    hash = (hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 29;
}

static unsigned hash_of(const struct row *row) {
    const struct gemm_problem *p = &row->problem;
    uint64_t hash = mix((uintptr_t)row->entry, (uint64_t)row->plan.reason);
    hash = mix(mix(mix(hash, (uint64_t)p->m), (uint64_t)p->n), (uint64_t)p->k);
    hash = mix(mix(mix(hash, (uint64_t)p->lda), (uint64_t)p->ldb), (uint64_t)p->batch);
    return (unsigned)(mix(hash, (uint64_t)(p->op_a * 2 + (int)p->op_b)) >> 32) % SLOTS;
}

static bool same(const struct row *a, const struct row *b) {
    return a->entry == b->entry && memcmp(&a->problem, &b->problem, sizeof a->problem) == 0 &&
           a->plan.variant == b->plan.variant && a->plan.reason == b->plan.reason && a->plan.split_k == b->plan.split_k;
}

/* The row like this one, or the free slot where it belongs. */
static struct row *seek(struct row *table, const struct row *like) {
    unsigned slot = hash_of(like);
    while (atomic_load_explicit(&table[slot].calls, memory_order_acquire) && !same(&table[slot], like))
        slot = (slot + 1) % SLOTS;
    return &table[slot];
}

static bool add(struct row *table, const struct row *like) {
    hold();
    struct row *row = seek(table, like);
    bool there = atomic_load_explicit(&row->calls, memory_order_relaxed) != 0, fits = row_count < MAX_ROWS;
    if (there) {
        atomic_fetch_add_explicit(&row->calls, 1, memory_order_relaxed);
    } else if (fits) {
        row->entry = like->entry;
        row->support = like->support;
        row->problem = like->problem;
        row->plan = like->plan;
        row->order = row_count++;
        atomic_store_explicit(&row->calls, 1, memory_order_release);
    }
    release();
    return there || fits;
}

static struct row *make_table(const struct toggles *toggles) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, survive_fork);
    hold();
    struct row *table = atomic_load(&rows);
    if (!table && (table = calloc(SLOTS, sizeof *table))) {
        settings_seen = toggles;
        atomic_store(&rows, table);
    }
    release();
    return table;
}

static void count(const struct toggles *toggles, const struct row *like) {
    struct row *table = atomic_load_explicit(&rows, memory_order_acquire);
    if (!table) table = make_table(toggles);
    struct row *row = table ? seek(table, like) : NULL;
    if (row && atomic_load_explicit(&row->calls, memory_order_relaxed))
        atomic_fetch_add_explicit(&row->calls, 1, memory_order_relaxed);
    else if (!table || !add(table, like))
        atomic_fetch_add_explicit(like->plan.variant ? &other_routed : &other_forwarded, 1, memory_order_relaxed);
}

void report_call(const struct toggles *toggles, const struct gemm_call *call, const struct gemm_problem *problem,
                 const struct gemm_plan *plan, const char *support) {
    if (toggles->log == LOG_OFF) return;
    const struct row like = {.entry = call->entry, .support = support, .problem = *problem, .plan = *plan};
    count(toggles, &like);
    if (toggles->log != LOG_CALLS) return;
    char line[MAX_LINE];
    words_of_call(line, sizeof line, &like);
    report_line(toggles, line);
}
