/* Every toggle: unset, each good value, each kind of bad one; unknown names; the help text. */
#include "fixtures.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The table as data; the tests below hold every row of it. */
struct row {
    const char *variable, *type, *initial, *allowed, *help;
    size_t offset, size;
};
static const struct row rows[] = {
#define TOGGLE(field, variable, type, initial, allowed, help)                                                          \
    {variable, #type, initial, allowed, help, offsetof(struct toggles, field), sizeof(((struct toggles *)0)->field)},
    FASTGEMM_TOGGLES(TOGGLE)
#undef TOGGLE
};
enum { ROWS = sizeof rows / sizeof *rows, MAX_LINES = 8, LINE = 4096 };

struct heard {
    int lines;
    char line[MAX_LINES][LINE];
};

static void hear(void *context, const char *line) {
    struct heard *heard = context;
    assert_true(heard->lines < MAX_LINES);
    snprintf(heard->line[heard->lines++], LINE, "%s", line);
}

static struct toggles parse(struct heard *heard, const char *const *environment) {
    struct toggles toggles;
    memset(&toggles, 0xA5, sizeof toggles); /* whatever stays of this was never set */
    memset(heard, 0, sizeof *heard);
    toggles_parse(&toggles, (char *const *)environment, hear, heard);
    return toggles;
}

static struct toggles parse_one(struct heard *heard, const char *name, const char *value) {
    char *entry = malloc(strlen(name) + strlen(value) + 2);
    sprintf(entry, "%s=%s", name, value);
    const char *environment[] = {entry, NULL};
    struct toggles toggles = parse(heard, environment);
    free(entry);
    return toggles;
}

static bool equal(const struct toggles *a, const struct toggles *b) {
    for (int i = 0; i < ROWS; i++)
        if (memcmp((const char *)a + rows[i].offset, (const char *)b + rows[i].offset, rows[i].size) != 0) return false;
    return true;
}

/* Nothing but one row's field differs from the defaults. */
static void assert_only_changes(const struct toggles *toggles, const struct row *row) {
    struct toggles changed = default_toggles();
    memcpy((char *)&changed + row->offset, (const char *)toggles + row->offset, row->size);
    assert_true(equal(&changed, toggles));
}

static void assert_defaults(const struct toggles *toggles) {
    struct toggles defaults = default_toggles();
    assert_true(equal(toggles, &defaults));
}

static const struct row *row_of(const char *variable) {
    for (int i = 0; i < ROWS; i++)
        if (strcmp(rows[i].variable, variable) == 0) return &rows[i];
    fail_msg("no toggle %s", variable);
    return NULL;
}

static void unset_means_the_documented_defaults(void **state) {
    (void)state;
    struct heard heard;
    const char *nothing[] = {"PATH=/bin", "FASTGEMMX=1", "FASTGEMM", "XFASTGEMM=off", "", "=", NULL};
    struct toggles t = parse(&heard, nothing);
    assert_int_equal(heard.lines, 0);
    assert_defaults(&t);
    assert_true(t.enabled);
    assert_int_equal(t.profiles, (1u << PROFILE_COUNT) - 1);
    assert_int_equal(t.precision, PRECISION_CALLER);
    assert_int_equal(t.kernel, -1);
    assert_int_equal(t.split_k, 0);
    assert_int_equal(t.raster, 0);
    assert_int_equal(t.log, LOG_OFF);
    assert_string_equal(t.log_file, "");
    assert_int_equal(t.workspace_mb, 2048);
}

static void every_default_is_a_good_value(void **state) {
    (void)state;
    for (int i = 0; i < ROWS; i++) {
        struct heard heard;
        struct toggles t = parse_one(&heard, rows[i].variable, rows[i].initial);
        assert_int_equal(heard.lines, 0);
        assert_defaults(&t);
    }
}

/* A good value, and the value of its field. Integers and enumerations read as int; texts by `text`. */
struct good {
    const char *variable, *value;
    int expected;
    const char *text;
};

static void assert_good(const struct good *good) {
    struct heard heard;
    const struct row *row = row_of(good->variable);
    struct toggles t = parse_one(&heard, good->variable, good->value);
    const char *field = (const char *)&t + row->offset;
    assert_int_equal(heard.lines, 0);
    assert_only_changes(&t, row);
    if (good->text)
        assert_string_equal(field, good->text);
    else if (row->size == sizeof(bool))
        assert_int_equal(*(const bool *)field, good->expected);
    else
        assert_int_equal(*(const int *)field, good->expected);
}

static void good_values_are_taken(void **state) {
    (void)state;
    const struct good values[] = {
        {"FASTGEMM", "off", 0, NULL},
        {"FASTGEMM", "on", 1, NULL},
        {"FASTGEMM", "0", 0, NULL},
        {"FASTGEMM", "1", 1, NULL},
        {"FASTGEMM_PROFILES", "all", (1 << PROFILE_COUNT) - 1, NULL},
        {"FASTGEMM_PROFILES", "none", 0, NULL},
        {"FASTGEMM_PROFILES", "square", 1 << PROFILE_square, NULL},
        {"FASTGEMM_PROFILES", "huge_k,batched", 1 << PROFILE_huge_k | 1 << PROFILE_batched, NULL},
        {"FASTGEMM_PROFILES", "general,general", 1 << PROFILE_general, NULL},
        {"FASTGEMM_PRECISION", "caller", PRECISION_CALLER, NULL},
        {"FASTGEMM_PRECISION", "ieee", PRECISION_IEEE, NULL},
        {"FASTGEMM_PRECISION", "fp32", PRECISION_FP32, NULL},
        {"FASTGEMM_PRECISION", "tf32", PRECISION_TF32, NULL},
        {"FASTGEMM_SPLIT_K", "1", 1, NULL},
        {"FASTGEMM_SPLIT_K", "1024", 1024, NULL},
        {"FASTGEMM_SPLIT_K", "007", 7, NULL},
        {"FASTGEMM_RASTER", "1024", 1024, NULL},
        {"FASTGEMM_LOG", "off", LOG_OFF, NULL},
        {"FASTGEMM_LOG", "summary", LOG_SUMMARY, NULL},
        {"FASTGEMM_LOG", "calls", LOG_CALLS, NULL},
        {"FASTGEMM_LOG", "bench", LOG_BENCH, NULL},
        {"FASTGEMM_LOG_FILE", "/tmp/a log %p=x", 0, "/tmp/a log %p=x"},
        {"FASTGEMM_WORKSPACE_MB", "0", 0, NULL},
        {"FASTGEMM_WORKSPACE_MB", "1048576", 1048576, NULL},
    };
    for (unsigned i = 0; i < sizeof values / sizeof *values; i++) assert_good(&values[i]);
}

static void every_profile_and_kernel_can_be_named(void **state) {
    (void)state;
    for (int i = 0; i < PROFILE_COUNT; i++)
        assert_good(&(struct good){"FASTGEMM_PROFILES", gemm_profile_name((enum gemm_profile)i), 1 << i, NULL});
    for (int i = 0; i < VARIANT_COUNT; i++)
        assert_good(&(struct good){"FASTGEMM_KERNEL", gemm_variants[i].name, i, NULL});
}

static void the_longest_path_is_taken(void **state) {
    (void)state;
    char path[1025];
    memset(path, 'p', sizeof path);
    path[1023] = 0;
    assert_good(&(struct good){"FASTGEMM_LOG_FILE", path, 0, path});
}

static int count_of(const char *text, const char *part) {
    int count = 0;
    for (const char *at = text; (at = strstr(at, part)); at++) count++;
    return count;
}

/* One line that names the variable, the value (its start, if long) and all that is allowed; defaults stand. */
static void assert_bad(const char *variable, const char *value) {
    struct heard heard;
    struct toggles t = parse_one(&heard, variable, value);
    assert_defaults(&t);
    assert_int_equal(heard.lines, 1);
    const char *line = heard.line[0];
    assert_ptr_equal(strstr(line, variable), line);
    assert_non_null(strstr(line, row_of(variable)->allowed));
    assert_non_null(strstr(line, "is not allowed"));
    assert_true(strlen(line) < LINE - 1 && line[strlen(line) - 1] == '.');
    for (const char *at = line; *at; at++) assert_true(*at >= ' ' && *at <= '~');
    char quoted[80];
    if (strlen(value) < 40 && !strpbrk(value, "\n\r\t\x1b\xff")) {
        snprintf(quoted, sizeof quoted, "'%s'", value);
        assert_non_null(strstr(line, quoted));
    }
}

static void bad_values_change_nothing_and_say_so_once(void **state) {
    (void)state;
    const char *const choices[] = {"",    " ",   "Off",    "yes",  "offf", "of",       "2",      "-1",
                                   "on ", " on", "on,off", "all,", "null", "summary,", "%s%n%d", "line\nbreak"};
    for (int i = 0; i < ROWS; i++) {
        const char *type = rows[i].type;
        if (strcmp(type, "TEXT") == 0 || strcmp(type, "COUNT") == 0 || strcmp(type, "MEBIBYTES") == 0) continue;
        for (unsigned j = 0; j < sizeof choices / sizeof *choices; j++) {
            if (strcmp(rows[i].initial, choices[j]) == 0) continue; /* no kernel */
            assert_bad(rows[i].variable, choices[j]);
        }
    }
}

static void bad_lists_of_profiles(void **state) {
    (void)state;
    const char *const lists[] = {"square,",         ",square",       "square,,batched", "square batched",
                                 "square, batched", "square,nosuch", "Square",          "all,square",
                                 "none,none",       "squar",         "squares",         ","};
    for (unsigned i = 0; i < sizeof lists / sizeof *lists; i++) assert_bad("FASTGEMM_PROFILES", lists[i]);
}

static void bad_kernels(void **state) {
    (void)state;
    assert_bad("FASTGEMM_KERNEL", "sgemm");
    assert_bad("FASTGEMM_KERNEL", "0");
    assert_bad("FASTGEMM_KERNEL", "all");
}

static void bad_numbers(void **state) {
    (void)state;
    const char *const numbers[] = {"",
                                   "-1",
                                   "+1",
                                   " 1",
                                   "1 ",
                                   "0x10",
                                   "1e3",
                                   "1.0",
                                   "four",
                                   "1,2",
                                   "1k",
                                   "99999999",
                                   "4294967297",
                                   "18446744073709551617",
                                   "9999999999999999999999999",
                                   "\t1"};
    for (int i = 0; i < ROWS; i++) {
        bool count = strcmp(rows[i].type, "COUNT") == 0;
        if (!count && strcmp(rows[i].type, "MEBIBYTES") != 0) continue;
        for (unsigned j = 0; j < sizeof numbers / sizeof *numbers; j++) assert_bad(rows[i].variable, numbers[j]);
        assert_bad(rows[i].variable, count ? "1025" : "1048577");
    }
}

/* However long or unprintable the value, what is allowed still stands in the one line. */
static void values_that_would_spoil_the_line(void **state) {
    (void)state;
    static char huge[100000];
    memset(huge, 'x', sizeof huge - 1);
    for (int i = 0; i < ROWS; i++) {
        assert_bad(rows[i].variable, huge);
        if (strcmp(rows[i].type, "TEXT") != 0) assert_bad(rows[i].variable, "a\r\n\x1b[2J\xff\tb");
    }
    struct heard heard;
    parse_one(&heard, "FASTGEMM_LOG", huge);
    assert_non_null(strstr(heard.line[0], "xxx...'"));
}

static void a_path_too_long_is_refused(void **state) {
    (void)state;
    char path[1025];
    memset(path, 'p', sizeof path);
    path[1024] = 0;
    assert_bad("FASTGEMM_LOG_FILE", path);
}

static void unknown_names_are_named_once_with_those_that_exist(void **state) {
    (void)state;
    const char *const names[] = {"FASTGEMM_FOO",  "FASTGEMM_",     "FASTGEMM_LOG_", "FASTGEMM_KERNELS",
                                 "FASTGEMM_TUNE", "FASTGEMM_KERN", "FASTGEMM_log",  "FASTGEMM_\n\n"};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        struct heard heard;
        struct toggles t = parse_one(&heard, names[i], "off");
        assert_defaults(&t);
        assert_int_equal(heard.lines, 1);
        assert_memory_equal(heard.line[0], "FASTGEMM_", 9);
        assert_non_null(strstr(heard.line[0], "no such setting"));
        for (int row = 0; row < ROWS; row++) assert_non_null(strstr(heard.line[0], rows[row].variable));
        assert_null(strchr(heard.line[0], '\n'));
    }
}

