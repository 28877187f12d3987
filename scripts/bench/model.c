/* Predictions from the cost model that the policy itself uses. */
#include "model.h"

#include <string.h>

#include "../../policy/cost.h"
#include "../../policy/measured.h"
#include "../../policy/profile.h"
#include "ours.h"
#include "output.h"

/* Paper figures; a kernel's block may have 1 KB less than the SM. */
static const struct {
    const char *name, *chip;
    struct gemm_device device;
} chips[] = {
    {"sm_89",
     "RTX 4090",
     {.arch = 89,
      .sm_count = 128,
      .l2_bytes = 72 << 20,
      .dram_bytes_per_s = 1008e9,
      .ffma_flops_per_s = 82.6e12,
      .smem_per_block = 99 << 10,
      .smem_per_sm = 100 << 10}},
    {"sm_90",
     "H200",
     {.arch = 90,
      .sm_count = 132,
      .l2_bytes = 60 << 20,
      .dram_bytes_per_s = 4.8e12,
      .ffma_flops_per_s = 66.9e12,
      .smem_per_block = 227 << 10,
      .smem_per_sm = 228 << 10,
      .wgmma = 1}},
};

static void show(const struct bench_problem *problem, const struct gemm_device *device,
                 const struct bench_settings *settings) {
    const struct gemm_problem *p = &problem->gemm;
    struct gemm_plan plan;
    enum gemm_reason route;
    double floor = gemm_floor(p, device);
    if (!ours_plan(p, device, settings, &plan, &route)) {
        printf("%-24s %-4s no kernel takes it (%s)\n", problem->name, output_contract(p->contract),
               gemm_reason_name(route));
        return;
    }
    printf("%-24s %-4s %-13s %-28s %5d %4d %11.4f %9.2f %10.4f %6.2f  %s\n", problem->name,
           output_contract(p->contract), gemm_profile_name(plan.profile), plan.variant->name, plan.split_k, plan.raster,
           plan.predicted_s * 1e3, gemm_flops(p) / plan.predicted_s * 1e-12, floor * 1e3, floor / plan.predicted_s,
           route == REASON_routed ? measured_source(device, plan.profile) : gemm_reason_name(route));
}

int model_show(const struct bench_list *list, const char *chip, const struct bench_settings *settings) {
    for (size_t i = 0; i < sizeof chips / sizeof *chips; i++) {
        if (strcmp(chips[i].name, chip) != 0) continue;
        printf("PREDICTION for %s (%s, paper limits), from the policy's cost model: nothing was run\n", chips[i].chip,
               chip);
        printf("%-24s %-4s %-13s %-28s %5s %4s %11s %9s %10s %6s  %s\n", "problem", "want", "profile", "kernel",
               "split", "rast", "predicted ms", "TFLOP/s", "floor ms", "share", "the policy's support");
        for (int at = 0; at < list->count; at++) show(&list->at[at], &chips[i].device, settings);
        return BENCH_OK;
    }
    bench_die(BENCH_USAGE, "--model: '%s'; allowed: sm_89, sm_90", chip);
}
