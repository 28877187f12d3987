/*
 * fastgemm_bench: our kernels against cuBLAS, timed turn by turn on the same data, each result checked against float64
 * in the same run. `--help` says the rest; scripts/bench/ holds the parts.
 */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../interpose/device_traits.h"
#include "../policy/profile.h"
#include "bench/bench.h"
#include "bench/check.h"
#include "bench/cublas.h"
#include "bench/device.h"
#include "bench/model.h"
#include "bench/ours.h"
#include "bench/output.h"
#include "bench/timing.h"

static const char usage[] =
    "usage: fastgemm bench [options] [PROBLEM ...]\n"
    "Without a problem: the profile set, with its bars.\n"
    "  --precision ieee|fp32|tf32   contract owed to the caller, against cuBLAS fp32 or TF32; a comma-separated list, "
    "or\n"
    "                               all (default: ieee)\n"
    "  --only TEXT                  profiles whose name holds TEXT\n"
    "  --file FILE                  problems from a file, a line each ('-': standard input)\n"
    "  --kernel NAME --split N --raster N\n"
    "                               force the kernel, the split, the raster\n"
    "  --all-variants               time every variant with a few splits and rasters first, and measure the best\n"
    "  --csv FILE --json FILE       write results (scripts/fastgemm plot reads the JSON)\n"
    "  --floor                      print only what the chip's measured limits allow\n"
    "  --model sm_89|sm_90          no GPU: predicted time and floor on an RTX 4090 or an H200\n"
    "  --profile                    hardware counters of each problem, where ncu is installed\n"
    "  --input normal|uniform|lognormal   what operands hold (default: normal)\n"
    "  --seconds S                  time box of one engine on one problem (default: 0.3)\n"
    "  --scratch-mb N               workspace that a split may use (default: 32)\n"
    "  --hot                        one set of operands: small problems stay in L2\n"
    "  --offset N                   operands stand N floats off alignment\n"
    "  --no-lt                      leave out the candidates of cublasLt\n"
    "  --seed N --cublas PATH --list --help\n"
    "Exit status: 0; 1 usage; 2 a result is wrong; 3 an error of CUDA; 77 no GPU, or no cuBLAS.\n\n";

struct options {
    struct bench_settings settings;
    struct bench_list list;
    bool contract[3], list_only, profile;
    const char *only, *file, *model, *ncu_child;
};

static int number(const char *option, const char *value, int most) {
    char *end = NULL;
    long n = strtol(value, &end, 10);
    if (end == value || *end || n < 0 || n > most)
        bench_die(BENCH_USAGE, "--%s: '%s' is not a number up to %d", option, value, most);
    return (int)n;
}

static int kernel_named(const char *name) {
    for (int i = 0; i < VARIANT_COUNT; i++)
        if (strcmp(gemm_variants[i].name, name) == 0) return i;
    fprintf(stderr, "bench: --kernel: no kernel '%s'; there are:", name);
    for (int i = 0; i < VARIANT_COUNT; i++) fprintf(stderr, " %s", gemm_variants[i].name);
    fputc('\n', stderr);
    exit(BENCH_USAGE);
}