static void the_simulated_gpu_has_its_own_names(void **state) {
    (void)state;
    struct heard heard;
    struct toggles t = parse_one(&heard, "FASTGEMM_SIM_SMS", "4");
    assert_int_equal(heard.lines, 0);
    assert_defaults(&t);
}

static void bad_beside_good(void **state) {
    (void)state;
    struct heard heard;
    const char *environment[] = {
        "FASTGEMM_SPLIT_K=x",  "HOME=/", "FASTGEMM_LOG=summary", "FASTGEMM_FOO=1", "FASTGEMM_RASTER=4",
        "FASTGEMM_PRECISION=", NULL};
    struct toggles t = parse(&heard, environment), expected = default_toggles();
    expected.log = LOG_SUMMARY;
    expected.raster = 4;
    assert_true(equal(&t, &expected));
    assert_int_equal(heard.lines, 3);
    assert_memory_equal(heard.line[0], "FASTGEMM_SPLIT_K:", 17);
    assert_memory_equal(heard.line[1], "FASTGEMM_FOO:", 13);
    assert_memory_equal(heard.line[2], "FASTGEMM_PRECISION:", 19);
}

static void of_two_the_first_counts(void **state) {
    (void)state;
    struct heard heard;
    const char *environment[] = {"FASTGEMM_LOG=calls", "FASTGEMM_LOG=nonsense", "FASTGEMM_X=1",
                                 "FASTGEMM_X=2",       "FASTGEMM_LOG_FILE=a",   NULL};
    struct toggles t = parse(&heard, environment);
    assert_int_equal(t.log, LOG_CALLS);
    assert_string_equal(t.log_file, "a");
    assert_int_equal(heard.lines, 1);
}

