/* Writing the log. */
#include "log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { MAX_PATH = 1200 };

/* The path with %p as the process id; false when it does not fit. */
static bool expand(char *path, const char *from) {
    size_t at = 0;
    for (; *from && at + 24 < MAX_PATH; from++) {
        if (from[0] == '%' && from[1] == 'p') {
            at += (size_t)snprintf(path + at, MAX_PATH - at, "%ld", (long)getpid());
            from++;
        } else {
            path[at++] = *from;
        }
    }
    path[at] = 0;
    return !*from;
}

static void write_all(int file, const char *text, size_t length) {
    while (length > 0) {
        ssize_t written = write(file, text, length);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return; /* nobody to tell */
        text += written;
        length -= (size_t)written;
    }
}

static void complain_once(const char *path, int error) {
    static atomic_bool said;
    char line[MAX_PATH + 160];
    if (atomic_exchange(&said, true)) return;
    int length = snprintf(line, sizeof line,
                          "fastgemm: FASTGEMM_LOG_FILE: cannot open '%s' (%s); writing to standard "
                          "error.\n",
                          path, strerror(error));
    write_all(STDERR_FILENO, line, (size_t)length);
}

void log_write(const struct toggles *toggles, const char *text, size_t length) {
    char path[MAX_PATH];
    int kept = errno, file = -1;
    if (*toggles->log_file) {
        errno = ENAMETOOLONG;
        if (expand(path, toggles->log_file)) file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
        if (file < 0) complain_once(toggles->log_file, errno);
    }
    write_all(file < 0 ? STDERR_FILENO : file, text, length);
    if (file >= 0) close(file);
    errno = kept;
}
