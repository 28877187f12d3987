/* The command line of the bench. */
#include "options.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "output.h"

/* OPTION(identifier, name, argument, what it does with `o` and `value`, help) */
#define OPTIONS(OPTION)                                                                                                \
    OPTION(precision, "precision", "LIST", read_precision(o, value),                                                   \
           "ieee, fp32, tf32 or all, with commas: the accuracy owed, against cuBLAS fp32 or TF32 (default: ieee)")     \
    OPTION(only, "only", "TEXT", o->only = value, "profiles whose name holds TEXT")                                    \
    OPTION(file, "file", "FILE", o->file = value, "problems from a file, a line each ('-': standard input)")           \
    OPTION(kernel, "kernel", "NAME", o->settings.kernel = read_kernel(value), "force the kernel")                      \
    OPTION(split, "split", "N", o->settings.split = read_count("split", value, 1024), "force the split")               \
    OPTION(raster, "raster", "N", o->settings.raster = read_count("raster", value, 1024), "force the raster")          \
    OPTION(variants, "all-variants", NULL, o->settings.all_variants = true,                                            \
           "time every variant with a few splits and rasters, then measure the best of them")                          \
    OPTION(csv, "csv", "FILE", o->settings.csv = value, "write the results as CSV")                                    \
    OPTION(json, "json", "FILE", o->settings.json = value, "write the results as JSON, for fastgemm plot")             \
    OPTION(floor, "floor", NULL, o->floor_only = true, "print only what the chip's measured limits allow")             \
    OPTION(model, "model", "CHIP", o->model = value,                                                                   \
           "no GPU needed: predicted time and floor on sm_89 (RTX 4090) or sm_90 (H200)")                              \
    OPTION(profile, "profile", NULL, o->profile = true, "hardware counters of each problem, where ncu is installed")   \
    OPTION(input, "input", "KIND", o->settings.input = read_input(value),                                              \
           "what operands hold: normal, uniform or lognormal (default: normal)")                                       \
    OPTION(seconds, "seconds", "S", o->settings.seconds = read_seconds(value),                                         \
           "time box of one engine on one problem (default: 0.3)")                                                     \
    OPTION(scratch, "scratch-mb", "N",                                                                                 \
           o->settings.scratch_bytes = (int64_t)read_count("scratch-mb", value, 65536) << 20,                          \
           "scratch that a plan may use (default: what the library's own pool allows)")                                \
    OPTION(hot, "hot", NULL, o->settings.hot = true, "one set of operands: small problems stay in L2")                 \
    OPTION(offset, "offset", "N", o->settings.offset = read_count("offset", value, 63),                                \
           "operands stand N floats off alignment")                                                                    \
    OPTION(no_lt, "no-lt", NULL, o->settings.no_lt = true, "leave out the candidates of cublasLt")                     \
    OPTION(seed, "seed", "N", o->settings.seed = read_seed(value), "seed of the operands (default: 1)")                \
    OPTION(cublas, "cublas", "PATH", o->settings.cublas_path = value, "the libcublas to compare with")                 \
    OPTION(list, "list", NULL, o->list_only = true, "print the problems, as lines that --file reads")                  \
    OPTION(once, "once", "ENGINE", o->once = read_engine(value), "run ours or cublas once, unchecked, for a profiler") \
    OPTION(help, "help", NULL, show_help(), "this text")

static int read_count(const char *option, const char *value, int most) {
    char *end = NULL;
    long n = strtol(value, &end, 10);
    if (end == value || *end || n < 0 || n > most)
        bench_die(BENCH_USAGE, "--%s: '%s' is not a number from 0 to %d", option, value, most);
    return (int)n;
}

static double read_seconds(const char *value) {
    char *end = NULL;
    double seconds = strtod(value, &end);
    if (end == value || *end || !(seconds >= 0 && seconds <= 3600))
        bench_die(BENCH_USAGE, "--seconds: '%s' is not a number from 0 to 3600", value);
    return seconds;
}

static uint64_t read_seed(const char *value) {
    char *end = NULL;
    unsigned long long seed = strtoull(value, &end, 10);
    if (end == value || *end) bench_die(BENCH_USAGE, "--seed: '%s' is not a number", value);
    return seed;
}

static const char *read_engine(const char *value) {
    if (strcmp(value, "ours") != 0 && strcmp(value, "cublas") != 0)
        bench_die(BENCH_USAGE, "--once: '%s'; allowed: ours, cublas", value);
    return value;
}

static int read_kernel(const char *name) {
    for (int i = 0; i < VARIANT_COUNT; i++)
        if (strcmp(gemm_variants[i].name, name) == 0) return i;
    fprintf(stderr, "bench: --kernel: no kernel '%s'; there are:", name);
    for (int i = 0; i < VARIANT_COUNT; i++) fprintf(stderr, " %s", gemm_variants[i].name);
    fputc('\n', stderr);
    exit(BENCH_USAGE);
}

