/*
 * The table of toggles: every environment variable that the library reads, declared once. Parser, help text and README
 * come from it.
 */
#ifndef FASTGEMM_TOGGLES_H
#define FASTGEMM_TOGGLES_H

#include <stdbool.h>
#include <stddef.h>

#include "problem.h"

#define TOGGLE_WORD(name, ...) " " #name

/* TOGGLE(field, variable, type, default as written, what is allowed, one line of help) */
#define FASTGEMM_TOGGLES(TOGGLE)                                                                                       \
    TOGGLE(enabled, "FASTGEMM", SWITCH, "on", "on, off, 1, 0", "off: every call goes to cuBLAS, no trace is left")     \
    TOGGLE(profiles, "FASTGEMM_PROFILES", PROFILES, "all",                                                             \
           "all, none, or a comma-separated list of" GEMM_PROFILES(TOGGLE_WORD),                                       \
           "which profiles may run on our kernels")                                                                    \
    TOGGLE(precision, "FASTGEMM_PRECISION", PRECISION, "caller", "caller, ieee, fp32, tf32",                           \
           "caller: as accurate as the call asks; ieee: products and sums by fp32 operations alone; fp32: no less "    \
           "for callers that allow TF32; tf32: TF32 will do, on your word")                                            \
    TOGGLE(kernel, "FASTGEMM_KERNEL", KERNEL, "", "one of" GEMM_VARIANTS(TOGGLE_WORD),                                 \
           "run every product that it can on this one")                                                                \
    TOGGLE(split_k, "FASTGEMM_SPLIT_K", COUNT, "0", "0 (the policy chooses) to 1024",                                  \
           "force the number of splits, or as many of them as fit")                                                    \
    TOGGLE(raster, "FASTGEMM_RASTER", COUNT, "0", "0 (the policy chooses) to 1024",                                    \
           "force the tile rows of a group, or as many as there are")                                                  \
    TOGGLE(log, "FASTGEMM_LOG", LOG, "off", "off, summary, calls, bench",                                              \
           "summary: at exit, where each problem went; calls: a line a call; bench: lines that replay")                \
    TOGGLE(log_file, "FASTGEMM_LOG_FILE", TEXT, "", "a path, %p is the process id", "where the log goes")              \
    TOGGLE(dlsym, "FASTGEMM_DLSYM", SWITCH, "on", "on, off, 1, 0",                                                     \
           "off: programs that look cuBLAS up by dlsym get cuBLAS's own functions")                                    \
    TOGGLE(workspace_mb, "FASTGEMM_WORKSPACE_MB", MEBIBYTES, "2048", "0 to 1048576",                                   \
           "most scratch that a call may take from our own pool, in MiB")

enum toggle_log { LOG_OFF, LOG_SUMMARY, LOG_CALLS, LOG_BENCH };
enum toggle_precision { PRECISION_CALLER, PRECISION_IEEE, PRECISION_FP32, PRECISION_TF32 };

/* In the order in which people read them. NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding) */
struct toggles {
    bool enabled;
    unsigned profiles; /* bit per enum gemm_profile */
    enum toggle_precision precision;
    int kernel; /* enum gemm_variant_index, -1: not forced */
    int split_k, raster;
    enum toggle_log log;
    bool dlsym;
    int workspace_mb;
    char log_file[1024]; /* last: what every call reads lies together */
};

/* One line per bad name or value: what was wrong and what is allowed. */
typedef void toggles_complaint(void *context, const char *line);

/*
 * Fills `out` from an environment (NULL-terminated "NAME=value" strings). Unknown FASTGEMM names and bad values are
 * reported through `complain`, and the default stays. Of a name that occurs twice the first counts, as in getenv.
 */
void toggles_parse(struct toggles *out, char *const *environment, toggles_complaint *complain, void *context);

/* Writes the table as lines of help into `out`, always terminated; returns the length that the whole text has. */
size_t toggles_help(char *out, size_t size);

#endif
