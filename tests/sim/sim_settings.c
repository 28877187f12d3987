/*
 * Settings of the simulated GPU:
 *   FASTGEMM_SIM_DEVICES=n     how many (default 1); 0: no driver is installed
 *   FASTGEMM_SIM_CC=8.9,...    compute capability of each device, the last for all that follow (default 8.9)
 *   FASTGEMM_SIM_SMS=n         number of SMs (default: as the chip of that capability)
 *   FASTGEMM_SIM_DRIVER=n      driver version, such as 12080 (default 13000); below 13000 it is too old
 *   FASTGEMM_SIM_ORDER=...     forward, reverse, warps, shuffle[:seed], or vary: another at each launch (default)
 *   FASTGEMM_SIM_FAIL=f:n=e,.. the n-th call of function f answers e; without n every call, without =e the usual error
 */
#include "sim_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct sim_settings settings;
static bool loaded;

static const struct sim_traits known_traits[] = {
    {8, 0, 108, 40 << 20, 163 << 10, 164 << 10, 1410000, "Simulated GPU (sm_80)"},
    {8, 6, 84, 6 << 20, 99 << 10, 100 << 10, 1695000, "Simulated GPU (sm_86)"},
    {8, 9, 128, 72 << 20, 99 << 10, 100 << 10, 2520000, "Simulated GPU (sm_89)"},
    {9, 0, 132, 50 << 20, 227 << 10, 228 << 10, 1980000, "Simulated GPU (sm_90)"},
    {10, 0, 148, 126 << 20, 227 << 10, 228 << 10, 1965000, "Simulated GPU (sm_100)"},
    {12, 0, 170, 96 << 20, 99 << 10, 100 << 10, 2407000, "Simulated GPU (sm_120)"},
    {7, 5, 72, 6 << 20, 64 << 10, 64 << 10, 1770000, "Simulated GPU (sm_75)"},
};

static struct sim_traits traits_of(int major, int minor) {
    struct sim_traits traits = known_traits[2];
    for (size_t i = 0; i < sizeof known_traits / sizeof *known_traits; i++)
        if (known_traits[i].major == major && known_traits[i].minor == minor) return known_traits[i];
    traits.major = major;
    traits.minor = minor;
    traits.name = "Simulated GPU";
    return traits;
}

static int number(const char *name, int otherwise) {
    const char *text = getenv(name);
    return text && *text ? atoi(text) : otherwise;
}

static void load_devices(void) {
    settings.devices = number("FASTGEMM_SIM_DEVICES", 1);
    if (settings.devices > SIM_MAX_DEVICES) settings.devices = SIM_MAX_DEVICES;
    settings.driver = settings.devices > 0 ? number("FASTGEMM_SIM_DRIVER", CUDART_VERSION) : 0;
    int sms = number("FASTGEMM_SIM_SMS", 0), major = 8, minor = 9;
    const char *cc = getenv("FASTGEMM_SIM_CC");
    for (int i = 0; i < SIM_MAX_DEVICES; i++) {
        if (cc && sscanf(cc, "%d.%d", &major, &minor) == 2) {
            cc = strchr(cc, ',');
            if (cc) cc++;
        }
        settings.traits[i] = traits_of(major, minor);
        if (sms > 0) settings.traits[i].sms = sms;
    }
}

static void load_order(void) {
    static const char *const names[] = {"forward", "reverse", "warps", "shuffle", "vary"};
    const char *text = getenv("FASTGEMM_SIM_ORDER");
    settings.order = ORDER_VARY;
    settings.order_seed = 1;
    if (!text || !*text) return;
    size_t length = strcspn(text, ":");
    for (int i = 0; i < 5; i++)
        if (strlen(names[i]) == length && !strncmp(text, names[i], length)) {
            settings.order = (enum sim_order)i;
            if (text[length]) settings.order_seed = strtoull(text + length + 1, NULL, 0);
            return;
        }
    fprintf(stderr, "simulated GPU: FASTGEMM_SIM_ORDER=%s is unknown: forward, reverse, warps, shuffle[:seed], vary\n",
            text);
}

/* ---- failures to order ---- */

enum { MAX_FAILURES = 16 };
static struct failure {
    char function[64];
    long nth; /* 0: every call */
    int error, calls;
} failures[MAX_FAILURES];
static int failure_count;

static void load_failures(void) {
    failure_count = 0;
    const char *text = getenv("FASTGEMM_SIM_FAIL");
    while (text && *text && failure_count < MAX_FAILURES) {
        struct failure *f = &failures[failure_count++];
        *f = (struct failure){.error = 0};
        size_t length = strcspn(text, ":=,");
        snprintf(f->function, sizeof f->function, "%.*s", (int)length, text);
        text += length;
        if (*text == ':') f->nth = strtol(text + 1, (char **)&text, 10);
        if (*text == '*') text++;
        if (*text == '=') f->error = (int)strtol(text + 1, (char **)&text, 10);
        if (!f->error) f->error = strstr(f->function, "lloc") ? cudaErrorMemoryAllocation : cudaErrorUnknown;
        text += strcspn(text, ",");
        if (*text) text++;
    }
}

int sim_injected_failure(const char *function) {
    sim_settings();
    for (int i = 0; i < failure_count; i++) {
        struct failure *f = &failures[i];
        if (!strcmp(f->function, function) && (++f->calls == f->nth || f->nth == 0)) return f->error;
    }
    return 0;
}

void sim_settings_reload(void) {
    load_devices();
    load_order();
    load_failures();
    loaded = true;
}

const struct sim_settings *sim_settings(void) {
    if (!loaded) sim_settings_reload();
    return &settings;
}
