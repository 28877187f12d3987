/* Hardware counters, read from ncu's CSV. */
#include "ncu.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "output.h"

/* METRIC(identifier, ncu's name) */
#define METRICS(METRIC)                                                                                                \
    METRIC(sm, "sm__throughput.avg.pct_of_peak_sustained_elapsed")                                                     \
    METRIC(grid, "launch__grid_size")                                                                                  \
    METRIC(warps, "sm__warps_active.avg.pct_of_peak_sustained_active")                                                 \
    METRIC(dram, "dram__throughput.avg.pct_of_peak_sustained_elapsed")                                                 \
    METRIC(l2_hit, "lts__t_sector_hit_rate.pct")                                                                       \
    METRIC(long_scoreboard, "smsp__average_warps_issue_stalled_long_scoreboard_per_issue_active.ratio")                \
    METRIC(latency, "smsp__average_warp_latency_per_inst_issued.ratio")                                                \
    METRIC(load_conflicts, "l1tex__data_bank_conflicts_pipe_lsu_mem_shared_op_ld.sum")                                 \
    METRIC(store_conflicts, "l1tex__data_bank_conflicts_pipe_lsu_mem_shared_op_st.sum")                                \
    METRIC(nanoseconds, "gpu__time_duration.sum")

enum metric {
#define METRIC(id, name) METRIC_##id,
    METRICS(METRIC)
#undef METRIC
        METRIC_COUNT
};
static const char *const metric_names[METRIC_COUNT] = {
#define METRIC(id, name) name,
    METRICS(METRIC)
#undef METRIC
};

enum { MAX_FIELDS = 32, COMMAND_SIZE = 8192 };

struct kernel_counters {
    char id[16], name[256];
    double value[METRIC_COUNT];
};

/* Splits a line of quoted CSV in place; returns the number of fields. */
static int split(char *line, char **fields) {
    int count = 0;
    while (*line && count < MAX_FIELDS) {
        bool quoted = *line == '"';
        char *to = quoted ? ++line : line;
        fields[count++] = to;
        while (*line && *line != '\n' && (quoted || *line != ',')) {
            if (quoted && *line == '"' && *++line != '"') break;
            *to++ = *line++;
        }
        bool more = *line == ',';
        *to = 0;
        if (!more) break;
        line++;
    }
    return count;
}

static double without_commas(const char *text) {
    char digits[64];
    size_t length = 0;
    for (; *text && length + 1 < sizeof digits; text++)
        if (*text != ',') digits[length++] = *text;
    digits[length] = 0;
    return strtod(digits, NULL);
}

static void print(const char *problem, const char *engine, const struct kernel_counters *k) {
    const double *v = k->value;
    if (!k->id[0]) return;
    printf("%-24s %-6s %-36.36s %10.4f %6.1f %8.0f %6.1f %6.1f %6.1f %6.1f %10.0f %10.0f\n", problem, engine, k->name,
           v[METRIC_nanoseconds] * 1e-6, v[METRIC_sm], v[METRIC_grid], v[METRIC_warps], v[METRIC_dram],
           v[METRIC_l2_hit], v[METRIC_latency] > 0 ? 100 * v[METRIC_long_scoreboard] / v[METRIC_latency] : 0,
           v[METRIC_load_conflicts], v[METRIC_store_conflicts]);
}

static int column(char **names, int count, const char *wanted) {
    for (int i = 0; i < count; i++)
        if (strcmp(names[i], wanted) == 0) return i;
    return -1;
}

/* ncu prints a row for each metric of each kernel, after its own lines and a row of names. Returns kernels printed. */
static int read_output(FILE *pipe, const char *problem, const char *engine, char *complaint, size_t size) {
    static char line[16384], header[16384];
    char *names[MAX_FIELDS], *fields[MAX_FIELDS];
    int id = -1, kernel = -1, metric = -1, value = -1, kernels = 0;
    struct kernel_counters current = {.id = ""};
    while (fgets(line, sizeof line, pipe)) {
        if (strncmp(line, "==ERROR==", 9) == 0 && !*complaint) snprintf(complaint, size, "%.400s", line + 10);
        if (strncmp(line, "\"ID\"", 4) == 0) {
            memcpy(header, line, sizeof header);
            int count = split(header, names);
            id = column(names, count, "ID"), kernel = column(names, count, "Kernel Name");
            metric = column(names, count, "Metric Name"), value = column(names, count, "Metric Value");
            continue;
        }
        if (line[0] != '"' || id < 0 || kernel < 0 || metric < 0 || value < 0) continue;
        int count = split(line, fields);
        if (count <= value || count <= metric || count <= kernel) continue;
        if (strcmp(fields[id], current.id) != 0) {
            print(problem, engine, &current);
            memset(&current, 0, sizeof current);
            snprintf(current.id, sizeof current.id, "%s", fields[id]);
            snprintf(current.name, sizeof current.name, "%s", fields[kernel]);
            kernels++;
        }
        for (int i = 0; i < METRIC_COUNT; i++)
            if (strcmp(fields[metric], metric_names[i]) == 0) current.value[i] = without_commas(fields[value]);
    }
    print(problem, engine, &current);
    return kernels;
}

