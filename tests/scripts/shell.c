/* Commands for tests of scripts. */
#include "shell.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

const struct outcome *shell(const char *format, ...) {
    static struct outcome outcome;
    char command[8192] =
        "exec </dev/null 2>&1; unset LD_PRELOAD LD_LIBRARY_PATH FASTGEMM FASTGEMM_LOG FASTGEMM_LIBRARY; ";
    size_t used = strlen(command);
    va_list list;
    va_start(list, format);
    int length = vsnprintf(command + used, sizeof command - used, format, list);
    va_end(list);
    assert_true(length > 0 && (size_t)length < sizeof command - used);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    size_t got = fread(outcome.text, 1, sizeof outcome.text - 1, pipe);
    outcome.text[got] = 0;
    int status = pclose(pipe);
    outcome.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    outcome.lines = 0;
    for (const char *at = outcome.text; *at; at++) outcome.lines += *at == '\n';
    return &outcome;
}

static char folder[256];

static void remove_folder(void) {
    char command[512];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    if (system(command)) fprintf(stderr, "could not remove %s\n", folder);
}

const char *own_folder(void) {
    if (*folder) return folder;
    snprintf(folder, sizeof folder, "/tmp/fastgemm test XXXXXX");
    assert_non_null(mkdtemp(folder));
    atexit(remove_folder);
    return folder;
}

void assert_true_or_print(const struct outcome *outcome, const char *found, const char *part, const char *file,
                          int line) {
    if (found) return;
    print_error("not said: '%s'; status %d, output:\n%s\n", part, outcome->status, outcome->text);
    _fail(file, line);
}

void assert_status(const struct outcome *outcome, int status) {
    if (outcome->status == status) return;
    print_error("status %d, not %d; output:\n%s\n", outcome->status, status, outcome->text);
    fail();
}