static void read_precision(struct options *o, char *value) {
    memset(o->contract, 0, sizeof o->contract);
    for (char *save = NULL, *word = strtok_r(value, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
        bool known = false;
        for (int c = CONTRACT_IEEE; c <= CONTRACT_TF32; c++)
            if (strcmp(word, "all") == 0 || strcmp(word, output_contract(c)) == 0) o->contract[c] = known = true;
        if (!known) bench_die(BENCH_USAGE, "--precision: '%s'; allowed: ieee, fp32, tf32, all", word);
    }
}

static enum bench_input input_named(const char *name) {
    static const char *const names[INPUT_COUNT] = {"normal", "uniform", "lognormal"};
    for (int i = 0; i < INPUT_COUNT; i++)
        if (strcmp(names[i], name) == 0) return (enum bench_input)i;
    bench_die(BENCH_USAGE, "--input: '%s'; allowed: normal, uniform, lognormal", name);
}

static void help(void) {
    fputs(usage, stdout);
    fputs(bench_problem_help, stdout);
    exit(BENCH_OK);
}

enum {
    PRECISION = 256,
    ONLY,
    FILE_,
    KERNEL_,
    SPLIT,
    RASTER,
    ALL,
    CSV,
    JSON,
    FLOOR,
    MODEL,
    PROFILE,
    INPUT,
    SECONDS,
    SCRATCH,
    HOT,
    OFFSET,
    NO_LT,
    SEED,
    CUBLAS,
    LIST,
    HELP,
    CHILD
};
static const struct option long_options[] = {
    {"precision", 1, 0, PRECISION},
    {"only", 1, 0, ONLY},
    {"file", 1, 0, FILE_},
    {"kernel", 1, 0, KERNEL_},
    {"split", 1, 0, SPLIT},
    {"raster", 1, 0, RASTER},
    {"all-variants", 0, 0, ALL},
    {"csv", 1, 0, CSV},
    {"json", 1, 0, JSON},
    {"floor", 0, 0, FLOOR},
    {"model", 1, 0, MODEL},
    {"profile", 0, 0, PROFILE},
    {"input", 1, 0, INPUT},
    {"seconds", 1, 0, SECONDS},
    {"scratch-mb", 1, 0, SCRATCH},
    {"hot", 0, 0, HOT},
    {"offset", 1, 0, OFFSET},
    {"no-lt", 0, 0, NO_LT},
    {"seed", 1, 0, SEED},
    {"cublas", 1, 0, CUBLAS},
    {"list", 0, 0, LIST},
    {"help", 0, 0, HELP},
    {0, 0, 0, 0},
};

static void read_option(struct options *o, int option, char *value) {
    struct bench_settings *s = &o->settings;
    switch (option) {
    case PRECISION:
        read_precision(o, value);
        break;
    case ONLY:
        o->only = value;
        break;
    case FILE_:
        o->file = value;
        break;
    case KERNEL_:
        s->kernel = kernel_named(value);
        break;
    case SPLIT:
        s->split = number("split", value, 1024);
        break;
    case RASTER:
        s->raster = number("raster", value, 1024);
        break;
    case ALL:
        s->all_variants = true;
        break;
    case CSV:
        s->csv = value;
        break;
    case JSON:
        s->json = value;
        break;
    case FLOOR:
        s->floor_only = true;
        break;
    case MODEL:
        o->model = value;
        break;
    case PROFILE:
        o->profile = true;
        break;
    case INPUT:
        s->input = input_named(value);
        break;
    case SECONDS:
        s->seconds = strtod(value, NULL);
        break;
    case SCRATCH:
        s->scratch_bytes = (int64_t)number("scratch-mb", value, 1 << 20) << 20;
        break;
    case HOT:
        s->hot = true;
        break;
    case OFFSET:
        s->offset = number("offset", value, 63);
        break;
    case NO_LT:
        s->no_lt = true;
        break;
    case SEED:
        s->seed = (uint64_t)strtoull(value, NULL, 10);
        break;
    case CUBLAS:
        s->cublas_path = value;
        break;
    case LIST:
        o->list_only = true;
        break;
    case HELP:
        help();
        break;
    default:
        bench_die(BENCH_USAGE, "--help lists the options");
    }
}

static void add_line(struct options *o, enum gemm_contract contract, const char *line) {
    const char *wrong = bench_list_line(&o->list, contract, line);
    if (wrong) bench_die(BENCH_USAGE, "'%s': %s", line, wrong);
}

static void add_file(struct options *o, enum gemm_contract contract) {
    FILE *file = strcmp(o->file, "-") == 0 ? stdin : fopen(o->file, "r");
    char line[512];
    if (!file) bench_die(BENCH_USAGE, "%s cannot be read", o->file);
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        add_line(o, contract, line);
    }
    if (file != stdin) fclose(file);
}

/* Words that are no options form one problem each if quoted, or one problem together. */
static void read_problems(struct options *o, int argc, char **argv) {
    for (int contract = CONTRACT_IEEE; contract <= CONTRACT_TF32; contract++) {
        if (!o->contract[contract]) continue;
        if (o->file) add_file(o, contract);
        if (!o->file && !argc) bench_list_profiles(&o->list, contract, o->only);
        for (int i = 0; i < argc; i++) add_line(o, contract, argv[i]);
    }
    if (!o->list.count) bench_die(BENCH_USAGE, "no problem to measure");
}

static struct options read_arguments(int argc, char **argv) {
    struct options o = {.contract = {true},
                        .settings = {.kernel = -1, .seconds = 0.3, .scratch_bytes = 32 << 20, .seed = 1}};
    for (int option; (option = getopt_long(argc, argv, "h", long_options, NULL)) != -1;)
        read_option(&o, option == 'h' ? HELP : option, optarg);
    read_problems(&o, argc - optind, argv + optind);
    return o;
}

static struct bench_device open_device(void) {
    struct bench_device device = {.cublas_version = 0};
    struct cudaDeviceProp properties;
    enum gemm_reason reason = REASON_no_device;
    int count = 0, current = 0;
    cudaError_t error = cudaGetDeviceCount(&count);
    if (error != cudaSuccess || !count)
        bench_die(BENCH_NO_GPU, "no GPU here (%s): nothing to time; --model predicts without one",
                  cudaGetErrorString(error));
    const struct gemm_device *traits = device_traits_current(&current, &reason);
    if (!traits) bench_die(BENCH_NO_GPU, "%s", gemm_reason_text(reason));
    device.traits = *traits;
    bench_cuda(cudaGetDeviceProperties(&properties, 0), "cudaGetDeviceProperties");
    snprintf(device.name, sizeof device.name, "%s", properties.name);
    cudaDriverGetVersion(&device.driver);
    return device;
}

