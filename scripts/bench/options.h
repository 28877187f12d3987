/*
 * The command line of the bench: one table of options; parser and help are made from it.
 */
#ifndef FASTGEMM_BENCH_OPTIONS_H
#define FASTGEMM_BENCH_OPTIONS_H

#include "bench.h"

struct bench_options {
    struct bench_settings settings;
    struct bench_list list;
    bool contract[3], list_only, floor_only, profile;
    const char *only, *file, *model, *once; /* once: run one engine once, for ncu */
};

/* Ends the program with a line when something is wrong, or after --help. */
struct bench_options bench_options_read(int argc, char **argv);

#endif
