/* Results for people and for programs: one list of fields serves CSV and JSON. */
#include "output.h"

#include <math.h>
#include <string.h>

#include "../../policy/profile.h"

const char *output_contract(enum gemm_contract contract) {
    static const char *const names[] = {"ieee", "fp32", "tf32"};
    return names[contract];
}

static double best_of_cublas(const struct bench_result *r) {
    double a = r->time[ENGINE_CUBLAS].median, b = r->time[ENGINE_LT].median;
    return b > 0 && b < a ? b : a;
}

static double spread(const struct timing *t) {
    return t->median > 0 ? (t->third_quartile - t->first_quartile) / t->median : 0;
}

void output_header(const struct bench_device *d, const struct bench_settings *s) {
    printf("%s, %d SMs, driver %d.%d, cuBLAS %d; operands %s, %s\n", d->name, d->traits.sm_count, d->driver / 1000,
           d->driver % 1000 / 10, d->cublas_version, (const char *[]){"normal", "uniform 0-1", "log-normal"}[s->input],
           s->hot ? "one set, L2 as it falls" : "sets rotated so that twice the L2 passes between two uses");
    printf("measured limits: FFMA %.1f TFLOP/s, TF32 tensor %.1f TFLOP/s, copy %.2f, read %.2f, write %.2f TB/s\n\n",
           d->limits.ffma * 1e-12, d->limits.tensor * 1e-12, d->limits.copy * 1e-12, d->limits.read * 1e-12,
           d->limits.write * 1e-12);
    printf("%-7s %-24s %-4s %-28s %5s %4s %9s %5s %7s %6s %5s %5s %9s %9s %6s %6s %5s  %-17s %5s %-17s %s\n", "",
           "problem", "want", "kernel", "split", "rast", "ms", "+-", "TFLOP/s", "model", "%peak", "%band", "cuBLAS",
           "Lt best", "ratio", "/best", "bar", "frobenius / cuBLAS", "of it", "component / cuBLAS", "check");
}

void output_row(const struct bench_result *r, const struct bench_device *d, int index, int count) {
    const struct gemm_problem *p = &r->problem->gemm;
    const struct timing *ours = &r->time[ENGINE_OURS], *cublas = &r->time[ENGINE_CUBLAS], *lt = &r->time[ENGINE_LT];
    char bar[16] = "", lt_ms[16] = "-";
    double ratio = cublas->median / ours->median;
    if (r->problem->bar > 0) snprintf(bar, sizeof bar, "%.2f%s", r->problem->bar, ratio >= r->problem->bar ? "+" : "-");
    if (lt->samples) snprintf(lt_ms, sizeof lt_ms, "%.4f", lt->median * 1e3);
    printf("%3d/%-3d %-24s %-4s %-28s %5d %4d %9.4f %4.1f%% %7.2f %6.3f %5.1f %5.1f %9.4f %9s %6.3f %6.3f %5s  "
           "%.1e / %.1e %5.2f %.1e / %.1e %s%s%s\n",
           index + 1, count, r->problem->name, output_contract(p->contract), r->plan.variant->name, r->plan.split_k,
           r->plan.raster, ours->median * 1e3, 100 * spread(ours), gemm_flops(p) / ours->median * 1e-12,
           r->plan.predicted_s / ours->median, 100 * gemm_flops(p) / ours->median / bench_peak(p, &d->limits),
           100 * bench_byte_floor(p, &d->limits) / ours->median, cublas->median * 1e3, lt_ms, ratio,
           best_of_cublas(r) / ours->median, bar, r->error[0].frobenius, r->error[1].frobenius,
           r->error[0].frobenius / r->error[1].frobenius, r->error[0].component, r->error[1].component, r->verdict,
           r->route == REASON_routed ? "" : "; policy forwards: ",
           r->route == REASON_routed ? "" : gemm_reason_name(r->route));
    fflush(stdout);
}

void output_summary(const struct bench_result *results, int count) {
    double logs = 0, model_logs = 0, least = INFINITY;
    int met = 0, bars = 0, wrong = 0;
    const char *worst = "";
    for (int i = 0; i < count; i++) {
        const struct bench_result *r = &results[i];
        double ratio = r->time[ENGINE_CUBLAS].median / r->time[ENGINE_OURS].median;
        logs += log(ratio);
        model_logs += fabs(log(r->plan.predicted_s / r->time[ENGINE_OURS].median));
        bars += r->problem->bar > 0;
        met += r->problem->bar > 0 && ratio >= r->problem->bar;
        wrong += strncmp(r->verdict, "ok", 2) != 0;
        if (ratio < least) least = ratio, worst = r->problem->name;
    }
    if (!count) return;
    printf("\n%d problems: geometric mean of cuBLAS over ours %.3f, least %.3f (%s); %d of %d bars met; %d not ok\n"
           "the cost model's prediction is off by a factor of %.2f (geometric mean)\n",
           count, exp(logs / count), least, worst, met, bars, wrong, exp(model_logs / count));
}

/* One field of a result, as text that both formats take: numbers bare, strings quoted. */
struct writer {
    FILE *file;
    enum { CSV_NAMES, CSV_VALUES, JSON } mode;
    bool first;
};

static void start(struct writer *w, const char *name) {
    if (!w->first) fputs(w->mode == JSON ? ", " : ",", w->file);
    w->first = false;
    if (w->mode == JSON) fprintf(w->file, "\"%s\": ", name);
    if (w->mode == CSV_NAMES) fputs(name, w->file);
}