/* What TF32 products reach through cuBLAS: on chips where mma.sync is not the fastest way, more than the loop shows. */
static double tensor_through_cublas(const struct bench_settings *settings, const struct bench_device *device) {
    struct bench_list list = {0};
    struct buffers buffers;
    bench_list_line(&list, CONTRACT_TF32, "TN 8192 8192 8192");
    struct gemm_problem *p = &list.at[0].gemm;
    double rate = 0;
    if (buffers_make(&buffers, p, settings, device->traits.l2_bytes, 1)) {
        struct engine engine = cublas_engine(p);
        rate = bench_flops(p) / timing_quick(&engine, &buffers, 4);
        buffers_free(&buffers);
    }
    free(list.at);
    return rate;
}

static void show_floors(const struct options *o, const struct bench_device *d) {
    printf("%-24s %-4s %10s %10s %10s\n", "problem", "want", "ms", "operations", "bytes");
    for (int i = 0; i < o->list.count; i++) {
        const struct gemm_problem *p = &o->list.at[i].gemm;
        printf("%-24s %-4s %10.4f %10.4f %10.4f\n", o->list.at[i].name, output_contract(p->contract),
               bench_floor(p, &d->limits) * 1e3, bench_flops(p) / bench_peak(p, &d->limits) * 1e3,
               bench_byte_floor(p, &d->limits) * 1e3);
    }
}

static void time_engines(struct bench_result *r, const struct bench_settings *settings, const struct buffers *buffers,
                         struct ours *ours) {
    const struct gemm_problem *p = &r->problem->gemm;
    struct engine engines[ENGINE_COUNT] = {ours_engine(p, ours), cublas_engine(p)};
    bool lt = !settings->no_lt && cublaslt_engine(p, buffers, &engines[ENGINE_LT]);
    timing_run(engines, lt ? ENGINE_COUNT : ENGINE_LT, buffers, settings->seconds, r->time);
    if (lt) cublaslt_close(&engines[ENGINE_LT]);
}

/* False: it could not be measured, and a line said why. */
static bool measure(struct bench_problem *problem, const struct bench_device *device,
                    const struct bench_settings *settings, int index, struct bench_result *r) {
    struct gemm_problem *p = &problem->gemm;
    struct buffers buffers;
    uint64_t seed = settings->seed * 1000003u + (uint64_t)index * 100000u;
    *r = (struct bench_result){.problem = problem, .floor = bench_floor(p, &device->limits)};
    if (!buffers_make(&buffers, p, settings, device->traits.l2_bytes, seed)) {
        printf("%-24s does not fit into the device's memory\n", problem->name);
        return false;
    }
    bool known = ours_plan(p, &device->traits, settings, &r->plan, &r->route);
    if (known) {
        struct ours ours = {r->plan, NULL};
        bench_cuda(cudaMalloc((void **)&ours.scratch, (size_t)settings->scratch_bytes + 256), "scratch");
        if (settings->all_variants) {
            printf("  %s\n", problem->name);
            ours_tune(p, &device->traits, settings, &buffers, ours.scratch, &ours.plan);
            r->plan = ours.plan;
        }
        struct engine own = ours_engine(p, &ours), cublas = cublas_engine(p);
        r->verdict = check_run(&own, &cublas, &buffers, seed, r->error);
        time_engines(r, settings, &buffers, &ours);
        bench_cuda(cudaFree(ours.scratch), "cudaFree");
    } else {
        printf("%-24s no kernel takes it (%s)\n", problem->name, gemm_reason_name(r->route));
    }
    buffers_free(&buffers);
    return known;
}

static int measure_all(struct options *o, const struct bench_device *device) {
    struct bench_result *results = calloc((size_t)o->list.count, sizeof *results);
    int done = 0, status = BENCH_OK;
    bool progress = isatty(STDERR_FILENO);
    if (!results) abort();
    output_header(device, &o->settings);
    for (int i = 0; i < o->list.count; i++) {
        if (progress) fprintf(stderr, "%d of %d: %s ...\r", i + 1, o->list.count, o->list.at[i].name);
        if (!measure(&o->list.at[i], device, &o->settings, i, &results[done])) continue;
        output_row(&results[done], device, i, o->list.count);
        if (strcmp(results[done].verdict, "ok") != 0) status = BENCH_WRONG_RESULT;
        done++;
        output_csv(o->settings.csv, results, done, device);
        output_json(o->settings.json, results, done, device);
    }
    output_summary(results, done);
    free(results);
    return status;
}

int main(int argc, char **argv) {
    struct options o = read_arguments(argc, argv);
    if (o.list_only) {
        for (int i = 0; i < o.list.count; i++) bench_problem_print(&o.list.at[i]);
        return BENCH_OK;
    }
    if (o.model) return model_show(&o.list, o.model, &o.settings);
    /* Should the library be preloaded here, cuBLAS must still be cuBLAS. */
    setenv("FASTGEMM", "off", 1);
    struct bench_device device = open_device();
    device.cublas_version = cublas_open(o.settings.cublas_path);
    device.limits.tensor = tensor_through_cublas(&o.settings, &device);
    bench_measure_limits(&device.limits, &device.traits);
    if (o.settings.floor_only) {
        show_floors(&o, &device);
        return BENCH_OK;
    }
    return measure_all(&o, &device);
}
