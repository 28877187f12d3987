/* The checks against float64. */
#include "check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const uint32_t GUARD = 0xfffa5a5au;

double check_gamma(double n) {
    const double unit = ldexp(1, -24);
    return n * unit / (1 - n * unit);
}

double check_frobenius_limit(int64_t k, bool tf32) {
    double root = sqrt((double)k);
    if (tf32) return ldexp(1.5, -12);
    return (root > 4 ? root : 4) * ldexp(1, -24);
}

/* ---- inputs ---- */

static uint64_t next(uint64_t *state) { /* splitmix64 */
    uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

void check_fill_normal(float *out, int64_t count, uint64_t seed) {
    const double one = 18918.9; /* the deviation of a sum of four numbers below 2^15, less their mean */
    for (int64_t i = 0; i < count; i++) {
        uint64_t bits = next(&seed), more = next(&seed);
        double sum = -2.0 * 32767;
        for (int part = 0; part < 4; part++) sum += (double)(bits >> 16 * part & 0x7fff);
        out[i] = (float)((sum + (double)(more & 0xffff) / 65536) / one);
    }
}

void check_fill_integers(float *out, int64_t count, int bits, uint64_t seed) {
    for (int64_t i = 0; i < count; i++) {
        uint64_t r = next(&seed);
        double value = (double)((UINT64_C(1) << (bits - 1)) | (r & ((UINT64_C(1) << (bits - 1)) - 1)) | 1);
        out[i] = (float)(r >> 63 ? -value : value);
    }
}

void check_fill_signs(float *out, int64_t count, double density, uint64_t seed) {
    for (int64_t i = 0; i < count; i++) {
        uint64_t r = next(&seed);
        bool keep = (double)(r >> 11) * 0x1p-53 < density;
        out[i] = !keep ? 0.0f : r & 1 ? 1.0f : -1.0f;
    }
}

void check_fill_guard(float *out, int64_t count) {
    for (int64_t i = 0; i < count; i++) memcpy(&out[i], &GUARD, sizeof GUARD);
}

int64_t check_guard_broken(const float *from, int64_t count) {
    int64_t broken = 0;
    for (int64_t i = 0; i < count; i++) broken += memcmp(&from[i], &GUARD, sizeof GUARD) != 0;
    return broken;
}

float check_round_tf32(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    bits += 0x0fffu + (bits >> 13 & 1); /* to nearest, ties to even */
    bits &= ~0x1fffu;
    memcpy(&value, &bits, sizeof bits);
    return value;
}

/* ---- comparison ---- */

/* `wanted` of `count` lines, evenly spread; the s-th of them. */
static int64_t spread(int64_t s, int64_t wanted, int64_t count) {
    return wanted < 2 ? 0 : s * (count - 1) / (wanted - 1);
}

/* The chosen lines of an operand, each contiguous along k, as float64. */
static double *gather(const float *from, int64_t wanted, int64_t count, int64_t k, int64_t step, int64_t step_k) {
    double *lines = malloc((size_t)(wanted * k + 1) * sizeof *lines);
    if (!lines) abort();
    for (int64_t l = 0; l < k; l++)
        for (int64_t s = 0; s < wanted; s++) lines[s * k + l] = from[spread(s, wanted, count) * step + l * step_k];
    return lines;
}

struct sums {
    double exact, reach; /* the product, and the same of absolute values */
};

static struct sums dot(const double *a, const double *b, int64_t k) {
    double exact[4] = {0}, reach[4] = {0}; /* four chains, so that the compiler may keep them apart */
    for (int64_t l = 0; l < k; l++) {
        double term = a[l] * b[l];
        exact[l & 3] += term;
        reach[l & 3] += fabs(term);
    }
    return (struct sums){exact[0] + exact[1] + (exact[2] + exact[3]), reach[0] + reach[1] + (reach[2] + reach[3])};
}

struct totals {
    double wrong, whole;
};

static void judge(struct check_report *report, struct totals *totals, const struct check_product *p, struct sums sums,
                  int64_t i, int64_t j, int64_t batch) {
    int64_t at = batch * p->stride_c + j * p->ldc + i;
    double exact = p->alpha * sums.exact, reach = fabs((double)p->alpha) * sums.reach;
    if (p->beta != 0.0f) {
        exact += (double)p->beta * p->before[at];
        reach += fabs((double)p->beta * p->before[at]);
    }
    double error = fabs(p->result[at] - exact), bound = check_gamma((double)p->k + 2) * reach;
    if (p->tf32) bound = 2 * bound + ldexp(1.001, -10) * reach;
    double share = error == 0                      ? 0
                   : error <= bound                ? error / bound
                   : bound > 0 && error < INFINITY ? error / bound
                                                   : INFINITY;
    report->compared++;
    report->inexact += !(error == 0);
    if (reach > report->largest) report->largest = reach;
    if (!(share <= report->worst)) {
        report->worst = share;
        report->at[0] = i, report->at[1] = j, report->at[2] = batch;
    }
    totals->wrong += error < INFINITY ? error * error : INFINITY;
    totals->whole += exact * exact;
}

static void compare_matrix(struct check_report *report, struct totals *totals, const struct check_product *p,
                           int64_t batch, int64_t rows, int64_t columns) {
    const float *a = p->a + batch * p->stride_a, *b = p->b + batch * p->stride_b;
    double *left = gather(a, rows, p->m, p->k, p->trans_a ? p->lda : 1, p->trans_a ? 1 : p->lda);
    double *right = gather(b, columns, p->n, p->k, p->trans_b ? 1 : p->ldb, p->trans_b ? p->ldb : 1);
    for (int64_t t = 0; t < columns; t++)
        for (int64_t s = 0; s < rows; s++)
            judge(report, totals, p, dot(left + s * p->k, right + t * p->k, p->k), spread(s, rows, p->m),
                  spread(t, columns, p->n), batch);
    free(left);
    free(right);
}

struct check_report check_compare(const struct check_product *p, int64_t limit) {
    struct check_report report = {0};
    struct totals totals = {0, 0};
    int64_t rows = p->m, columns = p->n;
    if (limit > 0 && rows * columns > limit) {
        int64_t side = (int64_t)sqrt((double)limit);
        if (rows > side) rows = side;
        if (columns > limit / rows) columns = limit / rows;
    }
    for (int64_t batch = 0; batch < p->batch; batch++) compare_matrix(&report, &totals, p, batch, rows, columns);
    report.frobenius = totals.wrong == 0 ? 0 : totals.whole > 0 ? sqrt(totals.wrong / totals.whole) : INFINITY;
    return report;
}

int64_t check_padding_changed(const struct check_product *p) {
    int64_t changed = 0;
    for (int64_t batch = 0; batch < p->batch; batch++)
        for (int64_t j = 0; j + 1 < p->n; j++) {
            int64_t at = batch * p->stride_c + j * p->ldc;
            for (int64_t i = p->m; i < p->ldc; i++)
                changed += memcmp(&p->result[at + i], &p->before[at + i], sizeof(float)) != 0;
        }
    return changed;
}