static const char *find_ncu(void) {
    static const char *const names[] = {"ncu", "/usr/local/cuda/bin/ncu"};
    char command[128];
    for (int i = 0; i < 2; i++) {
        snprintf(command, sizeof command, "command -v %s >/dev/null 2>&1", names[i]);
        if (system(command) == 0) return names[i];
    }
    return NULL;
}

/* A word for the shell; a quote inside ends the quotes, stands alone, and begins them again. */
static void add_word(char *command, const char *word) {
    size_t length = strlen(command);
    if (length + 4 * strlen(word) + 4 > COMMAND_SIZE) bench_die(BENCH_USAGE, "the command for ncu is too long");
    char *to = command + length;
    *to++ = ' ', *to++ = '\'';
    for (; *word; word++) {
        if (*word == '\'') memcpy(to, "'\\'", 3), to += 3;
        *to++ = *word;
    }
    *to++ = '\'', *to = 0;
}

static void add_number(char *command, const char *option, long long value) {
    char text[32];
    snprintf(text, sizeof text, "%lld", value);
    add_word(command, option);
    add_word(command, text);
}

static void write_command(char *command, const char *ncu, const struct bench_options *o, const char *engine,
                          const struct bench_problem *problem) {
    const struct bench_settings *s = &o->settings;
    char self[1024] = "", line[512];
    if (readlink("/proc/self/exe", self, sizeof self - 1) < 0) bench_die(BENCH_USAGE, "cannot find this program");
    bench_problem_line(problem, line, sizeof line);
    snprintf(command, COMMAND_SIZE,
             "%s --clock-control none --profile-from-start off --csv --print-units base --metrics ", ncu);
    for (int i = 0; i < METRIC_COUNT; i++) {
        strcat(command, i ? "," : "");
        strcat(command, metric_names[i]);
    }
    add_word(command, self);
    add_word(command, "--once"), add_word(command, engine);
    add_word(command, "--precision"), add_word(command, output_contract(problem->gemm.contract));
    if (s->kernel >= 0) add_word(command, "--kernel"), add_word(command, gemm_variants[s->kernel].name);
    if (s->split) add_number(command, "--split", s->split);
    if (s->raster) add_number(command, "--raster", s->raster);
    if (s->offset) add_number(command, "--offset", s->offset);
    if (s->cublas_path) add_word(command, "--cublas"), add_word(command, s->cublas_path);
    add_number(command, "--scratch-mb", s->scratch_bytes >> 20);
    add_word(command, line);
    strcat(command, " 2>&1");
}

static int profile_one(const char *ncu, const struct bench_options *o, const struct bench_problem *problem,
                       const char *engine) {
    char command[COMMAND_SIZE + 8], complaint[512] = "";
    write_command(command, ncu, o, engine, problem);
    fflush(stdout);
    FILE *pipe = popen(command, "r");
    if (!pipe) bench_die(BENCH_NO_GPU, "ncu cannot be started");
    int kernels = read_output(pipe, problem->name, engine, complaint, sizeof complaint);
    int status = pclose(pipe);
    complaint[strcspn(complaint, "\n")] = 0;
    if (!kernels)
        fprintf(stderr, "bench: ncu gave no counters for %s, %s (status %d)%s%s\n", problem->name, engine, status,
                *complaint ? ": " : "", complaint);
    fflush(stdout);
    return kernels;
}

int ncu_profile(const struct bench_options *o) {
    const char *ncu = find_ncu();
    int kernels = 0;
    if (!ncu) bench_die(BENCH_NO_GPU, "--profile: ncu (Nsight Compute) is not installed here");
    puts("Of peak, in %: SM throughput, active warps, DRAM throughput; L2 hit rate in %; share of a warp's time that "
         "waits for\nmemory (long scoreboard) in %; shared-memory bank conflicts, counted. Caches are cold, clocks as "
         "they are.");
    printf("%-24s %-6s %-36s %10s %6s %8s %6s %6s %6s %6s %10s %10s\n", "problem", "engine", "kernel", "ms", "SM",
           "grid", "warps", "DRAM", "L2 hit", "memory", "conf. load", "conf. store");
    for (int i = 0; i < o->list.count; i++) {
        kernels += profile_one(ncu, o, &o->list.at[i], "ours");
        kernels += profile_one(ncu, o, &o->list.at[i], "cublas");
    }
    return kernels ? BENCH_OK : BENCH_NO_GPU;
}
