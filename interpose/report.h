/*
 * What a person sees: counters by problem and route, the line of a call, the summary at exit.
 */
#ifndef FASTGEMM_REPORT_H
#define FASTGEMM_REPORT_H

#include "../policy/problem.h"
#include "../policy/toggles.h"

struct gemm_call;

/*
 * Counts one call, and prints its line if the log asks for calls. Lock-free for a problem seen before. `support` says
 * why a route was taken ("measured on H200", "forced").
 */
void report_call(const struct toggles *toggles, const struct gemm_call *call, const struct gemm_problem *problem,
                 const struct gemm_plan *plan, const char *support);

/* A line of ours on standard error or in the log file. */
void report_line(const struct toggles *toggles, const char *line);

#endif
