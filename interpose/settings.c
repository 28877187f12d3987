/* Reading the environment, once. */
#include "settings.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "report.h"

static struct settings known;

static void complain(void *context, const char *line) {
    (void)context;
    report_line(&known.toggles, line);
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
    toggles_parse(&known.toggles, environ, NULL, NULL);
    known.tf32 = read_tf32_override();
    known.emulation = is_set("CUBLAS_EMULATE_SINGLE_PRECISION") || is_set("CUBLAS_EMULATION_STRATEGY");
    if (!known.toggles.enabled) return; /* off leaves no trace, complaints included */
    struct toggles again;
    toggles_parse(&again, environ, complain, NULL);
}

const struct settings *settings(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    static atomic_bool read;
    if (atomic_load_explicit(&read, memory_order_acquire)) return &known; /* no call into another library */
    pthread_once(&once, read_environment);
    atomic_store_explicit(&read, true, memory_order_release);
    return &known;
}
