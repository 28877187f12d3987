/* Parser and help text, both made from the table of toggles. */
#include "toggles.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "problem.h"

/* Where complaints go. */
struct reader {
    toggles_complaint *complain;
    void *context;
};

__attribute__((format(printf, 2, 3))) static void say(const struct reader *reader, const char *format, ...) {
    char line[4096];
    va_list list;
    va_start(list, format);
    vsnprintf(line, sizeof line, format, list); /* NOLINT(clang-analyzer-valist.Uninitialized): a false alarm */
    va_end(list);
    if (reader->complain) reader->complain(reader->context, line);
}

enum { QUOTED = 60 };

/* The start of a text as one line shows it: what does not print becomes '?', what is cut off "...". */
static const char *quote(char (*out)[QUOTED + 4], const char *text, size_t length) {
    size_t at = 0;
    for (; at < length && at < QUOTED; at++) (*out)[at] = (char)(text[at] < ' ' || text[at] > '~' ? '?' : text[at]);
    memcpy(*out + at, at < length ? "..." : "", at < length ? 4 : 1);
    return *out;
}

/* Index of `word` (of `length`) among `count` names, -1 if it is none of them. */
static int find_word(const char *const *names, int count, const char *word, size_t length) {
    for (int i = 0; i < count; i++)
        if (strlen(names[i]) == length && memcmp(names[i], word, length) == 0) return i;
    return -1;
}

static bool choose(int *out, const char *const *names, int count, const char *value) {
    int found = find_word(names, count, value, strlen(value));
    if (found >= 0) *out = found;
    return found >= 0;
}

static bool read_SWITCH(bool *out, const char *value) {
    static const char *const names[] = {"off", "on", "0", "1"};
    int choice = 0;
    if (!choose(&choice, names, 4, value)) return false;
    *out = choice % 2;
    return true;
}

static bool read_PROFILES(unsigned *out, const char *value) {
    static const char *const names[] = {
#define X(name) #name,
        GEMM_PROFILES(X)
#undef X
    };
    unsigned mask = 0;
    if (strcmp(value, "all") == 0 || strcmp(value, "none") == 0) {
        *out = value[0] == 'a' ? (1u << PROFILE_COUNT) - 1 : 0;
        return true;
    }
    for (const char *at = value;; at++) {
        size_t length = strcspn(at, ",");
        int found = find_word(names, PROFILE_COUNT, at, length);
        if (found < 0) return false;
        mask |= 1u << found;
        at += length;
        if (!*at) break;
    }
    *out = mask;
    return true;
}

static bool read_PRECISION(enum toggle_precision *out, const char *value) {
    static const char *const names[] = {"caller", "ieee", "fp32", "tf32"};
    int choice = 0;
    if (!choose(&choice, names, 4, value)) return false;
    *out = (enum toggle_precision)choice;
    return true;
}

static bool read_KERNEL(int *out, const char *value) {
    static const char *const names[] = {
#define VARIANT(name, ...) #name,
        GEMM_VARIANTS(VARIANT)
#undef VARIANT
    };
    if (*value) return choose(out, names, VARIANT_COUNT, value);
    *out = -1;
    return true;
}

static bool read_LOG(enum toggle_log *out, const char *value) {
    static const char *const names[] = {"off", "summary", "calls", "bench"};
    int choice = 0;
    if (!choose(&choice, names, 4, value)) return false;
    *out = (enum toggle_log)choice;
    return true;
}

static bool read_number(int *out, const char *value, long most) {
    char *end = NULL;
    errno = 0;
    if (*value < '0' || *value > '9') return false; /* no sign, no blank */
    long number = strtol(value, &end, 10);
    if (errno || *end || number > most) return false;
    *out = (int)number;
    return true;
}

static bool read_TEXT(char (*out)[1024], const char *value) {
    size_t length = strlen(value);
    if (length >= sizeof *out) return false;
    memcpy(*out, value, length + 1);
    return true;
}

/* The bounds that the table's "what is allowed" states. */
static bool read_COUNT(int *out, const char *value) {
    return read_number(out, value, 1024);
}
static bool read_MEBIBYTES(int *out, const char *value) {
    return read_number(out, value, 1048576);
}

static void complain_of_value(const struct reader *reader, const char *variable, const char *value, const char *allowed,
                              const char *initial) {
    char quoted[QUOTED + 4];
    quote(&quoted, value, strlen(value));
    say(reader, "%s: '%s' is not allowed; allowed: %s. Using '%s'.", variable, quoted, allowed, initial);
}

static void complain_of_name(const struct reader *reader, const char *name, size_t length) {
    char quoted[QUOTED + 4];
#define TOGGLE(field, variable, type, initial, allowed, help) " " variable
    say(reader, "%s: no such setting; there are:" FASTGEMM_TOGGLES(TOGGLE) ".", quote(&quoted, name, length));
#undef TOGGLE
}

/* NOLINTNEXTLINE(readability-function-size): as long as the table */
static void apply(struct toggles *out, const char *name, size_t length, const char *value,
                  const struct reader *reader) {
#define TOGGLE(field, variable, type, initial, allowed, help)                                                          \
    if (length == sizeof variable - 1 && memcmp(name, variable, length) == 0) {                                        \
        if (!read_##type(&out->field, value)) complain_of_value(reader, variable, value, allowed, initial);            \
        return;                                                                                                        \
    }
    FASTGEMM_TOGGLES(TOGGLE)
#undef TOGGLE
    complain_of_name(reader, name, length);
}

/* "NAME=value" of ours; the simulated GPU has names of its own. */
static bool is_toggle(const char *entry) {
    if (strncmp(entry, "FASTGEMM_SIM_", 13) == 0) return false;
    return strncmp(entry, "FASTGEMM", 8) == 0 && (entry[8] == '=' || entry[8] == '_') && strchr(entry, '=');
}

static bool seen_before(char *const *environment, char *const *at, size_t length) {
    for (; environment < at; environment++)
        if (strncmp(*environment, *at, length + 1) == 0) return true;
    return false;
}

void toggles_parse(struct toggles *out, char *const *environment, toggles_complaint *complain, void *context) {
    const struct reader reader = {complain, context};
    memset(out, 0, sizeof *out);
#define TOGGLE(field, variable, type, initial, allowed, help) read_##type(&out->field, initial);
    FASTGEMM_TOGGLES(TOGGLE)
#undef TOGGLE
    for (char *const *at = environment; at && *at; at++) {
        if (!is_toggle(*at)) continue;
        size_t length = strcspn(*at, "=");
        if (!seen_before(environment, at, length)) apply(out, *at, length, *at + length + 1, &reader);
    }
}

size_t toggles_help(char *out, size_t size) {
    static const char text[] =
#define TOGGLE(field, variable, type, initial, allowed, help)                                                          \
    variable "\n    " help "\n    allowed: " allowed "; default: '" initial "'\n"
        FASTGEMM_TOGGLES(TOGGLE)
#undef TOGGLE
        ;
    if (size) snprintf(out, size, "%s", text);
    return sizeof text - 1;
}