static void nobody_need_listen(void **state) {
    (void)state;
    const char *environment[] = {"FASTGEMM=perhaps", "FASTGEMM_FOO=1", NULL};
    struct toggles t;
    toggles_parse(&t, (char *const *)environment, NULL, NULL);
    assert_defaults(&t);
}

static void help_is_made_from_the_table(void **state) {
    (void)state;
    static char text[16384];
    size_t length = toggles_help(text, sizeof text);
    assert_int_equal(length, strlen(text));
    assert_int_equal(count_of(text, "\n"), 3 * ROWS);
    const char *at = text;
    for (int i = 0; i < ROWS; i++) {
        char entry[4096];
        snprintf(entry, sizeof entry, "%s\n    %s\n    allowed: %s; default: '%s'\n", rows[i].variable, rows[i].help,
                 rows[i].allowed, rows[i].initial);
        assert_memory_equal(at, entry, strlen(entry));
        at += strlen(entry);
    }
    assert_string_equal(at, "");
}

static void help_fits_any_buffer(void **state) {
    (void)state;
    char small[10] = "123456789";
    size_t whole = toggles_help(NULL, 0);
    assert_int_equal(toggles_help(small, 0), whole);
    assert_string_equal(small, "123456789");
    assert_int_equal(toggles_help(small, 5), whole);
    assert_string_equal(small, "FAST");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unset_means_the_documented_defaults),
        cmocka_unit_test(every_default_is_a_good_value),
        cmocka_unit_test(good_values_are_taken),
        cmocka_unit_test(every_profile_and_kernel_can_be_named),
        cmocka_unit_test(the_longest_path_is_taken),
        cmocka_unit_test(bad_values_change_nothing_and_say_so_once),
        cmocka_unit_test(bad_lists_of_profiles),
        cmocka_unit_test(bad_kernels),
        cmocka_unit_test(bad_numbers),
        cmocka_unit_test(values_that_would_spoil_the_line),
        cmocka_unit_test(a_path_too_long_is_refused),
        cmocka_unit_test(unknown_names_are_named_once_with_those_that_exist),
        cmocka_unit_test(the_simulated_gpu_has_its_own_names),
        cmocka_unit_test(bad_beside_good),
        cmocka_unit_test(of_two_the_first_counts),
        cmocka_unit_test(nobody_need_listen),
        cmocka_unit_test(help_is_made_from_the_table),
        cmocka_unit_test(help_fits_any_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