static void text(struct writer *w, const char *name, const char *value) {
    start(w, name);
    if (w->mode == CSV_NAMES) return;
    fputc('"', w->file);
    for (; *value; value++)
        if (*value != '"' && *value != '\\' && (unsigned char)*value >= ' ') fputc(*value, w->file);
    fputc('"', w->file);
}

static void number(struct writer *w, const char *name, double value) {
    start(w, name);
    if (w->mode == CSV_NAMES) return;
    if (isfinite(value))
        fprintf(w->file, "%.9g", value);
    else
        fputs(w->mode == JSON ? "null" : "", w->file);
}

static void problem_fields(struct writer *w, const struct bench_result *r) {
    const struct gemm_problem *p = &r->problem->gemm;
    const char ops[3] = {"NT"[p->op_a], "NT"[p->op_b], 0};
    text(w, "problem", r->problem->name);
    text(w, "contract", output_contract(p->contract));
    text(w, "profile", gemm_profile_name(r->plan.profile));
    text(w, "ops", ops);
    number(w, "m", (double)p->m), number(w, "n", (double)p->n), number(w, "k", (double)p->k);
    number(w, "batch", (double)p->batch);
    number(w, "lda", (double)p->lda), number(w, "ldb", (double)p->ldb), number(w, "ldc", (double)p->ldc);
    number(w, "flops", gemm_flops(p));
    number(w, "bytes", bench_bytes_read(p) + bench_bytes_written(p));
    text(w, "kernel", r->plan.variant ? r->plan.variant->name : "");
    number(w, "split_k", r->plan.split_k), number(w, "raster", r->plan.raster);
    text(w, "policy", gemm_reason_name(r->route));
}

static void timing_fields(struct writer *w, const char *label, const struct timing *t) {
    char name[48];
#define FIELD(field, value) snprintf(name, sizeof name, "%s_" field, label), number(w, name, t->samples ? value : NAN)
    FIELD("ms", t->median * 1e3);
    FIELD("ms_q1", t->first_quartile * 1e3);
    FIELD("ms_q3", t->third_quartile * 1e3);
    FIELD("ms_least", t->least * 1e3);
    FIELD("samples", t->samples);
#undef FIELD
}

static void result_fields(struct writer *w, const struct bench_result *r, const struct bench_device *d) {
    const struct gemm_problem *p = &r->problem->gemm;
    double seconds = r->time[ENGINE_OURS].median;
    problem_fields(w, r);
    timing_fields(w, "ours", &r->time[ENGINE_OURS]);
    timing_fields(w, "cublas", &r->time[ENGINE_CUBLAS]);
    timing_fields(w, "cublaslt", &r->time[ENGINE_LT]);
    number(w, "tflops", gemm_flops(p) / seconds * 1e-12);
    number(w, "share_of_peak", gemm_flops(p) / seconds / bench_peak(p, &d->limits));
    number(w, "share_of_bandwidth", bench_byte_floor(p, &d->limits) / seconds);
    number(w, "ratio", r->time[ENGINE_CUBLAS].median / seconds);
    number(w, "ratio_to_best", best_of_cublas(r) / seconds);
    number(w, "bar", r->problem->bar > 0 ? r->problem->bar : NAN);
    number(w, "floor_ms", r->floor * 1e3);
    number(w, "model_ms", r->plan.predicted_s * 1e3);
    number(w, "frobenius", r->error[0].frobenius), number(w, "frobenius_cublas", r->error[1].frobenius);
    number(w, "component", r->error[0].component), number(w, "component_cublas", r->error[1].component);
    text(w, "check", r->verdict);
}

static FILE *create(const char *path) {
    FILE *file = fopen(path, "w");
    if (!file) bench_die(BENCH_USAGE, "%s cannot be written", path);
    return file;
}

void output_csv(const char *path, const struct bench_result *results, int count, const struct bench_device *device) {
    if (!path || !count) return;
    FILE *file = create(path);
    for (int i = -1; i < count; i++) {
        struct writer w = {file, i < 0 ? CSV_NAMES : CSV_VALUES, true};
        result_fields(&w, &results[i < 0 ? 0 : i], device);
        fputc('\n', file);
    }
    fclose(file);
}

void output_json(const char *path, const struct bench_result *results, int count, const struct bench_device *d) {
    if (!path) return;
    FILE *file = create(path);
    struct writer w = {file, JSON, true};
    fputs("{\"device\": {", file);
    text(&w, "name", d->name);
    number(&w, "sm_count", d->traits.sm_count), number(&w, "arch", d->traits.arch);
    number(&w, "driver", d->driver), number(&w, "cublas", d->cublas_version);
    number(&w, "ffma_flops", d->limits.ffma), number(&w, "tensor_flops", d->limits.tensor);
    number(&w, "copy_bytes", d->limits.copy), number(&w, "read_bytes", d->limits.read);
    number(&w, "write_bytes", d->limits.write);
    fputs("},\n\"results\": [", file);
    for (int i = 0; i < count; i++) {
        fputs(i ? ",\n  {" : "\n  {", file);
        w.first = true;
        result_fields(&w, &results[i], d);
        fputc('}', file);
    }
    fputs("\n]}\n", file);
    fclose(file);
}
