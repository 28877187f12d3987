/* The built-in table of routes. */
#include "measured.h"

struct route {
    int arch;
    enum gemm_profile profile;
    double min_flops; /* below, launch overhead decides and nothing was measured */
    const char *source;
};

static const struct route routes[] = {
    {90, PROFILE_huge_k, 1e8, "measured on H200"},
    {90, PROFILE_transposed, 1e9, "measured on H200"},
    {90, PROFILE_square, 1e9, "measured on H200"},
    {90, PROFILE_irregular, 1e9, "measured on H200"},
    {90, PROFILE_outer_product, 1e9, "measured on H200"},
    {90, PROFILE_batched, 1e9, "measured on H200"},
    {89, PROFILE_huge_k, 1e8, "by model"},
    {89, PROFILE_transposed, 1e9, "by model"},
    {89, PROFILE_square, 1e9, "by model"},
    {89, PROFILE_irregular, 1e9, "by model"},
    {89, PROFILE_outer_product, 1e9, "by model"},
};

static const struct route *find(const struct gemm_device *device, enum gemm_profile profile) {
    for (unsigned i = 0; i < sizeof routes / sizeof *routes; i++)
        if (routes[i].arch == device->arch && routes[i].profile == profile) return &routes[i];
    return NULL;
}

bool measured_supports(const struct gemm_problem *p, const struct gemm_device *device, const struct gemm_plan *plan) {
    const struct route *route = find(device, plan->profile);
    double flops = 2.0 * (double)p->m * (double)p->n * (double)p->k * (double)p->batch;
    return route && flops >= route->min_flops;
}

const char *measured_source(const struct gemm_device *device, enum gemm_profile profile) {
    const struct route *route = find(device, profile);
    return route ? route->source : "";
}