static void read_precision(struct bench_options *o, const char *value) {
    memset(o->contract, 0, sizeof o->contract);
    for (const char *word = value;; word++) {
        size_t length = strcspn(word, ",");
        bool known = false;
        for (int c = CONTRACT_IEEE; c <= CONTRACT_TF32; c++) {
            const char *name = output_contract((enum gemm_contract)c);
            bool named = strlen(name) == length && memcmp(name, word, length) == 0;
            if (named || (length == 3 && memcmp(word, "all", 3) == 0)) o->contract[c] = known = true;
        }
        if (!known) bench_die(BENCH_USAGE, "--precision: '%s'; allowed: ieee, fp32, tf32, all", value);
        word += length;
        if (!*word) return;
    }
}

static enum bench_input read_input(const char *value) {
    static const char *const names[INPUT_COUNT] = {"normal", "uniform", "lognormal"};
    for (int i = 0; i < INPUT_COUNT; i++)
        if (strcmp(names[i], value) == 0) return (enum bench_input)i;
    bench_die(BENCH_USAGE, "--input: '%s'; allowed: normal, uniform, lognormal", value);
}

static void show_help(void) {
    static const struct {
        const char *name, *argument, *help;
    } rows[] = {
#define OPTION(id, name, argument, effect, help) {name, argument, help},
        OPTIONS(OPTION)
#undef OPTION
    };
    puts(
        "usage: fastgemm bench [OPTION...] [PROBLEM...]\n"
        "Times our kernels against cuBLAS and checks each result against float64. Without a problem: the profile set.");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char left[64];
        snprintf(left, sizeof left, "--%s %s", rows[i].name, rows[i].argument ? rows[i].argument : "");
        printf("  %-20s %s\n", left, rows[i].help);
    }
    printf(
        "\n%s\nExit status: 0; %d usage; %d a result is wrong; %d an error of CUDA; %d no GPU, no cuBLAS or no ncu.\n",
        bench_problem_help, BENCH_USAGE, BENCH_WRONG_RESULT, BENCH_CUDA_ERROR, BENCH_NO_GPU);
    exit(BENCH_OK);
}

enum option_index {
#define OPTION(id, name, argument, effect, help) OPTION_##id,
    OPTIONS(OPTION)
#undef OPTION
};

static void apply(struct bench_options *o, enum option_index which, const char *value) {
    switch (which) {
#define OPTION(id, name, argument, effect, help)                                                                       \
    case OPTION_##id:                                                                                                  \
        effect;                                                                                                        \
        break;
        OPTIONS(OPTION)
#undef OPTION
    }
}

static void add_line(struct bench_options *o, enum gemm_contract contract, const char *line) {
    const char *wrong = bench_list_line(&o->list, contract, line);
    if (wrong) bench_die(BENCH_USAGE, "'%s': %s", line, wrong);
}

static void add_file(struct bench_options *o, enum gemm_contract contract) {
    FILE *file = strcmp(o->file, "-") == 0 ? stdin : fopen(o->file, "r");
    char line[1024];
    if (!file) bench_die(BENCH_USAGE, "%s cannot be read", o->file);
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\r\n")] = 0;
        add_line(o, contract, line);
    }
    if (file == stdin)
        o->file = NULL; /* read once: for the first contract */
    else
        fclose(file);
}

/* A problem whose words were not quoted is one line all the same. */
static int join_words(char *line, size_t size, int count, char **words) {
    for (int i = 0; i < count; i++)
        if (strchr(words[i], ' ') || strncmp(words[i], "fastgemm", 8) == 0) return count;
    size_t length = 0;
    for (int i = 0; i < count && length < size; i++)
        length += (size_t)snprintf(line + length, size - length, "%s ", words[i]);
    words[0] = line;
    return 1;
}

static void read_problems(struct bench_options *o, int count, char **problems) {
    static char line[1024];
    if (count > 1) count = join_words(line, sizeof line, count, problems);
    bool profiles = !o->file && !count;
    for (enum gemm_contract contract = CONTRACT_IEEE; contract <= CONTRACT_TF32; contract++) {
        if (!o->contract[contract]) continue;
        if (o->file) add_file(o, contract);
        if (profiles) bench_list_profiles(&o->list, contract, o->only);
        for (int i = 0; i < count; i++) add_line(o, contract, problems[i]);
    }
    if (!o->list.count) bench_die(BENCH_USAGE, "no problem to measure");
}

struct bench_options bench_options_read(int argc, char **argv) {
    static const struct option table[] = {
#define OPTION(id, name, argument, effect, help) {name, (argument) ? required_argument : no_argument, NULL, 256},
        OPTIONS(OPTION)
#undef OPTION
            {NULL, 0, NULL, 0},
    };
    struct bench_options o = {.contract = {true}, .settings = {.kernel = -1, .seconds = 0.3, .seed = 1}};
    struct toggles library;
    toggles_parse(&library, NULL, NULL, NULL);
    o.settings.scratch_bytes = (int64_t)library.workspace_mb << 20;
    for (int got, which = 0; (got = getopt_long(argc, argv, "", table, &which)) != -1;) {
        if (got != 256) bench_die(BENCH_USAGE, "--help lists the options");
        apply(&o, (enum option_index)which, optarg);
    }
    read_problems(&o, argc - optind, argv + optind);
    return o;
}
