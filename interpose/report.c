/* Counters, log and summary. */
#include "report.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../policy/profile.h"

enum { MAX_ROWS = 4096 };

struct row {
    const char *entry;
    struct gemm_problem problem;
    struct gemm_plan plan;
    long calls;
};

static struct row *rows;
static int row_count;
static const struct toggles *settings;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static FILE *open_log(const struct toggles *toggles) {
    char path[1100] = "";
    const char *from = toggles->log_file;
    for (size_t at = 0; *from && at + 24 < sizeof path; from++) {
        if (from[0] == '%' && from[1] == 'p') {
            at += (size_t)snprintf(path + at, sizeof path - at, "%ld", (long)getpid());
            from++;
        } else {
            path[at++] = *from;
            path[at] = 0;
        }
    }
    FILE *file = *path ? fopen(path, "ae") : NULL;
    return file ? file : stderr;
}

static void close_log(FILE *file) {
    if (file != stderr) fclose(file);
}

void report_line(const struct toggles *toggles, const char *line) {
    FILE *file = open_log(toggles);
    fprintf(file, "fastgemm: %s\n", line);
    close_log(file);
}

static int describe(char *out, size_t size, const char *entry, const struct gemm_problem *p,
                    const struct gemm_plan *plan) {
    char where[160];
    if (plan->variant)
        snprintf(where, sizeof where, "%s split %d raster %d", plan->variant->name, plan->split_k, plan->raster);
    else
        snprintf(where, sizeof where, "cuBLAS: %s", gemm_reason_text(plan->reason));
    return snprintf(out, size, "%s %c%c m=%lld n=%lld k=%lld batch=%lld ld=%lld,%lld,%lld [%s] -> %s", entry,
                    "NT"[p->op_a], "NT"[p->op_b], (long long)p->m, (long long)p->n, (long long)p->k,
                    (long long)p->batch, (long long)p->lda, (long long)p->ldb, (long long)p->ldc,
                    gemm_profile_name(plan->profile), where);
}

static void print_summary(void) {
    char line[512];
    FILE *file = open_log(settings);
    fprintf(file, "fastgemm: summary of process %ld\n", (long)getpid());
    for (int i = 0; i < row_count; i++) {
        describe(line, sizeof line, rows[i].entry, &rows[i].problem, &rows[i].plan);
        fprintf(file, "fastgemm: %8ld x %s\n", rows[i].calls, line);
    }
    close_log(file);
}

static bool same(const struct row *row, const char *entry, const struct gemm_problem *p, const struct gemm_plan *plan) {
    return strcmp(row->entry, entry) == 0 && memcmp(&row->problem, p, sizeof *p) == 0 &&
           row->plan.variant == plan->variant && row->plan.reason == plan->reason;
}

static void count(const char *entry, const struct gemm_problem *problem, const struct gemm_plan *plan) {
    int i = 0;
    while (i < row_count && !same(&rows[i], entry, problem, plan)) i++;
    if (i == row_count) {
        if (row_count == MAX_ROWS) return;
        rows[row_count++] = (struct row){entry, *problem, *plan, 0};
    }
    rows[i].calls++;
}

void report_call(const struct toggles *toggles, const char *entry, const struct gemm_problem *problem,
                 const struct gemm_plan *plan) {
    if (toggles->log == LOG_OFF) return;
    pthread_mutex_lock(&lock);
    if (!rows) {
        settings = toggles;
        rows = calloc(MAX_ROWS, sizeof *rows);
        atexit(print_summary);
    }
    if (rows) count(entry, problem, plan);
    pthread_mutex_unlock(&lock);
    if (toggles->log != LOG_CALLS) return;
    char line[512];
    describe(line, sizeof line, entry, problem, plan);
    report_line(toggles, line);
}
