/* Reading the environment, once. */
#include "settings.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "report.h"

/* What every call reads lies in one cache line. */
static struct {
    _Alignas(64) atomic_bool read;
    struct settings settings;
} known;

static void complain(void *context, const char *line) {
    (void)context;
    report_line(&known.settings.toggles, line);
}

static bool is_set(const char *name) {
    const char *value = getenv(name);
    return value && *value && strcmp(value, "0") != 0;
}

static enum tf32_override read_tf32_override(void) {
    const char *value = getenv("NVIDIA_TF32_OVERRIDE");
    if (!value || !*value) return TF32_AS_ASKED;
    return strcmp(value, "0") == 0 ? TF32_FORBIDDEN : TF32_FORCED;
}

static void read_environment(void) {
    toggles_parse(&known.settings.toggles, environ, NULL, NULL);
    known.settings.tf32 = read_tf32_override();
    known.settings.emulation = is_set("CUBLAS_EMULATE_SINGLE_PRECISION") || is_set("CUBLAS_EMULATION_STRATEGY");
    if (!known.settings.toggles.enabled) return; /* off leaves no trace, complaints included */
    struct toggles again;
    toggles_parse(&again, environ, complain, NULL);
}

const struct settings *settings(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    if (atomic_load_explicit(&known.read, memory_order_acquire)) return &known.settings; /* no call elsewhere */
    pthread_once(&once, read_environment);
    atomic_store_explicit(&known.read, true, memory_order_release);
    return &known.settings;
}
